"""``info``, ``tree``, ``stats`` and the dead-letter hook."""

from __future__ import annotations

import threading

import pytest
from support import PATIENCE, Gate, Inbox, Observer, mortal

import iris


def info(rt: iris.Runtime, pid: int):
    found = rt.info(pid)
    assert found is not None
    return found


def test_info_tells_the_kinds_apart(rt: iris.Runtime) -> None:
    pids = {
        "push": rt.spawn(print),
        "virtual": rt.spawn_virtual(print),
        "pull": rt.spawn_with_mailbox(lambda mailbox: list(mailbox)),
        "observer": rt.spawn_with_path_observed(100, "/observer"),
    }
    for kind, pid in pids.items():
        found = info(rt, pid)
        assert (found["pid"], found["kind"], found["alive"]) == (pid, kind, True)
    assert info(rt, pids["virtual"])["status"] == "reserved"
    assert info(rt, pids["observer"])["paths"] == ["/observer"]
    release = rt.spawn(print, release_gil=True)
    assert info(rt, release)["kind"] == "push"


def test_info_tells_of_bounds_and_relations(rt: iris.Runtime, gate: Gate) -> None:
    target = rt.spawn(print, name="b")
    rt.register("a", target)
    pid = rt.spawn(gate, capacity=3)
    assert (info(rt, pid)["capacity"], info(rt, pid)["overflow"]) == (3, "dropnew")
    rt.set_overflow_policy(pid, "redirect", target)
    child = rt.spawn_child(pid, mortal)
    rt.supervise_with_factory(child, lambda: rt.spawn(mortal))
    for _ in range(3):
        rt.send(pid, b"x")
    gate.wait_entered()
    rt.hot_swap(pid, print)
    found = info(rt, pid)
    assert (found["overflow"], found["overflow_target"]) == ("redirect", target)
    assert (found["mailbox_size"], found["handled"]) == (2, 1)
    assert (found["children"], found["parent"], found["supervised"]) == ([child], None, False)
    assert (info(rt, child)["parent"], info(rt, child)["supervised"]) == (pid, True)
    assert info(rt, target)["name"] == "a"
    assert info(rt, target)["names"] == ["a", "b"]
    assert info(rt, target)["overflow"] is None
    gate.open()


def test_info_of_nobody_is_none(rt: iris.Runtime) -> None:
    pid = rt.spawn(print)
    rt.stop(pid)
    assert rt.join(pid, PATIENCE)
    assert rt.info(pid) is None
    assert rt.info(0) is None


def test_the_tree_is_text_and_data(rt: iris.Runtime, gate: Gate) -> None:
    root = rt.spawn(gate, name="root")
    first = rt.spawn_child(root, print)
    second = rt.spawn_child(root, print)
    grandchild = rt.spawn_child(first, print)
    for _ in range(3):
        rt.send(root, b"x")
    gate.wait_entered()
    tree = rt.tree()
    assert [entry.pid for entry in tree] == [root, first, grandchild, second]
    assert [entry.depth for entry in tree] == [0, 1, 2, 1]
    assert tree.roots() == [tree[0]]
    assert tree.children_of(root) == [tree[1], tree[3]]
    assert (tree[0].names, tree[0].status, tree[0].mailbox_size) == (["root"], "running", 2)
    lines = str(tree).splitlines()
    assert lines[0] == f'{root} "root" Gate running, 2 queued'
    assert lines[1].startswith(f"├─ {first}")
    assert lines[2].startswith(f"│  └─ {grandchild}")
    assert lines[3].startswith(f"└─ {second}")
    assert (len(tree), repr(tree)) == (4, "<iris.Tree of 4 actors>")
    gate.open()
    rt.stop(root)
    assert rt.join(root, PATIENCE)
    assert len(rt.tree()) == 0
    assert len(tree) == 4, "it is of its moment"


def test_stats_count(rt: iris.Runtime, gate: Gate, inbox: Inbox) -> None:
    before = rt.stats()
    assert (before["actors"], before["messages_queued"], before["messages_handled"]) == (0, 0, 0)
    pid, other = rt.spawn(gate), rt.spawn(inbox)
    for _ in range(4):
        rt.send(pid, b"x")
    rt.send(other, b"y")
    inbox.get()
    gate.wait_entered()
    stats = rt.stats()
    assert stats["actors"] == 2
    assert stats["busy"] >= 1
    assert (stats["messages_queued"], stats["messages_handled"]) == (3, 2)
    assert stats["lane_threads"] >= 1
    assert stats["own_threads"] == 0
    rt.stop(pid)
    gate.open()
    assert rt.join(pid, PATIENCE)
    crashing = rt.spawn(mortal)
    rt.send(crashing, b"raise")
    assert rt.join(crashing, PATIENCE)
    stats = rt.stats()
    assert (stats["exits_clean"], stats["exits_failed"]) == (1, 1)
    assert stats["dead_letters"] == {"stopped": 3, "evicted": 0, "refused": 0}


