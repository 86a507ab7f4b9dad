"""Every Python program of the original description, as printed there.

`before` and `after` are what a reader has to add: the runtime that a fragment takes for granted, the
handlers that it only names, and how to see what it did. The differences that are settled are said
where they are.
"""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass

import pytest

NUMBER = re.compile(r"\b\d{12,16}\b")

RUNTIME = "import iris\nrt = iris.Runtime()\n"


@dataclass(frozen=True)
class Example:
    """A program, and what it prints."""

    text: str
    output: str = ""
    before: str = ""
    after: str = ""


EXAMPLES = {
    "offload": Example(
        """
        import iris
        rt = iris.Runtime()

        @iris.offload(strategy="jit", return_type="float")
        def vector_magnitude(x: float, y: float, z: float) -> float:
            # simple expression gets compiled or dispatched via actor pool
            return (x*x + y*y + z*z) ** 0.5

        # call just like a normal Python function; the heavy work runs in native code
        result = vector_magnitude(1.0, 2.0, 3.0)
        print(result)  # 3.7416573867739416
        """,
        "3.7416573867739413\n",  # what Python says; the comment is of another rounding
    ),
    "push actors": Example(
        """
        import iris
        rt = iris.Runtime()

        def fast_worker(msg):
            print(f"Processed: {msg}")

        # Spawn 1000 workers instantly (Green Threads)
        for _ in range(1000):
            rt.spawn(fast_worker, budget=50)
        """,
        "Processed: b'x'\n",
        after="rt.send(rt.spawn(fast_worker, budget=50), b'x')",
    ),
    "pull actors": Example(
        """
        # Runs in a dedicated OS thread. Blocking is safe.
        def saga_coordinator(mailbox):
            # Blocks thread, releases GIL
            msg = mailbox.recv()
            print("Starting Saga...")

            # Wait up to 5 seconds for next message
            confirm = mailbox.recv(timeout=5.0)
            if confirm:
                print("Confirmed")
            else:
                print("Timed out")

        rt.spawn_with_mailbox(saga_coordinator, budget=100)
        """,
        "Starting Saga...\nConfirmed\n",
        before=RUNTIME,
        after="""
        pid = rt.spawn_with_mailbox(saga_coordinator, budget=100)
        rt.send(pid, b"start")
        rt.send(pid, b"confirm")
        rt.join(pid)
        """,
    ),
    "structured concurrency": Example(
        # Printed with rt.send(parent, b"quit"): bytes end nobody by themselves.
        """
        rt = iris.Runtime()
        parent = rt.spawn(lambda msg: print("parent got", msg))
        child = rt.spawn_child(parent, lambda msg: print("child got", msg))
        rt.stop(parent)
        import time; time.sleep(0.1)
        assert not rt.is_alive(child)
        """,
        before="import iris",
    ),
    "virtual actors": Example(
        """
        import iris
        rt = iris.Runtime()
        pid = rt.spawn_virtual(
            lambda msg: print("virtual got", bytes(msg)),
            budget=100,
            idle_timeout_ms=500,
        )
        # activates on first send
        rt.send(pid, b"hello")
        """,
        "virtual got b'hello'\n",
    ),
    "registry": Example(
        """
        # 1. Register a local actor
        pid = rt.spawn(my_handler)
        rt.register("auth_worker", pid)

        # 2. Look it up later (Local)
        target = rt.whereis("auth_worker")
        """,
        "True\nb'login'\n",
        before=RUNTIME + "my_handler = print",
        after="print(target == pid, flush=True)\nrt.send(target, b'login')",
    ),
    "path-scoped supervisors": Example(
        """
        rt = iris.Runtime()

        # spawn an observed actor and register it under a hierarchical path
        pid = rt.spawn_with_path_observed(10, "/svc/test/one")

        # create a supervisor for the '/svc/test' prefix and register the pid
        rt.create_path_supervisor("/svc/test")
        rt.path_supervisor_watch("/svc/test", pid)

        # inspect supervised children
        children = rt.path_supervisor_children("/svc/test")
        print(children)  # [pid]

        # remove supervisor when done
        rt.remove_path_supervisor("/svc/test")
        """,
        "True\n",
        before="import iris",
        after="print(children == [pid])",
    ),
    "system messages": Example(
        """
        messages = rt.get_messages(observer_pid)
        for msg in messages:
            if isinstance(msg, iris.PySystemMessage):
                if msg.type_name == "EXIT":
                    print(f"Actor {msg.target_pid} has crashed!")
        """,
        "Actor PID has crashed!\n",
        before=RUNTIME
        + """
observer_pid = rt.spawn_with_path_observed(10, "/observer")
pid = rt.spawn(lambda msg: 1 / 0)
rt.link(observer_pid, pid)
rt.send(pid, b"go")
rt.join(pid)
""",
    ),
    "hot swap": Example(
        """
        def behavior_a(msg): print("Logic A")
        def behavior_b(msg): print("Logic B (Upgraded!)")

        pid = rt.spawn(behavior_a, budget=10)
        rt.send(pid, b"test")  # Prints "Logic A"

        rt.hot_swap(pid, behavior_b)
        rt.send(pid, b"test")  # Prints "Logic B (Upgraded!)"
        """,
        "Logic A\nLogic B (Upgraded!)\n",
        before=RUNTIME,
    ),
    "mailbox size": Example(
        """
        size = rt.mailbox_size(pid)
        print(f"Mailbox size for {pid}: {size}")
        """,
        "Mailbox size for PID: 0\n",
        before=RUNTIME + "pid = rt.spawn(print)",
    ),
    "a one-shot timer": Example(
        """
        timer_id = rt.send_after(pid, 200, b'tick')  # send 'tick' after 200ms
        # cancel if needed
        rt.cancel_timer(timer_id)
        """,
        "True\n",
        before=RUNTIME + "pid = rt.spawn(print)",
        after="print(not rt.cancel_timer(timer_id))",
    ),
    "a repeating timer": Example(
        """
        timer_id = rt.send_interval(pid, 1000, b'heartbeat')  # every 1s
        # stop later
        rt.cancel_timer(timer_id)
        """,
        "True\n",
        before=RUNTIME + "pid = rt.spawn(print)",
        after="print(not rt.cancel_timer(timer_id))",
    ),
    "exit reasons": Example(
        """
        for msg in rt.get_messages(supervisor_pid):
            if isinstance(msg, iris.PySystemMessage) and msg.type_name == 'EXIT':
                print('from:', msg.from_pid)
                print('target:', msg.target_pid)
                print('reason:', msg.reason)  # e.g. 'Normal' | 'Panic' | 'Killed'
                print('metadata:', msg.metadata)  # optional dict/bytes with extra info
        """,
        # In lower case, and equal to the word in any case.
        "from: PID\ntarget: PID\nreason: killed\nmetadata: None\n",
        before=RUNTIME
        + """
supervisor_pid = rt.spawn_with_path_observed(10, "/observer")
pid = rt.spawn(print)
rt.link(supervisor_pid, pid)
rt.stop(pid)
rt.join(pid)
""",
    ),
    "bounded mailboxes": Example(
        """
        from iris import Runtime
        rt = Runtime()

        # handler simply prints messages
        pid = rt.spawn_py_handler_bounded(lambda m: print('got', m), budget=100, capacity=2)

        # first two sends succeed
        assert rt.send(pid, b'one')
        assert rt.send(pid, b'two')

        # third message is dropped and send returns False
        assert not rt.send(pid, b'three')
        """,
        "got b'one'\ngot b'two'\n",
        # So that no handler comes in between the three sends.
        before="import sys; sys.setswitchinterval(30)",
    ),
    "overflow policies": Example(
        """
        from iris import Runtime
        rt = Runtime()

        primary = rt.spawn_py_handler_bounded(
            lambda m: print("primary", bytes(m)), budget=100, capacity=1)
        fallback = rt.spawn(lambda m: print("fallback", bytes(m)), budget=100)

        # Redirect overflow to fallback actor
        rt.set_overflow_policy(primary, "redirect", fallback)

        # Spill copies overflow to fallback and still enqueues on primary
        rt.set_overflow_policy(primary, "spill", fallback)

        # Block sender until room is available
        rt.set_overflow_policy(primary, "block", None)
        """,
        "primary b'x'\n",
        after="rt.send(primary, b'x')",
    ),
    "path registry": Example(
        """
        from iris import Runtime
        rt = Runtime()

        # Spawn and register
        pid = rt.spawn(lambda m: None, 10)
        rt.register_path("/system/service/one", pid)

        print(rt.whereis_path("/system/service/one"))
        print(rt.list_children("/system/service"))
        print(rt.list_children_direct("/system"))

        # Shallow watch: registers current direct children with the supervisor
        rt.watch_path("/system/service")
        print(rt.child_pids(), rt.children_count())
        """,
        "PID\n[('/system/service/one', PID)]\n[]\n[PID] 1\n",
    ),
    "the actor strategy": Example(
        """
        @iris.offload(strategy="actor", return_type="float")
        def half(x: float) -> float:
            return x / 2

        print(half(3.0))
        """,
        "1.5\n",
        before="import iris",
    ),
    "toggling GIL release": Example(
        """
        from iris import Runtime
        import time

        rt = Runtime()

        def handler_no(msg):
            print('no release', __import__('threading').get_ident())

        def handler_yes(msg):
            print('release', __import__('threading').get_ident())

        pid_no = rt.spawn(handler_no, budget=10, release_gil=False)
        pid_yes = rt.spawn(handler_yes, budget=10, release_gil=True)

        rt.send(pid_no, b'ping')
        rt.send(pid_yes, b'ping')
        time.sleep(0.2)
        """,
        "2",
    ),
    "limits of GIL release": Example(
        "rt.set_release_gil_limits(max_threads=8, gil_pool_size=2)\nrt.set_release_gil_strict(True)",
        before=RUNTIME,
    ),
    "remote names": Example(
        """
        # 3. Look it up remotely (Network)
        async def find_remote():
            addr = "192.168.1.5:9000"
            # Non-blocking resolution
            remote_pid = await rt.resolve_remote_py(addr, "auth_worker")
            if remote_pid:
                rt.send_remote(addr, remote_pid, b"login")
        """,
        "got b'login'\n",
        before=RUNTIME
        + """
import asyncio, inspect
other = iris.Runtime()
other.register("auth_worker", other.spawn(lambda data: print("got", data)))
""",
        # The same at an address where somebody listens.
        after="""
text = inspect.getsource(find_remote).replace("192.168.1.5:9000", other.listen("127.0.0.1:0"))
exec(text)
asyncio.run(find_remote())
rt.shutdown()
other.shutdown()
""",
    ),
    "a pool for offloaded calls": Example(
        """
        import iris
        rt = iris.Runtime()

        # spawn a reusable pool attached to a parent PID (useful for supervision)
        parent = rt.spawn(lambda m: None)  # dummy parent
        workers = iris.spawn_child_pool(rt, parent, size=4)

        # `workers` is a list of PIDs. use in a simple round-robin loop:
        from itertools import cycle
        worker_cycle = cycle(workers)

        def dispatch(price, vol, strike):
            pid = next(worker_cycle)
            # regular send is automatically optimized internally
            rt.send(pid, serialize_args(price, vol, strike))
        """,
        "4\n",
        after="print(len(set(workers)))",
    ),
}


def run(example: Example, folder: pathlib.Path) -> subprocess.CompletedProcess[str]:
    """In a file, since offloaded functions are read from their source."""
    program = folder / "program.py"
    parts = [example.before, example.text, example.after]
    program.write_text("\n".join(textwrap.dedent(part) for part in parts))
    return subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, timeout=60
    )


def anonymous(output: str) -> str:
    """With its pids, which are long numbers, as a word."""
    return NUMBER.sub("PID", output)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_runs_as_printed(name: str, tmp_path: pathlib.Path) -> None:
    example = EXAMPLES[name]
    done = run(example, tmp_path)
    assert done.returncode == 0, done.stderr
    output = done.stdout if name == "offload" else anonymous(done.stdout)
    if name == "path-scoped supervisors":
        output = output.replace("[PID]\n", "", 1)
    if name == "toggling GIL release":
        # Two threads print at once.
        output = str(output.count("release"))
    assert output == example.output
    # One of them crashes an actor on purpose.
    assert done.stderr == "" or name == "system messages"
