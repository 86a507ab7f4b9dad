"""Import, fork, Ctrl-C and exit, each in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from support import Run

import iris


def check(done: subprocess.CompletedProcess[str], output: str = "") -> None:
    assert (done.returncode, done.stderr, done.stdout.strip()) == (0, "", output)


def test_importing_starts_no_thread(run_script: Run) -> None:
    check(
        run_script("""
            import os, threading
            import iris
            tasks = "/proc/self/task"
            assert threading.active_count() == 1
            assert not os.path.isdir(tasks) or len(os.listdir(tasks)) == 1
        """)
    )


EXITS = {
    "idle actors": "pids = [rt.spawn(print) for _ in range(100)]",
    "a backlog": "\n".join(
        [
            "import threading",
            "count = 0",
            "def handler(data):",
            "    global count",
            "    count += 1",
            "    if count == 9_000: print('all')",
            "pid = rt.spawn(handler)",
            "for _ in range(9_000): rt.send(pid, b'x')",
        ]
    ),
    "an exception in main": "pid = rt.spawn(print)\nrt.send(pid, b'x')\nraise SystemExit(0)",
    "a handler that calls sys.exit": "\n".join(
        [
            "import logging, sys",
            "logging.getLogger('iris').addHandler(logging.NullHandler())",
            "logging.getLogger('iris').propagate = False",
            "rt.send(rt.spawn(lambda data: sys.exit(3)), b'x')",
        ]
    ),
    "a daemon thread that sends": "\n".join(
        [
            "import threading",
            "pid = rt.spawn(lambda data: None)",
            "def work():",
            "    while True: rt.send(pid, b'x')",
            "threading.Thread(target=work, daemon=True).start()",
        ]
    ),
    "a shutdown before": "rt.spawn(print)\nrt.shutdown()",
    "two runtimes": "other = iris.Runtime()\nother.send(other.spawn(lambda d: None), b'x')",
    "a cycle through the handler": "pid = rt.spawn(lambda data: rt.send(pid, data))",
}


@pytest.mark.parametrize("body", EXITS.values(), ids=EXITS.keys())
def test_the_interpreter_exits_cleanly(run_script: Run, body: str) -> None:
    expected = {"a backlog": "all", "an exception in main": "b'x'"}
    name = next(name for name, text in EXITS.items() if text == body)
    for _ in range(3):
        done = run_script("import iris\nrt = iris.Runtime()\n" + body)
        if name == "a daemon thread that sends":
            # It outpaces any drain: that it does is said, and what is left in one line.
            assert done.returncode == 0
            lines = [line for line in done.stderr.splitlines() if "many messages wait" not in line]
            assert len(lines) <= 1
        else:
            check(done, expected.get(name, ""))


def test_a_handler_that_never_returns_does_not_keep_the_process(run_script: Run) -> None:
    started = time.monotonic()
    done = run_script("""
        import iris, threading
        rt = iris.Runtime()
        entered = threading.Event()
        def forever(data):
            entered.set()
            threading.Event().wait()
        pid = rt.spawn(forever)
        rt.send(pid, b"x")
        rt.send(pid, b"queued")
        entered.wait()
    """)
    assert done.returncode == 0
    assert "1 actors were still inside a handler" in done.stderr
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    "loop", ["time.sleep(0.001)", "pass", "event.wait(0.01)"], ids=["sleeps", "spins", "waits"]
)
def test_a_handler_that_loops_for_ever_is_interrupted_at_the_exit(
    run_script: Run, loop: str
) -> None:
    done = run_script(f"""
        import iris, threading, time
        event = threading.Event()
        rt = iris.Runtime()
        entered = threading.Event()
        def forever(data):
            entered.set()
            while True:
                {loop}
        for _ in range(3):
            rt.send(rt.spawn(forever), b"x")
        entered.wait()
    """)
    assert done.returncode == 0, done.stderr
    assert "SystemExit" in done.stderr


def test_a_forked_child_is_told_what_to_do(run_script: Run) -> None:
    check(
        run_script("""
            import os, sys, threading
            import iris
            rt = iris.Runtime()
            pid = rt.spawn(print)
            # The threads have begun: CPython 3.11 hangs in the child of a fork at the moment in
            # which another thread comes to the interpreter, whoever's that is.
            begun = threading.Event()
            rt.send(rt.spawn(lambda data: begun.set()), b"x")
            assert begun.wait(20)
            child = os.fork()
            if child == 0:
                for call in (lambda: rt.send(pid, b"x"), lambda: rt.spawn(print), rt.shutdown,
                             lambda: rt.whereis("x"), lambda: rt.join(pid), lambda: repr(rt)):
                    try:
                        call()
                    except iris.ForkError as error:
                        assert "in the child" in str(error), error
                    else:
                        os._exit(1)
                mine = iris.Runtime()
                done = []
                mine.send(mine.spawn(done.append), b"x")
                mine.shutdown()
                assert done == [b"x"]
                del rt
                sys.exit(0)
            _, status = os.waitpid(child, 0)
            assert os.waitstatus_to_exitcode(status) == 0, status
            assert rt.send(pid, b"from the parent")
        """),
        "b'from the parent'",
    )


def test_a_forked_child_leaves_what_only_the_parent_holds_alone(run_script: Run) -> None:
    check(
        run_script("""
            import gc, os, sys
            import iris
            def make():
                rt = iris.Runtime()
                rt.send(rt.spawn(lambda data: None), b"x")
            for _ in range(3):
                make()
            child = os.fork()
            if child == 0:
                gc.collect()
                sys.exit(0)
            _, status = os.waitpid(child, 0)
            assert os.waitstatus_to_exitcode(status) == 0, status
        """)
    )


@pytest.mark.parametrize(
    ("ending", "status", "trace"),
    [("return", 0, ""), ("sys.exit(7)", 7, ""), ("raise ValueError('child')", 1, "ValueError")],
)
def test_a_handler_s_forked_child_ends_with_the_handler(
    run_script: Run, ending: str, status: int, trace: str
) -> None:
    done = run_script(f"""
        import os, sys, queue
        import iris
        results = queue.SimpleQueue()
        def handler(data):
            if data == b"fork":
                child = os.fork()
                if child == 0:
                    {ending}
                _, status = os.waitpid(child, 0)
                results.put(os.waitstatus_to_exitcode(status))
            else:
                print("handled by", os.getpid() == parent, flush=True)
        parent = os.getpid()
        rt = iris.Runtime()
        pid = rt.spawn(handler)
        rt.send(pid, b"fork")
        rt.send(pid, b"once")
        assert results.get(timeout=20) == {status}
    """)
    assert (done.returncode, done.stdout) == (0, "handled by True\n")
    assert trace in done.stderr
    assert bool(done.stderr) == bool(trace)


def test_a_child_forked_in_a_handler_can_have_a_runtime(run_script: Run) -> None:
    check(
        run_script("""
            import os, queue
            import iris
            results = queue.SimpleQueue()
            def handler(data):
                child = os.fork()
                if child == 0:
                    seen = []
                    with iris.Runtime() as mine:
                        mine.send(mine.spawn(seen.append), b"x")
                    os._exit(len(seen))
                _, status = os.waitpid(child, 0)
                results.put(os.waitstatus_to_exitcode(status))
            rt = iris.Runtime()
            rt.send(rt.spawn(handler), b"fork")
            assert results.get(timeout=20) == 1
        """)
    )


def test_a_subclass_that_forgets_its_parent_is_drained_too(run_script: Run) -> None:
    check(
        run_script("""
            import iris
            class Mine(iris.Runtime):
                def __init__(self, extra):
                    self.extra = extra
            rt = Mine("x")
            rt.send(rt.spawn(lambda data: print(data.decode())), b"drained")
        """),
        "drained",
    )


def test_it_is_too_late_for_a_runtime_after_the_exit_began(run_script: Run) -> None:
    check(
        run_script("""
            import atexit
            def late():
                try:
                    iris.Runtime()
                except RuntimeError as error:
                    print(error)
                print(rt.send(pid, b"x"))
            atexit.register(late)
            import iris
            rt = iris.Runtime()
            pid = rt.spawn(print)
        """),
        "the interpreter is exiting: it is too late for a Runtime\nFalse",
    )


def test_a_handler_may_shut_another_runtime_down(run_script: Run) -> None:
    check(
        run_script("""
            import iris
            def handler(data):
                with iris.Runtime() as inner:
                    inner.send(inner.spawn(lambda data: print("inner")), b"x")
                print("outer")
            with iris.Runtime() as rt:
                rt.send(rt.spawn(handler), b"x")
        """),
        "inner\nouter",
    )


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_ctrl_c_at_the_exit_ends_all_runtimes() -> None:
    text = """
