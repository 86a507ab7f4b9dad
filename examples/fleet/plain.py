"""The job without actors: the single loop that every figure is checked against, and the same
work on asyncio queues, which the runtime's speed is compared with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Union

import detector
from data import Flight
from detector import Stats
from fleet import FINISHED, Handler, Incident, IncidentLog, Outcome, Plan, make_handler, unit_of
from progress import STRIDES, Tick


def single_loop(flights: Sequence[Flight], threshold: float) -> Outcome:
    """One loop over the flights: no message, no packing, no machine code.

    It shares nothing with the actors but the maths, so that a fault in the handing over of
    messages cannot be in both.
    """
    past: dict[str, Stats] = {}
    incidents: list[Incident] = []
    swap_at = len(flights) // 2
    start = time.perf_counter()
    for index, flight in enumerate(flights):
        stats = past.setdefault(unit_of(flight), Stats())
        if flight.delay != flight.delay:  # NaN
            stats.cancelled += 1
            continue
        if index < swap_at:
            version = 1
            score = detector.score_v1(flight.delay, stats.count, stats.mean, stats.m2)
        else:
            version = 2
            score = detector.score_v2(flight.delay, stats.count, stats.mean, stats.m2)
        if score > threshold:
            incidents.append(Incident(index, version, flight.delay, score))
        stats.add(flight.delay, score)
    seconds = time.perf_counter() - start
    return Outcome(list(past.values()), incidents, seconds)


def asyncio_fleet(plan: Plan, threshold: float, tick: Tick) -> Outcome:
    """The actors' job with one asyncio task and queue per unit, scored by the plain functions."""
    return asyncio.run(_asyncio_fleet(plan, threshold, tick))


# A handler in a queue is the hot swap: FIFO with the messages, as under Iris.
Item = Union[bytes, Handler]


async def _unit(queue: asyncio.Queue[Item], handler: Handler) -> None:
    while True:
        item = await queue.get()
        if isinstance(item, bytes):
            handler(item)
            if item == FINISHED:
                return
        else:
            handler = item


async def _incidents(queue: asyncio.Queue[bytes], log: IncidentLog) -> None:
    while True:
        log.handle(await queue.get())


async def _asyncio_fleet(plan: Plan, threshold: float, tick: Tick) -> Outcome:
    finished = asyncio.Event()
    end = 0.0

    def on_finished() -> None:
        nonlocal end
        end = time.perf_counter()
        finished.set()

    log = IncidentLog(len(plan.units), on_finished)
    log_queue: asyncio.Queue[bytes] = asyncio.Queue()
    emit = log_queue.put_nowait
    stats = [Stats() for _ in plan.units]
    queues: list[asyncio.Queue[Item]] = [asyncio.Queue() for _ in plan.units]
    tasks = [asyncio.create_task(_incidents(log_queue, log))]
    for queue, own in zip(queues, stats):
        handler = make_handler(own, detector.score_v1, 1, threshold, emit)
        tasks.append(asyncio.create_task(_unit(queue, handler)))
    # Every task reaches its first wait before the clock starts.
    await asyncio.sleep(0)

    # No yield while sending: the shape in which asyncio is fastest.
    start = time.perf_counter()
    stride = max(1, len(plan.messages) // STRIDES)
    puts = [queue.put_nowait for queue in queues]
    for index, (unit, message) in enumerate(plan.messages):
        if index == plan.swap_at:
            for put, own in zip(puts, stats):
                put(make_handler(own, detector.score_v2, 2, threshold, emit))
        puts[unit](message)
        if index % stride == 0:
            tick(index)
    for put in puts:
        put(FINISHED)
    await finished.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return Outcome(stats, log.incidents(), end - start)
