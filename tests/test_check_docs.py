"""The documents' checker finds what a reader would stumble over."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import check_docs

SOUND = """\
# A page

[itself](#two-words), [other](other.md#part-1), [folder](docs), [web](https://example.org/x#y).

## Two `words`!

```sh
$ make demo
make test check ARGS=-x
mlops --help
```
```yaml
mlops nonsense: true
```
"""

BROKEN = {
    "[gone](gone.md)": "gone.md: there is no gone.md",
    "![picture](pictures/a.png)": "pictures/a.png: there is no pictures/a.png",
    "[part](other.md#part-2)": "other.md#part-2: no heading of other.md has this anchor",
    "[up](../secret.md)": "../secret.md: leads out of the repository",
    "Run `make coffee` now.": "make coffee: the Makefile has no such target",
    "```sh\nmlops teleport x\n```": "mlops teleport: there is no such command",
}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(check_docs, "ROOT", tmp_path)
    (tmp_path / "Makefile").write_text("demo: x ## runs\ntest:\ncheck:\n")
    (tmp_path / "other.md").write_text("# Part\n# Part\n")
    (tmp_path / "docs").mkdir()
    return tmp_path


def test_links_anchors_and_commands_that_exist_are_left_alone(repository: Path) -> None:
    page = repository / "page.md"
    page.write_text(SOUND)
    assert list(check_docs.mistakes_in(page)) == []


@pytest.mark.parametrize(("text", "mistake"), BROKEN.items(), ids=BROKEN.values())
def test_a_mistake_is_told_with_its_line(repository: Path, text: str, mistake: str) -> None:
    page = repository / "page.md"
    page.write_text(f"# A page\n\n{text}\n")
    assert list(check_docs.mistakes_in(page)) == [f"page.md:3: {mistake}"]
