"""The door to an Azure ML workspace: what every workspace can do, and the values it answers with.

Promises, held for every adapter by the contract suite in ``tests/workspace/contract``:

- ``jobs.submit`` is idempotent by name; a job outlives the process that submitted it.
- Inputs are resolved before a command starts; outputs appear whole or not at all.
- No more jobs run at once on a compute target than it has nodes; the rest queue.
- A registered version (data, model) is immutable and remembers where it came from.

Times are timezone-aware, in UTC. URIs are ``azureml://datastores/NAME/paths/PATH``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mlops_dagster.aml.assets import Cron, Recurrence, Schedule
    from mlops_dagster.aml.job import Job


class JobStatus(StrEnum):
    """The states of a job, by the names that Azure ML gives them."""

    NOT_STARTED = "NotStarted"
    QUEUED = "Queued"
    PREPARING = "Preparing"
    RUNNING = "Running"
    FINALIZING = "Finalizing"
    CANCEL_REQUESTED = "CancelRequested"
    COMPLETED = "Completed"
    FAILED = "Failed"
    CANCELED = "Canceled"
    NOT_RESPONDING = "NotResponding"
    PAUSED = "Paused"

    @property
    def is_terminal(self) -> bool:
        """Whether a job in this state never leaves it by itself."""
        return self in _TERMINAL


_TERMINAL = frozenset(
    {
        JobStatus.COMPLETED,
        JobStatus.FAILED,
        JobStatus.CANCELED,
        JobStatus.NOT_RESPONDING,
        JobStatus.PAUSED,
    }
)


@dataclass(frozen=True)
class OutputRecord:
    """Where an output of a job lies.

    Attributes:
        uri: of the file or folder; readable through ``Workspace.data``.
        asset: ``azureml:name:version`` where the output registered itself.
    """

    name: str
    type: str
    uri: str
    asset: str | None = None


@dataclass(frozen=True)
class JobRecord:
    """What the workspace knows of a submitted job.

    Attributes:
        type: ``command``, ``pipeline``, ``sweep``, ``parallel`` or ``spark``.
        compute: the target it runs on; None for a pipeline, whose steps have one each.
        parent: the pipeline or sweep job that it is a step or trial of.
        step: its key in the parent.
        outputs: by name; filled when the job has completed.
        error: why it did not complete, in one line.
        reused_from: the completed job whose outputs it took over instead of running.
        url: a page about the job, where there is one.
    """

    name: str
    type: str
    status: JobStatus
    experiment: str
    created_at: datetime
    display_name: str = ""
    description: str = ""
    compute: str | None = None
    parent: str | None = None
    step: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outputs: Mapping[str, OutputRecord] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None
    reused_from: str | None = None
    archived: bool = False
    url: str | None = None

    @property
    def duration(self) -> float | None:
        """Seconds from start to end; None while it has not ended or where it never started."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()


@dataclass(frozen=True)
class LogLine:
    """A line that a job wrote, without its line end.

    Attributes:
        job: the job that wrote it: the one asked for, or a step of it.
        step: that job's key in its pipeline; empty for the job asked for.
    """

    job: str
    step: str
    text: str


@dataclass(frozen=True)
class MetricPoint:
    """One logged value of a metric."""

    value: float
    step: int
    at: datetime


@dataclass(frozen=True)
class Tracked:
    """What a job, with its steps, logged to MLflow.

    Attributes:
        metrics: every logged point by metric name, oldest first.
        artifacts: paths of logged files, such as ``roc.png``; read with ``Jobs.artifact``.
    """

    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Sequence[MetricPoint]] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    artifacts: Sequence[str] = ()
    url: str | None = None

    @property
    def latest(self) -> dict[str, float]:
        """The last value of each metric."""
        return {name: points[-1].value for name, points in self.metrics.items() if points}


