"""Links, monitors and groups; what an actor leaves behind when it ends."""

from __future__ import annotations

import logging

import pytest
from support import PATIENCE, Inbox, Observer, mortal

import iris

REASONS = [(b"raise", "crash"), (b"stop", "normal")]


@pytest.mark.parametrize(("order", "reason"), REASONS)
def test_a_link_tells_the_other_side_and_kills_nobody(
    rt: iris.Runtime, order: bytes, reason: str
) -> None:
    observer = Observer(rt)
    pid = rt.spawn(mortal)
    assert rt.link(observer.pid, pid)
    rt.send(pid, order)
    message = observer.system("EXIT")
    assert (message.from_pid, message.target_pid) == (pid, pid)
    assert message.reason == reason == str(message.reason)
    assert message.reason == reason.upper() == message.reason.upper()
    assert message.reason == reason.capitalize()
    assert message.reason != "panic"
    assert isinstance(message.reason, iris.ExitReason)
    assert message.reference is None
    assert rt.is_alive(observer.pid)


def raise_in_push(rt: iris.Runtime) -> int:
    return rt.spawn(mortal)


def raise_in_virtual(rt: iris.Runtime) -> int:
    return rt.spawn_virtual(mortal)


def raise_in_child(rt: iris.Runtime) -> int:
    return rt.spawn_child(rt.spawn(print), mortal)


def pull(mailbox: iris.Mailbox) -> None:
    for message in mailbox:
        assert isinstance(message, bytes)
        mortal(message)


def raise_in_pull(rt: iris.Runtime) -> int:
    return rt.spawn_with_mailbox(pull)


def raise_in_pull_child(rt: iris.Runtime) -> int:
    return rt.spawn_child_with_mailbox(rt.spawn(print), pull)


@pytest.mark.parametrize("timed", [False, True], ids=["sent", "by a timer"])
@pytest.mark.parametrize(
    "spawn",
    [raise_in_push, raise_in_virtual, raise_in_child, raise_in_pull, raise_in_pull_child],
)
def test_p1_an_exception_is_logged_and_told_with_its_traceback(
    rt: iris.Runtime, caplog: pytest.LogCaptureFixture, spawn, timed: bool
) -> None:
    observer = Observer(rt)
    pid = spawn(rt)
    rt.monitor(observer.pid, pid)
    with caplog.at_level(logging.ERROR, logger="iris"):
        if timed:
            rt.send_after(pid, 1, b"raise")
        else:
            rt.send(pid, b"raise")
        message = observer.system("DOWN")
        assert iris.flush_reports()
    assert message.reason == "crash"
    assert message.metadata is not None
    assert message.metadata["type"] == "ValueError"
    assert message.metadata["message"] == "as asked"
    assert 'support.py", line' in message.metadata["traceback"]
    assert iris.flush_reports(PATIENCE)
    logged = [record for record in caplog.records if record.name == "iris"]
    assert len(logged) == 1
    assert logged[0].exc_info is not None


def test_an_actor_that_is_dead_already_is_reported_at_once(rt: iris.Runtime) -> None:
    observer = Observer(rt)
    pid = rt.spawn(mortal)
    rt.send(pid, b"stop")
    assert rt.join(pid, PATIENCE)
    rt.link(pid, observer.pid)
    assert observer.system("EXIT").reason == "noproc"
    reference = rt.monitor(observer.pid, pid)
    message = observer.system("DOWN")
    assert (message.reason, message.reference) == ("noproc", reference)


def test_stop_is_told_as_killed_and_the_children_s_as_shutdown(rt: iris.Runtime) -> None:
    observer = Observer(rt)
    parent = rt.spawn(mortal)
    child = rt.spawn_child(parent, mortal)
    rt.monitor(observer.pid, child)
    rt.monitor(observer.pid, parent)
    rt.stop(parent)
    first, second = observer.system("DOWN"), observer.system("DOWN")
    assert (first.target_pid, first.reason) == (child, "shutdown")
    assert (second.target_pid, second.reason) == (parent, "killed")


def test_nothing_arrives_after_unlink_and_demonitor(rt: iris.Runtime) -> None:
    observer = Observer(rt)
    pid = rt.spawn(mortal)
    rt.link(observer.pid, pid)
    reference = rt.monitor(observer.pid, pid)
    assert rt.unlink(pid, observer.pid) is True
    assert rt.unlink(pid, observer.pid) is False
    assert rt.demonitor(reference) is True
    assert rt.demonitor(reference) is False
    rt.send(pid, b"raise")
    assert rt.join(pid, PATIENCE)
    assert observer.empty()


