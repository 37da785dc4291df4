"""What a storm does to the place where files land: they come and change, and the place goes away."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from heapq import heappop, heappush
from pathlib import Path

from tests.chaos.files import StormFile, actions_on

Action = Callable[[], object]


@dataclass
class DropFolder:
    """A folder into which files are dropped, and in which they go on changing.

    What is to happen at a time happens in a thread; nothing does while the folder is away.
    """

    folder: Path
    _due: list[tuple[float, int, Iterator[tuple[float, Action]], Action]] = field(
        default_factory=list
    )
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _ended: threading.Event = field(default_factory=threading.Event)
    _count: int = 0

    def drop(self, file: StormFile) -> None:
        """Let a file begin to behave as its kind does."""
        with self._lock:
            self._plan(actions_on(file, self.folder))

    @property
    def is_quiet(self) -> bool:
        """Whether every file has come to rest."""
        with self._lock:
            return not self._due

    def take_away(self, seconds: float, *, mount_point: bool) -> None:
        """Have the folder vanish for a while, as a share does that is not mounted.

        Args:
            mount_point: an empty folder is in its place meanwhile.
        """
        away = self.folder.with_name(f"{self.folder.name}-away")
        with self._lock:
            self.folder.rename(away)
            if mount_point:
                self.folder.mkdir()
            self._ended.wait(seconds)
            if mount_point:
                self.folder.rmdir()
            away.rename(self.folder)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Do what is due, for the time of the context."""
        thread = threading.Thread(target=self._work, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _work(self) -> None:
        while not self._ended.wait(0.05):
            with self._lock:
                while self._due and self._due[0][0] <= time.monotonic():
                    _, _, rest, action = heappop(self._due)
                    action()
                    self._plan(rest)

    def _plan(self, actions: Iterator[tuple[float, Action]]) -> None:
        following = next(actions, None)
        if following is not None:
            wait, action = following
            self._count += 1
            heappush(self._due, (time.monotonic() + wait, self._count, actions, action))


def outage_lengths(
    chance: random.Random, count: int, shortest: float, longest: float
) -> Iterable[float]:
    """Seconds of each outage: the shortest, the longest, and what lies between them."""
    if not count:
        return []
    between = [chance.uniform(shortest, longest) for _ in range(count - 2)]
    return [shortest, *between, longest][:count]
