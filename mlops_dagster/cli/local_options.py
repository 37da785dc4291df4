"""What the local workspace alone can be asked for when a job is submitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_dagster.cli.output import note
from mlops_dagster.errors import Unsupported

if TYPE_CHECKING:
    from mlops_dagster.aml.job import Job
    from mlops_dagster.workspace.ports import JobRecord, Jobs


@dataclass(frozen=True)
class LocalOptions:
    """``--isolate`` and ``--substitutions``."""

    isolate: bool = False
    substitutions: Path | None = None

    def submit(
        self,
        jobs: Jobs,
        job: Job,
        *,
        name: str | None,
        experiment: str | None,
        reuse: bool,
    ) -> JobRecord:
        """Submit a job; what is worth knowing beforehand goes to stderr.

        Raises Unsupported where they are asked of a workspace that is not this machine.
        """
        from mlops_dagster.workspace.local.jobs.jobs import LocalJobs

        if isinstance(jobs, LocalJobs):
            return jobs.submit(
                job,
                name=name,
                experiment=experiment,
                reuse=reuse,
                isolate=self.isolate,
                substitutions=self.substitutions,
                say=note,
            )
        self._refuse()
        return jobs.submit(job, name=name, experiment=experiment, reuse=reuse)

    def validate(self, jobs: Jobs, job: Job) -> Sequence[str]:
        """As ``submit``, for a job that is only checked."""
        from mlops_dagster.workspace.local.jobs.jobs import LocalJobs

        if isinstance(jobs, LocalJobs):
            return jobs.validate(job, isolate=self.isolate, substitutions=self.substitutions)
        self._refuse()
        return jobs.validate(job)

    def _refuse(self) -> None:
        if self.isolate or self.substitutions is not None:
            raise Unsupported(
                "--isolate and --substitutions are for jobs on this machine.",
                remedy="Leave them out, or submit to the local workspace: mlops --workspace local ...",
            )
