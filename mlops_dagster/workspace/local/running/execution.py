"""Running one planned step: prepare, run, publish, record; in this order.

Outputs are staged, moved into place when the command has succeeded, then recorded, then the job
is Completed: whatever dies in between, an output is there whole or not at all.
"""

from __future__ import annotations

import json
import os
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from mlops_dagster.aml.types import MODEL_TYPES
from mlops_dagster.errors import MlopsError, WorkspaceUnavailable
from mlops_dagster.system import processes as process
from mlops_dagster.system.files import remove_tree
from mlops_dagster.system.process_tree import identity
from mlops_dagster.system.processes import Cancellation, Ending
from mlops_dagster.workspace.local.ground.plan import Data, Output, PlannedStep, Value
from mlops_dagster.workspace.local.kinds import table as kinds
from mlops_dagster.workspace.local.kinds.task import Task, environment
from mlops_dagster.workspace.local.queue import queue, reuse
from mlops_dagster.workspace.local.records import jobs as records
from mlops_dagster.workspace.local.records import logs
from mlops_dagster.workspace.local.running import interpreters
from mlops_dagster.workspace.local.running.context import RunContext
from mlops_dagster.workspace.local.storage import artifacts, progress
from mlops_dagster.workspace.local.storage.inputs import lay_out_input
from mlops_dagster.workspace.ports import JobStatus, OutputRecord

Outcome = tuple[JobStatus, str | None, list[OutputRecord]]
"""How a job ended, why where it did not complete, and its outputs."""


class _Refused(Exception):
    """The job cannot complete, for a reason that its record is to give."""


def execute(context: RunContext, step: PlannedStep, cancellation: Cancellation) -> None:
    """Run a step that has its nodes, to a terminal state; raises nothing."""
    run_to_end(context, step, lambda: _attempt(context, step, cancellation))


def run_to_end(context: RunContext, step: PlannedStep, attempt: Callable[[], Outcome]) -> None:
    """Bring a step into the terminal state that an attempt at it has; raises nothing."""
    status, error, outputs = JobStatus.FAILED, None, list[OutputRecord]()
    try:
        status, error, outputs = attempt()
    except (MlopsError, _Refused) as problem:
        error = _log_failure(context, step, str(problem))
    except OSError as problem:
        where = problem.filename or "The state folder"
        error = _log_failure(context, step, f"{where}: {problem.strerror or problem}.")
    except Exception as problem:  # noqa: BLE001 - a job always ends, and its record says why
        traceback.print_exc()
        what = f"{type(problem).__name__}: {problem}"
        error = _log_failure(context, step, f"The workspace failed to run it: {what}")
    try:
        end_tracked(context, step.job, status)
        context.end(step.job, status, error=error, outputs=outputs)
    except MlopsError:
        traceback.print_exc()  # whoever looks next finds that its runner is gone, and says so
    artifacts.clear(context.home, context.storage, step.job)


def resolved_inputs(context: RunContext, step: PlannedStep) -> dict[str, Value | Data]:
    """The inputs of a step whose upstreams have completed.

    An optional input whose upstream has not is absent.
    """
    found: dict[str, Value | Data] = {}
    with context.state.read() as connection:
        for name, item in step.inputs.items():
            if isinstance(item, Value | Data):
                found[name] = item
            elif (output := records.output(connection, item.job, item.output)) is not None:
                found[name] = Data(output.type, output.uri, mode=item.mode)
    return found


def end_tracked(context: RunContext, job: str, status: JobStatus) -> None:
    """Bring what a job logged to MLflow to the end that the job has."""
    from mlops_dagster.workspace.local.tracking import end_runs

    try:
        end_runs(context.home, job, status)
    except WorkspaceUnavailable as problem:
        _log(context, job, f"Its runs stay open in MLflow: {problem.message}")


