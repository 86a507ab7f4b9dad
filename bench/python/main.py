"""Messages handled per second from Python, against asyncio.Queue and others.

Every workload's clock stops when its last message has been handled. The goals were set as
absolute figures beside those of asyncio.Queue on one machine; they count as that ratio, both
sides taken in this run.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Union

import measure
from measure import BenchError, Goal, Row

try:
    import on_iris
except ModuleNotFoundError as error:
    sys.exit(
        f"the module {error.name!r} is not installed here; "
        "`cargo xtask bench python` builds and installs it"
    )

import on_asyncio
import on_threads

# Set as 4.0 M/s where asyncio.Queue handles 1.7 M/s; the ring as 2.5 M/s where it hands on
# 179 k/s; the fan-out as 2.5 M/s where it handles 187 k/s.
TELL_GOAL = 2.35
RING_GOAL = 14.0
FAN_OUT_GOAL = 13.4


@dataclass(frozen=True)
class Sizes:
    """How much one run does."""

    tell: int
    ring_members: int
    ring_hops: int
    fan_out_actors: int
    fan_out_rounds: int
    spawn: int


FULL = Sizes(300_000, 1_000, 200_000, 100_000, 3, 100_000)
QUICK = Sizes(50_000, 1_000, 20_000, 10_000, 3, 20_000)


@dataclass
class Memory:
    """What one idle actor holds, as a JSON line."""

    impl: str
    workload: str
    n: int
    rss_bytes: int


# What a workload hands to the output.
Result = Union[Row, Goal, Memory]


def tell(sizes: Sizes) -> Iterator[Result]:
    """One sender to one actor, messages of 32 bytes."""
    impls: dict[str, measure.Run] = {
        "iris": partial(on_iris.tell, sizes.tell),
        "asyncio.Queue": partial(on_asyncio.tell, sizes.tell),
        "queue.SimpleQueue": partial(on_threads.tell_simple_queue, sizes.tell),
    }
    if on_threads.has_pykka():
        impls["pykka"] = partial(on_threads.tell_pykka, sizes.tell)
    yield from against_asyncio("tell 1->1, 32 B", impls, TELL_GOAL)


def ring(sizes: Sizes) -> Iterator[Result]:
    """A message that goes round."""
    args = (sizes.ring_members, sizes.ring_hops)
    impls: dict[str, measure.Run] = {
        "iris": partial(on_iris.ring, *args),
        "asyncio.Queue": partial(on_asyncio.ring, *args),
    }
    yield from against_asyncio(f"ring of {sizes.ring_members}", impls, RING_GOAL)


def fan_out(sizes: Sizes) -> Iterator[Result]:
    """One sender to very many actors."""
    args = (sizes.fan_out_actors, sizes.fan_out_rounds)
    impls: dict[str, measure.Run] = {
        "iris": partial(on_iris.fan_out, *args),
        "asyncio.Queue": partial(on_asyncio.fan_out, *args),
    }
    yield from against_asyncio(f"fan-out to {sizes.fan_out_actors}", impls, FAN_OUT_GOAL)


def against_asyncio(workload: str, impls: dict[str, measure.Run], goal: float) -> Iterator[Result]:
    """The rows of a workload, and how far it is from its goal."""
    rows = measure.interleaved(workload, impls, measure.REPETITIONS)
    yield from rows
    yield Goal(workload, measure.ratio(rows, "iris", "asyncio.Queue"), goal)


def spawn(sizes: Sizes) -> Iterator[Result]:
    """Spawns per second. No goal: there is no peer to take a ratio to."""
    runs = [on_iris.spawn(sizes.spawn) for _ in range(measure.REPETITIONS)]
    seconds = statistics.median(timing.seconds for timing, _ in runs)
    cpu = statistics.median(timing.cpu_ns for timing, _ in runs)
    # Of the first run: later ones reuse what it gave back, and would seem to need nothing.
    per_actor = round(runs[0][1])
    yield Row("iris", "spawn", sizes.spawn, seconds, sizes.spawn / seconds, cpu, None)
    yield Memory("iris", "idle push actor", sizes.spawn, per_actor)


# Spawning first: the memory of an actor shows only in a process that has not grown yet.
WORKLOADS: tuple[Callable[[Sizes], Iterator[Result]], ...] = (spawn, tell, ring, fan_out)


def as_text(result: Result) -> str:
    """One line of the small table."""
    if isinstance(result, Goal):
        verdict = "met" if result.ratio >= result.goal else "NOT met"
        return (
            f"{result.workload:<22} {'iris / asyncio.Queue':<20} {result.ratio:>9.2f}x   "
            f"goal {result.goal:.2f}x {verdict}"
        )
    if isinstance(result, Memory):
        return f"{result.workload:<22} {result.impl:<20} {result.rss_bytes:>12,} bytes"
    return (
        f"{result.workload:<22} {result.impl:<20} {result.per_sec:>12,.0f} /s"
        f" {result.cpu_ns:>8,.0f} ns CPU"
    )


def main(argv: list[str] | None = None) -> int:
    """Measures everything; a goal that is not met is a figure, not a failure."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="JSON lines only")
    parser.add_argument("--quick", action="store_true", help="small sizes, for a first look")
    arguments = parser.parse_args(argv)
    sizes = QUICK if arguments.quick else FULL
    try:
        for workload in WORKLOADS:
            for result in workload(sizes):
                line = measure.json_line(result) if arguments.json else as_text(result)
                print(line, flush=True)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
