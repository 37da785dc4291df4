from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.workspace.local.parallel.conftest import Step


def test_every_file_is_given_once_in_order_and_its_rows_arrive_in_order(step: Step) -> None:
    step.files(25)
    step.script("""
        import os, random, time
        def run(mini_batch):
            assert mini_batch == sorted(mini_batch)
            time.sleep(random.random() / 100)
            return [os.path.basename(path) for path in mini_batch]
    """)
    assert step.run(mini_batch_size="4").status == 0
    assert step.delivered() == [f"{number:03d}.txt" for number in range(25)]


def test_a_worker_calls_init_once_and_shutdown_at_the_end(step: Step) -> None:
    step.files(12)
    step.script("""
        def init(): print("init")
        def run(mini_batch): print("run"); return mini_batch
        def shutdown(): print("shutdown")
    """)
    assert step.run().status == 0
    logs = [file.read_text().split() for file in step.logs.glob("user/stdout/0/*.stdout.txt")]
    said = [words for words in logs if "run" in words]
    assert sum(words.count("run") for words in said) == 12
    assert all(words[0] == "init" and words[-1] == "shutdown" for words in said)
    assert all(words.count("init") == words.count("shutdown") == 1 for words in said)


def test_the_script_sees_its_arguments_its_own_modules_and_what_azure_ml_offers(step: Step) -> None:
    step.files(1)
    (step.root / "code" / "queue.py").write_text("mine = True\n")
    step.script("""
        import argparse, os
        import helper
        from azureml_user.parallel_run import EntryScript
        def init():
            global args
            parser = argparse.ArgumentParser()
            parser.add_argument("--name")
            args, _ = parser.parse_known_args()
            EntryScript().logger.info("logged by the script")
        def run(mini_batch, mini_batch_context):
            entry = EntryScript()
            assert entry is EntryScript()
            return [[
                args.name, helper.VALUE, mini_batch_context.minibatch_index, entry.agent_name,
                entry.output_dir == os.environ["AZUREML_BI_OUTPUT_PATH"], __name__, os.environ["OWN"],
            ]]
    """)
    (step.root / "code" / "helper.py").write_text("VALUE = 7\n")
    ended = step.run(
        arguments=["--name", "two words", "--error_threshold", "3"],
        output_folder=str(step.root),
        environment={"OWN": "value"},
    )
    assert ended.status == 0, ended.error
    assert step.delivered() == ['"two words" 7 0 process000 True entry value']
    assert "logged by the script" in step.log("user/entry_script_log/0/process000.log.txt")


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "half"), ({"OMP_NUM_THREADS": "3"}, "3")],
    ids=["by default the cores are shared", "what the user set stays"],
)
def test_native_threads_of_a_worker(
    step: Step, given: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("NUMEXPR_NUM_THREADS", raising=False)
    monkeypatch.delenv("VECLIB_MAXIMUM_THREADS", raising=False)
    step.files(1)
    step.script("""
        import os
        def run(mini_batch): return [os.environ["OMP_NUM_THREADS"]]
    """)
    assert step.run(environment=given).status == 0
    half = str(max(1, len(os.sched_getaffinity(0)) // 2))
    assert step.delivered() == [half if expected == "half" else expected]


@pytest.mark.parametrize(
    ("returned", "lines"),
    [
        ("['a', 'b']", ["a", "b"]),
        ("('a', 2)", ["a", "2"]),
        ("[['a b', 1], ('c', None)]", ['"a b" 1', "c "]),
        ("numpy.array([[1.5, 2], [3, 4]])", ["1.5 2.0", "3.0 4.0"]),
        ("pandas.DataFrame({'x': ['a b', 'c'], 'y': [1, None]})", ['"a b" 1.0', "c "]),
        ("pandas.Series([1, 2])", ["1", "2"]),
    ],
)
def test_rows_are_written_space_separated_without_a_header(
    step: Step, returned: str, lines: list[str]
) -> None:
    step.files(2)
    step.script(f"""
        import numpy, pandas
        def run(mini_batch): return {returned}
    """)
    assert step.run(mini_batch_size="2", mini_batch_error_threshold=0).status == 0
    assert step.delivered() == lines


@pytest.mark.parametrize(
    "returned", ["None", "'text'", "{'a': 1}", "7", "(x for x in mini_batch)", "{1, 2}"]
)
def test_what_has_no_elements_to_count_fails_the_mini_batch(step: Step, returned: str) -> None:
    step.files(1)
    step.script(f"def run(mini_batch): return {returned}\n")
    ended = step.run(mini_batch_error_threshold=0, max_retries=0)
    assert ended.status == 1
    assert "it has to return a list, tuple, array or DataFrame" in ended.error
    assert not step.rows.exists()


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("def init(): raise ValueError('no model here')\ndef run(b): return b", "no model here"),
        ("import no_such_module\ndef run(b): return b", "no_such_module"),
        ("def init(): raise SystemExit(3)\ndef run(b): return b", "SystemExit: 3"),
        ("def run(mini_batch) return 1", "SyntaxError"),
        ("value = 1", "has no function run(mini_batch)"),
        ("import os\ndef init(): os._exit(9)\ndef run(b): return b", "with status 9"),
    ],
)
def test_a_script_that_never_becomes_ready_ends_the_step_with_its_reason(
    step: Step, script: str, told: str
) -> None:
    step.files(3)
    step.script(script)
    ended = step.run(max_retries=1)
    assert ended.status == 1
    assert told in ended.error
    assert "Traceback" not in ended.error
    assert step.processes() == []


def _fails_on(name: str, how: str) -> str:
    return f"""
import os
def run(mini_batch):
    if any(path.endswith({name!r}) for path in mini_batch): {how}
    return [os.path.basename(path) for path in mini_batch]
"""


@pytest.mark.parametrize(
    ("limits", "status"),
    [
        ({}, 0),
        ({"mini_batch_error_threshold": 1}, 0),
        ({"mini_batch_error_threshold": 0}, 1),
        ({"error_threshold": 2}, 0),
        ({"error_threshold": 1}, 1),
        ({"allowed_failed_percent": 20}, 0),
        ({"allowed_failed_percent": 19}, 1),
        ({"arguments": ["--error_threshold", "1"]}, 1),
        ({"arguments": ["--error_threshold=2"], "error_threshold": 0}, 0),
    ],
)
def test_a_failed_mini_batch_counts_all_its_items_against_the_thresholds(
    step: Step, limits: dict[str, Any], status: int
) -> None:
    step.files(10)
    step.script(_fails_on("004.txt", "raise OverflowError('bad file')"))
    ended = step.run(mini_batch_size="2", max_retries=1, **limits)
    assert ended.status == status
    if status:
        assert "bad file" in ended.error
        assert ended.error.count("\n") == 1
        assert not step.rows.exists()
    else:
        assert len(step.delivered()) == 8
    assert "OverflowError: bad file" in step.log("user/error.txt")
    assert "Traceback" in step.log("user/error/0/*.txt")


@pytest.mark.parametrize(
    ("limits", "status"),
    [({"error_threshold": 1, "mini_batch_error_threshold": 1}, 0), ({"error_threshold": 0}, 1)],
)
def test_fewer_elements_than_items_are_failed_items_and_are_not_run_again(
    step: Step, limits: dict[str, Any], status: int
) -> None:
    step.files(6)
    step.script("""
        import os
        def run(mini_batch):
            print("run")
            return [os.path.basename(path) for path in mini_batch if "004" not in path]
    """)
    ended = step.run(mini_batch_size="3", **limits)
    assert ended.status == status
    if status == 0:
        assert step.delivered() == ["000.txt", "001.txt", "002.txt", "003.txt", "005.txt"]
        assert step.log("user/stdout/0/*").count("run") == 2


def test_a_script_that_returns_nothing_does_not_fail_unless_items_are_counted(step: Step) -> None:
    step.files(3)
    step.script("def run(mini_batch): return []")
    ended = step.run(error_threshold=-1, mini_batch_error_threshold=0)
    assert ended.status == 0, ended.error
    assert "3/3 mini batches, 3 items" in ended.out
    assert "0 mini batches and 0 items failed" in ended.out
    step.script(_fails_on("002.txt", "raise OverflowError('bad file')"))
    ended = step.run(
        error_threshold=-1, mini_batch_error_threshold=0, max_retries=0, state=f"{step.root}/new"
    )
    assert ended.status == 1
    assert "OverflowError: bad file" in ended.error


def test_a_retried_mini_batch_reports_the_error_of_its_first_try(step: Step) -> None:
    step.files(1)
    step.script("""
        import os
        def run(mini_batch):
            os.mkdir(os.environ["MARK"])
            raise ValueError("the cause")
    """)
    mark = {"MARK": str(step.root / "mark")}
    ended = step.run(mark, mini_batch_error_threshold=0, max_retries=1)
    assert ended.status == 1
    assert "the last error: ValueError: the cause (tracebacks: logs/user/error/)" in ended.error
    assert "FileExistsError" in step.log("user/error/0/*.txt")


def test_a_mini_batch_that_raised_is_tried_again_and_delivered_once(step: Step) -> None:
    step.files(4)
    step.script("""
        import os
        def run(mini_batch):
            marks = [path + ".tried" for path in mini_batch]
            mark = os.path.join(os.environ["MARKS"], os.path.basename(mini_batch[0]))
            with open(mark, "a") as file: file.write("x")
            if os.path.getsize(mark) < 3: raise RuntimeError("not yet")
            return mini_batch
    """)
    marks = step.root / "marks"
    marks.mkdir()
    ended = step.run(max_retries=2, mini_batch_error_threshold=0, environment={"MARKS": str(marks)})
    assert ended.status == 0, ended.error
    assert len(step.delivered()) == len(set(step.delivered())) == 4
    assert {file.read_text() for file in marks.iterdir()} == {"xxx"}
    report = step.log("sys/job_report/processed_mini-batches.csv")
    assert report.count("RUN_EXCEPTION") == 8
    assert report.count("RUN_DONE") == 4


def test_an_empty_input_is_done_at_once(step: Step) -> None:
    step.script("def run(mini_batch): return mini_batch")
    ended = step.run(mini_batch_error_threshold=0)
    assert ended.status == 0
    assert "0/0 mini batches" in ended.out
    assert f"The input {step.input} is empty: nothing was run." in ended.out
    assert step.delivered() == []


def test_the_rows_go_into_azure_mls_file_where_a_folder_is_named(step: Step) -> None:
    step.files(2)
    step.script("def run(mini_batch): return [1] * len(mini_batch)")
    folder = step.root / "folder"
    folder.mkdir()
    assert step.run(append_row_to=str(folder)).status == 0
    assert [file.name for file in folder.iterdir()] == ["parallel_run_step.txt"]
    assert (folder / "parallel_run_step.txt").read_text() == "1\n1\n"


def test_progress_is_printed_and_kept_with_the_result(step: Step) -> None:
    step.files(3)
    step.script("import time\ndef run(mini_batch): time.sleep(0.6); return mini_batch")
    ended = step.run(max_concurrency_per_instance=1)
    assert ended.out.splitlines()[-1] == "Completed."
    assert "/3 mini batches" in ended.out.splitlines()[1]
    assert "3/3 mini batches" in ended.out.splitlines()[-2]
    overview = step.log("job_progress_overview.txt").splitlines()
    assert [line.split(" ", 1)[1] for line in overview] == ended.out.splitlines()


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("import os, sys\ndef run(b): os.write(1, bytes(range(256)) * 4096); return b", 0),
        ("import sys\ndef run(b): sys.stdout.close(); sys.stderr.close(); return b", 0),
        ("import os\ndef run(b): os.close(1); os.close(2); os.close(0); return b", 0),
        ("import sys\ndef run(b): sys.stdout = sys.stderr = None; return b", 0),
        ("import os\ndef run(b):\n    os.fork()\n    return b", 0),
        ("import subprocess\ndef run(b): subprocess.Popen(['sleep', '600']); return b", 0),
        ("import subprocess\ndef run(b):\n  subprocess.Popen(['sleep', '600'], start_new_session=True)\n  return b", 0),
        ("import threading, time\ndef run(b): threading.Thread(target=time.sleep, args=(600,), daemon=True).start(); return b", 0),
        ("from multiprocessing import get_context\ndef run(b):\n  with get_context('spawn').Pool(1) as pool: return pool.map(len, b)", 0),
        ("def run(b): return run(b)", 1),
        ("def run(b): raise KeyboardInterrupt", 1),
        ("def run(b): raise SystemExit", 1),
        ("class Odd(BaseException):\n  def __str__(self): raise ValueError\ndef run(b): raise Odd", 1),
        ("def run(b): raise MemoryError", 1),
        ("import os\ndef run(b): os.closerange(3, 100); return b", 1),
        ("import os\ndef run(b):\n  for fd in range(3, 64):\n    try: os.write(fd, b'\\xff' * 64)\n    except OSError: pass\n  return b", 1),
        ("def run(b): return ['\\ud800' * 3]", 1),
        ("def run(b): raise ValueError('x' * 10_000_000)", 1),
        ("import sys\ndef run(b): sys.modules.clear(); return b", 0),
    ],
    ids=[
        "binary output", "streams closed", "descriptors closed", "streams gone", "forks and returns",
        "leaves a child", "leaves a child in its own session", "leaves a thread", "uses a pool",
        "recurses", "interrupts itself", "exits", "raises what cannot be told", "out of memory",
        "closes the connection", "writes into the connection", "rows that are not text",
        "a long error", "forgets its modules",
    ],
)  # fmt: skip
def test_whatever_a_script_does_the_step_ends_and_leaves_nothing(
    step: Step, script: str, status: int
) -> None:
    step.files(2)
    step.script(script)
    ended = step.run(mini_batch_error_threshold=0, max_retries=1, timeout=20)
    assert ended.status == status, ended.error
    assert len(ended.error) < 2_000
    assert "Traceback" not in ended.error
    assert step.processes() == []
