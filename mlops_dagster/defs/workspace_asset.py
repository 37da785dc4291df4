"""One asset whose materialization asks the workspace: what steps, products and models share."""

# No `from __future__ import annotations`: Dagster compares the op's annotations with its classes.

from collections.abc import Callable, Iterable
from typing import Any

import dagster as dg

from mlops_dagster.defs.keys import op_name
from mlops_dagster.defs.workspace_resource import WorkspaceResource
from mlops_dagster.errors import MlopsError
from mlops_dagster.workspace import Workspace

Make = Callable[[dg.AssetExecutionContext, Workspace], dg.MaterializeResult[Any]]


def workspace_asset(
    spec: dg.AssetSpec,
    make: Make,
    *,
    checks: Iterable[dg.AssetCheckSpec] = (),
    pool: str | None = None,
) -> dg.AssetsDefinition:
    """An asset that ``make`` materializes; a mistake of the user's ends it without a traceback.

    Args:
        pool: limits how many materializations of such assets go on at once, where a limit is set.
    """

    @dg.multi_asset(name=op_name(spec.key), specs=[spec], check_specs=list(checks), pool=pool)
    def materialize(
        context: dg.AssetExecutionContext, workspace: WorkspaceResource
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster knows the bare class alone
        try:
            with workspace.connection() as opened:
                return make(context, opened)
        except MlopsError as error:
            raise dg.Failure(str(error)) from None

    return materialize
