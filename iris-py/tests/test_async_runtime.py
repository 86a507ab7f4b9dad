"""The loop thread of a runtime: its ends, its laggards, and event loops of the program's own."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sys
import threading
import time
import weakref
from typing import Any

import pytest
from async_support import Door, Trace
from support import PATIENCE, Inbox, Observer

import iris


@pytest.fixture
def trace() -> Trace:
    return Trace()


@pytest.fixture
def door() -> Door:
    return Door()


def test_a_clean_up_beyond_the_deadline_is_given_up(
    rt: iris.Runtime, trace: Trace, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(data: bytes) -> None:
        trace("begun")
        try:
            await asyncio.sleep(10 * PATIENCE)
        finally:
            try:
                await asyncio.sleep(10 * PATIENCE)
            finally:
                trace("closed")

    observer = Observer(rt)
    pid = rt.spawn(handler)
    rt.monitor(observer.pid, pid)
    rt.send(pid, b"x")
    assert trace.next() == "begun"
    rt.stop(pid)
    # The deadline is 5 s.
    assert trace.next() == "closed"
    assert observer.system("DOWN").reason == "killed"
    assert iris.flush_reports(PATIENCE)
    assert f"actor {pid} was told to stop and did not finish" in caplog.text


def test_a_shutdown_leaves_those_behind_that_do_not_clean_up(door: Door) -> None:
    async def handler(data: bytes) -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await door.wait()

    rt = iris.Runtime()
    rt.send(rt.spawn(handler), b"x")
    door.wait_reached()
    began = time.monotonic()
    rt.shutdown(0)
    assert time.monotonic() - began < PATIENCE


def test_what_a_handler_leaves_behind_is_cancelled_at_the_end(trace: Trace) -> None:
    kept = []

    async def left() -> None:
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            trace("cancelled")

    async def handler(data: bytes) -> None:
        kept.append(asyncio.create_task(left()))
        await asyncio.sleep(0)
        trace("begun")

    with iris.Runtime() as rt:
        rt.send(rt.spawn(handler), b"x")
        assert trace.next() == "begun"
    assert trace.next() == "cancelled"


def test_two_runtimes_have_two_loops(trace: Trace) -> None:
    async def handler(data: bytes) -> None:
        trace(asyncio.get_running_loop())

    loops = []
    with iris.Runtime() as one, iris.Runtime() as other:
        for rt in (one, other, one):
            rt.send(rt.spawn(handler), b"x")
            loops.append(trace.next())
    assert loops[0] is loops[2] is not loops[1]
    assert all(loop.is_closed() for loop in loops)


def test_an_async_runtime_leaves_the_loop_free() -> None:
    async def main() -> list[str]:
        events: list[str] = []

        async def tick() -> None:
            while True:
                await asyncio.sleep(0.001)
                events.append("tick")

        ticking = asyncio.create_task(tick())
        inbox = Inbox()
        async with iris.Runtime() as rt:

            async def handler(data: bytes) -> None:
                await asyncio.sleep(0.05)
                inbox(data)

            pid = rt.spawn(handler)
            assert not await rt.join_async(pid, 0)
            assert not await rt.join_async(pid, 0.01)
            rt.send(pid, b"x")
            rt.stop(pid, drain=True)
            assert await rt.join_async(pid, PATIENCE)
            assert await rt.join_async(pid)
            assert inbox.get() == b"x"
            again = rt.spawn(handler)
            rt.send(again, b"drained")
        assert inbox.get() == b"drained"
        with pytest.raises(RuntimeError):
            rt.spawn(handler)
        ticking.cancel()
        return events

    for _ in range(2):
        assert len(asyncio.run(main())) > 10


def test_join_async_for_many_on_a_running_loop(rt: iris.Runtime) -> None:
    async def handler(data: bytes) -> object:
        await asyncio.sleep(0.001)
        return iris.STOP

    async def main() -> list[bool]:
        pids = [rt.spawn(handler) for _ in range(200)]
        joins = [asyncio.ensure_future(rt.join_async(pid, PATIENCE)) for pid in pids]
        given_up = asyncio.ensure_future(rt.join_async(pids[0]))
        await asyncio.sleep(0)
        given_up.cancel()
        for pid in pids:
            rt.send(pid, b"x")
        assert threading.active_count() < 50
        return await asyncio.gather(*joins)

    assert asyncio.run(main()) == [True] * 200


@pytest.mark.parametrize("waits", [False, True])
def test_code_that_blocks_the_loop_thread_is_warned_of(
    rt: iris.Runtime, trace: Trace, caplog: pytest.LogCaptureFixture, waits: bool
) -> None:
    async def handler(data: bytes) -> None:
        if waits:
            await asyncio.sleep(0.001)
        time.sleep(0.15)

    async def after(data: bytes) -> None:
        trace("after")

    pid = rt.spawn(handler)
    rt.send(pid, b"x")
    rt.stop(pid, drain=True)
    assert rt.join(pid, PATIENCE)
    rt.send(rt.spawn(after), b"x")
    assert trace.next() == "after"
    assert f"actor {pid} kept the loop thread" in caplog.text


def test_a_handler_that_blocks_the_loop_thread_does_not_hold_up_others(
    rt: iris.Runtime, trace: Trace
) -> None:
    gate = threading.Event()

    async def blocks(data: bytes) -> None:
        trace("blocks")
        gate.wait(PATIENCE)

    rt.send(rt.spawn(blocks), b"x")
    assert trace.next() == "blocks"
    plain = rt.spawn(trace)
    rt.send_after(plain, 1, b"timer")
    assert trace.next() == b"timer"
    watched = rt.spawn(lambda data: 1 // 0)
    system = rt.spawn(trace, system=True)
    rt.monitor(system, watched)
    rt.send(watched, b"x")
    assert trace.next().reason == "crash"
    gate.set()


def test_what_a_crashed_coroutine_held_is_freed(rt: iris.Runtime) -> None:
    class Held: ...

    held: list[weakref.ref[Any]] = []

    async def handler(data: bytes) -> None:
        mine = Held()
        task = asyncio.current_task()
        held.append(weakref.ref(mine))
        held.append(weakref.ref(task))
        await asyncio.sleep(0)
        raise ValueError(task)

    logging.getLogger("iris").disabled = True
    try:
        for _ in range(3):
            pid = rt.spawn(handler)
            rt.send(pid, b"x")
            assert rt.join(pid, PATIENCE)
    finally:
        logging.getLogger("iris").disabled = False
    deadline = time.monotonic() + PATIENCE
    while any(ref() is not None for ref in held) and time.monotonic() < deadline:
        gc.collect()
    assert [ref() for ref in held] == [None] * 6


@pytest.mark.parametrize("reentrant", [False, True])
def test_what_is_accepted_is_begun_or_a_dead_letter_while_actors_are_stopped(
    reentrant: bool,
) -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    begun = 0
    dead: list[int] = []
    try:
        rt = iris.Runtime()
        rt.on_dead_letter(lambda pid, data, reason: dead.append(pid))

        async def handler(data: bytes) -> None:
            nonlocal begun
            begun += 1
            if data == b"wait":
                await asyncio.sleep(0.001)
            elif data == b"turn":
                await asyncio.sleep(0)

        pids = [rt.spawn(handler, reentrant=reentrant) for _ in range(60)]
        words = [b"wait", b"turn", b"go on", b"go on"]
        accepted = [0] * 4

        def send(n: int) -> None:
            for round in range(20):
                for at, pid in enumerate(pids):
                    accepted[n] += rt.send(pid, words[(round + at + n) % 4])

        def stop() -> None:
            for at, pid in enumerate(pids):
                rt.stop(pid, drain=at % 3 == 0)

        threads = [threading.Thread(target=send, args=(n,)) for n in range(4)]
        threads.append(threading.Thread(target=stop))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for pid in pids:
            assert rt.join(pid, PATIENCE)
        counted = rt.dead_letters()
        assert begun + counted == sum(accepted)
        assert counted == len(dead)
        assert rt.shutdown() == 0
    finally:
        sys.setswitchinterval(before)
