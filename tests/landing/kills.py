"""A program: does the work of a landing and dies at a line of the package, again and again.

    python -m tests.landing.kills FOLDER HOW_MANY

Every child does the whole work under a trace that ends it, with no farewell, when a given line is
about to run for the first or for the last time: every line of the modules that do one thing after
another, and HOW_MANY of the others, evenly spread. Another one then starts over and checks. Which
lines there are is learned from a run that is left alone, so one that is written later is tried as
well. Children are forked from a process that has loaded everything and used nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import mlops_dagster.landing
from mlops_dagster.errors import Conflict
from mlops_dagster.landing import DropState, differences, replay, tick
from tests.landing.place import Place
from tests.landing.test_retries import scores_all_but_poison

PACKAGE = str(Path(mlops_dagster.landing.__file__).parent)
# What only turns values into text and back writes nothing down: a kill there is one in its caller.
PURE = {
    *("values.py", "selection.py", "batching.py", "rows.py", "reading.py", "overview.py"),
    *("rules.py", "retries.py"),
}
# Where one thing is done after another: every line of these is tried, however few others are.
STEPS = {"watch.py", "scoring.py", "commit.py"}
KILLED = 113
Line = tuple[str, int]


def main(folder: Path, most: int) -> None:
    seen = folder / "seen.json"
    assert run_forked(count_lines, folder / "whole", seen) == 0
    counts = {(name, line): n for (name, line), n in json.loads(seen.read_text())}
    assert {name for name, _ in counts} >= {"watch.py", "scoring.py", "commit.py", "ledger.py"}
    places = sorted({(line, time) for line, n in counts.items() for time in {1, n}})
    steps = [place for place in places if place[0][0] in STEPS]
    others = [place for place in places if place[0][0] not in STEPS]
    chosen = steps + others[:: max(1, len(others) // most)]
    for number, (line, time) in enumerate(chosen):
        root = folder / str(number)
        died = run_forked(die_at, root, line, time)
        assert died in (KILLED, 0), f"{line} for the {time}. time ended with {died}"
        assert run_forked(start_again, root) == 0, f"killed before {line} for the {time}. time"
        shutil.rmtree(root)


def run_forked(target: Callable[..., None], *arguments: Any) -> int:
    child = os.fork()
    if not child:
        status = 1
        try:
            target(*arguments)
            status = 0
        except BaseException:  # noqa: BLE001 - the child ends here, whatever it was
            traceback.print_exc()
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def work(root: Path) -> None:
    """Two files good in part, one refused, one replaced meanwhile, one that breaks the script."""
    place = Place.make(root, score=scores_all_but_poison)
    if not (root / "prepared").exists():
        place.drop("a.csv", [1, "x", 3])
        place.drop("b.parquet", [4])
        (root / "drops" / "empty.csv").touch()
        place.drop("bad.csv", [1], key="poison")
        place.drop("late.csv", [0])
        (root / "prepared").touch()
    requests = tick(place.landing).requests
    if not (root / "replaced").exists():
        place.drop("late.csv", [5, 6], key="later")
        (root / "replaced").touch()
    for request in requests:
        place.score(request.batch.id)
    place.run()


def check(root: Path) -> None:
    place = Place.make(root)
    assert place.keys() == Counter(["a.csv:0", "a.csv:2", "b.parquet:0", "later:0", "later:1"])
    quarantine = place.quarantine()
    assert sorted(quarantine["drop_path"]) == ["a.csv", "empty.csv"]
    assert differences(place.landing) == []
    assert place.landing.ledger.open_batches() == []
    waits = {DropState.WAITING, DropState.BATCHED}
    assert not waits & set(place.states().values())
    assert place.states()["bad.csv"] is DropState.FAILED
    assert list(place.landing.staging.glob("[!.]*")) == []
    replay_is_refused(place)


def replay_is_refused(place: Place) -> None:
    for record in place.landing.ledger.drops(state=DropState.SCORED):
        with pytest.raises(Conflict):
            replay(place.landing, record.drop.id)


def count_lines(root: Path, seen: Path) -> None:
    """Do the work and write how often each line of the package was about to run."""
    counts: Counter[Line] = Counter()
    _trace(counts.update)
    work(root)
    sys.settrace(None)
    seen.write_text(json.dumps(sorted(counts.items())))


def die_at(root: Path, line: Line, time: int) -> None:
    """Do the work and die when the line is about to run for the ``time``-th time."""
    left = time

    def count(lines: list[Line]) -> None:
        nonlocal left
        if lines[0] == line:
            left -= 1
            if not left:
                os._exit(KILLED)

    _trace(count)
    work(root)


def start_again(root: Path) -> None:
    work(root)
    check(root)


def _trace(look: Callable[[list[Line]], None]) -> None:
    def local(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            look([(Path(frame.f_code.co_filename).name, frame.f_lineno)])
        return local

    def trace(frame: FrameType, _event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        return local if name.startswith(PACKAGE) and Path(name).name not in PURE else None

    sys.settrace(trace)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
