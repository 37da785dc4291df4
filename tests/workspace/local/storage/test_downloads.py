"""Files behind an address: fetched once, kept by version, and told about when they cannot be had."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from mlops_dagster.workspace.local.storage.downloads import Downloads, NotFetched
from tests.workspace.local.conftest import Site


@pytest.fixture
def downloads(tmp_path: Path) -> Downloads:
    return Downloads(tmp_path / "home")


def left_in(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


def test_a_file_is_fetched_and_its_size_told_before(downloads: Downloads, site: Site) -> None:
    site.files["/rates.csv"] = (b"a,b\n" * 500, '"1"')
    said: list[str] = []
    file = downloads.fetch(f"{site.url}/rates.csv?sig=secret", say=said.append)
    assert (file.name, file.read_bytes()) == ("rates.csv", b"a,b\n" * 500)
    assert said == [f"Downloading {site.url}/rates.csv (2 kB) ..."]
    assert site.requests == [("/rates.csv?sig=secret", 200)]


def test_what_has_not_changed_is_not_fetched_again(downloads: Downloads, site: Site) -> None:
    site.files["/f"] = (b"one", '"1"')
    first = downloads.fetch(f"{site.url}/f")
    assert downloads.fetch(f"{site.url}/f") == first
    assert [status for _, status in site.requests] == [200, 304]


def test_a_new_version_is_fetched_and_the_old_one_stays(downloads: Downloads, site: Site) -> None:
    site.files["/f"] = (b"one", '"1"')
    first = downloads.fetch(f"{site.url}/f")
    site.files["/f"] = (b"two", '"2"')
    second = downloads.fetch(f"{site.url}/f")
    assert (first.read_bytes(), second.read_bytes()) == (b"one", b"two")


def test_without_an_etag_it_is_fetched_each_time(downloads: Downloads, site: Site) -> None:
    site.files["/f"] = (b"one", None)
    downloads.fetch(f"{site.url}/f")
    site.files["/f"] = (b"two", None)
    assert downloads.fetch(f"{site.url}/f").read_bytes() == b"two"


@pytest.mark.parametrize("answer", [(503, None), (None, None)], ids=["broken", "gone"])
def test_a_copy_serves_while_the_server_cannot(
    downloads: Downloads, site: Site, answer: tuple[int | None, None]
) -> None:
    site.files["/f"] = (b"one", '"1"')
    first = downloads.fetch(f"{site.url}/f")
    if answer[0] is not None:
        site.files["/f"] = (answer[0], None)
    else:
        site.cut = 0
        site.files["/f"] = (b"two", '"2"')
    said: list[str] = []
    assert downloads.fetch(f"{site.url}/f", say=said.append) == first
    assert "the copy of 20" in said[-1]


@pytest.mark.parametrize(
    ("status", "reason"), [(404, "answered 404 Not Found"), (403, "answered 403 Forbidden")]
)
def test_a_refusal_is_told_even_where_there_is_a_copy(
    downloads: Downloads, site: Site, status: int, reason: str
) -> None:
    site.files["/f"] = (b"one", '"1"')
    downloads.fetch(f"{site.url}/f")
    site.files["/f"] = (status, None)
    with pytest.raises(NotFetched, match=reason):
        downloads.fetch(f"{site.url}/f")


def test_a_download_that_breaks_off_leaves_nothing(
    downloads: Downloads, site: Site, tmp_path: Path
) -> None:
    site.files["/f"] = (b"x" * 1000, '"1"')
    site.cut = 100
    with pytest.raises(NotFetched, match="broke off after 100"):
        downloads.fetch(f"{site.url}/f")
    assert left_in(tmp_path) == []


def test_where_nobody_answers_the_reason_is_told(downloads: Downloads) -> None:
    with pytest.raises(NotFetched, match=r"cannot be reached: .*refused"):
        downloads.fetch("http://127.0.0.1:9/f")


def test_a_redirect_cannot_lead_to_a_file_of_this_machine(
    downloads: Downloads, site: Site, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("secret")
    site.files["/f"] = (302, f"file://{tmp_path}/secret")
    with pytest.raises(NotFetched):
        downloads.fetch(f"{site.url}/f")
    site.files["/f"] = (302, f"{site.url}/g")
    site.files["/g"] = (b"moved", None)
    assert downloads.fetch(f"{site.url}/f").read_bytes() == b"moved"


def test_a_password_in_the_address_is_sent_and_never_said(downloads: Downloads, site: Site) -> None:
    site.files["/f"] = (b"one", None)
    said: list[str] = []
    downloads.fetch(site.url.replace("//", "//ann:pass%20word@") + "/f", say=said.append)
    assert site.authorization == f"Basic {base64.b64encode(b'ann:pass word').decode()}"
    assert "pass" not in said[0]


@pytest.mark.parametrize(
    ("path", "name"),
    [("/", "download"), ("/..%2f..%2fetc", "_.._etc"), ("/a%20b%00.csv", "a b_.csv")],
)
def test_a_name_from_the_network_is_a_plain_file_name(
    downloads: Downloads, site: Site, path: str, name: str
) -> None:
    site.files[path] = (b"one", None)
    assert downloads.fetch(f"{site.url}{path}").name == name