import iris, threading
entered = threading.Semaphore(0)
def forever(data):
    entered.release()
    while True:
        threading.Event().wait(0.01)
runtimes = [iris.Runtime() for _ in range(3)]
for rt in runtimes:
    rt.send(rt.spawn(forever), b"x")
for _ in runtimes:
    entered.acquire()
print("exiting", flush=True)
"""
    child = subprocess.Popen(
        [sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "exiting\n"
    # Some time into the first runtime's drain.
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode in (0, 1, -signal.SIGINT), err
    assert "FATAL" not in err


def test_a_runtime_that_nobody_refers_to_loses_nothing(run_script: Run) -> None:
    check(
        run_script("""
            import gc
            import iris
            seen = []
            def make():
                rt = iris.Runtime()
                pid = rt.spawn(seen.append)
                for n in range(1000):
                    rt.send(pid, b"x")
            import atexit
            make()
            gc.collect()
            import iris._lifecycle
            iris._lifecycle._shut_all_down()
            assert len(seen) == 1000, len(seen)
        """)
    )


def test_messages_behind_a_stuck_handler_are_counted(run_script: Run) -> None:
    done = run_script("""
        import iris, threading
        rt = iris.Runtime()
        entered, release = threading.Event(), threading.Event()
        def handler(data):
            entered.set()
            release.wait()
        pid = rt.spawn(handler)
        for _ in range(3):
            rt.send(pid, b"x")
        entered.wait()
        print(rt.shutdown(drain=0))
        release.set()
    """)
    assert (done.returncode, done.stdout) == (0, "2\n")
    assert done.stderr == "1 actors were still inside a handler at shutdown\n"


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
@pytest.mark.parametrize(
    "wait", ["rt.join(pid)", "rt.join(pid, 60)", "rt.shutdown(60)"], ids=["join", "timed", "drain"]
)
def test_ctrl_c_ends_a_wait(wait: str) -> None:
    text = f"""
