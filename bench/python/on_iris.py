"""The workloads on Iris."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import iris
from measure import LIMIT_SECONDS, PAYLOAD, BenchError, Clock, Growth, Timing

Runtime: Any = iris.Runtime


def _countdown(n: int, clock: Clock) -> Callable[[bytes], None]:
    left = n

    def handle(_: bytes) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            clock.stop()

    return handle


def tell(n: int, _: int) -> Timing:
    """One sender, one actor, `n` messages."""
    clock = Clock(n)
    with Runtime() as rt:
        pid = rt.spawn(_countdown(n, clock))
        send = rt.send
        clock.start()
        for _number in range(n):
            send(pid, PAYLOAD)
        return clock.wait()


def batch(n: int, size: int) -> Timing:
    """As `tell`, with `size` messages in each send and lists of them for the handler."""
    clock = Clock(n)
    left = n

    def handle(messages: list[bytes]) -> None:
        nonlocal left
        for _message in messages:
            left -= 1
        if left <= 0:
            clock.stop()

    with Runtime() as rt:
        pid = rt.spawn(handle, batch=True)
        items = [PAYLOAD] * size
        send_many = rt.send_many
        clock.start()
        for _number in range(n // size):
            send_many(pid, items)
        return clock.wait()


def ping_pong(n: int, _: int) -> Timing:
    """Two actors, one message that goes to and fro `n` times."""
    clock = Clock(n)
    left = n
    with Runtime() as rt:
        send = rt.send

        def ping(message: bytes) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                clock.stop()
            else:
                send(pong_pid, message)

        def pong(message: bytes) -> None:
            send(ping_pid, message)

        ping_pid, pong_pid = rt.spawn(ping), rt.spawn(pong)
        clock.start()
        send(pong_pid, PAYLOAD)
        return clock.wait()


def ring(hops: int, members: int) -> Timing:
    """One message goes from actor to actor until it has been handed on `hops` times."""
    clock = Clock(hops)
    left = hops
    with Runtime() as rt:
        pids: list[int] = []
        send = rt.send

        def member(following: int) -> Callable[[bytes], None]:
            def handle(message: bytes) -> None:
                nonlocal left
                left -= 1
                if left > 0:
                    send(pids[following], message)
                elif left == 0:
                    clock.stop()

            return handle

        pids.extend(rt.spawn(member((number + 1) % members)) for number in range(members))
        clock.start()
        send(pids[0], PAYLOAD)
        return clock.wait()


def fan_out(n: int, actors: int) -> Timing:
    """One sender, `actors` actors, a message to each of them in every round."""
    clock = Clock(n)
    with Runtime() as rt:
        handle = _countdown(n, clock)
        pids = [rt.spawn(handle) for _ in range(actors)]
        send = rt.send
        clock.start()
        for _round in range(n // actors):
            for pid in pids:
                send(pid, PAYLOAD)
        return clock.wait()


def spawn(actors: int, _: int) -> Timing:
    """Spawns idle actors; also the bytes that each of them holds."""
    clock = Clock(actors)
    with Runtime() as rt:

        def handle(_: bytes) -> None:
            pass

        # The first actor brings the runtime's own threads and tables into being.
        rt.spawn(handle)
        growth = Growth()
        clock.start()
        pids = [rt.spawn(handle) for _ in range(actors)]
        clock.stop()
        timing = clock.wait()
        timing.bytes_each = growth.each(pids)
    return timing


def pull(n: int, actors: int) -> Timing:
    """`actors` pull actors run and wait in `recv`; one of them is told `n` times."""
    clock = Clock(n)
    running = threading.Semaphore(0)

    def wait(mailbox: iris.Mailbox) -> None:
        running.release()
        mailbox.recv()

    def count(mailbox: iris.Mailbox) -> None:
        running.release()
        recv = mailbox.recv
        for _number in range(n):
            recv()
        clock.stop()

    with Runtime() as rt:
        for _actor in range(actors - 1):
            rt.spawn_with_mailbox(wait)
        pid = rt.spawn_with_mailbox(count)
        ran = sum(running.acquire(timeout=LIMIT_SECONDS) for _ in range(actors))
        send = rt.send
        clock.start()
        for _number in range(n):
            send(pid, PAYLOAD)
        timing = clock.wait()
        timing.share = ran / actors
    return timing


def ask(n: int, _: int) -> Timing:
    """An actor asks another one `n` times and awaits each answer."""
    clock = Clock(n)
    failed: list[BaseException] = []
    with Runtime() as rt:

        async def answers(data: bytes) -> bytes:
            return data

        answerer = rt.spawn(answers)

        async def asks(data: bytes) -> None:
            ask = rt.ask
            try:
                for _number in range(n):
                    await ask(answerer, data)
            except BaseException as error:
                failed.append(error)
                raise
            finally:
                clock.stop()

        clock.start()
        rt.send(rt.spawn(asks), PAYLOAD)
        timing = clock.wait()
    if failed:
        raise BenchError(f"an ask failed: {failed[0]!r}")
    return timing


def call(n: int, _: int) -> Timing:
    """An actor asks another one `n` times and blocks until each answer is there."""
    clock = Clock(n)
    failed: list[BaseException] = []
    with Runtime() as rt:
        answerer = rt.spawn(lambda data: data)

        def asks(data: bytes) -> None:
            call = rt.call
            try:
                for _number in range(n):
                    call(answerer, data)
            except BaseException as error:
                failed.append(error)
                raise
            finally:
                clock.stop()

        clock.start()
        rt.send(rt.spawn(asks), PAYLOAD)
        timing = clock.wait()
    if failed:
        raise BenchError(f"an ask failed: {failed[0]!r}")
    return timing
