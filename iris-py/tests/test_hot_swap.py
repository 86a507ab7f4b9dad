"""Replacing handlers while messages flow."""

from __future__ import annotations

import gc
import weakref

import pytest
from support import PATIENCE, Gate, Inbox

import iris


def test_a_swap_keeps_its_place_among_the_messages(rt: iris.Runtime, gate: Gate) -> None:
    new: list[bytes] = []
    pid = rt.spawn(gate)
    rt.send(pid, b"running")
    gate.wait_entered()
    rt.send(pid, b"before")
    assert rt.hot_swap(pid, new.append) == 2
    rt.send(pid, b"after")
    assert rt.behavior_version(pid) == 1, "the old handler is still at it"
    gate.open()
    rt.stop(pid, drain=True)
    assert rt.join(pid, PATIENCE)
    assert (gate.handled, new) == ([b"running", b"before"], [b"after"])


def test_a_swap_now_applies_to_the_backlog(rt: iris.Runtime, gate: Gate) -> None:
    new: list[bytes] = []
    pid = rt.spawn(gate)
    rt.send(pid, b"running")
    gate.wait_entered()
    rt.send(pid, b"before")
    rt.hot_swap(pid, new.append, now=True)
    gate.open()
    rt.stop(pid, drain=True)
    assert rt.join(pid, PATIENCE)
    assert (gate.handled, new) == ([b"running"], [b"before"])


def test_the_description_s_example_prints_a_then_b(rt: iris.Runtime, inbox: Inbox) -> None:
    for _ in range(200):
        pid = rt.spawn(lambda data: inbox(b"A"), budget=10)
        rt.send(pid, b"test")
        rt.hot_swap(pid, lambda data: inbox(b"B"))
        rt.send(pid, b"test")
        assert inbox.take(2) == [b"A", b"B"]


def test_a_replaced_handler_is_released(rt: iris.Runtime) -> None:
    class Handler:
        def __call__(self, data: bytes) -> None: ...

    old = Handler()
    gone = weakref.ref(old)
    pid = rt.spawn(old)
    del old
    rt.hot_swap(pid, print)
    rt.stop(pid, drain=True)
    assert rt.join(pid, PATIENCE)
    gc.collect()
    assert gone() is None


def test_swaps_of_the_dead_keep_nothing_alive(rt: iris.Runtime) -> None:
    class Handler:
        def __call__(self, data: bytes) -> None: ...

    pid = rt.spawn(print)
    rt.stop(pid)
    handler = Handler()
    gone = weakref.ref(handler)
    try:
        rt.hot_swap(pid, handler)
    except iris.DeadActorError:
        pass
    del handler
    gc.collect()
    assert gone() is None


def test_many_swaps_under_traffic_lose_nothing(rt: iris.Runtime) -> None:
    seen: list[bytes] = []

    def version(n: int):
        return lambda data: seen.append(data)

    pid = rt.spawn(version(0))
    for n in range(2_000):
        rt.send(pid, b"%d" % n)
        rt.hot_swap(pid, version(n))
    rt.stop(pid, drain=True)
    assert rt.join(pid, PATIENCE)
    assert seen == [b"%d" % n for n in range(2_000)]


def test_a_rollback_goes_back_in_order_with_the_messages(rt: iris.Runtime) -> None:
    seen: list[tuple[str, bytes]] = []

    def version(name: str):
        return lambda data: seen.append((name, data))

    pid = rt.spawn(version("1"))
    for name in ("2", "3"):
        rt.hot_swap(pid, version(name))
    rt.send(pid, b"three")
    assert rt.rollback_behavior(pid) == 2
    rt.send(pid, b"two")
    assert rt.rollback_behavior(pid, 1) == 1
    rt.send(pid, b"one")
    with pytest.raises(ValueError, match="0 are kept"):
        rt.rollback_behavior(pid)
    assert rt.hot_swap(pid, version("4")) == 4
    rt.send(pid, b"four")
    rt.stop(pid, drain=True)
    assert rt.join(pid, PATIENCE)
    assert seen == [("3", b"three"), ("2", b"two"), ("1", b"one"), ("4", b"four")]
    with pytest.raises(iris.DeadActorError):
        rt.rollback_behavior(pid)


def test_rolled_back_handlers_are_alive_after_many_swaps(rt: iris.Runtime) -> None:
    seen: list[int] = []
    pid = rt.spawn(lambda data: seen.append(0))
    for n in range(1, 105):
        rt.hot_swap(pid, lambda data, n=n: seen.append(n))
    gc.collect()
    for _ in range(15):
        rt.rollback_behavior(pid)
        rt.send(pid, b"x")
    rt.stop(pid, drain=True)
    assert rt.join(pid, PATIENCE)
    assert seen == [*range(103, 89, -1), 0]
