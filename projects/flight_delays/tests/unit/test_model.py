"""Training, evaluation, registration and scoring, on made-up flights with a pattern to find."""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

Step = Callable[[str, str], ModuleType]

# MLflow compares an input example's columns with a range, which pandas is about to redefine.
pytestmark = pytest.mark.filterwarnings("ignore:Operation with range is deprecated")

PARAMETERS = {
    "learning_rate": 0.1,
    "trees": 20,
    "min_samples_leaf": 20,
    "l2_regularization": 1.0,
    "seed": 7,
}


@pytest.fixture(scope="module", autouse=True)
def one_thread(train: ModuleType) -> Iterator[None]:
    """Small models are fitted faster by one thread than by several that wait for a core."""
    # After `train`, which loads the library whose threads are limited.
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def train(step: Step) -> ModuleType:
    return step("training", "train")


@pytest.fixture(scope="module")
def evaluate(step: Step) -> ModuleType:
    return step("evaluation", "evaluate")


@pytest.fixture(scope="module")
def register(step: Step) -> ModuleType:
    return step("registration", "register")


@pytest.fixture(scope="module")
def features(train: ModuleType) -> pd.DataFrame:
    """Three months of flights that are late the likelier the windier it is; one in ten unknown."""
    chance = np.random.default_rng(0)
    rows = 3_000
    table = pd.DataFrame(
        {
            "flight_id": [f"flight-{row}" for row in range(rows)],
            "date": pd.Timestamp("2013-01-01") + pd.to_timedelta(np.arange(rows) % 90, "D"),
            "carrier": chance.choice(["UA", "DL"], rows),
            "flight": 1,
            "origin": chance.choice(["EWR", "JFK", "LGA"], rows),
            "dest": chance.choice(["BOS", "LAX"], rows),
            **{name: chance.normal(size=rows) for name in train.NUMBERS},
            "source": "a.parquet",
            "row": np.arange(rows),
        }
    )
    table["departure_minute"] = chance.integers(300, 1380, rows).astype("float64")
    late = chance.random(rows) < 1 / (1 + np.exp(2 - 2 * table["wind_speed"]))
    known = pd.Series(chance.random(rows) < 0.9)
    return table.assign(late=late.astype("boolean").where(known))


