"""Files keep landing while whatever works on them is killed at random; then everything is counted."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from mlops_dagster.landing import BatchState, DropState, differences, drops
from tests.chaos.account import Account, AccountDropping
from tests.defs.dropping import Dropping, daemon

PROJECT = """\
name: storm
pipelines:
  score: {file: pipelines/score.yml}
landing:
  pipeline: score
  source: SOURCE
  settle: 0 seconds
  batch: {files: 25, age: 1 second}
  interval: 1 second
  # Killed jobs count as failed attempts, and here they are killed all the time.
  attempts: 50
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
    retry_settings: {max_retries: 5, timeout: 60}
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

DOUBLE = '''\
"""Double the value of every row, a file of scores for each file."""
import csv, os, pathlib, sys
import pyarrow as pa
from pyarrow import parquet

scores = None

def init():
    global scores
    scores = pathlib.Path(sys.argv[sys.argv.index("--scores") + 1])

def run(mini_batch):
    for name in mini_batch:
        file = pathlib.Path(name)
        with file.open(newline="") as lines:
            rows = [{"key": r["key"], "score": 2 * float(r["value"])} for r in csv.DictReader(lines)]
        unfinished = scores / f".{file.name}.{os.getpid()}"
        parquet.write_table(pa.Table.from_pylist(rows), unfinished)
        unfinished.replace(scores / f"{file.name}.parquet")
    return list(mini_batch)
'''

ROWS = 7
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
_PATIENCE = 20.0
_LONGEST_LIFE = {"daemon": 12.0, "code server": 12.0, "run worker": 4.0}


@dataclass(frozen=True)
class Report:
    """What was counted when the storm was over.

    Attributes:
        kills: by the kind of process.
        missing, twice: rows of good drops that are in the table never, or more than once.
        quarantined: bad drops in quarantine; ``unquarantined`` those that are not.
        open_manifests: batches that have not ended.
        differences: drops that do not add up, by the landing's own check.
    """

    drops: int
    bad: int
    rows: int
    kills: dict[str, int]
    missing: int
    twice: int
    quarantined: int
    unquarantined: int
    open_manifests: int
    differences: int
    batches: int
    seconds: float
    faults: dict[str, int]

    @property
    def holds(self) -> bool:
        """Whether every row of every good drop is there once, and all that is bad in quarantine."""
        wrong = (self.missing, self.twice, self.unquarantined, self.open_manifests)
        return not any(wrong) and not self.differences

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {kind}s" for kind, count in sorted(self.kills.items()))
        return (
            f"{self.drops:,} drops ({self.bad:,} of them bad) in {self.batches:,} batches, "
            f"{self.seconds:,.0f} s, {sum(self.kills.values())} kills: {kinds}\n"
            f"rows of good drops {self.rows:,}; missing {self.missing}; twice {self.twice}\n"
            f"bad drops in quarantine {self.quarantined} of {self.bad}; "
            f"open manifests {self.open_manifests}; differences {self.differences}{self._network}"
        )

    @property
    def _network(self) -> str:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.faults.items()))
        return f"\nthe network failed {sum(self.faults.values()):,} times: {kinds}" if kinds else ""


def storm(
    root: Path,
    *,
    drops_: int,
    kills: int,
    seed: int,
    seconds: float,
    account: Account | None = None,
) -> Report:
    """Drop so many files and kill so many processes, at least; then wait for the end and count.

    Args:
        account: where drops and tables lie; None for folders.
        seconds: at most; what is still open then is reported as open.
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
    chance = random.Random(seed)
    files = _files(place, drops_)
    killed: Counter[str] = Counter()
    started = time.monotonic()
    a_kill = max(1, drops_ // kills)
    wanted = _kinds(chance)
    with ExitStack() as stack:
        running = stack.enter_context(daemon(place))
        dropped = 0
        while time.monotonic() - started < seconds:
            if running.poll() is not None:
                running = stack.enter_context(daemon(place))
            if sum(killed.values()) < kills:
                for _ in range(a_kill):
                    dropped += next(files, 0)
                _kill_one(place, next(wanted), chance, killed)
            elif dropped == drops_ and place.is_done(drops_):
                break
            else:
                dropped += next(files, 0)
                time.sleep(0.1)
    _end_all(place)
    faults = dict(account.faults) if account is not None else {}
    return _counted(place, drops_, dict(killed), faults, time.monotonic() - started)


def is_bad(number: int) -> bool:
    """Every 20th drop cannot be read."""
    return number % 20 == 7


def _files(place: Dropping, count: int) -> Iterator[int]:
    """Drops one file after the other; says 1 for each."""
    for number in range(count):
        if not is_bad(number):
            place.drop(f"{number:05}.csv", list(range(ROWS)))
        elif number % 40 == 7:
            place.drop_text(f"{number:05}.csv", "")
        else:
            place.drop_text(f"{number:05}.parquet", "PAR1 torn")
        yield 1


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
            if KINDS[kind] not in " ".join(process.cmdline()):
                continue
            if process.environ().get("MLOPS_HOME") == str(place.home):
                found.append(process)
    return found


def _family(place: Dropping) -> list[psutil.Process]:
    """All processes of this storm, however far they have detached themselves."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get("MLOPS_HOME") == str(place.home):
                found.append(process)
    return found


def _end_all(place: Dropping) -> None:
    left = _family(place)
    for process in left:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=10)


def _counted(
    place: Dropping, count: int, killed: dict[str, int], faults: dict[str, int], seconds: float
) -> Report:
    landing = place.landing
    found = place.keys()
    good = [f"{number:05}.csv:{row}" for number in _good(count) for row in range(ROWS)]
    states = {record.drop.path: record.state for record in drops(landing, limit=None)}
    bad = [number for number in range(count) if is_bad(number)]
    quarantined = sum(
        states.get(f"{number:05}.{'csv' if number % 40 == 7 else 'parquet'}")
        is DropState.QUARANTINED
        for number in bad
    )
    batches = place.status().batches
    return Report(
        drops=count,
        bad=len(bad),
        rows=len(good),
        kills=killed,
        missing=sum(key not in found for key in good),
        twice=sum(times > 1 for times in found.values()),
        quarantined=quarantined,
        unquarantined=len(bad) - quarantined,
        open_manifests=sum(batches.get(state, 0) for state in BatchState if state.is_open),
        differences=len(differences(landing)),
        batches=sum(batches.values()),
        seconds=seconds,
        faults=faults,
    )


def _good(count: int) -> list[int]:
    return [number for number in range(count) if not is_bad(number)]
