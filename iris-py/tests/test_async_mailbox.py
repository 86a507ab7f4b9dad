"""Async actors that receive."""

from __future__ import annotations

import asyncio
import queue
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from support import PATIENCE, Observer

import iris
from iris import AsyncMailbox


class Trace:
    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def __call__(self, event: Any) -> None:
        self._queue.put(event)

    def next(self) -> Any:
        return self._queue.get(timeout=PATIENCE)

    def take(self, count: int) -> list[Any]:
        return [self.next() for _ in range(count)]

    def empty(self) -> bool:
        return self._queue.empty()


@pytest.fixture
def trace() -> Trace:
    return Trace()


def test_it_receives_in_order_and_ends_with_its_code(rt: iris.Runtime, trace: Trace) -> None:
    async def body(mailbox: AsyncMailbox) -> None:
        trace(mailbox.pid)
        for _ in range(3):
            trace(await mailbox.recv())

    observer = Observer(rt)
    pid = rt.spawn_with_mailbox(body, name="body")
    rt.monitor(observer.pid, pid)
    assert trace.next() == pid
    for n in range(4):
        rt.send_named("body", b"%d" % n)
    assert trace.take(3) == [b"0", b"1", b"2"]
    assert observer.system("DOWN").reason == "normal"
    assert rt.join(pid, PATIENCE)
    assert rt.dead_letters() <= 1


def test_iteration_ends_quietly_with_a_stop(rt: iris.Runtime, trace: Trace) -> None:
    async def body(mailbox: AsyncMailbox) -> None:
        async for message in mailbox:
            trace(message)
        await asyncio.sleep(0.001)
        trace("end")

    observer = Observer(rt)
    pid = rt.spawn_with_mailbox(body)
    rt.monitor(observer.pid, pid)
    rt.send(pid, b"x")
    assert trace.next() == b"x"
    rt.stop(pid)
    assert trace.next() == "end"
    assert observer.system("DOWN").reason == "killed"


def test_a_stop_is_a_closed_mailbox_which_may_leave_the_code(
    rt: iris.Runtime, trace: Trace
) -> None:
    async def body(mailbox: AsyncMailbox) -> None:
        trace("begun")
        try:
            await mailbox.recv()
        except iris.MailboxClosed:
            trace("closed")
            raise

    observer = Observer(rt)
    pid = rt.spawn_with_mailbox(body)
    rt.monitor(observer.pid, pid)
    assert trace.next() == "begun"
    rt.stop(pid)
    assert trace.next() == "closed"
    assert observer.system("DOWN").reason == "killed"


def test_draining_receives_all_and_then_closes(rt: iris.Runtime, trace: Trace) -> None:
    async def body(mailbox: AsyncMailbox) -> None:
        async for message in mailbox:
            await asyncio.sleep(0)
            trace(message)

    observer = Observer(rt)
    pid = rt.spawn_with_mailbox(body)
    rt.monitor(observer.pid, pid)
    for n in range(20):
        rt.send(pid, b"%d" % n)
    rt.stop(pid, drain=True)
    assert trace.take(20) == [b"%d" % n for n in range(20)]
    assert observer.system("DOWN").reason == "shutdown"


def test_code_that_waits_for_something_else_is_cancelled_by_a_stop(
    rt: iris.Runtime, trace: Trace
) -> None:
    async def body(mailbox: AsyncMailbox) -> None:
        trace("begun")
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            await asyncio.sleep(0.001)
            trace("clean")

    observer = Observer(rt)
    pid = rt.spawn_with_mailbox(body)
    rt.monitor(observer.pid, pid)
    assert trace.next() == "begun"
    rt.send(pid, b"left")
    rt.stop(pid)
    assert trace.next() == "clean"
    assert observer.system("DOWN").reason == "killed"
    assert rt.join(pid, PATIENCE)
    assert rt.dead_letters() == 1


