"""One odd drop fails alone: the batch that holds it is divided until the others are scored."""

from __future__ import annotations

import sqlite3
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_dagster.aml.job import CommandComponent, Job, Limits, PipelineComponent, Step
from mlops_dagster.errors import WorkspaceUnavailable
from mlops_dagster.landing import (
    BatchState,
    DropState,
    Rules,
    ScoringJob,
    differences,
    fail_attempt,
    tick,
)
from mlops_dagster.landing.ledger import Ledger
from mlops_dagster.landing.retries import Division, Failure, GivingUp, Retry, after_failure, is_due
from mlops_dagster.landing.values import Batch, BatchRecord, Drop, Entry, now
from mlops_dagster.objects import FolderStore
from mlops_dagster.workspace.ports import JobRecord, JobStatus
from tests.landing.place import AT_ONCE, SOON, InlineWorkspace, Place, expected, score_files

AT = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def scores_all_but_poison(drops: Path, scores: Path, rejected: Path) -> None:
    for file in drops.iterdir():
        if b"poison" in file.read_bytes():
            raise RuntimeError("the model choked")
    score_files(drops, scores, rejected)


def batch_of(count: int) -> Batch:
    return Batch(tuple(Entry(Drop(f"{number}.csv", "e", 1, AT)) for number in range(count)), AT)


def test_a_drop_that_breaks_the_script_fails_alone_and_all_others_are_scored(
    tmp_path: Path,
) -> None:
    place = Place.make(tmp_path / "x", score=scores_all_but_poison)
    for number in range(40):
        place.drop(f"{number}.csv", [number], key="poison" if number == 17 else None)
    place.run(rounds=40)
    states = place.states()
    assert states.pop("17.csv") is DropState.FAILED
    assert set(states.values()) == {DropState.SCORED}
    assert place.keys() == expected({f"{n}.csv": 1 for n in range(40) if n != 17})
    assert "the model choked" in place.reasons()["17.csv"]
    assert differences(place.landing) == []
    assert list(place.landing.staging.glob("[!.]*")) == []


def test_a_drop_that_the_output_names_is_alone_after_one_division(tmp_path: Path) -> None:
    def score(drops: Path, scores: Path, rejected: Path) -> None:
        score_files(drops, scores, rejected)
        for file in drops.iterdir():
            if b"poison" in file.read_bytes():
                (scores / f"{file.name}.parquet").unlink()

    place = Place.make(tmp_path / "x", score=score, rules=Rules(SOON, attempts=1))
    for number in range(20):
        place.drop(f"{number}.csv", [number], key="poison" if number == 3 else None)
    (request,) = tick(place.landing).requests
    assert place.score(request.batch.id).state is BatchState.DIVIDED
    opened = place.landing.ledger.open_batches()
    assert [len(record.batch.drops) for record in opened] == [19, 1]
    assert opened[1].batch.drops[0].path == "3.csv"


def test_the_files_of_a_divided_batch_are_taken_over_not_read_again(tmp_path: Path) -> None:
    place = Place.make(tmp_path / "x", score=scores_all_but_poison)
    paths = [place.drop(f"{number}.csv", [number]) for number in range(3)]
    place.drop("bad.csv", [1], key="poison")
    (request,) = tick(place.landing).requests
    place.score(request.batch.id)
    for path in paths:
        path.unlink()
    place.run()
    assert place.keys() == expected({f"{number}.csv": 1 for number in range(3)})


def test_a_late_attempt_at_a_divided_batch_commits_nothing(tmp_path: Path) -> None:
    place = Place.make(tmp_path / "x")
    place.drop("a.csv", [1])
    place.drop("b.csv", [2])
    (request,) = tick(place.landing).requests

    def divided_meanwhile(drops: Path, scores: Path, rejected: Path) -> None:
        score_files(drops, scores, rejected)
        fail_attempt(place.landing, request.batch.id, 1, "its run died")

    place.workspace.score = divided_meanwhile
    assert place.score(request.batch.id).state is BatchState.DIVIDED
    assert place.keys() == Counter()
    place.workspace.score = score_files
    place.run()
    assert place.keys() == expected({"a.csv": 1, "b.csv": 1})