import iris, threading
rt = iris.Runtime()
release = threading.Event()
pid = rt.spawn(lambda data: release.wait(60))
rt.send(pid, b"x")
print("waiting", flush=True)
try:
    {wait}
except KeyboardInterrupt:
    print("interrupted", flush=True)
    release.set()
"""
    child = subprocess.Popen(
        [sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "waiting\n"
    # Until the interpreter is inside the wait, it would be interrupted just before.
    time.sleep(0.2)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=30)
    assert (child.returncode, out, err) == (0, "interrupted\n", "")


def test_a_message_sent_at_the_end_is_handled_before_the_exit(run_script: Run) -> None:
    check(
        run_script("""
            import iris
            rt = iris.Runtime()
            pid = rt.spawn(lambda data: print(data.decode()))
            rt.send(pid, b"last words")
        """),
        "last words",
    )


def test_the_version_is_one(run_script: Run) -> None:
    assert iris.version() == iris.__version__
    assert len(iris.version().split(".")) == 3


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts threads through /proc")
def test_a_runtime_leaves_no_thread_behind(run_script: Run) -> None:
    check(
        run_script("""
            import os, time, iris
            for _ in range(5):
                with iris.Runtime() as rt:
                    rt.send(rt.spawn(lambda data: None), b"x")
            for _ in range(500):
                if len(os.listdir("/proc/self/task")) == 1:
                    break
                time.sleep(0.01)
            else:
                raise SystemExit(os.listdir("/proc/self/task"))
        """)
    )
