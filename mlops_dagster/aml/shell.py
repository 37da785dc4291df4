"""Values put into the text of a shell command so that they stay values.

A value is inserted so that bash sees exactly its characters, as one argument or as part of the
argument that it stands in: unquoted, inside either kind of quotes, in ``$(...)``, backquotes, a
here-document or a comment. Where no quoting can promise that (arithmetic, which evaluates what its
variables hold; parameter expansions; nested backquotes) only a plain word is let through.

Nothing here reaches what is evaluated once more after bash has read the command: the numbers that
``[[ X -eq 1 ]]`` compares, ``printf -v``, ``eval``, a second shell (``bash -c "..."``, ``ssh``).

Source of the rules: the Bash reference manual, "Quoting", "Command Substitution" and
"Here Documents" (gnu.org/software/bash/manual/bash.html).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from mlops_dagster.errors import InvalidRequest

Item = str | tuple[str]
"""One character of the command, or a value."""

_WORD = re.compile(r"[A-Za-z0-9_@%+:./-]+")
_RESERVED = frozenset(
    [
        "if",
        "then",
        "else",
        "elif",
        "fi",
        "case",
        "esac",
        "for",
        "select",
        "while",
        "until",
        "do",
        "done",
        "in",
        "function",
        "time",
        "coproc",
    ]
)
_JOINS = "=+[<>({,"
"""After these a plain word could become syntax: an assignment, a redirection, a pattern."""
_DELIMITER = re.compile(r"""(?:[^\s;|&()<>'"\\]|\\.|'[^']*'|"[^"]*")+""", re.DOTALL)


@dataclass
class _Construct:
    """A construct that is open: ``kind`` is what opened it, ``depth`` its open brackets.

    Kinds: ``top``, ``$(``, `````, ``"``, ``'``, ``$'``, ``${``, ``((``, ``$[``, ``#``, ``heredoc``
    (bash expands in it) and ``verbatim`` (a here-document with a quoted delimiter).
    """

    kind: str
    depth: int = 1


_COMMANDS = ("top", "$(", "`")
_EVALUATED = ("((", "$[", "${")
_EXPANDED = (*_COMMANDS, '"', "heredoc", *_EVALUATED)


def insert_quoted(parts: Sequence[Item]) -> str:
    """The command that ``parts`` make: text as it is, and values (tuples of one) quoted.

    Raises InvalidRequest where a value cannot stand safely where it is put.
    """
    items: list[Item] = []
    for part in parts:
        items += [part] if isinstance(part, tuple) else part
    return _Scanner(items, _Construct("top")).run()


class _Scanner:
    """Reads a command from left to right, knowing at each place what bash would take it for."""

    def __init__(
        self, items: list[Item], construct: _Construct, *, ambiguous: bool = False
    ) -> None:
        self.items = items
        self.at = 0
        self.out: list[str] = []
        self.constructs = [construct]
        self.ambiguous = ambiguous  # from here on the constructs cannot be told apart for certain
        self.fresh = True  # a word could begin here
        self.word = ""
        self.heredocs: list[tuple[str, bool, bool]] = []

    def run(self) -> str:
        while self.at < len(self.items):
            item = self.items[self.at]
            if isinstance(item, tuple):
                self._insert(item[0])
                self.at += 1
                self.fresh, self.word = False, "?"
            else:
                self._read(item)
        return "".join(self.out)

    # Reading the text between the values.

    def _read(self, char: str) -> None:
        kind = self.constructs[-1].kind
        if kind == "'":
            self._take(1, closes=char == "'")
        elif kind == "#":
            self._read_comment(char)
        elif kind == "verbatim":
            self._take(1)
        elif char == "\\":
            self._read_backslash(kind)
        elif kind == "$'":
            self._take(1, closes=char == "'")
        elif char == "$" and kind in _EXPANDED:
            self._read_dollar(kind)
        elif char == "`":
            self._read_backquote()
        elif char == '"' and kind != "heredoc":
            self._take(1, closes=kind == '"', opens='"')
        elif kind in ('"', "heredoc"):
            self._take(1)
        elif char == "'":
            # Whether it quotes inside "${...}" differs between operators and versions of bash.
            self.ambiguous = self.ambiguous or self._expansion_in_quotes()
            self._take(1, opens="" if self._expansion_in_quotes() else "'")
        elif kind in _EVALUATED:
            self._read_bracket(char)
        else:
            self._read_command(char)

    def _read_comment(self, char: str) -> None:
        if char == "`" and self._inside("`"):
            self.constructs.pop()
            self._read_backquote()
        elif char == "\n":
            self.constructs.pop()
            self._read_command(char)
        else:
            self._take(1)

    def _read_backslash(self, kind: str) -> None:
        following = self._peek(1)
        if self._inside("`") and isinstance(following, str) and following in "`\\$":
            self.ambiguous = True
        if not isinstance(following, tuple):
            self._take(2)
            self.fresh, self.word = False, "?"
        elif kind in (*_COMMANDS, *_EVALUATED):
            self.at += 1  # it would only have quoted the value's first character
        else:
            self.out.append(self._within_backquotes("\\\\"))
            self.at += 1

    def _read_dollar(self, kind: str) -> None:
        following = self._peek(1)
        if isinstance(following, tuple):
            self.out.append(self._within_backquotes("\\$"))
            self.at += 1
        elif following == "(":
            arithmetic = self._peek(2) == "("
            self._open("((" if arithmetic else "$(", 3 if arithmetic else 2)
        elif following in ("{", "["):
            self._open(f"${following}", 2)
        elif following in ("'", '"') and kind in (*_COMMANDS, *_EVALUATED):
            self._open("$'" if following == "'" else '"', 2)
        elif isinstance(following, str) and re.match(r"[A-Za-z_]", following):
            self._read_variable()
        else:
            self._take(2 if isinstance(following, str) and following in "$?!@*#-0123456789" else 1)
            self.word = "?"

    def _read_variable(self) -> None:
        """``$NAME``, in braces where a value follows that could lengthen the name."""
        end = self.at + 1
        while end < len(self.items) and re.match(r"\w", self.items[end][0]):
            if isinstance(self.items[end], tuple):
                break
            end += 1
        name = "".join(map(str, self.items[self.at + 1 : end]))
        braced = end < len(self.items) and isinstance(self.items[end], tuple)
        self.out.append(f"${{{name}}}" if braced else f"${name}")
        self.at = end
        self.fresh = False

    def _read_backquote(self) -> None:
        if not self._inside("`"):
            self._open("`", 1)
            return
        while self.constructs.pop().kind != "`":
            self.ambiguous = True  # a quote was open: the text is not what it looks like
        self._take(1)

    def _read_bracket(self, char: str) -> None:
        construct = self.constructs[-1]
        pair = {"((": "()", "${": "{}", "$[": "[]"}[construct.kind]
        if char in pair:
            construct.depth += 1 if char == pair[0] else -1
        self._take(1, closes=construct.depth == 0)

    def _read_command(self, char: str) -> None:
        construct = self.constructs[-1]
        if char == "\n" and self.heredocs:
            self._read_heredocs()
        elif char in " \t\n;|&()<>":
            self._end_word()
            if char == "<" and self._peek(1) == "<" and self._peek(2) != "<":
                self._announce_heredoc()
            elif char == "<" and self._peek(1) == "<":
                self._take(3)
            elif char == "(" and self._peek(1) == "(":
                self._open("((", 2)
            else:
                construct.depth += {"(": 1, ")": -1}.get(char, 0)
                self._take(1, closes=construct.kind == "$(" and construct.depth == 0)
            self.fresh = True
        elif char == "#" and self.fresh:
            self._open("#", 1)
        else:
            self.word += char
            self._take(1)
            self.fresh = False

    def _end_word(self) -> None:
        # A pattern's `)` in `case` looks like the end of `$(`.
        if self.word == "case" and len(self.constructs) > 1:
            self.ambiguous = True
        self.word = ""

    def _announce_heredoc(self) -> None:
        strips = self._peek(2) == "-"
        rest = self.items[self.at + (3 if strips else 2) :]
        cut = next((i for i, item in enumerate(rest) if isinstance(item, tuple)), len(rest))
        text = "".join(map(str, rest[:cut]))
        blank = len(text) - len(text.lstrip(" \t"))
        found = _DELIMITER.match(text, blank)
        if found is None or found.end() == cut < len(rest) or self._inside("`"):
            self.ambiguous = True
            self._take(2)
            return
        quoted = any(mark in found[0] for mark in "'\"\\")
        delimiter = re.sub(r"\\(.)|['\"]", r"\1", found[0]) if quoted else found[0]
        self.heredocs.append((delimiter, quoted, strips))
        self._take((3 if strips else 2) + found.end())

    def _read_heredocs(self) -> None:
        self._end_word()
        self._take(1)
        for delimiter, quoted, strips in self.heredocs:
            body, end = self._heredoc_body(delimiter, strips)
            construct = _Construct("verbatim" if quoted else "heredoc")
            text = _Scanner(body, construct, ambiguous=self.ambiguous).run()
            for line in text.split("\n") if any(isinstance(i, tuple) for i in body) else []:
                shown_line = line.lstrip("\t") if strips else line
                # Inside `$(...)` some versions of bash take any line that begins so.
                if shown_line == delimiter or (
                    self._inside("$(") and shown_line.startswith(delimiter)
                ):
                    _refuse(line, f"the here-document that ends at {delimiter!r}")
            self.out.append(text)
            self.at += len(body)
            self.out.append("".join(map(str, self.items[self.at : end])))
            self.at = end
        self.heredocs = []
        self.fresh = True

    def _heredoc_body(self, delimiter: str, strips: bool) -> tuple[list[Item], int]:
        """The body's items, and where the line that ends it is over (before its line feed)."""
        start = line = self.at
        while line < len(self.items):
            end = line
            while end < len(self.items) and self.items[end] != "\n":
                end += 1
            text = self.items[line:end]
            if all(isinstance(item, str) for item in text):
                shown_line = "".join(map(str, text))
                if (shown_line.lstrip("\t") if strips else shown_line) == delimiter:
                    return self.items[start:line], end
            line = end + 1
        return self.items[start:], len(self.items)

    def _peek(self, ahead: int) -> Item | None:
        return self.items[self.at + ahead] if self.at + ahead < len(self.items) else None

    def _take(self, count: int, *, closes: bool = False, opens: str = "") -> None:
        taken = self.items[self.at : self.at + count]
        self.out.append("".join(map(str, taken)))
        self.at += len(taken)
        if closes:
            self.constructs.pop()
            self.fresh, self.word = False, "?"
        elif opens:
            self.constructs.append(_Construct(opens))
            self.fresh, self.word = False, "?"

    def _open(self, kind: str, count: int) -> None:
        self._take(count)
        self.constructs.append(_Construct(kind, 2 if kind == "((" else 1))
        self.fresh, self.word = True, ""

    def _inside(self, kind: str) -> bool:
        return any(construct.kind == kind for construct in self.constructs)

    def _expansion_in_quotes(self) -> bool:
        kinds = [construct.kind for construct in self.constructs]
        return kinds[-1] == "${" and any(kind in ('"', "heredoc") for kind in kinds)

    # Putting a value in.

    def _insert(self, value: str) -> None:
        if "\0" in value:
            raise InvalidRequest("A command's input holds a NUL character, which no process takes.")
        if self.ambiguous or self._is_evaluated():
            if not _WORD.fullmatch(value):
                place = "a construct of the shell that would evaluate it"
                _refuse(value, place)
            self.out.append(value)
            return
        self.out.append(self._within_backquotes(self._quote(value)))

    def _is_evaluated(self) -> bool:
        for construct in reversed(self.constructs):
            if construct.kind in _EVALUATED:
                return True
            if construct.kind in _COMMANDS:
                return False
        return False

    def _quote(self, value: str) -> str:
        kind = self.constructs[-1].kind
        if kind == '"':
            return re.sub(r'([\\"$`])', r"\\\1", value)
        if kind == "heredoc":
            return re.sub(r"([\\$`])", r"\\\1", value)
        if kind == "'":
            return value.replace("'", "'\\''")
        if kind == "$'":
            return value.replace("\\", "\\\\").replace("'", "\\'")
        if kind == "#":
            return value.replace("\n", " ")
        if kind == "verbatim":
            return value
        return value if self._stays_a_word(value) else _single_quote(value)

    def _stays_a_word(self, value: str) -> bool:
        following = self._peek(1)
        before = self.items[self.at - 1] if self.at else " "
        return (
            _WORD.fullmatch(value) is not None
            and value not in _RESERVED
            and ".." not in value
            and before != "~"
            and not (isinstance(following, str) and following in _JOINS)
        )

    def _within_backquotes(self, text: str) -> str:
        # Bash takes one layer of backslashes off before it reads what the backquotes hold.
        return re.sub(r"([\\`$])", r"\\\1", text) if self._inside("`") else text


def _single_quote(value: str) -> str:
    quoted = shlex.quote(value)
    return quoted if quoted.startswith("'") else f"'{value}'"


def _refuse(value: str, place: str) -> None:
    shown_line = value if len(value) <= 40 else f"{value[:37]}..."
    raise InvalidRequest(
        f"The value {shown_line!r} cannot be put safely into {place}.",
        remedy='In the command, first write value=${{inputs.NAME}}, then use "$value".',
    )