def _attempt(context: RunContext, step: PlannedStep, cancellation: Cancellation) -> Outcome:
    inputs = resolved_inputs(context, step)
    task = _prepare(context, step, inputs)
    found = reuse.fingerprint(step, inputs, context.storage) if step.deterministic else None
    try:
        interpreter = interpreters.prepare(context.home, step, task.working, cancellation)
        ending = _run(context, replace(task, interpreter=interpreter), cancellation, found)
    except interpreters.Canceled:
        ending = Ending("canceled")
    artifacts.keep(context.home, context.storage, step.job)
    if ending.how == "canceled":
        if context.interrupted:
            return JobStatus.FAILED, "Its runner was asked to end (SIGTERM).", []
        return JobStatus.CANCELED, cancellation.reason, []
    if ending.how == "timed out":
        return JobStatus.FAILED, f"It ran longer than its limit of {step.timeout:g} s.", []
    if ending.status:
        return JobStatus.FAILED, _exit_reason(context, step, ending), []
    return JobStatus.COMPLETED, None, _publish(context, task)


def _prepare(context: RunContext, step: PlannedStep, inputs: Mapping[str, Value | Data]) -> Task:
    working = artifacts.working_folder(context.home, step.job)
    if working.exists():  # of a runner that was killed before it began
        remove_tree(working)
    working.mkdir(parents=True)
    os.close(logs.open_log(context.home, step.job))
    for text in step.runtime.notes:
        logs.note(context.home, step.job, text)
    if step.code is not None:
        context.snapshots.unpack(step.code, working)
    for name in ("outputs", "logs"):
        (working / name).mkdir(exist_ok=True)
    own = artifacts.inputs_folder(context.home, step.job)
    remove_tree(own)  # of a runner that was killed before it began
    paths = {
        name: lay_out_input(
            context.storage.resolve(value.uri, field=f"inputs.{name}").path, value.mode, own / name
        )
        for name, value in inputs.items()
        if isinstance(value, Data)
    }
    progress_folder = _progress(context, step, inputs)
    outputs = {
        name: context.storage.outputs.stage(output.uri, output.type, step.job, name)
        for name, output in step.outputs.items()
    }
    return Task(context.home, step, inputs, paths, outputs, working, progress_folder, {})


def _progress(context: RunContext, step: PlannedStep, inputs: Mapping[str, Value | Data]) -> Path:
    """The folder of a step's progress; a pipeline's parallel step goes on where it was left."""
    if step.kind != "parallel" or step.parent is None:
        return progress.begin(context.storage, step.job)
    # The driver knows for itself which files of the input that it cuts have changed.
    others = {name: value for name, value in inputs.items() if name != step.body["input"]}
    identity = reuse.fingerprint(step, others, context.storage)
    return progress.resume(context.storage, step.job, step.resumes, identity)


def _run(
    context: RunContext, task: Task, cancellation: Cancellation, fingerprint: str | None
) -> Ending:
    from mlops_dagster.workspace.local.tracking import JobTracking

    step, plan = task.step, context.plan

    def started(pid: int) -> None:
        with context.state.write() as connection:
            connection.execute(
                "UPDATE jobs SET started_at = ?, pid = ?, pid_created = ?, fingerprint = ?,"
                " status = CASE status WHEN 'Preparing' THEN 'Running' ELSE status END"
                " WHERE name = ?",
                (now, *identity(pid), fingerprint, step.job),
            )
            records.forget_environment(connection, step.job)
            records.add_properties(connection, step.job, input_properties(task.inputs))

    log = logs.open_log(context.home, step.job)
    now = time.time()
    try:
        with JobTracking(context.home, step.job, plan.experiment) as tracking:
            variables = environment(
                step,
                root=plan.root,
                experiment=plan.experiment,
                tracking=tracking.environment,
                inputs=task.inputs,
                paths=task.paths,
                outputs=task.outputs,
                working=task.working,
                interpreter=task.interpreter,
                home=context.home,
            )
            ready = replace(task, environment=variables)
            launches = kinds.module_of(step.kind).launches(ready)
            if cancellation.requested:
                return Ending("canceled")
            tracking.start_early(task.working, [text for each in launches for text in each.argv])
            return process.run(
                launches,
                folder=task.working,
                override_permissions=False,
                log=log,
                mark=queue.mark(context.home, step.job),
                cancellation=cancellation,
                timeout=step.timeout,
                started=started,
            )
    finally:
        os.close(log)