def test_an_attempt_waits_and_holds_nobody_up_meanwhile(tmp_path: Path) -> None:
    rules = Rules(SOON, retry_delay=timedelta(minutes=5))
    place = Place.make(tmp_path / "x", rules=rules, score=scores_all_but_poison)
    for number in range(SOON.open_batches):
        place.drop(f"bad-{number}.csv", [1], key="poison")
        (request,) = tick(place.landing).requests
        assert place.score(request.batch.id).state is BatchState.WAITING
    found = tick(place.landing)
    assert (found.requests, found.delayed) == ((), SOON.open_batches)
    assert found.skip_reason == "4 batches failed and wait to be tried again"
    place.drop("good.csv", [1])
    place.run()
    assert place.states()["good.csv"] is DropState.SCORED


def test_what_the_workspace_did_not_carry_out_counts_for_nothing(tmp_path: Path) -> None:
    class Interrupting(InlineWorkspace):
        left = 6

        def wait(self, name: str, *, timeout: float | None = None) -> JobRecord:
            record = super().wait(name, timeout=timeout)
            if self.left:
                self.left -= 1
                ended: dict[str, Any] = {"status": JobStatus.CANCELED, "outputs": {}}
                return JobRecord(**{**vars(record), **ended})
            return record

    place = Place.make(tmp_path / "x", rules=Rules(SOON, attempts=1, retry_delay=AT_ONCE))
    place.workspace = Interrupting(tmp_path / "x" / "jobs")
    place.drop("a.csv", [1])
    place.drop("b.csv", [1])
    place.run()
    assert place.keys() == expected({"a.csv": 1, "b.csv": 1})


def test_a_state_folder_that_cannot_be_written_is_the_workspace_and_no_failure(
    tmp_path: Path,
) -> None:
    place = Place.make(tmp_path / "x")
    place.drop("a.csv", [1])
    (request,) = tick(place.landing).requests
    place.landing.staging.parent.mkdir()
    place.landing.staging.write_text("in the way")
    with pytest.raises(WorkspaceUnavailable, match="cannot be written"):
        place.score(request.batch.id)
    place.landing.staging.unlink()
    place.run()
    assert place.keys() == expected({"a.csv": 1})


def test_a_ledger_of_an_older_version_is_read_and_goes_on(tmp_path: Path) -> None:
    place = Place.make(tmp_path / "x")
    place.drop("a.csv", [1])
    (request,) = tick(place.landing).requests
    database = tmp_path / "x" / ".mlops" / "landing" / "flights.db"
    with sqlite3.connect(database) as connection:
        for column in ("failures", "interruptions", "due"):
            connection.execute(f"ALTER TABLE batches DROP COLUMN {column}")
    again = Place.make(tmp_path / "x")
    assert again.landing.ledger.open_batches() == [request]
    again.run()
    assert again.keys() == expected({"a.csv": 1})


