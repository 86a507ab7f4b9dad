"""A node of the fleet in Python: a program with a hangar, which opens aircraft.

`mesh.py` starts it and says what it is told; `iris/examples/fleet_node.rs` is the same in Rust.
"""

from __future__ import annotations

import sys

import iris

from actors import fast_score_v1, fast_score_v2, sender
from detector import Stats
from fleet import FLIGHT, make_handler
from packets import ACK, COORDINATOR, COUNT, HANGAR, pack_state, unpack_open
from processes import READY


class Hangar:
    """Opens the aircraft that live on this node."""

    def __init__(self, rt: iris.Runtime, threshold: float, swap_at: int, life: int) -> None:
        self.rt, self.threshold, self.swap_at, self.life = rt, threshold, swap_at, life
        self.report = sender(rt, COORDINATOR)
        self.opened = 0

    def handle(self, message: bytes) -> bytes | None:
        """Opens an aircraft; says how many there are to who asks."""
        if not message:
            return COUNT.pack(self.opened)
        unit, stats, path = unpack_open(message)
        self.rt.register_path(path, self.rt.spawn(Aircraft(self, unit, stats).handle))
        self.opened += 1
        return None


class Aircraft:
    """Handles its flights, and acknowledges each with all that has come of it."""

    def __init__(self, hangar: Hangar, unit: int, stats: Stats) -> None:
        self._unit, self._life, self._stats = unit, hangar.life, stats
        self._report, self._swap_at = hangar.report, hangar.swap_at
        self._incident = b""
        self._old = make_handler(stats, fast_score_v1, 1, hangar.threshold, self._note)
        self._new = make_handler(stats, fast_score_v2, 2, hangar.threshold, self._note)

    def _note(self, incident: bytes) -> None:
        self._incident = incident

    def handle(self, message: bytes) -> bytes | None:
        """Handles a flight; gives the state to who asks."""
        if not message:
            return pack_state(self._stats)
        index = FLIGHT.unpack(message)[0]
        self._incident = b""
        (self._old if index < self._swap_at else self._new)(message)
        ack = ACK.pack(self._unit, self._life, index)
        self._report(ack + pack_state(self._stats) + self._incident)
        return None


def main(argv: list[str]) -> None:
    """Serves until the standard input ends."""
    name, cluster, coordinator, threshold, swap_at, life = argv
    with iris.Runtime() as rt:
        rt.configure_mesh(name=name, cluster=cluster)
        stand_in = rt.resolve_remote(coordinator, COORDINATOR)
        if stand_in is None:
            sys.exit(f"{name}: there is no coordinator at {coordinator}")
        rt.register(COORDINATOR, stand_in)
        hangar = Hangar(rt, float(threshold), int(swap_at), int(life))
        rt.register(HANGAR, rt.spawn(hangar.handle))
        print(READY + rt.listen("127.0.0.1:0"), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1:])
