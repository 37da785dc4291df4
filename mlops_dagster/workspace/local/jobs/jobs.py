"""Jobs of the local workspace: taking them in, and answering for them."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_dagster.errors import Conflict, NotFound, WorkspaceUnavailable
from mlops_dagster.system.walk import Entry, Links, walk
from mlops_dagster.workspace.local.ground.addresses import SUBSTITUTIONS
from mlops_dagster.workspace.local.ground.plan import Data, Value, encode
from mlops_dagster.workspace.local.ground.state import State
from mlops_dagster.workspace.local.queue import queue
from mlops_dagster.workspace.local.queue import reuse as reusing
from mlops_dagster.workspace.local.queue.following import follow
from mlops_dagster.workspace.local.records import jobs as records
from mlops_dagster.workspace.local.records import logs
from mlops_dagster.workspace.local.records.job_names import check_name, new_name, next_name
from mlops_dagster.workspace.local.records.jobs import ACTIVE, WAITING, status_of
from mlops_dagster.workspace.local.storage.snapshots import SCHEMA as SNAPSHOTS
from mlops_dagster.workspace.local.storage.snapshots import Snapshots
from mlops_dagster.workspace.local.storage.storage import Storage
from mlops_dagster.workspace.ports import (
    JobOptions,
    JobRecord,
    Jobs,
    JobStatus,
    LogLine,
    Tracked,
)

if TYPE_CHECKING:
    from mlops_dagster.aml.job import Job
    from mlops_dagster.workspace.local.ground.options import PlanOptions
    from mlops_dagster.workspace.local.planning.planner import Planned
    from mlops_dagster.workspace.local.records.compute import LocalCompute

_SHORTEST_PAUSE = 0.01
_LONGEST_PAUSE = 0.5


class LocalJobs(Jobs):
    """``Jobs`` on this machine.

    Args:
        project: the folder in which registered components are looked up; None for none.
        options: how the jobs that are submitted run.
    """

    def __init__(
        self,
        state: State,
        storage: Storage,
        compute: LocalCompute,
        project: Path | None = None,
        options: JobOptions = JobOptions(),  # noqa: B008 - frozen
    ) -> None:
        self._state = state
        self._options = options
        self._project = project
        self._storage = storage
        self._compute = compute
        self._snapshots = Snapshots(state)
        state.create(records.SCHEMA)
        state.create(SNAPSHOTS)

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
        from mlops_dagster.aml import job_of
        from mlops_dagster.workspace.local.jobs.identity import content_digest
        from mlops_dagster.workspace.local.planning.components import with_components
        from mlops_dagster.workspace.local.planning.planner import Planner

        job = job_of(job)
        chosen = check_name(name or job.name or new_name(job))
        filed = experiment or job.experiment_name or _folder_name(job)
        planner = Planner(self._storage, self._compute, self._snapshots, self._is_taken)
        options = self._plan_options(self._options.notify)
        whole = with_components(job, self._component_finder(options))
        while True:
            planned = planner.plan(
                whole, name=chosen, experiment=filed, reuse=reuse, options=options
            )
            content = content_digest(job, planned.plan)
            if (there := self._existing(chosen, content)) is not None:
                return there
            if self._insert(_with_labels(planned, job, tags, properties, content)):
                return self.get(chosen)
            # Somebody took one of the names meanwhile: the job's own, or one of a step's.

    def validate(self, job: Job | Path | str, *, name: str | None = None) -> Sequence[str]:
        from mlops_dagster.aml import job_of
        from mlops_dagster.workspace.local.jobs.dry_run import DryRunSnapshots, DryRunStorage
        from mlops_dagster.workspace.local.planning.components import with_components
        from mlops_dagster.workspace.local.planning.planner import Planner

        job = job_of(job)
        chosen = check_name(name or job.name or new_name(job))
        storage = DryRunStorage(self._state, self._storage.cloud)
        planner = Planner(storage, self._compute, DryRunSnapshots(self._state), self._is_taken)
        filed = job.experiment_name or _folder_name(job)
        messages: list[str] = []
        options = self._plan_options(messages.append)
        whole = with_components(job, self._component_finder(options))
        planned = planner.plan(whole, name=chosen, experiment=filed, reuse=False, options=options)
        return [*planned.plan.notes, *messages]

    def resume(self, name: str, *, new_name: str | None = None) -> JobRecord:
        from mlops_dagster.workspace.local.jobs import resuming

        if new_name is not None:
            there = self._existing(check_name(new_name), resuming.content_digest(name))
            if there is not None:
                return there
        self.get(name)
        with self._state.read() as connection:
            plan, rows = resuming.resumable_plan(connection, name)
        while True:
            chosen = new_name or next_name(name, self._is_taken)
            planned = resuming.resume_plan(
                plan, rows, chosen, self._storage, self._is_taken, self._has_all_outputs
            )
            if self._insert(planned):
                return self.get(chosen)
            if (
                new_name
                and (there := self._existing(new_name, resuming.content_digest(name))) is not None
            ):
                return there

    def get(self, name: str) -> JobRecord:
        queue.advance(self._state)
        with self._state.read() as connection:
            return records.records(connection, [self._row(connection, name)])[0]

    def list(
        self,
        *,
        parent: str | None = None,
        experiment: str | None = None,
        tags: Mapping[str, str] | None = None,
        archived: bool = False,
        limit: int | None = None,
    ) -> Sequence[JobRecord]:
        queue.advance(self._state)
        conditions = ["parent = ?"] if parent is not None else ["parent IS NULL"]
        values: list[object] = [parent] if parent is not None else []
        if experiment is not None:
            conditions.append("experiment = ?")
            values.append(experiment)
        if not archived:
            conditions.append("archived = 0")
        for key, value in (tags or {}).items():
            conditions.append("EXISTS (SELECT 1 FROM json_each(tags) WHERE key = ? AND value = ?)")
            values += [key, value]
        query = f"SELECT * FROM jobs WHERE {' AND '.join(conditions)}"  # noqa: S608 - those above
        with self._state.read() as connection:
            if parent is not None:
                self._row(connection, parent)
            rows = connection.execute(
                f"{query} ORDER BY sequence DESC LIMIT ?", (*values, -1 if limit is None else limit)
            ).fetchall()
            return records.records(connection, rows)

    def wait(self, name: str, *, timeout: float | None = None) -> JobRecord:
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = _SHORTEST_PAUSE
        while not (record := self.get(name)).status.is_terminal:
            if deadline is not None:
                pause = min(pause, deadline - time.monotonic())
                if pause <= 0:
                    return record
            time.sleep(pause)
            pause = min(pause * 1.2, _LONGEST_PAUSE)
        return record

    def stream(self, name: str) -> Iterator[LogLine]:
        self.get(name)
        return follow(self._state, name)

    def log(self, name: str, *, tail: int | None = None) -> str:
        with self._state.read() as connection:
            self._row(connection, name)
        file = logs.log_file(self._state.home, name)
        if tail is not None:
            return logs.tail(file, tail)
        try:
            return file.read_bytes().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def cancel(self, name: str) -> JobRecord:
        with self._state.write() as connection:
            row = self._row(connection, name)
            if status_of(row) in WAITING and (row["root"] == name or row["type"] != "pipeline"):
                message = "It was canceled before it started."
                records.end(connection, name, JobStatus.CANCELED, error=message)
            else:
                records.update_status(
                    connection, name, JobStatus.CANCEL_REQUESTED, only_from=ACTIVE
                )
                connection.execute("UPDATE jobs SET cancel = 1 WHERE name = ?", (name,))
        return self.get(name)

    def update(
        self,
        name: str,
        *,
        display_name: str | None = None,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> JobRecord:
        with self._state.write() as connection:
            self._row(connection, name)
            records.describe(connection, name, display_name, description, tags or {})
            records.add_properties(connection, name, properties or {})
        return self.get(name)

    def archive(self, name: str) -> JobRecord:
        return self._set_archived(name, archived=True)

    def restore(self, name: str) -> JobRecord:
        return self._set_archived(name, archived=False)

    def tracked(self, name: str) -> Tracked:
        from mlops_dagster.workspace.local.tracking import read_tracked

        return read_tracked(self._state.home, self._with_descendants(name))

    def artifact(self, name: str, path: str) -> bytes:
        from mlops_dagster.workspace.local.tracking import read_artifact

        return read_artifact(self._state.home, self._with_descendants(name), path)

    def download(
        self, name: str, to: Path, *, output: str | None = None, everything: bool = False
    ) -> Sequence[Path]:
        record = self.get(name)
        if output is not None and output not in record.outputs:
            raise NotFound("output", f"{name}.{output}", known=tuple(record.outputs))
        sources: dict[Path, Path] = {
            self._storage.path_of(item.uri): to / "named-outputs" / item.name
            for item in record.outputs.values()
            if output in (None, item.name)
        }
        if output is None:
            sources[self._storage.path_of(records.artifacts_uri(name))] = to / "artifacts"
            log = logs.log_file(self._state.home, name)
            sources[log] = to / "artifacts" / log.parent.name
        written = _copy_all({source: to for source, to in sources.items() if source.exists()})
        return [*written, *self._download_rest(name, to)] if everything else written

    def _download_rest(self, name: str, to: Path) -> Sequence[Path]:
        """What a job logged to MLflow, and all that its steps left."""
        from mlops_dagster.workspace.local.tracking import artifacts_of

        found = {
            source: (to / "artifacts" / path).parent
            for path, source in artifacts_of(self._state.home, [name]).items()
        }
        written = list(_copy_all(found))
        for step in self.list(parent=name, archived=True):
            written += self.download(step.name, to / (step.step or step.name), everything=True)
        return written

    def _set_archived(self, name: str, *, archived: bool) -> JobRecord:
        with self._state.write() as connection:
            self._row(connection, name)
            connection.execute("UPDATE jobs SET archived = ? WHERE name = ?", (archived, name))
        return self.get(name)

    def _plan_options(self, notify: Callable[[str], None]) -> PlanOptions:
        from mlops_dagster.workspace.local.ground.options import PlanOptions
        from mlops_dagster.workspace.local.ground.substitutions import read_substitutions
        from mlops_dagster.workspace.local.ground.variables import job_variables

        own = self._state.home / SUBSTITUTIONS
        files = [self._options.substitutions, own if own.exists() else None]
        found = read_substitutions(*(file for file in files if file is not None))
        variables = job_variables(self._state.home, os.environ)
        return PlanOptions(self._options.isolate, found, variables.digest, notify)

    def _component_finder(self, options: PlanOptions) -> Callable[[str], Path | None]:
        from mlops_dagster.workspace.local.planning.components import ProjectComponents

        project = ProjectComponents(self._project)
        named = options.substitutions.component
        return lambda reference: named(reference) or project.find(reference)

    def _row(self, connection: sqlite3.Connection, name: str) -> sqlite3.Row:
        row = records.find(connection, name)
        if row is None:
            known = connection.execute(
                "SELECT name FROM jobs WHERE parent IS NULL ORDER BY sequence DESC LIMIT 50"
            )
            raise NotFound("job", name, known=[found["name"] for found in known])
        return row

    def _with_descendants(self, name: str) -> Sequence[str]:
        """A job and all that is below it."""
        with self._state.read() as connection:
            self._row(connection, name)
            rows = connection.execute(
                "WITH RECURSIVE family (name) AS (VALUES (?) UNION ALL"
                " SELECT jobs.name FROM jobs JOIN family ON jobs.parent = family.name)"
                " SELECT name FROM family",
                (name,),
            )
            return [row["name"] for row in rows]

    def _has_all_outputs(self, name: str) -> bool:
        with self._state.read() as connection:
            return reusing.completed_job(connection, name, self._storage) is not None

    def _is_taken(self, name: str) -> bool:
        with self._state.read() as connection:
            return records.find(connection, name) is not None

    def _existing(self, name: str, content: str) -> JobRecord | None:
        """The job of this name where it has this content. Raises Conflict where it has another."""
        with self._state.read() as connection:
            row = records.find(connection, name)
        if row is None:
            return None
        if row["content"] != content:
            raise Conflict(
                f"There is a job {name!r} already, and it does something else: its YAML, code,"
                " environment, local inputs or options are not these.",
                remedy="Choose another name, or leave it out for a new one.",
            )
        return self.get(name)

    def _insert(self, planned: Planned) -> bool:
        """Make the job's rows; False where somebody else was faster."""
        from mlops_dagster.workspace.local.ground.variables import job_variables

        variables = json.dumps(job_variables(self._state.home, os.environ).all)
        plan = (planned.plan.root, encode(planned.plan), sys.executable, variables)
        done = self._done_before(planned)
        try:
            with self._state.write() as connection:
                records.insert(connection, planned.rows)
                connection.execute("INSERT INTO job_plans VALUES (?, ?, ?, ?)", plan)
                if done is not None:
                    job, outputs = done
                    records.end(
                        connection,
                        planned.plan.root,
                        JobStatus.COMPLETED,
                        reused_from=job,
                        outputs=outputs,
                    )
        except WorkspaceUnavailable as error:
            if isinstance(error.__cause__, sqlite3.IntegrityError):
                return False
            raise
        if done is not None:
            logs.note(self._state.home, planned.plan.root, reusing.reuse_note(done[0]))
        return True

    def _done_before(self, planned: Planned) -> reusing.CompletedJob | None:
        """The completed job that stands in for a job of one step, with its outputs."""
        plan = planned.plan
        if plan.pipelines or not plan.steps[0].reuse:
            return None
        step = plan.steps[0]
        inputs = {
            key: value for key, value in step.inputs.items() if isinstance(value, Value | Data)
        }
        found = reusing.fingerprint(step, inputs, self._storage)
        with self._state.read() as connection:
            return reusing.find_completed(connection, found, self._storage)


