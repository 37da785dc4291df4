"""`mlops project`: projects, described by a project.yaml each."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from mlops_dagster.cli.command import command, group, show
from mlops_dagster.cli.output import note
from mlops_dagster.errors import WorkspaceUnavailable
from mlops_dagster.home import find_project
from mlops_dagster.system import atomic

app = group("Projects, described by a project.yaml each.")


@command(app, "schema", example="mlops project schema --file .mlops/project.schema.json")
def schema(
    context: typer.Context,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", metavar="FILE", help="Write it there instead."),
    ] = None,
) -> None:
    """Print the JSON schema of project.yaml, by which an editor completes it."""
    from mlops_dagster.project.json_schema import project_schema

    found = project_schema()
    text = json.dumps(found, indent=2)
    if file is None:
        show(context, found, lambda: print(text))
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(file, f"{text}\n".encode())
    except OSError as error:
        raise WorkspaceUnavailable(f"{file} cannot be written: {error.strerror}.") from None
    show(context, found, lambda: print(file))
    start = find_project() or Path.cwd()
    note(
        "The first line of project.yaml for an editor with the YAML language server:\n"
        f"# yaml-language-server: $schema={os.path.relpath(file.absolute(), start)}"
    )
