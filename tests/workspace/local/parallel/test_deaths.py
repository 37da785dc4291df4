from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from tests.workspace.local.parallel.conftest import Step

# The first try of the mini batch 002.txt meets its end; every other try goes well.
_ONCE = """
import ctypes, os, signal, time
def run(mini_batch):
    name = os.path.basename(mini_batch[0])
    if name == "002.txt" and not os.path.exists(os.environ["MARK"]):
        open(os.environ["MARK"], "w").close()
        {death}
    time.sleep(0.01)
    return [name]
"""


@pytest.mark.parametrize(
    ("death", "told"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL"),
        ("os._exit(0)", "ended by itself with status 0"),
        ("ctypes.string_at(0)", "was killed by SIGSEGV"),
        ("os.abort()", "was killed by SIGABRT"),
        ("time.sleep(600)", "run() took more than 0.7 s"),
        ("ctypes.PyDLL(None).sleep(600)", "run() took more than 0.7 s"),
        ("os.kill(os.getpid(), signal.SIGSTOP)", "run() took more than 0.7 s"),
        ("signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65)); time.sleep(600)", "run() took"),
    ],
    ids=[
        "SIGKILL",
        "os._exit",
        "segfault",
        "abort",
        "hangs",
        "hangs with the lock",
        "stops",
        "deaf",
    ],
)
def test_a_mini_batch_that_loses_its_worker_is_delivered_once_by_a_fresh_one(
    step: Step, death: str, told: str
) -> None:
    step.files(8)
    step.script(_ONCE.format(death=death))
    ended = step.run(
        timeout=0.7, mini_batch_error_threshold=0, environment={"MARK": str(step.root / "mark")}
    )
    assert ended.status == 0, ended.error
    assert step.delivered() == [f"{number:03d}.txt" for number in range(8)]
    assert told in step.log("user/error.txt")
    assert step.log("sys/job_report/*.csv").count("RUN_DONE") == 8


def test_a_mini_batch_that_always_kills_its_worker_fails_alone(step: Step) -> None:
    step.files(8)
    step.script("""
        import os
        def run(mini_batch):
            if mini_batch[0].endswith("003.txt"): os._exit(11)
            return [os.path.basename(mini_batch[0])]
    """)
    ended = step.run(max_retries=2, mini_batch_error_threshold=1)
    assert ended.status == 0, ended.error
    assert step.delivered() == [f"{number:03d}.txt" for number in range(8) if number != 3]
    assert step.log("user/error.txt").count("ended by itself with status 11") == 3


def test_a_step_over_its_threshold_says_so_in_one_line_and_leaves_no_worker(step: Step) -> None:
    step.files(40)
    step.script("""
        import os, time
        def run(mini_batch):
            if mini_batch[0].endswith("000.txt"): os._exit(11)
            time.sleep(600)
    """)
    ended = step.run(max_retries=0, mini_batch_error_threshold=0)
    assert ended.status == 1
    assert ended.error == (
        "1 mini batches failed, mini_batch_error_threshold is 0; the last error: the worker process "
        "ended by itself with status 11 (tracebacks: logs/user/error/)\n"
    )
    assert ended.out.splitlines()[-1].startswith("Failed: 1 mini batches failed")
    assert not step.rows.exists()


def test_half_written_rows_of_a_killed_worker_are_never_delivered(step: Step) -> None:
    step.files(3)
    step.script("""
        import os, signal
        class Deadly:
            def __str__(self):
                if not os.path.exists(os.environ["MARK"]):
                    open(os.environ["MARK"], "w").close()
                    os.kill(os.getpid(), signal.SIGKILL)
                return "last"
        def run(mini_batch):
            return ["x" * 2_000_000, Deadly()]
    """)
    ended = step.run(max_concurrency_per_instance=1, environment={"MARK": str(step.root / "mark")})
    assert ended.status == 0, ended.error
    assert step.delivered() == ["x" * 2_000_000, "last"] * 3


_LONG = """
import os, subprocess, time
def run(mini_batch):
    subprocess.Popen(["sleep", "600"])
    with open(os.environ["RUNNING"], "w") as file: file.write(str(os.getpid()))
    {wait}
"""


@pytest.mark.parametrize("wait", ["time.sleep(600)", "__import__('ctypes').PyDLL(None).sleep(600)"])
def test_when_the_driver_is_killed_its_workers_and_their_children_leave(
    step: Step, wait: str
) -> None:
    step.files(4)
    step.script(_LONG.format(wait=wait))
    driver = step.start(environment={"RUNNING": str(step.root / "running")})
    step.await_file("running")
    driver.kill()
    driver.communicate()
    step.await_end_of_all()
    assert not step.rows.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_driver_that_is_told_to_end_ends_everything_first(step: Step, number: int) -> None:
    step.files(4)
    step.script(_LONG.format(wait="time.sleep(600)"))
    driver = step.start(environment={"RUNNING": str(step.root / "running")})
    step.await_file("running")
    driver.send_signal(number)
    out, error = driver.communicate(timeout=30)
    assert driver.returncode == 128 + number
    assert error == f"Ended by {signal.Signals(number).name}.\n"
    assert out.splitlines()[-1] == "Ended before it was done."
    assert step.processes() == []
    assert not step.rows.exists()


