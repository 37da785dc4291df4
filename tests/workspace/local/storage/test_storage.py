"""Inputs are found or uploaded, outputs appear whole, and no address leads out of the datastores."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlops_dagster.errors import (
    InvalidDocument,
    InvalidRequest,
    NotFound,
    Unsupported,
    WorkspaceUnavailable,
)
from mlops_dagster.workspace.local.ground.state import State
from mlops_dagster.workspace.local.records import jobs as records
from mlops_dagster.workspace.local.storage.data import LocalData
from mlops_dagster.workspace.local.storage.storage import Storage
from mlops_dagster.workspace.ports import JobStatus, OutputRecord

DATASTORE = "azureml://datastores/workspaceblobstore/paths/"
LONG = (
    "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/workspaceblobstore/paths/"
)


@pytest.fixture
def state(mlops_home: Path) -> State:
    return State(mlops_home)


@pytest.fixture
def storage(state: State) -> Storage:
    return Storage(state)


def publish(storage: Storage, uri: str, **files: str) -> Path:
    """Put a folder with these files at ``uri``, as a job does."""
    staged = storage.outputs.stage(uri, "uri_folder", "job", "out")
    for name, text in files.items():
        (staged / name).write_text(text)
    storage.outputs.publish(staged, uri)
    return storage.path_of(uri)


def settle(file: Path) -> None:
    """Give a file an old time, and wait until the clock has moved on from its last change."""
    os.utime(file, ns=(1, 1))
    while time.time_ns() < file.stat().st_ctime_ns + 60_000_000:
        time.sleep(0.01)


def in_a_process(home: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run code that has a ``storage`` at hand."""
    setup = (
        "from pathlib import Path; import os, signal, resource\n"
        "from mlops_dagster.workspace.local.ground.state import State\n"
        "from mlops_dagster.workspace.local.storage.storage import Storage\n"
        f"storage = Storage(State(Path({str(home)!r})))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", setup + code], capture_output=True, text=True, check=False
    )


def test_a_local_file_is_uploaded_under_its_own_name_and_read_only(
    storage: Storage, tmp_path: Path
) -> None:
    file = tmp_path / "données et été.csv"
    file.write_text("a,b\n")
    found = storage.resolve(str(file))
    assert found.path.name == file.name
    assert found.path.read_text() == "a,b\n"
    assert found.path != file
    assert not found.path.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)
    assert storage.path_of(found.uri) == found.path
    file.write_text("changed\n")
    assert found.path.read_text() == "a,b\n"


def test_the_same_content_is_uploaded_once(storage: Storage, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "set").mkdir(parents=True)
        (tmp_path / name / "set" / "x.txt").write_text("x")
    first, second = (storage.resolve(str(tmp_path / name / "set")) for name in ("one", "two"))
    assert first == second


@pytest.mark.parametrize("form", [DATASTORE, LONG, "azureml:registered", "path", "file://"])
def test_every_form_of_an_address_finds_the_same_place(
    state: State, storage: Storage, form: str
) -> None:
    path = publish(storage, f"{DATASTORE}some/where", x="1")
    LocalData(state, storage).register("registered", f"{DATASTORE}some/where", type="uri_folder")
    text = {"path": str(path), "file://": f"file://{path}"}.get(form, f"{form}some/where")
    text = "azureml:registered@latest" if form == "azureml:registered" else text
    found = storage.resolve(text)
    assert (found.path / "x").read_text() == "1"
    if "registered" in form:
        assert found.version == "azureml:registered:1"
    else:
        assert (found.uri, found.path, found.version) == (f"{DATASTORE}some/where", path, None)


def test_an_output_of_a_job_is_an_input_by_the_names_of_both(
    state: State, storage: Storage
) -> None:
    path = publish(storage, f"{DATASTORE}azureml/before/model", x="1")
    state.create(records.SCHEMA)
    with state.write() as connection:
        job = records.NewJob("before", "command", JobStatus.RUNNING, "e", "before")
        records.insert(connection, [job])
        output = OutputRecord("model", "uri_folder", f"{DATASTORE}azureml/before/model")
        records.end(connection, "before", JobStatus.COMPLETED, outputs=[output])
    assert storage.resolve("azureml:before:outputs.model").path == path
    assert storage.resolve("azureml://jobs/before/outputs/model/paths/x").path == path / "x"
    with pytest.raises(NotFound, match=r"before\.modle.*\n.*'model'"):
        storage.resolve("azureml:before:outputs.modle")