def _folder_name(job: Job) -> str:
    return (job.source.absolute().parent.name if job.source else "") or "Default"


def _with_labels(
    planned: Planned,
    job: Job,
    tags: Mapping[str, str] | None,
    properties: Mapping[str, str] | None,
    content: str,
) -> Planned:
    """The plan with what the submitted job is filed under."""
    first, *others = planned.rows
    own_tags = {**records.label_texts(job.tags), **(tags or {})}
    own_properties = {
        **(first.properties or {}),
        **records.label_texts(job.properties),
        **(properties or {}),
    }
    first = replace(first, tags=own_tags, properties=own_properties, content=content)
    return replace(planned, rows=(first, *others))


def _copy_all(sources: Mapping[Path, Path]) -> Sequence[Path]:
    """Copy folders, and files into folders; returns what was written."""
    written = []
    try:
        for source, folder in sources.items():
            folder.mkdir(parents=True, exist_ok=True)
            for entry in walk(source, links=Links.SKIP, empty_folders=True, special="skip"):
                _copy(entry, folder / (entry.name or source.name))
            written.append(folder if source.is_dir() else folder / source.name)
    except OSError as error:
        raise WorkspaceUnavailable(f"The download could not be written: {error}.") from error
    return written


def _copy(entry: Entry, target: Path) -> None:
    if entry.is_folder:
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)  # what an earlier download left may be read-only
    shutil.copyfile(entry.path, target)
