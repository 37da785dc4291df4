"""Where Dagster keeps its runs, and the settings that they are made with at first."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mlops_dagster.errors import InvalidRequest, WorkspaceUnavailable
from mlops_dagster.home import find_home, find_root, make_home

SETTINGS = """\
# Dagster's settings for the runs on this machine; written once, yours to change.
# docs.dagster.io/deployment/oss/dagster-yaml
telemetry:
  enabled: false
nux:
  enabled: false
# A backfill of many partitions queues; each run is a process of some 250 MB. The daemon looks at
# the queue every second (by default every five), so that what lands is scored soon.
run_coordinator:
  module: dagster.core.run_coordinator
  class: QueuedRunCoordinator
  config:
    dequeue_interval_seconds: 1
# A step belongs to the pool of its compute target (flight_delays/cpu-cluster). Where you give a pool
# a limit (Deployment, Concurrency), the runs beyond it wait in the queue. Counted by runs: a run
# that was killed holds nothing back for longer than it takes to be seen.
concurrency:
  runs:
    max_concurrent_runs: 2
  pools:
    granularity: run
# Sensors do not wait for one another, so that one may watch a folder or queue without a pause.
sensors:
  use_threads: true
  num_workers: 8
"""


@dataclass(frozen=True)
class Place:
    """The folders that Dagster works with.

    Attributes:
        root: holds workspace.yaml.
        home: the local workspace's state.
        dagster_home: Dagster's runs, events and settings.
    """

    root: Path
    home: Path
    dagster_home: Path

    @property
    def workspace_file(self) -> Path:
        """The list of code locations."""
        return self.root / "workspace.yaml"

    def environment(self) -> dict[str, str]:
        """The environment of every Dagster process: it finds the same state as this one."""
        environment = {
            **os.environ,
            "DAGSTER_HOME": str(self.dagster_home),
            "MLOPS_HOME": str(self.home),
        }
        # Without compiled bytecode each of its processes imports about three times as long.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        return environment


def find_place(start: Path | None = None) -> Place:
    """The folders for work that starts in ``start`` (by default the current directory).

    ``DAGSTER_HOME`` where it is set, else ``dagster`` in the workspace's home, which is made with
    its settings where it does not exist.

    Raises:
        InvalidRequest: there is no workspace.yaml here or above.
        WorkspaceUnavailable: the folder cannot be made.
    """
    root = find_root(start)
    if root is None:
        raise InvalidRequest(
            f"There is no workspace.yaml in {(start or Path.cwd()).absolute()} or above it.",
            remedy="It lists the code locations that Dagster loads; run this in the repository.",
        )
    home = find_home(root)
    chosen = os.environ.get("DAGSTER_HOME")
    dagster_home = Path(chosen).expanduser().absolute() if chosen else home / "dagster"
    settings = dagster_home / "dagster.yaml"
    try:
        make_home(home)
        dagster_home.mkdir(parents=True, exist_ok=True)
        if not chosen and not settings.exists():
            settings.write_text(SETTINGS, encoding="utf-8")
    except OSError as error:
        raise WorkspaceUnavailable(
            f"Dagster's folder {dagster_home} cannot be written: {error.strerror}.",
            remedy="Check its permissions and the free space, or point DAGSTER_HOME elsewhere.",
        ) from error
    return Place(root, home, dagster_home)
