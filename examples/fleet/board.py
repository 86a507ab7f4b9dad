"""What the gateway is told: how the run stands, in the words of the coordinator.

The board has a runtime of its own, and so do its links: whatever a gateway does, or does not do,
the stream of the flights knows nothing of it. It is asked and never sends by itself, so that a
slow gateway asks less often, and one that is gone leaves nothing behind.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import iris

from data import Flight
from fleet import INCIDENT, Plan

if TYPE_CHECKING:
    from mesh import Coordinator
    from mesh_facts import Loss

BOARD = "board"
# Incidents in one answer: one that comes late asks again.
INCIDENTS = 500
# Phases that none follows.
LAST = ("equal", "different", "failed")


class Board:
    """How the run stands. Reads the coordinator's figures while it works, and changes none."""

    def __init__(self, plan: Plan, flights: list[Flight]) -> None:
        self.plan, self.flights = plan, flights
        self.coordinator: Coordinator | None = None
        """Set when the run begins."""
        self.verdict: dict[str, Any] | None = None
        """Set when it is over, and the figures are compared."""
        self.failed = False
        self.seen = threading.Event()
        """A browser has the page open."""
        self.seen_to_the_end = threading.Event()
        """The page shows how the run ended."""

    def decide(self, expected: str, found: str) -> None:
        """The run is over: its digest, and the single loop's."""
        self.verdict = {"expected": expected, "found": found, "equal": expected == found}

    def phase(self) -> str:
        """What goes on."""
        if self.failed:
            return "failed"
        if self.verdict is not None:
            return "equal" if self.verdict["equal"] else "different"
        return "starting" if self.coordinator is None else self.coordinator.phase

    def facts(self, since: int, browsers: int, known: str) -> dict[str, Any]:
        """How the run stands, and the incidents from number `since` on.

        `browsers` have the page open, which shows the phase `known`.
        """
        if browsers:
            self.seen.set()
        if known in LAST:
            self.seen_to_the_end.set()
        phase, coordinator = self.phase(), self.coordinator
        facts: dict[str, Any] = {
            "phase": phase,
            "verdict": self.verdict,
            "flights": len(self.flights),
            "swapAt": self.plan.swap_at,
            "streamed": 0,
            "date": "",
            "nodes": [],
            "incidents": [],
            "losses": [],
        }
        if coordinator is not None:
            facts["streamed"] = coordinator.streamed
            facts["date"] = self.when(max(0, coordinator.streamed - 1))
            facts["nodes"] = [
                {
                    "name": node.process.name,
                    "kind": node.process.kind,
                    "address": node.process.address if node.up else "",
                    "life": node.process.lives,
                    "pid": node.process.pids[-1] if node.process.pids else 0,
                    "aircraft": len(node.units),
                    "acknowledged": coordinator.ledger.handled[node.number],
                    "open": coordinator.ledger.open[node.number],
                }
                for node in coordinator.nodes
            ]
            found = coordinator.ledger.incidents[since : since + INCIDENTS]
            facts["incidents"] = [self.incident(packed) for packed in found]
            facts["losses"] = [loss_facts(loss) for loss in coordinator.losses]
        return facts

    def incident(self, packed: bytes) -> list[Any]:
        """Unit, detector, minutes late, score, and when."""
        flight, version, delay, score = INCIDENT.unpack(packed)
        return [self.plan.messages[flight][0], version, delay, score, self.when(flight)]

    def when(self, flight: int) -> str:
        """The scheduled departure."""
        if not self.flights:
            return ""
        year, month, day, clock = self.flights[flight].scheduled
        return f"{year}-{month:02}-{day:02} {clock // 100:02}:{clock % 100:02}"

    def units(self) -> list[list[Any]] | None:
        """Name, carrier and node number of each unit; None as long as they have no nodes."""
        if self.coordinator is None:
            return None
        path_of = {unit: path for path, unit in self.plan.paths.items()}
        homes = self.coordinator.ledger.homes
        return [
            [name, path_of[unit].split("/")[2], homes[unit]]
            for unit, name in enumerate(self.plan.units)
        ]


def loss_facts(loss: Loss) -> dict[str, Any]:
    """What has followed on a node's end so far; times are seconds from it."""
    return {
        "node": loss.node,
        "after": loss.after,
        "killed": loss.killed,
        "reason": loss.reason,
        "restarted": loss.restarted,
        "back": loss.back,
        "aircraft": loss.aircraft,
        "resent": len(loss.resent),
    }


class BoardActor(iris.Actor):
    """Answers the gateway."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def facts(self, since: int, browsers: int, known: str) -> dict[str, Any]:
        """See `Board.facts`."""
        return self._board.facts(since, browsers, known)

    def units(self) -> list[list[Any]] | None:
        """See `Board.units`."""
        return self._board.units()


def cluster_name() -> str:
    """The cluster of this run's nodes."""
    return f"fleet-{os.getpid()}"


@contextmanager
def hung_up(board: Board) -> Iterator[str]:
    """Lets the board be asked; gives the address for that."""
    with iris.Runtime() as rt:
        rt.configure_mesh(name=BOARD, cluster=cluster_name())
        rt.spawn_actor(BoardActor, (board,), name=BOARD, on_error="resume")
        yield rt.listen("127.0.0.1:0")
