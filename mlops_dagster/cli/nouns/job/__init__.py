"""`mlops job`: submit jobs, follow them, and fetch what they leave, in the words of `az ml job`."""

from __future__ import annotations

# In the order in which help lists their commands.
from mlops_dagster.cli.nouns.job import submitting

# isort: split
from mlops_dagster.cli.nouns.job import reading

# isort: split
from mlops_dagster.cli.nouns.job import changing

# isort: split
from mlops_dagster.cli.nouns.job.app import app

__all__ = ["app", "submitting", "reading", "changing"]
