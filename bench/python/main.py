"""Messages handled per second from Python, beside asyncio.Queue, threads, pykka and Erlang.

Every workload's clock stops when its last message has been handled. Each repetition is a process
of its own; the implementations take turns, so that a slow minute of the machine hits them all.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Union

import catalogue
import peers
from catalogue import Workload
from measure import BenchError, Timing
from peers import IRIS, Peer, Runner


@dataclass
class Row:
    """One implementation's median, as a JSON line."""

    impl: str
    workload: str
    n: int
    seconds: float
    per_sec: float
    cpu_ns: float
    """0 where it is not measured."""
    rss_bytes: float | None
    """For each actor, in the workload that asks for it."""


@dataclass
class Ratio:
    """What is to be reached, as a JSON line: met if `ratio >= goal`."""

    workload: str
    ratio: float
    goal: float


Result = Union[Row, Ratio]


def measured(runner: Runner, workload: Workload, repetitions: int) -> dict[Peer, list[Timing]]:
    """All repetitions of all peers, in turns."""
    taken: dict[Peer, list[Timing]] = {}
    for _ in range(repetitions):
        for peer, part in workload.peers.items():
            if runner.absent(peer):
                continue
            n = max(int(workload.n * part), workload.size if workload.key == "fan_out" else 1)
            timing = runner.run(peer, workload.key, n, workload.size)
            taken.setdefault(peer, []).append(timing)
    return taken


def rows(workload: Workload, taken: dict[Peer, list[Timing]]) -> Iterator[Result]:
    """The medians, and how far Iris is from its goals."""
    medians = {peer: median(peer, workload.title, runs) for peer, runs in taken.items()}
    yield from medians.values()
    ours = medians.get(IRIS)
    for goal in workload.goals:
        anchor = medians.get(goal.anchor)
        if ours is None or anchor is None:
            continue
        if not goal.of_bytes:
            ratio = ours.per_sec / anchor.per_sec
            yield Ratio(f"{workload.title} / {goal.anchor.name}", ratio, round(goal.value, 2))
        elif ours.rss_bytes and anchor.rss_bytes:
            ratio = anchor.rss_bytes / ours.rss_bytes
            title = f"bytes per idle actor: {goal.anchor.name}"
            yield Ratio(title, ratio, round(goal.value, 2))
    shares = [run.share for run in taken.get(IRIS, []) if run.share is not None]
    if shares:
        yield Ratio(f"{workload.title}: part that runs", min(shares), 1.0)


def median(peer: Peer, title: str, runs: list[Timing]) -> Row:
    """Of all repetitions of one peer."""
    seconds = statistics.median(run.seconds for run in runs)
    cpu = statistics.median(run.cpu_ns for run in runs)
    each = [run.bytes_each for run in runs if run.bytes_each is not None]
    n = runs[0].n
    per_actor = statistics.median(each) if each else None
    return Row(peer.name, title, n, seconds, n / seconds, cpu, per_actor)


def startup(runner: Runner, repetitions: int) -> Iterator[Result]:
    """Import and first runtime, against limits that are times: no peer has the same to do.

    The import of asyncio is shown beside.
    """
    repetitions = 2 * repetitions + 1
    asyncio = Peer("asyncio", "asyncio")
    imports: dict[Peer, list[Timing]] = {IRIS: [], asyncio: []}
    runtimes: list[Timing] = []
    for _ in range(repetitions):
        for peer, runs in imports.items():
            runs.append(runner.run(peer, "import", 1, 0))
        runtimes.append(runner.run(IRIS, "runtime", 1, 0))
    for peer, runs in imports.items():
        yield median(peer, "import", runs)
    best = statistics.median(run.seconds for run in imports[IRIS])
    yield Ratio("import: 30 ms", catalogue.IMPORT_LIMIT_SECONDS / best, 1.0)
    row = median(IRIS, "Runtime()", runtimes)
    yield row
    yield Ratio("Runtime(): 5 ms", catalogue.RUNTIME_LIMIT_SECONDS / row.seconds, 1.0)
    installed = runner.run(IRIS, "installed", 1, 0).n
    yield Ratio("installed: 12 MB", catalogue.INSTALLED_LIMIT_BYTES / installed, 1.0)


def as_text(result: Result) -> str:
    """One line of the small table."""
    if isinstance(result, Ratio):
        verdict = "met" if result.ratio >= result.goal else "NOT met"
        return f"  {result.workload:<44} {result.ratio:>8.2f}   goal {result.goal:.2f} {verdict}"
    if result.n == 1:
        return f"{result.workload:<22} {result.impl:<20} {result.seconds * 1e3:>9.1f} ms"
    cpu = f"{result.cpu_ns:>7,.0f} ns CPU" if result.cpu_ns else " " * 14
    each = "" if result.rss_bytes is None else f" {result.rss_bytes:>7,.0f} bytes each"
    return f"{result.workload:<22} {result.impl:<20} {result.per_sec:>12,.0f} /s {cpu}{each}"


def as_json(result: Result) -> str:
    """One line; figures keep six digits, which is more than any of them is worth."""
    facts = {
        key: float(f"{value:.6g}") if isinstance(value, float) and math.isfinite(value) else value
        for key, value in asdict(result).items()
    }
    return json.dumps(facts)


def say(text: str) -> None:
    """To the person, beside the results."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def main(argv: list[str] | None = None) -> int:
    """Measures everything; a goal that is not met is a figure, not a failure."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="JSON lines only")
    parser.add_argument("--quick", action="store_true", help="a tenth of it, 3 repetitions of 5")
    parser.add_argument("--extras", help="a folder with the peers of requirements.txt")
    parser.add_argument("--only", help="one workload, by its key in catalogue.py, or `startup`")
    arguments = parser.parse_args(argv)
    repetitions = 3 if arguments.quick else 5
    show = as_json if arguments.json else as_text
    try:
        with Runner(arguments.extras) as runner:
            for peer in (peers.PYKKA, peers.BEAM):
                reason = runner.absent(peer)
                if reason:
                    say(f"{reason}: {peer.name} is left out")
            for workload in catalogue.FULL:
                if arguments.only in (None, workload.key):
                    chosen = catalogue.quick(workload) if arguments.quick else workload
                    for result in rows(chosen, measured(runner, chosen, repetitions)):
                        print(show(result), flush=True)
            if arguments.only in (None, "startup"):
                for result in startup(runner, repetitions):
                    print(show(result), flush=True)
    except BenchError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
