"""Messages that are sent later, or again and again."""

from __future__ import annotations

import pytest
from support import PATIENCE, Gate, Inbox

import iris


def test_they_fire_in_the_order_of_their_times(rt: iris.Runtime, inbox: Inbox) -> None:
    pid = rt.spawn(inbox)
    # Far apart, so that a machine that is held up between the calls changes nothing.
    rt.send_after(pid, 500, b"second")
    rt.send_after(pid, 1, bytearray(b"first"))
    rt.send_after(pid, 0, b"at once")
    assert inbox.take(3) == [b"at once", b"first", b"second"]


def test_an_interval_goes_on_until_it_is_cancelled(rt: iris.Runtime, inbox: Inbox) -> None:
    pid = rt.spawn(inbox)
    timer = rt.send_interval(pid, 1, b"beat")
    assert inbox.take(3) == [b"beat"] * 3
    assert rt.cancel_timer(timer) is True
    assert rt.cancel_timer(timer) is False


def test_a_timer_that_has_fired_cannot_be_cancelled(rt: iris.Runtime, inbox: Inbox) -> None:
    timer = rt.send_after(rt.spawn(inbox), 1, b"x")
    inbox.get()
    assert rt.cancel_timer(timer) is False


def test_timers_end_with_their_actor(rt: iris.Runtime, inbox: Inbox) -> None:
    pid = rt.spawn(inbox)
    timers = [rt.send_interval(pid, 60_000, b"x"), rt.send_after(pid, 60_000, b"x")]
    rt.stop(pid)
    assert rt.join(pid, PATIENCE)
    assert [rt.cancel_timer(timer) for timer in timers] == [False, False]


def test_timers_come_while_handlers_block(rt: iris.Runtime, inbox: Inbox, gate: Gate) -> None:
    rt.send(rt.spawn(gate), b"x")
    gate.wait_entered()
    rt.send_after(rt.spawn(inbox), 1, b"on time")
    assert inbox.get() == b"on time"
    gate.open()


def test_a_virtual_actor_is_activated_by_a_timer(rt: iris.Runtime, inbox: Inbox) -> None:
    pid = rt.spawn_virtual(inbox)
    rt.send_after(pid, 1, b"wake up")
    assert inbox.get() == b"wake up"


def test_what_is_wrong_is_refused(rt: iris.Runtime) -> None:
    pid = rt.spawn(print)
    with pytest.raises(ValueError, match="longer than zero"):
        rt.send_interval(pid, 0, b"x")
    for call in (rt.send_after, rt.send_interval):
        with pytest.raises(OverflowError):
            call(pid, -1, b"x")
        with pytest.raises(TypeError):
            call(pid, 1.5, b"x")
        with pytest.raises(TypeError, match="bytes-like"):
            call(pid, 1, "text")
        with pytest.raises(iris.DeadActorError):
            call(17, 1, b"x")
        assert rt.cancel_timer(call(pid, 2**64 - 1, b"in half a billion years"))
    assert rt.cancel_timer(0) is False
    assert rt.cancel_timer(2**63) is False
