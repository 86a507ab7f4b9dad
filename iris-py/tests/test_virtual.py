"""Virtual actors: a pid first, an actor when somebody writes to it."""

from __future__ import annotations

import time

from support import PATIENCE, Inbox

import iris


def test_it_is_reserved_until_its_first_message(rt: iris.Runtime, inbox: Inbox) -> None:
    pid = rt.spawn_virtual(inbox)
    assert rt.is_alive(pid)
    assert rt.info(pid)["status"] == "reserved"
    assert rt.send(pid, b"hello")
    assert inbox.get() == b"hello"
    assert rt.info(pid)["status"] != "reserved"


def test_it_ends_when_it_is_idle(rt: iris.Runtime, inbox: Inbox) -> None:
    pid = rt.spawn_virtual(inbox, budget=100, idle_timeout_ms=5)
    rt.send(pid, b"hello")
    assert inbox.get() == b"hello"
    assert rt.join(pid, PATIENCE)
    assert not rt.send(pid, b"late")


def test_a_long_first_message_does_not_end_the_watch(rt: iris.Runtime) -> None:
    for _ in range(3):
        pid = rt.spawn_virtual(lambda data: time.sleep(0.03), idle_timeout_ms=1)
        rt.send(pid, b"x")
        assert rt.join(pid, PATIENCE)


def test_a_reactivated_one_takes_messages_for_ever(rt: iris.Runtime, inbox: Inbox) -> None:
    pid = rt.spawn_virtual(inbox, idle_timeout_ms=1, reactivate=True)
    for _ in range(3):
        assert rt.send(pid, b"hello")
        assert inbox.get() == b"hello"
        # Nobody tells a test when an actor goes dormant: the status is all there is.
        while rt.info(pid)["status"] != "reserved":
            rt.join(pid, 0.001)


def test_one_that_was_never_activated_can_be_stopped(rt: iris.Runtime, inbox: Inbox) -> None:
    pid = rt.spawn_virtual(inbox, idle_timeout_ms=5)
    assert rt.stop(pid)
    assert rt.join(pid, PATIENCE)
    assert inbox.empty()


def test_names_work_as_for_others(rt: iris.Runtime, inbox: Inbox) -> None:
    pid = rt.spawn_virtual(inbox, name="lazy")
    rt.register_path("/lazy/1", pid)
    assert rt.send_named("lazy", b"hello")
    assert inbox.get() == b"hello"
    assert rt.list_children("/lazy") == [("/lazy/1", pid)]
