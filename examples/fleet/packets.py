"""What the coordinator of the mesh and its nodes say to each other, byte by byte.

`iris/examples/fleet_node.rs` has the same layouts in Rust. Everything is little-endian.

| to | message | answer |
|---|---|---|
| hangar | `OPEN`, state, path: open an aircraft that knows so much | none |
| hangar | nothing | how many it has opened, four bytes |
| aircraft | `fleet.FLIGHT`: a flight | none; an acknowledgement goes to the coordinator |
| aircraft | nothing | its state |
| coordinator | `ACK`, state, and `fleet.INCIDENT` if the flight is one | none |
| gauge | nothing | `GAUGE`, then a `GAUGED` for each aircraft of the node |

An acknowledgement holds all that a flight has changed. So a flight has happened with everything
that follows from it, or not at all.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from detector import Stats

# The names under which the actors are found.
COORDINATOR = "coordinator"
HANGAR = "hangar"
GAUGE_NAME = "gauge"

# Count, mean, sum of squares, last score, sum of scores, cancelled flights.
STATE = struct.Struct("<5dI")
# The unit's number; a state and a path follow.
OPEN = struct.Struct("<I")
# The unit's number, the life of its node, the flight's index; a state follows.
ACK = struct.Struct("<III")
COUNT = struct.Struct("<I")
# The life of the node, and how many aircraft follow.
GAUGE = struct.Struct("<II")
# The unit's number, its flights so far, the version of its behavior, its mean delay in minutes.
GAUGED = struct.Struct("<IIId")

BLANK = STATE.pack(0.0, 0.0, 0.0, 0.0, 0.0, 0)


class Ack(NamedTuple):
    """A flight has been handled."""

    unit: int
    life: int
    """Which start of its node handled it, from 1."""
    flight: int
    state: bytes
    """What the aircraft knows now."""
    incident: bytes
    """Empty for most flights."""


def pack_state(stats: Stats) -> bytes:
    """What an aircraft knows, to the bit."""
    return STATE.pack(
        stats.count, stats.mean, stats.m2, stats.last_score, stats.score_sum, stats.cancelled
    )


def unpack_state(state: bytes) -> Stats:
    """The reverse of `pack_state`."""
    stats = Stats()
    (
        stats.count,
        stats.mean,
        stats.m2,
        stats.last_score,
        stats.score_sum,
        stats.cancelled,
    ) = STATE.unpack(state)
    return stats


def pack_open(unit: int, state: bytes, path: str) -> bytes:
    """The order to open an aircraft."""
    return OPEN.pack(unit) + state + path.encode()


def unpack_open(message: bytes) -> tuple[int, Stats, str]:
    """Unit, knowledge and path of an aircraft to open."""
    (unit,) = OPEN.unpack_from(message)
    end = OPEN.size + STATE.size
    return unit, unpack_state(message[OPEN.size : end]), message[end:].decode()


def unpack_ack(message: bytes) -> Ack:
    """The parts of an acknowledgement."""
    unit, life, flight = ACK.unpack_from(message)
    end = ACK.size + STATE.size
    return Ack(unit, life, flight, message[ACK.size : end], message[end:])
