"""One-to-one on a thread: with the standard library's queue, and with pykka if it is installed."""

from __future__ import annotations

import importlib.util
import queue
import threading

from measure import Clock, Timing
from on_iris import PAYLOAD


def tell_simple_queue(n: int) -> Timing:
    """A `queue.SimpleQueue`, and a thread that drains it."""
    clock = Clock(n)
    messages: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def consume() -> None:
        get = messages.get
        for _ in range(n):
            get()
        clock.stop()

    thread = threading.Thread(target=consume)
    thread.start()
    put = messages.put
    clock.start()
    for _ in range(n):
        put(PAYLOAD)
    thread.join()
    return clock.timing()


def has_pykka() -> bool:
    """Whether pykka can be measured here."""
    return importlib.util.find_spec("pykka") is not None


def tell_pykka(n: int) -> Timing:
    """A pykka actor, told `n` times."""
    import pykka

    clock = Clock(n)
    finished = threading.Event()

    class Counter(pykka.ThreadingActor):
        def __init__(self) -> None:
            super().__init__()
            self.left = n

        def on_receive(self, message: bytes) -> None:
            self.left -= 1
            if self.left == 0:
                clock.stop()
                finished.set()

    counter = Counter.start()
    clock.start()
    for _ in range(n):
        counter.tell(PAYLOAD)
    finished.wait()
    counter.stop()
    return clock.timing()
