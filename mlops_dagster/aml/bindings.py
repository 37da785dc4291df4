"""Bindings: the ``${{...}}`` that stand for a value known only when a job is put together.

Sources: learn.microsoft.com/azure/machine-learning/reference-yaml-core-syntax, and
.../reference-yaml-job-pipeline for the roots.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mlops_dagster.aml.shell import insert_quoted

_BINDING = re.compile(r"\$\{\{\s*([^{}]*?)\s*\}\}")
_GROUP = re.compile(r"\$\[\[(.*?)\]\]", re.DOTALL)
_STEP = re.compile(r"parent\.jobs\.([^.\s]+)(?:\.outputs\.(\S+))?")
_ROOTS = ("parent.inputs", "parent.outputs", "inputs", "outputs", "search_space")

# What a job is known by, and what only a schedule knows of the jobs that it starts.
JOB_ROOTS = ("name", "default_datastore")
TRIGGER_TIMES = ("creation_context.trigger_time", "create_context.trigger_time")


@dataclass(frozen=True)
class Binding:
    """One ``${{...}}``.

    ==================================  ==================  ==============
    text                                root                names
    ==================================  ==================  ==============
    ``${{inputs.rate}}``                ``inputs``          ``("rate",)``
    ``${{inputs.group.rate}}``          ``inputs``          ``("group.rate",)``
    ``${{outputs.model}}``              ``outputs``         ``("model",)``
    ``${{search_space.rate}}``          ``search_space``    ``("rate",)``
    ``${{parent.inputs.rate}}``         ``parent.inputs``   ``("rate",)``
    ``${{parent.outputs.model}}``       ``parent.outputs``  ``("model",)``
    ``${{parent.jobs.a.outputs.b}}``    ``parent.jobs``     ``("a", "b")``
    ``${{parent.jobs.a}}``              ``parent.jobs``     ``("a",)``
    ``${{name}}``, anything else        that text           ``()``
    ==================================  ==================  ==============

    Attributes:
        text: as written, braces included.
    """

    root: str
    names: tuple[str, ...]
    text: str


Lookup = Callable[[Binding], str | None]
"""The text that a binding stands for; None for an optional input that was not given."""


def bindings(text: str) -> list[Binding]:
    """Every binding in ``text``, in order."""
    return [_parse_binding(match) for match in _BINDING.finditer(text)]


def sole_binding(text: object) -> Binding | None:
    """The binding that is the whole of ``text``; None where there is none, or more than it."""
    match = _BINDING.fullmatch(text.strip()) if isinstance(text, str) else None
    return _parse_binding(match) if match else None


def optional_bindings(text: str) -> set[Binding]:
    """The bindings that stand in ``$[[...]]``, which vanish with an input that is not given."""
    return {binding for group in _GROUP.finditer(text) for binding in bindings(group[1])}


def fill(text: str, lookup: Lookup) -> str:
    """``text`` with its bindings filled in as they are: for anything that no shell reads.

    A ``$[[...]]`` group is kept, without its brackets, where everything in it has a value.
    """
    return "".join(part if isinstance(part, str) else part[0] for part in _split(text, lookup))


def render(text: str, lookup: Lookup) -> str:
    """A command with its bindings filled in, each value quoted for where it stands.

    The shell sees each value as one argument, or as part of the argument that it stands in,
    whatever characters it has. What is evaluated once more is out of reach: see ``aml.shell``.
    ``$[[...]]`` groups as in ``fill``.

    Raises InvalidRequest where a value cannot be put safely into the place that the command has
    for it (inside arithmetic, or nested backquotes) and is no plain word.
    """
    return insert_quoted(list(_split(text, lookup)))


def _split(text: str, lookup: Lookup) -> Iterator[str | tuple[str]]:
    """Text as it is, and values as tuples of one; dropped groups left out."""
    end = 0
    for group in _GROUP.finditer(text):
        yield from _fill_parts(text[end : group.start()], lookup)
        if all(lookup(binding) is not None for binding in bindings(group[1])):
            yield from _fill_parts(group[1], lookup)
        end = group.end()
    yield from _fill_parts(text[end:], lookup)


def _fill_parts(text: str, lookup: Lookup) -> Iterator[str | tuple[str]]:
    end = 0
    for match in _BINDING.finditer(text):
        yield text[end : match.start()]
        value = lookup(_parse_binding(match))
        if value is not None:
            yield (value,)
        end = match.end()
    yield text[end:]


def _parse_binding(match: re.Match[str]) -> Binding:
    inner = match[1]
    if step := _STEP.fullmatch(inner):
        return Binding("parent.jobs", tuple(name for name in step.groups() if name), match[0])
    for root in _ROOTS:
        if inner.startswith(f"{root}."):
            return Binding(root, (inner.removeprefix(f"{root}."),), match[0])
    return Binding(inner, (), match[0])
