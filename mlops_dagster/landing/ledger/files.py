"""What this machine knows of the files of a watched folder, so that each look need not read them.

It lies in the ledger's database but is no part of the ledger: no event records it, and a machine
that has lost it reads the files whose size and time leave a doubt once more.
"""

from __future__ import annotations

from collections.abc import Iterable

from mlops_dagster.landing.ledger.database import Database
from mlops_dagster.landing.sources.identity import KnownVersion


class FileIndex:
    """Signatures and digests of files; ``sources.identity`` says what they are for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def last_seen(self, paths: Iterable[str]) -> dict[str, tuple[str, str]]:
        """The signature that each path had when it was last seen, and the etag it stood for."""
        with self._database.read() as connection:
            rows = (
                connection.execute("SELECT * FROM files WHERE path = ?", (path,)).fetchone()
                for path in paths
            )
            return {row["path"]: (row["signature"], row["etag"]) for row in rows if row}

    def versions(self, path: str, size: int) -> list[KnownVersion]:
        """The drops of a path that have this size, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT drops.etag, digests.digest FROM drops"
                " LEFT JOIN digests ON digests.id = drops.id"
                " WHERE drops.path = ? AND drops.size = ? ORDER BY drops.position",
                (path, size),
            )
            return [KnownVersion(row["etag"], row["digest"]) for row in rows]

    def remember(self, seen: Iterable[tuple[str, str, str]]) -> None:
        """Write down path, signature and etag of files that were seen."""
        with self._database.write() as connection:
            connection.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", seen)

    def remember_digest(self, drop_id: str, digest: str) -> None:
        """Write down the digest of the bytes that were read of a drop."""
        with self._database.write() as connection:
            connection.execute("INSERT OR REPLACE INTO digests VALUES (?, ?)", (drop_id, digest))
