"""The data inputs of a job as its processes see them, by mode.

``download`` is a copy of the job's own. A mount is a tree of its own as well, of links that cost no
room and that cannot be written: what lies in the datastore is one for all jobs. So is ``direct``,
which is a URI on Azure.

Source of the modes: learn.microsoft.com/azure/machine-learning/how-to-read-write-data-v2.
"""

from __future__ import annotations

from pathlib import Path

from mlops_dagster.errors import InvalidRequest
from mlops_dagster.system.files import copy_tree, is_read_only, make_folders_read_only

_COPIED = ("download", "eval_download")


def lay_out_input(source: Path, mode: str | None, folder: Path) -> Path:
    """Where a job reads an input that lies at ``source``, under the same last name.

    What somebody has put into a datastore by hand, and can be written, is mounted where it lies.

    Args:
        mode: None for the default, a read-only mount.
        folder: for this input of this job alone; removed with the job's working folder.

    Raises InvalidRequest for links in a download that lead astray, OSError.
    """
    place = folder / source.name
    if mode in _COPIED:
        copy_tree(source, place)
        return place
    if not _is_published(source):
        return source
    copy_tree(source, place, link=True)
    make_folders_read_only(folder)
    return place


def _is_published(source: Path) -> bool:
    """Whether the workspace has written all that lies there, and nobody else."""
    try:
        return is_read_only(source)
    except InvalidRequest:  # links that lead astray, which the workspace does not make
        return False
