"""SQLite databases: opened in one way, whatever other processes do with them."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from mlops_dagster.errors import WorkspaceUnavailable
from mlops_dagster.system.sqlite import available, open_database, open_existing, transaction

_WRITER = """
import sys
from pathlib import Path
from mlops_dagster.system.sqlite import open_database, transaction

sys.stdin.readline()
connection = open_database(Path(sys.argv[1]), synchronous="NORMAL")
connection.execute("CREATE TABLE IF NOT EXISTS numbers (value INTEGER)")
for _ in range(20):
    with transaction(connection):
        (most,) = connection.execute("SELECT coalesce(max(value), 0) FROM numbers").fetchone()
        connection.execute("INSERT INTO numbers VALUES (?)", (most + 1,))
"""


def test_processes_that_open_a_fresh_database_at_once_interleave_no_transaction(
    tmp_path: Path,
) -> None:
    file = tmp_path / "numbers.db"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(file)], stdin=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0] * 4
    with closing(open_existing(file, read_only=True)) as connection:
        rows = connection.execute("SELECT value FROM numbers ORDER BY value").fetchall()
    assert [row["value"] for row in rows] == list(range(1, 81))


def test_an_exception_rolls_a_transaction_back(tmp_path: Path) -> None:
    with closing(open_database(tmp_path / "a.db", synchronous="FULL")) as connection:
        connection.execute("CREATE TABLE numbers (value INTEGER UNIQUE)")
        with pytest.raises(sqlite3.IntegrityError), transaction(connection):
            connection.executemany("INSERT INTO numbers VALUES (?)", [(1,), (1,)])
        assert connection.execute("SELECT count(*) FROM numbers").fetchone()[0] == 0


def test_a_database_that_must_exist_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        open_existing(tmp_path / "none.db", read_only=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["100%.db", "a b?.db", "c#d.db"])
def test_a_path_may_hold_what_is_special_in_an_address(tmp_path: Path, name: str) -> None:
    open_database(tmp_path / name, synchronous="OFF").close()
    open_existing(tmp_path / name, read_only=True).close()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_that_is_no_database_is_said_with_its_remedy(tmp_path: Path) -> None:
    file = tmp_path / "broken.db"
    file.write_text("not a database at all, though it is longer than a header" * 20)
    with (
        pytest.raises(WorkspaceUnavailable, match="The file cannot be used: file is not a"),
        available("The file cannot be used", remedy="Restore it."),
    ):
        open_database(file, synchronous="FULL")