def input_properties(inputs: Mapping[str, Value | Data]) -> dict[str, str]:
    """Properties that say what a job was given."""
    read = [value.version or value.uri for value in inputs.values() if isinstance(value, Data)]
    return {records.INPUTS: kinds.inputs_json(inputs), records.DATA: json.dumps(read)}


def _publish(context: RunContext, task: Task) -> list[OutputRecord]:
    step = task.step
    if step.outputs:
        records.change_status(
            context.state, step.job, JobStatus.FINALIZING, only_from=[JobStatus.RUNNING]
        )
    for name, output in step.outputs.items():
        _check(task, name, output)
    progress.complete(context.storage, step.job)
    for name, output in step.outputs.items():
        context.storage.outputs.publish(task.outputs[name], output.uri)
    return [
        OutputRecord(name, output.type, output.uri, register(context, step, output))
        for name, output in step.outputs.items()
    ]


def _check(task: Task, name: str, output: Output) -> None:
    """Whether the command wrote an output; an empty folder is one, and is mentioned."""
    place = task.outputs[name]
    if output.type == "uri_file":
        if place.is_dir():  # as Spark writes a file
            task.note(f"The output {name!r} (uri_file) is a folder.")
        elif not place.is_file():
            message = f"The command succeeded, but its output {name!r} (uri_file) was not written."
            raise _Refused(f"{message} It is to write one file to ${{{{outputs.{name}}}}}.")
        return
    if not place.exists():
        place.mkdir()
    if place.is_dir() and not any(place.iterdir()):
        if output.type in MODEL_TYPES:
            message = f"The command succeeded, but its output {name!r} ({output.type}) is empty."
            raise _Refused(f"{message} It is to save a model to ${{{{outputs.{name}}}}}.")
        if output.uri != records.artifacts_uri(task.step.job):
            task.note(f"The output {name!r} is an empty folder.")


def register(context: RunContext, step: PlannedStep, output: Output) -> str | None:
    """Register an output that has a name; returns its reference."""
    if output.name is None:
        return None
    if output.type in MODEL_TYPES:
        from mlops_dagster.workspace.local.storage.models import LocalModels

        models = LocalModels(context.state, context.storage)
        models.origin = lambda job: records.origin(context.state, job)
        return models.register(
            output.name, output.uri, type=output.type, version=output.version, job=step.job
        ).reference
    from mlops_dagster.workspace.local.storage.data import LocalData

    data = LocalData(context.state, context.storage)
    is_folder = context.storage.path_of(output.uri).is_dir()
    type = "uri_folder" if output.type == "uri_file" and is_folder else output.type
    return data.register(
        output.name, output.uri, type=type, version=output.version, job=step.job
    ).reference


def _exit_reason(context: RunContext, step: PlannedStep, ending: Ending) -> str:
    if ending.status < 0:
        how = f"was ended by {_signal_name(-ending.status)}"
    else:
        how = f"exited with status {ending.status}"
        if ending.status == 128 + signal.SIGKILL:
            how += " (SIGKILL; perhaps the memory ran out)"
    if (problem := logs.write_problem(context.home, step.job)) is not None:
        how += f", and its log could not be written ({problem})"
    lines = [
        line.strip()
        for line in logs.tail(logs.log_file(context.home, step.job), 20).splitlines()
        if line.strip() and not line.startswith(logs.NOTE.decode())
    ]
    return f"Its command {how}: {lines[-1][:300]}" if lines else f"Its command {how}."


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _log_failure(context: RunContext, step: PlannedStep, text: str) -> str:
    """Put why a job failed, as one line, into its log, where that can be written."""
    line = " ".join(text.encode(errors="replace").decode().split())
    _log(context, step.job, line)
    return line


def _log(context: RunContext, job: str, line: str) -> None:
    with suppress(OSError):
        logs.note(context.home, job, line)