class Jobs(Protocol):
    """Jobs of a workspace."""

    def submit(
        self,
        job: Job,
        *,
        name: str | None = None,
        experiment: str | None = None,
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        reuse: bool = False,
    ) -> JobRecord:
        """Start a job and return at once; a job of that name is returned as it is.

        Args:
            job: what to run, loaded from YAML; its references are resolved here.
            name: identifies it; None takes the YAML's name, else a new one.
            experiment: files it under this one instead of the YAML's.
            reuse: a deterministic job with the same code, inputs, parameters and environment as
                one that completed takes over its outputs. The steps of a pipeline always do,
                unless its settings force a rerun.

        Raises:
            InvalidDocument: the job is wrong (an input that does not exist, a missing file ...).
            NotFound: it names a compute target, model or data asset that does not exist.
            Conflict: the name is taken by a job with other content.
            Unsupported: this workspace cannot run it.
            WorkspaceUnavailable: the state could not be written; nothing was started.
        """

    def validate(self, job: Job, *, name: str | None = None) -> Sequence[str]:
        """Check a job as ``submit`` does, and start, copy and write down nothing.

        Returns the lines with which its log would begin: what has no effect here, and the like.
        Raises as ``submit`` does, but no Conflict.
        """

    def resume(self, name: str, *, new_name: str | None = None) -> JobRecord:
        """Go on with a pipeline that failed or was canceled, as a new job of the same plan.

        Steps that did not complete run, and those behind them; what else completed is taken over,
        deterministic or not. Idempotent by ``new_name``; None takes ``NAME_r2``, ``NAME_r3`` ...

        Raises NotFound, InvalidRequest where there is nothing to resume, Conflict where the
        pipeline has not ended yet or the new name is taken.
        """

    def get(self, name: str) -> JobRecord:
        """The job as it stands now. Raises NotFound."""

    def list(
        self,
        *,
        parent: str | None = None,
        experiment: str | None = None,
        tags: Mapping[str, str] | None = None,
        archived: bool = False,
        limit: int = 100,
    ) -> Sequence[JobRecord]:
        """Newest first: the steps of ``parent``, or the jobs that nobody's step are.

        Args:
            archived: lists archived ones too.
        """

    def wait(self, name: str, *, timeout: float | None = None) -> JobRecord:
        """Wait until the job has ended, at most ``timeout`` seconds, and return it as it is then."""

    def stream(self, name: str) -> Iterator[LogLine]:
        """The job's lines from its first, and its steps', as they are written, until it ends."""

    def log(self, name: str, *, tail: int | None = None) -> str:
        """What the job itself has written so far; its last ``tail`` lines where given."""

    def cancel(self, name: str) -> JobRecord:
        """Ask a job to end; when this returns it may still be CancelRequested. Idempotent."""

    def archive(self, name: str) -> JobRecord:
        """Leave a job out of lists; nothing of it is removed. Idempotent. Raises NotFound."""

    def restore(self, name: str) -> JobRecord:
        """Put an archived job back into lists. Idempotent. Raises NotFound."""

    def tracked(self, name: str) -> Tracked:
        """What the job and its steps logged to MLflow."""

    def artifact(self, name: str, path: str) -> bytes:
        """The content of one logged file. Raises NotFound."""

    def download(
        self, name: str, to: Path, *, output: str | None = None, everything: bool = False
    ) -> Sequence[Path]:
        """Copy the outputs (or one), and the logs, below ``to``; returns what was written.

        Args:
            everything: also the files that it logged to MLflow, and all of its steps, each in a
                folder by its key.
        """


@dataclass(frozen=True)
class ComputeTarget:
    """A compute target.

    Attributes:
        max_instances: nodes; as many single-node jobs run at once.
        busy, queued: nodes in use and jobs that wait, when it was asked.
    """

    name: str
    type: str
    max_instances: int
    size: str | None = None
    min_instances: int = 0
    state: str = "Succeeded"
    busy: int = 0
    queued: int = 0
    source: Path | None = None


class Compute(Protocol):
    """Compute targets of a workspace."""

    def get(self, name: str) -> ComputeTarget:
        """Raises NotFound."""

    def list(self) -> Sequence[ComputeTarget]:
        """All targets, by name."""


@dataclass(frozen=True)
class DataVersion:
    """A version of a registered data asset; immutable.

    Attributes:
        type: ``uri_file``, ``uri_folder`` or ``mltable``.
        job: the job that wrote it, if one did.
    """

    name: str
    version: str
    type: str
    uri: str
    created_at: datetime
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    job: str | None = None

    @property
    def reference(self) -> str:
        """``azureml:name:version``."""
        return f"azureml:{self.name}:{self.version}"