def test_a_raise_is_a_crash_with_its_traceback(rt: iris.Runtime) -> None:
    async def body(mailbox: AsyncMailbox) -> None:
        await mailbox.recv()
        raise ValueError("as asked")

    observer = Observer(rt)
    pid = rt.spawn_with_mailbox(body)
    rt.monitor(observer.pid, pid)
    rt.send(pid, b"x")
    down = observer.system("DOWN")
    assert down.reason == "crash"
    assert down.metadata is not None
    assert "in body" in down.metadata["traceback"]


def test_a_time_out_is_none(rt: iris.Runtime, trace: Trace) -> None:
    async def body(mailbox: AsyncMailbox) -> None:
        trace(await mailbox.recv(0))
        trace(await mailbox.recv(0.001))
        trace(await mailbox.recv_many(3, 0.001))
        trace(await mailbox.selective_recv(lambda _: False, 0.001))
        trace(await mailbox.recv(PATIENCE))
        for wrong in (-1, float("nan")):
            try:
                await mailbox.recv(wrong)
            except ValueError:
                trace("refused")

    pid = rt.spawn_with_mailbox(body)
    assert trace.take(4) == [None, None, [], None]
    rt.send(pid, b"x")
    assert trace.take(3) == [b"x", "refused", "refused"]


