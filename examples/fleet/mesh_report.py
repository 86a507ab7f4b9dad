"""The tables at the end of a run over several processes."""

from __future__ import annotations

import os

from rich.console import Console
from rich.table import Table

from fleet import Outcome
from mesh_facts import Loss, MeshFacts


def print_nodes(console: Console, facts: MeshFacts) -> None:
    """The first table: who did how much."""
    table = Table(title="The nodes")
    table.add_column("node")
    table.add_column("written in")
    for title in ("pid", "aircraft", "flights", "restarts"):
        table.add_column(title, justify="right")
    for node in facts.nodes:
        table.add_row(
            node.name,
            node.kind,
            ", ".join(map(str, node.pids)),
            f"{node.aircraft:,}",
            f"{node.handled:,}",
            f"{node.restarts:,}",
        )
    table.add_row("coordinator", "Python", str(os.getpid()), "", "", "")
    console.print(table)


def print_losses(console: Console, facts: MeshFacts) -> None:
    """The second table: a column for each time that a node was lost."""
    if not facts.losses:
        return
    rows = {
        "lost after flight": [f"{loss.after:,}" for loss in facts.losses],
        "DOWN of its hangar": [_ms(loss.down) for loss in facts.losses],
        "  reason": [loss.reason for loss in facts.losses],
        "NODE_DOWN": [_ms(loss.node_down) for loss in facts.losses],
        "NODE_UP of the new process": [_ms(loss.node_up) for loss in facts.losses],
        "RESTARTED by the supervisor": [_ms(loss.restarted) for loss in facts.losses],
        "all sent again": [_ms(loss.back) for loss in facts.losses],
        "aircraft opened again": [f"{loss.aircraft:,}" for loss in facts.losses],
        "flights sent again": [f"{len(loss.resent):,}" for loss in facts.losses],
        "  came back as dead letters": [f"{loss.returned:,}" for loss in facts.losses],
        "  waited for the node": [f"{loss.waited:,}" for loss in facts.losses],
        "  died in its mailboxes": [f"{_died(loss):,}" for loss in facts.losses],
    }
    table = Table(title="Lost and back")
    table.add_column("")
    for loss in facts.losses:
        how = "SIGKILL" if loss.killed else "by itself"
        table.add_column(f"{loss.node}\n{how}", justify="right")
    for name, cells in rows.items():
        table.add_row(name, *cells)
    console.print(table)


def print_summary(console: Console, facts: MeshFacts, outcome: Outcome) -> None:
    """What it comes to."""
    handled = sum(node.handled for node in facts.nodes)
    resent = sum(len(loss.resent) for loss in facts.losses)
    for line in (
        f"{handled:,} flights acknowledged once each, {handled / outcome.seconds:,.0f} a second",
        f"{resent:,} flights sent again, to aircraft in their last acknowledged state",
        f"{facts.dead_letters:,} dead letters, of which {facts.settled:,} had been acknowledged",
    ):
        console.print(f"mesh: {line}", highlight=False)


def _ms(seconds: float | None) -> str:
    return "not seen" if seconds is None else f"after {seconds * 1e3:,.0f} ms"


def _died(loss: Loss) -> int:
    """Flights that the dead node had taken and not handled, or not said so."""
    return len(loss.resent) - loss.waited - loss.returned
