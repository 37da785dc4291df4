"""Checks the documents: relative links and anchors resolve, `make` and `mlops` commands exist.

Every mistake is printed as ``file:line: what is wrong``; the exit status is 1 where there is one.
Looked at are the pages beside README.md and every page below docs/ and projects/.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import typer
from markdown_it import MarkdownIt
from markdown_it.token import Token
from typer.core import TyperGroup
from typer.main import get_command

ROOT = Path(__file__).resolve().parent.parent
SHELLS = {"", "sh", "bash", "shell", "console"}
COMMAND = re.compile(r"^\s*(?:\$ )?(make|mlops) (.+)$")
WORD = re.compile(r"^[a-z][a-z0-9_|-]*$")


def main() -> int:
    """Check every document; 1 where one has a mistake."""
    documents = sorted(ROOT.glob("*.md"))
    for folder in ("docs", "projects"):
        documents += sorted((ROOT / folder).rglob("*.md"))
    mistakes = [mistake for document in documents for mistake in mistakes_in(document)]
    print("\n".join(mistakes) or f"{len(documents)} documents: every link and command exists")
    return 1 if mistakes else 0


def mistakes_in(document: Path) -> Iterator[str]:
    """Each broken link and unknown command of one Markdown file."""
    for token in tokens_of(document):
        line = (token.map or [0])[0] + 1
        for wrong in [*broken_links(document, token), *unknown_commands(token)]:
            yield f"{document.relative_to(ROOT)}:{line}: {wrong}"


@cache
def tokens_of(document: Path) -> list[Token]:
    """The blocks of one Markdown file."""
    return MarkdownIt("commonmark").enable("table").parse(document.read_text(encoding="utf-8"))


def broken_links(document: Path, block: Token) -> Iterator[str]:
    """What is wrong with the links and pictures in one block."""
    for token in block.children or []:
        link = token.attrGet("href") or token.attrGet("src")
        if not isinstance(link, str):
            continue
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (document.parent / unquote(parts.path)).resolve() if parts.path else document
        if not target.is_relative_to(ROOT):
            yield f"{link}: leads out of the repository"
        elif not target.exists():
            yield f"{link}: there is no {target.relative_to(ROOT)}"
        elif (
            parts.fragment
            and target.suffix == ".md"
            and unquote(parts.fragment) not in anchors_of(target)
        ):
            yield f"{link}: no heading of {target.relative_to(ROOT)} has this anchor"


@cache
def anchors_of(document: Path) -> frozenset[str]:
    """The anchors that GitHub gives a page's headings, and those that the page names itself."""
    anchors: set[str] = set()
    tokens = tokens_of(document)
    for before, token in pairwise(tokens):
        if before.type != "heading_open":
            continue
        text = "".join(child.content for child in token.children or [])
        slug = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
        unique, number = slug, 0
        while unique in anchors:
            number += 1
            unique = f"{slug}-{number}"
        anchors.add(unique)
    anchors.update(re.findall(r'<a (?:id|name)="([^"]+)"', document.read_text(encoding="utf-8")))
    return frozenset(anchors)


def unknown_commands(block: Token) -> Iterator[str]:
    """Each `make` target and `mlops` command that a block names and that does not exist."""
    if block.type == "fence" and block.info.strip() in SHELLS:
        code = block.content.splitlines()
    else:
        code = [child.content for child in block.children or [] if child.type == "code_inline"]
    for line in code:
        match = COMMAND.match(line)
        if match:
            program, words = match[1], match[2].split()
            yield from unknown_targets(words) if program == "make" else unknown_subcommands(words)


def unknown_targets(words: list[str]) -> Iterator[str]:
    """Each word that should be a target of the Makefile, and is not."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)
    for word in words:
        if not WORD.match(word):
            return
        if word not in targets:
            yield f"make {word}: the Makefile has no such target"


def unknown_subcommands(words: list[str]) -> Iterator[str]:
    """The first word that should be a command of `mlops`, and is not; `a|b` stands for both."""
    from mlops_dagster.cli.main import app

    command, path = get_command(app), "mlops"
    for word in words:
        if not isinstance(command, TyperGroup) or not WORD.match(word):
            return
        context = typer.Context(command)
        found = {name: command.get_command(context, name) for name in word.split("|")}
        for name in [name for name, sub in found.items() if sub is None]:
            yield f"{path} {name}: there is no such command"
        following = next(iter(found.values()))
        if following is None:
            return
        command, path = following, f"{path} {word}"


if __name__ == "__main__":
    sys.exit(main())
