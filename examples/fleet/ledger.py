"""Which flights have counted: what lets the fleet lose a node and no flight.

A flight is written down before it is sent, and is open until it is acknowledged. The
acknowledgement brings the aircraft's state after it, which is kept. When a node is gone, its
aircraft are opened again with the state that they had last acknowledged, and get what is open.

Whether the dead node had handled an open flight does not matter: what it made of it died with it,
or comes too late. Each start of a node is a life with a number, and an acknowledgement from an
earlier life than the present is passed over.
"""

from __future__ import annotations

from collections import deque

from packets import BLANK, unpack_ack


class LedgerError(Exception):
    """An aircraft acknowledged another flight than its oldest open one."""


class Ledger:
    """Open flights and acknowledged states. Knows no actor, no node and no clock."""

    def __init__(self, homes: list[int], nodes: int) -> None:
        self.homes = homes
        """By unit number: the number of the node that it lives on."""
        self.states = [BLANK] * len(homes)
        """By unit number: what it has last acknowledged."""
        self.incidents: list[bytes] = []
        self.handled = [0] * nodes
        """By node number: acknowledged flights."""
        self.open = [0] * nodes
        """By node number: flights that are not acknowledged."""
        self.lives = [1] * nodes
        self.late = 0
        """Acknowledgements that came from an earlier life."""
        self._open_of: list[deque[int]] = [deque() for _ in homes]

    def write(self, unit: int, flight: int) -> None:
        """A flight is about to be sent."""
        self._open_of[unit].append(flight)
        self.open[self.homes[unit]] += 1

    def acknowledge(self, message: bytes) -> None:
        """An aircraft says that it has handled a flight."""
        unit, life, flight, state, incident = unpack_ack(message)
        node = self.homes[unit]
        if life != self.lives[node]:
            self.late += 1
            return
        open_flights = self._open_of[unit]
        if not open_flights or open_flights[0] != flight:
            oldest = open_flights[0] if open_flights else "none"
            raise LedgerError(f"unit {unit} acknowledged flight {flight}, open was {oldest}")
        open_flights.popleft()
        self.states[unit] = state
        if incident:
            self.incidents.append(incident)
        self.open[node] -= 1
        self.handled[node] += 1

    def begin_life(self, node: int, life: int) -> list[int]:
        """A node starts anew: its open flights, in their order, which have to be sent again.

        From now on nothing that an earlier life says counts, so that `states` and this list
        belong together.
        """
        self.lives[node] = life
        of_node = (self._open_of[unit] for unit, home in enumerate(self.homes) if home == node)
        return sorted(flight for flights in of_node for flight in flights)
