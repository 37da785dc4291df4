"""Files keep landing while whatever works on them is killed; then every row is counted.

The files storm as well: some cannot be read, some break the script that scores them, some change
while they are looked at; and from time to time the place where they land is away.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from mlops_dagster.landing import BatchState, DropRecord, DropState, differences, drops
from tests.chaos.account import Account, AccountDropping
from tests.chaos.files import SCORE as DOUBLE
from tests.chaos.files import Kind, StormFile, storm_files
from tests.chaos.outages import DropFolder, outage_lengths
from tests.defs.dropping import Dropping, daemon

PROJECT = """\
name: storm
pipelines:
  score: {file: pipelines/score.yml}
landing:
  pipeline: score
  source: SOURCE
  settle: 5 seconds
  batch: {files: 25, age: 1 second}
  retry_delay: 1 second
  attempts: 4
  interval: 1 second
"""

SCORE = """\
type: pipeline
settings: {default_compute: azureml:cpu}
inputs:
  drops: {type: uri_folder, path: ../nothing}
outputs:
  scores: {type: uri_folder}
jobs:
  score:
    type: parallel
    mini_batch_size: "5"
    max_concurrency_per_instance: 2
    mini_batch_error_threshold: 0
    input_data: ${{inputs.drops}}
    retry_settings: {max_retries: 1, timeout: 8}
    task:
      type: run_function
      code: ../code
      entry_script: double.py
      program_arguments: --scores ${{outputs.scores}}
      environment: azureml:any@latest
    inputs:
      drops: ${{parent.inputs.drops}}
    outputs:
      scores: ${{parent.outputs.scores}}
"""

# How a process of each kind is recognized among those of this storm.
KINDS = {
    "daemon": "dagster._daemon",
    "code server": "dagster api grpc",
    "run worker": "spawn_main",
    "job runner": "mlops_dagster.workspace.local.running.runner",
    "parallel driver": "-m mlops_dagster.workspace.local.parallel",
    "parallel worker": "parallel/worker/__main__.py",
}


# Seconds to wait for a process of a kind, and how long it may live before it is killed.
_PATIENCE = 40.0
_LONGEST_LIFE = {"daemon": 12.0, "code server": 12.0, "run worker": 4.0}


@dataclass(frozen=True)
class StormPlan:
    """What a storm does.

    Attributes:
        files: that are dropped; see ``storm_files``.
        kills: at least so many.
        outages: seconds of each, spread over the time in which files are dropped.
        kinds_to_kill: kinds of processes; kills go on until as many were met, or all has ended.
    """

    files: Sequence[StormFile]
    kills: int
    seed: int
    outages: Sequence[float] = ()
    kinds_to_kill: int = 5


@dataclass(frozen=True)
class Report:
    """What was counted when the storm was over.

    Attributes:
        kills: by the kind of process.
        rows: of good files.
        missing, twice, altered: rows of good files that are in the table never, more than once, or
            with another value than the script gave; ``foreign`` rows belong to no good file.
        given_up: good files that were not scored.
        misnamed: bad files that did not end as they should, each with how it ended.
        waiting: files and batches that have not ended.
        differences: drops that do not add up, by the landing's own check.
        superseded: versions of files that newer ones replaced before they were read.
    """

    kinds: dict[Kind, int]
    kills: dict[str, int]
    outages: list[float]
    rows: int
    missing: int
    twice: int
    altered: int
    foreign: int
    given_up: list[str]
    misnamed: list[str]
    waiting: int
    differences: int
    superseded: int
    batches: dict[BatchState, int]
    seconds: float
    faults: dict[str, int] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether every good row is there once, as it was given, and every bad file is named."""
        wrong = (self.missing, self.twice, self.altered, self.foreign, self.waiting)
        return not any(wrong) and not (self.given_up or self.misnamed or self.differences)

    def __str__(self) -> str:
        kills = ", ".join(f"{count} {kind}s" for kind, count in sorted(self.kills.items()))
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.kinds.items())
        batches = ", ".join(f"{count} {state}" for state, count in self.batches.items())
        outages = ", ".join(f"{seconds:.0f} s" for seconds in self.outages)
        bad = sum(count for kind, count in self.kinds.items() if not kind.is_good)
        lines = [
            f"{sum(self.kinds.values()):,} files: {kinds}",
            f"{self.seconds:,.0f} s, {sum(self.kills.values())} kills: {kills or 'none'}",
            f"{len(self.outages)} outages: {outages or 'none'}",
            f"batches: {batches}; superseded versions {self.superseded}",
            (
                f"rows of good files {self.rows:,}; missing {self.missing}; twice {self.twice}; "
                f"altered {self.altered}; foreign {self.foreign}"
            ),
            (
                f"good files given up {len(self.given_up)}; bad files named with their own reason "
                f"{bad - len(self.misnamed)} of {bad}; still waiting {self.waiting}; "
                f"differences {self.differences}"
            ),
        ]
        if self.faults:
            faults = ", ".join(f"{count} {kind}" for kind, count in sorted(self.faults.items()))
            lines.append(f"the network failed {sum(self.faults.values()):,} times: {faults}")
        lines += [f"  {each}" for each in (*self.given_up, *self.misnamed)]
        return "\n".join(lines)


