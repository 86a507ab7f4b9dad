"""What the tests of async actors share."""

from __future__ import annotations

import asyncio
import queue
from typing import Any

from support import PATIENCE



class Trace:
    """What happened, in order, for the test to wait for."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def __call__(self, event: Any) -> None:
        self._queue.put(event)

    def next(self) -> Any:
        return self._queue.get(timeout=PATIENCE)

    def take(self, count: int) -> list[Any]:
        return [self.next() for _ in range(count)]

    def empty(self) -> bool:
        return self._queue.empty()


class Door:
    """Something to await inside a handler until the test, on another thread, opens it."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event: asyncio.Event | None = None
        self.reached: queue.SimpleQueue[None] = queue.SimpleQueue()

    async def wait(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self.reached.put(None)
        await self._event.wait()

    def wait_reached(self) -> None:
        self.reached.get(timeout=PATIENCE)

    def open(self) -> None:
        assert self._loop is not None
        assert self._event is not None
        self._loop.call_soon_threadsafe(self._event.set)
