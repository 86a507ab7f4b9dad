"""Async handlers."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sys
import threading
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest
from async_support import Door, Trace
from support import PATIENCE, Observer

import iris


@pytest.fixture
def trace() -> Trace:
    return Trace()


@pytest.fixture
def door() -> Door:
    return Door()


class Forms:
    """All that may be an async handler."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    async def method(self, data: bytes) -> None:
        await asyncio.sleep(0)
        self.trace(data)

    async def __call__(self, data: bytes) -> None:
        await self.method(data)

    async def more(self, also: object, data: bytes) -> None:
        await self.method(data)

    def returns_a_coroutine(self, data: bytes) -> Awaitable[None]:
        return self.method(data)

    def returns_an_awaitable(self, data: bytes) -> Awaitable[None]:
        own = self

        class Thing:
            def __await__(self) -> Generator[Any, None, None]:
                return own.method(data).__await__()

        return Thing()


@pytest.mark.parametrize(
    "form",
    [
        lambda forms: forms,
        lambda forms: forms.method,
        lambda forms: functools.partial(forms.more, None),
        lambda forms: functools.partial(functools.partial(forms.more), 1),
        lambda forms: forms.returns_a_coroutine,
        lambda forms: forms.returns_an_awaitable,
        lambda forms: lambda data: forms.method(data),
    ],
)
def test_all_forms_of_async_handlers_are_awaited(
    rt: iris.Runtime, trace: Trace, form: Callable[[Forms], Any]
) -> None:
    pid = rt.spawn(form(Forms(trace)))
    for n in range(5):
        rt.send(pid, b"%d" % n)
    assert trace.take(5) == [b"0", b"1", b"2", b"3", b"4"]


def test_all_ways_to_spawn_take_async_handlers(rt: iris.Runtime, trace: Trace) -> None:
    async def handler(data: object) -> None:
        await asyncio.sleep(0)
        trace(data)

    parent = rt.spawn(handler)
    pids = [
        parent,
        rt.spawn_virtual(handler),
        rt.spawn_virtual(handler, idle_timeout_ms=60_000),
        rt.spawn_child(parent, handler),
        rt.spawn_py_handler_bounded(handler, 10, 5),
        *rt.spawn_child_pool(parent, handler, 2),
        rt.spawn(handler, system=True, capacity=3, name="async"),
    ]
    for n, pid in enumerate(pids):
        assert rt.send(pid, b"%d" % n)
        assert trace.next() == b"%d" % n
    watched = rt.spawn(handler)
    rt.monitor(pids[-1], watched)
    rt.stop(watched)
    assert trace.next().type_name == "DOWN"
    rt.stop(parent)
    assert rt.join(parent, PATIENCE)
    assert not rt.is_alive(pids[3])


def test_an_async_generator_is_refused(rt: iris.Runtime) -> None:
    async def generator(data: bytes) -> Any:
        yield data

    with pytest.raises(TypeError, match="async generator"):
        rt.spawn(generator)


def test_the_next_message_comes_only_when_the_coroutine_is_over(
    rt: iris.Runtime, trace: Trace
) -> None:
    async def handler(data: bytes) -> None:
        trace(("begin", data))
        for _ in range(3):
            await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        trace(("end", data))

    pid = rt.spawn(handler)
    for n in range(20):
        rt.send(pid, b"%d" % n)
    expected = [(edge, b"%d" % n) for n in range(20) for edge in ("begin", "end")]
    assert trace.take(40) == expected


def test_others_go_on_while_one_waits(rt: iris.Runtime, trace: Trace, door: Door) -> None:
    async def waits(data: bytes) -> None:
        await door.wait()
        trace(b"waited")

    async def quick(data: bytes) -> None:
        trace(data)

    slow, other = rt.spawn(waits), rt.spawn(quick)
    rt.send(slow, b"x")
    door.wait_reached()
    assert rt.send(other, b"meanwhile")
    assert trace.next() == b"meanwhile"
    info = rt.info(slow)
    assert info is not None
    assert info["status"] == "running"
    door.open()
    assert trace.next() == b"waited"


