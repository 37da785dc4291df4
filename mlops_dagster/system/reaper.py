"""``python -I -S reaper.py COMMAND ...``: run a command, and end all that it leaves behind.

A process can leave its group, its session and its environment behind, and outlive its parent. On
Linux an orphan comes to the nearest ancestor that asked for orphans (prctl(2),
PR_SET_CHILD_SUBREAPER): to this process, which ends when the command has ended and nothing of it is
left. It exits as the command did.

It stands before every process of a job, and most of its cost is its start: it loads modules that are
built into the interpreter only (`signal`, `ctypes` and `pathlib` would double that cost).
"""

from __future__ import annotations

import _ctypes
import _signal as signal  # type: ignore[import-not-found]  # typeshed knows it as `signal` alone
import os
import sys
import time

_PR_SET_CHILD_SUBREAPER = 36
_GRACE_SECONDS = 5.0
_KILL_SECONDS = 10.0


def main() -> None:
    """Run the command on the command line to its end."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # Whoever signals the whole group reaches the command; this process ends after it.
        signal.signal(number, lambda *_: None)
    adopt_orphans()
    command = sys.argv[1:]
    try:
        ignored_by_python = [signal.SIGPIPE, signal.SIGXFSZ]
        child = os.posix_spawnp(command[0], command, os.environ, setsigdef=ignored_by_python)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        os._exit(127)
    status = None
    while status is None:
        pid, code = os.waitpid(-1, 0)
        if pid == child:
            status = code
    _end_descendants()
    _exit_as(status)


def adopt_orphans() -> None:
    """Become the parent of every orphan below this process, where the system can do that."""
    if sys.platform == "linux":
        prctl = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type]  # None: this program
        _ctypes.call_function(prctl, (_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))


def _end_descendants() -> None:
    """SIGTERM, five seconds, SIGKILL."""
    start = time.monotonic()
    asked: set[int] = set()
    while _has_children():
        left = _descendants()
        seconds = time.monotonic() - start
        if seconds > _GRACE_SECONDS + _KILL_SECONDS:  # in the kernel, beyond every signal
            return
        kill = seconds > _GRACE_SECONDS
        for pid in sorted(left if kill else left - asked):
            try:
                os.kill(pid, signal.SIGKILL if kill else signal.SIGTERM)
            except (ProcessLookupError, PermissionError):
                continue
        asked |= left
        time.sleep(0.02)


def _has_children() -> bool:
    """Whether a child is left that has not ended; those that have are collected."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _descendants() -> set[int]:
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - see above
        if name.isdecimal():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123 - see above
                    status = file.read()
            except OSError:
                continue
            # pid (name) state ppid ...; the name may hold anything (proc_pid_stat(5)).
            parent = int(status.rpartition(b")")[2].split()[1])
            children.setdefault(parent, []).append(int(name))
    found: set[int] = set()
    parents = [os.getpid()]
    while parents:
        below = children.get(parents.pop(), ())
        found.update(below)
        parents += below
    return found


def _exit_as(status: int) -> None:
    if os.WIFSIGNALED(status):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        number = os.WTERMSIG(status)
        if number not in (signal.SIGKILL, signal.SIGSTOP):  # which have no handler to reset
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


if __name__ == "__main__":
    main()
