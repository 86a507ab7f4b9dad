"""What one run of a workload says about itself, and the clock that it is taken with."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from dataclasses import asdict, dataclass

PAYLOAD = b"x" * 32

LIMIT_SECONDS = 120.0
"""A run that takes longer has lost something."""


class BenchError(Exception):
    """A run did not do its work, so that its time means nothing."""


@dataclass
class Timing:
    """One run: how much was done, and what it took until the last message had been handled."""

    n: int
    seconds: float
    cpu_ns: int
    """Of all threads together, per operation."""
    bytes_each: float | None = None
    """What one idle actor holds, where the workload asks for that."""
    share: float | None = None
    """Which part of the actors really ran, where the workload asks for that."""

    def line(self) -> str:
        """As the one line that a child prints for its parent."""
        return json.dumps(asdict(self))


class Clock:
    """Times from `start` to the first `stop`, which may come from any thread."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._start = 0.0
        self._start_cpu = 0
        self._timing: Timing | None = None
        self._stopped = threading.Event()

    def start(self) -> None:
        """The first message is about to be sent."""
        self._start_cpu = time.process_time_ns()
        self._start = time.perf_counter()

    def stop(self) -> None:
        """The last message has been handled."""
        if self._timing is None:
            seconds = time.perf_counter() - self._start
            cpu = time.process_time_ns() - self._start_cpu
            self._timing = Timing(self._n, seconds, cpu // max(1, self._n))
            self._stopped.set()

    def wait(self) -> Timing:
        """What was measured, as soon as the clock has stopped."""
        if not self._stopped.wait(LIMIT_SECONDS) or self._timing is None:
            raise BenchError(f"not every message was handled within {LIMIT_SECONDS:.0f} s")
        return self._timing


class Growth:
    """What each of many actors adds to the memory of this process."""

    def __init__(self) -> None:
        self._before = rss_bytes()

    def each(self, actors: list[object] | list[int]) -> float:
        """The list that the workload keeps its actors in is the bench's, not the actors'."""
        ours = actors.__sizeof__()
        ours += sum(actor.__sizeof__() for actor in actors if isinstance(actor, int))
        return max(0.0, rss_bytes() - self._before - ours) / len(actors)


def rss_bytes() -> float:
    """The memory that this process holds now; its peak where only that is told."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # not Linux
        pass
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Kilobytes, but for macOS.
    return peak if sys.platform == "darwin" else peak * 1024
