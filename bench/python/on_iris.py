"""The workloads on Iris, with push actors."""

from __future__ import annotations

import threading
from collections.abc import Callable

import iris

from measure import BenchError, Clock, Timing, rss_bytes

PAYLOAD = b"x" * 32
# A run that takes longer has lost something.
LIMIT_SECONDS = 300.0


def tell(n: int) -> Timing:
    """One sender, one actor, `n` messages."""
    clock = Clock(n)
    finished = threading.Event()
    left = n

    def handle(_: bytes) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            clock.stop()
            finished.set()

    with iris.Runtime() as rt:
        pid = rt.spawn(handle)
        send = rt.send
        clock.start()
        for _ in range(n):
            send(pid, PAYLOAD)
        _wait(finished)
    return clock.timing()


def ring(members: int, hops: int) -> Timing:
    """One message goes from actor to actor until it has been handed on `hops` times."""
    clock = Clock(hops)
    finished = threading.Event()
    left = hops

    with iris.Runtime() as rt:
        pids: list[int] = []
        send = rt.send

        def member(following: int) -> Callable[[bytes], None]:
            def handle(message: bytes) -> None:
                nonlocal left
                left -= 1
                if left > 0:
                    send(pids[following], message)
                elif left == 0:
                    clock.stop()
                    finished.set()

            return handle

        pids.extend(rt.spawn(member((number + 1) % members)) for number in range(members))
        clock.start()
        send(pids[0], PAYLOAD)
        _wait(finished)
    return clock.timing()


def fan_out(actors: int, rounds: int) -> Timing:
    """One sender, `actors` actors, a message to each of them in every round."""
    n = actors * rounds
    clock = Clock(n)
    finished = threading.Event()
    left = n

    def handle(_: bytes) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            clock.stop()
            finished.set()

    with iris.Runtime() as rt:
        pids = [rt.spawn(handle) for _ in range(actors)]
        send = rt.send
        clock.start()
        for _ in range(rounds):
            for pid in pids:
                send(pid, PAYLOAD)
        _wait(finished)
    return clock.timing()


def spawn(actors: int) -> tuple[Timing, float]:
    """Spawns idle actors; also the bytes that each of them holds."""
    clock = Clock(actors)
    with iris.Runtime() as rt:

        def handle(_: bytes) -> None:
            pass

        # The first actor brings the runtime's own threads and tables into being.
        rt.spawn(handle)
        before = rss_bytes() or 0
        clock.start()
        pids = [rt.spawn(handle) for _ in range(actors)]
        clock.stop()
        grown = (rss_bytes() or 0) - before
        # The list of pids is ours, not the actors'.
        ours = pids.__sizeof__() + sum(pid.__sizeof__() for pid in pids)
    return clock.timing(), max(0, grown - ours) / actors


def _wait(finished: threading.Event) -> None:
    if not finished.wait(timeout=LIMIT_SECONDS):
        raise BenchError(f"not every message was handled within {LIMIT_SECONDS:.0f} s")
