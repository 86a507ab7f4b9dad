"""Actors that are run on threads apart from the lane: ``release_gil=True``."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

import pytest
from support import PATIENCE, Gate, Inbox, Observer, Run, mortal

import iris

Handler = Callable[[bytes], object]
Spawn = Callable[[iris.Runtime, Handler], int]


def parent_of(rt: iris.Runtime) -> int:
    return rt.spawn(lambda data: None)


SPAWNS: dict[str, Spawn] = {
    "spawn": lambda rt, h: rt.spawn(h, release_gil=True),
    "bounded": lambda rt, h: rt.spawn_py_handler_bounded(h, 100, 100_000, release_gil=True),
    "child": lambda rt, h: rt.spawn_child(parent_of(rt), h, release_gil=True),
    "pool of children": lambda rt, h: rt.spawn_child_pool(
        parent_of(rt), h, workers=1, release_gil=True
    )[0],
}


@pytest.fixture(params=[256, 0], ids=["own thread", "pool"])
def own(rt: iris.Runtime, request: pytest.FixtureRequest) -> iris.Runtime:
    """A runtime whose actors get threads of their own, and one where they share two."""
    rt.set_release_gil_limits(request.param, 2)
    return rt


@pytest.mark.parametrize("spawn", SPAWNS.values(), ids=SPAWNS.keys())
def test_it_runs_on_a_thread_that_is_not_the_lane_s(own: iris.Runtime, spawn: Spawn) -> None:
    idents: list[int] = []
    done = threading.Semaphore(0)

    def handler(data: bytes) -> None:
        idents.append(threading.get_ident())
        done.release()

    own.send(own.spawn(handler), b"on the lane")
    done.acquire(timeout=PATIENCE)
    pid = spawn(own, handler)
    for _ in range(100):
        assert own.send(pid, b"x")
    assert all(done.acquire(timeout=PATIENCE) for _ in range(100))
    assert threading.get_ident() not in idents
    assert idents[0] not in idents[1:]
    assert own.stats()["own_threads"] >= 1


def test_d12_order_is_kept_and_one_message_is_handled_at_a_time(own: iris.Runtime) -> None:
    actors, messages = 6, 3_000
    seen: list[list[int]] = [[] for _ in range(actors)]
    inside = [0] * actors
    overlaps: list[int] = []

    def handler_of(number: int) -> Handler:
        def handler(data: bytes) -> None:
            inside[number] += 1
            if inside[number] != 1:
                overlaps.append(number)
            seen[number].append(int(data))
            inside[number] -= 1

        return handler

    pids = [own.spawn(handler_of(n), budget=7, release_gil=True) for n in range(actors)]
    for message in range(messages):
        for pid in pids:
            own.send(pid, b"%d" % message)
    for pid in pids:
        own.stop(pid, drain=True)
        assert own.join(pid, PATIENCE)
    assert overlaps == []
    assert seen == [list(range(messages))] * actors, "join waits for the handlers"


def test_d12_the_mailbox_s_size_is_true(own: iris.Runtime, gate: Gate) -> None:
    pid = own.spawn(gate, release_gil=True)
    for _ in range(5):
        own.send(pid, b"x")
    gate.wait_entered()
    assert own.mailbox_size(pid) == 4
    info = own.info(pid)
    assert info is not None
    assert (info["status"], info["handled"], info["mailbox_size"]) == ("running", 1, 4)
    assert own.join(pid, 0) is False
    own.stop(pid, drain=True)
    gate.open()
    assert own.join(pid, PATIENCE)
    assert len(gate.handled) == 5


def test_blocked_handlers_leave_the_lane_and_each_other_alone(
    rt: iris.Runtime, inbox: Inbox
) -> None:
    gates = [Gate() for _ in range(20)]
    for gate in gates:
        rt.send(rt.spawn(gate, release_gil=True), b"x")
    for gate in gates:
        gate.wait_entered()
    assert rt.stats()["own_threads"] == 20
    rt.send(rt.spawn(inbox), b"on the lane")
    assert inbox.get() == b"on the lane"
    rt.send(rt.spawn(inbox, release_gil=True), b"apart")
    assert inbox.get() == b"apart"
    assert rt.stats()["lane_threads"] == 1, "nobody had to take the lane over"
    for gate in gates:
        gate.open()


def test_beyond_the_limit_they_share_the_pool(rt: iris.Runtime, inbox: Inbox) -> None:
    rt.set_release_gil_limits(2, 1)
    gates = [Gate(), Gate()]
    for gate in gates:
        rt.send(rt.spawn(gate, release_gil=True), b"x")
    blocking = Gate()
    pids = [rt.spawn(h, release_gil=True) for h in (blocking, inbox)]
    for gate in gates:
        gate.wait_entered()
    for pid in pids:
        rt.send(pid, b"shared")
    blocking.wait_entered()
    assert rt.stats()["own_threads"] == 3
    assert inbox.empty(), "the one thread of the pool is taken"
    rt.set_release_gil_limits(2, 2)
    assert inbox.get() == b"shared", "a larger pool helps those that wait already"
    for gate in [*gates, blocking]:
        gate.open()


def test_strict_refuses_instead(rt: iris.Runtime, inbox: Inbox) -> None:
    rt.set_release_gil_limits(2, 4)
    rt.set_release_gil_strict(True)
    first = rt.spawn(inbox, release_gil=True)
    parent = parent_of(rt)
    before = rt.stats()["actors"]
    with pytest.raises(RuntimeError, match="no thread of its own is left.*all 2"):
        rt.spawn_child_pool(parent, inbox, workers=3, release_gil=True)
    for pid in rt.tree().children_of(parent):
        assert rt.join(pid.pid, PATIENCE)
    assert rt.stats()["actors"] == before, "a pool is spawned whole or not at all"
    for _ in range(20):
        second = rt.spawn(inbox, release_gil=True)
        with pytest.raises(RuntimeError, match="no thread of its own"):
            rt.spawn(inbox, release_gil=True)
        rt.send(second, b"x")
        assert inbox.get() == b"x"
        rt.stop(second)
        assert rt.join(second, PATIENCE)
        # Whose actor has ended is free at once.
    rt.set_release_gil_strict(False)
    pids = [rt.spawn(inbox, release_gil=True) for _ in range(3)]
    for pid in [first, *pids]:
        rt.send(pid, b"y")
    assert inbox.take(4) == [b"y"] * 4


@pytest.mark.parametrize("limits", [(-1, 1), (1, 0), (1, -5), (10_001, 1), (1, 10_001)])
def test_limits_that_cannot_be_are_refused(rt: iris.Runtime, limits: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        rt.set_release_gil_limits(*limits)
    with pytest.raises(TypeError):
        rt.set_release_gil_limits("many", 1)  # type: ignore[arg-type]


def test_it_crashes_stops_and_is_restarted_as_any_other(
    own: iris.Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    observer = Observer(own)
    own.watch_supervision(observer.pid)
    spawned: list[int] = []

    def factory() -> int:
        spawned.append(own.spawn(mortal, release_gil=True))
        return spawned[-1]

    pid = factory()
    own.register("the one", pid)
    own.supervise_with_factory(pid, factory)
    own.monitor(observer.pid, pid)
    own.send(pid, b"raise")
    news = {message.type_name: message for message in (observer.next(), observer.next())}
    assert set(news) == {"DOWN", "RESTARTED"}
    assert news["DOWN"].reason == "crash"
    assert own.whereis("the one") == spawned[-1] != pid
    own.stop_child(spawned[-1])
    assert own.join(spawned[-1], PATIENCE)
    assert sum("raised" in record.getMessage() for record in caplog.records) == 1


def test_on_error_resume_and_stop_hold_there_too(own: iris.Runtime, inbox: Inbox) -> None:
    logging.getLogger("iris").addFilter(lambda record: False)

    def handler(data: bytes) -> object:
        inbox(data)
        return mortal(data)

    pid = own.spawn(handler, release_gil=True, on_error="resume")
    for data in (b"raise", b"still here", b"stop"):
        own.send(pid, data)
    assert inbox.take(3) == [b"raise", b"still here", b"stop"]
    assert own.join(pid, PATIENCE)
    logging.getLogger("iris").filters.clear()


def test_it_is_swapped_in_order(own: iris.Runtime, gate: Gate, inbox: Inbox) -> None:
    pid = own.spawn(gate, release_gil=True)
    own.send(pid, b"1")
    own.send(pid, b"2")
    gate.wait_entered()
    assert own.hot_swap(pid, inbox) == 2
    own.send(pid, b"3")
    gate.open()
    assert inbox.get() == b"3"
    assert gate.handled == [b"1", b"2"]


TASKS = "/proc/self/task"
counts_threads = pytest.mark.skipif(
    not os.path.isdir(TASKS), reason="counts threads through /proc"
)


@counts_threads
def test_d27_threads_end_with_their_actors(rt: iris.Runtime) -> None:
    done = threading.Semaphore(0)
    before = len(os.listdir(TASKS))
    pids = [rt.spawn(lambda data: done.release(), release_gil=True) for _ in range(50)]
    assert len(os.listdir(TASKS)) <= before, "none before the first message"
    # The first to be idle, and the only one that lives on.
    rt.send(rt.spawn(lambda data: done.release(), release_gil=True), b"x")
    assert done.acquire(timeout=PATIENCE)
    for pid in pids:
        rt.send(pid, b"x")
    assert all(done.acquire(timeout=PATIENCE) for _ in pids)
    assert rt.stats()["own_threads"] == 51
    for pid in pids:
        rt.stop(pid)
        assert rt.join(pid, PATIENCE)
    # The thread of an actor is done a moment after it.
    tick = threading.Event()
    while rt.stats()["own_threads"] > 1:
        tick.wait(0.01)
    assert rt.stats()["own_threads"] == 1, "they do not wait until they have been idle for 5 s"
    assert len(os.listdir(TASKS)) <= before + 2


def test_a_shutdown_ends_the_threads_of_the_pool_too() -> None:
    with iris.Runtime() as rt:
        rt.set_release_gil_limits(1, 2)
        inbox = Inbox()
        for pid in [rt.spawn(inbox, release_gil=True) for _ in range(3)]:
            rt.send(pid, b"x")
        inbox.take(3)
    assert rt._ended()


BACKLOG = """
import threading, time
import iris
rt = iris.Runtime()
{limits}
def handler(data): time.sleep(0.003)
pids = [rt.spawn(handler, release_gil=True) for _ in range(4)]
for _ in range(2_000):
    for pid in pids: rt.send(pid, b"x")
