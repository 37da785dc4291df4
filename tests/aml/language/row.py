"""A row of the table of the language: a construct, a YAML file of it, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from textwrap import dedent
from typing import Any, Literal

Result = Literal["honoured", "differs", "refused"]


@dataclass(frozen=True)
class Row:
    """A construct of Azure ML's YAML.

    Exactly one of ``logs``, ``refuses``, ``loads`` and ``test`` says what shows the result.

    Attributes:
        id: names it in the tests, such as ``command-code``.
        construct: how the page calls it; Markdown.
        yaml: a whole file, beside which the files in ``files/`` lie.
        result: what becomes of it on this machine.
        says: how, where it differs; why, where it is refused.
        kind: which loader reads it.
        logs: text in the log of the job or a step of it, which then completes.
        refuses: text of the message with which submitting it is refused.
        loads: fields of what is loaded, by dotted name.
        test: another test that runs it, as ``path::name``.
        official: whether the official loader takes it; the control flow nodes are read by it only
            with a preview switched on.
    """

    id: str
    construct: str
    yaml: str
    result: Result = "honoured"
    says: str = ""
    kind: str = "job"
    logs: str | None = None
    refuses: str | None = None
    loads: Mapping[str, Any] = field(default_factory=dict)
    test: str | None = None
    official: bool = True

    @property
    def text(self) -> str:
        """The YAML file."""
        return dedent(self.yaml).strip("\n") + "\n"


def command(body: str) -> str:
    """A standing command in some environment."""
    return f"type: command\nenvironment: azureml:any@latest\n{dedent(body).strip()}\n"


def pipeline(jobs: str, head: str = "") -> str:
    """A pipeline of these steps."""
    steps = "\n".join(f"  {line}" for line in dedent(jobs).strip().splitlines())
    settings = "settings: {default_compute: azureml:cpu}"
    head = dedent(head).strip()
    head = head if "settings:" in head else f"{settings}\n{head}".strip()
    return f"type: pipeline\n{head}\njobs:\n{steps}\n"
