"""Distributed commands: the variables by which a framework's processes find one another.

Every process runs on this machine, so that all nodes have its loopback address.
Source: learn.microsoft.com/azure/machine-learning/how-to-train-distributed-gpu
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlops_dagster.errors import InvalidRequest, Unsupported
from mlops_dagster.system.loopback import HOST, free_ports


@dataclass(frozen=True)
class Rank:
    """One process: its further variables, and whether it only serves the others."""

    variables: dict[str, str]
    serves: bool = False


def ranks_of(distribution: Mapping[str, Any], nodes: int) -> list[Rank]:
    """The processes of a distributed command, in the order of their ranks.

    Args:
        distribution: the fields of ``aml.job.Distribution``.
        nodes: the number of nodes asked for.

    Raises:
        Unsupported: the framework brings its own launcher, which is not part of this workspace.
    """
    match distribution["type"]:
        case "pytorch":
            return _pytorch(_count(distribution, "process_count_per_instance", 1), nodes)
        case "mpi":
            return _mpi(_count(distribution, "process_count_per_instance", 1), nodes)
        case "tensorflow":
            workers = _count(distribution, "worker_count", nodes)
            return _tensorflow(workers, _count(distribution, "parameter_server_count", 0))
        case other:
            raise Unsupported(
                f"A distribution of type {other} does not run on this machine.",
                remedy="Use pytorch, mpi or tensorflow, or run it in a workspace on Azure.",
            )


def _count(distribution: Mapping[str, Any], field: str, default: int) -> int:
    text = distribution.get(field)
    if text is None:
        return default
    try:
        count = int(text)
    except ValueError:
        count = -1
    if count < 0 or (count == 0 and field == "process_count_per_instance"):
        raise InvalidRequest(
            f"distribution.{field} is {text!r}; a number of processes is expected."
        )
    return count


def _pytorch(per_node: int, nodes: int) -> list[Rank]:
    (port,) = free_ports(1)
    world = per_node * nodes
    return [
        Rank(
            {
                "RANK": str(rank),
                "LOCAL_RANK": str(rank % per_node),
                "NODE_RANK": str(rank // per_node),
                "WORLD_SIZE": str(world),
                "LOCAL_WORLD_SIZE": str(per_node),
                "MASTER_ADDR": HOST,
                "MASTER_PORT": str(port),
            }
        )
        for rank in range(world)
    ]


def _mpi(per_node: int, nodes: int) -> list[Rank]:
    (port,) = free_ports(1)
    world = per_node * nodes
    return [
        Rank(
            {
                "OMPI_COMM_WORLD_RANK": str(rank),
                "OMPI_COMM_WORLD_SIZE": str(world),
                "OMPI_COMM_WORLD_LOCAL_RANK": str(rank % per_node),
                "OMPI_COMM_WORLD_LOCAL_SIZE": str(per_node),
                "OMPI_COMM_WORLD_NODE_RANK": str(rank % per_node),
                "AZ_BATCH_MASTER_NODE": f"{HOST}:{port}",
                "AZ_BATCHAI_MPI_MASTER_NODE": HOST,
            }
        )
        for rank in range(world)
    ]


def _tensorflow(workers: int, servers: int) -> list[Rank]:
    ports = iter(free_ports(workers + servers))
    cluster = {
        kind: [f"{HOST}:{next(ports)}" for _ in range(count)]
        for kind, count in (("worker", workers), ("ps", servers))
        if count
    }
    return [
        Rank(
            {
                "TF_CONFIG": json.dumps(
                    {
                        "cluster": cluster,
                        "task": {"type": kind, "index": index},
                        "environment": "cloud",
                    }
                )
            },
            serves=kind == "ps",
        )
        for kind, addresses in cluster.items()
        for index in range(len(addresses))
    ]
