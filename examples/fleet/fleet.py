"""What all three ways of doing the job share: who is addressed, with which bytes, and results.

A *unit* is what one actor stands for: an aircraft, or a carrier's flights without a tail number.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from data import Flight
from detector import ScoreFunction, Stats

# The flight's index in time order, and its delay; a NaN is a flight that never arrived.
FLIGHT = struct.Struct("<Id")
# The flight's index, the detector's version, the delay, the score.
INCIDENT = struct.Struct("<IBdd")
# After the last flight every unit gets this, and hands it on to the incidents' actor.
FINISHED = b""

Handler = Callable[[bytes], None]


class Incident(NamedTuple):
    """A delay far above what the aircraft is used to."""

    flight: int
    """Its place among all flights."""
    version: int
    delay: float
    score: float


@dataclass
class Plan:
    """The flights as messages, each with the unit that it goes to."""

    units: list[str]
    """Tail numbers, and `<carrier>/unassigned`."""
    aircraft: int
    """How many of the units are aircraft."""
    paths: dict[str, int]
    """`/fleet/...` to the unit's number; an aircraft has one path per carrier that flies it."""
    messages: list[tuple[int, bytes]]
    """Unit number and bytes, in time order."""
    swap_at: int
    """From this index on, the second detector scores."""


@dataclass
class Outcome:
    """What one run of the job found out."""

    stats: list[Stats]
    """By unit number."""
    incidents: list[Incident]
    """In the order of the flights."""
    seconds: float = 0.0
    """From the first send to the last message handled."""


def unit_of(flight: Flight) -> str:
    """The name of the unit that a flight belongs to."""
    return flight.tail if flight.tail is not None else f"{flight.carrier}/unassigned"


def path_of(flight: Flight) -> str:
    """The path under which the flight's actor is registered."""
    return f"/fleet/{flight.carrier}/{flight.tail or 'unassigned'}"


def make_plan(flights: Iterable[Flight]) -> Plan:
    """Numbers the units in the order of their first flight, and packs every flight."""
    numbers: dict[str, int] = {}
    paths: dict[str, int] = {}
    messages: list[tuple[int, bytes]] = []
    aircraft = 0
    for index, flight in enumerate(flights):
        unit = unit_of(flight)
        if unit not in numbers:
            aircraft += flight.tail is not None
        number = numbers.setdefault(unit, len(numbers))
        paths[path_of(flight)] = number
        messages.append((number, FLIGHT.pack(index, flight.delay)))
    return Plan(list(numbers), aircraft, paths, messages, len(messages) // 2)


def make_handler(
    stats: Stats,
    score: ScoreFunction,
    version: int,
    threshold: float,
    emit: Callable[[bytes], object],
) -> Handler:
    """What a unit does with a message: the same code under Iris and under asyncio.

    A second handler over the same `stats` is a hot swap that keeps the state.
    """
    unpack, pack, add = FLIGHT.unpack, INCIDENT.pack, stats.add

    def handle(message: bytes) -> None:
        if not message:
            emit(FINISHED)
            return
        index, delay = unpack(message)
        if delay != delay:  # NaN
            stats.cancelled += 1
            return
        points = score(delay, stats.count, stats.mean, stats.m2)
        if points > threshold:
            emit(pack(index, version, delay, points))
        add(delay, points)

    return handle


class IncidentLog:
    """The receiver of incidents; calls `on_finished` when every unit has reported its end.

    A unit's incidents come before its end, so that nothing is missing then.
    """

    def __init__(self, units: int, on_finished: Callable[[], object]) -> None:
        self.packed: list[bytes] = []
        self._open = units
        self._on_finished = on_finished

    def handle(self, message: bytes) -> None:
        """Takes one message of a unit."""
        if message:
            self.packed.append(message)
            return
        self._open -= 1
        if self._open == 0:
            self._on_finished()

    def incidents(self) -> list[Incident]:
        """All incidents in the order of the flights."""
        return sorted(Incident(*INCIDENT.unpack(message)) for message in self.packed)


def bits(value: float) -> bytes:
    """The eight bytes of a float: equal floats may differ in them, as 0.0 and -0.0 do."""
    return struct.pack("<d", value)


def rows(plan: Plan, outcome: Outcome) -> dict[str, tuple[bytes | int | str, ...]]:
    """Every figure that must be the same however the job is done, floats as their bits."""
    table: dict[str, tuple[bytes | int | str, ...]] = {}
    for unit, stats in sorted(zip(plan.units, outcome.stats), key=lambda pair: pair[0]):
        floats = (stats.count, stats.mean, stats.m2, stats.last_score, stats.score_sum)
        table[f"unit {unit}"] = (*map(bits, floats), stats.cancelled)
    for incident in outcome.incidents:
        row = (incident.version, bits(incident.delay), bits(incident.score))
        table[f"incident at flight {incident.flight}"] = row
    return table


def digest(plan: Plan, outcome: Outcome) -> str:
    """SHA-256 over `rows`."""
    state = hashlib.sha256()
    for name, row in rows(plan, outcome).items():
        parts = (part if isinstance(part, bytes) else str(part).encode() for part in row)
        state.update(b"\0".join((name.encode(), *parts)) + b"\n")
    return state.hexdigest()


def first_difference(plan: Plan, expected: Outcome, found: Outcome) -> str | None:
    """One line about the first figure that differs, or None."""
    left, right = rows(plan, expected), rows(plan, found)
    for name in (*left, *(name for name in right if name not in left)):
        expected_row, found_row = left.get(name), right.get(name)
        if expected_row != found_row:
            return f"{name}: plain loop {_readable(expected_row)}, found {_readable(found_row)}"
    return None


def _readable(row: tuple[bytes | int | str, ...] | None) -> str:
    if row is None:
        return "nothing"
    values = (struct.unpack("<d", part)[0] if isinstance(part, bytes) else part for part in row)
    return "(" + ", ".join(repr(value) for value in values) + ")"