def test_another_machine_sees_a_division_as_it_was_written_down(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    one, two = (Ledger(tmp_path / f"{name}.db", shared=store) for name in ("a", "b"))
    one.record_drops([Drop(f"{number}.csv", "e", 1, AT) for number in range(20)])
    one.add_batches(lambda waiting, _: [Batch(tuple(Entry(each.drop) for each in waiting), now())])
    (whole,) = one.open_batches()
    two.record_failure(whole.batch.id, 1, Failure("no luck"), Rules())
    assert one.batch(whole.batch.id).state is BatchState.DIVIDED
    assert one.open_batches() == two.open_batches()
    held = [drop.path for record in one.open_batches() for drop in record.batch.drops]
    assert held == [f"{number}.csv" for number in range(20)]


@given(st.integers(2, 600), st.integers(0, 40), st.integers(1, 9))
def test_a_division_holds_every_drop_once_and_each_part_is_smaller(
    count: int, causes: int, attempts: int
) -> None:
    batch = batch_of(count)
    ids = tuple(drop.id for drop in batch.drops[:causes])
    record = BatchRecord(batch, BatchState.RUNNING, 1)
    found = after_failure(record, Failure("x", ids), Rules(attempts=attempts), AT)
    assert isinstance(found, Division)
    parts = [part for part, _ in found.parts]
    drops = [drop for part in parts for drop in part.drops]
    assert Counter(drops) == Counter(batch.drops)
    assert 2 <= len(parts) <= 8
    assert all(len(part.drops) < count and part.divided_from == batch.id for part in parts)
    assert {part.id for part in parts}.isdisjoint({batch.id})


def test_a_single_drop_is_tried_alone_twice_at_least_and_as_often_as_the_rules_say() -> None:
    for attempts, already, alone in ((5, 0, 5), (5, 3, 2), (3, 7, 2), (1, 2, 1)):
        rules = Rules(attempts=attempts)
        record = BatchRecord(batch_of(2), BatchState.RUNNING, 1, failures=max(0, already - 1))
        if already:
            division = after_failure(record, Failure("x"), rules, AT)
            assert isinstance(division, Division)
            part, failures = division.parts[0]
            record = BatchRecord(part, BatchState.RUNNING, 1, failures=failures)
        else:
            record = BatchRecord(batch_of(1), BatchState.RUNNING, 1)
        tried = 1
        while isinstance(found := after_failure(record, Failure("x"), rules, AT), Retry):
            record = BatchRecord(record.batch, BatchState.RUNNING, tried, None, found.failures)
            tried += 1
        assert isinstance(found, GivingUp)
        assert tried == alone


def test_delays_grow_to_ten_minutes_and_outlast_an_outage_of_minutes() -> None:
    rules = Rules()
    record = BatchRecord(batch_of(1), BatchState.RUNNING, 1)
    delays = []
    while isinstance(found := after_failure(record, Failure("x"), rules, AT), Retry):
        delays.append((found.due - AT) // SECOND)
        record = BatchRecord(record.batch, BatchState.RUNNING, 1, None, found.failures)
    assert delays == [10, 30, 90, 270]
    late = BatchRecord(batch_of(1), BatchState.RUNNING, 1, failures=30)
    found = after_failure(late, Failure("x"), Rules(attempts=99), AT)
    assert isinstance(found, Retry)
    assert found.due - AT == timedelta(minutes=10)


def test_a_workspace_that_never_carries_a_batch_out_is_a_failure_in_the_end() -> None:
    record = BatchRecord(batch_of(1), BatchState.RUNNING, 1)
    gone = Failure("canceled", is_interruption=True)
    while isinstance(found := after_failure(record, gone, Rules(), AT), Retry):
        record = BatchRecord(
            record.batch, BatchState.RUNNING, 1, None, found.failures, found.interruptions
        )
    assert isinstance(found, GivingUp)


def test_a_clock_that_was_set_back_makes_no_batch_wait() -> None:
    record = BatchRecord(batch_of(1), BatchState.WAITING, 2, due=AT + timedelta(days=1))
    assert is_due(record, AT)
    assert not is_due(record, AT + timedelta(days=1) - SECOND)


def test_a_command_without_a_time_limit_gets_one_and_its_own_limit_stands(tmp_path: Path) -> None:
    given_jobs: list[Job] = []

    class Watching(InlineWorkspace):
        def submit(self, job: Job, **more: Any) -> JobRecord:
            given_jobs.append(job)
            return super().submit(job, **more)

    steps = {
        "free": Step(component=CommandComponent(command="x")),
        "own": Step(component=CommandComponent(command="x", limits=Limits(timeout=7))),
    }
    place = Place.make(tmp_path / "x", rules=Rules(SOON, timeout=timedelta(minutes=5)))
    place.workspace = Watching(tmp_path / "x" / "jobs")
    place.drop("a.csv", [1])
    (request,) = tick(place.landing).requests
    pipeline = Job(step=Step(component=PipelineComponent(jobs=steps)))
    place.score(request.batch.id, ScoringJob(pipeline, "azureml:doubler:1"))
    component = given_jobs[0].step.component
    assert isinstance(component, PipelineComponent)
    assert component.jobs["free"].limits == Limits(timeout=300)
    assert component.jobs["own"].limits is None


def test_rules_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="attempts"):
        Rules(attempts=0)
