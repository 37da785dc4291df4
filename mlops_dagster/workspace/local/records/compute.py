"""Compute targets of the local workspace: numbers of nodes on this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_dagster.errors import InvalidDocument, NotFound, Problem, suggest
from mlops_dagster.workspace.local.ground.state import State
from mlops_dagster.workspace.local.records.jobs import ACTIVE, WAITING
from mlops_dagster.workspace.ports import Compute, ComputeTarget

if TYPE_CHECKING:
    from mlops_dagster.aml.assets import ComputeAsset

# Azure ML has this one in every workspace; "local" is its older word for the submitter's machine.
_UNDECLARED = ("serverless", "local")


class LocalCompute(Compute):
    """``Compute`` on this machine.

    Args:
        state: of the home whose jobs use the targets.
        cloud: a project's ``.cloud/local``, whose ``compute/*.yml`` (Azure ML's compute YAML)
            declare the targets; with None every name stands for this machine, with a node a CPU.
            A target that stands for the machine has no ``source``.
    """

    def __init__(self, state: State, cloud: Path | None = None) -> None:
        self._state = state
        self._cloud = cloud.absolute() if cloud is not None else None

    def get(self, name: str) -> ComputeTarget:
        target = self._declared_targets().get(name)
        if target is None:
            if self._cloud is not None and name not in _UNDECLARED:
                raise self._unknown(name)
            target = ComputeTarget(name, "local", max_instances=os.cpu_count() or 1)
        return self._counted(target)

    def list(self) -> Sequence[ComputeTarget]:
        if self._cloud is None:
            return [self.get("local")]
        declared = self._declared_targets()
        return [self._counted(declared[name]) for name in sorted(declared)]

    def slots_key(self, name: str) -> str:
        """What the nodes of a target are counted under, the same in every process.

        Two names that stand for this machine share its nodes. Raises NotFound.
        """
        return self._key(self.get(name))

    def isolates(self, name: str) -> bool:
        """Whether jobs on a target run in virtual environments: its tag ``isolate`` is ``true``."""
        asset = self._assets().get(name)
        return asset is not None and (asset.tags.get("isolate") or "").lower() == "true"

    def _key(self, target: ComputeTarget) -> str:
        return f"{self._cloud}#{target.name}" if target.source else "this machine"

    def _counted(self, target: ComputeTarget) -> ComputeTarget:
        busy, queued = self._usage(self._key(target))
        return ComputeTarget(**{**vars(target), "busy": busy, "queued": queued})

    def _usage(self, key: str) -> tuple[int, int]:
        """Nodes in use and jobs that wait; the table is made with the first job."""
        there = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'jobs'"
        working, waiting = _quoted_list(ACTIVE), _quoted_list(WAITING)
        count = f"""
            SELECT coalesce(sum(CASE WHEN status IN ({working}) THEN nodes END), 0),
                   coalesce(sum(status IN ({waiting})), 0)
            FROM jobs WHERE compute_key = ?
        """  # noqa: S608 - the states stand in this file
        with self._state.read() as connection:
            if connection.execute(there).fetchone() is None:
                return 0, 0
            busy, queued = connection.execute(count, (key,)).fetchone()
        return busy, queued

    def _declared_targets(self) -> dict[str, ComputeTarget]:
        return {name: _target(asset) for name, asset in self._assets().items()}

    def _assets(self) -> dict[str, ComputeAsset]:
        from mlops_dagster.aml import load_compute

        found: dict[str, ComputeAsset] = {}
        problems: list[Problem] = []
        folder = self._cloud / "compute" if self._cloud is not None else None
        for file in sorted(folder.glob("*.y*ml")) if folder is not None else ():
            try:
                target = load_compute(file)
            except InvalidDocument as error:
                problems += error.problems
                continue
            if target.name in found:
                message = f"The name {target.name!r} is taken by {found[target.name].source}."
                problems.append(Problem(file, 0, "name", message, "Choose another name."))
            found[target.name] = target
        if problems:
            raise InvalidDocument(problems)
        return found

    def _unknown(self, name: str) -> NotFound:
        known = self._declared_targets()
        near = suggest(name, known)
        where = f"Targets are declared in {self._cloud}/compute/NAME.yml."
        return NotFound("compute", name, remedy=f"{near} {where}" if near else where)


def _target(asset: ComputeAsset) -> ComputeTarget:
    return ComputeTarget(
        name=asset.name,
        type=asset.type,
        max_instances=asset.max_instances,
        min_instances=asset.min_instances,
        size=asset.size,
        source=asset.source,
    )


def _quoted_list(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
