"""``python -m mlops_dagster.workspace.local.parallel PLAN.json``: run a parallel step to its end."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType

from mlops_dagster.errors import MlopsError
from mlops_dagster.system.process_tree import ProcessTree
from mlops_dagster.system.reaper import adopt_orphans
from mlops_dagster.workspace.local.parallel.driver import run_step
from mlops_dagster.workspace.local.parallel.plan import read_plan

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class _Terminated(BaseException):
    """A signal asked the driver to end."""

    def __init__(self, number: int) -> None:
        self.number = number


def main(arguments: list[str]) -> int:
    """Run the step of the plan named in ``arguments``; returns the exit status."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m mlops_dagster.workspace.local.parallel PLAN.json\n")
        return 2
    for number in _SIGNALS:
        signal.signal(number, _terminate)
    adopt_orphans()
    try:
        run_step(read_plan(Path(arguments[0])), sys.stdout)
    except MlopsError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_status
    except _Terminated as terminated:
        sys.stderr.write(f"Ended by {signal.Signals(terminated.number).name}.\n")
        return 128 + terminated.number
    except OSError as error:
        sys.stderr.write(f"The parallel step cannot go on: {error}.\n")
        return 1
    finally:
        _end_strays()
    return 0


def _terminate(number: int, _: FrameType | None) -> None:
    # A second signal must not interrupt the ending of the workers.
    for known in _SIGNALS:
        signal.signal(known, signal.SIG_IGN)
    raise _Terminated(number)


def _end_strays() -> None:
    """Kill what a script started in a session of its own; such orphans have come to this process."""
    ProcessTree(parent=os.getpid()).end(grace=0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
