"""Structured concurrency: a child ends with its parent."""

from __future__ import annotations

import itertools

import pytest
from support import PATIENCE, Gate, Inbox

import iris


def test_children_end_with_their_parent(rt: iris.Runtime, inbox: Inbox) -> None:
    parent = rt.spawn(print)
    child = rt.spawn_child(parent, inbox, budget=50)
    grandchild = rt.spawn_child(child, inbox, name="grandchild")
    rt.send(grandchild, b"hello")
    assert inbox.get() == b"hello"
    assert rt.info(child)["parent"] == parent
    assert rt.info(child)["children"] == [grandchild]
    rt.stop(parent)
    assert rt.join(parent, PATIENCE)
    assert not any(map(rt.is_alive, (parent, child, grandchild)))
    assert rt.whereis("grandchild") is None


def test_a_crash_takes_the_children_along(rt: iris.Runtime, caplog) -> None:
    def crash(data: bytes) -> None:
        raise ValueError(data)

    parent = rt.spawn(crash)
    children = [rt.spawn_child(parent, print) for _ in range(10)]
    rt.send(parent, b"x")
    assert rt.join(parent, PATIENCE)
    assert not any(map(rt.is_alive, children))


def test_a_child_that_ends_leaves_the_parent_and_its_siblings(rt: iris.Runtime) -> None:
    parent = rt.spawn(print)
    sibling = rt.spawn_child(parent, print)
    child = rt.spawn_child(parent, print)
    rt.stop(child)
    assert rt.join(child, PATIENCE)
    assert rt.is_alive(parent) and rt.is_alive(sibling)
    assert rt.info(parent)["children"] == [sibling]


def test_the_last_child_that_stops_wedges_nothing(rt: iris.Runtime) -> None:
    parent = rt.spawn(print)
    for _ in range(100):
        child = rt.spawn_child(parent, print)
        rt.stop(child)
        assert rt.join(child, PATIENCE)


def test_a_dead_parent_gets_no_child(rt: iris.Runtime) -> None:
    parent = rt.spawn(print)
    rt.stop(parent)
    for pid in (parent, 17):
        with pytest.raises(iris.DeadActorError):
            rt.spawn_child(pid, print)
        with pytest.raises(iris.DeadActorError):
            rt.spawn_child_pool(pid, print, 2)


def test_a_parent_s_end_waits_for_a_busy_child(rt: iris.Runtime, gate: Gate) -> None:
    parent = rt.spawn(print)
    child = rt.spawn_child(parent, gate)
    rt.send(child, b"x")
    gate.wait_entered()
    rt.stop(parent)
    assert not rt.is_alive(parent)
    assert rt.join(parent, 0.05) is False
    gate.open()
    assert rt.join(parent, PATIENCE)


def test_a_pool_shares_the_work_and_ends_with_its_parent(rt: iris.Runtime, inbox: Inbox) -> None:
    parent = rt.spawn(print)
    workers = rt.spawn_child_pool(parent, inbox, 4)
    assert len(set(workers)) == 4
    for n, pid in zip(range(100), itertools.cycle(workers)):
        rt.send(pid, b"%d" % n)
    assert sorted(map(int, inbox.take(100))) == list(range(100))
    with pytest.raises(ValueError, match="at least 1 worker"):
        rt.spawn_child_pool(parent, inbox, 0)
    rt.stop(parent)
    assert rt.join(parent, PATIENCE)
    assert not any(map(rt.is_alive, workers))


def test_the_module_s_pool_is_the_runtime_s(rt: iris.Runtime, inbox: Inbox) -> None:
    parent = rt.spawn(lambda data: None)
    workers = iris.spawn_child_pool(rt, parent, inbox, size=3)
    assert len(set(workers)) == 3
    assert len(iris.spawn_child_pool(rt, parent, inbox)) == 4
    for pid in workers:
        assert rt.send(pid, b"x")
    assert inbox.take(3) == [b"x"] * 3
    rt.stop(parent)
    assert all(rt.join(pid, 20) for pid in workers)
    with pytest.raises(iris.DeadActorError):
        iris.spawn_child_pool(rt, parent, inbox)


@iris.offload
def priced(price: float, vol: float, strike: float) -> float:
    return (price - strike) * vol


def test_a_pool_without_a_handler_evaluates_offloaded_functions(rt: iris.Runtime) -> None:
    workers = iris.spawn_child_pool(rt, rt.spawn(lambda data: None), size=2)
    before = priced.stats["native"]
    for name in ("priced", f"{__name__}.priced"):
        for pid in workers:
            answer = rt.call(pid, iris.pack([name, [12.0, 0.5, 10.0]]))
            assert iris.unpack(answer) == 1.0
    assert priced.stats["native"] == before + 4


@pytest.mark.parametrize(
    ("message", "error", "says"),
    [
        (b"", "ProtocolError", "message"),
        (iris.pack("priced"), "CodecError", "takes iris.pack\\(\\[name, args\\]\\).*not 'priced'"),
        (iris.pack(["priced", 1]), "CodecError", "takes"),
        (iris.pack(["absent", []]), "LookupError", "no offloaded function is called 'absent'"),
        (iris.pack(["os.system", ["true"]]), "LookupError", "no offloaded function"),
        (iris.pack(["priced", [1.0]]), "TypeError", "2 required positional arguments"),
    ],
)
def test_what_is_no_call_of_an_offloaded_function_is_a_crash(
    rt: iris.Runtime, message: bytes, error: str, says: str
) -> None:
    [pid] = iris.spawn_child_pool(rt, rt.spawn(lambda data: None), size=1)
    with pytest.raises(Exception, match=says) as raised:
        rt.call(pid, message)
    assert type(raised.value).__name__ == error
    assert rt.join(pid, PATIENCE)


def test_a_name_that_two_functions_have_needs_its_module(rt: iris.Runtime) -> None:
    def made(module: str) -> object:
        def twice(x):
            return x * 2

        twice.__module__ = module
        twice.__qualname__ = "twice"
        return iris.offload(twice)

    pid, other = iris.spawn_child_pool(rt, rt.spawn(lambda data: None), size=2)
    first, second = made("one"), made("two")
    assert iris.unpack(rt.call(pid, iris.pack(["one.twice", [3]]))) == 6
    with pytest.raises(LookupError, match="2 offloaded functions: give one of one.twice, two.tw"):
        rt.call(pid, iris.pack(["twice", [3]]))
    assert iris.unpack(rt.call(other, iris.pack(["two.twice", [4]]))) == 8
    assert first is not second


def test_a_function_that_was_defined_again_is_called_by_its_name(rt: iris.Runtime) -> None:
    [pid] = iris.spawn_child_pool(rt, rt.spawn(lambda data: None), size=1)
    old = priced
    call = iris.pack([f"{__name__}.priced", [1.0, 2.0, 3.0]])
    assert iris.unpack(rt.call(pid, call)) == -4.0

    def priced_again(price, vol, strike):
        return 0.0

    priced_again.__qualname__ = "priced"
    globals()["priced"] = iris.offload(priced_again)
    try:
        assert iris.unpack(rt.call(pid, call)) == 0.0
    finally:
        globals()["priced"] = old
