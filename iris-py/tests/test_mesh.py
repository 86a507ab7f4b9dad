"""Nodes: actors of other runtimes and processes, over TCP on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator

import pytest
from support import PATIENCE, Inbox

import iris


@pytest.fixture
def there() -> Iterator[iris.Runtime]:
    with iris.Runtime() as runtime:
        yield runtime


def until(condition, patience: float = PATIENCE) -> bool:
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def test_a_message_reaches_an_actor_of_another_node(
    rt: iris.Runtime, there: iris.Runtime, inbox: Inbox
) -> None:
    pid = rt.spawn(inbox)
    rt.register("svc", pid)
    address = rt.listen("127.0.0.1:0")
    remote = there.resolve_remote(address, "svc")
    assert remote is not None
    assert remote != pid
    for n in range(1000):
        assert there.send(remote, b"%d" % n)
    assert inbox.take(1000) == [b"%d" % n for n in range(1000)]
    assert there.resolve_remote(address, "nobody") is None


def test_an_actor_of_another_node_is_asked(rt: iris.Runtime, there: iris.Runtime) -> None:
    rt.register("upper", rt.spawn(lambda data: data.upper()))
    address = rt.listen("127.0.0.1:0")
    remote = there.resolve_remote(address, "upper")
    assert remote is not None
    assert there.call(remote, b"hello") == b"HELLO"

    async def ask() -> bytes:
        return await there.ask(remote, b"awaited")

    assert asyncio.run(ask()) == b"AWAITED"


class Counter(iris.Actor):
    def __init__(self) -> None:
        self.n = 0

    def add(self, k: int) -> int:
        if k < 0:
            raise ValueError(f"{k} is below 0")
        self.n += k
        return self.n


def test_an_actor_of_a_class_is_called_at_another_node(
    rt: iris.Runtime, there: iris.Runtime
) -> None:
    counter = rt.spawn(Counter)
    rt.register("counter", counter)
    address = rt.listen("127.0.0.1:0")
    pid = there.resolve_remote(address, "counter")
    assert pid is not None
    remote = there.ref(pid, Counter)
    assert remote.call(Counter.add, 2) == 2
    remote.tell(Counter.add, 3)
    assert remote.call(Counter.add, 1) == 6
    # The exception is raised as its own type.
    with pytest.raises(ValueError, match="-1 is below 0"):
        remote.call(Counter.add, -1)


def test_a_remote_end_is_a_down_with_its_reason(
    rt: iris.Runtime, there: iris.Runtime, inbox: Inbox
) -> None:
    def handler(data: bytes) -> None:
        raise RuntimeError("as asked")

    rt.register("frail", rt.spawn(handler))
    address = rt.listen("127.0.0.1:0")
    remote = there.resolve_remote(address, "frail")
    assert remote is not None
    watcher = there.spawn(inbox, system=True)
    reference = there.monitor(watcher, remote)
    there.send(remote, b"x")
    down = inbox.get()
    assert (down.type_name, down.reference, down.target_pid) == ("DOWN", reference, remote)
    assert down.reason == "crash"
    assert down.metadata["message"] == "as asked"


def test_monitor_remote_and_send_remote_take_pids_of_there(
    rt: iris.Runtime, there: iris.Runtime, inbox: Inbox
) -> None:
    heard = Inbox()
    pid = rt.spawn(heard)
    rt.register("svc", pid)
    address = rt.listen("127.0.0.1:0")
    assert there.send_remote(address, pid, b"by its own pid")
    remote = there.resolve_remote(address, "svc")
    assert remote is not None
    assert there.send_remote(address, remote, b"by its stand-in")
    assert heard.take(2) == [b"by its own pid", b"by its stand-in"]
    watcher = there.spawn(inbox, system=True)
    with pytest.raises(TypeError, match="needs watcher="):
        there.monitor_remote(address, pid)
    there.monitor_remote(address, pid, watcher)
    rt.stop(pid)
    assert inbox.get().reason == "killed"


def test_the_description_s_look_up_is_awaited(rt: iris.Runtime, there: iris.Runtime) -> None:
    heard = Inbox()
    rt.register("auth_worker", rt.spawn(heard))
    addr = rt.listen("127.0.0.1:0")

    async def find_remote() -> None:
        remote_pid = await there.resolve_remote_py(addr, "auth_worker")
        if remote_pid:
            there.send_remote(addr, remote_pid, b"login")

    asyncio.run(find_remote())
    assert heard.get() == b"login"


def test_errors_say_what_to_do(rt: iris.Runtime) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "%s:%d" % taken.getsockname()
        with pytest.raises(iris.MeshError, match=f"cannot listen at {address}"):
            rt.listen(address)
    with pytest.raises(iris.MeshError, match="give the node TLS or a secret, or say insecure=True"):
        rt.listen("0.0.0.0:0")
    with pytest.raises(iris.MeshError, match="no connection to"):
        rt.resolve_remote(address, "svc")
    assert rt.is_node_up(address) is False
    with pytest.raises(ConnectionError):
        rt.send_remote(address, 2**40, b"x")
    for name in ("", "x" * 2000, "\0iris.mesh/2;"):
        with pytest.raises(ValueError, match="name"):
            rt.resolve_remote(address, name)
    for address in ("", "no port", "127.0.0.1:99999", "127.0.0.1:-1"):
        with pytest.raises(iris.MeshError):
            rt.listen(address)
    with pytest.raises(ValueError, match="expose must be 'named' or 'all'"):
        rt.listen("127.0.0.1:0", expose="some")
    with pytest.raises(RuntimeError, match="call configure_mesh\\(\\) before"):
        rt.configure_mesh(name="late")


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"heartbeat": 0.0}, "heartbeat must be from"),
        ({"heartbeat": float("nan")}, "heartbeat must be from"),
        ({"resume": -1.0}, "resume must be from"),
        ({"connect_timeout": float("inf")}, "connect_timeout must be from"),
        ({"name": "x" * 256}, "name must have 255 bytes"),
        ({"secret": b""}, "secret must not be empty"),
        ({"expose": "some"}, "expose must be"),
        ({"tls": ("/no/ca.pem", "/no/cert.pem", "/no/key.pem")}, "cannot read /no/ca.pem"),
    ],
)
def test_settings_out_of_range_are_refused(rt: iris.Runtime, settings, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        rt.configure_mesh(**settings)


def test_a_secret_keeps_strangers_out(rt: iris.Runtime, there: iris.Runtime) -> None:
    rt.configure_mesh(secret=b"0123456789abcdef0123456789abcdef")
    rt.register("svc", rt.spawn(lambda data: b"yes"))
    address = rt.listen("127.0.0.1:0")
    with pytest.raises(iris.MeshError):
        there.resolve_remote(address, "svc")
    with iris.Runtime() as friend:
        friend.configure_mesh(secret=b"0123456789abcdef0123456789abcdef")
        remote = friend.resolve_remote(address, "svc")
        assert remote is not None
        assert friend.call(remote, b"?") == b"yes"


def test_a_node_of_the_earlier_release_is_served(rt: iris.Runtime) -> None:
    heard = Inbox()
    pid = rt.spawn(heard)
    rt.register("abc", pid)
    host, _, port = rt.listen("127.0.0.1:0").partition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as old:
        old.sendall(b"\x01" + b"\x01" + struct.pack(">I", 3) + b"abc")
        assert struct.unpack(">Q", old.recv(8))[0] == pid
        old.sendall(b"\x00" + struct.pack(">QI", pid, 5) + b"hello" + b"\x02")
        assert old.recv(1) == b"\x03"
    assert heard.get() == b"hello"


NODE = """
import sys, iris
rt = iris.Runtime()
rt.configure_mesh(name=sys.argv[1], resume=600)
seen = []
rt.register("echo", rt.spawn(lambda data: data))
print(rt.listen("127.0.0.1:0"), flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def node(name: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-c", textwrap.dedent(NODE), name]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


def test_a_process_that_is_killed_is_a_node_that_is_down(rt: iris.Runtime, inbox: Inbox) -> None:
    # Nobody waits for a connection to come back where nobody listens any more.
    rt.configure_mesh(resume=600)
    watcher = rt.spawn(inbox, system=True)
    rt.watch_nodes(watcher)
    with node("mortal") as (process, address):
        remote = rt.resolve_remote(address, "echo")
        assert remote is not None
        rt.monitor(watcher, remote)
        assert rt.call(remote, b"alive") == b"alive"
        assert [name for _, name in rt.nodes()] == ["mortal"]
        up = inbox.get()
        assert (up.type_name, up.node) == ("NODE_UP", "mortal")
        process.kill()
        news = {one.type_name: one for one in (inbox.get(), inbox.get())}
        assert set(news) == {"DOWN", "NODE_DOWN"}
        assert f"nobody listens at {address}" in news["NODE_DOWN"].detail
        assert rt.join(remote, PATIENCE)
        assert rt.is_node_up(address) is False
        with pytest.raises(iris.DeadActorError):
            rt.call(remote, b"dead")


def test_a_node_that_comes_back_is_found_again(rt: iris.Runtime) -> None:
    rt.configure_mesh(resume=0.2)
    with node("one") as (process, address):
        remote = rt.resolve_remote(address, "echo")
        assert remote is not None
        process.kill()
        assert rt.join(remote, PATIENCE)
    program = NODE.replace('"127.0.0.1:0"', f'"{address}"')
    command = [sys.executable, "-c", textwrap.dedent(program), "two"]
    again = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert again.stdout is not None
        assert again.stdout.readline().strip() == address
        successor = rt.resolve_remote(address, "echo")
        assert successor is not None
        assert successor != remote
        assert rt.call(successor, b"back") == b"back"
    finally:
        again.kill()
        again.communicate()


def test_a_node_whose_python_is_stalled_is_not_taken_for_dead(
    rt: iris.Runtime, inbox: Inbox
) -> None:
    rt.configure_mesh(heartbeat=0.4, stalled_after=0.5)
    watcher = rt.spawn(inbox, system=True)
    rt.watch_nodes(watcher)
    # A call of C that keeps the GIL, while messages wait.
    program = """
        import ctypes, sys, time, iris
        rt = iris.Runtime()
        rt.configure_mesh(name="sleeper", heartbeat=0.4)
        rt.register("echo", rt.spawn(lambda data: data))
        rt.register("sleep", rt.spawn(lambda data: ctypes.PyDLL(None).usleep(3_000_000)))
        print(rt.listen("127.0.0.1:0"), flush=True)
        sys.stdin.read()
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        sleep, echo = (rt.resolve_remote(address, name) for name in ("sleep", "echo"))
        assert sleep is not None
        assert echo is not None
        assert inbox.get().type_name == "NODE_UP"
        rt.send(sleep, b"now")
        # They may be there before the other one is, which is at another actor.
        assert until(lambda: rt.send(echo, b"waits") and not inbox.empty())
        news = [inbox.get(), inbox.get()]
        assert [one.type_name for one in news] == ["NODE_STALLED", "NODE_MOVING"]
        assert news[0].node == "sleeper"
        assert rt.call(echo, b"alive") == b"alive"
    finally:
        process.kill()
        process.communicate()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes certificates with openssl")
def test_certificates_keep_strangers_out(
    rt: iris.Runtime, there: iris.Runtime, tmp_path: pathlib.Path
) -> None:
    def openssl(*args: str) -> None:
        subprocess.run(["openssl", *args], cwd=tmp_path, check=True, capture_output=True)

    openssl(
        *"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1".split(),
        *"-subj /CN=ca -keyout ca.key -out ca.pem".split(),
        *"-addext basicConstraints=critical,CA:TRUE".split(),
    )
    openssl(
        *"req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=node".split(),
        *"-keyout node.key -out node.csr".split(),
    )
    (tmp_path / "ext").write_text("subjectAltName=IP:127.0.0.1")
    openssl(
        *"x509 -req -in node.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 1".split(),
        *"-extfile ext -out node.pem".split(),
    )
    files = (tmp_path / "ca.pem", tmp_path / "node.pem", tmp_path / "node.key")
    rt.register("svc", rt.spawn(lambda data: b"yes"))
    address = rt.listen("127.0.0.1:0", tls=files)
    with pytest.raises(iris.MeshError):
        there.resolve_remote(address, "svc")
    with iris.Runtime() as friend:
        friend.configure_mesh(tls=files)
        remote = friend.resolve_remote(address, "svc")
        assert remote is not None
        assert friend.call(remote, b"?") == b"yes"
    with pytest.raises(RuntimeError, match="before"):
        rt.listen("127.0.0.1:0", tls=files)


def a_node(name: str = "", heartbeat: float = 0.05) -> tuple[iris.Runtime, str]:
    """A node whose signs of life are frequent, so that tests are short."""
    runtime = iris.Runtime()
    runtime.configure_mesh(name=name, heartbeat=heartbeat)
    return runtime, runtime.listen("127.0.0.1:0")


def test_names_are_found_across_a_mesh() -> None:
    (a, seed), (b, _), (c, _) = a_node("a"), a_node("b"), a_node("c")
    with a, b, c:
        assert a.join_mesh(seed) is False
        assert b.join_mesh([seed]) is True
        assert c.join_mesh(seed, membership="swim") is True
        b.register("upper", b.spawn(lambda data: data.upper()))
        for runtime in (a, c):
            found = runtime.lookup("upper", timeout=PATIENCE)
            assert found is not None
            assert runtime.call(found, b"hello") == b"HELLO"
            assert runtime.lookup("upper") == found
        assert b.lookup("upper") == b.whereis("upper")
        assert c.lookup("nobody") is None
        assert c.lookup("nobody", timeout=0.01) is None
        assert until(lambda: len(c.mesh_members()) == 2)

        async def later() -> bytes:
            soon = asyncio.ensure_future(c.lookup_async("later"))
            await asyncio.sleep(0)
            a.register("later", a.spawn(lambda data: data[::-1]))
            found = await soon
            assert found is not None
            return await c.ask(found, b"abc")

        assert asyncio.run(later()) == b"cba"


def test_a_name_of_two_nodes_is_told(inbox: Inbox) -> None:
    (a, seed), (b, _) = a_node("a"), a_node("b")
    with a, b:
        a.join_mesh(seed)
        assert b.join_mesh(seed)
        told: list[iris.PySystemMessage] = []
        a.watch_nodes(a.spawn(told.append, system=True))
        a.register("same", a.spawn(inbox))
        assert b.lookup("same", timeout=PATIENCE)
        b.register("same", b.spawn(inbox))
        assert until(lambda: any(one.type_name == "NAME_CONFLICT" for one in told))
        conflict = next(one for one in told if one.type_name == "NAME_CONFLICT")
        assert conflict.node == "b"
        assert conflict.detail == 'this node and b have both registered "same"'


def test_wrong_words_about_a_mesh_are_refused(rt: iris.Runtime) -> None:
    with pytest.raises(iris.MeshError, match=r"call listen\(\) first"):
        rt.join_mesh("127.0.0.1:1")
    with pytest.raises(iris.MeshError, match=r"call join_mesh\(\) first"):
        rt.lookup("x", timeout=1)
    rt.listen("127.0.0.1:0")
    with pytest.raises(ValueError, match="at least one address"):
        rt.join_mesh([])
    with pytest.raises(ValueError, match="membership must be"):
        rt.join_mesh("127.0.0.1:1", membership="gossip")
    with pytest.raises(ValueError, match="timeout must be"):
        rt.lookup("x", timeout=-1)
    with pytest.raises(TypeError):
        rt.join_mesh(7)  # type: ignore[arg-type]


KILLED_NODE = """
import sys, iris
rt = iris.Runtime()
rt.configure_mesh(name="victim", heartbeat=0.05)
rt.listen("127.0.0.1:0")
assert rt.join_mesh(sys.argv[1])
rt.register("service", rt.spawn(lambda data: data))
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_killed_node_is_down_and_its_successor_takes_over() -> None:
    a, seed = a_node("a")
    with a:
        a.join_mesh(seed)
        told: list[tuple[str, str]] = []
        watcher = a.spawn(lambda one: told.append((one.type_name, one.node)), system=True)
        a.watch_nodes(watcher)
        for life in range(1, 3):
            victim = subprocess.Popen(
                [sys.executable, "-c", KILLED_NODE, seed],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            with victim:
                assert victim.stdout is not None
                assert victim.stdout.readline() == "ready\n"
                service = a.lookup("service", timeout=PATIENCE)
                assert service is not None
                assert a.call(service, b"x") == b"x"
                victim.kill()
            assert until(lambda life=life: told.count(("NODE_DOWN", "victim")) == life)
            assert a.join(service, PATIENCE)
            assert until(lambda: a.lookup("service") is None)
        assert told == [("NODE_UP", "victim"), ("NODE_DOWN", "victim")] * 2


def test_an_actor_is_started_at_another_node() -> None:
    with iris.Runtime() as here, iris.Runtime() as there:
        there.configure_mesh(allow_spawn=True)
        address = there.listen("127.0.0.1:0")
        greeter = lambda init: there.spawn(lambda data: init + data)  # noqa: E731
        assert there.register_behavior("greeter", greeter) is True
        hello = here.spawn_on(address, "greeter", b"hello ")
        assert here.call(hello, b"you") == b"hello you"
        assert here.call(here.spawn_on(address, "greeter"), b"you") == b"you"

        def failing(init: bytes) -> int:
            raise OSError("no disk")

        assert there.register_behavior("greeter", failing) is False
        with pytest.raises(iris.MeshError, match="OSError: no disk"):
            here.spawn_on(address, "greeter")
        there.register_behavior("odd", lambda init: "no pid")  # type: ignore[arg-type,return-value]
        with pytest.raises(iris.MeshError, match="a factory must return a pid, not str"):
            here.spawn_on(address, "odd")
        with pytest.raises(iris.MeshError, match=r"no behavior is registered.*register_behavior"):
            here.spawn_on(address, "nobody")
        with pytest.raises(TypeError, match="callable with one argument"):
            there.register_behavior("x", 7)  # type: ignore[arg-type]
        back = here.listen("127.0.0.1:0")
        here.register_behavior("greeter", greeter)
        with pytest.raises(iris.MeshError, match="does not let this node start"):
            there.spawn_on(back, "greeter")


def test_who_wants_them_hears_heartbeats() -> None:
    (a, seed), (b, _) = a_node("a"), a_node("b")
    with a, b:
        news: list[iris.PySystemMessage] = []
        beats: list[iris.PySystemMessage] = []
        assert a.watch_nodes(a.spawn(news.append, system=True))
        listener = a.spawn(beats.append, system=True)
        assert a.watch_nodes(listener)
        assert a.watch_nodes(listener, heartbeats=True)
        assert not a.watch_nodes(listener, heartbeats=True)
        assert b.is_node_up(seed)
        assert until(lambda: sum(one.type_name == "HEARTBEAT" for one in beats) > 2)
        beat = next(one for one in beats if one.type_name == "HEARTBEAT")
        assert beat.node == "b"
        assert 0 <= float(beat.detail.removesuffix(" ms")) < PATIENCE * 1000
        assert [one.type_name for one in news] == ["NODE_UP"]


def test_nats_is_built_in_or_the_error_says_how_to() -> None:
    with iris.Runtime() as rt:
        try:
            rt.configure_mesh(nats="nats://user:pa55@127.0.0.1:1", secret=b"x" * 32)
        except RuntimeError as error:
            assert "--features nats" in str(error) and "pa55" not in str(error)
            return
        with pytest.raises(iris.MeshError, match="no NATS server can be reached at nats://127"):
            rt.listen("nats:here")
