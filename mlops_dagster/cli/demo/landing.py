"""The landing's part of `mlops demo`: files are dropped, and the real sensor has them scored."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_dagster.cli.demo.drops import ContainerDrops, Drops, FolderDrops
from mlops_dagster.cli.output import duration, note, visible
from mlops_dagster.cli.tables import print_table
from mlops_dagster.errors import MlopsError
from mlops_dagster.system import services

if TYPE_CHECKING:
    from mlops_dagster.cli.dagster.instance import Place
    from mlops_dagster.landing import DropRecord, Landing
    from mlops_dagster.project import Project

_LONGEST = 900.0
_NO_NEWS = 240.0  # seconds without any change after which something is wrong
_LOOK = 0.5


@dataclass(frozen=True)
class IncompleteDrop:
    """A drop of which not every row was scored."""

    path: str
    rows: int | None
    scored: int
    quarantined: int
    reason: str | None


@dataclass(frozen=True)
class LandingSummary:
    """What became of the drops; a file that cannot be read counts no rows.

    Attributes:
        new: how many this demo dropped.
        drops: how many there are, by their state.
        differences: drops whose rows are not each scored or in quarantine, once.
    """

    seconds: float
    new: int
    drops: dict[str, int]
    rows: int
    scored: int
    quarantined: int
    differences: int
    incomplete: Sequence[IncompleteDrop]
    table: str


def score_example(
    place: Place, project: Project, *, emulated: bool = False
) -> LandingSummary | None:
    """Drop the example files, and let Dagster's daemon find them and have them scored.

    Returns None where the project has no landing, or no example, or the files would land in a
    storage account that is not ``emulated``. What was scored by an earlier demo is not dropped again.

    Raises MlopsError where the files cannot be dropped, or are not scored in time.
    """
    from mlops_dagster.landing.declaration import declared_landing, declared_place

    if project.landing is None or project.landing.example is None:
        return None
    where = declared_place(project)
    if where.container is not None and not emulated:
        return None
    started = time.monotonic()
    landing = declared_landing(project, home=place.home)
    drops: Drops
    if where.container is None:
        drops = FolderDrops(place.home / where.drops)
    else:
        drops = ContainerDrops(where, landing.staging.parent / "example")
    before = drops.names()
    drops.drop(project.landing.example)
    new = len(drops.names() - before)
    if left := _unfinished_files(landing, drops):
        drops.announce(left)
        _run_daemon(place, landing, drops)
    return _landing_summary(landing, new, time.monotonic() - started)


def print_landing(summary: LandingSummary) -> None:
    """Print the summary as text and a table."""
    print()
    if not summary.new:
        note("Every file of the example was dropped by an earlier demo, and none twice.")
    drops = sum(summary.drops.values())
    columns = ("drops", "scored", "quarantined", "rows in", "rows scored", "rows quarantined")
    states = (summary.drops.get("scored", 0), summary.drops.get("quarantined", 0))
    rows = (f"{summary.rows:,}", f"{summary.scored:,}", f"{summary.quarantined:,}")
    print_table(columns, [(drops, *states, *rows)], empty="Nothing has landed.")
    for drop in summary.incomplete:
        why = f": {drop.reason}" if drop.reason else ""
        counted = f"{drop.scored:,} of {drop.rows:,} rows scored" if drop.rows else "not scored"
        print(visible(f"  {drop.path}: {counted}, {drop.quarantined:,} rows quarantined{why}"))
    if summary.differences:
        print(f"{summary.differences:,} drops do not add up: mlops landing status")
    else:
        print("Every row of every drop is scored or in quarantine, once.")
    print(visible(f"The table of scores: {summary.table}  (Delta; {duration(summary.seconds)})"))


def _unfinished_files(landing: Landing, drops: Drops) -> set[str]:
    """The files that are neither scored nor quarantined nor given up."""
    from mlops_dagster.landing import DropState
    from mlops_dagster.landing import drops as seen

    ended = {
        record.drop.path
        for record in seen(landing, limit=None)
        if record.state not in (DropState.WAITING, DropState.BATCHED)
    }
    return {name for name in drops.names() - ended if landing.selection.includes(name)}


def _run_daemon(place: Place, landing: Landing, drops: Drops) -> None:
    """Run the daemon until nothing waits any more, and no run is at work."""
    service = services.Service(
        name="Dagster daemon",
        folder=services.folder_of(place.home, "daemon"),
        command=(
            *(sys.executable, "-W", "ignore", "-m", "dagster._daemon", "run"),
            *("-w", str(place.workspace_file)),
        ),
        ports={},
        health={},
        working=place.root,
        environment=place.environment(),
    )
    note(f"Files have landed in {drops.where}; Dagster's daemon looks for them ...")
    with services.serving(service) as daemon:
        _await_end(landing, drops, daemon, service.log)
        _await_runs()
        _await_checks()


def _await_end(landing: Landing, drops: Drops, daemon: services.Serving, log: Path) -> None:
    deadline, changed, before = time.monotonic() + _LONGEST, time.monotonic(), -1
    while left := len(_unfinished_files(landing, drops)):
        if left != before:
            before, changed = left, time.monotonic()
            note(f"  {left} files wait to be scored")
        if (status := daemon.status()) is not None:
            raise MlopsError(
                f"Dagster's daemon ended with status {status}.",
                remedy=f"Its log says why: {log}",
            )
        if time.monotonic() > min(deadline, changed + _NO_NEWS):
            raise MlopsError(
                f"{left} files still wait to be scored.",
                remedy=f"See `mlops landing status`, the sensor in `mlops ui`, and {log}",
            )
        time.sleep(_LOOK)


def _await_runs() -> None:
    """Wait for the scoring runs: a batch is committed before its run has reported it to Dagster."""
    from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

    active = [
        DagsterRunStatus.QUEUED,
        DagsterRunStatus.NOT_STARTED,
        DagsterRunStatus.STARTING,
        DagsterRunStatus.STARTED,
    ]
    deadline = time.monotonic() + 60
    with DagsterInstance.get() as instance:
        wanted = RunsFilter(job_name="landing_scoring", statuses=active)
        while instance.get_runs_count(wanted) and time.monotonic() < deadline:
            time.sleep(_LOOK)


def _await_checks() -> None:
    """The next look of the sensor shows in Dagster what the checks have found in all."""
    from dagster import DagsterInstance
    from dagster._core.scheduler.instigation import TickStatus

    since, deadline = time.time(), time.monotonic() + 60
    ended = [TickStatus.SKIPPED, TickStatus.SUCCESS]
    with DagsterInstance.get() as instance:
        waiting = {
            (state.instigator_origin_id, state.selector_id)
            for state in instance.all_instigator_state()
            if state.instigator_name == "landing_sensor"
        }
        while waiting and time.monotonic() < deadline:
            waiting = {
                sensor
                for sensor in waiting
                if not instance.get_ticks(*sensor, after=since, statuses=ended, limit=1)
            }
            time.sleep(_LOOK)


def _landing_summary(landing: Landing, new: int, seconds: float) -> LandingSummary:
    from mlops_dagster.landing import differences, drops, status

    found = status(landing)
    return LandingSummary(
        seconds=seconds,
        new=new,
        drops={state.value: count for state, count in found.drops.items()},
        rows=found.rows,
        scored=found.scored,
        quarantined=found.quarantined,
        differences=len(differences(landing)),
        incomplete=[
            _incomplete_drop(each) for each in drops(landing, limit=None) if _is_incomplete(each)
        ],
        table=landing.tables.scores,
    )


def _is_incomplete(record: DropRecord) -> bool:
    outcome = record.outcome
    return outcome is not None and (outcome.rows is None or outcome.quarantined > 0)


def _incomplete_drop(record: DropRecord) -> IncompleteDrop:
    outcome = record.outcome
    assert outcome is not None  # noqa: S101 - only an ended drop is bad
    return IncompleteDrop(
        record.drop.path, outcome.rows, outcome.scored, outcome.quarantined, outcome.reason
    )
