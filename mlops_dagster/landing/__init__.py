"""Files dropped into storage: watch, settle, batch, score once, quarantine, reconcile.

Two functions do the work, and both may be killed at any line and called again::

    landing = open_landing("flight_delays", drops="landing/", home=home, tables=tables)

    tick(landing, seconds=20) -> Tick
        Looks for new files, writes them down, cuts settled ones into batches. A sensor asks for a
        run of every record in ``Tick.requests`` under the run key ``record.request``: asking twice
        is harmless, and a tick that died between writing and asking is made good by the next.
        A record whose run is known to have died needs a run under another key; ``score_batch``
        goes on where that run had come to.

    score_batch(landing, batch_id, workspace=, scoring=ScoringJob(job, model)) -> BatchOutcome
        Stages a batch, submits the scoring job under a name made of batch and attempt (a restarted
        run finds it again), commits scores and quarantine, and records how it ended. A failed job
        is no exception: ``BatchOutcome.state`` says whether it is tried again (WAITING: a later
        tick asks for it), was divided into smaller batches (DIVIDED), or was given up (FAILED).
        What is raised leaves the batch open, to be run again. ``fail_attempt`` counts an attempt
        as failed from outside, such as when its run died of it for the third time.

The scoring job is an Azure ML pipeline with an input ``drops`` (a folder with one file a drop,
named ``<drop id><suffix>``) and two outputs of Parquet files, one at most for each input file,
whose names begin with the drop's id: ``scores`` (any columns; ``row`` is the row's number in its
file, from 0) and ``rejected`` (a row for each row that cannot be used: ``row``, null where it is
the whole file; ``reason``; what else there is). Each row of a file must be in one of them, once.

``sources/`` are the places where files land, ``ledger/`` is what is known of every drop and batch.

Beside them: ``status``, ``replay``, ``replay_failed`` and ``drops`` for people, ``differences`` for
the check that every row is in one of the tables once, ``compact``, ``expire`` and ``clear_jobs`` for
a maintenance job.
"""

from __future__ import annotations

from mlops_dagster.landing.landing import Landing, open_landing
from mlops_dagster.landing.maintenance import compact, expire
from mlops_dagster.landing.overview import drops, replay, replay_failed, status
from mlops_dagster.landing.reconcile import differences
from mlops_dagster.landing.retention import Cleared, clear_jobs
from mlops_dagster.landing.rules import Acceptance, Limits, Rules, SchemaEvolution
from mlops_dagster.landing.scoring import ScoringJob, fail_attempt, score_batch
from mlops_dagster.landing.selection import Selection
from mlops_dagster.landing.tables import Tables
from mlops_dagster.landing.values import (
    Batch,
    BatchOutcome,
    BatchRecord,
    BatchState,
    Difference,
    Drop,
    DropOutcome,
    DropRecord,
    DropState,
    Reason,
    Status,
    Tick,
)
from mlops_dagster.landing.watch import tick

__all__ = [
    "Landing",
    "open_landing",
    "tick",
    "score_batch",
    "ScoringJob",
    "fail_attempt",
    "status",
    "drops",
    "replay",
    "replay_failed",
    "differences",
    "clear_jobs",
    "Cleared",
    "compact",
    "expire",
    "Tables",
    "Selection",
    "Rules",
    "SchemaEvolution",
    "Limits",
    "Acceptance",
    "Drop",
    "DropRecord",
    "DropState",
    "DropOutcome",
    "Batch",
    "BatchRecord",
    "BatchState",
    "BatchOutcome",
    "Tick",
    "Status",
    "Difference",
    "Reason",
]
