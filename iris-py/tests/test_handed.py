"""A ``bytes`` travels from Python to Python as the object that it is, and is let go of."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from support import Gate, Inbox, Observer

import iris

LENGTHS = [0, 1, 40, 41, 100_000]


def fresh(length: int) -> bytes:
    """An object that nobody else has: the interpreter shares those of 0 and 1 bytes."""
    return bytes(bytearray(range(256)) * (length // 256 + 1))[:length]


@pytest.mark.parametrize("length", LENGTHS)
def test_the_handler_gets_the_object_that_was_sent(
    rt: iris.Runtime, inbox: Inbox, length: int
) -> None:
    data = fresh(length)
    assert rt.send(rt.spawn(inbox), data)
    assert inbox.get() is data


def test_a_pull_actor_gets_the_object_that_was_sent(rt: iris.Runtime, inbox: Inbox) -> None:
    def body(mailbox: iris.Mailbox) -> None:
        message = mailbox.recv()
        assert isinstance(message, bytes)
        inbox(message)
        for message in mailbox.recv_many(2):
            assert isinstance(message, bytes)
            inbox(message)

    pid = rt.spawn_with_mailbox(body)
    for _ in range(2):
        data = fresh(5_000)
        rt.send(pid, data)
        assert inbox.get() is data


def test_a_subclass_of_bytes_arrives_as_plain_bytes(rt: iris.Runtime, inbox: Inbox) -> None:
    class Tagged(bytes):
        pass

    rt.send(rt.spawn(inbox), Tagged(b"tagged"))
    got = inbox.get()
    assert type(got) is bytes
    assert got == b"tagged"


def handled(rt: iris.Runtime, data: bytes) -> None:
    inbox = Inbox()
    rt.send(rt.spawn(inbox), data)
    inbox.get()


def received(rt: iris.Runtime, data: bytes) -> None:
    inbox = Inbox()
    rt.send(rt.spawn_with_mailbox(lambda mailbox: inbox(mailbox.recv())), data)
    inbox.get()


def observed(rt: iris.Runtime, data: bytes) -> None:
    observer = Observer(rt)
    rt.send(observer.pid, data)
    assert observer.next() == data


def refused(rt: iris.Runtime, data: bytes) -> None:
    pid = rt.spawn(lambda _: None)
    rt.stop(pid)
    assert not rt.send(pid, data)


def left_behind(rt: iris.Runtime, data: bytes) -> None:
    gate = Gate()
    pid = rt.spawn(gate)
    rt.send(pid, b"first")
    gate.wait_entered()
    rt.send(pid, data)
    rt.stop(pid)
    gate.open()
    assert rt.join(pid, 10.0)
    assert rt.dead_letters() == 1


def overflowing(policy: str) -> Callable[[iris.Runtime, bytes], None]:
    def send(rt: iris.Runtime, data: bytes) -> None:
        gate, fallback = Gate(), Inbox()
        pid = rt.spawn_py_handler_bounded(gate, 100, 1)
        spare = rt.spawn(fallback)
        rt.set_overflow_policy(pid, policy, None if policy == "dropold" else spare)
        rt.send(pid, b"first")
        gate.wait_entered()
        for _ in range(3):
            assert rt.send(pid, data)
        gate.open()
        rt.stop(pid, drain=True)
        assert rt.join(pid, 10.0)

    send.__name__ = policy
    return send


def by_timer(rt: iris.Runtime, data: bytes) -> None:
    inbox = Inbox()
    rt.send_after(rt.spawn(inbox), 1, data)
    assert inbox.get() == data


ROUTES = [
    handled,
    received,
    observed,
    refused,
    left_behind,
    overflowing("dropold"),
    overflowing("redirect"),
    overflowing("spill"),
    by_timer,
]


@pytest.mark.parametrize("length", [32, 5_000])
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.__name__)
def test_nobody_keeps_what_was_sent(
    route: Callable[[iris.Runtime, bytes], None], length: int
) -> None:
    data = fresh(length)
    before = sys.getrefcount(data)
    with iris.Runtime() as rt:
        route(rt, data)
    assert sys.getrefcount(data) == before
