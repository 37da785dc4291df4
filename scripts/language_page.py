"""Writes docs/azure-ml-yaml.md from the table in tests/aml/language; ``--check`` only compares.

With ``--check`` the exit status is 1 where the page is not what the table says.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "azure-ml-yaml.md"
RESULTS = {"honoured": "honoured", "differs": "honoured, but", "refused": "refused"}
HEAD = """\
# Azure ML's YAML on this machine

<!-- Made by scripts/language_page.py from tests/aml/language; change the table there. -->

The same files run here and on Azure. Each line below is a construct of the language:

- **honoured**: what it means on Azure it means here.
- **honoured, but**: it is accepted, and the text beside it says what it does here.
- **refused**: nothing of the job is started. `mlops check` and submitting it name every such place at once, with file and line.

The last column names the test that holds it: `pytest tests/aml/test_language.py -k NAME` loads the construct with Azure ML's own loader and ours, and runs or refuses it.
"""


def main() -> int:
    """Write or check the page; 1 where it is out of date."""
    page = page_text()
    if "--check" in sys.argv[1:]:
        if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page:
            print(f"{PAGE.relative_to(ROOT)} says what the table says")
            return 0
        print(f"{PAGE.relative_to(ROOT)} is out of date: run scripts/language_page.py")
        return 1
    PAGE.write_text(page, encoding="utf-8")
    return 0


def page_text() -> str:
    """The page."""
    sys.path.insert(0, str(ROOT))
    from tests.aml.language import SECTIONS

    parts = [HEAD]
    for title, rows in SECTIONS.items():
        lines = [f"## {title}", "", "| construct | here | | test |", "|---|---|---|---|"]
        for row in rows:
            cells = (row.construct, RESULTS[row.result], row.says, f"`{row.id}`")
            lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
