"""What a job does, as a digest: one name stands for one job as long as it is the same."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mlops_dagster.workspace.local.ground.plan import Data, Plan, PlannedStep

if TYPE_CHECKING:
    from mlops_dagster.aml.job import Job


def content_digest(job: Job, plan: Plan) -> str:
    """Digest of what was asked for, and of what that means here when it is submitted.

    The code, the software, the environment variables and the content of local inputs count. A
    registered input counts as it was asked for, so that a new version changes nothing.
    """
    whole = {"job": job.step.model_dump(mode="json"), "steps": [_step(each) for each in plan.steps]}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def _step(step: PlannedStep) -> dict[str, Any]:
    return {
        "path": step.path,
        "kind": step.kind,
        "body": step.body,
        "code": step.code,
        "runtime": {**asdict(step.runtime), "notes": ()},
        "environment_variables": step.environment_variables,
        "inputs": {
            name: value.uri
            for name, value in step.inputs.items()
            if isinstance(value, Data) and value.version is None
        },
    }
