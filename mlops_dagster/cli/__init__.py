"""The `mlops` command: its nouns in `nouns/`, `demo/`, Dagster's instance and UI in `dagster/`; `main`."""

from mlops_dagster.cli.main import main

__all__ = ["main"]
