"""Spark applications: `spark-submit` on this machine, where pyspark and Java are installed.

Source: learn.microsoft.com/azure/machine-learning/reference-yaml-job-spark; the launcher's
options: spark.apache.org/docs/latest/submitting-applications.html
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_dagster.errors import InvalidRequest, Unsupported
from mlops_dagster.system.processes import Launch
from mlops_dagster.workspace.local.kinds.task import Task

if TYPE_CHECKING:
    from mlops_dagster.aml.job import Step

REMEDY = "Install them: pip install 'mlops_dagster[spark]', and Java 17 or newer."

_FILES = ("py_files", "jars", "files", "archives")
# On loopback only, and without the web page, which would take a port of every address.
_OURS = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}


def missing(environment: Mapping[str, str] = os.environ) -> str | None:
    """What a Spark job lacks here: ``pyspark``, ``Java`` or ``both``; None where it has them."""
    lacking = []
    if _submit(environment) is None:
        lacking.append("pyspark")
    home = environment.get("JAVA_HOME")
    java = Path(home, "bin", "java") if home else None
    if not (java and java.exists()) and shutil.which("java", path=environment.get("PATH")) is None:
        lacking.append("Java")
    return "both" if len(lacking) > 1 else next(iter(lacking), None)


def body(step: Step, fill: Callable[[str], str]) -> dict[str, Any]:
    """The application, its files and its configuration."""
    from mlops_dagster.aml.job import SparkComponent

    component = step.component
    assert isinstance(component, SparkComponent)  # noqa: S101 - the table of kinds says so
    if "class_name" in component.entry and not component.jars:
        raise InvalidRequest(
            f"The Spark job {step.name!r} names a class and no jar that holds it.",
            remedy="Add it under `jars:`, the first of which is the application.",
        )
    return {
        "entry": {name: fill(text) for name, text in component.entry.items()},
        "arguments": fill(component.args or ""),
        "conf": {name: fill(_text(value)) for name, value in component.conf.items()},
        **{name: [fill(text) for text in getattr(component, name)] for name in _FILES},
    }


def launches(task: Task) -> Sequence[Launch]:
    """The one process that launches the driver.

    Raises Unsupported where Spark is gone since the job was submitted.
    """
    submit = _submit(task.environment)
    if submit is None or missing(task.environment):
        lacking = missing(task.environment)
        raise Unsupported(f"Spark needs pyspark and Java; missing: {lacking}.", remedy=REMEDY)
    for place in task.outputs.values():
        if place.is_dir():
            place.rmdir()  # Spark refuses to write into a folder that is there, by default
    return [Launch([submit, *command_line(task)], _environment(task))]


def command_line(task: Task) -> list[str]:
    """The launcher's arguments; each value of the job's is one of them, or a part of one."""
    from mlops_dagster.aml.bindings import fill, render

    body = task.step.body
    conf = {name: fill(text, task.text_of) for name, text in body["conf"].items()}
    jars: list[str] = body["jars"]
    arguments = ["--master", "local[*]", "--name", task.step.job]
    for name, value in {**_OURS, **conf}.items():
        arguments += ["--conf", f"{name}={value}"]
    if "class_name" in body["entry"]:
        arguments += ["--class", body["entry"]["class_name"]]
        application, jars = jars[0], jars[1:]
    else:
        application = body["entry"]["file"]
    for name, paths in {**{name: body[name] for name in _FILES}, "jars": jars}.items():
        if paths:
            arguments += [f"--{name.replace('_', '-')}", ",".join(paths)]
    return [*arguments, application, *shlex.split(render(body["arguments"], task.text_of))]


def _environment(task: Task) -> dict[str, str]:
    python = str(task.interpreter.python)
    own = {"PYSPARK_PYTHON": python, "PYSPARK_DRIVER_PYTHON": python, "SPARK_LOCAL_IP": "127.0.0.1"}
    return {**own, **task.environment}


def _submit(environment: Mapping[str, str]) -> str | None:
    """The launcher: the one on the path, or the one that this interpreter's pyspark brings."""
    if found := shutil.which("spark-submit", path=environment.get("PATH")):
        return found
    spec = find_spec("pyspark")
    folders = spec.submodule_search_locations if spec is not None else None
    places = [Path(folder, "bin", "spark-submit") for folder in folders or ()]
    return next((str(place) for place in places if place.exists()), None)


def _text(value: str | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
