"""How one run is timed, how runs take turns, and what a row of the result says."""

from __future__ import annotations

import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

REPETITIONS = 5


class BenchError(Exception):
    """A run did not do its work, so that its time means nothing."""


@dataclass
class Timing:
    """One run: of what, and what it took until the last message had been handled."""

    n: int
    seconds: float
    cpu_ns: int
    """Of all threads together, per operation."""


@dataclass
class Row:
    """One implementation's median, as a JSON line."""

    impl: str
    workload: str
    n: int
    seconds: float
    per_sec: float
    cpu_ns: float
    rss_bytes: int | None
    """Of the process after the run; None where the system does not say."""


@dataclass
class Goal:
    """What is to be reached, as a JSON line: met if `ratio >= goal`."""

    workload: str
    ratio: float
    goal: float


class Clock:
    """Times from `start` to the first `stop`, which may come from any thread."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._start = 0.0
        self._start_cpu = 0
        self._timing: Timing | None = None

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

    def timing(self) -> Timing:
        """What was measured."""
        if self._timing is None:
            raise BenchError("the last message was never handled")
        return self._timing


Run = Callable[[], Timing]


def interleaved(workload: str, impls: dict[str, Run], repetitions: int) -> list[Row]:
    """Runs the implementations in turn, so that a slow minute of the machine hits them all."""
    timings: dict[str, list[Timing]] = {name: [] for name in impls}
    memory: dict[str, int | None] = {}
    for _ in range(repetitions):
        for name, run in impls.items():
            gc.collect()
            timings[name].append(run())
            memory[name] = rss_bytes()
    return [_median(name, workload, runs, memory[name]) for name, runs in timings.items()]


def _median(impl: str, workload: str, runs: list[Timing], rss: int | None) -> Row:
    seconds = statistics.median(run.seconds for run in runs)
    cpu = statistics.median(run.cpu_ns for run in runs)
    n = runs[0].n
    return Row(impl, workload, n, seconds, n / seconds, cpu, rss)


def ratio(rows: Iterable[Row], ours: str, anchor: str) -> float:
    """How many times as much per second `ours` does as `anchor`."""
    per_sec = {row.impl: row.per_sec for row in rows}
    return per_sec[ours] / per_sec[anchor]


def json_line(row: object) -> str:
    """One line; figures keep six digits, which is more than any of them is worth."""
    facts = {
        key: float(f"{value:.6g}") if isinstance(value, float) else value
        for key, value in asdict(row).items()  # type: ignore[call-overload]
    }
    return json.dumps(facts)


def rss_bytes() -> int | None:
    """The memory that this process holds now; its peak where only that is told."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # not Linux
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Kilobytes, but for macOS.
    return peak if sys.platform == "darwin" else peak * 1024
