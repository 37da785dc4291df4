"""The `mlops` command: a module for each noun, and `main`, which turns errors into exit statuses."""

from mlops_dagster.cli.main import main

__all__ = ["main"]
