"""The workloads on a thread and a queue of the standard library per actor."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Protocol

from measure import LIMIT_SECONDS, PAYLOAD, Clock, Growth, Timing


class Line(Protocol):
    """What both queues have."""

    def put(self, item: bytes) -> None:
        """Appends."""

    def get(self) -> bytes:
        """Waits for the oldest and takes it."""


MakeLine = Callable[[], Line]


def on(make: MakeLine) -> dict[str, Callable[[int, int], Timing]]:
    """The workloads on this kind of queue."""
    return {
        "tell": lambda n, _: _tell(n, make, 1),
        "pull": lambda n, actors: _tell(n, make, actors),
        "ping_pong": lambda n, _: _ring(2 * n, 2, make, n),
        "ring": lambda hops, members: _ring(hops, members, make, hops),
        "spawn": lambda actors, _: _spawn(actors, make),
    }


SIMPLE_QUEUE = on(queue.SimpleQueue)
QUEUE = on(queue.Queue)


def _start(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def _tell(n: int, make: MakeLine, actors: int) -> Timing:
    clock = Clock(n)
    running = threading.Semaphore(0)

    def wait(own: Line) -> None:
        running.release()
        own.get()

    def consume() -> None:
        running.release()
        get = messages.get
        for _ in range(n):
            get()
        clock.stop()

    for _ in range(actors - 1):
        own = make()
        _start(lambda own=own: wait(own))  # type: ignore[misc]
    messages = make()
    _start(consume)
    ran = sum(running.acquire(timeout=LIMIT_SECONDS) for _ in range(actors))
    put = messages.put
    clock.start()
    for _ in range(n):
        put(PAYLOAD)
    timing = clock.wait()
    timing.share = ran / actors
    return timing


def _ring(hops: int, members: int, make: MakeLine, n: int) -> Timing:
    clock = Clock(n)
    lines = [make() for _ in range(members)]
    left = hops

    def member(own: Line, following: Line) -> None:
        nonlocal left
        while True:
            message = own.get()
            left -= 1
            if left > 0:
                following.put(message)
            else:
                clock.stop()
                return

    for own, following in zip(lines, lines[1:] + lines[:1]):
        _start(lambda own=own, to=following: member(own, to))  # type: ignore[misc]
    clock.start()
    lines[0].put(PAYLOAD)
    return clock.wait()


def _spawn(actors: int, make: MakeLine) -> Timing:
    clock = Clock(actors)
    growth = Growth()
    clock.start()
    threads: list[object] = [_start(lambda own=make(): own.get()) for _ in range(actors)]  # type: ignore[misc]
    clock.stop()
    timing = clock.wait()
    timing.bytes_each = growth.each(threads)
    return timing