def test_what_is_sent_while_it_waits_is_counted_and_handled_after(
    rt: iris.Runtime, trace: Trace, door: Door
) -> None:
    async def handler(data: bytes) -> None:
        if data == b"first":
            await door.wait()
        trace(data)

    pid = rt.spawn(handler)
    rt.send(pid, b"first")
    door.wait_reached()
    for n in range(5):
        rt.send(pid, b"%d" % n)
    assert rt.mailbox_size(pid) == 5
    door.open()
    assert trace.take(6) == [b"first", b"0", b"1", b"2", b"3", b"4"]


def test_a_raising_coroutine_is_a_crash_with_its_traceback(rt: iris.Runtime) -> None:
    async def at_once(data: bytes) -> None:
        raise ValueError("at once")

    async def later(data: bytes) -> None:
        await asyncio.sleep(0)
        raise ValueError("later")

    for handler in (at_once, later):
        observer = Observer(rt, f"/{handler.__name__}")
        pid = rt.spawn(handler)
        rt.monitor(observer.pid, pid)
        rt.send(pid, b"x")
        down = observer.system("DOWN")
        assert down.reason == "crash"
        assert down.metadata is not None
        assert down.metadata["type"] == "ValueError"
        assert f"in {handler.__name__}" in down.metadata["traceback"]
        assert "ValueError: " + handler.__name__.replace("_", " ") in down.metadata["traceback"]


def test_on_error_resume_goes_on(rt: iris.Runtime, trace: Trace) -> None:
    async def handler(data: bytes) -> None:
        await asyncio.sleep(0)
        trace(data)
        raise ValueError(data)

    pid = rt.spawn(handler, on_error="resume")
    rt.send(pid, b"1")
    rt.send(pid, b"2")
    assert trace.take(2) == [b"1", b"2"]
    assert rt.is_alive(pid)


@pytest.mark.parametrize("waits", [False, True])
def test_stop_object_ends_it_normally(rt: iris.Runtime, waits: bool) -> None:
    async def handler(data: bytes) -> object:
        if waits:
            await asyncio.sleep(0)
        return iris.STOP

    observer = Observer(rt)
    pid = rt.spawn(handler)
    rt.monitor(observer.pid, pid)
    rt.send(pid, b"x")
    assert observer.system("DOWN").reason == "normal"


def test_stop_cancels_what_waits_and_awaits_its_clean_up(
    rt: iris.Runtime, trace: Trace, door: Door
) -> None:
    async def handler(data: bytes) -> None:
        try:
            await door.wait()
        except asyncio.CancelledError:
            trace("cancelled")
            await asyncio.sleep(0.01)
            trace("clean")
            raise

    observer = Observer(rt)
    pid = rt.spawn(handler)
    rt.monitor(observer.pid, pid)
    rt.send(pid, b"x")
    door.wait_reached()
    for _ in range(3):
        rt.send(pid, b"left")
    assert rt.stop(pid)
    assert not rt.send(pid, b"too late")
    assert observer.system("DOWN").reason == "killed"
    assert trace.take(2) == ["cancelled", "clean"]
    assert rt.join(pid, PATIENCE)
    assert rt.dead_letters() == 3


def test_a_clean_up_that_raises_is_a_crash(rt: iris.Runtime, door: Door) -> None:
    async def handler(data: bytes) -> None:
        try:
            await door.wait()
        finally:
            raise KeyError("in the clean-up")

    observer = Observer(rt)
    pid = rt.spawn(handler)
    rt.monitor(observer.pid, pid)
    rt.send(pid, b"x")
    door.wait_reached()
    rt.stop(pid)
    down = observer.system("DOWN")
    assert (down.reason, down.metadata is not None) == ("crash", True)


def test_a_coroutine_that_swallows_its_cancellation_ends_all_the_same(
    rt: iris.Runtime, trace: Trace, door: Door
) -> None:
    async def handler(data: bytes) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await door.wait()
        trace("went on")

    pid = rt.spawn(handler)
    rt.send(pid, b"x")
    rt.send(pid, b"never")
    door.wait_reached()
    rt.stop(pid)
    assert rt.join(pid, PATIENCE)
    assert trace.next() == "went on"
    assert trace.empty()