def test_selective_receive_leaves_the_others_in_order(rt: iris.Runtime, trace: Trace) -> None:
    looked: list[Any] = []

    def matcher(message: Any) -> bool:
        looked.append(message)
        return bool(message == b"this")

    async def body(mailbox: AsyncMailbox) -> None:
        trace(await mailbox.selective_recv(matcher))
        trace(await mailbox.recv_many(2))
        trace(await mailbox.recv_many(10, PATIENCE))
        try:
            await mailbox.selective_recv(lambda message: 1 // 0, PATIENCE)
        except ZeroDivisionError:
            trace("raised")
        trace(await mailbox.recv())

    pid = rt.spawn_with_mailbox(body)
    for n in range(3):
        rt.send(pid, b"%d" % n)
    rt.send(pid, b"this")
    assert trace.take(3) == [b"this", [b"0", b"1"], [b"2"]]
    # Each message is looked at once.
    assert looked == [b"0", b"1", b"2", b"this"]
    rt.send(pid, b"last")
    assert trace.take(2) == ["raised", b"last"]


def test_a_cancelled_receive_takes_no_message(rt: iris.Runtime, trace: Trace) -> None:
    async def body(mailbox: AsyncMailbox) -> None:
        for _ in range(50):
            receiving = asyncio.ensure_future(mailbox.recv())
            await asyncio.sleep(0)
            # It comes while the receive waits, and the receive is cancelled before it goes on.
            rt.send(mailbox.pid, b"once")
            receiving.cancel()
            try:
                trace(("received", await receiving))
            except asyncio.CancelledError:
                trace(("cancelled", await mailbox.recv(PATIENCE)))

    rt.spawn_with_mailbox(body)
    for _ in range(50):
        assert trace.next()[1] == b"once"


def test_receives_inside_asyncio_tasks_and_time_outs(rt: iris.Runtime, trace: Trace) -> None:
    async def body(mailbox: AsyncMailbox) -> None:
        try:
            await asyncio.wait_for(mailbox.recv(), 0.001)
        except asyncio.TimeoutError:
            trace("late")
        trace(await asyncio.wait_for(mailbox.recv(), PATIENCE))
        trace(await asyncio.gather(mailbox.recv(), asyncio.sleep(0, 1)))
        one = asyncio.ensure_future(mailbox.recv())
        await asyncio.sleep(0)
        try:
            await mailbox.recv()
        except RuntimeError:
            trace("in use")
        trace(await one)
        if sys.version_info >= (3, 11):
            async with asyncio.timeout(PATIENCE):
                trace(await mailbox.recv())
        else:
            trace(await mailbox.recv())

    pid = rt.spawn_with_mailbox(body)
    assert trace.next() == "late"
    for n, expected in enumerate([b"0", [b"1", 1]]):
        rt.send(pid, b"%d" % n)
        assert trace.next() == expected
    assert trace.next() == "in use"
    rt.send(pid, b"2")
    rt.send(pid, b"3")
    assert trace.take(2) == [b"2", b"3"]


def test_system_messages_come_too(rt: iris.Runtime, trace: Trace) -> None:
    async def body(mailbox: AsyncMailbox) -> None:
        async for message in mailbox:
            trace(message)

    pid = rt.spawn_with_mailbox(body)
    watched = rt.spawn(lambda data: None)
    rt.monitor(pid, watched)
    rt.stop(watched)
    message = trace.next()
    assert isinstance(message, iris.PySystemMessage)
    assert (message.type_name, message.target_pid) == ("DOWN", watched)


def test_a_child_ends_with_its_parent(rt: iris.Runtime, trace: Trace) -> None:
    async def body(mailbox: AsyncMailbox) -> None:
        trace("begun")
        async for _ in mailbox:
            pass
        trace("end")

    parent = rt.spawn(lambda data: None)
    child = rt.spawn_child_with_mailbox(parent, body)
    assert trace.next() == "begun"
    rt.stop(parent)
    assert rt.join(child, PATIENCE)
    assert trace.next() == "end"


def test_a_bounded_mailbox_refuses_what_does_not_fit(rt: iris.Runtime, trace: Trace) -> None:
    async def body(mailbox: AsyncMailbox) -> None:
        trace("begun")
        await asyncio.sleep(0.001)
        trace(await mailbox.recv_many(10))

    class Body:
        async def __call__(self, mailbox: AsyncMailbox) -> None:
            await body(mailbox)

    forms: list[Callable[[AsyncMailbox], Awaitable[None]]] = [body, Body()]
    for form in forms:
        pid = rt.spawn_with_mailbox(form, capacity=2)
        accepted = [rt.send(pid, b"%d" % n) for n in range(10)]
        assert trace.next() == "begun"
        received = trace.next()
        assert received[:2] == [b"0", b"1"]
        assert accepted[:2] == [True, True]
        assert len(received) == sum(accepted)


def test_ten_thousand_and_more_need_no_threads(rt: iris.Runtime) -> None:
    count, done = 0, threading.Event()
    many = 12_000

    async def body(mailbox: AsyncMailbox) -> None:
        nonlocal count
        await mailbox.recv()
        count += 1
        if count == many:
            done.set()

    pids = [rt.spawn_with_mailbox(body) for _ in range(many)]
    assert threading.active_count() < 50
    for pid in pids:
        assert rt.send(pid, b"x")
    assert done.wait(PATIENCE)


def test_one_that_always_has_mail_lets_others_run(rt: iris.Runtime, trace: Trace) -> None:
    async def greedy(mailbox: AsyncMailbox) -> None:
        async for message in mailbox:
            rt.send(mailbox.pid, message)

    async def modest(mailbox: AsyncMailbox) -> None:
        await asyncio.sleep(0)
        trace(await mailbox.recv())

    pid = rt.spawn_with_mailbox(greedy)
    rt.send(pid, b"round and round")
    for _ in range(5):
        rt.send(rt.spawn_with_mailbox(modest), b"x")
        assert trace.next() == b"x"
    rt.stop(pid)
    assert rt.join(pid, PATIENCE)


def test_no_message_is_lost_under_many_senders(rt: iris.Runtime, trace: Trace) -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        senders, each = 8, 500

        async def body(mailbox: AsyncMailbox) -> None:
            last = [-1] * senders
            wrong = 0
            for _ in range(senders * each):
                message = await mailbox.recv(PATIENCE)
                assert isinstance(message, bytes)
                sender, number = map(int, message.split())
                wrong += last[sender] + 1 != number
                last[sender] = number
            trace(wrong)

        pid = rt.spawn_with_mailbox(body)

        def send(sender: int) -> None:
            for number in range(each):
                assert rt.send(pid, b"%d %d" % (sender, number))

        threads = [threading.Thread(target=send, args=(n,)) for n in range(senders)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert trace.next() == 0
    finally:
        sys.setswitchinterval(before)
