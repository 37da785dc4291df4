"""Runs of a project in Dagster, started from the command line as its UI starts them.

A run must be found again in the UI: listed, with its location, to be looked at and re-executed.
``dagster job execute`` and ``dg launch`` make the run inside their own process, without a code
location that the UI could match; ``dagster job launch`` gives no handle on what follows. So this
does what the web server does: it loads the location of workspace.yaml in a code server and sends
the GraphQL mutation behind the "Launch run" button (docs.dagster.io/api/graphql). One thing
differs: the run starts at once instead of queueing for the daemon, which may not be running.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_dagster.errors import InvalidRequest, MlopsError, NotFound

if TYPE_CHECKING:
    from dagster import DagsterInstance, EventLogEntry
    from dagster._core.remote_origin import CodeLocationOrigin
    from dagster._core.workspace.context import WorkspaceProcessContext

    from mlops_dagster.cli.dagster.instance import Place

_POLL_SECONDS = 0.2
_AT_ONCE = {
    "run_coordinator": {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator"}
}
_LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on Error { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""
_PARTITIONS = """
query Partitions($selector: PipelineSelector!) {
  pipelineOrError(params: $selector) {
    __typename
    ... on Pipeline { partitionKeysOrError { partitionKeys } }
    ... on Error { message }
  }
}
"""


@dataclass(frozen=True)
class Location:
    """A project as Dagster has loaded it; made by ``load_location``."""

    name: str
    instance: DagsterInstance
    _context: WorkspaceProcessContext = field(repr=False)

    def job_names(self) -> list[str]:
        """The jobs that can be launched."""
        repository = self._repository()
        return sorted(job.name for job in repository.get_all_jobs())

    def partition_keys(self, job: str) -> list[str]:
        """The partitions of a job, in their order; empty where it has none."""
        answer = self._query(_PARTITIONS, {"selector": self._selector("pipelineName", job)})
        pipeline = answer["pipelineOrError"]
        if "partitionKeysOrError" not in pipeline:
            raise NotFound("Dagster job", job, known=self.job_names())
        return list(pipeline["partitionKeysOrError"]["partitionKeys"])

    def launch(self, job: str, *, partition: str | None = None) -> str:
        """Start a run and return its id.

        Raises NotFound where there is no such job, MlopsError where Dagster refuses the run.
        """
        if job not in self.job_names():
            raise NotFound("Dagster job", job, known=self.job_names())
        tags = {} if partition is None else {"dagster/partition": partition}
        params = {
            "selector": self._selector("jobName", job),
            "runConfigData": {},
            "executionMetadata": {"tags": [{"key": k, "value": v} for k, v in tags.items()]},
        }
        answer = self._query(_LAUNCH, {"params": params})["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            messages = [answer.get("message"), *(e["message"] for e in answer.get("errors", ()))]
            reason = "; ".join(filter(None, messages))
            raise MlopsError(f"Dagster refused to run {job}: {reason}")
        return str(answer["run"]["runId"])

    def events(self, run_id: str) -> Iterator[EventLogEntry | None]:
        """The run's log from its first entry until the run has ended.

        None stands for "nothing new for now": a caller can look at the time, or redraw.
        """
        cursor: str | None = None
        while True:
            run = self.instance.get_run_by_id(run_id)
            ended = run is None or run.is_finished
            page = self.instance.get_records_for_run(run_id, cursor=cursor)
            cursor = page.cursor
            yield from (record.event_log_entry for record in page.records)
            if ended and not page.has_more:
                return
            if not page.has_more:
                yield None
                time.sleep(_POLL_SECONDS)

    def succeeded(self, run_id: str) -> bool:
        """Whether the run has ended well."""
        run = self.instance.get_run_by_id(run_id)
        return run is not None and run.is_success

    def terminate(self, run_id: str) -> None:
        """Ask a run to end, as the UI's "Terminate" does."""
        self.instance.run_launcher.terminate(run_id)

    def _repository(self) -> Any:
        location = self._context.create_request_context().get_code_location(self.name)
        return next(iter(location.get_repositories().values()))

    def _selector(self, key: str, job: str) -> dict[str, str]:
        return {
            "repositoryLocationName": self.name,
            "repositoryName": self._repository().name,
            key: job,
        }

    def _query(self, query: str, variables: Mapping[str, object]) -> dict[str, Any]:
        from dagster_graphql.cli import execute_query

        answer = execute_query(self._context, query, variables)
        if answer.get("errors"):
            messages = "; ".join(str(error.get("message")) for error in answer["errors"])
            raise MlopsError(f"Dagster could not answer: {messages}")
        return dict(answer["data"])


@contextmanager
def load_location(place: Place, project: Path) -> Iterator[Location]:
    """The code location of a project, served for as long as the context lasts.

    Only this one of the locations in workspace.yaml is loaded. The environment of this process
    must be ``place.environment()``: the code server and the runs take it over.

    Raises:
        InvalidRequest: workspace.yaml does not list the project.
        MlopsError: the location does not load.
    """
    from dagster import DagsterInstance
    from dagster._core.instance.ref import InstanceRef
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceLoadTarget

    origin = _origin_of(place.workspace_file, project)

    class OneLocation(WorkspaceLoadTarget):
        def create_origins(self) -> list[CodeLocationOrigin]:
            return [origin]

    with ExitStack() as stack:
        ref = InstanceRef.from_dir(str(place.dagster_home), overrides=_AT_ONCE)
        instance = stack.enter_context(DagsterInstance.from_ref(ref))
        # The code server and the runs inherit these streams; what they write is in Dagster's log.
        with _output_into(place.dagster_home / "code_server.log"):
            context = stack.enter_context(WorkspaceProcessContext(instance, OneLocation()))
        entry = context.create_request_context().get_location_entry(origin.location_name)
        if entry is not None and entry.load_error is not None:
            error = entry.load_error
            while error.cause is not None:
                error = error.cause
            raise MlopsError(
                f"Dagster cannot load {origin.location_name}: {error.message.strip()}",
                remedy="See the whole of it: dagster definitions validate",
            )
        yield Location(origin.location_name, instance, context)


@contextmanager
def _output_into(log: Path) -> Iterator[None]:
    """Processes that are started in this context write to ``log``."""
    copies = {number: os.dup(number) for number in (1, 2)}
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    try:
        with log.open("ab") as file:
            for number in copies:
                os.dup2(file.fileno(), number)
        yield
    finally:
        for number, copy in copies.items():
            os.dup2(copy, number)
            os.close(copy)


def _origin_of(workspace_file: Path, project: Path) -> CodeLocationOrigin:
    from dagster._core.workspace.load import location_origins_from_yaml_paths

    origins = location_origins_from_yaml_paths([str(workspace_file)])
    for origin in origins:
        file = getattr(origin.loadable_target_origin, "python_file", None)
        if file is not None and Path(file).resolve().is_relative_to(project.resolve()):
            return origin
    raise InvalidRequest(
        f"{workspace_file} lists no definitions below {project}.",
        remedy=f"Add it: python_file: {{relative_path: {_below(workspace_file, project)}}}",
    )


def _below(workspace_file: Path, project: Path) -> Path:
    """A project's definitions as workspace.yaml names them."""
    return Path(
        os.path.relpath(project.resolve() / "definitions.py", workspace_file.parent.resolve())
    )