def storm_plan(
    count: int, *, kills: int, seed: int, poison: int, outages: Sequence[float], restless: bool
) -> StormPlan:
    """A storm of ``count`` files with ``outages``: how many, the shortest and longest seconds."""
    number, shortest, longest = outages
    lengths = outage_lengths(random.Random(seed), int(number), shortest, longest)
    files = storm_files(count, poison=poison, restless=restless)
    return StormPlan(files, kills, seed, tuple(lengths))


def storm(root: Path, plan: StormPlan, *, seconds: float, account: Account | None = None) -> Report:
    """Drop the files, kill processes, have outages; then wait for the end and count.

    Args:
        account: where drops and tables lie; None for folders.
        seconds: at most; what is still open then is reported as waiting.
    """
    source = account.source if account is not None else "{folder: drops}"
    place = Dropping.make(
        root,
        root / ".mlops",
        project=PROJECT.replace("SOURCE", source),
        files={"pipelines/score.yml": SCORE, "code/double.py": DOUBLE},
    )
    if account is not None:
        place = AccountDropping(**vars(place), account=account)
    started = time.monotonic()
    with ExitStack() as stack:
        storming = _Storm(place, plan, account, stack)
        while time.monotonic() - started < seconds and not storming.is_over():
            storming.go_on()
    _end_all(place)
    return _counted(place, plan, storming, time.monotonic() - started)


