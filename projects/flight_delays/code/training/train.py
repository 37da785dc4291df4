"""Fit the model that tells how likely a flight arrives late, and save it as an MLflow model.

Airlines and airports are encoded, and everything else is learned, from the rows of the training
months alone. The months and the seed travel with the model, so that whoever evaluates it knows
what it has seen.
"""

import argparse
import re
import time
from importlib.metadata import version
from pathlib import Path

import mlflow
import mlflow.sklearn
import pandas as pd
from mlflow.models import infer_signature
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OrdinalEncoder

CATEGORIES = ["carrier", "origin", "dest"]
NUMBERS = [
    *("departure_minute", "arrival_minute", "scheduled_minutes", "day_of_week", "distance"),
    *("plane_age", "plane_seats"),
    *("temp", "dewp", "humid", "precip", "pressure", "visib"),
    *("wind_dir", "wind_speed", "wind_gust"),
]
FEATURES = [*CATEGORIES, *NUMBERS]

# Months are compared as text: 2013-9 would come after 2013-10.
MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


def main(arguments: argparse.Namespace) -> None:
    rows = known_labels(arguments.features, arguments.first_month, arguments.last_month)
    late_rate = rows["late"].mean()
    print(f"{len(rows):,} flights, {late_rate:.1%} late, {len(FEATURES)} features")

    parameters = {
        "learning_rate": arguments.learning_rate,
        "trees": arguments.trees,
        "min_samples_leaf": arguments.min_samples_leaf,
        "l2_regularization": arguments.l2_regularization,
        "seed": arguments.seed,
    }
    window = {"first_month": arguments.first_month, "last_month": arguments.last_month}
    mlflow.log_params(parameters | window)

    started = time.monotonic()
    model = make_model(**parameters).fit(rows[FEATURES], rows["late"])
    seconds = time.monotonic() - started
    mlflow.log_metrics(
        {"train_rows": len(rows), "train_late_rate": late_rate, "fit_seconds": seconds}
    )
    print(f"{arguments.trees} trees fitted in {seconds:.1f} s")

    save(model, arguments.model, rows, metadata={"training": parameters | window})
    print("model saved")


def known_labels(folder: Path, first_month: str, last_month: str) -> pd.DataFrame:
    """The flights of the months, both included, of which it is known whether they were late."""
    for month in (first_month, last_month):
        if not MONTH.fullmatch(month):
            raise SystemExit(f"train: {month!r} is not a month as YYYY-MM")
    files = sorted(folder.rglob("*.parquet"))
    if not files:
        raise SystemExit(f"train: no Parquet file in --features {folder}")
    rows = pd.concat((pd.read_parquet(file) for file in files), ignore_index=True)
    month = rows["date"].dt.strftime("%Y-%m")
    rows = rows[month.between(first_month, last_month) & rows["late"].notna()]
    if rows["late"].nunique() < 2:
        raise SystemExit(
            f"train: {len(rows):,} labelled flights from {first_month} to {last_month}; "
            "both late and punctual ones are needed"
        )
    labelled: pd.DataFrame = rows.astype({"late": "bool"})
    return labelled


def make_model(
    *,
    learning_rate: float,
    trees: int,
    min_samples_leaf: int,
    l2_regularization: float,
    seed: int,
) -> Pipeline:
    """Gradient-boosted trees over the features; an airport never seen counts as unknown."""
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=float("nan"))
    return make_pipeline(
        make_column_transformer((encoder, CATEGORIES), ("passthrough", NUMBERS)),
        HistGradientBoostingClassifier(
            learning_rate=learning_rate,
            max_iter=trees,
            min_samples_leaf=min_samples_leaf,
            l2_regularization=l2_regularization,
            categorical_features=list(range(len(CATEGORIES))),
            early_stopping=False,
            random_state=seed,
        ),
    )


def save(model: Pipeline, folder: Path, rows: pd.DataFrame, metadata: dict[str, object]) -> None:
    """Save the model, with what serving it needs: signature, example and exact requirements."""
    example = rows[FEATURES].head(3)
    libraries = ("cloudpickle", "mlflow", "numpy", "pandas", "scikit-learn")
    mlflow.sklearn.save_model(
        model,
        folder,
        signature=infer_signature(example, model.predict_proba(example)),
        input_example=example,
        pip_requirements=[f"{library}=={version(library)}" for library in libraries],
        pyfunc_predict_fn="predict_proba",
        # MLflow's own default refuses trees; the model comes from our own pipeline only.
        serialization_format="cloudpickle",
        metadata=metadata,
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=Path, required=True, help="folder to read")
    parser.add_argument("--first-month", required=True, help="first month to learn from, YYYY-MM")
    parser.add_argument("--last-month", required=True, help="last month to learn from, YYYY-MM")
    parser.add_argument("--learning-rate", type=float, default=0.05)
    parser.add_argument("--trees", type=int, default=200)
    parser.add_argument("--min-samples-leaf", type=int, default=200)
    parser.add_argument("--l2-regularization", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=2013)
    parser.add_argument("--model", type=Path, required=True, help="folder to write")
    return parser.parse_args()


if __name__ == "__main__":
    main(parse_arguments())
