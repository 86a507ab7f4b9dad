"""Supervisors: who is started again, when, and what is left of the one before."""

from __future__ import annotations

import itertools
import logging
import queue
import threading
import time

import pytest
from support import PATIENCE, Inbox, Observer, Run, mortal

import iris


@pytest.fixture
def restarts(rt: iris.Runtime) -> Observer:
    observer = Observer(rt, "/restarts")
    rt.watch_supervision(observer.pid)
    return observer


def test_d18_the_factory_is_called_only_to_restart(
    rt: iris.Runtime, restarts: Observer
) -> None:
    made = []

    def factory() -> int:
        made.append(rt.spawn(mortal))
        return made[-1]

    pid = rt.spawn(mortal)
    rt.supervise_with_factory(pid, factory, "restartone")
    assert made == []
    assert (rt.child_pids(), rt.children_count()) == ([pid], 1)
    rt.send(pid, b"raise")
    assert made == [restarts.successor(pid)]
    assert rt.child_pids() == made


@pytest.mark.parametrize("order", [b"raise", b"stop", None])
def test_d21_a_restarted_actor_keeps_its_names_and_paths(
    rt: iris.Runtime, restarts: Observer, inbox: Inbox, order: bytes | None
) -> None:
    pid = rt.spawn(mortal, name="worker")
    rt.register_path("/svc/worker", pid)
    rt.supervise_with_factory(pid, lambda: rt.spawn(inbox), "RestartOne")
    if order is None:
        rt.stop(pid)
    else:
        rt.send(pid, order)
    new = restarts.successor(pid)
    assert rt.whereis("worker") == rt.whereis_path("/svc/worker") == new
    assert rt.send_named("worker", b"hello")
    assert inbox.get() == b"hello"


def test_d21_a_name_leads_nowhere_while_the_factory_runs(
    rt: iris.Runtime, restarts: Observer
) -> None:
    entered, leave = threading.Event(), threading.Event()

    def factory() -> int:
        entered.set()
        assert leave.wait(PATIENCE)
        return rt.spawn(mortal, name="worker")

    pid = rt.spawn(mortal, name="worker")
    rt.supervise_with_factory(pid, factory)
    rt.send(pid, b"raise")
    assert entered.wait(PATIENCE)
    assert rt.whereis("worker") is None
    assert rt.send_named("worker", b"x") is False
    with pytest.raises(ValueError, match="kept for the successor"):
        rt.register("worker", rt.spawn(print))
    leave.set()
    new = restarts.successor(pid)
    assert rt.whereis("worker") == new


def test_d17_stop_child_ends_an_actor_for_good(rt: iris.Runtime, restarts: Observer) -> None:
    pid = rt.spawn(mortal, name="worker")
    rt.supervise_with_factory(pid, lambda: rt.spawn(mortal))
    rt.stop(pid)
    new = restarts.successor(pid)
    assert rt.stop_child(new) is True
    assert rt.join(new, PATIENCE)
    assert rt.stop_child(new) is False
    assert (rt.children_count(), rt.whereis("worker")) == (0, None)
    rt.register("worker", rt.spawn(mortal))
    assert restarts.empty()


@pytest.mark.parametrize(
    ("restart", "order", "comes_back"),
    [
        ("permanent", b"stop", True),
        ("transient", b"stop", False),
        ("Transient", b"raise", True),
        ("temporary", b"raise", False),
    ],
)
def test_restart_says_after_which_ends(
    rt: iris.Runtime, restarts: Observer, restart: str, order: bytes, comes_back: bool
) -> None:
    pid = rt.spawn(mortal)
    rt.supervise_with_factory(pid, lambda: rt.spawn(mortal), restart=restart)
    rt.send(pid, order)
    assert rt.join(pid, PATIENCE)
    if comes_back:
        restarts.successor(pid)
    else:
        assert rt.children_count() == 0
        assert restarts.empty()


