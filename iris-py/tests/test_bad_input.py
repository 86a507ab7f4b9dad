"""What is wrong is refused at once, with the reason; nothing aborts, nothing is swallowed."""

from __future__ import annotations

import logging
import threading

import pytest
from support import PATIENCE, Gate, Inbox

import iris

NOBODY = (1 << 52) + 17


def dead(rt: iris.Runtime) -> int:
    pid = rt.spawn(lambda data: None)
    assert rt.stop(pid)
    assert rt.join(pid, PATIENCE)
    return pid


@pytest.mark.parametrize("handler", [42, None, "name", b"", object()])
def test_a_handler_that_is_not_callable_is_refused(rt: iris.Runtime, handler: object) -> None:
    pid = rt.spawn(lambda data: None)
    for call in (rt.spawn, rt.spawn_virtual, lambda h: rt.hot_swap(pid, h), rt.on_dead_letter):
        if handler is None and call == rt.on_dead_letter:
            continue  # takes the hook away
        with pytest.raises(TypeError, match=f"callable.*not {type(handler).__name__}"):
            call(handler)


@pytest.mark.filterwarnings("error")
def test_a_coroutine_of_a_pull_actors_thread_is_a_crash(
    rt: iris.Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    async def later() -> None: ...

    # Not seen to be async when it is spawned, and so it got a thread.
    pid = rt.spawn_with_mailbox(lambda mailbox: later())
    assert rt.join(pid, PATIENCE)
    assert "nobody awaits" in caplog.text


@pytest.mark.parametrize("data", ["text", 5, None, {}, ["x"], object()])
def test_a_payload_that_is_not_bytes_like_is_refused(rt: iris.Runtime, data: object) -> None:
    pid = rt.spawn(lambda data: None)
    with pytest.raises(TypeError, match=f"bytes-like.*not {type(data).__name__}"):
        rt.send(pid, data)
    with pytest.raises(TypeError, match="bytes-like"):
        rt.send_named("nobody", data)
    assert rt.mailbox_size(pid) == 0


def test_text_is_refused_with_the_way_to_send_it(rt: iris.Runtime) -> None:
    with pytest.raises(TypeError, match=r"encode it: text\.encode\(\)"):
        rt.send(rt.spawn(lambda data: None), "text")


@pytest.mark.parametrize("pid", [NOBODY, 0, 1, (1 << 53) - 1, 1 << 53, (1 << 64) - 1])
def test_an_unknown_pid_is_nobody(rt: iris.Runtime, pid: int) -> None:
    assert rt.send(pid, b"x") is False
    assert rt.stop(pid) is False
    assert rt.is_alive(pid) is False
    assert rt.mailbox_size(pid) is None
    assert rt.info(pid) is None
    assert rt.behavior_version(pid) is None
    assert rt.join(pid) is True
    for call in (
        lambda: rt.hot_swap(pid, print),
        lambda: rt.register("name", pid),
        lambda: rt.register_path("/path", pid),
    ):
        with pytest.raises(iris.DeadActorError, match=f"no actor with pid {pid}"):
            call()


def test_a_dead_actor_is_nobody(rt: iris.Runtime) -> None:
    pid = dead(rt)
    assert rt.send(pid, b"x") is False
    assert rt.stop(pid) is False
    assert rt.is_alive(pid) is False
    assert rt.mailbox_size(pid) is None
    with pytest.raises(LookupError, match=f"no actor with pid {pid}"):
        rt.hot_swap(pid, print)
    with pytest.raises(LookupError):
        rt.register("name", pid)
    assert rt.whereis("name") is None


@pytest.mark.parametrize("pid", [-1, 1 << 64])
def test_a_number_that_no_pid_can_be_is_out_of_range(rt: iris.Runtime, pid: int) -> None:
    for call in (rt.is_alive, rt.stop, rt.mailbox_size, lambda pid: rt.send(pid, b"x")):
        with pytest.raises(OverflowError):
            call(pid)


@pytest.mark.parametrize("pid", ["1", 1.0, None, b"1"])
def test_a_pid_of_the_wrong_type_is_refused(rt: iris.Runtime, pid: object) -> None:
    for call in (rt.is_alive, rt.stop, rt.mailbox_size, lambda pid: rt.send(pid, b"x")):
        with pytest.raises(TypeError):
            call(pid)


def test_numbers_out_of_range_are_refused(rt: iris.Runtime) -> None:
    handler = print
    pid = rt.spawn(handler)
    for call in (
        lambda: rt.spawn(handler, budget=0),
        lambda: rt.spawn_virtual(handler, idle_timeout_ms=0),
        lambda: rt.join(pid, -1),
        lambda: rt.join(pid, float("nan")),
        lambda: rt.shutdown(-0.5),
        lambda: rt.shutdown(float("nan")),
        lambda: rt.spawn(handler, on_error="bogus"),
        lambda: rt.hot_swap(pid, handler, on_error="bogus"),
    ):
        with pytest.raises(ValueError):
            call()
    for call in (
        lambda: rt.spawn(handler, budget=-1),
        lambda: rt.spawn(handler, budget=1 << 40),
        lambda: rt.spawn_virtual(handler, idle_timeout_ms=-5),
    ):
        with pytest.raises(OverflowError):
            call()
    assert rt.join(pid, 0.0) is False
    assert rt.is_alive(pid)


def test_an_endless_timeout_is_no_overflow(rt: iris.Runtime) -> None:
    pid = rt.spawn(lambda data: iris.STOP)
    rt.send(pid, b"x")
    assert rt.join(pid, float("inf"))
    assert rt.join(pid, 1e300)


def test_a_raising_handler_is_a_logged_crash(
    rt: iris.Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    letters: list[tuple[int, bytes, str]] = []
    rt.on_dead_letter(lambda *letter: letters.append(letter))
    entered, go = threading.Event(), threading.Event()

    def handler(data: bytes) -> None:
        entered.set()
        go.wait(PATIENCE)
        raise ValueError(f"cannot take {data!r}")

    pid = rt.spawn(handler)
    rt.send(pid, b"one")
    entered.wait(PATIENCE)
    rt.send(pid, b"two")
    go.set()
    assert rt.join(pid, PATIENCE)
    assert not rt.is_alive(pid)
    (record,) = (record for record in caplog.records if record.name == "iris")
    assert (record.name, record.levelno) == ("iris", logging.ERROR)
    assert f"actor {pid}" in record.getMessage()
    assert "cannot take b'one'" in caplog.text
    assert 'test_bad_input.py", line' in caplog.text, "the traceback leads to the user's code"
    assert letters == [(pid, b"two", "stopped")]
    assert rt.dead_letters() == 1


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, BaseException])
def test_exceptions_that_are_no_errors_are_crashes_too(
    rt: iris.Runtime, caplog: pytest.LogCaptureFixture, error: type[BaseException]
) -> None:
    def handler(data: bytes) -> None:
        raise error("out")

    pid = rt.spawn(handler)
    rt.send(pid, b"x")
    assert rt.join(pid, PATIENCE)
    assert error.__name__ in caplog.text


