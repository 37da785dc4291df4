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
from mlops_dagster.aml.node import Part
from mlops_dagster.aml.read.environment import read_environment
from mlops_dagster.aml.references import is_local, resolved

FIELDS = (
    "command", "code", "environment", "environment_variables", "resources", "distribution",
    "queue_settings", "limits", "additional_includes",
)  # fmt: skip


def read_command(part: Part, common: dict[str, Any]) -> CommandComponent:
    """A command, with the fields that every component has in ``common``."""
    command = part.required("command")
    text = command.as_text()
    if command.given and text is not None and not text.strip():
        command.problem("The command is empty.", "Write what is to be run.")
    environment = part.required("environment")
    return CommandComponent(
        **common,
        command=text or "",
        code=read_code(part.at("code")),
        environment=read_environment(environment),
        environment_variables=read_environment_variables(part),
        distribution=read_distribution(part.at("distribution")),
        resources=read_resources(part.at("resources")),
        limits=read_limits(part.at("limits")),
        additional_includes=tuple(
            resolved(path, part.folder) for path in part.texts("additional_includes")
        ),
    )


def read_code(part: Part) -> str | None:
    """Where the code lies: an absolute path that exists, or an address left as it is."""
    text = part.as_text()
    if text is None or sole_binding(text) or not is_local(text):
        return text
    path = resolved(text, part.folder)
    if not (is_file(path) or is_folder(path)):
        part.problem(
            f"There is no folder {path}.", f"The path starts from {part.document.path.name}."
        )
    return path


def read_environment_variables(part: Part) -> dict[str, str]:
    """Names to text; a boolean or a number becomes its text."""
    variables = {}
    for name, entry in part.entries("environment_variables"):
        if entry.given and (text := entry.as_text()) is not None:
            variables[name] = text if not isinstance(entry.data, bool) else str(entry.data)
    return variables


def read_resources(part: Part) -> Resources | None:
    """Nodes and sizes."""
    if not part.is_mapping():
        return None
    part.fields(
        ("instance_count", "instance_type", "shm_size", "docker_args", "properties", "locations",
         "max_instance_count", "runtime_version")
    )  # fmt: skip
    count = part.bound_integer("instance_count")
    if isinstance(count, int) and count < 1:
        part.at("instance_count").wrong("at least 1")
    docker_args = part.at("docker_args")
    return Resources(
        instance_count=1 if count is None else count,
        instance_type=part.text("instance_type"),
        shm_size=part.text("shm_size"),
        docker_args=part.texts("docker_args")
        if isinstance(docker_args.data, list)
        else docker_args.as_text(),
        properties=part.mapping("properties"),
        locations=part.texts("locations"),
        max_instance_count=part.integer("max_instance_count"),
        runtime_version=part.text("runtime_version"),
    )


def read_distribution(part: Part) -> Distribution | None:
    """Processes of a distributed job."""
    if not part.is_mapping():
        return None
    part.fields(
        ("type", "process_count_per_instance", "worker_count", "parameter_server_count", "port",
         "address", "include_dashboard", "dashboard_port", "head_node_additional_args",
         "worker_node_additional_args")
    )  # fmt: skip
    part.required("type")
    kind = part.choice("type", ("pytorch", "mpi", "tensorflow", "ray"))
    if kind is None:
        return None
    counted = ("type", "process_count_per_instance", "worker_count", "parameter_server_count")
    return Distribution(
        type=cast("Any", kind),
        process_count_per_instance=part.bound_integer("process_count_per_instance"),
        worker_count=part.bound_integer("worker_count"),
        parameter_server_count=part.bound_integer("parameter_server_count"),
        settings={name: entry.data for name, entry in part.entries() if name not in counted},
    )


def read_limits(part: Part) -> Limits | None:
    """How long a command may run."""
    if not part.is_mapping():
        return None
    part.fields(("timeout",))
    timeout = part.at("timeout")
    if isinstance(timeout.data, float) and isfinite(timeout.data):
        # A fraction of a second is cut off, as the Azure tools do.
        return Limits(timeout=int(timeout.data))
    return Limits(timeout=timeout.as_integer())


def read_compute(part: Part) -> str | None:
    """The name of a compute target, without ``azureml:`` and what an ARM address puts before it."""
    text = part.as_text()
    if text is None:
        return None
    name = text.strip().removeprefix("azureml:")
    return name.rstrip("/").rpartition("/")[2] if name.startswith("/subscriptions/") else name


def read_identity(part: Part) -> dict[str, Any] | None:
    """Under whose identity it runs; told apart by the service alone."""
    if not part.is_mapping():
        return None
    part.required("type")
    return part.mapping()