def test_draining_finishes_all(rt: iris.Runtime, trace: Trace) -> None:
    async def handler(data: bytes) -> None:
        await asyncio.sleep(0.001)
        trace(data)

    pid = rt.spawn(handler)
    for n in range(10):
        rt.send(pid, b"%d" % n)
    rt.stop(pid, drain=True)
    assert rt.join(pid, PATIENCE)
    assert trace.take(10) == [b"%d" % n for n in range(10)]


def test_shutdown_drains(trace: Trace) -> None:
    async def handler(data: bytes) -> None:
        await asyncio.sleep(0.002)
        trace(data)

    with iris.Runtime() as rt:
        pids = [rt.spawn(handler, reentrant=n % 2 == 0) for n in range(10)]
        for pid in pids:
            for _ in range(10):
                rt.send(pid, b"x")
    assert len(trace.take(100)) == 100
    assert rt.dead_letters() == 0


def test_a_handler_that_waits_for_ever_is_cancelled_by_a_shutdown(trace: Trace, door: Door) -> None:
    async def handler(data: bytes) -> None:
        try:
            await door.wait()
        finally:
            trace("cancelled")

    rt = iris.Runtime()
    rt.send(rt.spawn(handler), b"x")
    door.wait_reached()
    rt.shutdown(0)
    assert trace.next() == "cancelled"


def test_the_current_task_is_one_and_the_same(rt: iris.Runtime, trace: Trace) -> None:
    async def handler(data: bytes) -> None:
        task = asyncio.current_task()
        assert task is not None
        same = []
        for delay in (0, 0.001):
            await asyncio.sleep(delay)
            same.append(asyncio.current_task() is task)
        known = task in asyncio.all_tasks()
        trace(
            (
                id(task),
                same,
                known,
                task.get_name(),
                task.done(),
                task.cancelling() if sys.version_info >= (3, 11) else 0,
                task.get_loop() is asyncio.get_running_loop(),
            )
        )
        trace(task)

    pid = rt.spawn(handler)
    rt.send(pid, b"x")
    rt.send(pid, b"x")
    seen = []
    for _ in range(2):
        number, *facts = trace.next()
        task = trace.next()
        assert facts == [[True, True], True, f"actor {pid}", False, 0, True]
        seen.append((number, task))
    assert seen[0][1] is not seen[1][1]
    rt.stop(pid)
    rt.join(pid, PATIENCE)
    assert seen[0][1].done()
    assert seen[0][1].result() is None


def test_a_task_that_is_kept_without_a_wait_is_not_used_again(
    rt: iris.Runtime, trace: Trace
) -> None:
    kept: list[Any] = []

    async def handler(data: bytes) -> None:
        kept.append(asyncio.current_task())
        trace(None)

    pid = rt.spawn(handler)
    for _ in range(3):
        rt.send(pid, b"x")
    trace.take(3)
    rt.stop(pid)
    assert rt.join(pid, PATIENCE)
    assert len({id(task) for task in kept}) == 3
    assert all(task.done() for task in kept)


def test_asyncio_inside_a_handler(rt: iris.Runtime, trace: Trace) -> None:
    async def handler(data: bytes) -> None:
        loop = asyncio.get_running_loop()
        trace(await asyncio.gather(asyncio.sleep(0, 1), asyncio.sleep(0.001, 2)))
        trace(await asyncio.wait_for(asyncio.sleep(0.001, 3), PATIENCE))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.sleep(PATIENCE), 0.001)
        trace(await loop.run_in_executor(None, threading.get_ident) != threading.get_ident())
        line: asyncio.Queue[int] = asyncio.Queue(1)

        async def put() -> None:
            for n in range(3):
                await line.put(n)

        putting = asyncio.create_task(put())
        trace([await line.get() for _ in range(3)])
        await putting
        lock = asyncio.Lock()
        async with lock:
            pass
        done, _ = await asyncio.wait([asyncio.ensure_future(asyncio.sleep(0, 5))])
        trace(done.pop().result())
        shielded = await asyncio.shield(asyncio.sleep(0.001, 6))
        trace(shielded)

    pid = rt.spawn(handler)
    rt.send(pid, b"x")
    assert trace.take(6) == [[1, 2], 3, True, [0, 1, 2], 5, 6]
    assert rt.is_alive(pid)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="new in 3.11")
