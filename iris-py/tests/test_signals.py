"""Ctrl-C during every call that waits, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")

WAITS = {
    "join": "rt.join(stuck)",
    "join with a time-out": "rt.join(stuck, 3600)",
    "shutdown": "rt.shutdown(3600)",
    "leaving the block": "with rt: rt.send(stuck, b'x')",
    "send to a mailbox that blocks": "rt.send(full, b'x')",
    "send_named to a mailbox that blocks": "rt.send_named('full', b'x')",
    "recv": "mailbox.recv()",
    "recv with a time-out": "mailbox.recv(3600)",
    "recv_many": "mailbox.recv_many(10)",
    "selective_recv": "mailbox.selective_recv(never)",
    "iterating over a mailbox": "list(mailbox)",
    "selective_recv_blocking": "rt.selective_recv_blocking(observer, never)",
    "selective_recv_blocking with a time-out": "rt.selective_recv_blocking(observer, never, 3600)",
    "awaiting selective_recv": "asyncio.run(rt.selective_recv(observer, never))",
    "call": "rt.call(stuck, b'x', 3600)",
    "awaiting ask": "asyncio.run(ask())",
    "send_many to a mailbox that blocks": "rt.send_many(full, [b'x'])",
}

PROGRAM = """
import asyncio, os, queue, random, signal, threading, time
import iris

rt = iris.Runtime()
release = threading.Event()
entered = threading.Semaphore(0)

def wait(data):
    entered.release()
    release.wait(3600)

def lend(mailbox):
    mailboxes.put(mailbox)
    release.wait(3600)

async def ask():
    await rt.ask(stuck, b"x", 3600)

def never(message):
    return False

stuck = rt.spawn(wait)
full = rt.spawn_py_handler_bounded(wait, 10, 1, name="full")
for pid in (stuck, full):
    rt.send(pid, b"x")
    entered.acquire()
rt.send(full, b"queued")
rt.set_overflow_policy(full, "block")
observer = rt.spawn_with_path_observed(10, "/observer")
mailboxes = queue.SimpleQueue()
rt.spawn_with_mailbox(lend)
mailbox = mailboxes.get()

sent = 0.0

def interrupt():
    # A signal that comes before the wait has begun ends it as well, but proves less.
    global sent
    time.sleep(random.uniform(0.15, 0.25))
    sent = time.monotonic()
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt).start()
try:
    {wait}
except KeyboardInterrupt:
    print("interrupted", round((time.monotonic() - sent) * 1000))
release.set()
"""


@pytest.mark.parametrize("name", WAITS)
def test_p7_ctrl_c_ends_it(name: str) -> None:
    program = textwrap.dedent(PROGRAM).format(wait=WAITS[name])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    word, milliseconds = done.stdout.split()
    assert word == "interrupted"
    # An hour is what it would wait; how long it takes is shown by `pytest -rP`.
    assert int(milliseconds) < 20_000
    print(name, milliseconds, "ms")
