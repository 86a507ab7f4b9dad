"""The workloads on asyncio: a task and a queue per actor, in one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from measure import PAYLOAD, Clock, Growth, Timing

Queue = asyncio.Queue  # of bytes


def tell(n: int, _: int) -> Timing:
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
    return clock.wait()


def batch(n: int, size: int) -> Timing:
    """As `tell`, with `size` messages put at a time, and all taken that are there."""
    return asyncio.run(_batch(n, size))


async def _batch(n: int, size: int) -> Timing:
    clock = Clock(n)
    queue: Queue[bytes] = Queue()

    async def consume() -> None:
        left = n
        while left > 0:
            await queue.get()
            left -= 1
            while not queue.empty():
                queue.get_nowait()
                left -= 1
        clock.stop()

    async def produce() -> None:
        clock.start()
        for _ in range(n // size):
            for _ in range(size):
                queue.put_nowait(PAYLOAD)
            await asyncio.sleep(0)

    await asyncio.gather(consume(), produce())
    return clock.wait()


def pull(n: int, actors: int) -> Timing:
    """As `tell`, beside tasks that wait."""
    return asyncio.run(_pull(n, actors))


async def _pull(n: int, actors: int) -> Timing:
    queues: list[Queue[bytes]] = [Queue() for _ in range(actors - 1)]

    async def wait(own: Queue[bytes]) -> None:
        await own.get()

    tasks = [asyncio.create_task(wait(queue)) for queue in queues]
    await asyncio.sleep(0)
    timing = await _tell(n)
    await _end(tasks)
    return timing


def ping_pong(n: int, _: int) -> Timing:
    """One message between two tasks, `n` times to and fro."""
    return asyncio.run(_ping_pong(n))


async def _ping_pong(n: int) -> Timing:
    clock = Clock(n)
    here: Queue[bytes] = Queue()
    there: Queue[bytes] = Queue()

    async def pong() -> None:
        for _ in range(n):
            here.put_nowait(await there.get())

    async def ping() -> None:
        clock.start()
        for _ in range(n):
            there.put_nowait(PAYLOAD)
            await here.get()
        clock.stop()

    await asyncio.gather(pong(), ping())
    return clock.wait()


def ask(n: int, _: int) -> Timing:
    """A task asks another by a queue of questions, each with the future of its answer."""
    return asyncio.run(_ask(n))


async def _ask(n: int) -> Timing:
    clock = Clock(n)
    loop = asyncio.get_running_loop()
    questions: Queue[tuple[bytes, asyncio.Future[bytes]]] = Queue()

    async def answer() -> None:
        for _ in range(n):
            data, future = await questions.get()
            future.set_result(data)

    async def asks() -> None:
        clock.start()
        for _ in range(n):
            future: asyncio.Future[bytes] = loop.create_future()
            questions.put_nowait((PAYLOAD, future))
            await future
        clock.stop()

    await asyncio.gather(answer(), asks())
    return clock.wait()


def ring(hops: int, members: int) -> Timing:
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
    return clock.wait()


def fan_out(n: int, actors: int) -> Timing:
    """A message to each of many tasks in every round."""
    return asyncio.run(_fan_out(actors, n // actors))


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
    return clock.wait()


def spawn(actors: int, _: int) -> Timing:
    """Makes a queue and a task that waits on it, for each actor."""
    return asyncio.run(_spawn(actors))


async def _spawn(actors: int) -> Timing:
    clock = Clock(actors)

    async def actor(own: Queue[bytes]) -> None:
        await own.get()

    growth = Growth()
    clock.start()
    tasks: list[object] = [asyncio.create_task(actor(Queue())) for _ in range(actors)]
    await asyncio.sleep(0)  # every actor reaches its wait
    clock.stop()
    timing = clock.wait()
    timing.bytes_each = growth.each(tasks)
    await _end([task for task in tasks if isinstance(task, asyncio.Task)])
    return timing


async def _beside(actors: list[Coroutine[Any, Any, None]], job: Coroutine[Any, Any, None]) -> None:
    """Runs `job` while the actors wait for messages, and ends them after it."""
    tasks = [asyncio.create_task(actor) for actor in actors]
    await asyncio.sleep(0)  # every actor reaches its first wait
    await job
    await _end(tasks)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