class Data(Protocol):
    """Data assets and what lies in the datastores."""

    def register(
        self,
        name: str,
        uri: str,
        *,
        type: str,
        version: str | None = None,
        description: str = "",
        tags: Mapping[str, str] | None = None,
        job: str | None = None,
    ) -> DataVersion:
        """Register what lies at ``uri`` (a URI, a URL or an absolute local path).

        A given version that exists with the same content is returned as it is.
        Raises Conflict where it has other content, NotFound where nothing lies there.
        """

    def get(self, name: str, version: str | None = None) -> DataVersion:
        """A version, or the latest one. Raises NotFound."""

    def list(self, name: str | None = None) -> Sequence[DataVersion]:
        """The latest version of every asset, or every version of one, newest first."""

    def local_path(self, uri: str) -> Path:
        """A path on this machine from which the content can be read; never written to.

        Takes every form of an input's path: datastore URIs, ``azureml:name:version``,
        ``azureml:name@latest``, URLs, absolute paths. Raises NotFound.
        """


@dataclass(frozen=True)
class ModelVersion:
    """A version of a registered model; immutable but for its tags.

    Attributes:
        type: ``mlflow_model``, ``custom_model`` or ``triton_model``.
        digest: ``sha256:...`` over the names and contents of its files.
        job: the job whose output it was registered from.
        data: references of the data that this job read.
        code: digest of the code that this job ran.
    """

    name: str
    version: str
    type: str
    uri: str
    digest: str
    created_at: datetime
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    job: str | None = None
    data: Sequence[str] = ()
    code: str | None = None

    @property
    def reference(self) -> str:
        """``azureml:name:version``."""
        return f"azureml:{self.name}:{self.version}"


class Models(Protocol):
    """Registered models."""

    def register(
        self,
        name: str,
        uri: str,
        *,
        type: str = "mlflow_model",
        version: str | None = None,
        description: str = "",
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        job: str | None = None,
    ) -> ModelVersion:
        """Register the files at ``uri``; the same job's same output is registered once.

        Raises Conflict where the version exists with another digest, NotFound where nothing
        lies there.
        """

    def get(self, name: str, version: str | None = None) -> ModelVersion:
        """A version, or the latest one. Raises NotFound."""

    def list(self, name: str | None = None) -> Sequence[ModelVersion]:
        """The latest version of every model, or every version of one, newest first."""

    def tag(self, name: str, version: str, tags: Mapping[str, str | None]) -> ModelVersion:
        """Set tags of a version; None removes one. Raises NotFound."""

    def download(self, name: str, version: str | None, to: Path) -> Path:
        """Copy the model's files below ``to`` and return where they lie."""


@dataclass(frozen=True)
class ScheduleRecord:
    """A job that runs again and again.

    Attributes:
        trigger: when; see ``aml.timing`` for what it means.
        created_at: when it was first created, from which a recurrence without a start goes on.
        source: its file.
    """

    name: str
    trigger: Cron | Recurrence
    is_enabled: bool
    created_at: datetime
    display_name: str = ""
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    source: Path | None = None


class Schedules(Protocol):
    """Schedules of a workspace."""

    def create(self, schedule: Schedule) -> ScheduleRecord:
        """Keep a schedule; one of that name gets its content, and stays enabled or disabled.

        Raises as ``Jobs.validate`` does for its job, InvalidRequest for a time that is none,
        Unsupported for a job that is only named.
        """

    def get(self, name: str) -> ScheduleRecord:
        """Raises NotFound."""

    def list(self) -> Sequence[ScheduleRecord]:
        """All schedules, by name."""

    def enable(self, name: str) -> ScheduleRecord:
        """Idempotent. Raises NotFound."""

    def disable(self, name: str) -> ScheduleRecord:
        """Idempotent. Raises NotFound."""

    def delete(self, name: str) -> None:
        """Remove it; its jobs stay. Raises NotFound."""

    def submit(self, name: str, at: datetime) -> JobRecord:
        """Start the job of one moment, once, whether the schedule is enabled and due or not.

        Raises NotFound, and as ``Jobs.submit`` does.
        """


class Workspace(Protocol):
    """A workspace, local or on Azure."""

    @property
    def name(self) -> str: ...

    @property
    def jobs(self) -> Jobs: ...

    @property
    def compute(self) -> Compute: ...

    @property
    def data(self) -> Data: ...

    @property
    def models(self) -> Models: ...

    @property
    def schedules(self) -> Schedules: ...

    def close(self) -> None:
        """Give back what this process holds; jobs go on."""
