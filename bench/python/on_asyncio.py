"""The workloads on asyncio: a task and a queue per actor, in one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from measure import Clock, Timing
from on_iris import PAYLOAD

Queue = asyncio.Queue  # of bytes


def tell(n: int) -> Timing:
    """One producing and one consuming task."""
    return asyncio.run(_tell(n))


async def _tell(n: int) -> Timing:
    clock = Clock(n)
    queue: Queue[bytes] = Queue()

    async def consume() -> None:
        for _ in range(n):
            await queue.get()
        clock.stop()

    async def produce() -> None:
        clock.start()
        for _ in range(n):
            await queue.put(PAYLOAD)

    await asyncio.gather(consume(), produce())
    return clock.timing()


def ring(members: int, hops: int) -> Timing:
    """One message goes from task to task."""
    return asyncio.run(_ring(members, hops))


async def _ring(members: int, hops: int) -> Timing:
    clock = Clock(hops)
    finished = asyncio.Event()
    queues: list[Queue[bytes]] = [Queue() for _ in range(members)]
    left = hops

    async def member(own: Queue[bytes], following: Queue[bytes]) -> None:
        nonlocal left
        while True:
            message = await own.get()
            left -= 1
            if left > 0:
                following.put_nowait(message)
            elif left == 0:
                clock.stop()
                finished.set()

    async def start() -> None:
        clock.start()
        queues[0].put_nowait(PAYLOAD)
        await finished.wait()

    following = queues[1:] + queues[:1]
    await _beside([member(own, to) for own, to in zip(queues, following)], start())
    return clock.timing()


def fan_out(actors: int, rounds: int) -> Timing:
    """A message to each of many tasks in every round."""
    return asyncio.run(_fan_out(actors, rounds))


async def _fan_out(actors: int, rounds: int) -> Timing:
    n = actors * rounds
    clock = Clock(n)
    finished = asyncio.Event()
    queues: list[Queue[bytes]] = [Queue() for _ in range(actors)]
    left = n

    async def consume(own: Queue[bytes]) -> None:
        nonlocal left
        while True:
            await own.get()
            left -= 1
            if left == 0:
                clock.stop()
                finished.set()

    async def produce() -> None:
        clock.start()
        for _ in range(rounds):
            for queue in queues:
                queue.put_nowait(PAYLOAD)
        await finished.wait()

    await _beside([consume(queue) for queue in queues], produce())
    return clock.timing()


async def _beside(actors: list[Coroutine[Any, Any, None]], job: Coroutine[Any, Any, None]) -> None:
    """Runs `job` while the actors wait for messages, and ends them after it."""
    tasks = [asyncio.create_task(actor) for actor in actors]
    await asyncio.sleep(0)  # every actor reaches its first wait
    await job
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
