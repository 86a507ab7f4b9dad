"""Pull actors: a function on a thread of its own that receives."""

from __future__ import annotations

import queue
import threading
from collections.abc import AsyncIterator

import pytest
from support import PATIENCE, Inbox, Run

import iris


class Said:
    """What an actor tells the test."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[object] = queue.SimpleQueue()

    def __call__(self, thing: object) -> None:
        self._queue.put(thing)

    def get(self) -> object:
        return self._queue.get(timeout=PATIENCE)

    def take(self, count: int) -> list[object]:
        return [self.get() for _ in range(count)]


@pytest.fixture
def say() -> Said:
    return Said()


def test_it_receives_in_order(rt: iris.Runtime, say: Said) -> None:
    def actor(mailbox: iris.Mailbox) -> None:
        say(mailbox.pid)
        for data in mailbox:
            say(data)
        say("told to stop")

    pid = rt.spawn_with_mailbox(actor, budget=100)
    assert say.get() == pid
    for n in range(5_000):
        rt.send(pid, b"%d" % n)
    assert say.take(5_000) == [b"%d" % n for n in range(5_000)]
    rt.stop(pid)
    assert say.get() == "told to stop"
    assert rt.join(pid, PATIENCE)


def test_the_description_s_saga(rt: iris.Runtime, say: Said) -> None:
    def saga_coordinator(mailbox):
        say(mailbox.recv())
        confirm = mailbox.recv(timeout=PATIENCE)
        say("Confirmed" if confirm else "Timed out")
        say(mailbox.recv(timeout=0.01))

    pid = rt.spawn_with_mailbox(saga_coordinator, budget=100)
    rt.send(pid, b"start")
    rt.send(pid, b"yes")
    assert say.take(3) == [b"start", "Confirmed", None]
    assert rt.join(pid, PATIENCE), "it ends when its function returns"
    assert not rt.send(pid, b"late")


def test_selective_receive_keeps_the_order_of_the_others(rt: iris.Runtime, say: Said) -> None:
    def actor(mailbox: iris.Mailbox) -> None:
        say(mailbox.selective_recv(lambda data: data.startswith(b"c")))
        say(mailbox.selective_recv(lambda data: data == b"z", timeout=0.01))
        for data in mailbox:
            say(data)

    pid = rt.spawn_with_mailbox(actor)
    for data in (b"a", b"b", b"c1", b"c2"):
        rt.send(pid, data)
    assert say.take(5) == [b"c1", None, b"a", b"b", b"c2"]


def test_a_matcher_that_raises_loses_nothing(rt: iris.Runtime, say: Said) -> None:
    def matcher(data: bytes) -> bool:
        if data == b"b":
            raise ValueError(data)
        return False

    def actor(mailbox: iris.Mailbox) -> None:
        try:
            mailbox.selective_recv(matcher)
        except ValueError as error:
            say(error.args[0])
        say(mailbox.recv_many(10))

    pid = rt.spawn_with_mailbox(actor)
    for data in (b"a", b"b"):
        rt.send(pid, data)
    assert say.get() == b"b"
    assert say.get() == [b"a", b"b"]


def test_recv_many_takes_what_is_there(rt: iris.Runtime, say: Said) -> None:
    go = threading.Event()

    def actor(mailbox: iris.Mailbox) -> None:
        say(mailbox.recv_many(5, timeout=0.001))
        go.wait(PATIENCE)
        say(mailbox.recv_many(3))
        say(mailbox.recv_many(100))

    pid = rt.spawn_with_mailbox(actor)
    assert say.get() == []
    for n in range(5):
        rt.send(pid, b"%d" % n)
    assert rt.mailbox_size(pid) == 5
    go.set()
    assert say.take(2) == [[b"0", b"1", b"2"], [b"3", b"4"]]


def test_stopping_wakes_it_and_counts_the_rest(rt: iris.Runtime, say: Said) -> None:
    def actor(mailbox: iris.Mailbox) -> None:
        mailbox.selective_recv(lambda data: data == b"go")
        say("first")
        go.wait(PATIENCE)
        try:
            mailbox.recv()
        except iris.MailboxClosed as closed:
            say(str(closed))
            raise

    go = threading.Event()
    pid = rt.spawn_with_mailbox(actor)
    for data in (b"passed over", b"go", b"queued"):
        rt.send(pid, data)
    assert say.get() == "first"
    rt.stop(pid)
    assert not rt.is_alive(pid)
    go.set()
    assert say.get() == "the actor was told to stop"
    assert rt.join(pid, PATIENCE)
    assert rt.dead_letters() == 2


def test_a_raise_is_a_crash_and_a_closed_mailbox_is_none(
    rt: iris.Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    def crash(mailbox: iris.Mailbox) -> None:
        raise ValueError(mailbox.recv())

    quiet = rt.spawn_with_mailbox(lambda mailbox: mailbox.recv())
    rt.stop(quiet)
    assert rt.join(quiet, PATIENCE)
    assert caplog.records == []
    pid = rt.spawn_with_mailbox(crash)
    rt.send(pid, b"boom")
    assert rt.join(pid, PATIENCE)
    assert "boom" in caplog.text


def test_it_is_a_child_and_has_a_name(rt: iris.Runtime, say: Said) -> None:
    parent = rt.spawn_with_mailbox(lambda mailbox: list(mailbox), name="parent")
    child = rt.spawn_child_with_mailbox(parent, lambda mailbox: say(list(mailbox)), 10)
    assert rt.whereis("parent") == parent
    assert rt.info(child)["parent"] == parent
    rt.send(child, b"x")
    rt.stop(parent)
    assert rt.join(parent, PATIENCE)
    assert not rt.is_alive(child)
    with pytest.raises(iris.DeadActorError):
        rt.spawn_child_with_mailbox(parent, print)


def test_two_thousand_run_at_once(rt: iris.Runtime) -> None:
    barrier = threading.Barrier(2_001)

    def actor(mailbox: iris.Mailbox) -> None:
        mailbox.recv()
        barrier.wait(PATIENCE * 3)

    pids = [rt.spawn_with_mailbox(actor) for _ in range(2_000)]
    for pid in pids:
        rt.send(pid, b"x")
    barrier.wait(PATIENCE * 3)
    for pid in pids:
        assert rt.join(pid, PATIENCE)


def test_a_kept_mailbox_is_closed_after_its_actor(rt: iris.Runtime) -> None:
    kept: list[iris.Mailbox] = []
    pid = rt.spawn_with_mailbox(kept.append)
    assert rt.join(pid, PATIENCE)
    for call in (kept[0].recv, lambda: kept[0].recv_many(1), lambda: next(kept[0])):
        with pytest.raises(iris.MailboxClosed):
            call()


def test_what_is_wrong_is_refused(rt: iris.Runtime, say: Said) -> None:
    with pytest.raises(TypeError, match="callable"):
        rt.spawn_with_mailbox(42)
    with pytest.raises(ValueError, match="budget"):
        rt.spawn_with_mailbox(print, 0)

    async def generates(mailbox: iris.AsyncMailbox) -> AsyncIterator[None]:
        yield

    with pytest.raises(TypeError, match="async"):
        rt.spawn_with_mailbox(generates)

    def actor(mailbox: iris.Mailbox) -> None:
        for bad in (-1, float("nan")):
            try:
                mailbox.recv(bad)
            except ValueError as error:
                say(str(error))
        for call in (
            lambda: mailbox.recv("1"),
            lambda: mailbox.selective_recv(42),
            lambda: mailbox.recv_many(0),
            lambda: mailbox.selective_recv(lambda data: mailbox.recv()),
        ):
            try:
                call()
            except (TypeError, ValueError, RuntimeError) as error:
                say(type(error))
        say(mailbox.recv(1e300))

    pid = rt.spawn_with_mailbox(actor)
    rt.send(pid, b"x")
    assert all("timeout must be" in str(said) for said in say.take(2))
    assert say.take(4) == [TypeError, TypeError, ValueError, RuntimeError]
    assert say.get() == b"x"
    with pytest.raises(iris.DeadActorError):
        rt.hot_swap(pid, print)


def test_it_blocks_nobody_else(rt: iris.Runtime, inbox: Inbox) -> None:
    rt.spawn_with_mailbox(lambda mailbox: mailbox.recv())
    rt.send(rt.spawn(inbox), b"served")
    assert inbox.get() == b"served"


def test_the_interpreter_exits_with_waiting_actors(run_script: Run) -> None:
    for _ in range(5):
        done = run_script("""
            import iris
            rt = iris.Runtime()
            def actor(mailbox):
                for data in mailbox:
                    print(data.decode())
            pids = [rt.spawn_with_mailbox(actor) for _ in range(20)]
            rt.send(pids[0], b"last words")
        """)
        assert (done.returncode, done.stdout, done.stderr) == (0, "last words\n", "")
