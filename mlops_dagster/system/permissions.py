"""What root may do that the permissions of a file do not let it."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

# linux/prctl.h and linux/capability.h; see man 7 capabilities.
_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE = 1

Started = TypeVar("Started")


def start_without_override(start: Callable[[], Started]) -> Started:
    """Start a process that, as root too, writes only where permissions let it; returns its handle.

    On Linux root gives up the capability to override them, for the new process and all that it
    starts; it may still read everything. Elsewhere, or where root may not do so, ``start`` is only
    called.
    """
    if sys.platform != "linux" or os.geteuid() != 0:
        return start()
    results: list[Started] = []
    errors: list[BaseException] = []

    def work() -> None:
        # A thread has capabilities of its own, and hands them on to what it starts.
        ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, 0, 0, 0)
        try:
            results.append(start())
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
