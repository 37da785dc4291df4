"""Local jobs when things go wrong: kills, crowds, hostile commands, full disks."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import psutil
import pytest

from mlops_dagster.errors import WorkspaceUnavailable
from mlops_dagster.workspace.local import LocalWorkspace
from mlops_dagster.workspace.ports import JobRecord, JobStatus
from tests.workspace.conftest import WriteJob, runs, until

LOST = "The process that ran this job ended without a word (killed, or the machine restarted)."


@pytest.fixture
def running(local: LocalWorkspace, job: WriteJob, tmp_path: Path) -> Callable[[str], int]:
    """Submits a command as the job ``victim`` and waits until it has told its process id."""

    def start(text: str) -> int:
        told = tmp_path / "pid"
        local.jobs.submit(job(f"command: echo $$ > {told}; {text}"), name="victim")
        until(lambda: told.exists() and told.read_text().endswith("\n"))
        until(lambda: local.jobs.get("victim").status is JobStatus.RUNNING)
        return int(told.read_text())

    return start


def runner_of(home: Path, name: str) -> psutil.Process:
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "mlops_dagster.workspace.local.running.runner" in words and words[-3:-1] == [
            str(home),
            name,
        ]:
            return process
    pytest.fail(f"{name} has no runner")


def run(local: LocalWorkspace, job: WriteJob, text: str) -> JobRecord:
    submitted = local.jobs.submit(job(text))
    return local.jobs.wait(submitted.name, timeout=120)


def test_a_job_whose_runner_was_killed_does_not_respond_and_leaves_no_process(
    local: LocalWorkspace, running: Callable[[str], int], tmp_path: Path
) -> None:
    pid = running("echo half > outputs/state; sleep 1000 & setsid sleep 1000 & wait")
    children = psutil.Process(pid).children(recursive=True)
    runner_of(local.home, "victim").kill()
    until(lambda: local.jobs.get("victim").status.is_terminal)
    record = local.jobs.get("victim")
    assert (record.status, record.error) == (JobStatus.NOT_RESPONDING, LOST)
    assert not [process for process in (pid, *[c.pid for c in children]) if runs(process)]
    assert not (local.home / "jobs" / "victim" / "work").exists()
    local.jobs.download("victim", tmp_path / "got")
    assert (tmp_path / "got/artifacts/outputs/state").read_text() == "half\n"


def test_a_job_whose_whole_tree_was_killed_does_not_respond(
    local: LocalWorkspace, running: Callable[[str], int]
) -> None:
    pid = running("sleep 1000 & wait")
    runner = runner_of(local.home, "victim")
    for process in (runner, *runner.children(recursive=True)):
        process.kill()
    record = local.jobs.wait("victim", timeout=30)
    assert (record.status, record.error) == (JobStatus.NOT_RESPONDING, LOST)
    assert not runs(pid)


def test_a_job_whose_command_was_killed_says_by_which_signal(
    local: LocalWorkspace, running: Callable[[str], int]
) -> None:
    os.kill(running("echo so far; sleep 1000 & wait"), signal.SIGKILL)
    record = local.jobs.wait("victim", timeout=30)
    assert record.status is JobStatus.FAILED
    assert record.error == "Its command was ended by SIGKILL: so far"


def test_a_runner_that_is_told_to_end_ends_its_job(
    local: LocalWorkspace, running: Callable[[str], int]
) -> None:
    pid = running("sleep 1000")
    runner_of(local.home, "victim").terminate()
    record = local.jobs.wait("victim", timeout=30)
    assert record.status is JobStatus.FAILED
    assert "SIGTERM" in (record.error or "")
    assert not runs(pid)


def test_what_a_reboot_left_running_is_found_and_ended_as_such(
    local: LocalWorkspace, running: Callable[[str], int]
) -> None:
    running("sleep 1000")
    runner = runner_of(local.home, "victim")
    for process in (runner, *runner.children(recursive=True)):
        process.kill()
    # After a reboot the process id may be somebody else's, who is to be left alone.
    with subprocess.Popen(["sleep", "1000"]) as stranger:
        with sqlite3.connect(local.home / "state.db") as connection:
            connection.execute("UPDATE jobs SET pid = ?", (stranger.pid,))
        connection.close()
        assert LocalWorkspace(local.home).jobs.wait("victim", timeout=30).error == LOST
        assert runs(stranger.pid)
        stranger.kill()


def test_a_pipeline_whose_runner_was_killed_does_not_respond_with_its_steps(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path
) -> None:
    text = f"""
        type: pipeline
        jobs:
          long:
            command: echo $$ > {tmp_path}/pid; sleep 1000
            outputs: {{o: {{type: uri_folder}}}}
          later:
            command: ls ${{{{inputs.i}}}}
            inputs: {{i: "${{{{parent.jobs.long.outputs.o}}}}"}}
    """
    local.jobs.submit(job(text), name="victim")
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    until(lambda: local.jobs.get("victim_long").status is JobStatus.RUNNING)
    runner_of(local.home, "victim").kill()
    record = local.jobs.wait("victim", timeout=30)
    assert (record.status, record.error) == (JobStatus.NOT_RESPONDING, LOST)
    steps = {step.step: step for step in local.jobs.list(parent="victim")}
    assert steps["long"].status is JobStatus.NOT_RESPONDING
    assert steps["later"].status is JobStatus.CANCELED
    assert not runs(int((tmp_path / "pid").read_text()))


def test_a_pipeline_whose_bookkeeping_fails_leaves_no_step_behind(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path
) -> None:
    (tmp_path / "inner.yml").write_text(
        "type: pipeline\njobs:\n  short:\n    type: command\n    environment: azureml:any@latest\n"
        f"    command: until [ -e {tmp_path}/go ]; do sleep 0.05; done\n"
    )
    text = f"""
        type: pipeline
        jobs:
          inner: {{type: pipeline, component: inner.yml}}
          long:
            command: echo $$ > {tmp_path}/pid; sleep 1000
            outputs: {{o: {{type: uri_folder}}}}
          later:
            command: ls ${{{{inputs.i}}}}
            inputs: {{i: "${{{{parent.jobs.long.outputs.o}}}}"}}
    """
    local.jobs.submit(job(text), name="victim")
    until(lambda: local.jobs.get("victim_long").status is JobStatus.RUNNING)
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    with sqlite3.connect(local.home / "state.db") as connection:
        connection.execute(
            "CREATE TRIGGER refuse BEFORE UPDATE ON jobs"
            " WHEN NEW.name = 'victim_inner' AND NEW.status = 'Completed'"
            " BEGIN SELECT RAISE(ABORT, 'no room'); END"
        )
    connection.close()
    (tmp_path / "go").touch()
    assert [line for line in local.jobs.stream("victim_later") if line.job != "victim_later"] == []
    record = local.jobs.wait("victim", timeout=30)
    assert record.status is JobStatus.FAILED
    assert "no room" in (record.error or "")
    steps = {step.step: step.status for step in local.jobs.list(parent="victim")}
    assert steps == dict.fromkeys(("inner", "long", "later"), JobStatus.CANCELED)
    assert not runs(int((tmp_path / "pid").read_text()))


def test_a_step_whose_end_cannot_be_recorded_fails_its_pipeline(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path
) -> None:
    text = f"""
        type: pipeline
        jobs:
          short: {{command: "until [ -e {tmp_path}/go ]; do sleep 0.05; done"}}
          long: {{command: sleep 1000}}
    """
    local.jobs.submit(job(text), name="victim")
    until(lambda: local.jobs.get("victim_long").status is JobStatus.RUNNING)
    with sqlite3.connect(local.home / "state.db") as connection:
        connection.execute(
            "CREATE TRIGGER refuse BEFORE UPDATE ON jobs"
            " WHEN NEW.name = 'victim_short' AND NEW.status = 'Completed'"
            " BEGIN SELECT RAISE(ABORT, 'no room'); END"
        )
    connection.close()
    (tmp_path / "go").touch()
    record = local.jobs.wait("victim", timeout=30)
    assert record.status is JobStatus.FAILED
    assert "The end of step short was not recorded" in (record.error or "")
    assert {step.status for step in local.jobs.list(parent="victim")} == {JobStatus.CANCELED}


def test_the_steps_of_a_pipeline_that_has_no_runner_are_ended_with_it(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    record = run(local, job, "{type: pipeline, jobs: {only: {command: 'true'}}}")
    assert record.status is JobStatus.FAILED
    (step,) = local.jobs.list(parent=record.name)
    assert step.status is JobStatus.CANCELED
    assert step.error == "It was not run, because its pipeline ended."


def test_a_runner_that_cannot_begin_is_tried_again_and_then_given_up(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "python"
    broken.write_text(f"#!/bin/sh\necho tried >> {tmp_path}/tries\necho 'no such module' >&2\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    record = run(local, job, "command: 'true'")
    assert record.status is JobStatus.FAILED
    assert record.error == "Its runner could not start: no such module"
    assert (tmp_path / "tries").read_text().count("tried") == 3


def test_a_job_goes_on_when_its_submitter_is_killed(local: LocalWorkspace, tmp_path: Path) -> None:
    (tmp_path / "job.yml").write_text(
        f"command: while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; echo survived\n"
        "environment: azureml:any@latest\n"
    )
    submit = f"""
        import os, signal
        from pathlib import Path
        from mlops_dagster.aml import load_job
        from mlops_dagster.workspace.local import LocalWorkspace
        job = load_job(Path({str(tmp_path / "job.yml")!r}))
        LocalWorkspace(Path({str(local.home)!r})).jobs.submit(job, name="orphan")
        os.killpg(0, signal.SIGKILL)
    """
    subprocess.run([sys.executable, "-c", dedent(submit)], start_new_session=True, check=False)
    assert not local.jobs.get("orphan").status.is_terminal
    (tmp_path / "go").touch()
    assert local.jobs.wait("orphan", timeout=60).status is JobStatus.COMPLETED
    assert local.jobs.log("orphan") == "survived\n"


SUBMIT_MANY = """
import json, sys
from pathlib import Path
from mlops_dagster.aml import load_job
from mlops_dagster.workspace.local import LocalWorkspace

