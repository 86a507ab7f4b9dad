"""The job on Iris while actors crash on purpose: supervisors restart them, and nothing is lost.

One aircraft in a hundred raises once, in the middle of its year. Its successor begins with nothing
and rebuilds what the one before knew by replaying its own flights, from the journal in which
every flight stands before it is sent. So it does not matter which messages died with the actor.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import iris

from actors import FINISH_SECONDS, FleetError, fast_score_v1, fast_score_v2, sender
from detector import Stats
from fleet import FINISHED, FLIGHT, IncidentLog, Outcome, Plan, make_handler
from progress import STRIDES, Tick

ONE_IN = 100


class Chaos(Exception):
    """What the actors crash with."""


@dataclass
class ChaosFacts:
    """What happened beside the job."""

    crashed: int
    """Actors that raised."""
    restarted: int
    """Successors that the supervisor has started."""
    replayed: int
    """Flights that successors handled anew."""


class Aircraft:
    """One incarnation of a unit: where it is in its own journal, and what it knows."""

    def __init__(self, fleet: ChaosFleet, unit: int) -> None:
        plan = fleet.plan
        self.stats = Stats()
        self._journal = fleet.journals[unit]
        self._crashes_at = fleet.crashes_at.get(unit)
        self._position = 0
        self._swap_at = plan.swap_at
        emit, threshold = fleet.emit, fleet.threshold
        self._old = make_handler(self.stats, fast_score_v1, 1, threshold, emit)
        self._new = make_handler(self.stats, fast_score_v2, 2, threshold, emit)

    def handle(self, message: bytes) -> None:
        """Catches up to this flight, or with all of them before the end."""
        last = FLIGHT.unpack(message)[0] if message else None
        journal = self._journal
        while self._position < len(journal):
            flight = journal[self._position]
            index = FLIGHT.unpack(flight)[0]
            if last is not None and index > last:
                return
            if self._position == self._crashes_at:
                raise Chaos(f"on purpose, at flight {index}")
            (self._old if index < self._swap_at else self._new)(flight)
            self._position += 1
        if not message:
            self._new(FINISHED)


class ChaosFleet:
    """The units of one run, and those among them that will crash."""

    def __init__(self, plan: Plan, threshold: float, emit: Callable[[bytes], object]) -> None:
        self.plan, self.threshold, self.emit = plan, threshold, emit
        self.journals: list[list[bytes]] = [[] for _ in plan.units]
        flights = [0] * len(plan.units)
        for unit, _ in plan.messages:
            flights[unit] += 1
        aircraft = [unit for unit, name in enumerate(plan.units) if "/" not in name]
        self.crashes_at = {
            unit: flights[unit] // 2 for unit in aircraft[::ONE_IN] if flights[unit] > 1
        }
        self.chaotic = list(self.crashes_at)
        self.replayed = 0
        self.current = [Aircraft(self, unit) for unit in range(len(plan.units))]

    def reborn(self, unit: int) -> Callable[[bytes], None]:
        """The handler of a successor, which knows nothing and does not crash again."""
        self.replayed += self.crashes_at.pop(unit, 0)
        self.current[unit] = Aircraft(self, unit)
        return self.current[unit].handle


def run_chaos(plan: Plan, threshold: float, tick: Tick) -> tuple[Outcome, ChaosFacts]:
    """Replays the flights on actors of which some crash, and waits for the last."""
    finished = threading.Event()
    log = IncidentLog(len(plan.units), finished.set)
    crashes = CrashCounter()
    logging.getLogger("iris").addFilter(crashes)
    # What dies with an actor is replayed.
    logging.getLogger("iris.exits").setLevel(logging.ERROR)
    try:
        with iris.Runtime() as rt:
            rt.register("incidents", rt.spawn(log.handle))
            fleet = ChaosFleet(plan, threshold, sender(rt, "incidents"))
            begin = time.perf_counter()
            restarted = fly(rt, fleet, tick)
            if not finished.wait(FINISH_SECONDS):
                raise FleetError(f"the fleet did not finish within {FINISH_SECONDS:.0f} s")
            seconds = time.perf_counter() - begin
    finally:
        logging.getLogger("iris").removeFilter(crashes)
        logging.getLogger("iris.exits").setLevel(logging.NOTSET)
    # What was reported before a crash is reported again by the replay, the same to the bit.
    incidents = sorted(set(log.incidents()))
    stats = [aircraft.stats for aircraft in fleet.current]
    facts = ChaosFacts(crashes.seen, restarted, fleet.replayed)
    return Outcome(stats, incidents, seconds), facts


def fly(rt: iris.Runtime, fleet: ChaosFleet, tick: Tick) -> int:
    """Sends everything; how many successors there were."""
    plan, send = fleet.plan, rt.send
    pids = [rt.spawn_virtual(aircraft.handle) for aircraft in fleet.current]
    path_of = {unit: path for path, unit in plan.paths.items()}
    for path, unit in plan.paths.items():
        rt.register_path(path, pids[unit])
    observer = rt.spawn_with_path_observed(100, "/chaos/restarts")
    rt.watch_supervision(observer)
    for unit in fleet.chaotic:
        rt.supervise_with_factory(pids[unit], factory(rt, fleet, unit))
    chaotic = set(fleet.chaotic)
    stride = max(1, len(plan.messages) // STRIDES)
    for index, (unit, message) in enumerate(plan.messages):
        fleet.journals[unit].append(message)
        if unit not in chaotic:
            if not send(pids[unit], message):
                raise FleetError(f"the actor of {plan.units[unit]} took no message: it is dead")
        # The path leads to the one that is there; while there is none, the journal will do.
        elif (pid := rt.whereis_path(path_of[unit])) is not None:
            send(pid, message)
        if index % stride == 0:
            tick(index)
    for _ in chaotic:
        # A flight that died with an actor is replayed by the next message, which may be the end.
        if rt.selective_recv_blocking(observer, is_restart, FINISH_SECONDS) is None:
            raise FleetError("an actor that crashed was not restarted")
    for unit, pid in enumerate(pids):
        there = rt.whereis_path(path_of[unit]) if unit in chaotic else pid
        if there is None or not send(there, FINISHED):
            raise FleetError(f"the actor of {plan.units[unit]} took no message: it is dead")
    return len(chaotic)


def factory(rt: iris.Runtime, fleet: ChaosFleet, unit: int) -> Callable[[], int]:
    """Starts the successor of a unit's actor."""
    return lambda: rt.spawn(fleet.reborn(unit))


def is_restart(message: bytes | iris.PySystemMessage) -> bool:
    """Whether the message tells of a successor."""
    return isinstance(message, iris.PySystemMessage) and message.type_name == "RESTARTED"


class CrashCounter(logging.Filter):
    """Counts the crashes on purpose, and keeps them off the screen."""

    seen = 0

    def filter(self, record: logging.LogRecord) -> bool:
        wanted = record.exc_info is not None and record.exc_info[0] is Chaos
        self.seen += wanted
        return not wanted
