"""What the tests share beside fixtures."""

from __future__ import annotations

import queue
import subprocess
from collections.abc import Callable

import iris

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


class Observer:
    """An observer, and what the test waits for in it."""

    def __init__(self, rt: iris.Runtime, path: str = "/observer") -> None:
        self._rt = rt
        self.pid = rt.spawn_with_path_observed(100, path)

    def next(self) -> bytes | iris.PySystemMessage:
        message = self._rt.selective_recv_blocking(self.pid, lambda _: True, PATIENCE)
        assert message is not None, "nothing came"
        return message

    def system(self, type_name: str) -> iris.PySystemMessage:
        """The next message, which must be of this type."""
        message = self.next()
        assert isinstance(message, iris.PySystemMessage), message
        assert message.type_name == type_name, message
        return message

    def successor(self, old: int) -> int:
        """The pid of the one that was started in the place of `old`."""
        message = self.system("RESTARTED")
        assert message.from_pid == old
        assert message.target_pid is not None
        return message.target_pid

    def empty(self) -> bool:
        return self._rt.get_messages(self.pid) == []


def mortal(data: bytes) -> object:
    """A handler that ends its actor in the way that it is told."""
    if data == b"raise":
        raise ValueError("as asked")
    return iris.STOP if data == b"stop" else None
