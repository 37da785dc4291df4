"""What is kept of every job: its row, its outputs, and the plan that its runner carries out.

A job takes nodes of its compute target while its status is one of ``ACTIVE``: so many are in use
as ``sum(nodes)`` over the rows of one ``compute_key`` says. Rows in ``Queued`` wait for theirs.
Times are seconds since the epoch.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from mlops_dagster.workspace.local.ground.state import State
from mlops_dagster.workspace.ports import JobRecord, JobStatus, OutputRecord

SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
  sequence     INTEGER PRIMARY KEY AUTOINCREMENT,
  name         TEXT NOT NULL UNIQUE,
  type         TEXT NOT NULL,
  status       TEXT NOT NULL,
  experiment   TEXT NOT NULL,
  display_name TEXT NOT NULL,
  description  TEXT NOT NULL,
  compute      TEXT,                        -- the target's name
  compute_key  TEXT NOT NULL,               -- its identity, for counting nodes
  nodes        INTEGER NOT NULL,            -- taken while the job is active
  max_nodes    INTEGER NOT NULL,            -- what the target had when the job was submitted
  root         TEXT NOT NULL,               -- the submitted job that this one is part of
  parent       TEXT,
  step         TEXT,
  created_at   REAL NOT NULL,
  queued_at    REAL,
  started_at   REAL,
  ended_at     REAL,
  tags         TEXT NOT NULL,
  properties   TEXT NOT NULL,
  error        TEXT,
  reused_from  TEXT,
  archived     INTEGER NOT NULL DEFAULT 0,
  content      TEXT NOT NULL DEFAULT '',    -- digest of what was asked for
  fingerprint  TEXT,                        -- digest of all that its outputs depend on
  cancel       INTEGER NOT NULL DEFAULT 0,  -- whether somebody asked it to end
  starts       INTEGER NOT NULL DEFAULT 0,  -- how often a runner was started for it
  pid          INTEGER,                     -- of its command, or of its runner
  pid_created  REAL
);
CREATE INDEX IF NOT EXISTS jobs_by_parent ON jobs (parent);
CREATE INDEX IF NOT EXISTS jobs_by_root ON jobs (root);
CREATE INDEX IF NOT EXISTS jobs_by_status ON jobs (status, compute_key);
CREATE INDEX IF NOT EXISTS jobs_by_fingerprint ON jobs (fingerprint) WHERE fingerprint IS NOT NULL;
CREATE TABLE IF NOT EXISTS job_outputs (
  job   TEXT NOT NULL,
  name  TEXT NOT NULL,
  type  TEXT NOT NULL,
  uri   TEXT NOT NULL,
  asset TEXT,
  PRIMARY KEY (job, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS job_plans (
  job         TEXT PRIMARY KEY,
  plan        TEXT NOT NULL,
  python      TEXT NOT NULL,                -- the submitter's interpreter
  environment TEXT                          -- and the variables that it passes on, until the job runs
);
"""

# Properties of a job by which its outputs can be traced back. A record has the first as its inputs.
INPUTS, DATA, CODE, COMPONENT = "mlops.inputs", "mlops.data", "mlops.code", "mlops.component"
# The property that names the pipeline that a job goes on with; a record has it as ``resumes``.
RESUMES = "mlops.resumes"

# Azure ML's names for what a trial was given, a tag of its job and of its run, and for properties
# of a sweep: the metric that it looks at, its best trial and the metric of that.
HYPERPARAMETERS = "hyperparameters"
PRIMARY_METRIC = "primary_metric_config"
BEST_CHILD, SCORE = "best_child_run_id", "score"

# Azure ML's names for what a job left in its ``./outputs`` and ``./logs``.
ARTIFACTS = ("default", "artifacts")

ACTIVE = (
    JobStatus.PREPARING,
    JobStatus.RUNNING,
    JobStatus.FINALIZING,
    JobStatus.CANCEL_REQUESTED,
)
WAITING = (JobStatus.NOT_STARTED, JobStatus.QUEUED)


@dataclass(frozen=True)
class NewJob:
    """A row to be made; see the columns of the table."""

    name: str
    type: str
    status: JobStatus
    experiment: str
    root: str
    parent: str | None = None
    step: str | None = None
    display_name: str = ""
    description: str = ""
    compute: str | None = None
    compute_key: str = ""
    nodes: int = 0
    max_nodes: int = 0
    tags: Mapping[str, str] | None = None
    properties: Mapping[str, str] | None = None
    content: str = ""


