"""Requests to MLflow in which the name of a job stands for its run.

On Azure ML a job's name is the id of its run; MLflow's server chooses ids of its own. These
functions put the id in place of the name wherever MLflow's REST interface takes one
(mlflow.org/docs/latest/api_reference/rest-api.html).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

from mlops_dagster.workspace.local.tracking.service import JOB_PATH

RunOf = Callable[[str], str | None]

JOB_TAG = "mlops.job"
PARENT_TAG = "mlflow.parentRunId"
REST = re.compile(r"/(?:ajax-)?api/[0-9.]+/mlflow/")
CREATE_RUN = re.compile(REST.pattern + "runs/create")

_RUN_FIELDS = ("run_id", "run_uuid", "source_run_id")
_TAGS_WITH_RUNS = (PARENT_TAG, "mlflow.sourceRun")
# EXPERIMENT/RUN/artifacts/PATH, below each of the doors to the artifacts.
_ARTIFACT = re.compile(r"(.*/mlflow-artifacts/(?:artifacts|presigned|mpu/\w+)/[^/]+/)([^/]+)(/.*)?")
# The clauses of a search's filter that compare the id of a run.
_CLAUSE = re.compile(
    r"(?:run_id|run_uuid|parentRunId)[`\"]?\s*(?:!?=\s*(?:'[^']*'|\"[^\"]*\")|(?:not\s+)?in\s*\([^)]*\))",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"(['\"])([A-Za-z0-9][\w-]{0,255})\1")


def split_job(target: str) -> tuple[str, str]:
    """The job below whose address a request arrived, and its path and query without that.

    The job is empty where the request is nobody's.
    """
    if not target.startswith(JOB_PATH):
        return "", target
    job, _, rest = target.removeprefix(JOB_PATH).partition("/")
    return unquote(job), f"/{rest}"


def target_with_ids(target: str, run_of: RunOf) -> str:
    """The path and query of a request."""
    path, mark, query = target.partition("?")
    if found := _ARTIFACT.fullmatch(path):
        run = run_of(unquote(found[2]))
        path = f"{found[1]}{quote(run)}{found[3] or ''}" if run else path
    if mark and "run" in query:
        pairs = [
            (name, run_of(value) or value if name in (*_RUN_FIELDS, "run_ids") else value)
            for name, value in parse_qsl(query, keep_blank_values=True)
        ]
        query = urlencode(pairs)
    return f"{path}{mark}{query}"


def body_with_ids(body: bytes, run_of: RunOf) -> bytes:
    """The JSON body of a request; what is not a JSON object stays as it is."""
    message = _json_object(body)
    if message is None:
        return body
    changed = dict(message)
    for name in _RUN_FIELDS:
        if isinstance(message.get(name), str):
            changed[name] = run_of(message[name]) or message[name]
    if isinstance(message.get("run_ids"), list):
        changed["run_ids"] = [_run_id(run, run_of) for run in message["run_ids"]]
    if isinstance(message.get("tags"), list):
        changed["tags"] = [_tag_with_id(tag, run_of) for tag in message["tags"]]
    changed = _tag_with_id(changed, run_of)
    if isinstance(message.get("filter"), str):
        changed["filter"] = _filter_with_ids(message["filter"], run_of)
    return body if changed == message else json.dumps(changed).encode()


def body_of_new_run(body: bytes, job: str, run: str) -> bytes:
    """The body of a request that creates a run, which then belongs to the job and its run."""
    message = _json_object(body)
    if message is None:
        return body
    tags = [tag for tag in message.get("tags") or () if tag.get("key") != JOB_TAG]
    tags.append({"key": JOB_TAG, "value": job})
    if not any(tag.get("key") == PARENT_TAG for tag in tags):
        tags.append({"key": PARENT_TAG, "value": run})
    return json.dumps({**message, "tags": tags}).encode()


def new_run(body: bytes) -> tuple[str, str] | None:
    """The ids of the run and of its experiment in the answer to such a request."""
    info = ((_json_object(body) or {}).get("run") or {}).get("info") or {}
    run, experiment = info.get("run_id"), info.get("experiment_id")
    return (run, experiment) if run and experiment else None


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


def _tag_with_id(tag: Any, run_of: RunOf) -> Any:
    if isinstance(tag, dict) and tag.get("key") in _TAGS_WITH_RUNS:
        return {**tag, "value": _run_id(tag.get("value"), run_of)}
    return tag


def _run_id(run: Any, run_of: RunOf) -> Any:
    return (run_of(run) or run) if isinstance(run, str) else run


def _filter_with_ids(text: str, run_of: RunOf) -> str:
    def with_ids(clause: re.Match[str]) -> str:
        return _QUOTED.sub(lambda name: f"{name[1]}{_run_id(name[2], run_of)}{name[1]}", clause[0])

    return _CLAUSE.sub(with_ids, text)
