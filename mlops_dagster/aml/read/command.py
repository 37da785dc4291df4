"""Commands: what they run, on how many nodes and processes, and for how long.

Sources: learn.microsoft.com/azure/machine-learning/reference-yaml-job-command and
.../reference-yaml-component-command.
"""

from __future__ import annotations

from math import isfinite
from typing import Any, cast

from mlops_dagster.aml.bindings import sole_binding
from mlops_dagster.aml.document import is_file, is_folder
from mlops_dagster.aml.job import CommandComponent, Distribution, Limits, Resources
from mlops_dagster.aml.node import Node
from mlops_dagster.aml.read.environment import read_environment
from mlops_dagster.aml.references import is_local, resolve_path

FIELDS = (
    "command", "code", "environment", "environment_variables", "resources", "distribution",
    "queue_settings", "limits", "additional_includes",
)  # fmt: skip


def read_command(node: Node, common: dict[str, Any]) -> CommandComponent:
    """A command, with the fields that every component has in ``common``."""
    command = node.required("command")
    text = command.as_text()
    if command.is_set and text is not None and not text.strip():
        command.add_problem("The command is empty.", "Write what is to be run.")
    environment = node.required("environment")
    return CommandComponent(
        **common,
        command=text or "",
        code=read_code(node.at("code")),
        environment=read_environment(environment),
        environment_variables=read_environment_variables(node),
        distribution=read_distribution(node.at("distribution")),
        resources=read_resources(node.at("resources")),
        limits=read_limits(node.at("limits")),
        additional_includes=tuple(
            resolve_path(path, node.folder) for path in node.texts("additional_includes")
        ),
    )


def read_code(node: Node) -> str | None:
    """Where the code lies: an absolute path that exists, or an address left as it is."""
    text = node.as_text()
    if text is None or sole_binding(text) or not is_local(text):
        return text
    path = resolve_path(text, node.folder)
    if not (is_file(path) or is_folder(path)):
        node.add_problem(
            f"There is no folder {path}.", f"The path starts from {node.document.path.name}."
        )
    return path


def read_environment_variables(node: Node) -> dict[str, str]:
    """Names to text; a boolean or a number becomes its text."""
    variables = {}
    for name, entry in node.entries("environment_variables"):
        if entry.is_set and (text := entry.as_text()) is not None:
            variables[name] = text if not isinstance(entry.data, bool) else str(entry.data)
    return variables


def read_resources(node: Node) -> Resources | None:
    """Nodes and sizes."""
    if not node.expect_mapping():
        return None
    node.check_fields(
        ("instance_count", "instance_type", "shm_size", "docker_args", "properties", "locations",
         "max_instance_count", "runtime_version")
    )  # fmt: skip
    count = node.bound_integer("instance_count")
    if isinstance(count, int) and count < 1:
        node.at("instance_count").add_mismatch("at least 1")
    docker_args = node.at("docker_args")
    return Resources(
        instance_count=1 if count is None else count,
        instance_type=node.text("instance_type"),
        shm_size=node.text("shm_size"),
        docker_args=node.texts("docker_args")
        if isinstance(docker_args.data, list)
        else docker_args.as_text(),
        properties=node.mapping("properties"),
        locations=node.texts("locations"),
        max_instance_count=node.integer("max_instance_count"),
        runtime_version=node.text("runtime_version"),
    )


def read_distribution(node: Node) -> Distribution | None:
    """Processes of a distributed job."""
    if not node.expect_mapping():
        return None
    node.check_fields(
        ("type", "process_count_per_instance", "worker_count", "parameter_server_count", "port",
         "address", "include_dashboard", "dashboard_port", "head_node_additional_args",
         "worker_node_additional_args")
    )  # fmt: skip
    node.required("type")
    kind = node.choice("type", ("pytorch", "mpi", "tensorflow", "ray"))
    if kind is None:
        return None
    counted = ("type", "process_count_per_instance", "worker_count", "parameter_server_count")
    return Distribution(
        type=cast("Any", kind),
        process_count_per_instance=node.bound_integer("process_count_per_instance"),
        worker_count=node.bound_integer("worker_count"),
        parameter_server_count=node.bound_integer("parameter_server_count"),
        settings={name: entry.data for name, entry in node.entries() if name not in counted},
    )


def read_limits(node: Node) -> Limits | None:
    """How long a command may run."""
    if not node.expect_mapping():
        return None
    node.check_fields(("timeout",))
    timeout = node.at("timeout")
    if isinstance(timeout.data, float) and isfinite(timeout.data):
        # A fraction of a second is cut off, as the Azure tools do.
        return Limits(timeout=int(timeout.data))
    return Limits(timeout=timeout.as_integer())


def read_compute(node: Node) -> str | None:
    """The name of a compute target, without ``azureml:`` and what an ARM address puts before it."""
    text = node.as_text()
    if text is None:
        return None
    name = text.strip().removeprefix("azureml:")
    return name.rstrip("/").rpartition("/")[2] if name.startswith("/subscriptions/") else name


def read_identity(node: Node) -> dict[str, Any] | None:
    """The identity that the job runs under; only the service knows what each kind means."""
    if not node.expect_mapping():
        return None
    node.required("type")
    return node.mapping()
