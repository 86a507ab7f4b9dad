"""Processes that are made of a process with a runtime, in each of the ways there are."""

from __future__ import annotations

import pathlib
import sys

import pytest
from support import Run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")


def test_r9_every_call_says_in_a_forked_child_that_it_was_forked(run_script: Run) -> None:
    done = run_script("""
        import asyncio, inspect, os
        import iris

        rt = iris.Runtime()
        pid = rt.spawn(lambda data: None)
        made_up = {"handler": print, "hook": print, "factory": print, "data": b"x", "name": "n",
                   "path": "/a", "prefix": "/a", "group": "g", "strategy": "restartone",
                   "addr": "127.0.0.1:1", "seeds": "127.0.0.1:1", "behavior": "b",
                   "acl": [], "deny": [],
                   "policy": "dropnew", "matcher": print, "items": [b"x"], "drain": 0.0,
                   "timeout": 1.0, "seconds": 1.0, "actor": iris.Actor}
        made_up.update(dict.fromkeys(["pid", "parent", "a", "b", "watcher"], pid))

        def attempt(name, method):
            required = [
                parameter.name
                for parameter in inspect.signature(method).parameters.values()
                if parameter.default is parameter.empty
                and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
            ]
            arguments = [made_up.get(one, 1) for one in required if one != "self"]
            try:
                result = getattr(rt, name)(*arguments)
                if inspect.isawaitable(result):
                    async def wait():
                        return await result
                    asyncio.run(wait())
            except iris.ForkError as error:
                assert "in the child" in str(error)
                return True
            except (TypeError, ValueError, OverflowError) as error:
                return str(error)  # an argument that this test does not know how to make
            return f"went through: {result!r}"

        methods = [
            (name, method)
            for name, method in inspect.getmembers(iris.Runtime, callable)
            # A ref is a number with a class: it is its use that asks the runtime.
            if not name.startswith("_") and name != "ref"
        ]
        child = os.fork()
        if child == 0:
            try:
                answers = {name: attempt(name, method) for name, method in methods}
                wrong = {name: answer for name, answer in answers.items() if answer is not True}
                print(*wrong.items(), sep="\\n", flush=True)
                os._exit(any("went through" in text for text in wrong.values()))
            except BaseException as error:
                print(repr(error), flush=True)
                os._exit(3)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert len(methods) > 40
    """)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert len(done.stdout.splitlines()) <= 3, done.stdout


def test_a_mailbox_is_of_no_use_in_a_forked_child(run_script: Run) -> None:
    done = run_script("""
        import os, queue
        import iris

        statuses = queue.SimpleQueue()

        def body(mailbox):
            child = os.fork()
            if child == 0:
                calls = [mailbox.recv, lambda: mailbox.selective_recv(print),
                         lambda: mailbox.recv_many(3), lambda: list(mailbox)]
                for call in calls:
                    try:
                        call()
                    except iris.ForkError as error:
                        assert "in the child" in str(error), error
                    else:
                        os._exit(1)
                return  # ends the child, as a handler's return does
            _, status = os.waitpid(child, 0)
            statuses.put(os.waitstatus_to_exitcode(status))
            statuses.put(mailbox.recv())

        with iris.Runtime() as rt:
            pid = rt.spawn_with_mailbox(body)
            assert statuses.get(timeout=20) == 0
            rt.send(pid, b"the parent goes on")
            print(statuses.get(timeout=20))
    """)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "b'the parent goes on'\n"


@pytest.mark.parametrize(
    ("ending", "status", "trace"),
    [("return", 0, ""), ("sys.exit(7)", 7, ""), ("raise ValueError('child')", 1, "ValueError")],
)
def test_a_pull_actor_s_forked_child_ends_with_its_function(
    run_script: Run, ending: str, status: int, trace: str
) -> None:
    done = run_script(f"""
        import os, sys, queue
        import iris
        results = queue.SimpleQueue()
        def body(mailbox):
            child = os.fork()
            if child == 0:
                {ending}
            _, status = os.waitpid(child, 0)
            results.put(os.waitstatus_to_exitcode(status))
        rt = iris.Runtime()
        rt.join(rt.spawn_with_mailbox(body))
        assert results.get(timeout=20) == {status}
    """)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert trace in done.stderr
    assert bool(done.stderr) == bool(trace)


WORKER = """
import os
import iris

def work(number):
    '''In a worker process: a runtime of its own.'''
    seen = []
    with iris.Runtime() as rt:
        rt.send(rt.spawn(seen.append), b"%d" % number)
    return seen
"""


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_multiprocessing_works_with_a_runtime_in_each_process(
    run_script: Run, tmp_path: pathlib.Path, method: str
) -> None:
    (tmp_path / "worker.py").write_text(WORKER)
    program = tmp_path / "program.py"
    program.write_text(f"""
import multiprocessing, sys
import iris
import worker

if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    rt = iris.Runtime()
    pid = rt.spawn(lambda data: print(data.decode()))
    with context.Pool(3) as pool:
        print(pool.map(worker.work, range(6)))
    assert rt.send(pid, b"the parent goes on")
""")
    done = run_script(f"""
        import subprocess, sys
        quiet = "ignore:This process:DeprecationWarning"
        sys.exit(subprocess.run([sys.executable, "-W", quiet, {str(program)!r}]).returncode)
    """)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "[[b'0'], [b'1'], [b'2'], [b'3'], [b'4'], [b'5']]",
        "the parent goes on",
    ]