def test_d16_p17_a_storm_ends_with_a_report_that_says_why(
    rt: iris.Runtime, restarts: Observer
) -> None:
    calls = itertools.count(1)

    def stillborn() -> int:
        next(calls)
        pid = rt.spawn(mortal)
        rt.send(pid, b"raise")
        return pid

    reports: queue.SimpleQueue[str] = queue.SimpleQueue()

    class Reports(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "given up" in record.getMessage():
                reports.put(record.getMessage())

    handler = Reports()
    logging.getLogger("iris").addHandler(handler)
    try:
        well, pid = rt.spawn(mortal), rt.spawn(mortal)
        rt.supervise_with_factory(well, lambda: rt.spawn(mortal))
        rt.supervise_with_factory(pid, stillborn)
        began = time.monotonic()
        rt.send(pid, b"raise")
        messages = [restarts.next() for _ in range(4)]
        took = time.monotonic() - began
        text = reports.get(timeout=PATIENCE)
    finally:
        logging.getLogger("iris").removeHandler(handler)
    types = [message.type_name for message in messages if not isinstance(message, bytes)]
    assert types == ["RESTARTED"] * 3 + ["GAVE_UP"]
    assert next(calls) == 4
    assert took >= 0.15, "half of 100 and of 200 ms of back-off"
    last = messages[-1]
    assert isinstance(last, iris.PySystemMessage)
    assert last.reason == "crash"
    assert last.metadata is not None
    assert last.metadata["message"] == "as asked"
    assert "crash" in text
    assert "ValueError: as asked" in text
    assert rt.child_pids() == [well]


def test_d19_restartall_stops_the_siblings_and_leaves_no_duplicates(
    rt: iris.Runtime, restarts: Observer
) -> None:
    pids = [rt.spawn(mortal) for _ in range(3)]
    for pid in pids:
        rt.supervise_with_factory(pid, lambda: rt.spawn(mortal), "restart_all")
    rt.send(pids[1], b"raise")
    new = [restarts.successor(pid) for pid in pids]
    assert [rt.is_alive(pid) for pid in pids] == [False] * 3
    assert rt.child_pids() == new


def test_restartrest_leaves_those_before(rt: iris.Runtime, restarts: Observer) -> None:
    pids = [rt.spawn(mortal) for _ in range(3)]
    for pid in pids:
        rt.supervise_with_factory(pid, lambda: rt.spawn(mortal), "RestartRest")
    rt.send(pids[1], b"raise")
    new = [restarts.successor(pid) for pid in pids[1:]]
    assert rt.child_pids() == [pids[0], *new]
    assert rt.is_alive(pids[0])
    assert restarts.empty()


def test_d20_what_is_only_watched_is_listed_and_never_restarted(
    rt: iris.Runtime, restarts: Observer
) -> None:
    pid, deep = rt.spawn(mortal), rt.spawn(mortal)
    rt.register_path("/system/service/one", pid)
    rt.register_path("/system/service/one/below", deep)
    assert rt.watch_path("/system/service") == 1
    assert (rt.child_pids(), rt.children_count()) == ([pid], 1)
    rt.send(pid, b"raise")
    assert rt.join(pid, PATIENCE)
    assert (rt.child_pids(), rt.children_count()) == ([], 0)
    assert restarts.empty()


def test_d22_a_factory_that_fails_is_logged_and_called_again(
    rt: iris.Runtime, restarts: Observer, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes = iter([ZeroDivisionError("no"), None, "not a pid"])

    def factory() -> int:
        outcome = next(outcomes, rt)
        if isinstance(outcome, Exception):
            raise outcome
        return rt.spawn(mortal) if outcome is rt else outcome  # type: ignore[return-value]

    pid = rt.spawn(mortal, name="worker")
    rt.supervise_with_factory(pid, factory)
    rt.send(pid, b"raise")
    new = restarts.successor(pid)
    assert rt.whereis("worker") == new
    assert iris.flush_reports()
    raised = [r.exc_info[0] for r in caplog.records if r.exc_info and "factory" in r.getMessage()]
    assert raised == [ZeroDivisionError, TypeError, TypeError]


def test_a_factory_that_blocks_holds_up_nobody(
    rt: iris.Runtime, restarts: Observer, inbox: Inbox
) -> None:
    leave = threading.Event()

    def blocks() -> int:
        assert leave.wait(PATIENCE)
        return rt.spawn(mortal)

    stuck, quick = rt.spawn(mortal), rt.spawn(mortal)
    rt.supervise_with_factory(stuck, blocks)
    rt.supervise_with_factory(quick, lambda: rt.spawn(mortal))
    rt.send(stuck, b"raise")
    assert rt.join(stuck, PATIENCE)
    rt.send(quick, b"raise")
    restarts.successor(quick)
    rt.send(rt.spawn(inbox), b"goes on")
    assert inbox.get() == b"goes on"
    leave.set()
    restarts.successor(stuck)


def test_a_child_is_not_restarted_once_its_parent_is_gone(
    rt: iris.Runtime, restarts: Observer
) -> None:
    parent = rt.spawn(mortal)
    child = rt.spawn_child(parent, mortal)
    rt.supervise_with_factory(child, lambda: rt.spawn(mortal))
    rt.send(child, b"raise")
    new = restarts.successor(child)
    info = rt.info(new)
    assert info is not None
    assert info["parent"] == parent
    rt.stop(parent)
    assert rt.join(parent, PATIENCE)
    assert not rt.is_alive(new)
    assert rt.children_count() == 0
    assert restarts.empty()


def test_a_path_has_a_supervisor_of_its_own(rt: iris.Runtime, restarts: Observer) -> None:
    rt.create_path_supervisor("/svc")
    watched, pid = rt.spawn(mortal), rt.spawn(mortal)
    rt.register_path("/svc/one", pid)
    rt.path_supervise_with_factory("/svc", pid, lambda: rt.spawn(mortal), "restartone")
    assert rt.path_supervisor_watch("/svc", watched) is True
    assert rt.path_supervisor_watch("/svc", watched) is False
    rt.send(pid, b"raise")
    new = restarts.successor(pid)
    assert rt.path_supervisor_children("/svc") == [new, watched]
    assert rt.child_pids() == []
    assert rt.whereis_path("/svc/one") == new
    assert rt.remove_path_supervisor("/svc") is True
    assert rt.join(new, PATIENCE)
    assert rt.is_alive(watched)
    assert rt.remove_path_supervisor("/svc") is False
    assert restarts.empty()


def test_wrong_arguments_are_refused_at_once(rt: iris.Runtime) -> None:
    pid, dead = rt.spawn(mortal), rt.spawn(mortal)
    rt.send(dead, b"stop")
    assert rt.join(dead, PATIENCE)
    factory = lambda: rt.spawn(mortal)  # noqa: E731
    with pytest.raises(ValueError, match="restartone"):
        rt.supervise_with_factory(pid, factory, "restartsome")
    with pytest.raises(ValueError, match="permanent, transient and temporary"):
        rt.supervise_with_factory(pid, factory, restart="never")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="callable"):
        rt.supervise_with_factory(pid, 17)  # type: ignore[arg-type]
    with pytest.raises(iris.DeadActorError):
        rt.supervise_with_factory(dead, factory)
    rt.supervise_with_factory(pid, factory)
    with pytest.raises(ValueError, match="supervised already"):
        rt.supervise_with_factory(pid, factory)
    with pytest.raises(LookupError, match="no supervisor"):
        rt.path_supervise_with_factory("/x", rt.spawn(mortal), factory)
    for call in (lambda: rt.path_supervisor_watch("/x", pid), lambda: rt.path_supervisor_children("/x")):
        with pytest.raises(LookupError, match="no supervisor"):
            call()
    with pytest.raises(ValueError, match="not a path"):
        rt.create_path_supervisor("x")
    rt.create_path_supervisor("/x")
    with pytest.raises(ValueError, match="already"):
        rt.create_path_supervisor("/x")


def test_a_shutdown_restarts_nobody() -> None:
    calls = []
    with iris.Runtime() as rt:
        pid = rt.spawn(mortal)
        rt.supervise_with_factory(pid, lambda: calls.append(1) or rt.spawn(mortal))
    assert calls == []
    with pytest.raises(RuntimeError, match="shut down"):
        rt.create_path_supervisor("/x")


def test_a_program_may_end_while_a_factory_runs(run_script: Run) -> None:
    done = run_script(
        """
        import iris, threading, time
        rt = iris.Runtime()
        entered = threading.Event()
        def factory():
            entered.set()
            while True:
                time.sleep(0.01)
        pid = rt.spawn(lambda data: iris.STOP)
        rt.supervise_with_factory(pid, factory)
        rt.send(pid, b"end")
        assert entered.wait(20)
        print("over")
        """
    )
    assert (done.returncode, done.stdout) == (0, "over\n"), done.stderr


def test_the_description_s_path_supervisor_runs_as_printed(run_script: Run) -> None:
    done = run_script(
        """
        import iris
        rt = iris.Runtime()
        # spawn an observed actor and register it under a hierarchical path
        pid = rt.spawn_with_path_observed(10, "/svc/test/one")
        # create a supervisor for the '/svc/test' prefix and register the pid
        rt.create_path_supervisor("/svc/test")
        rt.path_supervisor_watch("/svc/test", pid)
        # inspect supervised children
        children = rt.path_supervisor_children("/svc/test")
        print(children == [pid])
        # remove supervisor when done
        rt.remove_path_supervisor("/svc/test")
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_the_description_s_path_registry_runs_as_printed(run_script: Run) -> None:
    done = run_script(
        """
        from iris import Runtime
        rt = Runtime()
        # Spawn and register
        pid = rt.spawn(lambda m: None, 10)
        rt.register_path("/system/service/one", pid)
        print(rt.whereis_path("/system/service/one") == pid)
        print(rt.list_children("/system/service") == [("/system/service/one", pid)])
        print(rt.list_children_direct("/system"))
        # Shallow watch: registers current direct children with the supervisor
        rt.watch_path("/system/service")
        print(rt.child_pids() == [pid], rt.children_count())
        """
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "True\nTrue\n[]\nTrue 1\n"


def test_the_description_s_exit_messages_read_as_printed(run_script: Run) -> None:
    done = run_script(
        """
        import iris
        rt = iris.Runtime()
        observer_pid = rt.spawn_with_path_observed(10, "/observer")
        pid = rt.spawn(lambda m: 1 / 0)
        rt.link(observer_pid, pid)
        rt.send(pid, b"go")
        rt.join(pid)
        for msg in rt.get_messages(observer_pid):
            if isinstance(msg, iris.PySystemMessage):
                if msg.type_name == "EXIT":
                    print(f"Actor {msg.target_pid} has crashed!" == f"Actor {pid} has crashed!")
                    print('from:', msg.from_pid == pid)
                    print('reason:', msg.reason)
                    print('metadata:', sorted(msg.metadata))
        """
    )
    assert done.returncode == 0
    assert done.stdout == (
        "True\nfrom: True\nreason: crash\nmetadata: ['message', 'traceback', 'type']\n"
    )
