"""Carrying out one leaf of a plan: prepare, run, publish, record; in this order.

Outputs are staged, moved into place when the command has succeeded, then recorded, then the job
is Completed: whatever dies in between, an output is there whole or not at all.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from mlops_dagster.aml.inputs_outputs import MODEL_TYPES
from mlops_dagster.errors import MlopsError, WorkspaceUnavailable
from mlops_dagster.system import processes as process
from mlops_dagster.system.process_tree import identity
from mlops_dagster.system.processes import Cancellation, Ending
from mlops_dagster.workspace.local.ground.plan import Data, Leaf, Output, Value
from mlops_dagster.workspace.local.kinds import table as kinds
from mlops_dagster.workspace.local.kinds.task import Task, environment
from mlops_dagster.workspace.local.queue import queue, reuse
from mlops_dagster.workspace.local.records import jobs as records
from mlops_dagster.workspace.local.records import logs
from mlops_dagster.workspace.local.running import interpreters
from mlops_dagster.workspace.local.running.context import Site
from mlops_dagster.workspace.local.storage import artifacts, progress
from mlops_dagster.workspace.ports import JobStatus, OutputRecord

Outcome = tuple[JobStatus, str | None, list[OutputRecord]]
"""How a job ended, why where it did not complete, and its outputs."""


class _Refused(Exception):
    """The job cannot complete, for a reason that its record is to give."""


def execute(site: Site, leaf: Leaf, cancellation: Cancellation) -> None:
    """Run a leaf that has its nodes, to a terminal state; raises nothing."""
    carry_out(site, leaf, lambda: _attempt(site, leaf, cancellation))


def carry_out(site: Site, leaf: Leaf, attempt: Callable[[], Outcome]) -> None:
    """Bring a leaf into the terminal state that an attempt at it has; raises nothing."""
    status, error, outputs = JobStatus.FAILED, None, list[OutputRecord]()
    try:
        status, error, outputs = attempt()
    except (MlopsError, _Refused) as problem:
        error = _say(site, leaf, str(problem))
    except OSError as problem:
        where = problem.filename or "The state folder"
        error = _say(site, leaf, f"{where}: {problem.strerror or problem}.")
    except Exception as problem:  # noqa: BLE001 - a job always ends, and its record says why
        traceback.print_exc()
        what = f"{type(problem).__name__}: {problem}"
        error = _say(site, leaf, f"The workspace failed to run it: {what}")
    try:
        end_tracked(site, leaf.job, status)
        site.end(leaf.job, status, error=error, outputs=outputs)
    except MlopsError:
        traceback.print_exc()  # whoever looks next finds that its runner is gone, and says so
    artifacts.clear(site.home, site.storage, leaf.job)


def concrete(site: Site, leaf: Leaf) -> dict[str, Value | Data]:
    """The inputs of a leaf whose upstreams have completed.

    An optional input whose upstream has not is absent.
    """
    found: dict[str, Value | Data] = {}
    with site.state.read() as connection:
        for name, item in leaf.inputs.items():
            if isinstance(item, Value | Data):
                found[name] = item
            elif (output := records.output(connection, item.job, item.output)) is not None:
                found[name] = Data(output.type, output.uri)
    return found


def end_tracked(site: Site, job: str, status: JobStatus) -> None:
    """Bring what a job logged to MLflow to the end that the job has."""
    from mlops_dagster.workspace.local.tracking import end_runs

    try:
        end_runs(site.home, job, status)
    except WorkspaceUnavailable as problem:
        _note(site, job, f"Its runs stay open in MLflow: {problem.message}")


def _attempt(site: Site, leaf: Leaf, cancellation: Cancellation) -> Outcome:
    inputs = concrete(site, leaf)
    task = _prepare(site, leaf, inputs)
    found = reuse.fingerprint(leaf, inputs, site.storage) if leaf.deterministic else None
    try:
        interpreter = interpreters.prepare(site.home, leaf, task.working, cancellation)
        ending = _run(site, replace(task, interpreter=interpreter), cancellation, found)
    except interpreters.Canceled:
        ending = Ending("canceled")
    artifacts.keep(site.home, site.storage, leaf.job)
    if ending.how == "canceled":
        if site.interrupted:
            return JobStatus.FAILED, "Its runner was told to end (SIGTERM).", []
        return JobStatus.CANCELED, cancellation.reason, []
    if ending.how == "timed out":
        return JobStatus.FAILED, f"It ran longer than its limit of {leaf.timeout:g} s.", []
    if ending.status:
        return JobStatus.FAILED, _exited(site, leaf, ending), []
    return JobStatus.COMPLETED, None, _publish(site, task)


def _prepare(site: Site, leaf: Leaf, inputs: Mapping[str, Value | Data]) -> Task:
    working = artifacts.working_folder(site.home, leaf.job)
    if working.exists():  # of a runner that was killed before it began
        shutil.rmtree(working)
    working.mkdir(parents=True)
    os.close(logs.open_log(site.home, leaf.job))
    for text in leaf.runtime.notes:
        logs.note(site.home, leaf.job, text)
    if leaf.code is not None:
        site.snapshots.unpack(leaf.code, working)
    for name in ("outputs", "logs"):
        (working / name).mkdir(exist_ok=True)
    paths = {
        name: site.storage.resolve(value.uri, field=f"inputs.{name}").path
        for name, value in inputs.items()
        if isinstance(value, Data)
    }
    progress_folder = _progress(site, leaf, inputs)
    outputs = {
        name: site.storage.stage(output.uri, output.type, leaf.job, name)
        for name, output in leaf.outputs.items()
    }
    return Task(site.home, leaf, inputs, paths, outputs, working, progress_folder, {})


def _progress(site: Site, leaf: Leaf, inputs: Mapping[str, Value | Data]) -> Path:
    """The folder of a step's progress; a pipeline's parallel step goes on where it was left."""
    if leaf.kind != "parallel" or leaf.parent is None:
        return progress.begin(site.storage, leaf.job)
    # The driver knows for itself which files of the input that it cuts have changed.
    others = {name: value for name, value in inputs.items() if name != leaf.body["input"]}
    identity = reuse.fingerprint(leaf, others, site.storage)
    return progress.resume(site.storage, leaf.job, leaf.resumes, identity)


def _run(site: Site, task: Task, cancellation: Cancellation, fingerprint: str | None) -> Ending:
    from mlops_dagster.workspace.local.tracking import JobTracking

    leaf, plan = task.leaf, site.plan

    def started(pid: int) -> None:
        with site.state.write() as connection:
            connection.execute(
                "UPDATE jobs SET started_at = ?, pid = ?, pid_created = ?, fingerprint = ?,"
                " status = CASE status WHEN 'Preparing' THEN 'Running' ELSE status END"
                " WHERE name = ?",
                (now, *identity(pid), fingerprint, leaf.job),
            )
            records.forget_environment(connection, leaf.job)
            records.add_properties(connection, leaf.job, read_by(task.inputs))

    log = logs.open_log(site.home, leaf.job)
    now = time.time()
    try:
        with JobTracking(
            site.home, leaf.job, plan.root, leaf.parent, plan.experiment, leaf.display_name
        ) as tracking:
            variables = environment(
                leaf,
                root=plan.root,
                experiment=plan.experiment,
                tracking=tracking.environment,
                inputs=task.inputs,
                paths=task.paths,
                outputs=task.outputs,
                working=task.working,
                interpreter=task.interpreter,
                home=site.home,
            )
            ready = replace(task, environment=variables)
            launches = kinds.module_of(leaf.kind).launches(ready)
            if cancellation.requested:
                return Ending("canceled")
            return process.run(
                launches,
                folder=task.working,
                log=log,
                mark=queue.mark(site.home, leaf.job),
                cancellation=cancellation,
                timeout=leaf.timeout,
                started=started,
            )
    finally:
        os.close(log)


def read_by(inputs: Mapping[str, Value | Data]) -> dict[str, str]:
    """Properties that say what a job was given."""
    read = [value.version or value.uri for value in inputs.values() if isinstance(value, Data)]
    return {records.INPUTS: kinds.shown_inputs(inputs), records.DATA: json.dumps(read)}


def _publish(site: Site, task: Task) -> list[OutputRecord]:
    leaf = task.leaf
    if leaf.outputs:
        records.move(site.state, leaf.job, JobStatus.FINALIZING, only_from=[JobStatus.RUNNING])
    for name, output in leaf.outputs.items():
        _check(task, name, output)
    progress.complete(site.storage, leaf.job)
    for name, output in leaf.outputs.items():
        site.storage.publish(task.outputs[name], output.uri)
    return [
        OutputRecord(name, output.type, output.uri, register(site, leaf, output))
        for name, output in leaf.outputs.items()
    ]


def _check(task: Task, name: str, output: Output) -> None:
    """Whether the command wrote an output; an empty folder is one, and is mentioned."""
    place = task.outputs[name]
    if output.type == "uri_file":
        if not place.is_file():
            found = "is a folder" if place.is_dir() else "was not written"
            message = f"The command succeeded, but its output {name!r} (uri_file) {found}."
            raise _Refused(f"{message} It is to write one file to ${{{{outputs.{name}}}}}.")
        return
    if not place.exists():
        place.mkdir()
    if place.is_dir() and not any(place.iterdir()):
        if output.type in MODEL_TYPES:
            message = f"The command succeeded, but its output {name!r} ({output.type}) is empty."
            raise _Refused(f"{message} It is to save a model to ${{{{outputs.{name}}}}}.")
        task.note(f"The output {name!r} is an empty folder.")


def register(site: Site, leaf: Leaf, output: Output) -> str | None:
    """Register an output that has a name; returns its reference."""
    if output.name is None:
        return None
    if output.type in MODEL_TYPES:
        from mlops_dagster.workspace.local.storage.models import LocalModels

        models = LocalModels(site.state, site.storage)
        models.origin = lambda job: records.origin(site.state, job)
        return models.register(
            output.name, output.uri, type=output.type, version=output.version, job=leaf.job
        ).reference
    from mlops_dagster.workspace.local.storage.data import LocalData

    data = LocalData(site.state, site.storage)
    return data.register(
        output.name, output.uri, type=output.type, version=output.version, job=leaf.job
    ).reference


def _exited(site: Site, leaf: Leaf, ending: Ending) -> str:
    if ending.status < 0:
        how = f"was ended by {_signal_name(-ending.status)}"
    else:
        how = f"exited with status {ending.status}"
        if ending.status == 128 + signal.SIGKILL:
            how += " (SIGKILL; perhaps the memory ran out)"
    if (trouble := logs.trouble(site.home, leaf.job)) is not None:
        how += f", and its log could not be written ({trouble})"
    said = [
        line.strip()
        for line in logs.tail(logs.log_file(site.home, leaf.job), 20).splitlines()
        if line.strip() and not line.startswith(logs.NOTE.decode())
    ]
    return f"Its command {how}: {said[-1][:300]}" if said else f"Its command {how}."


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _say(site: Site, leaf: Leaf, text: str) -> str:
    """Put why a job failed, as one line, into its log, where that can be written."""
    line = " ".join(text.encode(errors="replace").decode().split())
    _note(site, leaf.job, line)
    return line


def _note(site: Site, job: str, line: str) -> None:
    with suppress(OSError):
        logs.note(site.home, job, line)