home, file, names = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
workspace = LocalWorkspace(home)
print(json.dumps([str(workspace.jobs.submit(load_job(file), name=name).name) for name in names]))
"""


def submit_from_processes(home: Path, file: Path, names: list[list[str]]) -> list[list[str]]:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", SUBMIT_MANY, str(home), str(file), json.dumps(part)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for part in names
    ]
    answers = [process.communicate(timeout=170)[0] for process in started]
    assert [process.returncode for process in started] == [0] * len(started)
    return [json.loads(answer) for answer in answers]


def test_one_name_submitted_by_four_processes_at_once_runs_once(
    local: LocalWorkspace, tmp_path: Path
) -> None:
    file = tmp_path / "job.yml"
    text = f"command: echo ran >> {tmp_path}/runs\nenvironment: azureml:any@latest\n"
    file.write_text(text)
    answers = submit_from_processes(tmp_path / "fresh", file, [["one"]] * 4)
    assert answers == [["one"]] * 4
    assert LocalWorkspace(tmp_path / "fresh").jobs.wait("one", timeout=60).error is None
    assert (tmp_path / "runs").read_text() == "ran\n"


@pytest.mark.slow
def test_two_hundred_jobs_submitted_at_once_by_eight_processes_all_run(
    local: LocalWorkspace, tmp_path: Path
) -> None:
    file = tmp_path / "job.yml"
    file.write_text("command: echo $AZUREML_RUN_ID\nenvironment: azureml:any@latest\n")
    names = [[f"job-{part}-{number}" for number in range(25)] for part in range(8)]
    submit_from_processes(local.home, file, names)
    expected = {name for part in names for name in part}
    for name in sorted(expected):
        assert local.jobs.wait(name, timeout=150).status is JobStatus.COMPLETED
        assert local.jobs.log(name) == f"{name}\n"
    assert {record.name for record in local.jobs.list(limit=1000)} == expected
    assert local.compute.get("serverless").busy == 0


def test_a_command_that_closes_its_output_ends_when_it_ends(
    local: LocalWorkspace, job: WriteJob
) -> None:
    record = run(local, job, "command: echo before; exec >&- 2>&-; sleep 0.2; exit 5")
    assert record.error == "Its command exited with status 5: before"


def test_what_a_command_leaves_in_the_background_is_ended_with_it(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path
) -> None:
    text = f"""
        command: >-
          sleep 1000 & echo $! > {tmp_path}/group;
          setsid sh -c 'echo $$ > {tmp_path}/session; exec sleep 1000' &
          (setsid sh -c '(echo $$; exec sleep 1000) & echo $! > {tmp_path}/orphan' &);
          until [ -s {tmp_path}/group ] && [ -s {tmp_path}/session ] && [ -s {tmp_path}/orphan ];
          do sleep 0.05; done
    """
    record = run(local, job, text)
    assert record.status is JobStatus.COMPLETED
    for name in ("group", "session", "orphan"):
        assert not runs(int((tmp_path / name).read_text())), name


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux only")
@pytest.mark.parametrize("end", ["canceled", "completed"])
def test_a_process_that_leaves_all_behind_and_ignores_sigterm_ends_with_its_job(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path, end: str
) -> None:
    (tmp_path / "stray.sh").write_text(
        f"trap '' TERM; exec >/dev/null 2>&1; cd /; echo $$ > {tmp_path}/stray;"
        " while true; do sleep 0.1; done"
    )
    more = "sleep 1000" if end == "canceled" else "true"
    text = f"""
        command: >-
          (env -i setsid sh {tmp_path}/stray.sh &);
          until [ -s {tmp_path}/stray ]; do sleep 0.05; done; touch {tmp_path}/begun; {more}
    """
    local.jobs.submit(job(text), name="victim")
    until((tmp_path / "begun").exists)
    stray = int((tmp_path / "stray").read_text())
    if end == "canceled":
        assert runs(stray)
        local.jobs.cancel("victim")
    assert local.jobs.wait("victim", timeout=60).status == end.capitalize()
    assert not runs(stray)


def test_a_command_that_ignores_sigterm_is_ended_after_the_grace(
    local: LocalWorkspace, running: Callable[[str], int]
) -> None:
    pid = running("trap '' TERM; while true; do sleep 0.1; done")
    local.jobs.cancel("victim")
    assert local.jobs.wait("victim", timeout=20).status is JobStatus.CANCELED
    assert not runs(pid)


def test_a_command_may_end_cleanly_within_the_grace(
    local: LocalWorkspace, running: Callable[[str], int], tmp_path: Path
) -> None:
    running(f"trap 'echo saved > {tmp_path}/state; exit 0' TERM; while true; do sleep 0.1; done")
    local.jobs.cancel("victim")
    assert local.jobs.wait("victim", timeout=20).status is JobStatus.CANCELED
    assert (tmp_path / "state").read_text() == "saved\n"


def test_binary_garbage_is_kept_byte_for_byte_and_read_with_replacement(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path
) -> None:
    garbage = os.urandom(200_000).replace(b"[mlops] ", b"") + b"\nlast \xff line\r\n"
    (tmp_path / "garbage").write_bytes(garbage)
    record = run(local, job, f"command: cat {tmp_path}/garbage")
    assert log_of(local, record).read_bytes() == garbage
    lines = list(local.jobs.stream(record.name))
    assert lines[-1].text == "last \ufffd line"
    assert local.jobs.log(record.name, tail=1) == "last \ufffd line"


@pytest.mark.slow
def test_a_log_of_200_megabytes_is_followed_in_little_memory(
    local: LocalWorkspace, job: WriteJob
) -> None:
    text = "command: yes 'a line of thirty-two characters' | head -c 150000000; head -c 50000000 /dev/zero; exit 1"
    submitted = local.jobs.submit(job(text))
    before = psutil.Process().memory_info().rss
    read = sum(len(line.text) for line in local.jobs.stream(submitted.name))
    record = local.jobs.get(submitted.name)
    assert record.status is JobStatus.FAILED
    assert log_of(local, record).stat().st_size == 200_000_000
    assert read > 190_000_000
    assert len(local.jobs.log(record.name, tail=5)) < 20_000_000
    assert psutil.Process().memory_info().rss - before < 100_000_000


@pytest.mark.slow
def test_code_and_outputs_of_fifty_thousand_files_come_through(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path
) -> None:
    for folder in range(50):
        (tmp_path / "src" / str(folder)).mkdir(parents=True)
        for number in range(1000):
            (tmp_path / "src" / str(folder) / f"{number}.txt").touch()
    text = """
        command: find . -name '*.txt' | wc -l; cp -r . ${{outputs.o}}
        code: ./src
        outputs: {o: {type: uri_folder}}
    """
    record = run(local, job, text)
    assert record.error is None
    assert local.jobs.log(record.name).strip() == "50000"
    copied = local.data.local_path(record.outputs["o"].uri)
    assert sum(1 for _ in copied.rglob("*.txt")) == 50_000


def test_a_home_and_inputs_with_long_paths_spaces_and_unicode(
    tmp_path: Path, job: WriteJob
) -> None:
    deep = tmp_path / "köln und straße" / ("ß " * 20 + "end") / "日本" / ("x" * 80)
    deep.mkdir(parents=True)
    assert len(str(deep)) > 200
    local = LocalWorkspace(deep / ".mlops")
    (deep / "Zahlen für heute.csv").write_text("1\n")
    (deep / "code").mkdir()
    (deep / "code" / "größe.sh").write_text('cat "$1"; printf \'%s\' "$2"')
    text = f"""
        command: bash größe.sh ${{{{inputs.i}}}} ${{{{inputs.word}}}} | tee ${{{{outputs.o}}}}
        code: "{deep}/code"
        inputs: {{i: {{type: uri_file, path: "{deep}/Zahlen für heute.csv"}}, word: "naïve ☃"}}
        outputs: {{o: {{type: uri_file}}}}
    """
    record = run(local, job, text)
    assert record.error is None
    assert local.jobs.log(record.name) == "1\nnaïve ☃"
    local.close()


def test_names_tags_and_values_are_never_syntax(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path
) -> None:
    hostile = f"'; DROP TABLE jobs; -- $(touch {tmp_path}/hacked) `touch {tmp_path}/hacked`"
    text = """
        type: pipeline
        inputs: {word: x}
        jobs:
          show:
            command: printf %s ${{inputs.word}}; printf %s "$WORD"
            inputs: {word: "${{parent.inputs.word}}"}
            environment_variables: {WORD: "${{parent.inputs.word}}"}
    """
    submitted = local.jobs.submit(
        job(text, **{"inputs.word": hostile, "display_name": hostile}),
        experiment=hostile,
        tags={hostile: hostile},
    )
    record = local.jobs.wait(submitted.name, timeout=60)
    assert record.error is None
    assert (record.experiment, record.display_name, record.tags[hostile]) == (hostile,) * 3
    assert local.jobs.list(tags={hostile: hostile}, experiment=hostile) == [record]
    (step,) = local.jobs.list(parent=record.name)
    assert local.jobs.log(step.name) == hostile * 2
    assert not (tmp_path / "hacked").exists()


def test_a_state_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WorkspaceUnavailable, match="file"):
        LocalWorkspace(tmp_path / "file" / ".mlops")


def test_a_disk_that_is_full_when_a_job_is_submitted_leaves_nothing_behind(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path
) -> None:
    (tmp_path / "big.csv").write_bytes(os.urandom(300_000))
    file = tmp_path / "job.yml"
    job("command: 'true'\ninputs: {i: {type: uri_file, path: ./big.csv}}")
    limited = f"""
        import resource, signal
        from pathlib import Path
        from mlops_dagster.aml import load_job
        from mlops_dagster.errors import WorkspaceUnavailable
        from mlops_dagster.workspace.local import LocalWorkspace
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        workspace = LocalWorkspace(Path({str(local.home)!r}))
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        try:
            workspace.jobs.submit(load_job(Path({str(file)!r})), name="full")
        except WorkspaceUnavailable as error:
            print("unavailable:", error)
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(limited)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("unavailable:"), done.stdout + done.stderr
    assert local.jobs.list() == []
    assert not [path for path in (local.home / "datastores").rglob("*") if path.name == "big.csv"]


