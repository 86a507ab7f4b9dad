"""A node of the fleet in Python: a program with a hangar, which opens aircraft.

`mesh.py` starts it and says what it is told; `iris/examples/fleet_node.rs` is the same in Rust.
"""

from __future__ import annotations

import logging
import sys

import iris

from actors import fast_score_v1, fast_score_v2, sender
from detector import Stats
from fleet import FLIGHT, Handler, make_handler
from packets import (
    ACK,
    COORDINATOR,
    COUNT,
    GAUGE,
    GAUGE_NAME,
    GAUGED,
    HANGAR,
    pack_state,
    unpack_open,
)
from processes import READY


class Hangar:
    """Opens the aircraft that live on this node."""

    def __init__(self, rt: iris.Runtime, threshold: float, swap_at: int, life: int) -> None:
        self.rt, self.threshold, self.swap_at, self.life = rt, threshold, swap_at, life
        self.report = sender(rt, COORDINATOR)
        self.aircraft: list[Aircraft] = []

    def handle(self, message: bytes) -> bytes | None:
        """Opens an aircraft; says how many there are to who asks."""
        if not message:
            return COUNT.pack(len(self.aircraft))
        unit, stats, path = unpack_open(message)
        aircraft = Aircraft(self, unit, stats)
        # Nobody sends to it before it has its path.
        self.rt.register_path(path, aircraft.pid)
        self.aircraft.append(aircraft)
        return None


class Gauge:
    """Says how far each aircraft is, to who asks: `gateway/`. It keeps nothing for that."""

    def __init__(self, hangar: Hangar) -> None:
        self._hangar = hangar

    def handle(self, _: bytes) -> bytes:
        """Reads the aircraft while they work: one may be a flight further than another."""
        aircraft = self._hangar.aircraft[:]
        gauged = (each.gauged() for each in aircraft)
        return GAUGE.pack(self._hangar.life, len(aircraft)) + b"".join(gauged)


class Aircraft:
    """Handles its flights, and acknowledges each with all that has come of it.

    Its first flight from the swap on has it change its behavior: nothing is scored by the first
    detector after it, and it keeps its state.
    """

    def __init__(self, hangar: Hangar, unit: int, stats: Stats) -> None:
        self._unit, self._life, self._stats = unit, hangar.life, stats
        self._rt, self._report, self._swap_at = hangar.rt, hangar.report, hangar.swap_at
        self._incident = b""
        self._old = make_handler(stats, fast_score_v1, 1, hangar.threshold, self._note)
        self._new = make_handler(stats, fast_score_v2, 2, hangar.threshold, self._note)
        self.pid = hangar.rt.spawn(self.handle_first)

    def _note(self, incident: bytes) -> None:
        self._incident = incident

    def handle_first(self, message: bytes) -> bytes | None:
        """Handles a flight with the first detector; gives the state to who asks."""
        if message and FLIGHT.unpack(message)[0] >= self._swap_at:
            # Before what waits in its mailbox: those flights are later than this one.
            self._rt.hot_swap(self.pid, self.handle_second, now=True)
            return self.handle_second(message)
        return self._handle(message, self._old)

    def handle_second(self, message: bytes) -> bytes | None:
        """The same with the second detector."""
        return self._handle(message, self._new)

    def _handle(self, message: bytes, score: Handler) -> bytes | None:
        if not message:
            return pack_state(self._stats)
        self._incident = b""
        score(message)
        ack = ACK.pack(self._unit, self._life, FLIGHT.unpack(message)[0])
        self._report(ack + pack_state(self._stats) + self._incident)
        return None

    def gauged(self) -> bytes:
        """How far it is."""
        stats = self._stats
        flights = int(stats.count) + stats.cancelled
        version = self._rt.behavior_version(self.pid) or 0
        return GAUGED.pack(self._unit, flights, version, stats.mean)


def main(argv: list[str]) -> None:
    """Serves until the standard input ends."""
    name, cluster, coordinator, threshold, swap_at, life = argv
    # The gateway may come and go, and that is no news.
    logging.getLogger("iris.nodes.local").setLevel(logging.ERROR)
    with iris.Runtime() as rt:
        rt.configure_mesh(name=name, cluster=cluster)
        stand_in = rt.resolve_remote(coordinator, COORDINATOR)
        if stand_in is None:
            sys.exit(f"{name}: there is no coordinator at {coordinator}")
        rt.register(COORDINATOR, stand_in)
        hangar = Hangar(rt, float(threshold), int(swap_at), int(life))
        rt.register(GAUGE_NAME, rt.spawn(Gauge(hangar).handle))
        rt.register(HANGAR, rt.spawn(hangar.handle))
        print(READY + rt.listen("127.0.0.1:0"), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1:])
