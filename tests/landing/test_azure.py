from __future__ import annotations

import base64
import io
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from azure.storage.blob import ContainerClient
from azure.storage.queue import QueueClient

from mlops_dagster.cli.azurite import Azurite
from mlops_dagster.errors import StorageUnavailable, WorkspaceUnavailable
from mlops_dagster.landing import Rules, Selection, Tables, compact, differences, expire, tick
from mlops_dagster.landing.ledger import Ledger
from mlops_dagster.landing.sources import FileChanged, Page, Source
from mlops_dagster.landing.sources.blobs import BlobSource
from mlops_dagster.landing.sources.queue import QueueSource
from mlops_dagster.landing.values import Batch, Drop, Entry, WaitingDrop, now
from mlops_dagster.objects import BlobStore
from tests.landing.azurite import (
    container_client,
    new_container,
    new_queue,
    queue_client,
    unreliable,
)
from tests.landing.place import SOON, Place, expected

NEVER = 0.0  # a deadline that has passed


@pytest.fixture
def container(azurite: Azurite) -> Iterator[ContainerClient]:
    with new_container(azurite) as client:
        yield client


@pytest.fixture
def queue(azurite: Azurite) -> Iterator[QueueClient]:
    with new_queue(azurite) as client:
        yield client


def pages(source: Source, cursor: str | None = None, until: float | None = None) -> list[Page]:
    return list(source.scan(cursor, time.monotonic() + 60 if until is None else until))


def paths(found: list[Page]) -> list[str]:
    return [drop.path for page in found for drop in page.drops]


def csv(name: str, rows: int) -> bytes:
    table = pd.DataFrame({"key": [f"{name}:{n}" for n in range(rows)], "value": range(rows)})
    text = io.StringIO()
    table.to_csv(text, index=False)
    return text.getvalue().encode()


def event(container: ContainerClient, name: str, *, cloud: bool = True, **more: Any) -> str:
    found = container.get_blob_client(name).get_blob_properties()
    data = {
        "api": "PutBlob",
        "eTag": found.etag.strip('"'),
        "contentLength": found.size,
        "url": f"http://127.0.0.1/{name}",
        "sequencer": "0",
        **more,
    }
    subject = f"/blobServices/default/containers/{container.container_name}/blobs/{name}"
    kind, at = "Microsoft.Storage.BlobCreated", "2026-01-02T03:04:05.1234567Z"
    if cloud:
        whole = {"specversion": "1.0", "type": kind, "time": at, "subject": subject, "data": data}
    else:
        whole = {"eventType": kind, "eventTime": at, "subject": subject, "data": data}
    return json.dumps(whole)


def test_a_listing_goes_on_in_the_next_tick_where_it_stopped(container: ContainerClient) -> None:
    for number in range(7):
        container.upload_blob(f"{number}.csv", b"x")
    source = BlobSource(container, Selection(), page_size=3)
    found: list[Page] = []
    for _ in range(3):
        found += pages(source, found[-1].cursor if found else None, NEVER)
    assert paths(found) == [f"{number}.csv" for number in range(7)]
    assert [page.complete for page in found] == [False, False, True]
    assert all(len(page.cursor) < 400 for page in found)


def test_a_blob_that_lands_behind_a_listing_under_way_is_found_by_the_next(
    container: ContainerClient,
) -> None:
    for name in ("m1", "m2", "m3", "m4"):
        container.upload_blob(name, b"x")
    source = BlobSource(container, Selection(), page_size=2)
    (first,) = pages(source, None, NEVER)
    container.upload_blob("a", b"x")
    second = pages(source, first.cursor)
    assert paths([first, *second]) == ["m1", "m2", "m3", "m4"]
    assert "a" in paths(pages(source, second[-1].cursor))


def test_old_blobs_are_not_handed_out_again_but_by_the_full_listing(
    container: ContainerClient,
) -> None:
    container.upload_blob("old", b"x")
    source = BlobSource(container, Selection(), full_every=3)
    cursor = pages(source)[-1].cursor
    # As if the first pass had begun an hour later than it did.
    state = json.loads(cursor)
    later = datetime.fromisoformat(state["since"]) + (
        now() - datetime.fromtimestamp(0, now().tzinfo)
    )
    cursor = json.dumps({**state, "since": later.isoformat()})
    seen = []
    for _ in range(2):
        page = pages(source, cursor)[-1]
        cursor = json.dumps({**json.loads(page.cursor), "since": later.isoformat()})
        seen.append(paths([page]))
    assert seen == [[], []]
    assert paths(pages(source, cursor)) == ["old"]


def test_names_of_every_kind_are_listed_and_read(
    container: ContainerClient, tmp_path: Path
) -> None:
    names = ["a b.csv", "ünï/ço dé.csv", "100%+#?.csv", "x&y.csv"]
    for name in names:
        container.upload_blob(name, name.encode())
    source = BlobSource(container, Selection())
    (page,) = pages(source)
    assert sorted(drop.path for drop in page.drops) == sorted(names)
    for number, drop in enumerate(page.drops):
        source.fetch(drop, tmp_path / str(number))
        assert (tmp_path / str(number)).read_bytes() == drop.path.encode()