def test_a_job_whose_log_cannot_be_written_says_so(local: LocalWorkspace, job: WriteJob) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full to stand for a full disk")
    folder = local.home / "jobs" / "mute" / "logs" / "user_logs"
    folder.mkdir(parents=True)
    for name in ("std_log.txt", ".probe"):
        (folder / name).symlink_to("/dev/full")
    local.jobs.submit(job("command: echo anything"), name="mute")
    record = local.jobs.wait("mute", timeout=60)
    assert record.status is JobStatus.FAILED
    assert "its log could not be written (No space left on device)" in (record.error or "")


def test_an_output_that_the_disk_refuses_fails_the_job(
    local: LocalWorkspace, job: WriteJob
) -> None:
    place = local.home / "datastores" / "workspaceblobstore" / "scores"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("a file where a folder is needed")
    uri = "azureml://datastores/workspaceblobstore/paths/scores/today.csv"
    text = (
        f"command: echo 1 > ${{{{outputs.o}}}}\noutputs: {{o: {{type: uri_file, path: '{uri}'}}}}"
    )
    record = run(local, job, text)
    assert record.status is JobStatus.FAILED
    assert "scores" in (record.error or "")
    assert place.read_text() == "a file where a folder is needed"


def log_of(local: LocalWorkspace, record: JobRecord) -> Path:
    return local.home / "jobs" / record.name / "logs" / "user_logs" / "std_log.txt"


def test_a_pipeline_fails_by_name_when_an_input_is_gone_by_the_time_it_is_needed(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_text("1\n")
    uri = local.data.register("flights", str(tmp_path / "in.csv"), type="uri_file").uri
    text = f"""
        type: pipeline
        jobs:
          first:
            command: while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; touch ${{{{outputs.o}}}}/x
            outputs: {{o: {{type: uri_folder}}}}
          second:
            command: cat ${{{{inputs.i}}}}
            inputs: {{i: {{type: uri_file, path: "{uri}"}}, o: "${{{{parent.jobs.first.outputs.o}}}}"}}
    """
    submitted = local.jobs.submit(job(text))
    until(lambda: local.jobs.get(submitted.name).status is JobStatus.RUNNING)
    local.data.local_path(uri).unlink()
    (tmp_path / "go").touch()
    record = local.jobs.wait(submitted.name, timeout=60)
    assert record.status is JobStatus.FAILED
    assert record.error is not None
    assert record.error.startswith("Step second failed: ")
    assert uri in record.error