def test_dead_letters_are_counted_by_reason(rt: iris.Runtime, gate: Gate) -> None:
    letters: list[tuple[int, bytes, str]] = []
    rt.on_dead_letter(lambda *letter: letters.append(letter))
    pid = rt.spawn(gate, capacity=2)
    rt.set_overflow_policy(pid, "dropold")
    rt.send(pid, b"held")
    gate.wait_entered()
    for n in range(5):
        assert rt.send(pid, b"%d" % n)
    rt.set_overflow_policy(pid, "dropnew")
    rt.send_after(pid, 1, b"tick")
    rt.stop(pid)
    gate.open()
    assert rt.join(pid, PATIENCE)
    counts = rt.stats()["dead_letters"]
    assert (counts["evicted"], counts["stopped"]) == (3, 2)
    assert sum(counts.values()) == rt.dead_letters() == len(letters)
    assert letters[:3] == [(pid, b"%d" % n, "evicted") for n in range(3)]
    assert letters[-2:] == [(pid, b"%d" % n, "stopped") for n in (3, 4)]


def test_the_hook_can_be_taken_away(rt: iris.Runtime) -> None:
    letters: list[bytes] = []

    def lose(data: bytes) -> None:
        entered, go = threading.Event(), threading.Event()
        pid = rt.spawn(lambda _: entered.set() or go.wait(PATIENCE))
        rt.send(pid, b"held")
        assert entered.wait(PATIENCE)
        rt.send(pid, data)
        rt.stop(pid)
        go.set()
        assert rt.join(pid, PATIENCE)

    rt.on_dead_letter(lambda pid, data, reason: letters.append(data))
    lose(b"seen")
    rt.on_dead_letter(None)
    lose(b"not seen")
    rt.on_dead_letter(lambda pid, data, reason: letters.append(data * 2))
    lose(b"again")
    assert letters == [b"seen", b"againagain"]
    assert rt.dead_letters() == 3


def test_the_hook_runs_apart_from_the_actors(rt: iris.Runtime, inbox: Inbox) -> None:
    threads: list[int] = []
    entered, go = threading.Event(), threading.Event()

    def hook(pid: int, data: bytes, reason: str) -> None:
        threads.append(threading.get_ident())
        entered.set()
        go.wait(PATIENCE)

    rt.on_dead_letter(hook)
    gate = Gate()
    pid = rt.spawn(gate)
    rt.send(pid, b"held")
    rt.send(pid, b"lost")
    gate.wait_entered()
    rt.stop(pid)
    gate.open()
    assert entered.wait(PATIENCE)
    rt.send(rt.spawn(lambda data: inbox(b"%d" % threading.get_ident())), b"x")
    assert int(inbox.get()) != threads[0], "while the hook is at work"
    assert threads[0] != threading.get_ident()
    go.set()
    assert rt.join(pid, PATIENCE)


def test_a_default_capacity_bounds_new_actors() -> None:
    with iris.Runtime(mailbox_capacity=2) as rt:
        gate = Gate()
        pid = rt.spawn(gate)
        rt.send(pid, b"held")
        gate.wait_entered()
        assert [rt.send(pid, b"x") for _ in range(4)] == [True, True, False, False]
        assert info(rt, pid)["capacity"] == 2
        assert info(rt, rt.spawn(print, capacity=9))["capacity"] == 9
        for pid in (rt.spawn_virtual(print), rt.spawn_child(pid, print)):
            assert info(rt, pid)["capacity"] == 2
        pull = rt.spawn_with_mailbox(lambda mailbox: list(mailbox))
        assert info(rt, pull)["capacity"] == 2
        observer = Observer(rt)
        rt.monitor(observer.pid, pid)
        gate.open()


@pytest.mark.parametrize("capacity", [0, -1, 1 << 32])
def test_default_capacities_that_cannot_be_are_refused(capacity: int) -> None:
    with pytest.raises(ValueError, match="mailbox_capacity must be"):
        iris.Runtime(mailbox_capacity=capacity)


def test_a_runtime_takes_no_other_arguments() -> None:
    with pytest.raises(TypeError, match="takes only"):
        iris.Runtime(mailbox_size=3)
    with pytest.raises(TypeError, match="takes only"):
        iris.Runtime(3)