def test_a_server_may_load_before_it_forks_its_workers(run_script: Run) -> None:
    done = run_script("""
        import os, signal, socket, sys
        import iris

        # What `gunicorn --preload` does: the application, its runtime too, is there first.
        rt = iris.Runtime()
        handled = []
        pid = rt.spawn(handled.append)
        rt.send(pid, b"x")
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def serve():
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
            try:
                rt.send(pid, b"x")
            except iris.ForkError:
                pass
            else:
                sys.exit(1)
            with iris.Runtime() as mine:
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        done = []
                        def answer(data, connection=connection):
                            connection.sendall(data.upper())
                            return iris.STOP
                        actor = mine.spawn(answer)
                        mine.send(actor, connection.recv(100))
                        mine.join(actor)

        workers = []
        for _ in range(3):
            worker = os.fork()
            if worker == 0:
                serve()
            workers.append(worker)
        for number in range(30):
            with socket.create_connection(listener.getsockname()) as client:
                client.sendall(b"request %d" % number)
                assert client.recv(100) == b"REQUEST %d" % number
        for worker in workers:
            os.kill(worker, signal.SIGTERM)
        for worker in workers:
            _, status = os.waitpid(worker, 0)
            assert os.waitstatus_to_exitcode(status) == 0, status
        rt.send(pid, b"y")
        rt.shutdown()
        print(handled)
    """)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "[b'x', b'y']\n"


def test_two_runtimes_in_one_process_keep_to_themselves(run_script: Run) -> None:
    done = run_script("""
        import iris
        one, two = iris.Runtime(), iris.Runtime()
        seen = {"one": [], "two": []}
        pids = {
            "one": [one.spawn(seen["one"].append, name="same") for _ in range(1)],
            "two": [two.spawn(seen["two"].append, name="same") for _ in range(1)],
        }
        more = ({one.spawn(print) for _ in range(1000)}, {two.spawn(print) for _ in range(1000)})
        assert not more[0] & more[1]
        try:
            two.send(pids["one"][0], b"astray")
        except iris.WrongRuntimeError:
            seen["astray"] = False
        assert one.send_named("same", b"1") and two.send_named("same", b"2")
        assert one.shutdown() == 0
        assert two.is_alive(pids["two"][0]) and two.send(pids["two"][0], b"3")
        two.shutdown()
        print(seen)
    """)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "{'one': [b'1'], 'two': [b'2', b'3'], 'astray': False}\n"


def test_a_notebook_runs_it(tmp_path: pathlib.Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason="Jupyter is not installed")
    nbclient = pytest.importorskip("nbclient", reason="Jupyter is not installed")
    pytest.importorskip("ipykernel", reason="Jupyter is not installed")
    cells = [
        "import iris, threading\nrt = iris.Runtime()\nseen = []",
        "finished = threading.Event()\n"
        "def handler(data):\n    seen.append(data)\n    finished.set()\n"
        "pid = rt.spawn(handler)",
        "rt.send(pid, b'from a cell')\nfinished.wait(20)\nprint(seen)",
        "observer = rt.spawn_with_path_observed(10, '/observer')\nrt.send(observer, b'awaited')",
        "print(await rt.selective_recv(observer, lambda message: True, 20))",
        "@iris.offload\ndef double(x):\n    return x * 2\nprint(double(2.5), double.stats)",
        "rt.shutdown()",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in cells])
    client = nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": "/"}})
    client.execute()
    printed = [
        output.text
        for cell in notebook.cells
        for output in cell.outputs
        if output.output_type == "stream"
    ]
    assert printed[:2] == ["[b'from a cell']\n", "b'awaited'\n"]
    assert printed[2].startswith("5.0 {'native': 1") or "5.0" in printed[2]


def test_threads_of_the_runtime_find_their_module_imported(run_program: Run) -> None:
    # One that imported it while the process forked left the child half a module.
    done = run_program("""
        import sys, iris
        assert "iris._threads" in sys.modules
        # What a loop needs takes longer to import than all the rest.
        assert "asyncio" not in sys.modules
        async def handler(data): pass
        # The thread of the loop cannot run before this one lets it.
        sys.setswitchinterval(100)
        rt = iris.Runtime()
        pid = rt.spawn(handler)
        assert "iris._async" in sys.modules
        rt.stop(pid)
    """)
    assert (done.returncode, done.stderr) == (0, "")


def test_memory_of_a_burst_of_actors_goes_back(run_script: Run) -> None:
    # Cells are kept for the next actors: 128 bytes each.
    done = run_script("""
        import gc, os, time, iris
        if not os.path.exists("/proc/self/statm"):
            raise SystemExit
        def rss():
            gc.collect()
            with open("/proc/self/statm") as statm:
                return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        def handler(data):
            pass
        def burst():
            pids = [rt.spawn(handler) for _ in range(100_000)]
            for pid in pids: rt.send(pid, b"x")
            for pid in pids: rt.stop(pid)
            for pid in pids: assert rt.join(pid, 30)
        rt = iris.Runtime()
        before = rss()
        burst()
        first = rss()
        for _ in range(4): burst()
        last = rss()
        # Cells and message nodes are 20 of them; it was 50 MB before pages went back at once.
        assert last - before < 40 << 20, (before, first, last)
        # 100 bytes for each actor that there ever was would be 40 MB.
        assert last < 1.1 * first, (before, first, last)
    """)
    assert (done.returncode, done.stderr) == (0, "")