def test_workers_killed_at_random_lose_and_double_nothing(step: Step) -> None:
    step.files(60)
    step.script("""
        import os, time
        def run(mini_batch):
            time.sleep(0.03)
            return [os.path.basename(path) for path in mini_batch]
    """)
    driver = step.start(max_retries=50, max_concurrency_per_instance=3)
    killed = 0
    while driver.poll() is None and killed < 12:
        workers = step.workers()
        if len(workers) == 3:
            workers[killed % 3].kill()
            psutil.wait_procs([workers[killed % 3]], timeout=5)
            killed += 1
    _, error = driver.communicate(timeout=60)
    assert driver.returncode == 0, error
    assert killed == 12
    assert step.delivered() == [f"{number:03d}.txt" for number in range(60)]


def test_no_progress_for_too_long_ends_the_step(step: Step) -> None:
    step.files(2)
    step.script("import time\ndef run(mini_batch): time.sleep(600)")
    ended = step.run(progress_update_timeout=1, timeout=600)
    assert ended.status == 1
    assert ended.error == "No mini batch ended in 1 s (progress_update_timeout).\n"


def test_an_init_that_hangs_ends_the_step(step: Step) -> None:
    step.files(2)
    step.script("import time\ndef init(): time.sleep(600)\ndef run(mini_batch): return mini_batch")
    ended = step.run(first_task_creation_timeout=0.7, max_retries=0)
    assert ended.status == 1
    assert "init() took more than 0.7 s (first_task_creation_timeout)" in ended.error


@pytest.mark.parametrize(
    ("shutdown", "told"),
    [
        ("raise ValueError('no farewell')", "shutdown, process000: ValueError: no farewell"),
        ("time.sleep(600)", "shutdown() took more than 0.7 s"),
        ("os._exit(4)", "shutdown, process000: the worker process ended by itself with status 4"),
        pytest.param(
            "threading.Thread(target=time.sleep, args=(600,)).start()", "", marks=pytest.mark.slow
        ),
    ],
    ids=["raises", "hangs", "exits", "leaves a thread that holds the process"],
)
def test_a_failed_shutdown_is_told_and_spoils_nothing(step: Step, shutdown: str, told: str) -> None:
    step.files(1)
    step.script(f"""
        import os, threading, time
        def run(mini_batch): return [1]
        def shutdown(): {shutdown}
    """)
    ended = step.run(timeout=0.7, mini_batch_error_threshold=0)
    assert ended.status == 0, ended.error
    assert step.delivered() == ["1"]
    assert (told in step.log("user/error.txt")) if told else not step.log("user/error.txt")


def test_what_a_script_does_at_exit_is_waited_for(step: Step) -> None:
    step.files(1)
    step.script("""
        import atexit, os, time
        def late():
            time.sleep(0.8)
            open(os.environ["MARK"], "w").close()
        def init(): atexit.register(late)
        def run(mini_batch): return [1]
    """)
    assert step.run(environment={"MARK": str(step.root / "mark")}).status == 0
    assert (step.root / "mark").exists()


def test_a_worker_that_leaks_memory_is_replaced_and_its_work_kept(step: Step) -> None:
    step.files(24)
    step.script("""
        import os, time
        leak = []
        def run(mini_batch):
            leak.append(bytearray(os.urandom(1 << 20)) * 40)
            time.sleep(0.2)
            return [os.getpid()]
        def shutdown(): print("farewell")
    """)
    ended = step.run(worker_memory_limit=150 << 20, mini_batch_error_threshold=0)
    assert ended.status == 0, ended.error
    assert len(step.delivered()) == 24
    assert len(set(step.delivered())) > 2
    assert "it is replaced after its mini batch" in ended.out
    assert step.log("user/stdout/0/*").count("farewell") > 2


@pytest.mark.parametrize("folder", ["state", "logs"])
def test_a_folder_that_cannot_be_written_is_said_in_one_line(step: Step, folder: str) -> None:
    step.files(1)
    step.script("raise SystemExit('never imported')")
    (step.root / folder).write_text("in the way")
    ended = step.run()
    assert ended.status == 1
    assert str(step.root / folder) in ended.error
    assert "Traceback" not in ended.error


def test_a_disk_that_fills_up_fails_without_half_a_file(step: Step) -> None:
    step.files(3)
    step.script("""
        import resource
        def init(): resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        def run(mini_batch): return ["x" * 200_000]
    """)
    ended = step.run(mini_batch_error_threshold=0, max_retries=1)
    assert ended.status == 1
    assert "OSError: [Errno 27] File too large" in ended.error
    assert not step.rows.exists()
