"""Jobs: submitted, followed, ended, run again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
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
        inputs: by name: a literal, the address of data, or ``azureml:JOB:outputs.NAME``.
        error: why it did not complete, in one line.
        resumes: the pipeline that it goes on with.
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
    inputs: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    outputs: Mapping[str, OutputRecord] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None
    reused_from: str | None = None
    resumes: str | None = None
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
class Logged:
    """What was logged to MLflow.

    Attributes:
        metrics: every logged point by metric name, oldest first.
        artifacts: paths of logged files, such as ``roc.png``; read with ``Jobs.artifact``.
        url: its page in MLflow's own UI.
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


@dataclass(frozen=True)
class ChildRun(Logged):
    """An MLflow run that a job's script opened beside the job's own: nested in it, or after it.

    Attributes:
        job: the job whose script opened it.
        artifacts: their paths begin with ``runs/`` and the id of the run.
    """

    job: str = ""
    name: str = ""
    run_id: str = ""


@dataclass(frozen=True)
class Tracked(Logged):
    """What a job, with its steps, logged to its own MLflow run; on Azure ML that run is the job.

    Attributes:
        runs: the other runs that it opened, such as one a fold of a cross-validation. What they
            logged is theirs and says nothing of the job.
    """

    runs: Sequence[ChildRun] = ()


class Jobs(Protocol):
    """Jobs of a workspace."""

    def submit(
        self,
        job: Job | Path | str,
        *,
        name: str | None = None,
        experiment: str | None = None,
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        reuse: bool = False,
    ) -> JobRecord:
        """Start a job and return at once; a job of that name is returned as it is.

        Args:
            job: what to run: its YAML file, or what ``load_job`` returned for one. Its references
                are resolved here.
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

    def validate(self, job: Job | Path | str, *, name: str | None = None) -> Sequence[str]:
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
        limit: int | None = None,
    ) -> Sequence[JobRecord]:
        """Newest first: the steps of ``parent``, or the jobs that nobody's step are.

        Args:
            archived: lists archived ones too.
            limit: at most so many; None for all.
        """

    def wait(self, name: str, *, timeout: float | None = None) -> JobRecord:
        """Wait until the job has ended, at most ``timeout`` seconds, and return it as it is then."""

    def stream(self, name: str) -> Iterator[LogLine]:
        """The job's lines from its first, and its steps', as they are written, until it ends."""

    def log(self, name: str, *, tail: int | None = None) -> str:
        """What the job itself has written so far; its last ``tail`` lines where given."""

    def cancel(self, name: str) -> JobRecord:
        """Ask a job to end; when this returns it may still be CancelRequested. Idempotent."""

    def update(
        self,
        name: str,
        *,
        display_name: str | None = None,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> JobRecord:
        """Change what describes a job; tags and properties are added to those it has.

        As on Azure ML, none of them can be removed, and nothing else of a job changes. Raises
        NotFound.
        """

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