@pytest.mark.parametrize(
    "uri",
    [
        f"{DATASTORE}../../state.db",
        f"{DATASTORE}a/../../../x",
        "azureml://datastores/../paths/state.db",
        "azureml://datastores/.staging/paths/x",
        f"{DATASTORE}..\\x",
        f"{DATASTORE}out/passwd",
    ],
)
def test_no_address_leads_out_of_its_datastore(storage: Storage, uri: str) -> None:
    (storage.path_of(DATASTORE) / "out").symlink_to("/etc")
    with pytest.raises((InvalidRequest, NotFound)):
        storage.resolve(uri)
    with pytest.raises((InvalidRequest, NotFound)):
        storage.outputs.stage(uri, "uri_file", "job", "out")


@pytest.mark.parametrize(
    "uri",
    [
        f"{DATASTORE}azureml",
        f"{DATASTORE}azureml-models/m/1",
        f"{DATASTORE}LocalUpload",
    ],
)
def test_an_output_cannot_take_the_place_of_what_is_not_its_own(storage: Storage, uri: str) -> None:
    with pytest.raises(InvalidRequest):
        storage.outputs.stage(uri, "uri_folder", "job", "out")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("wasbs://c@account.example/f.csv?sig=secret", "wasbs://c@account.example/f.csv,"),
        ("https://user:secret@account.example/c/?sig=secret", "https://account.example/c/, "),
        ("ftp://user:secret@account.example/f.csv", "ftp://account.example/f.csv,"),
        ("azureml://registries/azureml/models/m/versions/1", "registry"),
    ],
)
def test_what_lies_elsewhere_is_refused_with_the_way_to_put_a_file_in_its_place(
    storage: Storage, address: str, said: str
) -> None:
    with pytest.raises(Unsupported) as caught:
        storage.resolve(address, field="inputs.raw")
    assert said in str(caught.value)
    assert "--set inputs.raw.path=PATH" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "type", "entry"),
    [
        (f"{DATASTORE}gone", "uri_folder", f"inputs: {{{DATASTORE}gone: PATH}}"),
        ("azureml:gone@latest", "uri_file", "data: {azureml:gone@latest: PATH}"),
        ("azureml:gone:2", "mlflow_model", "models: {azureml:gone:2: PATH}"),
    ],
)
def test_what_only_azure_has_is_told_with_the_way_to_put_a_file_in_its_place(
    storage: Storage, address: str, type: str, entry: str
) -> None:
    with pytest.raises(NotFound) as caught:
        storage.resolve(address, field="inputs.raw", type=type)
    assert "--set inputs.raw.path=PATH" in str(caught.value)
    assert f"`{entry}`" in str(caught.value)


def test_with_no_project_at_hand_any_datastore_is_a_folder_here(storage: Storage) -> None:
    address = "azureml://datastores/lake/paths/raw/"
    publish(storage, address, part="1")
    assert (storage.resolve(address).path / "part").read_text() == "1"


def test_a_pattern_for_all_that_lies_below_a_folder_is_the_folder(storage: Storage) -> None:
    folder = publish(storage, f"{DATASTORE}dogs", part="1")
    assert storage.resolve(f"{DATASTORE}dogs/**").path == folder


def test_what_is_missing_is_told_with_what_lies_there(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "rates.csv").write_text("")
    with pytest.raises(NotFound, match=r"inputs\.raw leads there;.*rates\.csv"):
        storage.resolve(str(tmp_path / "rate.csv"), field="inputs.raw")
    publish(storage, f"{DATASTORE}day", part="1")
    with pytest.raises(NotFound, match="holds: part"):
        storage.resolve(f"{DATASTORE}day/prat")
    with pytest.raises(Unsupported, match="pattern"):
        storage.resolve(f"{DATASTORE}day/*")


