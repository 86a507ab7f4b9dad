"""The interpreter's exit, two hundred times: whatever is going on, the process ends with the
status that its program gave it and says nothing that the program did not say."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

REPEATS = 9
"""Of each program: most of what goes wrong at an exit does so once in a few."""

AT_A_TIME = 4

HANG = 30.0
"""Seconds after which a process is taken for hung. An exit takes a tenth of one, and two if it
drains what never ends."""


@dataclass(frozen=True)
class Exit:
    """A program, and how its process has to end."""

    body: str
    status: int = 0
    output: str = ""
    trace: str = ""
    """The last line on stderr, whose other lines then are the program's own traceback."""
    left_over: bool = False
    """Whether a line on what was not delivered may be there: more is sent than any drain."""


QUIET = """
import logging
logging.getLogger("iris").setLevel(logging.CRITICAL)
"""

EXITS = {
    "nothing spawned": Exit(""),
    "idle actors": Exit("pids = [rt.spawn(print) for _ in range(1000)]"),
    "a backlog": Exit(
        """
        left = 5_000
        def handler(data):
            global left
            left -= 1
            if left == 0: print("all")
        pid = rt.spawn(handler)
        for _ in range(5_000): rt.send(pid, b"x")
        """,
        output="all\n",
    ),
    "pull actors in every receive": Exit(
        """
        running = threading.Semaphore(0)
        def body(receive):
            def run(mailbox):
                running.release()
                receive(mailbox)
            return run
        never = lambda message: False
        receives = [
            lambda mailbox: mailbox.recv(),
            lambda mailbox: mailbox.recv(timeout=3600),
            lambda mailbox: mailbox.selective_recv(never),
            lambda mailbox: mailbox.recv_many(10),
            lambda mailbox: list(mailbox),
        ]
        for receive in receives * 4: rt.spawn_with_mailbox(body(receive))
        for _ in receives * 4: running.acquire()
        """
    ),
    "pull actors at work": Exit(
        """
        def work(mailbox):
            for message in mailbox:
                rt.send(mailbox.pid, message)
        for _ in range(4): rt.send(rt.spawn_with_mailbox(work), b"x")
        """,
        left_over=True,
    ),
    "timers": Exit(
        """
        pid = rt.spawn(lambda data: None)
        for _ in range(100):
            rt.send_after(pid, 3_600_000, b"never")
            rt.send_interval(pid, 1, b"often")
        """,
        left_over=True,  # of the ticks of the last moment
    ),
    "an exception in main": Exit(
        """
        pid = rt.spawn(lambda data: None)
        for _ in range(100): rt.send(pid, b"x")
        rt.spawn_with_mailbox(lambda mailbox: mailbox.recv())
        raise ValueError("in main")
        """,
        status=1,
        trace="ValueError: in main",
    ),
    "sys.exit in main": Exit(
        """
        pid = rt.spawn(lambda data: None)
        for _ in range(100): rt.send(pid, b"x")
        sys.exit(3)
        """,
        status=3,
    ),
    "sys.exit in a handler": Exit(
        QUIET + "for _ in range(10): rt.send(rt.spawn(lambda data: sys.exit(3)), b'x')"
    ),
    "KeyboardInterrupt in a handler": Exit(
        QUIET
        + """
def handler(data): raise KeyboardInterrupt
for _ in range(10): rt.send(rt.spawn(handler), b'x')
"""
    ),
    "os._exit in a handler": Exit(
        """
        pid = rt.spawn(lambda data: os._exit(7))
        rt.send(pid, b"x")
        rt.join(pid)
        """,
        status=7,
    ),
    "a daemon thread that sends": Exit(
        """
        pid = rt.spawn(lambda data: None)
        def work():
            while True: rt.send(pid, b"x")
        threading.Thread(target=work, daemon=True).start()
        """,
        left_over=True,
    ),
    "daemon threads that wait": Exit(
        """
        pid = rt.spawn(lambda data: None)
        observer = rt.spawn_with_path_observed(10, "/observer")
        def receive():
            # A receive says that its actor has ended; a traceback would be the program's own.
            with contextlib.suppress(iris.MailboxClosed):
                rt.selective_recv_blocking(observer, lambda message: False)
        calls = [
            receive,
            lambda: rt.join(pid),
            lambda: rt.join(pid, 3600),
        ]
        for call in calls: threading.Thread(target=call, daemon=True).start()
        """
    ),
    "a thread that goes on after main": Exit(
        """
        pid = rt.spawn(lambda data: None)
        def work():
            for _ in range(1000): assert rt.send(pid, b"x")
            print("sent")
        threading.Thread(target=work).start()
        """,
        output="sent\n",
    ),
    "a daemon thread that waits for room": Exit(
        """
        entered, release = threading.Event(), threading.Event()
        def handler(data):
            entered.set()
            release.wait(1)
        pid = rt.spawn_py_handler_bounded(handler, 10, 1)
        rt.set_overflow_policy(pid, "block")
        rt.send(pid, b"x")
        entered.wait()
        def work():
            for _ in range(3): rt.send(pid, b"x")
        threading.Thread(target=work, daemon=True).start()
        release.set()
        """,
        left_over=True,  # of what the thread sends when all that was there has been handled
    ),
    "supervised actors that crash": Exit(
        QUIET
        + """
def worker(data): raise RuntimeError("as asked")
for _ in range(10):
    pid = rt.spawn(worker)
    rt.supervise_with_factory(pid, lambda: rt.spawn(worker))
    rt.send(pid, b"x")
"""
    ),
    "a factory at work": Exit(
        QUIET
        + """
entered = threading.Event()
def factory():
    entered.set()
    while True: time.sleep(0.001)
pid = rt.spawn(lambda data: iris.STOP)
rt.supervise_with_factory(pid, factory)
rt.send(pid, b"x")
entered.wait()
""",
        left_over=True,
    ),
    "families, pools and links": Exit(
        """
        parent = rt.spawn(lambda data: None)
        pool = rt.spawn_child_pool(parent, lambda data: None, 8)
        grandchild = rt.spawn_child(pool[0], lambda data: None)
        rt.spawn_child_with_mailbox(grandchild, lambda mailbox: mailbox.recv())
        rt.link(pool[1], pool[2])
        rt.monitor(pool[3], pool[4])
        for pid in pool: rt.send(pid, b"x")
        """
    ),
    "virtual actors": Exit(
        """
        for number in range(100):
            pid = rt.spawn_virtual(lambda data: None, 10, 1 + number, reactivate=True)
            if number % 2: rt.send(pid, b"x")
        """
    ),
    "an actor that talks to itself": Exit(
        "pid = rt.spawn(lambda data: rt.send(pid, data))\nrt.send(pid, b'x')", left_over=True
    ),
    "a runtime within a block": Exit(
        "with iris.Runtime() as inner: inner.send(inner.spawn(print), b'x')", output="b'x'\n"
    ),
    "three runtimes": Exit(
        """
        others = [iris.Runtime() for _ in range(2)]
        for other in others: other.send(other.spawn(lambda data: None), b"x")
        rt.spawn(lambda data: None)
        """
    ),
    "swaps under way": Exit(
        """
        def handler(data): return None
        pid = rt.spawn(handler)
        for _ in range(500):
            rt.send(pid, b"x")
            rt.hot_swap(pid, lambda data: None)
        """
    ),
    "a signal that ends it": Exit(
        """
        pid = rt.spawn(lambda data: os.kill(os.getpid(), 15))
        rt.send(pid, b"x")
        rt.join(pid)
        """,
        status=-15,
    ),
}

START = "import contextlib, os, sys, threading, time\nimport iris\nrt = iris.Runtime()\n"


def finish(program: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "faulthandler", "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANG)


@pytest.mark.skipif(sys.platform == "win32", reason="asks for a POSIX signal's status")
@pytest.mark.parametrize("name", EXITS)
def test_p2_every_exit_is_clean(name: str) -> None:
    wanted = EXITS[name]
    program = START + textwrap.dedent(wanted.body)
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for done in pool.map(finish, [program] * REPEATS):
            lines = done.stderr.splitlines()
            # Who sends without end is told so.
            lines = [line for line in lines if not line.startswith("many messages wait in")]
            assert done.returncode == wanted.status, done.stderr
            if wanted.trace:
                assert lines[0] == "Traceback (most recent call last):"
                assert lines[-1] == wanted.trace
                # The line that raised, its file and nothing else.
                assert len(lines) <= 4
            elif not (wanted.left_over and len(lines) <= 1):
                assert lines == []
            assert done.stdout == wanted.output


def test_there_are_two_hundred_of_them() -> None:
    assert len(EXITS) * REPEATS >= 200
