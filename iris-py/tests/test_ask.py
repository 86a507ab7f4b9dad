"""Asks at the level of bytes: waited for on a thread, and awaited."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import PATIENCE, Gate, Run

import iris


def echo(data: bytes) -> bytes:
    return data.upper()


def waiting(rt: iris.Runtime, pid: int, data: bytes) -> tuple[threading.Thread, list[object]]:
    """A thread that asks, and what comes of it."""
    outcome: list[object] = []

    def ask() -> None:
        try:
            outcome.append(rt.call(pid, data, PATIENCE))
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, outcome


def queued(rt: iris.Runtime, pid: int, messages: int) -> None:
    """Waits until so many messages wait for a handler that is busy."""
    done = threading.Event()
    while rt.mailbox_size(pid) != messages and not done.wait(0.001):
        pass


def test_a_handler_answers_with_what_it_returns(rt: iris.Runtime) -> None:
    assert rt.call(rt.spawn(echo), bytearray(b"abc")) == b"ABC"
    assert rt.call(rt.spawn(lambda data: None), b"x") == b""
    assert rt.call(rt.spawn(lambda data: bytearray(data)), b"x" * 5_000) == b"x" * 5_000
    assert rt.call(rt.spawn(lambda data: memoryview(data)[1:]), b"abc") == b"bc"


def test_what_a_handler_returns_to_nobody_is_nobody_s(rt: iris.Runtime) -> None:
    pid = rt.spawn(lambda data: 42)
    assert rt.send(pid, b"x")
    assert rt.stop(pid, drain=True)
    assert rt.join(pid, PATIENCE)


def test_an_answer_that_is_not_bytes_is_a_crash(rt: iris.Runtime) -> None:
    pid = rt.spawn(lambda data: 42)
    with pytest.raises(TypeError, match="bytes-like.*not int"):
        rt.call(pid, b"x")
    assert rt.join(pid, PATIENCE)


def test_a_handler_that_stops_has_answered(rt: iris.Runtime) -> None:
    pid = rt.spawn(lambda data: iris.STOP)
    assert rt.call(pid, b"x") == b""
    assert rt.join(pid, PATIENCE)


def test_questions_keep_their_place_among_the_messages(rt: iris.Runtime) -> None:
    seen: list[bytes] = []

    def handler(data: bytes) -> bytes:
        seen.append(data)
        return b"%d" % len(seen)

    pid = rt.spawn(handler)
    for n in range(100):
        rt.send(pid, b"%d" % n)
        assert rt.call(pid, b"?") == b"%d" % (2 * n + 2)
    assert seen[::2] == [b"%d" % n for n in range(100)]


def test_ten_thousand_questions_from_eight_threads_get_their_own_answers(
    rt: iris.Runtime,
) -> None:
    pid = rt.spawn(lambda data: data + b"!")

    def ask(thread: int) -> None:
        for n in range(1_250):
            data = b"%d.%d" % (thread, n)
            assert rt.call(pid, data, PATIENCE) == data + b"!"

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))


def test_a_pull_actor_replies(rt: iris.Runtime) -> None:
    def run(mailbox: iris.Mailbox) -> None:
        assert mailbox.reply(b"nobody has asked") is False
        for message in mailbox:
            assert isinstance(message, bytes)
            assert mailbox.reply(message * 2)
            assert mailbox.reply(b"again") is False

    pid = rt.spawn_with_mailbox(run)
    assert rt.call(pid, b"ab") == b"abab"
    assert rt.call(pid, b"c") == b"cc"


def test_a_pull_actor_that_does_not_reply_says_so(rt: iris.Runtime) -> None:
    pid = rt.spawn_with_mailbox(lambda mailbox: [mailbox.recv(), mailbox.recv()])
    with pytest.raises(iris.NoReplyError, match=f"actor {pid} .*mailbox.reply"):
        rt.call(pid, b"x", PATIENCE)


def test_a_pull_actor_that_raises_tells_who_asked(rt: iris.Runtime) -> None:
    def run(mailbox: iris.Mailbox) -> None:
        mailbox.recv()
        raise KeyError("no such thing")

    with pytest.raises(KeyError, match="no such thing"):
        rt.call(rt.spawn_with_mailbox(run), b"x", PATIENCE)


def test_the_dead_are_not_asked(rt: iris.Runtime) -> None:
    pid = rt.spawn(echo)
    rt.stop(pid)
    for target in (pid, 0, 12345):
        with pytest.raises(iris.DeadActorError, match=str(target)):
            rt.call(target, b"x")


def test_an_actor_that_ends_tells_all_who_have_asked(rt: iris.Runtime, gate: Gate) -> None:
    pid = rt.spawn(gate)
    rt.send(pid, b"busy")
    gate.wait_entered()
    askers = [waiting(rt, pid, b"x") for _ in range(20)]
    queued(rt, pid, 20)
    rt.stop(pid)
    gate.open()
    for thread, outcome in askers:
        thread.join(PATIENCE)
        assert isinstance(outcome[0], iris.DeadActorError)


def test_a_question_that_times_out_says_what_the_actor_is_at(
    rt: iris.Runtime, gate: Gate
) -> None:
    pid = rt.spawn(gate)
    rt.send(pid, b"busy")
    gate.wait_entered()
    rt.send(pid, b"in front")
    with pytest.raises(iris.AskTimeout, match=f"actor {pid} .*0.01 s.*running, 2 messages wait"):
        rt.call(pid, b"x", timeout=0.01)
    with pytest.raises(TimeoutError):
        rt.call(pid, b"x", timeout=0)
    gate.open()
    # The late answers go nowhere, and the actor is none the worse for it.
    assert rt.call(pid, b"y", PATIENCE) == b""
    assert gate.handled == [b"busy", b"in front", b"x", b"x", b"y"]
    assert rt.dead_letters() == 0


@pytest.mark.parametrize("timeout", [-1, float("nan")])
def test_a_timeout_that_is_none_is_refused(rt: iris.Runtime, timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout"):
        rt.call(rt.spawn(echo), b"x", timeout)


def test_a_full_mailbox_refuses_questions(rt: iris.Runtime, gate: Gate) -> None:
    pid = rt.spawn(gate, capacity=1)
    rt.send(pid, b"busy")
    gate.wait_entered()
    rt.send(pid, b"fills it")
    with pytest.raises(iris.MailboxFullError, match=str(pid)):
        rt.call(pid, b"x")
    rt.set_overflow_policy(pid, "block")
    with pytest.raises(iris.MailboxFullError):
        rt.call(pid, b"x")
    gate.open()


def test_a_question_that_is_redirected_is_answered_there(rt: iris.Runtime, gate: Gate) -> None:
    pid = rt.spawn(gate, capacity=1)
    rt.set_overflow_policy(pid, "redirect", rt.spawn(echo))
    rt.send(pid, b"busy")
    gate.wait_entered()
    rt.send(pid, b"fills it")
    assert rt.call(pid, b"x") == b"X"
    gate.open()


def test_a_question_that_is_evicted_is_answered_with_an_error(
    rt: iris.Runtime, gate: Gate
) -> None:
    pid = rt.spawn(gate, capacity=1)
    rt.set_overflow_policy(pid, "dropold")
    rt.send(pid, b"busy")
    gate.wait_entered()
    thread, outcome = waiting(rt, pid, b"old")
    queued(rt, pid, 1)
    rt.send(pid, b"new")
    thread.join(PATIENCE)
    assert isinstance(outcome[0], iris.IrisError)
    gate.open()


def test_a_handler_that_waits_for_an_answer_leaves_the_others_running(rt: iris.Runtime) -> None:
    inner = rt.spawn(echo)
    middle = [rt.spawn(lambda data: rt.call(inner, data)) for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda pid: rt.call(pid, b"x", PATIENCE), middle))
    assert answers == [b"X"] * 20


def test_a_chain_of_questions_longer_than_any_watch_is_patient(rt: iris.Runtime) -> None:
    pid = rt.spawn(echo)
    for _ in range(50):
        pid = rt.spawn(lambda data, behind=pid: rt.call(behind, data))
    assert rt.call(pid, b"x", PATIENCE) == b"X"


def test_too_long_a_chain_is_an_error_and_no_hang(rt: iris.Runtime) -> None:
    pid = rt.spawn(echo)
    for _ in range(300):
        pid = rt.spawn(lambda data, behind=pid: rt.call(behind, data, PATIENCE))
    with pytest.raises(RuntimeError, match="too many handlers wait"):
        rt.call(pid, b"x", PATIENCE)


def test_who_asks_itself_is_told_at_once(rt: iris.Runtime) -> None:
    own: list[int] = []
    own.append(rt.spawn(lambda data: rt.call(own[0], data, None)))
    with pytest.raises(iris.DeadlockError, match=f"{own[0]} -> {own[0]}"):
        rt.call(own[0], b"x", PATIENCE)


def test_actors_that_would_wait_for_each_other_are_told_at_once(rt: iris.Runtime) -> None:
    pids: list[int] = []
    for n in range(3):
        pids.append(rt.spawn(lambda data, n=n: rt.call(pids[(n + 1) % 3], data, None)))
    a, b, c = pids
    with pytest.raises(iris.DeadlockError, match=f"{a} -> {b} -> {c} -> {a}"):
        rt.call(a, b"x", PATIENCE)


def test_a_pull_actor_in_a_cycle_is_told_too(rt: iris.Runtime) -> None:
    pids: list[int] = []

    def run(mailbox: iris.Mailbox) -> None:
        mailbox.recv()
        mailbox.reply(rt.call(pids[1], b"x", None))

    pids.append(rt.spawn_with_mailbox(run))
    pids.append(rt.spawn(lambda data: rt.call(pids[0], data, None)))
    with pytest.raises(iris.DeadlockError):
        rt.call(pids[0], b"x", PATIENCE)


def test_a_pid_of_another_runtime_is_named_as_that(rt: iris.Runtime) -> None:
    with iris.Runtime() as other:
        pid = other.spawn(echo)
        with pytest.raises(iris.WrongRuntimeError, match="belongs to another Runtime"):
            rt.call(pid, b"x")
        with pytest.raises(iris.WrongRuntimeError):
            rt.send(pid, b"x")
        with pytest.raises(iris.DeadActorError):
            rt.hot_swap(pid, echo)
    assert rt.send(pid, b"x") is False, "that runtime is gone, and so is its actor"


def test_with_two_runtimes_full_is_full_and_ending_is_ending(
    rt: iris.Runtime, gate: Gate
) -> None:
    with iris.Runtime():
        pid = rt.spawn(gate, capacity=1)
        rt.send(pid, b"busy")
        gate.wait_entered()
        rt.send(pid, b"fills it")
        assert rt.send(pid, b"x") is False
        with pytest.raises(iris.MailboxFullError):
            rt.call(pid, b"x")
        rt.stop(pid, drain=True)
        assert rt.send(pid, b"x") is False
        for refused in (lambda: rt.call(pid, b"x"), lambda: rt.hot_swap(pid, echo)):
            with pytest.raises(iris.DeadActorError) as raised:
                refused()
            assert type(raised.value) is iris.DeadActorError
        gate.open()


def test_two_runtimes_ask_each_other_from_their_handlers(rt: iris.Runtime) -> None:
    with iris.Runtime() as other:
        inner = other.spawn(echo)
        outer = rt.spawn(lambda data: other.call(inner, data))
        assert rt.call(outer, b"x", PATIENCE) == b"X"


# Awaited.


async def gather(rt: iris.Runtime, pid: int, count: int) -> None:
    answers = await asyncio.gather(*(rt.ask(pid, b"%d" % n) for n in range(count)))
    assert answers == [b"%d" % n for n in range(count)]


def test_an_answer_is_awaited(rt: iris.Runtime) -> None:
    pid = rt.spawn(lambda data: data)

    async def main() -> None:
        assert await rt.ask(pid, b"x") == b"x"
        await gather(rt, pid, 2_000)

    asyncio.run(main())


def test_loops_follow_each_other_and_live_beside_each_other(rt: iris.Runtime) -> None:
    pid = rt.spawn(lambda data: data)
    for _ in range(3):
        asyncio.run(gather(rt, pid, 50))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: asyncio.run(gather(rt, pid, 300)), range(8)))
    assert len(rt._desks) <= 4 + 1, "those of closed loops are given up"


def test_uvloop_is_a_loop_like_any_other(rt: iris.Runtime) -> None:
    uvloop = pytest.importorskip("uvloop")
    pid = rt.spawn(lambda data: data)
    for _ in range(2):
        loop = uvloop.new_event_loop()
        try:
            loop.run_until_complete(gather(rt, pid, 500))
        finally:
            loop.close()


def test_an_awaitable_that_is_not_awaited_asks_nothing(rt: iris.Runtime) -> None:
    seen: list[bytes] = []
    pid = rt.spawn(seen.append)

    async def main() -> None:
        rt.ask(pid, b"x").close()

    asyncio.run(main())
    rt.stop(pid, drain=True)
    assert rt.join(pid, PATIENCE)
    assert seen == []


def test_errors_are_awaited_too(rt: iris.Runtime, gate: Gate) -> None:
    dead = rt.spawn(echo)
    rt.stop(dead)
    busy = rt.spawn(gate, capacity=1)
    rt.send(busy, b"busy")
    gate.wait_entered()

    async def main() -> None:
        with pytest.raises(iris.DeadActorError):
            await rt.ask(dead, b"x")
        with pytest.raises(iris.AskTimeout, match=f"actor {busy} .*0.01 s"):
            await rt.ask(busy, b"x", timeout=0.01)
        with pytest.raises(iris.MailboxFullError):
            await rt.ask(busy, b"x")
        with pytest.raises(TypeError, match="bytes-like"):
            await rt.ask(busy, "text")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="timeout"):
            await rt.ask(busy, b"x", timeout=-1)

    asyncio.run(main())
    gate.open()


def test_an_actor_that_ends_tells_those_who_await(rt: iris.Runtime, gate: Gate) -> None:
    pid = rt.spawn(gate)
    rt.send(pid, b"busy")
    gate.wait_entered()

    async def main() -> None:
        asks = [asyncio.ensure_future(rt.ask(pid, b"x", None)) for _ in range(100)]
        await asyncio.sleep(0)
        rt.stop(pid)
        gate.open()
        for outcome in await asyncio.gather(*asks, return_exceptions=True):
            assert isinstance(outcome, iris.DeadActorError)

    asyncio.run(main())


def test_a_cancelled_ask_is_given_up(rt: iris.Runtime, gate: Gate) -> None:
    pid = rt.spawn(gate)
    rt.send(pid, b"busy")
    gate.wait_entered()

    async def main() -> None:
        ask = asyncio.ensure_future(rt.ask(pid, b"x", None))
        await asyncio.sleep(0)
        ask.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ask
        assert rt._desks[asyncio.get_running_loop()].pending() == 0
        gate.open()
        assert await rt.ask(pid, b"y") == b""

    asyncio.run(main())
    assert gate.handled == [b"busy", b"x", b"y"], "the question was not taken back"


def test_asks_of_a_loop_that_is_closed_are_given_up_and_counted(
    rt: iris.Runtime, gate: Gate
) -> None:
    pid = rt.spawn(gate)
    rt.send(pid, b"busy")
    gate.wait_entered()
    loop = asyncio.new_event_loop()

    async def begin() -> asyncio.Task[bytes]:
        task = asyncio.ensure_future(rt.ask(pid, b"x", None))
        await asyncio.sleep(0)
        return task

    task = loop.run_until_complete(begin())
    loop.close()
    gate.open()
    asyncio.run(gather(rt, rt.spawn(lambda data: data), 1))
    assert rt._given_up == 1
    # For asyncio, which would else complain of a task that nobody has awaited.
    task._log_destroy_pending = False  # type: ignore[attr-defined]


def test_a_loop_that_is_closed_while_answers_come_is_none_the_worse(rt: iris.Runtime) -> None:
    pid = rt.spawn(lambda data: data)

    async def begin() -> None:
        for _ in range(200):
            asyncio.ensure_future(rt.ask(pid, b"x"))
        await asyncio.sleep(0)

    for _ in range(20):
        asyncio.run(begin())
    assert rt.call(pid, b"y") == b"y"


def test_async_with_ends_a_runtime() -> None:
    async def main() -> int:
        async with iris.Runtime() as rt:
            pid = rt.spawn(echo)
            assert await rt.ask(pid, b"x") == b"X"
        with pytest.raises(RuntimeError, match="shut down"):
            rt.spawn(echo)
        return pid

    asyncio.run(main())


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts files through /proc")
def test_runtimes_that_end_leave_no_files_open_in_a_loop() -> None:
    async def main() -> None:
        counts = []
        for _ in range(10):
            async with iris.Runtime() as rt:
                assert await rt.ask(rt.spawn(echo), b"x") == b"X"
            await asyncio.sleep(0)
            del rt
            gc.collect()
            counts.append(len(os.listdir("/proc/self/fd")))
        assert counts[-1] <= counts[0], counts

    asyncio.run(main())


def test_asks_that_wait_when_the_runtime_ends_are_told(gate: Gate) -> None:
    async def main() -> None:
        rt = iris.Runtime()
        pid = rt.spawn(gate)
        rt.send(pid, b"busy")
        gate.wait_entered()
        asks = [asyncio.ensure_future(rt.ask(pid, b"x", None)) for _ in range(10)]
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        ended = loop.run_in_executor(None, rt.shutdown, 0.0)
        for outcome in await asyncio.gather(*asks, return_exceptions=True):
            assert isinstance(outcome, iris.IrisError)
        gate.open()
        await ended

    asyncio.run(main())


# In processes of their own.


def test_control_c_ends_a_call(run_script: Run) -> None:
    done = run_script(
        """
        import _thread, signal, threading, time, iris
        rt = iris.Runtime()
        inside, leave = threading.Event(), threading.Event()
        def handler(data):
            inside.set()
            leave.wait(30)
        pid = rt.spawn(handler)
        def interrupt():
            inside.wait(30)
            signal.raise_signal(signal.SIGINT)
        threading.Thread(target=interrupt).start()
        begun = time.monotonic()
        try:
            rt.call(pid, b"x", timeout=None)
        except KeyboardInterrupt:
            print("interrupted", time.monotonic() - begun < 10)
        leave.set()
        rt.shutdown()
        """
    )
    assert (done.returncode, done.stdout) == (0, "interrupted True\n"), done.stderr


def test_a_handler_that_waits_for_ever_does_not_outlive_the_interpreter(run_script: Run) -> None:
    done = run_script(
        """
        import threading, iris
        rt = iris.Runtime()
        never = threading.Event()
        inside = threading.Event()
        def mute(mailbox):
            mailbox.recv()
            inside.set()
            mailbox.recv()
            print("stopped")
        pull = rt.spawn_with_mailbox(mute)
        def ask(data):
            rt.call(pull, b"x", None)
        rt.send(rt.spawn(ask, on_error="resume"), b"x")
        inside.wait(30)
        print("end")
        """
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("end")


def test_a_forked_child_is_told(run_script: Run) -> None:
    done = run_script(
        """
        import asyncio, os, iris
        rt = iris.Runtime()
        pid = rt.spawn(lambda data: data)
        if (child := os.fork()) == 0:
            try:
                rt.call(pid, b"x")
            except iris.ForkError:
                try:
                    asyncio.run(rt.ask(pid, b"x"))
                except iris.ForkError:
                    os._exit(7)
            os._exit(1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
    )
    assert (done.returncode, done.stdout) == (0, "7\n"), done.stderr