def test_a_project_declares_datastores(state: State, tmp_path: Path) -> None:
    file = tmp_path / "datastores" / "lake.yml"
    file.parent.mkdir()
    with pytest.raises(NotFound, match=r"'lake'.*\n.*workspaceblobstore"):
        Storage(state, tmp_path).path_of("azureml://datastores/lake/paths/x")
    file.write_text("name: lake\ntype: azure_blob\naccount_name: a\ncontainer_name: c\n")
    publish(Storage(state, tmp_path), "azureml://datastores/lake/paths/x", y="1")
    assert Storage(state).resolve("azureml://datastores/lake/paths/x/y").path.read_text() == "1"
    file.write_text("name: ../lake\n")
    with pytest.raises(InvalidDocument, match=r"lake\.yml:1"):
        Storage(state, tmp_path)


def test_links_in_an_input_are_followed_inside_it_only(storage: Storage, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "x").write_text("1")
    (folder / "same").symlink_to("x")
    assert (storage.resolve(str(folder)).path / "same").read_text() == "1"
    (folder / "secret").symlink_to("/etc/passwd")
    with pytest.raises(InvalidRequest, match="secret leads outside"):
        storage.resolve(str(folder))
    (folder / "secret").unlink()
    (folder / "round").symlink_to(folder)
    with pytest.raises(InvalidRequest, match="round leads around in a circle"):
        storage.resolve(str(folder))


def test_an_output_is_added_to_what_lies_there_and_replaces_the_same_names(
    storage: Storage,
) -> None:
    uri = f"{DATASTORE}scores/latest"
    publish(storage, uri, old="1", both="1")
    path = publish(storage, uri, new="2", both="2")
    assert {file.name: file.read_text() for file in path.iterdir()} == {
        "old": "1",
        "new": "2",
        "both": "2",
    }


def test_a_file_output_replaces_the_file_of_its_name_alone(storage: Storage) -> None:
    for text in ("1", "2"):
        staged = storage.outputs.stage(f"{DATASTORE}scores/one.csv", "uri_file", "job", "out")
        staged.write_text(text)
        storage.outputs.publish(staged, f"{DATASTORE}scores/one.csv")
        publish(storage, f"{DATASTORE}scores", other=text)
    path = storage.path_of(f"{DATASTORE}scores")
    assert {file.name: file.read_text() for file in path.iterdir()} == {
        "one.csv": "2",
        "other": "2",
    }


def test_an_output_to_a_datastores_own_root_is_added_to_it(storage: Storage) -> None:
    publish(storage, f"{DATASTORE}azureml/before/out", x="1")
    path = publish(storage, DATASTORE, october="2")
    assert (path / "october").read_text() == "2"
    assert (path / "azureml/before/out/x").read_text() == "1"


@pytest.mark.parametrize("name", ["azureml", "azureml-models", "LocalUpload"])
def test_an_output_to_the_root_holds_nothing_of_the_workspaces_own(
    storage: Storage, name: str
) -> None:
    staged = storage.outputs.stage(DATASTORE, "uri_folder", "job", "out")
    (staged / name).mkdir()
    with pytest.raises(InvalidRequest, match=f"'{name}', which belongs to the workspace"):
        storage.outputs.publish(staged, DATASTORE)


def test_a_file_never_takes_the_place_of_a_folder_nor_a_folder_that_of_a_file(
    storage: Storage,
) -> None:
    uri = f"{DATASTORE}scores"
    path = publish(storage, f"{uri}/deep", x="1").parent
    publish(storage, uri, file="1")
    staged = storage.outputs.stage(uri, "uri_file", "file", "out")
    staged.write_text("2")
    with pytest.raises(InvalidRequest, match="scores is a folder, and the output has a file there"):
        storage.outputs.publish(staged, uri)
    with pytest.raises(InvalidRequest, match="scores/deep is a folder"):
        publish(storage, uri, deep="2", another="2")
    storage.outputs.discard("job")
    staged = storage.outputs.stage(uri, "uri_folder", "job", "out")
    (staged / "file").mkdir()
    (staged / "file/x").write_text("2")
    with pytest.raises(InvalidRequest, match="scores/file is a file"):
        storage.outputs.publish(staged, uri)
    with pytest.raises(InvalidRequest, match="scores/file is a file"):
        publish(storage, f"{uri}/file/below", x="2")
    assert sorted(file.name for file in path.rglob("*")) == ["deep", "file", "x"]


