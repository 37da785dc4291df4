"""Data, models and compute targets.

Sources: learn.microsoft.com/azure/machine-learning/reference-yaml-data, .../reference-yaml-model,
.../reference-yaml-compute-aml, .../reference-yaml-compute-instance.
"""

from __future__ import annotations

from typing import Any, cast

from mlops_dagster.aml.assets import (
    ComputeAsset,
    DataAsset,
    ModelAsset,
)
from mlops_dagster.aml.environment import Environment
from mlops_dagster.aml.node import Node
from mlops_dagster.aml.read.environment import describe_environment
from mlops_dagster.aml.references import resolve_path
from mlops_dagster.aml.types import DATA_TYPES, MODEL_TYPES, DataType, ModelType

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


def read_data(node: Node) -> DataAsset | None:
    """A data asset."""
    if node.has("source"):
        remedy = "Import it there, or name a local copy as `path:` and take `source:` out."
        node.at("source").add_problem("Data is imported from a connection by Azure alone.", remedy)
        return None
    node.check_fields(_ASSET)
    path = node.required("path").as_text()
    node.required("name")
    name = node.asset_name("name")
    kind = node.choice("type", DATA_TYPES) or "uri_folder"
    if path is None or name is None:
        return None
    return DataAsset(
        **_asset_header(node),
        name=name,
        type=cast("DataType", kind),
        path=resolve_path(path, node.folder),
    )


def read_model(node: Node) -> ModelAsset | None:
    """A model."""
    node.check_fields((*_ASSET, *_MODEL))
    path = node.required("path").as_text()
    node.required("name")
    name = node.asset_name("name")
    kind = node.choice("type", MODEL_TYPES) or "custom_model"
    if path is None or name is None:
        return None
    return ModelAsset(
        **_asset_header(node),
        name=name,
        type=cast("ModelType", kind),
        path=resolve_path(path, node.folder),
        stage=node.text("stage"),
        flavors=node.mapping("flavors"),
    )


def _asset_header(node: Node) -> dict[str, Any]:
    return {
        "version": node.asset_version("version"),
        "description": node.text("description") or "",
        "tags": node.labels("tags"),
        "properties": node.labels("properties"),
        "source": node.document.path,
    }


def read_environment_asset(node: Node) -> Environment:
    """An environment that is to be registered."""
    node.required("name")
    found = describe_environment(node)
    if not any(node.at(name).is_set for name in ("image", "build", "conda_file")):
        node.add_problem(
            "It says nothing of its software.", "Add `image:`, `build:` or `conda_file:`."
        )
    return found


def read_compute_asset(node: Node) -> ComputeAsset | None:
    """A compute target."""
    name = node.required("name").as_text()
    node.required("type")
    kind = node.choice("type", COMPUTE_TYPES)
    if kind is None or name is None:
        return None
    node.check_fields((*_COMPUTE, *_COMPUTE_OF_TYPE[kind]))
    low, high = node.integer("min_instances"), node.integer("max_instances")
    for key, number in (("min_instances", low), ("max_instances", high)):
        if number is not None and number < 0:
            node.at(key).add_mismatch("0 or more")
    if low is not None and high is not None and low > high:
        node.at("min_instances").add_problem(
            f"Found {low}; expected at most max_instances, {high}."
        )
    own = ("name", "type", "size", "min_instances", "max_instances", "tier", "location",
           "idle_time_before_scale_down", "description", "tags", "$schema")  # fmt: skip
    return ComputeAsset(
        name=name,
        type=kind,
        size=node.text("size"),
        min_instances=low or 0,
        max_instances=(4 if kind == "amlcompute" else 1) if high is None else high,
        tier=node.choice(
            "tier", ("dedicated", "low_priority"), aliases={"lowpriority": "low_priority"}
        ),
        location=node.text("location"),
        idle_time_before_scale_down=node.integer("idle_time_before_scale_down"),
        description=node.text("description") or "",
        tags=node.labels("tags"),
        settings={key: entry.data for key, entry in node.entries() if key not in own},
        source=node.document.path,
    )