def test_structured_asyncio_inside_a_handler(rt: iris.Runtime, trace: Trace) -> None:
    async def handler(data: bytes) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await asyncio.sleep(PATIENCE)
        async with asyncio.timeout(PATIENCE):
            await asyncio.sleep(0)
        async with asyncio.TaskGroup() as group:
            one = group.create_task(asyncio.sleep(0, 1))
            two = group.create_task(asyncio.sleep(0.001, 2))
        trace((one.result(), two.result()))

        async def fails() -> None:
            await asyncio.sleep(0)
            raise ValueError("in the group")

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(fails())
                await asyncio.sleep(PATIENCE)
        except BaseException as failed:
            trace(repr(failed))
        task = asyncio.current_task()
        assert task is not None
        trace(task.cancelling())

    pid = rt.spawn(handler)
    rt.send(pid, b"x")
    failed = "ExceptionGroup('unhandled errors in a TaskGroup', [ValueError('in the group')])"
    assert trace.take(3) == [(1, 2), failed, 0]
    assert rt.is_alive(pid)


def test_anyio_inside_a_handler(rt: iris.Runtime, trace: Trace) -> None:
    anyio = pytest.importorskip("anyio")

    async def handler(data: bytes) -> None:
        with anyio.move_on_after(0.001) as scope:
            await anyio.sleep(PATIENCE)
        trace(scope.cancelled_caught)
        with pytest.raises(TimeoutError):
            with anyio.fail_after(0.001):
                await anyio.sleep(PATIENCE)
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 0)
        trace(await anyio.to_thread.run_sync(lambda: 3))
        send, receive = anyio.create_memory_object_stream(1)
        await send.send(4)
        trace(await receive.receive())
        send.close()
        receive.close()

    pid = rt.spawn(handler)
    for _ in range(3):
        rt.send(pid, b"x")
    assert trace.take(9) == [True, 3, 4] * 3
    assert rt.is_alive(pid)


def test_a_task_of_ones_own_that_is_cancelled_from_inside(rt: iris.Runtime, trace: Trace) -> None:
    async def handler(data: bytes) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel("enough")
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError as cancelled:
            trace(("at a yield", cancelled.args))
        asyncio.get_running_loop().call_soon(task.cancel)
        try:
            await asyncio.sleep(PATIENCE)
        except asyncio.CancelledError:
            trace("at a future")
        task.cancel()
        try:
            await asyncio.sleep(PATIENCE)
        except asyncio.CancelledError:
            trace("before a future")

    pid = rt.spawn(handler)
    rt.send(pid, b"x")
    assert trace.take(3) == [("at a yield", ("enough",)), "at a future", "before a future"]


def test_a_cancelled_error_that_nobody_ordered_is_a_crash(rt: iris.Runtime) -> None:
    async def handler(data: bytes) -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    observer = Observer(rt)
    pid = rt.spawn(handler)
    rt.monitor(observer.pid, pid)
    rt.send(pid, b"x")
    assert observer.system("DOWN").reason == "crash"


def test_wrong_awaits_are_crashes_that_say_why(rt: iris.Runtime) -> None:
    foreign: asyncio.Future[None] = asyncio.new_event_loop().create_future()

    class BadYield:
        def __await__(self) -> Generator[Any, None, None]:
            yield 42

    class NoYieldFrom:
        def __await__(self) -> Generator[Any, None, None]:
            yield asyncio.get_running_loop().create_future()

    class Itself:
        def __await__(self) -> Generator[Any, None, None]:
            return asyncio.current_task().__await__()  # type: ignore[union-attr]

    wrongs: list[tuple[Any, str]] = [
        (lambda: foreign, "attached to a different loop"),
        (BadYield, "bad yield: 42"),
        (NoYieldFrom, "yield was used instead of yield from"),
        (Itself, "cannot await on itself"),
    ]
    for n, (wrong, text) in enumerate(wrongs):

        async def handler(data: bytes, wrong: Any = wrong) -> None:
            await wrong()

        observer = Observer(rt, f"/{n}")
        pid = rt.spawn(handler)
        rt.monitor(observer.pid, pid)
        rt.send(pid, b"x")
        down = observer.system("DOWN")
        assert down.metadata is not None
        assert text in down.metadata["message"]