def test_a_propagating_link_takes_the_other_side_along(rt: iris.Runtime) -> None:
    observer = Observer(rt)
    a, b = rt.spawn(mortal), rt.spawn(mortal)
    rt.link(a, b, propagate=True)
    rt.monitor(observer.pid, b)
    rt.send(a, b"raise")
    message = observer.system("DOWN")
    assert (message.from_pid, message.target_pid, message.reason) == (a, b, "crash")


def test_one_that_traps_exits_is_told_instead(rt: iris.Runtime, inbox: Inbox) -> None:
    trapping = rt.spawn(inbox, system=True)
    pid = rt.spawn(mortal)
    rt.trap_exit(trapping, True)
    rt.link(pid, trapping, propagate=True)
    rt.send(pid, b"raise")
    message = inbox.get()
    assert isinstance(message, iris.PySystemMessage)
    assert (message.type_name, message.target_pid) == ("EXIT", pid)
    assert rt.is_alive(trapping)
    with pytest.raises(iris.DeadActorError):
        rt.trap_exit(pid, True)


def test_a_push_actor_gets_system_messages_only_if_it_asks_for_them(
    rt: iris.Runtime, inbox: Inbox
) -> None:
    deaf, pid = rt.spawn(inbox), rt.spawn(mortal)
    rt.link(deaf, pid)
    rt.send(pid, b"stop")
    assert rt.join(pid, PATIENCE)
    rt.send(deaf, b"after")
    assert inbox.get() == b"after"


def test_a_pull_actor_receives_exits_and_matches_them(rt: iris.Runtime, inbox: Inbox) -> None:
    def body(mailbox: iris.Mailbox) -> None:
        matcher = lambda message: isinstance(message, iris.PySystemMessage)  # noqa: E731
        inbox(mailbox.selective_recv(matcher, PATIENCE))
        inbox(mailbox.recv(PATIENCE))

    puller, pid = rt.spawn_with_mailbox(body), rt.spawn(mortal)
    rt.link(puller, pid)
    rt.send(puller, b"left for later")
    rt.send(pid, b"stop")
    message = inbox.get()
    assert isinstance(message, iris.PySystemMessage)
    assert message.target_pid == pid
    assert inbox.get() == b"left for later"


def test_system_messages_are_equal_if_they_say_the_same(rt: iris.Runtime) -> None:
    observer = Observer(rt)
    pid, other = rt.spawn(mortal), rt.spawn(mortal)
    for target in (pid, other):
        rt.link(observer.pid, target)
        rt.send(target, b"stop")
        assert rt.join(target, PATIENCE)
    first, second = rt.get_messages(observer.pid, drain=False)
    assert [first, second] == rt.get_messages(observer.pid)
    assert first != second
    assert repr(first) == (
        f"<iris.PySystemMessage EXIT from_pid={pid} target_pid={pid} reason=normal>"
    )


def test_a_group_hears_what_is_published(rt: iris.Runtime, inbox: Inbox) -> None:
    pids = [rt.spawn(inbox) for _ in range(3)]
    assert [rt.join_group("topic", pid) for pid in pids] == [True] * 3
    assert rt.join_group("topic", pids[0]) is False
    assert rt.members("topic") == pids
    assert rt.publish("topic", b"news") == 3
    assert inbox.take(3) == [b"news"] * 3
    rt.stop(pids[0])
    assert rt.join(pids[0], PATIENCE)
    assert rt.leave_group("topic", pids[1]) is True
    assert rt.leave_group("topic", pids[1]) is False
    assert rt.members("topic") == pids[2:]
    assert rt.publish("nobody", b"news") == 0
    with pytest.raises(iris.DeadActorError):
        rt.join_group("topic", pids[0])


@pytest.mark.parametrize("text", ["crash", "Crash", "CRASH"])
def test_a_reason_is_found_in_any_case(text: str) -> None:
    assert iris.ExitReason(text) is iris.ExitReason.CRASH
    assert iris.ExitReason("My Own") == "my own"
    assert hash(iris.ExitReason.CRASH) == hash("crash")
