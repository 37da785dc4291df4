"""Measure the model on months that it has not seen, beside a stated baseline.

The baseline is what one would look up without a model: how often this airline was late from this
airport in this hour of the day, in the months that the model has learned from, drawn towards the
overall rate where there were few such flights. Of the tables that we tried it is the strongest:
without the airline it knows less, with the destination its rows have too few flights.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any

import mlflow
import mlflow.sklearn
import pandas as pd
from mlflow.models import Model
from plots import calibration_plot, roc_plot
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

BASELINE = "late rate by airline, airport of departure and scheduled hour, smoothed"
BASELINE_KEYS = ["carrier", "origin", "hour"]
# So many flights at the overall rate are added to every row of the baseline's table.
PRIOR_FLIGHTS = 20

# Months are compared as text: 2013-9 would come after 2013-10.
MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")

METRICS = {
    "auc": roc_auc_score,
    "average_precision": average_precision_score,
    "brier": brier_score_loss,
    "log_loss": log_loss,
}


def main(arguments: argparse.Namespace) -> None:
    identity = model_identity(arguments.model)
    training = identity["training"]
    for month in (arguments.first_month, arguments.last_month):
        if not MONTH.fullmatch(month):
            raise SystemExit(f"evaluate: {month!r} is not a month as YYYY-MM")
    if arguments.first_month <= training["last_month"]:
        raise SystemExit(
            f"evaluate: --first-month {arguments.first_month} is not after "
            f"{training['last_month']}, the last month that the model has learned from"
        )
    rows = labelled_flights(arguments.features)
    seen = within(rows, training["first_month"], training["last_month"])
    unseen = within(rows, arguments.first_month, arguments.last_month)

    scores = unseen[["flight_id", "date", "late"]].assign(
        late_probability=late_probability(arguments.model, unseen),
        baseline_probability=baseline_probability(seen, unseen),
    )
    metrics = measure(scores)
    months = measure_months(scores)
    report = {
        "model": identity,
        "evaluation": {
            "first_month": arguments.first_month,
            "last_month": arguments.last_month,
            "rows": len(scores),
            "late_rate": round(float(scores["late"].mean()), 6),
        },
        "baseline": BASELINE,
        "metrics": metrics,
        "months": months,
    }

    mlflow.log_metrics(metrics)
    for month, values in months.items():
        mlflow.log_metrics({f"{name}_{month}": value for name, value in values.items()})
    write(report, scores, arguments.evaluation)
    print(table(metrics, months))


def model_identity(folder: Path) -> dict[str, Any]:
    """Which model it is, and which months and settings it was trained with."""
    try:
        model = Model.load(str(folder))
    except Exception as error:
        raise SystemExit(f"evaluate: --model {folder} is not an MLflow model: {error}") from error
    training = (model.metadata or {}).get("training")
    if training is None:
        raise SystemExit(f"evaluate: --model {folder} does not say what it has learned from")
    return {"uuid": model.model_uuid, "training": training}


def labelled_flights(folder: Path) -> pd.DataFrame:
    """The flights of which it is known whether they were late, with their month and hour."""
    files = sorted(folder.rglob("*.parquet"))
    if not files:
        raise SystemExit(f"evaluate: no Parquet file in --features {folder}")
    rows = pd.concat((pd.read_parquet(file) for file in files), ignore_index=True)
    rows = rows[rows["late"].notna()].astype({"late": "bool"})
    return rows.assign(month=rows["date"].dt.strftime("%Y-%m"), hour=rows["departure_minute"] // 60)


def within(rows: pd.DataFrame, first_month: str, last_month: str) -> pd.DataFrame:
    """The flights of the months, both included."""
    part = rows[rows["month"].between(first_month, last_month)]
    if part["late"].nunique() < 2:
        raise SystemExit(
            f"evaluate: {len(part):,} labelled flights from {first_month} to {last_month}; "
            "both late and punctual ones are needed"
        )
    return part


def late_probability(folder: Path, flights: pd.DataFrame) -> pd.Series:
    """The model's probability that each flight is late."""
    model = mlflow.sklearn.load_model(str(folder))
    features = flights[list(model.feature_names_in_)]
    return pd.Series(model.predict_proba(features)[:, 1], index=flights.index)


def baseline_probability(seen: pd.DataFrame, flights: pd.DataFrame) -> pd.Series:
    """The smoothed late rate, among the flights seen, of each flight's row of the table."""
    overall = seen["late"].mean()
    groups = seen.groupby(BASELINE_KEYS)["late"].agg(["sum", "count"])
    rates = (groups["sum"] + PRIOR_FLIGHTS * overall) / (groups["count"] + PRIOR_FLIGHTS)
    return (
        flights[BASELINE_KEYS].join(rates.rename("rate"), on=BASELINE_KEYS)["rate"].fillna(overall)
    )


def measure(scores: pd.DataFrame) -> dict[str, float]:
    """Every metric of the model and of the baseline, and how much the model's AUC is above."""
    values = {}
    for name, metric in METRICS.items():
        values[name] = metric(scores["late"], scores["late_probability"])
        values[f"baseline_{name}"] = metric(scores["late"], scores["baseline_probability"])
    values["auc_gain"] = values["auc"] - values["baseline_auc"]
    return {name: round(float(value), 6) for name, value in values.items()}


def measure_months(scores: pd.DataFrame) -> dict[str, dict[str, float]]:
    """The same for each month in which there were late and punctual flights."""
    by_month = scores.groupby(scores["date"].dt.strftime("%Y-%m"))
    return {
        str(month): {"late_rate": round(float(part["late"].mean()), 6)} | measure(part)
        for month, part in by_month
        if part["late"].nunique() == 2
    }


def write(report: dict[str, Any], scores: pd.DataFrame, folder: Path) -> None:
    """Write the evaluation's files, and log its pictures."""
    for name, figure in (
        ("roc.png", roc_plot(scores)),
        ("calibration.png", calibration_plot(scores)),
    ):
        mlflow.log_figure(figure, name)
        figure.savefig(folder / name)
    scores.to_parquet(folder / "reference_scores.parquet", index=False)
    (folder / "metrics.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def table(metrics: dict[str, float], months: dict[str, dict[str, float]]) -> str:
    """The metrics as the log shows them, the model's beside the baseline's."""
    lines = [f"{'':10}" + "".join(f"{name:>26}" for name in METRICS)]
    for label, values in [("all", metrics), *months.items()]:
        pairs = (f"{values[name]:.4f} ({values[f'baseline_{name}']:.4f})" for name in METRICS)
        lines.append(f"{label:10}" + "".join(f"{pair:>26}" for pair in pairs))
    return "\n".join([*lines, f"in brackets the baseline: {BASELINE}"])


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder of the MLflow model")
    parser.add_argument("--features", type=Path, required=True, help="folder to read")
    parser.add_argument("--first-month", required=True, help="first month to evaluate on, YYYY-MM")
    parser.add_argument("--last-month", required=True, help="last month to evaluate on, YYYY-MM")
    parser.add_argument("--evaluation", type=Path, required=True, help="folder to write")
    return parser.parse_args()


if __name__ == "__main__":
    main(parse_arguments())