def test_swaps_between_plain_and_async_handlers(rt: iris.Runtime, trace: Trace) -> None:
    def plain(data: bytes) -> None:
        trace(("plain", data))

    async def waits(data: bytes) -> None:
        await asyncio.sleep(0.001)
        trace(("async", data))

    for first in (plain, waits):
        pid = rt.spawn(first)
        handlers: list[Any] = [first]
        expected = []
        for n in range(6):
            rt.send(pid, b"%d" % n)
            kind = "plain" if handlers[-1] is plain else "async"
            expected.append((kind, b"%d" % n))
            handlers.append(waits if handlers[-1] is plain else plain)
            assert rt.hot_swap(pid, handlers[-1]) == n + 2
        assert trace.take(6) == expected
        rt.rollback_behavior(pid)
        rt.send(pid, b"back")
        assert trace.next()[0] == ("plain" if handlers[-2] is plain else "async")


def test_a_supervised_async_actor_is_started_again(rt: iris.Runtime, trace: Trace) -> None:
    async def handler(data: bytes) -> None:
        await asyncio.sleep(0)
        if data == b"raise":
            raise ValueError("as asked")
        trace(data)

    observer = Observer(rt)
    rt.watch_supervision(observer.pid)
    pid = rt.spawn(handler, name="worker")
    rt.supervise_with_factory(pid, lambda: rt.spawn(handler), "restartone")
    rt.send(pid, b"raise")
    observer.successor(pid)
    assert rt.send_named("worker", b"again")
    assert trace.next() == b"again"


def test_reentrant_handlers_are_at_many_messages_at_once(rt: iris.Runtime, trace: Trace) -> None:
    waiting: list[asyncio.Future[bytes]] = []

    async def handler(data: bytes) -> None:
        if data == b"go":
            for n, future in enumerate(reversed(waiting)):
                future.set_result(b"%d" % n)
            return
        waiting.append(asyncio.get_running_loop().create_future())
        trace(await waiting[-1])

    pid = rt.spawn(handler, reentrant=True)
    for _ in range(3):
        rt.send(pid, b"wait")
    rt.send(pid, b"go")
    assert trace.take(3) == [b"0", b"1", b"2"]
    with pytest.raises(ValueError, match="reentrant"):
        rt.spawn(lambda data: None, reentrant=True)


def test_stopping_a_reentrant_actor_cancels_all_and_awaits_them(
    rt: iris.Runtime, trace: Trace
) -> None:
    async def handler(data: bytes) -> None:
        trace("begin")
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            await asyncio.sleep(0.001)
            trace("end")

    observer = Observer(rt)
    pid = rt.spawn(handler, reentrant=True)
    rt.monitor(observer.pid, pid)
    for _ in range(3):
        rt.send(pid, b"x")
    assert trace.take(3) == ["begin"] * 3
    rt.stop(pid)
    assert observer.system("DOWN").reason == "killed"
    assert trace.take(3) == ["end"] * 3


def test_draining_a_reentrant_actor_finishes_all(rt: iris.Runtime, trace: Trace) -> None:
    async def handler(data: bytes) -> None:
        await asyncio.sleep(0.01)
        trace(data)

    pid = rt.spawn(handler, reentrant=True)
    for _ in range(10):
        rt.send(pid, b"x")
    rt.stop(pid, drain=True)
    assert rt.join(pid, PATIENCE)
    assert trace.take(10) == [b"x"] * 10
    assert trace.empty()


