"""The two pictures of an evaluation, each of the model beside its baseline."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_auc_score, roc_curve

SERIES = {"model": "late_probability", "baseline": "baseline_probability"}


def roc_plot(scores: pd.DataFrame) -> Figure:
    """How many late flights are found, for how many punctual ones suspected."""
    figure, axes = square("punctual flights suspected", "late flights found")
    for label, column in SERIES.items():
        suspected, found, _ = roc_curve(scores["late"], scores[column])
        auc = roc_auc_score(scores["late"], scores[column])
        axes.plot(suspected, found, label=f"{label}, AUC {auc:.3f}")
    axes.legend(loc="lower right", frameon=False)
    return figure


def calibration_plot(scores: pd.DataFrame) -> Figure:
    """How often flights were late that were said to be so with a certain probability."""
    figure, axes = square("predicted probability", "late flights")
    for label, column in SERIES.items():
        late, predicted = calibration_curve(
            scores["late"], scores[column], n_bins=10, strategy="quantile"
        )
        axes.plot(predicted, late, marker="o", markersize=3, label=label)
    axes.legend(loc="upper left", frameon=False)
    return figure


def square(x: str, y: str) -> tuple[Figure, Axes]:
    """A small square picture from 0 to 1 with its diagonal."""
    figure = Figure(figsize=(4, 4), dpi=100, layout="tight")
    axes = figure.add_subplot(xlim=(0, 1), ylim=(0, 1), xlabel=x, ylabel=y, aspect="equal")
    axes.plot([0, 1], [0, 1], color="lightgray", linewidth=1)
    return figure, axes
