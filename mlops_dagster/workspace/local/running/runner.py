"""The process that carries out one submitted job; started detached, by whoever moves the queue on.

``python -m mlops_dagster.workspace.local.running.runner HOME NAME LOCK``: LOCK is the file descriptor of
the job's lock, held from before this process began until it is gone.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

from mlops_dagster.errors import MlopsError
from mlops_dagster.system.process_tree import identity
from mlops_dagster.workspace.local.ground.plan import Plan, decode
from mlops_dagster.workspace.local.ground.state import State
from mlops_dagster.workspace.local.queue import queue
from mlops_dagster.workspace.local.records import jobs as records
from mlops_dagster.workspace.local.records.logs import note
from mlops_dagster.workspace.local.running.context import EndedJobs, RunContext
from mlops_dagster.workspace.local.running.executor import StepExecutor
from mlops_dagster.workspace.local.running.pipeline import run_pipeline
from mlops_dagster.workspace.local.storage import retention
from mlops_dagster.workspace.ports import JobStatus


def main() -> None:
    """Run the job named on the command line to its end."""
    home, name, lock = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    os.set_inheritable(lock, False)
    state = State(home)
    with state.read() as connection:
        row = connection.execute("SELECT plan FROM job_plans WHERE job = ?", (name,)).fetchone()
    plan = decode(row["plan"])
    context = RunContext(state, plan)
    executor = StepExecutor(context)
    for number in (signal.SIGINT, signal.SIGQUIT):
        # The shell that started this process in the background had them ignored.
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=executor.interrupt).start())
    work = threading.Thread(target=_work, args=(context, executor, plan), name="work")
    work.start()
    executor.serve(work)
    queue.dispatch(state)
    retention.remove_if_due(state)


def _work(context: RunContext, executor: StepExecutor, plan: Plan) -> None:
    try:
        for text in plan.notes:
            note(context.home, plan.root, text)
        if plan.pipelines:
            _begin_pipeline(context, plan.root)
            run_pipeline(context, executor)
        else:
            ended = EndedJobs()
            executor.begin(plan.steps[0], ended)
            ended.get()
    except Exception as error:  # noqa: BLE001 - a job always ends, and its record says why
        traceback.print_exc()
        _abandon(context, executor, error)
    finally:
        executor.wake()


def _abandon(context: RunContext, executor: StepExecutor, error: Exception) -> None:
    """End a pipeline whose own bookkeeping failed, after all of its steps."""
    reason = "Its pipeline failed."
    executor.cancel_all(reason)
    what = error.message if isinstance(error, MlopsError) else f"{type(error).__name__}: {error}"
    root = context.plan.root
    with context.state.read() as connection:
        rows = connection.execute("SELECT name FROM jobs WHERE root = ?", (root,)).fetchall()
    for job in {row["name"] for row in rows} - {root}:
        context.end(job, JobStatus.CANCELED, error=reason)
    context.end(root, JobStatus.FAILED, error=f"The workspace failed to run it: {what}")


def _begin_pipeline(context: RunContext, root: str) -> None:
    with context.state.write() as connection:
        records.forget_environment(connection, root)
        pid, created = identity(os.getpid())
        records.update_status(
            connection,
            root,
            JobStatus.RUNNING,
            only_from=[JobStatus.PREPARING],
            started_at=time.time(),
            pid=pid,
            pid_created=created,
        )


if __name__ == "__main__":
    main()
