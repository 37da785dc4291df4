"""Hand a model on for registration, with its model card, if it is worth it.

The output is registered by its name in the pipeline, as Azure ML registers any named output; this
step decides whether there is one.
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import yaml

CARD = """\
# Flight delays

The probability that a flight from New York arrives 15 minutes late or more, told before it departs.

- Learned from {training[first_month]} to {training[last_month]}, seed {training[seed]}.
- Evaluated on {evaluation[first_month]} to {evaluation[last_month]}: {evaluation[rows]:,} flights, \
{evaluation[late_rate]:.1%} late.
- Baseline: {baseline}.

| | model | baseline |
|---|---:|---:|
{rows}

AUC by month: {months}.
"""


def main(arguments: argparse.Namespace) -> None:
    report = read_report(arguments.evaluation / "metrics.json")
    found, evaluated = model_uuid(arguments.model), report["model"]["uuid"]
    if found != evaluated:
        raise SystemExit(f"register: the evaluation is of model {evaluated}, not of {found}")

    gain = report["metrics"]["auc_gain"]
    print(f"AUC {report['metrics']['auc']:.4f}, {gain:+.4f} against the baseline")
    if gain < arguments.min_auc_gain:
        raise SystemExit(
            f"register: refused: the AUC is {gain:+.4f} against the baseline's; "
            f"{arguments.min_auc_gain:+.4f} is asked for"
        )
    copy_files(arguments.model, arguments.registered_model)
    card = model_card(report)
    (arguments.registered_model / "model_card.md").write_text(card, encoding="utf-8")
    print("accepted, with its model card")


def read_report(path: Path) -> dict[str, Any]:
    """The report that the evaluation wrote."""
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        report["model"]["uuid"], report["metrics"]["auc_gain"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SystemExit(f"register: cannot read the evaluation's {path}: {error!r}") from error
    return report


def model_uuid(folder: Path) -> str:
    """What tells an MLflow model from all others."""
    try:
        return str(yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))["model_uuid"])
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise SystemExit(f"register: --model {folder} is no MLflow model: {error!r}") from error


def copy_files(source: Path, target: Path) -> None:
    """Copy the files of a folder, but not their modes: an input may be read-only."""
    for path in sorted(source.rglob("*")):
        if path.is_file():
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def model_card(report: dict[str, Any]) -> str:
    """What someone who is offered the model should know of it, in Markdown."""
    metrics = report["metrics"]
    names = [name for name in metrics if f"baseline_{name}" in metrics]
    rows = [
        f"| {name} | {metrics[name]:.4f} | {metrics[f'baseline_{name}']:.4f} |" for name in names
    ]
    months = ", ".join(f"{month} {values['auc']:.4f}" for month, values in report["months"].items())
    return CARD.format(
        training=report["model"]["training"],
        evaluation=report["evaluation"],
        baseline=report["baseline"],
        rows="\n".join(rows),
        months=months,
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder of the MLflow model")
    parser.add_argument("--evaluation", type=Path, required=True, help="folder of its evaluation")
    parser.add_argument("--min-auc-gain", type=float, default=0.02, help="asked of the model")
    parser.add_argument("--registered-model", type=Path, required=True, help="folder to write")
    return parser.parse_args()


if __name__ == "__main__":
    main(parse_arguments())
