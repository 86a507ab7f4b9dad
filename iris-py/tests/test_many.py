"""Many messages or actors with one call: ``batch=True``, ``send_many`` and ``spawn_many``."""

from __future__ import annotations

import queue
from collections.abc import Iterator

import pytest
from support import PATIENCE, Gate, Inbox, mortal

import iris


class Batches:
    """A batch handler that stays inside its first call until the test opens it."""

    def __init__(self) -> None:
        self.gate = Gate()
        self._got: queue.SimpleQueue[list[bytes | iris.PySystemMessage]] = queue.SimpleQueue()

    def __call__(self, batch: list[bytes | iris.PySystemMessage]) -> object:
        self.gate(b"a call")
        self._got.put(batch)
        if b"raise" in batch:
            raise ValueError("as asked")
        return iris.STOP if b"stop" in batch else None

    def get(self) -> list[bytes | iris.PySystemMessage]:
        return self._got.get(timeout=PATIENCE)

    def empty(self) -> bool:
        return self._got.empty()


@pytest.fixture
def batches() -> Batches:
    return Batches()


def numbered(count: int) -> list[bytes]:
    return [b"%d" % n for n in range(count)]


def start(rt: iris.Runtime, batches: Batches, budget: int = 100) -> int:
    """An actor that is inside its first message, so that what follows waits."""
    pid = rt.spawn(batches, budget, batch=True)
    rt.send(pid, b"first")
    batches.gate.wait_entered()
    return pid


def test_what_waits_comes_as_one_list_in_its_order(rt: iris.Runtime, batches: Batches) -> None:
    pid = start(rt, batches)
    assert rt.send_many(pid, numbered(50)) == 50
    assert rt.mailbox_size(pid) == 50
    batches.gate.open()
    assert batches.get() == [b"first"]
    assert batches.get() == numbered(50)
    info = rt.info(pid)
    assert info is not None
    assert info["handled"] == 51


def test_a_list_is_at_most_the_budget(rt: iris.Runtime, batches: Batches) -> None:
    pid = start(rt, batches, budget=7)
    rt.send_many(pid, numbered(20))
    batches.gate.open()
    got = []
    while len(got) < 21:
        batch = batches.get()
        assert 1 <= len(batch) <= 7
        got += batch
    assert got == [b"first", *numbered(20)]


def test_an_exception_ends_it_and_what_was_in_no_list_is_dead(
    rt: iris.Runtime, batches: Batches
) -> None:
    pid = start(rt, batches, budget=4)
    rt.send_many(pid, [b"a", b"raise", b"b", b"c", b"d", b"e"])
    batches.gate.open()
    assert rt.join(pid, PATIENCE)
    handled = batches.get() + batches.get()
    # How many of them were in the list of the one that raised is up to the scheduler.
    assert len(handled) + rt.dead_letters() == 7
    assert b"raise" in handled


def test_with_resume_the_next_list_comes(rt: iris.Runtime, batches: Batches) -> None:
    pid = rt.spawn(batches, 1, batch=True, on_error="resume")
    batches.gate.open()
    rt.send_many(pid, [b"raise", b"after"])
    assert batches.get() == [b"raise"]
    assert batches.get() == [b"after"]
    assert rt.is_alive(pid)


def test_a_list_handler_may_stop(rt: iris.Runtime, batches: Batches) -> None:
    pid = start(rt, batches)
    rt.send_many(pid, [b"a", b"stop"])
    batches.gate.open()
    assert rt.join(pid, PATIENCE)
    assert rt.dead_letters() == 0


def test_a_system_message_comes_alone(rt: iris.Runtime, batches: Batches) -> None:
    pid = rt.spawn(batches, batch=True, system=True)
    rt.send(pid, b"first")
    batches.gate.wait_entered()
    other = rt.spawn(mortal)
    rt.monitor(pid, other)
    rt.send_many(pid, [b"a", b"b"])
    rt.send(other, b"stop")
    assert rt.join(other, PATIENCE)
    batches.gate.open()
    assert batches.get() == [b"first"]
    got = [batches.get(), batches.get()]
    assert [b"a", b"b"] in got
    got.remove([b"a", b"b"])
    ((down,),) = got
    assert isinstance(down, iris.PySystemMessage)
    assert down.type_name == "DOWN"


def test_a_swap_takes_effect_in_its_place(
    rt: iris.Runtime, batches: Batches, inbox: Inbox
) -> None:
    pid = start(rt, batches)
    rt.send_many(pid, [b"a", b"b"])
    rt.hot_swap(pid, inbox)
    rt.send_many(pid, [b"c", b"d"])
    later = Batches()
    later.gate.open()
    rt.hot_swap(pid, later, batch=True)
    rt.send_many(pid, [b"e", b"f"])
    batches.gate.open()
    assert batches.get() == [b"first"]
    assert batches.get() == [b"a", b"b"]
    assert inbox.take(2) == [b"c", b"d"]
    got = later.get()
    while len(got) < 2:
        got += later.get()
    assert got == [b"e", b"f"]
    assert batches.empty()


def test_send_many_stops_at_the_first_that_is_refused(rt: iris.Runtime, gate: Gate) -> None:
    pid = rt.spawn(gate, capacity=3)
    rt.send(pid, b"first")
    gate.wait_entered()
    assert rt.send_many(pid, numbered(10)) == 3
    gate.open()
    rt.stop(pid, drain=True)
    assert rt.join(pid, PATIENCE)
    assert gate.handled == [b"first", *numbered(3)]
    assert rt.send_many(pid, numbered(10)) == 0


def test_send_many_takes_any_iterable_of_bytes_like_items(
    rt: iris.Runtime, inbox: Inbox
) -> None:
    def items() -> Iterator[bytes | bytearray | memoryview]:
        yield b"bytes"
        yield bytearray(b"bytearray")
        yield memoryview(b"memoryview")

    pid = rt.spawn(inbox)
    assert rt.send_many(pid, items()) == 3
    assert inbox.take(3) == [b"bytes", b"bytearray", b"memoryview"]


def test_send_many_says_what_it_cannot_send(rt: iris.Runtime, inbox: Inbox) -> None:
    pid = rt.spawn(inbox)
    with pytest.raises(TypeError, match="str"):
        rt.send_many(pid, [b"one", "two", b"three"])  # type: ignore[list-item]
    assert inbox.get() == b"one"
    assert inbox.empty()
    with pytest.raises(TypeError):
        rt.send_many(pid, 42)  # type: ignore[arg-type]


def test_spawn_many_makes_that_many(rt: iris.Runtime, inbox: Inbox) -> None:
    pids = rt.spawn_many(inbox, 1_000)
    assert len(set(pids)) == 1_000
    for number, pid in enumerate(pids):
        rt.send(pid, b"%d" % number)
    assert sorted(map(int, inbox.take(1_000))) == list(range(1_000))


@pytest.mark.parametrize("count", [0, -1, 2**70])
def test_spawn_many_needs_a_count(rt: iris.Runtime, inbox: Inbox, count: int) -> None:
    with pytest.raises((ValueError, OverflowError)):
        rt.spawn_many(inbox, count)


def test_actors_that_share_a_handler_share_nothing_else(rt: iris.Runtime) -> None:
    first, second, third = rt.spawn_many(mortal, 3)
    rt.send(first, b"raise")
    assert rt.join(first, PATIENCE)
    rt.hot_swap(second, Inbox())
    assert rt.is_alive(third)
    assert rt.behavior_version(third) == 1
    rt.send(third, b"stop")
    assert rt.join(third, PATIENCE)
    assert rt.is_alive(second)