def test_a_blob_is_read_as_it_was_seen_or_its_successor_is_named(
    container: ContainerClient, tmp_path: Path
) -> None:
    container.upload_blob("a.csv", b"one")
    source = BlobSource(container, Selection())
    (drop,) = pages(source)[0].drops
    container.upload_blob("a.csv", b"other", overwrite=True)
    with pytest.raises(FileChanged) as changed:
        source.fetch(drop, tmp_path / "x")
    assert changed.value.current.id == pages(source)[0].drops[0].id


@pytest.mark.parametrize("cloud", [True, False], ids=["CloudEvents", "EventGrid"])
@pytest.mark.parametrize("encode", [True, False], ids=["base64", "plain"])
def test_an_event_names_the_same_drop_as_a_listing(
    container: ContainerClient, queue: QueueClient, cloud: bool, encode: bool
) -> None:
    container.upload_blob("in/a b.csv", b"xyz")
    text = event(container, "in/a b.csv", cloud=cloud)
    queue.send_message(base64.b64encode(text.encode()).decode() if encode else text)
    (told,) = pages(QueueSource(queue, container, Selection()))[0].drops
    (listed,) = pages(BlobSource(container, Selection()))[0].drops
    assert told.id == listed.id
    assert told.size == 3


def test_a_message_comes_again_until_what_it_says_is_written_down(
    container: ContainerClient, queue: QueueClient
) -> None:
    container.upload_blob("a.csv", b"x")
    queue.send_message(event(container, "a.csv"))
    source = QueueSource(queue, container, Selection(), hidden=1)
    assert paths(pages(source, until=NEVER)) == ["a.csv"]
    deadline = time.monotonic() + 20
    again: list[Page] = []
    while not paths(again) and time.monotonic() < deadline:
        again = pages(source, until=NEVER)
        time.sleep(0.1)
    assert paths(again) == ["a.csv"]
    source.accept(again[0])
    assert queue.get_queue_properties().approximate_message_count == 0


@pytest.mark.parametrize(
    "text", ["hello", "[]]", "{}", "[1]", "[" * 100_000, "e30=", '{"data": []}']
)
def test_what_is_no_event_is_set_aside_and_stops_nothing(
    container: ContainerClient, queue: QueueClient, azurite: Azurite, text: str
) -> None:
    container.upload_blob("a.csv", b"x")
    queue.send_message(text[:40_000])
    queue.send_message(event(container, "a.csv"))
    source = QueueSource(queue, container, Selection())
    found = pages(source, until=NEVER)
    source.accept(found[0])
    assert paths(found) == ["a.csv"]
    assert queue.get_queue_properties().approximate_message_count == 0
    poison = queue_client(azurite, f"{queue.queue_name}-poison")
    assert poison.get_queue_properties().approximate_message_count == 1


def test_events_that_come_twice_late_and_out_of_order_score_each_blob_once(
    container: ContainerClient, queue: QueueClient, tmp_path: Path
) -> None:
    container.upload_blob("a.csv", csv("old", 1))
    stale = event(container, "a.csv")
    container.upload_blob("a.csv", csv("new", 2), overwrite=True)
    for text in (event(container, "a.csv"), stale, event(container, "a.csv"), stale):
        queue.send_message(text)
    place = placed(tmp_path, QueueSource(queue, container, Selection()))
    place.run()
    assert place.keys() == expected({"new": 2})
    assert differences(place.landing) == []


def test_a_lost_event_of_an_overwritten_blob_is_made_good_when_it_is_read(
    container: ContainerClient, queue: QueueClient, tmp_path: Path
) -> None:
    container.upload_blob("a.csv", csv("old", 1))
    queue.send_message(event(container, "a.csv"))
    container.upload_blob("a.csv", csv("new", 2), overwrite=True)
    place = placed(tmp_path, QueueSource(queue, container, Selection()))
    place.run()
    assert place.keys() == expected({"new": 2})


def test_files_count_only_when_their_folder_is_marked(
    container: ContainerClient, tmp_path: Path
) -> None:
    container.upload_blob("day=1/a.csv", csv("a", 1))
    selection = Selection(marker="_SUCCESS")
    place = placed(tmp_path, BlobSource(container, selection), selection=selection)
    assert not tick(place.landing).requests
    container.upload_blob("day=1/_SUCCESS", b"")
    place.run()
    assert place.keys() == expected({"a": 1})