def insert(connection: sqlite3.Connection, jobs: Iterable[NewJob]) -> None:
    """Add rows; raises sqlite3.IntegrityError where a name is taken."""
    now = time.time()
    connection.executemany(
        "INSERT INTO jobs (name, type, status, experiment, display_name, description, compute,"
        " compute_key, nodes, max_nodes, root, parent, step, created_at, queued_at, tags,"
        " properties, content) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                job.name,
                job.type,
                job.status,
                job.experiment,
                job.display_name,
                job.description,
                job.compute,
                job.compute_key,
                job.nodes,
                job.max_nodes,
                job.root,
                job.parent,
                job.step,
                now,
                now if job.status is JobStatus.QUEUED else None,
                json.dumps(dict(job.tags or {})),
                json.dumps(dict(job.properties or {})),
                job.content,
            )
            for job in jobs
        ],
    )


def find(connection: sqlite3.Connection, name: str) -> sqlite3.Row | None:
    """The row of a job."""
    row: sqlite3.Row | None = connection.execute(
        "SELECT * FROM jobs WHERE name = ?", (name,)
    ).fetchone()
    return row


def status_of(row: sqlite3.Row) -> JobStatus:
    """The status that a row holds."""
    return JobStatus(row["status"])


def records(connection: sqlite3.Connection, rows: Sequence[sqlite3.Row]) -> list[JobRecord]:
    """The rows as values, with their outputs."""
    outputs: dict[str, dict[str, OutputRecord]] = {row["name"]: {} for row in rows}
    names = list(outputs)
    for start in range(0, len(names), 500):  # SQLite bounds the number of parameters
        part = names[start : start + 500]
        for found in connection.execute(
            f"SELECT * FROM job_outputs WHERE job IN ({_marks(part)}) ORDER BY name",  # noqa: S608
            part,
        ):
            record = OutputRecord(found["name"], found["type"], found["uri"], found["asset"])
            outputs[found["job"]][found["name"]] = record
    return [_record(row, outputs[row["name"]]) for row in rows]


def output(connection: sqlite3.Connection, job: str, name: str) -> OutputRecord | None:
    """One output of a completed job."""
    row = connection.execute(
        "SELECT * FROM job_outputs WHERE job = ? AND name = ?", (job, name)
    ).fetchone()
    return row and OutputRecord(row["name"], row["type"], row["uri"], row["asset"])


def origin(state: State, job: str) -> tuple[list[str], str | None]:
    """What a job made its outputs of: references of the data it read, and its code's digest."""
    with state.read() as connection:
        row = find(connection, job)
    properties: dict[str, str] = json.loads(row["properties"]) if row is not None else {}
    return json.loads(properties.get(DATA, "[]")), properties.get(CODE)


def artifacts_uri(job: str) -> str:
    """Where ``./outputs`` and ``./logs`` of a job are kept, as Azure ML addresses it."""
    # A file name has at most 255 bytes, and so may a job's name.
    short = job if len(job) <= 240 else f"{job[:200]}_{sha256(job.encode()).hexdigest()[:16]}"
    return f"azureml://datastores/workspaceartifactstore/paths/ExperimentRun/dcid.{short}"


def describe(
    connection: sqlite3.Connection,
    name: str,
    display_name: str | None,
    description: str | None,
    tags: Mapping[str, str],
) -> None:
    """Change a job's display name and description where they are given, and add tags."""
    connection.execute(
        "UPDATE jobs SET display_name = coalesce(?, display_name),"
        " description = coalesce(?, description), tags = json_patch(tags, ?) WHERE name = ?",
        (display_name, description, json.dumps(dict(tags)), name),
    )


def add_properties(
    connection: sqlite3.Connection, name: str, properties: Mapping[str, str]
) -> None:
    """Put further properties beside those that a job has."""
    connection.execute(
        "UPDATE jobs SET properties = json_patch(properties, ?) WHERE name = ?",
        (json.dumps(dict(properties)), name),
    )


