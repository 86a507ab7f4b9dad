"""The job on Iris: a virtual actor per aircraft, scored by machine code, swapped in mid-stream."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import iris

import detector
from detector import Stats
from fleet import FINISHED, IncidentLog, Outcome, Plan, make_handler
from progress import STRIDES, Tick

# The same functions as in `detector`, as machine code; written as calls and not as `@` lines,
# so that the plain ones stay importable.
fast_score_v1 = iris.offload(strategy="jit")(detector.score_v1)
fast_score_v2 = iris.offload(strategy="jit")(detector.score_v2)

# No sensible machine needs longer for the rest of the queue once everything is sent.
FINISH_SECONDS = 300.0


class FleetError(Exception):
    """The fleet did not do its work."""


@dataclass
class FleetFacts:
    """What the runtime said about the run."""

    reserved: int
    """Actors that were still waiting for their first message before the first send."""
    swapped: int
    """Actors whose second behavior was in force at the end."""
    paths: int
    """Paths under `/fleet`."""
    dead_letters: int
    native_calls: int
    """Scoring calls that ran as machine code."""
    python_calls: int
    """Scoring calls that fell back to Python."""


def run_fleet(plan: Plan, threshold: float, tick: Tick) -> tuple[Outcome, FleetFacts]:
    """Replays the flights on actors, and waits until the last message has been handled."""
    native_before, python_before = scoring_calls()
    finished = threading.Event()
    end = 0.0

    def on_finished() -> None:
        nonlocal end
        end = time.perf_counter()
        finished.set()

    log = IncidentLog(len(plan.units), on_finished)
    stats = [Stats() for _ in plan.units]
    with iris.Runtime() as rt:
        rt.register("incidents", rt.spawn(log.handle))
        emit = sender(rt, "incidents")
        pids = [
            rt.spawn_virtual(make_handler(own, fast_score_v1, 1, threshold, emit)) for own in stats
        ]
        for path, unit in plan.paths.items():
            rt.register_path(path, pids[unit])
        reserved = sum(_is_reserved(rt, pid) for pid in pids)

        send = rt.send
        stride = max(1, len(plan.messages) // STRIDES)
        start = time.perf_counter()
        for index, (unit, message) in enumerate(plan.messages):
            if index == plan.swap_at:
                # In order with the messages: whatever was sent before is still scored by the
                # first detector, however long its queue is.
                for pid, own in zip(pids, stats):
                    rt.hot_swap(pid, make_handler(own, fast_score_v2, 2, threshold, emit))
            if not send(pids[unit], message):
                raise FleetError(f"the actor of {plan.units[unit]} took no message: it is dead")
            if index % stride == 0:
                tick(index)
        for pid in pids:
            send(pid, FINISHED)
        wait_for_end(rt, plan, pids, finished)

        native_after, python_after = scoring_calls()
        facts = FleetFacts(
            reserved=reserved,
            swapped=sum(rt.behavior_version(pid) == 2 for pid in pids),
            paths=len(rt.list_children("/fleet")),
            dead_letters=rt.dead_letters(),
            native_calls=native_after - native_before,
            python_calls=python_after - python_before,
        )
    return Outcome(stats, log.incidents(), end - start), facts


def sender(rt: iris.Runtime, name: str) -> Callable[[bytes], None]:
    """A function that sends to a name's holder, and crashes its caller if that is gone."""
    pid = rt.whereis(name)
    if pid is None:
        raise FleetError(f"nobody is registered as {name!r}")

    def send(message: bytes) -> None:
        if not rt.send(pid, message):
            raise FleetError(f"{name!r} is dead")

    return send


def wait_for_end(rt: iris.Runtime, plan: Plan, pids: list[int], finished: threading.Event) -> None:
    """Sleeps until every unit has reported its end; a crashed actor ends the wait at once."""
    deadline = time.monotonic() + FINISH_SECONDS
    # The time-out is only for the case that something broke: the event ends the wait.
    while not finished.wait(timeout=2.0):
        dead = [plan.units[unit] for unit, pid in enumerate(pids) if not rt.is_alive(pid)]
        if dead:
            raise FleetError(f"{len(dead)} actors crashed, the first is {dead[0]}")
        if rt.whereis("incidents") is None:
            raise FleetError("the actor of the incidents crashed")
        if time.monotonic() > deadline:
            raise FleetError(f"the fleet did not finish within {FINISH_SECONDS:.0f} s")


def _is_reserved(rt: iris.Runtime, pid: int) -> bool:
    info = rt.info(pid)
    return info is not None and info["status"] == "reserved"


def scoring_calls() -> tuple[int, int]:
    """Calls of the two detectors so far: native ones, and those that ran as Python."""
    both = (fast_score_v1.stats, fast_score_v2.stats)
    return sum(each["native"] for each in both), sum(each["python"] for each in both)
