"""A landing in a temporary folder, a workspace that scores in this process, and files to drop."""

from __future__ import annotations

import shutil
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pandas as pd

from mlops_dagster.aml.job import CommandComponent, Job, Step
from mlops_dagster.errors import NotFound
from mlops_dagster.landing import (
    BatchOutcome,
    DropState,
    Landing,
    Limits,
    Rules,
    ScoringJob,
    Selection,
    open_landing,
    score_batch,
    tick,
)
from mlops_dagster.workspace.ports import JobRecord, JobStatus, OutputRecord, Workspace

Score = Callable[[Path, Path, Path], None]
SOON = Limits(age=timedelta(0))
AT_ONCE = timedelta(0)


def score_files(drops: Path, scores: Path, rejected: Path) -> None:
    """Double each value; a value that is no number is rejected, and a file without ``value`` too."""
    for file in sorted(drops.iterdir()):
        raw = pd.read_csv(file, dtype=str) if file.suffix == ".csv" else pd.read_parquet(file)
        if "value" not in raw:
            bad = pd.DataFrame({"row": pd.array([None], dtype="Int64"), "reason": ["no value"]})
            bad.to_parquet(rejected / f"{file.name}.parquet", index=False)
            continue
        value = pd.to_numeric(raw["value"], errors="coerce")
        good = value.notna()
        if good.any():
            scored = pd.DataFrame({"key": raw["key"][good], "score": value[good] * 2})
            scored.to_parquet(scores / f"{file.name}.parquet", index=False)
        if not good.all():
            bad = raw[~good].astype(str)
            bad = bad.assign(row=bad.index.astype("int64"), reason="not a number")
            bad.to_parquet(rejected / f"{file.name}.parquet", index=False)


class InlineWorkspace:
    """Jobs that run when they are submitted; their folder appears whole, under their name."""

    def __init__(self, folder: Path, score: Score = score_files) -> None:
        self.folder = folder
        self.score = score
        self.name = "inline"
        self.runs = 0

    @property
    def jobs(self) -> InlineWorkspace:
        return self

    @property
    def data(self) -> InlineWorkspace:
        return self

    def submit(self, job: Job, *, name: str, tags: Mapping[str, str], **_: Any) -> JobRecord:
        place = self.folder / name
        if not place.exists():
            self.runs += 1
            made = self.folder / f".{uuid.uuid4().hex}"
            for output in ("scores", "rejected"):
                (made / output).mkdir(parents=True)
            drops = Path(cast(str, job.step.inputs["drops"].path))
            try:
                self.score(drops, made / "scores", made / "rejected")
            except Exception as error:  # noqa: BLE001 - a job's failure is its own
                shutil.rmtree(made)
                made.mkdir()
                (made / "error").write_text(str(error))
            (made / "model").write_text(tags["landing.model"])
            try:
                made.rename(place)
            except OSError:  # another submitter of the same name was faster
                if not place.exists():
                    raise
        return self.get(name)

    def get(self, name: str) -> JobRecord:
        place = self.folder / name
        if not place.exists():
            raise NotFound("job", name)
        error = place / "error"
        status = JobStatus.FAILED if error.exists() else JobStatus.COMPLETED
        outputs = {
            output: OutputRecord(name=output, type="uri_folder", uri=str(place / output))
            for output in ("scores", "rejected")
            if status is JobStatus.COMPLETED
        }
        return JobRecord(
            name=name,
            type="pipeline",
            status=status,
            experiment="tests",
            created_at=datetime.now(UTC),
            outputs=outputs,
            tags={"landing.model": (place / "model").read_text()},
            error=error.read_text() if error.exists() else None,
        )

    def wait(self, name: str, *, timeout: float | None = None) -> JobRecord:
        return self.get(name)

    def local_path(self, uri: str) -> Path:
        return Path(uri)


JOB = Job(step=Step(component=CommandComponent(command="score")))
SCORING = ScoringJob(JOB, "azureml:doubler:1")


@dataclass
class Place:
    """A landing to drop files into."""

    root: Path
    landing: Landing
    workspace: InlineWorkspace

    @classmethod
    def make(
        cls,
        root: Path,
        *,
        rules: Rules | None = None,
        selection: Selection | None = None,
        score: Score = score_files,
        **more: Any,
    ) -> Place:
        (root / "drops").mkdir(parents=True, exist_ok=True)
        (root / "jobs").mkdir(exist_ok=True)
        landing = open_landing(
            "flights",
            drops=more.pop("drops", root / "drops"),
            home=root / ".mlops",
            rules=rules or Rules(limits=SOON, retry_delay=AT_ONCE),
            selection=selection,
            **more,
        )
        return cls(root, landing, InlineWorkspace(root / "jobs", score))

    def drop(self, name: str, values: Sequence[object], *, key: str | None = None) -> Path:
        """Drop a file of rows; each key is the file's name and the row's place."""
        path = self.root / "drops" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = self.root / f"staged-{uuid.uuid4().hex}{path.suffix}"
        keys = [f"{key or name}:{place}" for place in range(len(values))]
        table = pd.DataFrame({"key": keys, "value": [str(value) for value in values]})
        if path.suffix == ".csv":
            table.to_csv(staged, index=False)
        else:
            table.to_parquet(staged, index=False)
        staged.replace(path)
        return path

    def score(self, batch: str, scoring: ScoringJob = SCORING) -> BatchOutcome:
        workspace = cast(Workspace, self.workspace)
        return score_batch(self.landing, batch, workspace=workspace, scoring=scoring)

    def run(self, *, rounds: int = 20) -> list[BatchOutcome]:
        """Tick and score until nothing is asked for."""
        outcomes: list[BatchOutcome] = []
        for _ in range(rounds):
            found = tick(self.landing)
            if found.problem:
                continue
            if not found.requests and found.complete and not found.made:
                return outcomes
            outcomes += [self.score(request.batch.id) for request in found.requests]
        raise AssertionError(f"still at work after {rounds} rounds: {outcomes}")

    def scores(self) -> pd.DataFrame:
        return self._table(self.landing.tables.scores)

    def quarantine(self) -> pd.DataFrame:
        return self._table(self.landing.tables.quarantine)

    def keys(self) -> Counter[str]:
        scores = self.scores()
        return Counter(scores["key"]) if len(scores) else Counter()

    def states(self) -> dict[str, DropState]:
        return {record.drop.path: record.state for record in self.landing.ledger.drops()}

    def reasons(self) -> dict[str, str]:
        return {
            record.drop.path: record.outcome.reason or ""
            for record in self.landing.ledger.drops()
            if record.outcome is not None
        }

    def _table(self, uri: str) -> pd.DataFrame:
        table = self.landing.tables.open(uri)
        return table.to_pandas() if table is not None else pd.DataFrame()


def expected(files: Mapping[str, int]) -> Counter[str]:
    return Counter(f"{name}:{place}" for name, rows in files.items() for place in range(rows))