def change_status(
    state: State, name: str, to: JobStatus, *, only_from: Iterable[JobStatus], **columns: Any
) -> bool:
    """Change a job's status, and further columns, if it is still in one of ``only_from``."""
    with state.write() as connection:
        return update_status(connection, name, to, only_from=only_from, **columns)


def update_status(
    connection: sqlite3.Connection,
    name: str,
    to: JobStatus,
    *,
    only_from: Iterable[JobStatus],
    **columns: Any,
) -> bool:
    """As ``change_status``, within a transaction of the caller's."""
    states = list(only_from)
    settings = "".join(f", {column} = ?" for column in columns)
    changed = connection.execute(
        f"UPDATE jobs SET status = ?{settings}"  # noqa: S608 - the callers name the columns
        f" WHERE name = ? AND status IN ({_marks(states)})",
        (to, *columns.values(), name, *states),
    )
    return changed.rowcount == 1


def end(
    connection: sqlite3.Connection,
    name: str,
    status: JobStatus,
    *,
    error: str | None = None,
    reused_from: str | None = None,
    outputs: Iterable[OutputRecord] = (),
) -> bool:
    """Bring a job into a terminal state, once; whoever comes second changes nothing.

    What still waits in a submitted job that has ended is canceled with it.
    """
    ended = update_status(
        connection,
        name,
        status,
        only_from=(*WAITING, *ACTIVE),
        ended_at=time.time(),
        error=error,
        reused_from=reused_from,
    )
    if ended:
        forget_environment(connection, name)
        connection.executemany(
            "INSERT OR REPLACE INTO job_outputs (job, name, type, uri, asset)"
            " VALUES (?, ?, ?, ?, ?)",
            [(name, item.name, item.type, item.uri, item.asset) for item in outputs],
        )
        waiting = (
            JobStatus.CANCELED,
            time.time(),
            "It was not run, because its pipeline ended.",
            name,
            *WAITING,
        )
        connection.execute(
            "UPDATE jobs SET status = ?, ended_at = ?, error = ?"  # noqa: S608 - marks only
            f" WHERE root = ? AND status IN ({_marks(WAITING)})",
            waiting,
        )
    if ended and reused_from is not None:
        _take_over_best(connection, name, reused_from)
    return ended


def forget_best(connection: sqlite3.Connection, name: str) -> None:
    """Forget the best trial of a sweep's last run, before it is run again."""
    connection.execute(
        "UPDATE jobs SET properties = json_remove(properties, ?, ?) WHERE name = ?",
        (f"$.{BEST_CHILD}", f"$.{SCORE}", name),
    )


def _take_over_best(connection: sqlite3.Connection, name: str, reused: str) -> None:
    """Let a sweep that another one stands in for name that one's best trial."""
    row = find(connection, reused)
    known: dict[str, str] = json.loads(row["properties"]) if row is not None else {}
    add_properties(
        connection, name, {key: known[key] for key in (BEST_CHILD, SCORE) if key in known}
    )


def forget_environment(connection: sqlite3.Connection, name: str) -> None:
    """Drop the submitter's variables, some of which may be secrets, once nobody needs them."""
    connection.execute("UPDATE job_plans SET environment = NULL WHERE job = ?", (name,))


def _record(row: sqlite3.Row, outputs: Mapping[str, OutputRecord]) -> JobRecord:
    properties = json.loads(row["properties"])
    return JobRecord(
        name=row["name"],
        type=row["type"],
        status=JobStatus(row["status"]),
        experiment=row["experiment"],
        created_at=_time(row["created_at"]),
        display_name=row["display_name"],
        description=row["description"],
        compute=row["compute"],
        parent=row["parent"],
        step=row["step"],
        started_at=_time_or_none(row["started_at"]),
        ended_at=_time_or_none(row["ended_at"]),
        inputs=json.loads(properties.pop(INPUTS, "{}")),
        outputs=outputs,
        resumes=properties.pop(RESUMES, None),
        tags=json.loads(row["tags"]),
        properties=properties,
        error=row["error"],
        reused_from=row["reused_from"],
        archived=bool(row["archived"]),
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _time_or_none(seconds: float | None) -> datetime | None:
    return None if seconds is None else _time(seconds)


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def label_texts(labels: Mapping[str, str | None]) -> dict[str, str]:
    """The texts of tags or properties; one that stands without a value has an empty text."""
    return {name: text or "" for name, text in labels.items()}