"""


@pytest.mark.parametrize("limits", ["", "rt.set_release_gil_limits(1, 2)"])
def test_r7_the_interpreter_exits_cleanly_over_a_backlog(run_script: Run, limits: str) -> None:
    for _ in range(10):
        # Interrupted after a part of its draining time, as somebody in a hurry would.
        done = run_script(BACKLOG.format(limits=limits) + "rt.shutdown(0.05)\n")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_r7_an_exit_without_a_shutdown_says_what_was_left_in_one_line(run_script: Run) -> None:
    done = run_script(BACKLOG.format(limits=""))
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "messages were not delivered" in done.stderr


def test_an_exit_does_not_hang_on_a_handler_that_is_stuck(run_script: Run) -> None:
    done = run_script("""
        import threading, time
        import iris
        rt = iris.Runtime()
        entered = threading.Event()
        def handler(data):
            entered.set()
            while True: time.sleep(0.01)
        rt.send(rt.spawn(handler, release_gil=True), b"x")
        entered.wait()
    """)
    assert done.returncode == 0
    assert "still inside a handler" in done.stderr
    assert "panicked" not in done.stderr


def test_a_child_process_can_use_it_again(run_script: Run) -> None:
    done = run_script("""
        import os, threading
        import iris
        def serve(rt):
            got = threading.Event()
            rt.send(rt.spawn(lambda data: got.set(), release_gil=True), b"x")
            assert got.wait(20)
        rt = iris.Runtime()
        serve(rt)
        child = os.fork()
        if child == 0:
            with iris.Runtime() as own: serve(own)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