def test_a_process_killed_while_an_output_is_added_loses_nothing(
    storage: Storage, mlops_home: Path
) -> None:
    uri = f"{DATASTORE}scores/latest"
    publish(storage, uri, old="1", b="1")
    killed = in_a_process(
        mlops_home,
        f"staged = storage.outputs.stage({uri!r}, 'uri_folder', 'job', 'out')\n"
        "for name in 'abc': (staged / name).write_text('2')\n"
        "replace, moves = Path.replace, []\n"
        "def replace_once(path, to):\n"
        "    moves.append(to)\n"
        "    os.kill(os.getpid(), signal.SIGKILL) if len(moves) == 2 else replace(path, to)\n"
        "Path.replace = replace_once\n"
        f"storage.outputs.publish(staged, {uri!r})\n",
    )
    assert killed.returncode == -signal.SIGKILL
    path = storage.path_of(uri)
    assert sorted(file.name for file in path.iterdir()) == ["a", "b", "old"]
    assert storage.resolve(uri).path == path
    assert {file.name: file.read_text() for file in path.iterdir()} == {
        "old": "1",
        "a": "2",
        "b": "2",
        "c": "2",
    }


def test_a_registered_version_keeps_its_content_when_its_path_is_written_again(
    state: State, storage: Storage
) -> None:
    uri = f"{DATASTORE}data/mydata"
    data = LocalData(state, storage)
    for text in ("1", "2"):
        publish(storage, uri, v=text)
        assert data.register("mydata", uri, type="uri_folder").uri == uri
    publish(storage, uri, v="3")
    read = [storage.resolve(f"azureml:mydata:{number}").path for number in (1, 2)]
    assert [(path / "v").read_text() for path in read] == ["1", "2"]
    assert (storage.resolve(uri).path / "v").read_text() == "3"


def test_a_registered_version_that_somebody_else_changed_is_refused(
    state: State, storage: Storage
) -> None:
    folder = storage.path_of(f"{DATASTORE}lake/raw")
    folder.mkdir(parents=True)
    (folder / "january").write_text("1")
    LocalData(state, storage).register("raw", f"{DATASTORE}lake/raw", type="uri_folder")
    assert storage.resolve("azureml:raw:1").path == folder
    (folder / "february").write_text("2")
    with pytest.raises(InvalidRequest, match=r"azureml:raw:1 is no longer what was registered"):
        storage.resolve("azureml:raw:1")


def test_a_full_disk_leaves_nothing_half_written(mlops_home: Path, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(200_000))
    State(mlops_home)
    ended = in_a_process(
        mlops_home,
        "from mlops_dagster.errors import WorkspaceUnavailable\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        f"try: storage.resolve({str(tmp_path / 'big')!r})\n"
        "except WorkspaceUnavailable as error: print(error)\n",
    )
    assert "cannot be written: File too large" in ended.stdout, ended.stderr
    left = [path for path in (mlops_home / "datastores").rglob("*") if path.is_file()]
    assert left == []


def test_an_unwritable_state_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "datastores").write_text("a file stands here")
    with pytest.raises(WorkspaceUnavailable, match="datastores cannot be written"):
        Storage(State(tmp_path / "home"))