def test_text_with_lone_surrogates_is_no_obstacle(
    rt: iris.Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    def handler(data: bytes) -> None:
        raise ValueError("\ud800")

    pid = rt.spawn(handler)
    rt.send(pid, b"x")
    assert rt.join(pid, PATIENCE)
    assert len(caplog.records) == 1


def test_a_class_that_is_called_coroutine_is_none(rt: iris.Runtime, inbox: Inbox) -> None:
    class coroutine: ...

    def handler(data: bytes) -> object:
        inbox(data)
        return coroutine()

    pid = rt.spawn(handler)
    rt.send(pid, b"one")
    rt.send(pid, b"two")
    assert inbox.take(2) == [b"one", b"two"]
    assert rt.is_alive(pid)


def test_on_error_resume_goes_on_with_the_next_message(
    rt: iris.Runtime, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    def handler(data: bytes) -> None:
        if data == b"bad":
            raise ValueError(data)
        inbox(data)

    pid = rt.spawn(handler, on_error="resume")
    for data in (b"bad", b"good"):
        rt.send(pid, data)
    assert inbox.get() == b"good"
    assert rt.is_alive(pid)
    assert iris.flush_reports()
    assert len(caplog.records) == 1


def test_a_raising_dead_letter_hook_is_logged_and_harms_nobody(
    rt: iris.Runtime, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    def hook(pid: int, data: bytes, reason: str) -> None:
        raise RuntimeError("the hook is broken")

    rt.on_dead_letter(hook)
    pid = rt.spawn(gate)
    rt.send(pid, b"running")
    rt.send(pid, b"queued")
    gate.wait_entered()
    rt.stop(pid)
    gate.open()
    assert rt.join(pid, PATIENCE)
    assert "the hook is broken" in caplog.text
    assert rt.dead_letters() == 1


def test_a_hook_may_be_replaced_by_a_hook_s_end(rt: iris.Runtime) -> None:
    class Hook:
        def __call__(self, *letter: object) -> None: ...

        def __del__(self) -> None:
            rt.on_dead_letter(print)

    rt.on_dead_letter(Hook())
    rt.on_dead_letter(print)


def test_stopping_drops_nothing_silently(rt: iris.Runtime, gate: Gate) -> None:
    letters: list[bytes] = []
    rt.on_dead_letter(lambda pid, data, reason: letters.append(data))
    pid = rt.spawn(gate)
    messages = [b"%d" % n for n in range(2_000)]
    for message in messages:
        rt.send(pid, message)
    gate.wait_entered()
    assert rt.stop(pid)
    assert not rt.is_alive(pid)
    assert not rt.send(pid, b"late")
    gate.open()
    assert rt.join(pid, PATIENCE)
    assert gate.handled + letters == messages


def test_draining_handles_the_queue_first(rt: iris.Runtime, gate: Gate) -> None:
    pid = rt.spawn(gate)
    messages = [b"%d" % n for n in range(2_000)]
    for message in messages:
        rt.send(pid, message)
    gate.wait_entered()
    assert rt.stop(pid, drain=True)
    assert rt.is_alive(pid)
    assert not rt.send(pid, b"late")
    gate.open()
    assert rt.join(pid, PATIENCE)
    assert gate.handled == messages
    assert rt.dead_letters() == 0


def test_an_actor_cannot_wait_for_itself(rt: iris.Runtime, inbox: Inbox) -> None:
    def handler(data: bytes) -> None:
        for call in (lambda: rt.join(pid), rt.shutdown):
            try:
                call()
            except RuntimeError as error:
                inbox(str(error).encode())

    pid = rt.spawn(handler)
    rt.send(pid, b"x")
    assert b"cannot wait for its own end" in inbox.get()
    assert b"inside a handler" in inbox.get()


def test_a_runtime_that_was_shut_down_spawns_nothing() -> None:
    rt = iris.Runtime()
    pid = rt.spawn(lambda data: None)
    assert rt.shutdown() == 0
    assert rt.shutdown() == 0
    assert "shut down" in repr(rt)
    assert rt.send(pid, b"x") is False
    with pytest.raises(RuntimeError, match="shut down"):
        rt.spawn(lambda data: None)
