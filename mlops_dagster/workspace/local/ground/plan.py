"""What a runner runs: a job with every reference resolved, as plain values.

A plan is made once, when the job is submitted, and says all that the runner needs, so that a
runner loads neither YAML nor the language's model and a job cannot change after it was accepted.
Pipelines are flattened: a ``PlannedStep`` runs, a ``PlannedPipeline`` is a pipeline around steps.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

Scalar = str | int | float | bool


@dataclass(frozen=True)
class Value:
    """An input that is a literal."""

    value: Scalar


def literal_text(value: Scalar) -> str:
    """A literal as a command sees it, which is as Python writes it."""
    return str(value)


@dataclass(frozen=True)
class Data:
    """An input that lies in a datastore.

    Attributes:
        version: set where it is a registered, immutable asset.
        mode: Azure ML's, such as ``ro_mount`` or ``download``; None for the default.
    """

    type: str
    uri: str
    version: str | None = None
    mode: str | None = None


@dataclass(frozen=True)
class Produced:
    """An input that the step ``job`` writes as its ``output``."""

    type: str
    job: str
    output: str
    optional: bool = False
    mode: str | None = None


Input = Value | Data | Produced


@dataclass(frozen=True)
class Output:
    """Where an output goes, and the asset that it becomes.

    Attributes:
        chosen: whether the YAML names the place, rather than leaving it to the workspace.
    """

    type: str
    uri: str
    chosen: bool = False
    name: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class Runtime:
    """The software that a step's processes find.

    Attributes:
        asked: what its environment is, as far as it tells one from another.
        interpreter: the program that stands in for it; None for none.
        requirements: for pip; a virtual environment with just these is built; None to build none.
        python: the Python version of that.
        variables: environment variables that its conda file sets.
        notes: lines for the head of the step's log.

    With neither, the step runs in the interpreter of whoever submitted it.
    """

    asked: dict[str, Any] = field(default_factory=dict)
    interpreter: str | None = None
    requirements: Sequence[str] | None = None
    python: str | None = None
    variables: dict[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Trials:
    """Where the trials of a sweep run, each a job of its own.

    Attributes:
        compute, compute_key, nodes, max_nodes: as in a trial's row.
        datastore: where their outputs go; None for the default one.
        timeout: seconds after which a trial is ended.
    """

    compute: str | None
    compute_key: str
    nodes: int
    max_nodes: int
    datastore: str | None = None
    timeout: float | None = None


@dataclass(frozen=True)
class PlannedStep:
    """Something that runs on a compute target: a command, a parallel step, a sweep ...

    Attributes:
        job: the job's name.
        kind: which module carries it out; see ``kinds/table.py``.
        path: the step's keys from the root pipeline, joined by dots; empty for a job alone.
        body: what the kind's own module has put down for itself; JSON values only.
        code: digest of the code snapshot.
        nodes: how many it asks for, which may be more than its target on this machine has.
        timeout: seconds after which it is ended.
        after: the steps that must have completed before, beside those that it reads from.
        finalizes: the steps that must have ended before, however they did.
        deterministic: whether what it writes follows from what it is given.
        reuse: whether a completed job with the same fingerprint may stand in for it.
        takes_over: the completed job of a resumed pipeline that stands in for it in any case.
        resumes: the jobs of resumed pipelines that did not complete it, the latest first.
        runtime: the Python and the packages for it.
        trials: set for a sweep, which takes no node itself: ``code``, ``nodes`` and
            ``environment_variables`` are its trials'.
    """

    job: str
    kind: str
    body: dict[str, Any]
    path: str = ""
    parent: str | None = None
    display_name: str = ""
    inputs: dict[str, Input] = field(default_factory=dict)
    outputs: dict[str, Output] = field(default_factory=dict)
    code: str | None = None
    environment_variables: dict[str, str] = field(default_factory=dict)
    nodes: int = 1
    timeout: float | None = None
    after: tuple[str, ...] = ()
    finalizes: tuple[str, ...] = ()
    deterministic: bool = True
    reuse: bool = False
    takes_over: str | None = None
    resumes: tuple[str, ...] = ()
    trials: Trials | None = None
    runtime: Runtime = field(default_factory=Runtime)

    @property
    def upstreams(self) -> set[str]:
        """The steps that must have ended before."""
        read = (item.job for item in self.inputs.values() if isinstance(item, Produced))
        return {*read, *self.after, *self.finalizes}


@dataclass(frozen=True)
class PlannedPipeline:
    """A pipeline, or a pipeline inside one.

    Attributes:
        members: the names of the jobs directly in it.
        outputs: what its outputs are: outputs of steps in it.
    """

    job: str
    path: str = ""
    parent: str | None = None
    members: tuple[str, ...] = ()
    outputs: dict[str, Produced] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """A submitted job: its steps in an order in which they can run, and the pipelines around.

    Attributes:
        root: the job's name.
        pipelines: outermost first; empty for a job that is one step.
        continue_on_failure: whether steps that do not depend on a failed one still run.
        notes: lines for the head of the submitted job's log.
    """

    root: str
    experiment: str
    steps: tuple[PlannedStep, ...]
    pipelines: tuple[PlannedPipeline, ...] = ()
    continue_on_failure: bool = True
    notes: tuple[str, ...] = ()


def encode(plan: Plan) -> str:
    """A plan as JSON."""
    return json.dumps(asdict(plan), default=_refuse)


def decode(text: str) -> Plan:
    """The plan that ``encode`` made ``text`` of."""
    data = json.loads(text)
    return Plan(
        root=data["root"],
        experiment=data["experiment"],
        steps=tuple(_step(step) for step in data["steps"]),
        pipelines=tuple(_group(pipeline) for pipeline in data["pipelines"]),
        continue_on_failure=data["continue_on_failure"],
        notes=tuple(data["notes"]),
    )


def _step(data: dict[str, Any]) -> PlannedStep:
    inputs = {name: _input(value) for name, value in data["inputs"].items()}
    outputs = {name: Output(**value) for name, value in data["outputs"].items()}
    trials = Trials(**data["trials"]) if data["trials"] else None
    names = {field: tuple(data[field]) for field in ("after", "finalizes", "resumes")}
    parts = {"inputs": inputs, "outputs": outputs, "trials": trials, **names}
    return PlannedStep(**{**data, **parts, "runtime": Runtime(**data["runtime"])})


def _group(data: dict[str, Any]) -> PlannedPipeline:
    outputs = {name: Produced(**value) for name, value in data["outputs"].items()}
    return PlannedPipeline(**{**data, "members": tuple(data["members"]), "outputs": outputs})


def _input(data: Mapping[str, Any]) -> Input:
    if "value" in data:
        return Value(data["value"])
    return Produced(**data) if "job" in data else Data(**data)


def _refuse(value: object) -> Any:
    message = f"a plan cannot hold a {type(value).__name__}"
    raise TypeError(message)
