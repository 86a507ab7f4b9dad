"""Context variables, and the names of threads."""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from typing import Any

import pytest
from support import PATIENCE, Inbox, Run

import iris

user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")

other: contextvars.ContextVar[str] = contextvars.ContextVar("other")


class Seen:
    """A handler, sync or async, that tells what it sees, and then sets something else."""

    def __init__(self) -> None:
        self.queue: queue.SimpleQueue[str] = queue.SimpleQueue()

    def plain(self, data: bytes) -> None:
        self.queue.put(user.get())
        user.set("a handler's own " + data.decode())

    async def waits(self, data: bytes) -> None:
        before = user.get()
        await asyncio.sleep(0)
        assert user.get() == before
        self.plain(data)

    async def at_once(self, data: bytes) -> None:
        self.plain(data)

    def next(self) -> str:
        return self.queue.get(timeout=PATIENCE)


@pytest.fixture(params=["plain", "waits", "at_once"])
def seen(request: pytest.FixtureRequest) -> tuple[Seen, Any]:
    seen = Seen()
    return seen, getattr(seen, request.param)


def test_a_handler_sees_what_its_sender_had_set(rt: iris.Runtime, seen: tuple[Seen, Any]) -> None:
    sees, handler = seen
    pid = rt.spawn(handler)
    rt.send(pid, b"1")
    for name in ("ada", "grace"):
        token = user.set(name)
        rt.send(pid, b"2")
        user.reset(token)
    rt.send(pid, b"3")
    assert [sees.next() for _ in range(4)] == ["nobody", "ada", "grace", "nobody"]


@pytest.mark.parametrize("sets_another", [False, True])
def test_what_a_handler_sets_is_its_own(
    rt: iris.Runtime, seen: tuple[Seen, Any], sets_another: bool
) -> None:
    sees, handler = seen
    pids = [rt.spawn(handler) for _ in range(3)]

    def send() -> None:
        if sets_another:
            other.set("something")
        for _ in range(5):
            for pid in pids:
                assert rt.send(pid, b"x")

    # Begins with nothing set, which the test's own context may not.
    contextvars.Context().run(send)
    assert {sees.next() for _ in range(15)} == {"nobody"}
    assert user.get() == "nobody"


def test_a_context_travels_on_through_handlers_that_send(
    rt: iris.Runtime, seen: tuple[Seen, Any]
) -> None:
    sees, handler = seen
    last = rt.spawn(handler)
    middle = rt.spawn(lambda data: rt.send(last, data))

    async def first(data: bytes) -> None:
        await asyncio.sleep(0)
        user.set(user.get() + " and one more")
        rt.send(middle, data)

    pid = rt.spawn(first)
    token = user.set("ada")
    rt.send(pid, b"x")
    user.reset(token)
    rt.send(pid, b"x")
    assert [sees.next(), sees.next()] == ["ada and one more", "nobody and one more"]


def test_every_thread_and_task_sends_its_own_context(
    rt: iris.Runtime, seen: tuple[Seen, Any]
) -> None:
    sees, handler = seen
    pid = rt.spawn(handler)

    def send(name: str) -> None:
        user.set(name)
        for _ in range(100):
            rt.send(pid, b"x")

    threads = [threading.Thread(target=send, args=(str(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = dict.fromkeys("0123", 0)
    for _ in range(400):
        counts[sees.next()] += 1
    assert set(counts.values()) == {100}

    async def main() -> None:
        async def task(name: str) -> None:
            user.set(name)
            await asyncio.sleep(0)
            rt.send(pid, b"x")

        await asyncio.gather(task("left"), task("right"))

    asyncio.run(main())
    assert {sees.next(), sees.next()} == {"left", "right"}


def test_a_long_message_and_a_named_send_bring_it_too(
    rt: iris.Runtime, seen: tuple[Seen, Any]
) -> None:
    sees, handler = seen
    got: queue.SimpleQueue[int] = queue.SimpleQueue()
    rt.spawn(lambda data: (got.put(len(data)), sees.queue.put(user.get())), name="long")
    token = user.set("ada")
    rt.send_named("long", b"x" * 100_000)
    user.reset(token)
    assert (got.get(timeout=PATIENCE), sees.next()) == (100_000, "ada")
    assert handler is not None


def test_a_coroutine_from_a_plain_function_has_the_context_too(rt: iris.Runtime) -> None:
    sees = Seen()
    pid = rt.spawn(lambda data: sees.waits(data))
    token = user.set("ada")
    rt.send(pid, b"x")
    user.reset(token)
    rt.send(pid, b"x")
    assert [sees.next(), sees.next()] == ["ada", "nobody"]


def test_a_crash_leaves_no_context_behind(rt: iris.Runtime) -> None:
    inbox = Inbox()

    def fails(data: bytes) -> None:
        user.set("left behind")
        raise ValueError("as asked")

    def run() -> None:
        for _ in range(3):
            pid = rt.spawn(fails, on_error="resume")
            rt.send(pid, b"x")
            rt.stop(pid, drain=True)
            assert rt.join(pid, PATIENCE)
        pid = rt.spawn(lambda data: inbox(user.get().encode()))
        rt.send(pid, b"x")
        assert inbox.get() == b"nobody"

    contextvars.Context().run(run)


def test_threads_have_names(rt: iris.Runtime) -> None:
    names: queue.SimpleQueue[str] = queue.SimpleQueue()

    def tell(_: object) -> None:
        names.put(threading.current_thread().name)

    async def tell_async(_: object) -> None:
        tell(_)

    rt.send(rt.spawn(tell), b"x")
    assert names.get(timeout=PATIENCE) == "iris-lane"
    rt.send(rt.spawn(tell_async), b"x")
    assert names.get(timeout=PATIENCE) == "iris-loop"
    rt.spawn_with_mailbox(tell)
    assert names.get(timeout=PATIENCE) == "iris-pull"


def test_threads_that_have_ended_are_forgotten(run_script: Run) -> None:
    done = run_script(
        """
        import threading, iris
        for _ in range(3):
            with iris.Runtime() as rt:
                async def nothing(data): pass
                rt.send(rt.spawn(nothing), b"x")
                rt.join(rt.spawn_with_mailbox(lambda mailbox: None), 10)
        names = [thread.name for thread in threading.enumerate()]
        assert names == ["MainThread"], names
        """
    )
    assert (done.returncode, done.stderr) == (0, "")