def test_links_in_an_output_become_what_they_point_to(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "deep" / "x").write_text("1")
    staged = storage.outputs.stage(f"{DATASTORE}out", "uri_folder", "job", "out")
    (staged / "tree").symlink_to(tmp_path / "tree")
    storage.outputs.publish(staged, f"{DATASTORE}out")
    published = storage.path_of(f"{DATASTORE}out") / "tree" / "deep" / "x"
    assert published.resolve() == published
    assert (tmp_path / "tree" / "deep" / "x").stat().st_mode & stat.S_IWUSR
    staged = storage.outputs.stage(f"{DATASTORE}out", "uri_folder", "job", "out")
    (staged / "nothing").symlink_to(tmp_path / "gone")
    with pytest.raises(InvalidRequest, match="nothing that leads to nothing"):
        storage.outputs.publish(staged, f"{DATASTORE}out")


def test_a_file_output_has_a_folder_and_is_not_there_yet(storage: Storage) -> None:
    uri = storage.outputs.default_output("job", "table", "uri_file")
    staged = storage.outputs.stage(uri, "uri_file", "job", "out")
    assert (staged.parent.is_dir(), staged.exists()) == (True, False)
    staged.write_text("1")
    storage.outputs.publish(staged, uri)
    assert storage.resolve(uri).path.read_text() == "1"


def test_what_a_job_staged_and_did_not_publish_is_discarded(
    storage: Storage, mlops_home: Path
) -> None:
    staged = storage.outputs.stage(f"{DATASTORE}out", "uri_folder", "job", "out")
    storage.outputs.discard("job")
    assert not staged.exists()


def test_a_digest_tells_names_and_contents_and_nothing_else(
    storage: Storage, tmp_path: Path
) -> None:
    def digest(name: str, **files: str) -> str:
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(text)
        return storage.digest(tmp_path / name)

    one = digest("one", a="1", b="2")
    assert digest("again", b="2", a="1") == one
    assert len({one, digest("name", a="1", c="2"), digest("moved", a="12", b="")}) == 3
    (tmp_path / "again" / "empty").mkdir()
    assert storage.digest(tmp_path / "again") != one


def test_an_unchanged_file_is_read_once_and_a_changed_one_again(
    state: State, storage: Storage, tmp_path: Path
) -> None:
    file = tmp_path / "x"
    file.write_text("1")
    settle(file)
    before = storage.digest(file)
    with state.write() as connection:
        connection.execute("UPDATE file_digests SET digest = 'known'")
    assert storage.digest(file) == "sha256:known"
    file.write_text("1")
    assert storage.digest(file) == before


def test_other_content_of_the_same_size_and_time_is_seen(storage: Storage, tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_text("1")
    settle(file)
    before = storage.digest(file)
    file.write_text("2")
    settle(file)
    assert storage.digest(file) != before


@pytest.mark.parametrize("mode", [0o644, 0o444])
def test_a_state_folder_that_was_restored_from_a_copy_knows_its_content(
    mlops_home: Path, tmp_path: Path, mode: int
) -> None:
    file = tmp_path / "table.csv"
    file.write_text("1")
    file.chmod(mode)
    state = State(mlops_home)
    LocalData(state, Storage(state)).register("table", str(file), type="uri_file")
    publish(Storage(state), f"{DATASTORE}scores", x="1")
    LocalData(state, Storage(state)).register("scores", f"{DATASTORE}scores", type="uri_folder")
    state.close()
    subprocess.run(["cp", "-a", mlops_home, tmp_path / "restored"], check=True)
    restored = Storage(State(tmp_path / "restored"))
    assert restored.resolve("azureml:table:1").path.read_text() == "1"
    assert (restored.resolve("azureml:scores:1").path / "x").read_text() == "1"
    assert restored.resolve(str(file)).path == restored.resolve("azureml:table:1").path


@pytest.mark.slow
def test_fifty_thousand_files_are_uploaded(storage: Storage, tmp_path: Path) -> None:
    for number in range(50):
        folder = tmp_path / "many" / f"part {number}"
        folder.mkdir(parents=True)
        for item in range(1000):
            (folder / f"{item} ü.txt").write_bytes(b"%d" % (number * item))
    path = storage.resolve(str(tmp_path / "many")).path
    assert sum(len(names) for _, _, names in os.walk(path)) == 50_000
    assert (path / "part 49" / "999 ü.txt").read_bytes() == b"48951"
