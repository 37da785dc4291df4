"""A project as the UI runs it: a code server, run workers, and the UI's own GraphQL requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import PythonFileTarget
from dagster_graphql.schema import create_schema

_LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  }
}
"""
_RETRY = """
mutation Retry($params: ReexecutionParams!) {
  launchRunReexecution(reexecutionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  }
}
"""
_CHECKS = """
query Checks($keys: [AssetKeyInput!]!) {
  assetNodes(assetKeys: $keys) {
    assetChecksOrError {
      __typename
      ... on AssetChecks {
        checks { name executionForLatestMaterialization { status evaluation { severity } } }
      }
    }
  }
}
"""
_TERMINATE = """
mutation Terminate($runId: String!) {
  terminateRun(runId: $runId) { __typename ... on PythonError { message } }
}
"""


def wait_until(condition: Callable[[], bool], *, seconds: float = 30) -> None:
    """Wait for a condition; fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(0.05)


class Deployment:
    """One code location, served by a process of its own; runs are processes below that one."""

    def __init__(self, instance: dg.DagsterInstance, context: WorkspaceProcessContext) -> None:
        self.instance = instance
        self._context = context
        self._schema = create_schema()

    def launch(self, *keys: dg.AssetKey) -> str:
        """Materialize assets, as the button does; returns the run."""
        selector = {
            "repositoryName": "__repository__",
            "repositoryLocationName": "tiny",
            "pipelineName": "__ASSET_JOB",
            "assetSelection": [{"path": list(key.path)} for key in keys],
            "assetCheckSelection": [],
        }
        params = {"selector": selector, "runConfigData": {}, "mode": "default"}
        return self._run_id(self._ask(_LAUNCH, {"params": params})["launchRun"])

    def retry(self, run: str) -> str:
        """Re-execute a run from its failure; returns the new run."""
        params = {"parentRunId": run, "strategy": "FROM_FAILURE"}
        return self._run_id(self._ask(_RETRY, {"params": params})["launchRunReexecution"])

    def terminate(self, run: str) -> None:
        answer = self._ask(_TERMINATE, {"runId": run})["terminateRun"]
        assert answer["__typename"] == "TerminateRunSuccess", answer

    def checks(self, *keys: dg.AssetKey) -> dict[str, str]:
        """What the UI shows of each check of the assets: ``NOT EVALUATED``, ``SUCCEEDED``, ...

        A check that failed is shown as its severity: ``WARN`` or ``ERROR``.
        """
        answer = self._ask(_CHECKS, {"keys": [{"path": list(key.path)} for key in keys]})
        shown = {}
        for node in answer["assetNodes"]:
            for check in node["assetChecksOrError"]["checks"]:
                execution = check["executionForLatestMaterialization"]
                status = execution["status"] if execution else "NOT EVALUATED"
                if status == "FAILED":
                    status = execution["evaluation"]["severity"]
                shown[check["name"]] = status
        return shown

    def status(self, run: str) -> dg.DagsterRunStatus:
        found = self.instance.get_run_by_id(run)
        assert found is not None
        return found.status

    def wait_for(self, run: str, status: dg.DagsterRunStatus) -> None:
        wait_until(lambda: self.status(run) is status)

    def worker(self, run: str) -> psutil.Process:
        """The process that runs ``run``, as it says itself in the run's log."""
        for entry in self.instance.all_logs(run):
            event = entry.dagster_event
            metadata = event.engine_event_data.metadata if event and event.is_engine_event else {}
            if "pid" in metadata:
                return psutil.Process(int(str(metadata["pid"].value)))
        raise AssertionError(f"run {run} has not told its process")

    def _ask(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        async def execute() -> Any:
            context = self._context.create_request_context()
            return await self._schema.execute_async(
                query, context_value=context, variable_values=variables
            )

        result = asyncio.run(execute())
        assert not result.errors, result.errors
        answer: dict[str, Any] = result.data
        return answer

    @staticmethod
    def _run_id(answer: Mapping[str, Any]) -> str:
        assert answer["__typename"] == "LaunchRunSuccess", answer
        run: str = answer["run"]["runId"]
        return run


@contextmanager
def deployed(instance: dg.DagsterInstance, definitions: Path) -> Iterator[Deployment]:
    """Serve a project for as long as the context is open."""
    target = PythonFileTarget(
        python_file=str(definitions),
        attribute=None,
        working_directory=str(definitions.parent),
        location_name="tiny",
    )
    with WorkspaceProcessContext(instance, target) as context:
        yield Deployment(instance, context)
