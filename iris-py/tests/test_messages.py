"""Sending, receiving and counting."""

from __future__ import annotations

import array
import threading

import pytest
from support import PATIENCE, Gate, Inbox

import iris


def test_messages_of_one_sender_arrive_in_order(rt: iris.Runtime, inbox: Inbox) -> None:
    pid = rt.spawn(inbox)
    for n in range(10_000):
        assert rt.send(pid, b"%d" % n)
    assert inbox.take(10_000) == [b"%d" % n for n in range(10_000)]


def test_order_is_kept_for_each_of_several_senders(rt: iris.Runtime, inbox: Inbox) -> None:
    pid = rt.spawn(inbox, budget=3)

    def sender(who: int) -> None:
        for n in range(2_000):
            rt.send(pid, b"%d %d" % (who, n))

    threads = [threading.Thread(target=sender, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    got: dict[bytes, list[int]] = {}
    for message in inbox.take(8_000):
        who, n = message.split()
        got.setdefault(who, []).append(int(n))
    for thread in threads:
        thread.join()
    assert got == {b"%d" % who: list(range(2_000)) for who in range(4)}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"bytes", b"bytes"),
        (b"", b""),
        (bytearray(b"array"), b"array"),
        (memoryview(b"view"), b"view"),
        (memoryview(b"sliced")[::2], b"sie"),
        (array.array("H", [1, 2]), array.array("H", [1, 2]).tobytes()),
        (b"x" * 1_000_000, b"x" * 1_000_000),
    ],
    ids=["bytes", "empty", "bytearray", "memoryview", "strided", "array", "large"],
)
def test_all_that_is_bytes_like_arrives_as_bytes(
    rt: iris.Runtime, inbox: Inbox, data: object, expected: bytes
) -> None:
    assert rt.send(rt.spawn(inbox), data)
    got = inbox.get()
    assert type(got) is bytes
    assert got == expected


def test_a_buffer_changed_after_the_send_does_not_change_the_message(
    rt: iris.Runtime, gate: Gate
) -> None:
    pid = rt.spawn(gate)
    rt.send(pid, b"first")
    gate.wait_entered()
    data = bytearray(b"as sent")
    rt.send(pid, data)
    data[:] = b"changed"
    gate.open()
    rt.stop(pid, drain=True)
    assert rt.join(pid, PATIENCE)
    assert gate.handled == [b"first", b"as sent"]


def test_mailbox_size_counts_what_no_handler_was_given(rt: iris.Runtime, gate: Gate) -> None:
    pid = rt.spawn(gate)
    assert rt.mailbox_size(pid) == 0
    for _ in range(4):
        rt.send(pid, b"x")
    gate.wait_entered()
    assert rt.mailbox_size(pid) == 3
    rt.hot_swap(pid, gate)
    assert rt.mailbox_size(pid) == 3, "a swap is not mail"
    gate.open()


def test_actors_send_to_each_other(rt: iris.Runtime, inbox: Inbox) -> None:
    sink = rt.spawn(inbox)

    def relay(data: bytes) -> None:
        assert rt.send(sink, data + b"!")

    first = rt.spawn(relay)
    rt.send(first, b"hop")
    assert inbox.get() == b"hop!"


def test_a_ring_of_actors_passes_a_token_round(rt: iris.Runtime) -> None:
    done = threading.Event()
    pids: list[int] = []

    def station(index: int):
        def handler(data: bytes) -> None:
            left = int(data)
            if left == 0:
                done.set()
            else:
                rt.send(pids[(index + 1) % len(pids)], b"%d" % (left - 1))

        return handler

    pids.extend(rt.spawn(station(index)) for index in range(100))
    rt.send(pids[0], b"1000")
    assert done.wait(PATIENCE)


def test_a_hundred_thousand_actors_each_get_their_message(rt: iris.Runtime) -> None:
    count = 100_000
    seen: set[bytes] = set()
    pids = [rt.spawn(seen.add) for _ in range(count)]
    assert len(set(pids)) == count
    for pid in pids:
        rt.send(pid, pid.to_bytes(8, "little"))
    assert rt.shutdown(drain=PATIENCE) == 0
    assert seen == {pid.to_bytes(8, "little") for pid in pids}


def test_returning_stop_ends_the_actor_normally(rt: iris.Runtime, inbox: Inbox) -> None:
    def once(data: bytes) -> object:
        inbox(data)
        return iris.STOP

    pid = rt.spawn(once)
    rt.send(pid, b"last")
    assert inbox.get() == b"last"
    assert rt.join(pid, PATIENCE)
    assert not rt.send(pid, b"late")
    assert repr(iris.STOP) == "iris.STOP"


def test_bytes_never_end_an_actor_by_themselves(rt: iris.Runtime, inbox: Inbox) -> None:
    pid = rt.spawn(inbox)
    rt.send(pid, b"quit")
    rt.send(pid, b"still here")
    assert inbox.take(2) == [b"quit", b"still here"]


def test_send_named_goes_where_the_name_leads(rt: iris.Runtime, inbox: Inbox) -> None:
    rt.spawn(inbox, name="sink")
    assert rt.send_named("sink", b"hello")
    assert inbox.get() == b"hello"
    assert not rt.send_named("nobody", b"hello")


def test_info_shows_what_an_actor_is_doing(rt: iris.Runtime, gate: Gate) -> None:
    pid = rt.spawn(gate, name="the gate")
    rt.register_path("/gates/1", pid)
    for _ in range(3):
        rt.send(pid, b"x")
    gate.wait_entered()
    assert rt.info(pid) == {
        "pid": pid,
        "name": "the gate",
        "kind": "push",
        "alive": True,
        "capacity": None,
        "overflow": None,
        "overflow_target": None,
        "supervised": False,
        "status": "running",
        "mailbox_size": 2,
        "handled": 1,
        "behavior_version": 1,
        "behavior": "Gate",
        "names": ["the gate"],
        "paths": ["/gates/1"],
        "parent": None,
        "children": [],
    }
    gate.open()
