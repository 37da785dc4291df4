"""What jobs write: staged in a place of the job's own, published whole to a datastore."""

from __future__ import annotations

import re
from pathlib import Path

from mlops_dagster.errors import InvalidRequest
from mlops_dagster.system.files import make_read_only, remove_tree, replace_links, writing
from mlops_dagster.workspace.local.storage.datastores import (
    DEFAULT_DATASTORE,
    Datastores,
    datastore_uri,
)


class Outputs:
    """The outputs of the jobs of one home.

    Args:
        home: of the datastores.
    """

    def __init__(self, home: Path, datastores: Datastores) -> None:
        self._home = home
        self._datastores = datastores

    def default_output(self, job: str, output: str, type: str, datastore: str | None = None) -> str:
        """Where an output goes that names no place of its own."""
        slash = "" if type == "uri_file" else "/"
        return datastore_uri(datastore or DEFAULT_DATASTORE, f"azureml/{job}/{output}{slash}")

    def stage(self, uri: str, type: str, job: str, output: str) -> Path:
        """The place in which a job writes the output that ``publish`` then adds to ``uri``.

        A ``uri_file`` does not exist yet, its folder does; any other is a folder. It is empty,
        unless another job has handed over what it had staged. Raises InvalidRequest where no
        output can go to ``uri``.
        """
        place = self.staged_by(job) / "outputs" / output / self._writable(uri).name
        with writing(self._home):
            (place.parent if type == "uri_file" else place).mkdir(parents=True, exist_ok=True)
        return place

    def publish(self, staged: Path, uri: str) -> None:
        """Add what was staged to what lies at ``uri``: all of its files, or none.

        A file of the same name is replaced. Published files are read-only, and a link becomes a
        copy of what it points to. Raises InvalidRequest where that is not possible,
        WorkspaceUnavailable where the disk refuses.
        """
        target = self._writable(uri)
        self._check_free(staged, target)
        with writing(self._home):
            replace_links(staged)
            make_read_only(staged)
            with self._datastores.publisher.exclusively():
                self._datastores.publisher.add(staged, target)

    def discard(self, job: str) -> None:
        """Remove what a job staged and did not publish."""
        remove_tree(self.staged_by(job))

    def hand_over(self, job: str, *, to: str) -> None:
        """Make what a job has staged another one's, in place of what that one has.

        Raises FileNotFoundError where it has staged nothing.
        """
        self.discard(to)
        self.staged_by(job).rename(self.staged_by(to))

    def staged_by(self, job: str) -> Path:
        """Where what a job has staged lies. Raises InvalidRequest for what is no job's name."""
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", job):
            raise InvalidRequest(f"{job!r} is not a job's name.")
        return self._datastores.root / ".staging" / job

    def _writable(self, uri: str) -> Path:
        """The path of an output's URI. Raises InvalidRequest for what belongs to the workspace."""
        target = self._datastores.path_of(uri)
        if self._datastores.is_immutable(target) or target == self._default_outputs:
            raise InvalidRequest(
                f"{uri} belongs to the workspace's own outputs, models and uploads.",
                remedy="Choose another path.",
            )
        return target

    @property
    def _default_outputs(self) -> Path:
        return self._datastores.root / DEFAULT_DATASTORE / "azureml"

    def _check_free(self, staged: Path, target: Path) -> None:
        """Raises InvalidRequest where an output would write into what belongs to the workspace."""
        for folder in (*self._datastores.immutable_folders, self._default_outputs):
            if folder.parent == target and (staged / folder.name).exists():
                raise InvalidRequest(
                    f"The output has {folder.name!r}, which belongs to the workspace there.",
                    remedy="Write it under another name, or choose another path for the output.",
                )
