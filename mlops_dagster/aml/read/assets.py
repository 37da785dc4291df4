"""Data, models and compute targets.

Sources: learn.microsoft.com/azure/machine-learning/reference-yaml-data, .../reference-yaml-model,
.../reference-yaml-compute-aml, .../reference-yaml-compute-instance.
"""

from __future__ import annotations

from typing import Any, cast, get_args

from mlops_dagster.aml.assets import (
    ComputeAsset,
    DataAsset,
    DataAssetType,
    ModelAsset,
    ModelAssetType,
)
from mlops_dagster.aml.environment import Environment
from mlops_dagster.aml.node import Part
from mlops_dagster.aml.read.environment import describe_environment
from mlops_dagster.aml.references import resolved

_ASSET = (
    "name", "version", "description", "tags", "properties", "type", "path", "datastore", "stage",
    "latest_version", "auto_delete_setting", "intellectual_property",
)  # fmt: skip
_MODEL = ("flavors", "job_name", "utc_time_created", "system_metadata",
          "default_deployment_template", "allowed_deployment_templates")  # fmt: skip
COMPUTE_TYPES = ("amlcompute", "computeinstance", "virtualmachine", "kubernetes", "synapsespark")
_COMPUTE = (
    "name", "type", "location", "description", "tags", "resource_id", "identity",
    "provisioning_errors", "provisioning_state", "created_on", "properties",
)  # fmt: skip
_COMPUTE_OF_TYPE: dict[str, tuple[str, ...]] = {
    "amlcompute": (
        "size", "tier", "min_instances", "max_instances", "idle_time_before_scale_down",
        "ssh_public_access_enabled", "ssh_settings", "network_settings", "enable_node_public_ip",
    ),
    "computeinstance": (
        "size", "network_settings", "create_on_behalf_of", "ssh_settings",
        "ssh_public_access_enabled", "state", "last_operation", "services", "schedules",
        "idle_time_before_shutdown", "idle_time_before_shutdown_minutes", "custom_applications",
        "setup_scripts", "os_image_metadata", "enable_node_public_ip", "enable_sso",
        "enable_root_access", "release_quota_on_stop", "enable_os_patching",
    ),
    "virtualmachine": ("ssh_settings", "compute_location"),
    "kubernetes": ("namespace",),
    "synapsespark": (
        "node_family", "node_size", "node_count", "spark_version", "scale_settings",
        "auto_pause_settings",
    ),
}  # fmt: skip


def read_data(part: Part) -> DataAsset | None:
    """A data asset."""
    if part.has("source"):
        remedy = "Import it there, or name a local copy as `path:` and take `source:` out."
        part.at("source").problem("Data is imported from a connection by Azure alone.", remedy)
        return None
    part.fields(_ASSET)
    path = part.required("path").as_text()
    name = part.required("name").as_text()
    kind = part.choice("type", get_args(DataAssetType)) or "uri_folder"
    if path is None or name is None:
        return None
    return DataAsset(
        **_header(part),
        name=name,
        type=cast("DataAssetType", kind),
        path=resolved(path, part.folder),
    )


def read_model(part: Part) -> ModelAsset | None:
    """A model."""
    part.fields((*_ASSET, *_MODEL))
    path = part.required("path").as_text()
    name = part.required("name").as_text()
    kind = part.choice("type", get_args(ModelAssetType)) or "custom_model"
    if path is None or name is None:
        return None
    return ModelAsset(
        **_header(part),
        name=name,
        type=cast("ModelAssetType", kind),
        path=resolved(path, part.folder),
        stage=part.text("stage"),
        flavors=part.mapping("flavors"),
    )


def _header(part: Part) -> dict[str, Any]:
    return {
        "version": part.text("version"),
        "description": part.text("description") or "",
        "tags": part.labels("tags"),
        "properties": part.labels("properties"),
        "source": part.document.path,
    }


def read_environment_asset(part: Part) -> Environment:
    """An environment that is to be registered."""
    part.required("name")
    found = describe_environment(part)
    if not any(part.at(name).given for name in ("image", "build", "conda_file")):
        part.problem("It says nothing of its software.", "Add `image:`, `build:` or `conda_file:`.")
    return found


def read_compute_asset(part: Part) -> ComputeAsset | None:
    """A compute target."""
    name = part.required("name").as_text()
    part.required("type")
    kind = part.choice("type", COMPUTE_TYPES)
    if kind is None or name is None:
        return None
    part.fields((*_COMPUTE, *_COMPUTE_OF_TYPE[kind]))
    low, high = part.integer("min_instances"), part.integer("max_instances")
    for key, number in (("min_instances", low), ("max_instances", high)):
        if number is not None and number < 0:
            part.at(key).wrong("0 or more")
    if low is not None and high is not None and low > high:
        part.at("min_instances").problem(f"Found {low}; expected at most max_instances, {high}.")
    own = ("name", "type", "size", "min_instances", "max_instances", "tier", "location",
           "idle_time_before_scale_down", "description", "tags", "$schema")  # fmt: skip
    return ComputeAsset(
        name=name,
        type=kind,
        size=part.text("size"),
        min_instances=low or 0,
        max_instances=(4 if kind == "amlcompute" else 1) if high is None else high,
        tier=part.choice(
            "tier", ("dedicated", "low_priority"), aliases={"lowpriority": "low_priority"}
        ),
        location=part.text("location"),
        idle_time_before_scale_down=part.integer("idle_time_before_scale_down"),
        description=part.text("description") or "",
        tags=part.labels("tags"),
        settings={key: entry.data for key, entry in part.entries() if key not in own},
        source=part.document.path,
    )
