"""Files for one test, and what is found wrong in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from mlops_dagster.aml import check

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes files by their paths, or one file by its text, and returns the first one."""

    def _write(files: dict[str, str] | str) -> Path:
        named = {"it.yml": files} if isinstance(files, str) else files
        for name, text in named.items():
            path = tmp_path / "files" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
        return tmp_path / "files" / next(iter(named))

    return _write


def mistakes_in(path: Path) -> list[str]:
    """Every mistake as ``file:line field: message``."""
    return [
        f"{problem.file.name}:{problem.line} {problem.field}: {problem.message}"
        for problem in check(path)
    ]
