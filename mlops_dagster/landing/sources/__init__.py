"""Where files land: one port, an adapter for each kind of place.

::

    port.py        what every source promises
    folder.py      a folder of this machine, by listing; identity.py tells versions of a file apart
    blobs.py       a blob container, by listing; blob_fetch.py reads one version of a blob
    queue.py       a blob container, by the events on a storage queue; events.py reads these
"""

from __future__ import annotations

from mlops_dagster.landing.sources.port import FileChanged, FileGone, FileRefused, Page, Source

__all__ = ["FileChanged", "FileGone", "Page", "FileRefused", "Source"]
