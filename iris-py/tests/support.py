"""What the tests share beside fixtures."""

from __future__ import annotations

import queue
import subprocess
from collections.abc import Callable

PATIENCE = 20.0
"""Seconds after which something that should have happened is taken for lost."""

Run = Callable[..., "subprocess.CompletedProcess[str]"]
"""The type of the fixture ``run_script``."""


class Inbox:
    """A handler that hands what it gets to the test."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def __call__(self, data: bytes) -> None:
        self._queue.put(data)

    def get(self) -> bytes:
        return self._queue.get(timeout=PATIENCE)

    def take(self, count: int) -> list[bytes]:
        return [self.get() for _ in range(count)]

    def empty(self) -> bool:
        return self._queue.empty()


class Gate:
    """A handler that stays inside its first message until the test opens it."""

    def __init__(self) -> None:
        self._entered: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._opened: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.handled: list[bytes] = []

    def __call__(self, data: bytes) -> None:
        if not self.handled:
            self._entered.put(None)
            self._opened.get(timeout=PATIENCE)
        self.handled.append(data)

    def wait_entered(self) -> None:
        self._entered.get(timeout=PATIENCE)

    def open(self) -> None:
        self._opened.put(None)