def test_a_place_that_cannot_be_reached_is_a_problem_and_no_error(
    azurite: Azurite, tmp_path: Path
) -> None:
    place = placed(tmp_path, BlobSource(container_client(azurite, "not-there"), Selection()))
    found = tick(place.landing)
    assert "'not-there' answers 404" in (found.problem or "")
    assert found.skip_reason == found.problem


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["listing", "queue"])
def test_behind_a_network_that_fails_nothing_is_lost_or_double(
    azurite: Azurite,
    container: ContainerClient,
    queue: QueueClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
) -> None:
    """The files, their events, the ledger's journal and the tables are all behind it."""
    names = [f"{number:02}.csv" for number in range(40)]
    for name in names:
        container.upload_blob(name, csv(name, 2))
        queue.send_message(event(container, name))
    with ExitStack() as stack:
        blob_port, faults = stack.enter_context(unreliable(azurite.blob))
        queue_port, _ = stack.enter_context(unreliable(azurite.queue))
        behind = azurite.through(blob=blob_port, queue=queue_port)
        drops = container_client(behind, container.container_name)
        source: Source = BlobSource(drops, Selection(), page_size=5)
        if mode == "queue":
            events = queue_client(behind, queue.queue_name)
            source = QueueSource(events, drops, Selection(), hidden=1)
        shared = BlobStore(container_client(behind, container.container_name), "_ledger/")
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", behind.connection)
        place = placed(tmp_path, source, shared=shared, tables=tables_in(azurite, container))
        deadline = time.monotonic() + 120
        while place.keys() != expected(dict.fromkeys(names, 2)) and time.monotonic() < deadline:
            try:
                for request in tick(place.landing).requests:
                    place.score(request.batch.id)
            except (StorageUnavailable, WorkspaceUnavailable):
                continue
        assert differences(place.landing) == []
        assert place.keys() == expected(dict.fromkeys(names, 2))
        assert set(faults) == {"503", "429", "reset", "lost", "slow"}


def test_tables_in_a_storage_account_hold_each_drop_once_and_can_be_kept_up(
    azurite: Azurite,
    container: ContainerClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.connection)
    tables = tables_in(azurite, container)
    place = placed(tmp_path, BlobSource(container, Selection()), tables=tables)
    for name in ("a.csv", "b.csv"):
        container.upload_blob(name, csv(name, 2))
        place.run()
    # Another machine, which knows nothing yet, finds both and commits neither again.
    again = placed(tmp_path / "again", BlobSource(container, Selection()), tables=tables)
    again.run()
    assert again.keys() == expected({"a.csv": 2, "b.csv": 2})
    assert [done.added for done in compact(again.landing.tables)] == [0, 1]
    expire(again.landing.tables)
    assert again.keys() == place.keys()
    assert differences(again.landing) == []


def test_no_secret_of_the_connection_is_shown(
    azurite: Azurite, container: ContainerClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.connection)
    nowhere = f"abfss://none@{azurite.account}.dfs.core.windows.net"
    missing = Tables(f"{nowhere}/scores", f"{nowhere}/quarantine")
    place = placed(tmp_path, BlobSource(container, Selection()), tables=missing)
    container.upload_blob("a.csv", csv("a", 1))
    (request,) = tick(place.landing).requests
    with pytest.raises(WorkspaceUnavailable) as raised:
        place.score(request.batch.id)
    for shown in (str(raised.value), repr(place.landing), repr(azurite)):
        assert azurite.key not in shown


def test_machines_that_share_a_ledger_never_cut_a_drop_twice(
    azurite: Azurite, container: ContainerClient, tmp_path: Path
) -> None:
    ledgers = [
        Ledger(tmp_path / f"{number}.db", shared=BlobStore(container, "ledger/"))
        for number in range(2)
    ]
    drops = [Drop(f"{number}.csv", "e", 1, now()) for number in range(6)]
    ledgers[0].record_drops(drops)
    cuts: list[Batch] = []
    for ledger, size in zip(ledgers * 2, (1, 2, 1, 2), strict=True):

        def decide(waiting: Iterable[WaitingDrop], _: int, size: int = size) -> list[Batch]:
            entries = [Entry(found.drop) for found in waiting][:size]
            return [Batch(tuple(entries), now())]

        cuts += [record.batch for record in ledger.add_batches(decide)]
    held = Counter(drop.path for batch in cuts for drop in batch.drops)
    assert held == Counter(drop.path for drop in drops)
    fresh = Ledger(tmp_path / "fresh.db", shared=BlobStore(container, "ledger/"))
    assert [record.batch for record in fresh.open_batches()] == cuts


def tables_in(azurite: Azurite, container: ContainerClient) -> Tables:
    """Addresses of tables in a container of this account, as they are written for Azure."""
    host = f"{container.container_name}@{azurite.account}.dfs.core.windows.net"
    return Tables(f"abfss://{host}/_tables/scores", f"abfss://{host}/_tables/quarantine")


def placed(
    tmp_path: Path,
    source: Source,
    *,
    selection: Selection | None = None,
    shared: BlobStore | None = None,
    tables: Tables | None = None,
) -> Place:
    rules = Rules(limits=SOON)
    place = Place.make(tmp_path / "landing", rules=rules, selection=selection, tables=tables)
    ledger = place.landing.ledger
    if shared is not None:
        ledger = Ledger(tmp_path / "shared.db", shared=shared)
    place.landing = replace(place.landing, source=source, ledger=ledger)
    return place