@pytest.fixture(scope="module")
def folder(features: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, as the preprocessing leaves it: files at some depth."""
    folder = tmp_path_factory.mktemp("features")
    for month, rows in features.groupby(features["date"].dt.month):
        (folder / f"month={month}").mkdir()
        rows.to_parquet(folder / f"month={month}" / "flights.parquet", index=False)
    return folder


@pytest.fixture(scope="module")
def saved_model(train: ModuleType, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of January and February in MLflow's format."""
    rows = train.known_labels(folder, "2013-01", "2013-02")
    model = train.make_model(**PARAMETERS).fit(rows[train.FEATURES], rows["late"])
    path = tmp_path_factory.mktemp("model") / "model"
    window = {"first_month": "2013-01", "last_month": "2013-02"}
    train.save(model, path, rows, metadata={"training": PARAMETERS | window})
    return path


class TestTraining:
    def test_only_the_months_asked_for_with_a_known_label_are_learned_from(
        self, train: ModuleType, features: pd.DataFrame, folder: Path
    ) -> None:
        rows = train.known_labels(folder, "2013-02", "2013-02")
        february = features[features["date"].dt.month == 2]
        assert sorted(rows["flight_id"]) == sorted(
            february.loc[february["late"].notna(), "flight_id"]
        )

    @pytest.mark.parametrize(("first", "last"), [("2014-01", "2014-02"), ("2013-02", "2013-01")])
    def test_months_without_flights_are_refused_by_name(
        self, train: ModuleType, folder: Path, first: str, last: str
    ) -> None:
        with pytest.raises(SystemExit, match=f"0 labelled flights from {first} to {last}"):
            train.known_labels(folder, first, last)

    def test_a_month_that_would_sort_wrongly_is_refused(
        self, train: ModuleType, folder: Path
    ) -> None:
        with pytest.raises(SystemExit, match="'2013-2' is not a month as YYYY-MM"):
            train.known_labels(folder, "2013-01", "2013-2")

    def test_a_folder_without_features_is_refused(self, train: ModuleType, tmp_path: Path) -> None:
        with pytest.raises(SystemExit, match="no Parquet file"):
            train.known_labels(tmp_path, "2013-01", "2013-02")

    def test_the_same_seed_gives_the_same_model(self, train: ModuleType, folder: Path) -> None:
        rows = train.known_labels(folder, "2013-01", "2013-02")
        first, second = (
            train.make_model(**PARAMETERS)
            .fit(rows[train.FEATURES], rows["late"])
            .predict_proba(rows[train.FEATURES])
            for _ in range(2)
        )
        assert (first == second).all()

    def test_an_airport_never_seen_and_missing_values_are_scored(
        self, train: ModuleType, folder: Path, saved_model: Path
    ) -> None:
        import mlflow.pyfunc

        model = mlflow.pyfunc.load_model(str(saved_model))
        row = train.known_labels(folder, "2013-03", "2013-03")[train.FEATURES].head(1)
        unknown = row.assign(dest="XXX", temp=float("nan"), plane_age=float("nan"))
        assert model.predict(unknown).sum() == pytest.approx(1)


class TestEvaluation:
    def test_the_baseline_learns_from_the_flights_seen_alone(self, evaluate: ModuleType) -> None:
        seen = pd.DataFrame(
            {"carrier": "UA", "origin": "EWR", "hour": [6, 6, 7, 7], "late": [1, 1, 0, 1]}
        )
        asked = pd.DataFrame({"carrier": ["UA", "DL"], "origin": "EWR", "hour": [6, 6]})
        known, unknown = evaluate.baseline_probability(seen, asked)
        prior = evaluate.PRIOR_FLIGHTS
        assert known == pytest.approx((2 + prior * 0.75) / (2 + prior))
        assert unknown == 0.75

    @pytest.mark.parametrize(
        ("first_month", "complaint"),
        [
            ("2013-02", "2013-02 is not after 2013-02"),
            ("2013-3", "'2013-3' is not a month as YYYY-MM"),
            ("2013-04", "0 labelled flights from 2013-04 to 2013-05"),
        ],
    )
    def test_months_that_do_not_serve_are_refused(
        self,
        evaluate: ModuleType,
        saved_model: Path,
        folder: Path,
        tmp_path: Path,
        first_month: str,
        complaint: str,
    ) -> None:
        arguments = argparse.Namespace(
            model=saved_model,
            features=folder,
            first_month=first_month,
            last_month="2013-05",
            evaluation=tmp_path,
        )
        with pytest.raises(SystemExit, match=complaint):
            evaluate.main(arguments)

    def test_a_folder_that_is_no_model_is_refused(
        self, evaluate: ModuleType, tmp_path: Path
    ) -> None:
        with pytest.raises(SystemExit, match="is not an MLflow model"):
            evaluate.model_identity(tmp_path)

    def test_the_gain_is_against_the_baseline_and_perfect_scores_are_told_so(
        self, evaluate: ModuleType
    ) -> None:
        scores = pd.DataFrame(
            {
                "late": [True, False, True, False],
                "late_probability": [0.9, 0.1, 0.8, 0.2],
                "baseline_probability": [0.5, 0.5, 0.5, 0.5],
            }
        )
        metrics = evaluate.measure(scores)
        assert (metrics["auc"], metrics["baseline_auc"], metrics["auc_gain"]) == (1, 0.5, 0.5)
        assert metrics["brier"] == pytest.approx(0.025)

    def test_a_month_in_which_all_were_punctual_has_no_metrics(self, evaluate: ModuleType) -> None:
        scores = pd.DataFrame(
            {
                "date": pd.to_datetime(["2013-09-01", "2013-09-02", "2013-10-01", "2013-10-02"]),
                "late": [True, False, False, False],
                "late_probability": 0.5,
                "baseline_probability": 0.5,
            }
        )
        assert list(evaluate.measure_months(scores)) == ["2013-09"]


class TestRegistration:
    @pytest.fixture
    def arguments(
        self, register: ModuleType, saved_model: Path, tmp_path: Path
    ) -> argparse.Namespace:
        """A model that is 0.05 better than its baseline."""
        metrics = {"auc": 0.7, "baseline_auc": 0.65, "auc_gain": 0.05}
        window = {"first_month": "2013-01", "last_month": "2013-02"}
        report = {
            "model": {"uuid": register.model_uuid(saved_model), "training": PARAMETERS | window},
            "evaluation": window | {"rows": 1234, "late_rate": 0.2},
            "baseline": "a table",
            "metrics": metrics,
            "months": {"2013-03": metrics},
        }
        (tmp_path / "metrics.json").write_text(json.dumps(report))
        return argparse.Namespace(
            model=saved_model,
            evaluation=tmp_path,
            min_auc_gain=0.02,
            registered_model=tmp_path / "registered",
        )

    def test_a_model_that_is_good_enough_is_handed_on_with_its_card(
        self, register: ModuleType, arguments: argparse.Namespace
    ) -> None:
        register.main(arguments)
        model, handed_on = arguments.model, arguments.registered_model
        for path in (path for path in model.rglob("*") if path.is_file()):
            assert (handed_on / path.relative_to(model)).read_bytes() == path.read_bytes()
        card = (handed_on / "model_card.md").read_text()
        assert "| auc | 0.7000 | 0.6500 |" in card
        assert "Learned from 2013-01 to 2013-02, seed 7." in card

    def test_a_model_that_is_not_is_refused_and_nothing_is_written(
        self, register: ModuleType, arguments: argparse.Namespace
    ) -> None:
        arguments.min_auc_gain = 0.06
        with pytest.raises(SystemExit, match=r"refused: the AUC is \+0.0500 .* \+0.0600 is asked"):
            register.main(arguments)
        assert not arguments.registered_model.exists()

    def test_the_evaluation_of_another_model_is_no_evidence(
        self, register: ModuleType, arguments: argparse.Namespace
    ) -> None:
        report = arguments.evaluation / "metrics.json"
        uuid = register.model_uuid(arguments.model)
        report.write_text(report.read_text().replace(uuid, "another"))
        with pytest.raises(SystemExit, match=f"is of model another, not of {uuid}"):
            register.main(arguments)

    @pytest.mark.parametrize("content", ["", "[]", '{"model": {}}'])
    def test_an_evaluation_that_cannot_be_read_is_refused(
        self, register: ModuleType, arguments: argparse.Namespace, content: str
    ) -> None:
        (arguments.evaluation / "metrics.json").write_text(content)
        with pytest.raises(SystemExit, match=r"cannot read the evaluation's .*metrics\.json"):
            register.main(arguments)


class TestScoring:
    @pytest.fixture
    def score(
        self, step: Step, saved_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> ModuleType:
        """A worker that is ready, started with an argument of Azure ML's own besides."""
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        argv = ["score.py", "--model", saved_model, "--scores", tmp_path / "scores", "--node", "0"]
        monkeypatch.setattr("sys.argv", [str(argument) for argument in argv])
        module = step("scoring", "score")
        module.init()
        return module

    def test_every_flight_gets_a_probability_and_every_file_a_line(
        self, score: ModuleType, features: pd.DataFrame, folder: Path
    ) -> None:
        files = sorted(str(path) for path in folder.rglob("*.parquet"))
        lines = score.run(files[:1])
        assert len(lines) == 1
        written = score.options.scores / "flights.parquet"
        scores = pd.read_parquet(written)
        assert scores["flight_id"].tolist() == pd.read_parquet(files[0])["flight_id"].tolist()
        assert scores["late_probability"].between(0, 1).all()
        assert scores["late_predicted"].equals(scores["late_probability"] >= 0.5)
        assert scores["row"].tolist() == pd.read_parquet(files[0])["row"].tolist()
        assert [path.name for path in written.parent.iterdir()] == ["flights.parquet"]

    def test_features_of_no_rows_are_passed_over(
        self, score: ModuleType, features: pd.DataFrame, tmp_path: Path
    ) -> None:
        file = tmp_path / "none.parquet"
        features.head(0).assign(source="none.csv").to_parquet(file)
        assert score.run([str(file)]) == ["none.parquet: no rows to score"]

    def test_scoring_a_file_again_writes_the_same_scores(
        self, score: ModuleType, folder: Path
    ) -> None:
        file = str(next(folder.rglob("*.parquet")))
        first = [score.run([file]), (score.options.scores / "flights.parquet").read_bytes()]
        assert [score.run([file]), (score.options.scores / "flights.parquet").read_bytes()] == first

    @pytest.mark.parametrize("source", ["../../etc/a.parquet", "/etc/a.parquet"])
    def test_scores_are_never_written_outside_of_their_folder(
        self, score: ModuleType, features: pd.DataFrame, tmp_path: Path, source: str
    ) -> None:
        file = tmp_path / "a.parquet"
        features.head(2).assign(source=source).to_parquet(file)
        with pytest.raises(ValueError, match="outside of its folder"):
            score.run([str(file)])
