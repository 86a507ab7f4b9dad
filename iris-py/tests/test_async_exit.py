"""The end of processes with async actors, forks and Ctrl-C: each in a process of its own."""

from __future__ import annotations

import time

import pytest
from support import Run

ROUNDS = 20

BEGIN = """
import asyncio, iris, os, signal, sys, threading, time, warnings
# Python 3.12 and later warn of a fork beside threads, which is what is tried here.
warnings.simplefilter("ignore", DeprecationWarning)
reached = threading.Event()
async def idle(data):
    reached.set()
async def suspended(data):
    await asyncio.sleep(0)
    reached.set()
    await asyncio.sleep(1000)
async def busy(data):
    reached.set()
    rt.send(rt.whereis("busy"), data)
    await asyncio.sleep(0)
async def body(mailbox):
    reached.set()
    async for message in mailbox:
        pass
async def stubborn(data):
    reached.set()
    while True:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            pass
rt = iris.Runtime()
"""

ENDS = {
    "idle": "rt.send(rt.spawn(idle), b'x')",
    "idle, ended at once": "rt.spawn(idle); reached.set()",
    "suspended": "rt.send(rt.spawn(suspended), b'x')",
    "reentrant": "rt.send(rt.spawn(suspended, reentrant=True), b'x')",
    "mailbox": "rt.spawn_with_mailbox(body)",
    "executor": (
        "async def asks(data):\n"
        # Python itself takes no first task for an executor once the main thread has ended.
        "    await asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.01)\n"
        "    reached.set()\n"
        "rt.send(rt.spawn(asks), b'x')"
    ),
    "left behind": (
        "async def leaves(data):\n"
        "    global task\n"
        "    task = asyncio.create_task(asyncio.sleep(1000))\n"
        "    reached.set()\n"
        "rt.send(rt.spawn(leaves), b'x')"
    ),
}


@pytest.mark.parametrize("kind", sorted(ENDS))
@pytest.mark.parametrize("how", ["leaves", "shuts down", "os.exit"])
def test_a_process_with_async_actors_ends_quietly(run_script: Run, kind: str, how: str) -> None:
    ends = {"leaves": "", "shuts down": "rt.shutdown(0.01)", "os.exit": "os._exit(0)"}
    if kind in ("suspended", "reentrant"):
        # The drain of an exit would wait for those, for 2 s.
        ends["leaves"] = "rt.shutdown(0)"
    end = ends[how]
    script = f"{BEGIN}\n{ENDS[kind]}\nassert reached.wait(20)\n{end}\n"
    for _ in range(ROUNDS if kind in ("suspended", "mailbox") else 3):
        began = time.monotonic()
        done = run_script(script)
        assert (done.returncode, done.stderr) == (0, "")
        assert time.monotonic() - began < 20


def test_a_suspended_actor_does_not_hold_the_exit_up_for_long(run_script: Run) -> None:
    # The drain that the exit begins with waits for it, for 2 s.
    done = run_script(f"{BEGIN}\nrt.send(rt.spawn(suspended), b'x')\nassert reached.wait(20)\n")
    assert (done.returncode, done.stderr) == (0, "")


def test_one_that_swallows_its_cancellation_is_left_behind_with_a_warning(
    run_script: Run,
) -> None:
    done = run_script(
        f"{BEGIN}\nrt.send(rt.spawn(stubborn), b'x')\nreached.wait(20)\nrt.shutdown(0)"
    )
    assert done.returncode == 0
    assert "still inside a handler" in done.stderr


def test_a_busy_loop_thread_does_not_outlive_the_exit(run_script: Run) -> None:
    script = f"{BEGIN}\nrt.spawn(busy, name='busy')\nrt.send_named('busy', b'x')\n"
    done = run_script(script + "reached.wait(20)\nrt.shutdown(0.01)\n")
    assert done.returncode == 0
    assert "Fatal" not in done.stderr


def test_no_thread_before_the_first_async_actor(run_script: Run) -> None:
    done = run_script(
        """
        import threading, iris
        assert threading.active_count() == 1
        def loops(): return [t for t in threading.enumerate() if t.name == "iris-loop"]
        with iris.Runtime() as rt:
            rt.send(rt.spawn(lambda data: None), b"x")
            assert not loops()
            async def handler(data): began.set()
            began = threading.Event()
            rt.send(rt.spawn(handler), b"x")
            assert began.wait(20) and len(loops()) == 1
            rt.spawn(handler)
            assert len(loops()) == 1
        assert not loops()
        """
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_ctrl_c_reaches_the_main_thread_while_coroutines_wait(run_script: Run) -> None:
    done = run_script(
        BEGIN
        + """
pid = rt.spawn(suspended)
rt.send(pid, b"x")
reached.wait(20)
threading.Timer(0.05, lambda: signal.raise_signal(signal.SIGINT)).start()
began = time.monotonic()
try:
    rt.join(pid, 100)
except KeyboardInterrupt:
    print(time.monotonic() - began < 20)
rt.shutdown(0)
"""
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_a_fork_beside_the_loop_thread(run_script: Run) -> None:
    done = run_script(
        BEGIN
        + """
rt.send(rt.spawn(suspended), b"x")
reached.wait(20)
child = os.fork()
if child == 0:
    try:
        rt.spawn(idle)
    except iris.ForkError:
        pass
    else:
        os._exit(3)
    own = iris.Runtime()
    began = threading.Event()
    async def handler(data):
        await asyncio.sleep(0)
        began.set()
    own.send(own.spawn(handler), b"x")
    ok = began.wait(20)
    own.shutdown(0.1)
    os._exit(0 if ok else 4)
assert os.waitpid(child, 0)[1] == 0
rt.shutdown(0)
"""
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("waits", ["", "await asyncio.sleep(0)"])
def test_a_fork_inside_an_async_handler_ends_with_the_handler(run_script: Run, waits: str) -> None:
    done = run_script(
        BEGIN
        + f"""
ended = threading.Event()
async def forks(data):
    {waits or "pass"}
    child = os.fork()
    if child == 0:
        return
    assert os.waitpid(child, 0)[1] == 0
    ended.set()
rt.send(rt.spawn(forks), b"x")
assert ended.wait(20)
print("parent")
"""
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "parent\n", "")