class _Storm:
    """A storm that is on: a daemon, files that come, kills and outages in between."""

    def __init__(
        self, place: Dropping, plan: StormPlan, account: Account | None, stack: ExitStack
    ) -> None:
        self.killed: Counter[str] = Counter()
        self.outages: list[float] = []
        self.account = account
        self._place = place
        self._plan = plan
        self._chance = random.Random(plan.seed)
        self._kinds = _kinds(self._chance)
        self._files = iter(plan.files)
        self._dropped = 0
        self._stack = stack
        self._folder = DropFolder(place.home / "drops")
        stack.enter_context(self._folder.changing())
        self._daemon = stack.enter_context(daemon(place))

    def is_over(self) -> bool:
        """Whether all has been done, and every file has come to its end."""
        return (
            self._dropped == len(self._plan.files)
            and sum(self.killed.values()) >= self._plan.kills
            and len(self.outages) == len(self._plan.outages)
            and self._folder.is_quiet
            and _waiting(self._place, self._plan) == 0
        )

    def go_on(self) -> None:
        """Drop some files, and kill a process or take the place away where it is time."""
        if self._daemon.poll() is not None:
            self._daemon = self._stack.enter_context(daemon(self._place))
        files, plan = len(self._plan.files), self._plan
        a_step = max(1, files // (plan.kills + len(plan.outages) + 1))
        for _ in range(a_step):
            self._drop_next()
        share = self._dropped / files
        if len(self.outages) < share * len(plan.outages):
            self._have_outage(plan.outages[len(self.outages)])
        elif sum(self.killed.values()) < plan.kills or len(self.killed) < plan.kinds_to_kill:
            _kill_one(self._place, self._next_kind(), self._chance, self.killed)
        else:
            time.sleep(0.5)

    def _next_kind(self) -> str:
        """A kind in turn; once there were enough kills, one that has not been met yet."""
        enough = sum(self.killed.values()) >= self._plan.kills
        return next(kind for kind in self._kinds if not (enough and kind in self.killed))

    def _drop_next(self) -> None:
        file = next(self._files, None)
        if file is None:
            return
        self._dropped += 1
        if self.account is None:
            self._folder.drop(file)
        else:
            self._place.drop_text(file.name, file.text)

    def _have_outage(self, seconds: float) -> None:
        if self.account is not None:
            self.account.be_away(seconds)
        else:
            self._folder.take_away(seconds, mount_point=len(self.outages) % 2 == 1)
        self.outages.append(seconds)


def _kinds(chance: random.Random) -> Iterator[str]:
    """Every kind equally often, in an order that is new each time."""
    while True:
        yield from chance.sample(sorted(KINDS), len(KINDS))


def _kill_one(place: Dropping, kind: str, chance: random.Random, killed: Counter[str]) -> None:
    """Wait for a process of this kind, let it come somewhere, and kill it; none may come in time.

    The daemon, and so all below it, needs some seconds before it does anything at all.
    """
    deadline = time.monotonic() + _PATIENCE
    while not _of_kind(place, kind):
        if time.monotonic() > deadline:
            return
        time.sleep(0.1)
    time.sleep(chance.uniform(0, _LONGEST_LIFE.get(kind, 1.0)))
    if found := _of_kind(place, kind):
        with suppress(psutil.Error):
            chance.choice(found).kill()
            killed[kind] += 1


def _of_kind(place: Dropping, kind: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if KINDS[kind] in " ".join(process.cmdline()) and _is_of_storm(place, process):
                found.append(process)
    return found


def _family(place: Dropping) -> list[psutil.Process]:
    """All processes of this storm, however far they have detached themselves."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if _is_of_storm(place, process):
                found.append(process)
    return found


def _is_of_storm(place: Dropping, process: psutil.Process) -> bool:
    """Whether it works on this storm's state folder, by its environment or its arguments."""
    home = str(place.home)
    return process.environ().get("MLOPS_HOME") == home or home in process.cmdline()


def _end_all(place: Dropping) -> None:
    left = _family(place)
    for process in left:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=10)


def _waiting(place: Dropping, plan: StormPlan) -> int:
    """How many files have not been seen or have not ended, and how many batches are open."""
    latest = _latest(place)
    ended = sum(
        (record := latest.get(file.name)) is not None and record.outcome is not None
        for file in plan.files
    )
    found = place.status()
    opened = sum(found.batches.get(state, 0) for state in BatchState if state.is_open)
    return len(plan.files) - ended + opened + (found.oldest is not None)


def _latest(place: Dropping) -> dict[str, DropRecord]:
    """The record of each path that says how it stands: the scored one, else the newest."""
    latest: dict[str, DropRecord] = {}
    for record in drops(place.landing, limit=None):
        before = latest.get(record.drop.path)
        if before is None or before.state is not DropState.SCORED:
            latest[record.drop.path] = record
    return latest


def _counted(place: Dropping, plan: StormPlan, storming: _Storm, seconds: float) -> Report:
    expected = {key: score for file in plan.files for key, score in file.scores.items()}
    rows = place.rows("scores")
    times = Counter(row["key"] for row in rows)
    latest = _latest(place)
    good = [file for file in plan.files if file.kind.is_good]
    bad = [file for file in plan.files if not file.kind.is_good]
    found = place.status()
    return Report(
        kinds=dict(Counter(file.kind for file in plan.files)),
        kills=dict(storming.killed),
        outages=storming.outages,
        rows=len(expected),
        missing=sum(key not in times for key in expected),
        twice=sum(count > 1 for count in times.values()),
        altered=sum(row["score"] != expected.get(row["key"], row["score"]) for row in rows),
        foreign=sum(key not in expected for key in times),
        given_up=[
            _ending(file, latest)
            for file in good
            if file.name not in latest or latest[file.name].state is not DropState.SCORED
        ],
        misnamed=[
            _ending(file, latest) for file in bad if not file.ended_well(*_end(file, latest))
        ],
        waiting=_waiting(place, plan),
        differences=len(differences(place.landing)),
        superseded=found.drops.get(DropState.SUPERSEDED, 0),
        batches=dict(found.batches),
        seconds=seconds,
        faults=dict(storming.account.faults) if storming.account is not None else {},
    )


def _end(file: StormFile, latest: dict[str, DropRecord]) -> tuple[DropState | None, str]:
    record = latest.get(file.name)
    if record is None:
        return None, "it was not seen"
    return record.state, (record.outcome.reason or "") if record.outcome is not None else ""


def _ending(file: StormFile, latest: dict[str, DropRecord]) -> str:
    state, reason = _end(file, latest)
    return f"{file.name} ({file.kind}): {state}: {reason[:300]}"