def test_a_crash_of_one_ends_a_reentrant_actor_with_the_others(
    rt: iris.Runtime, trace: Trace
) -> None:
    async def handler(data: bytes) -> None:
        if data == b"raise":
            await asyncio.sleep(0.001)
            raise ValueError("as asked")
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            trace("cancelled")

    observer = Observer(rt)
    pid = rt.spawn(handler, reentrant=True)
    rt.monitor(observer.pid, pid)
    rt.send(pid, b"wait")
    rt.send(pid, b"raise")
    down = observer.system("DOWN")
    assert down.reason == "crash"
    assert down.metadata is not None
    assert down.metadata["message"] == "as asked"
    assert trace.next() == "cancelled"


def test_no_message_is_lost_or_out_of_order_under_many_senders(rt: iris.Runtime) -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        senders, each = 8, 500
        last = [-1] * senders
        wrong: list[bytes] = []
        count = 0
        done = threading.Event()

        async def handler(data: bytes) -> None:
            nonlocal count
            sender, number = map(int, data.split())
            if number % 3 == 0:
                await asyncio.sleep(0)
            if last[sender] + 1 != number:
                wrong.append(data)
            last[sender] = number
            count += 1
            if count == senders * each:
                done.set()

        pid = rt.spawn(handler)

        def send(sender: int) -> None:
            for number in range(each):
                assert rt.send(pid, b"%d %d" % (sender, number))

        threads = [threading.Thread(target=send, args=(n,)) for n in range(senders)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert done.wait(PATIENCE)
        assert wrong == []
    finally:
        sys.setswitchinterval(before)


def test_a_thousand_sleep_at_once(rt: iris.Runtime) -> None:
    left = 1000
    done = threading.Event()

    async def handler(data: bytes) -> None:
        nonlocal left
        await asyncio.sleep(0.01)
        left -= 1
        if left == 0:
            done.set()

    for pid in [rt.spawn(handler) for _ in range(1000)]:
        rt.send(pid, b"x")
    assert done.wait(PATIENCE)


def test_virtual_actors_with_async_handlers_come_and_go(rt: iris.Runtime, trace: Trace) -> None:
    async def handler(data: bytes) -> None:
        await asyncio.sleep(0.02)
        trace(data)

    pid = rt.spawn_virtual(handler, idle_timeout_ms=1)
    rt.send(pid, b"x")
    assert trace.next() == b"x"
    assert rt.join(pid, PATIENCE)


def test_it_cannot_wait_for_itself(rt: iris.Runtime, trace: Trace) -> None:
    pid = 0

    async def handler(data: bytes) -> None:
        for waits in (False, True):
            if waits:
                await asyncio.sleep(0)
            for call in (lambda: rt.join(pid), lambda: rt.shutdown()):
                try:
                    call()
                except RuntimeError as refused:
                    trace(type(refused))
        try:
            await rt.shutdown_async()
        except RuntimeError as refused:
            trace(type(refused))

    pid = rt.spawn(handler)
    rt.send(pid, b"x")
    assert trace.take(5) == [iris.DeadlockError, RuntimeError] * 2 + [RuntimeError]


def test_blocking_sends_are_refused_on_the_loop_thread(rt: iris.Runtime, trace: Trace) -> None:
    full = rt.spawn_with_mailbox(lambda mailbox: threading.Event().wait(0), capacity=1)
    assert rt.join(full, PATIENCE)
    gate = threading.Event()
    full = rt.spawn_with_mailbox(lambda mailbox: gate.wait(PATIENCE), capacity=1)
    rt.set_overflow_policy(full, "block")
    rt.send(full, b"fills it")

    async def handler(data: bytes) -> None:
        await asyncio.sleep(0)
        for send in (lambda: rt.send(full, b"x"),):
            try:
                send()
            except iris.WouldBlockError:
                trace("refused")

        async def task() -> None:
            try:
                rt.send(full, b"x")
            except iris.WouldBlockError:
                trace("refused")

        await asyncio.create_task(task())

    rt.send(rt.spawn(handler), b"x")
    assert trace.take(2) == ["refused"] * 2
    gate.set()
