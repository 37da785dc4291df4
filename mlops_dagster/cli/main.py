"""The `mlops` command: the tree of its commands, and the exit status of an error.

Exit statuses: 0 what was asked for happened; 1 it did not; 2 the request itself is wrong;
130 interrupted by Ctrl-C.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.main import get_command

from mlops_dagster.cli import check, doctor, mlflow
from mlops_dagster.cli.command import Group, command
from mlops_dagster.cli.dagster import ui
from mlops_dagster.cli.demo import command as demo
from mlops_dagster.cli.nouns import compute, data, job, landing, model, project, schedule
from mlops_dagster.cli.output import visible
from mlops_dagster.cli.session import Session
from mlops_dagster.errors import MlopsError

app = typer.Typer(
    name="mlops",
    cls=Group,
    help="Run Azure Machine Learning's YAML on this machine, and see it in Dagster.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# A new noun: a module in nouns/, a line here, and a section for each command in docs/cli.md.
command(app, "demo", example="mlops demo --project projects/flight_delays")(demo.demo)
command(app, "ui", example="mlops ui --port 3001 --no-open", prints_data=False)(ui.ui)
command(app, "mlflow", example="mlops mlflow train-1", prints_data=False)(mlflow.mlflow)
command(app, "check", example="mlops check pipelines code --official")(check.check)
app.add_typer(job.app, name="job")
app.add_typer(schedule.app, name="schedule")
app.add_typer(model.app, name="model")
app.add_typer(data.app, name="data")
app.add_typer(compute.app, name="compute")
app.add_typer(landing.app, name="landing")
app.add_typer(project.app, name="project")
command(app, "stop", example="mlops stop", prints_data=False)(ui.stop)
command(app, "doctor", example="mlops doctor")(doctor.doctor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    Args:
        arguments: without the program's name; None takes them from the command line.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a name still gets the rest of the line.
            stream.reconfigure(errors="backslashreplace")
    try:
        status = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has left (`mlops job list | head -1`); there is nobody to tell.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def _run(arguments: Sequence[str] | None) -> int:
    try:
        get_command(app).main(args=arguments, prog_name="mlops")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except MlopsError as error:
        _print_error(str(error))
        return error.exit_status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        raise
    except Exception as error:
        # A traceback is shown on request only.
        if os.environ.get("MLOPS_DEBUG"):
            raise
        text = " ".join(str(error).split())
        _print_error(f"{type(error).__name__}: {text}\n  Run with MLOPS_DEBUG=1 for the traceback.")
        return 1
    return 0


def _print_error(text: str) -> None:
    red, plain = ("\x1b[1;31m", "\x1b[0m") if _in_colour() else ("", "")
    sys.stdout.flush()
    print(f"{red}Error:{plain} {visible(text, lines=True)}", file=sys.stderr)


def _in_colour() -> bool:
    return sys.stderr.isatty() and "NO_COLOR" not in os.environ


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"mlops {version('mlops_dagster')}")
        raise typer.Exit


@app.callback()
def _global_options(
    context: typer.Context,
    workspace: Annotated[
        str | None,
        typer.Option(
            help="The workspace to work in; by default MLOPS_WORKSPACE, else this machine.",
            metavar="NAME",
        ),
    ] = None,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and end.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    context.obj = Session(workspace)
