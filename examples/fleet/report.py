"""The tables at the end of a run."""

from __future__ import annotations

import statistics
import sys
from collections import Counter
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from actors import FleetFacts
from chaos import ChaosFacts
from fleet import Outcome, Plan

WORST = 10
WORST_MIN_FLIGHTS = 50


@dataclass
class Measured:
    """Everything that the first table shows."""

    fleet_seconds: list[float]
    asyncio_seconds: list[float]
    single_loop_seconds: float
    offloaded_ns: float
    plain_ns: float
    peak_rss_bytes: int | None
    """Of the process, right after the first run on Iris: later ones would count asyncio's."""
    facts: FleetFacts
    explanation: str
    """How the offload describes itself, first line."""


def peak_rss_bytes() -> int | None:
    """The most memory that this process has held so far; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Kilobytes, but for macOS.
    return peak if sys.platform == "darwin" else peak * 1024


def print_figures(console: Console, plan: Plan, outcome: Outcome, measured: Measured) -> None:
    """The first table: how much, how fast, how big."""
    # What a unit and the incidents' actor handle; the markers of the end are not counted.
    messages = len(plan.messages) + len(outcome.incidents)
    fleet = statistics.median(measured.fleet_seconds)
    queues = statistics.median(measured.asyncio_seconds)
    by_version = Counter(incident.version for incident in outcome.incidents)
    rss = measured.peak_rss_bytes
    facts = measured.facts
    runs = len(measured.fleet_seconds)

    table = Table(title="The fleet", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("flights", f"{len(plan.messages):,}")
    table.add_row("aircraft", f"{plan.aircraft:,}")
    table.add_row("virtual actors (reserved before the first flight)", f"{facts.reserved:,}")
    table.add_row("paths under /fleet", f"{facts.paths:,}")
    table.add_row("actors swapped in mid-stream", f"{facts.swapped:,}")
    table.add_row("incidents", f"{len(outcome.incidents):,}")
    table.add_row("  by the first / the second detector", f"{by_version[1]:,} / {by_version[2]:,}")
    table.add_row("dead letters", f"{facts.dead_letters:,}")
    table.add_row(f"messages handled/s on Iris (median of {runs})", f"{messages / fleet:,.0f}")
    table.add_row(f"messages handled/s on asyncio (median of {runs})", f"{messages / queues:,.0f}")
    table.add_row("Iris over asyncio", f"{queues / fleet:.2f}x")
    table.add_row("the single loop, without messages", f"{measured.single_loop_seconds:.2f} s")
    table.add_row("a scoring call, offloaded", f"{measured.offloaded_ns:.0f} ns")
    table.add_row("a scoring call, plain Python", f"{measured.plain_ns:.0f} ns")
    table.add_row("peak memory", "not known here" if rss is None else f"{rss / 2**20:,.0f} MiB")
    console.print(table)


def print_offload(console: Console, measured: Measured) -> None:
    """How the scoring really ran."""
    native, python = measured.facts.native_calls, measured.facts.python_calls
    console.print(f"offload: {measured.explanation}", highlight=False, markup=False)
    console.print(
        f"offload: of {native + python:,} scoring calls {native:,} ran as machine code",
        highlight=False,
    )
    if python:
        console.print(
            f"offload: NOTE: {python:,} scoring calls ran as Python, not as machine code",
            highlight=False,
        )


def print_chaos(console: Console, happened: ChaosFacts, outcome: Outcome) -> None:
    """What the run with crashes was like."""
    console.print(
        f"chaos: {happened.crashed:,} actors crashed on purpose, {happened.restarted:,} were "
        f"restarted and replayed {happened.replayed:,} flights; {outcome.seconds:.1f} s",
        highlight=False,
    )


def print_worst(console: Console, plan: Plan, outcome: Outcome) -> None:
    """The second table: the aircraft that are late most."""
    carriers: dict[int, set[str]] = {}
    for path, unit in plan.paths.items():
        carriers.setdefault(unit, set()).add(path.split("/")[2])
    per_unit = count_incidents(plan, outcome)
    known = [
        (stats.mean, unit)
        for unit, stats in enumerate(outcome.stats)
        if stats.count >= WORST_MIN_FLIGHTS and "/" not in plan.units[unit]
    ]
    # The name decides between equal means, so that the table is the same in every run.
    known.sort(key=lambda pair: (-pair[0], plan.units[pair[1]]))

    table = Table(title=f"Most delay-prone aircraft (at least {WORST_MIN_FLIGHTS} arrivals)")
    table.add_column("tail number")
    table.add_column("carriers")
    for title in ("arrivals", "mean delay, min", "deviation, min", "incidents"):
        table.add_column(title, justify="right")
    for mean, unit in known[:WORST]:
        stats = outcome.stats[unit]
        table.add_row(
            plan.units[unit],
            " ".join(sorted(carriers[unit])),
            f"{stats.count:.0f}",
            f"{mean:.1f}",
            f"{stats.deviation:.1f}",
            str(per_unit[unit]),
        )
    console.print(table)


def count_incidents(plan: Plan, outcome: Outcome) -> Counter[int]:
    """Incidents by unit number."""
    return Counter(plan.messages[incident.flight][0] for incident in outcome.incidents)
