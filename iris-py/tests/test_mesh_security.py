"""Who may do what at a node: rules, certificates that are renewed, and what never travels."""

from __future__ import annotations

import logging
import pathlib
import pickle
import re
import shutil
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator

import pytest
from support import PATIENCE, Inbox

import iris

PACKAGE = pathlib.Path(iris.__file__).parent


@pytest.fixture
def there() -> Iterator[iris.Runtime]:
    with iris.Runtime() as runtime:
        yield runtime


def guest(prefix: str) -> dict:
    return {"peers": "*", "send": [prefix], "resolve": [prefix]}


def test_a_peer_reaches_what_its_rule_names(rt: iris.Runtime, there: iris.Runtime) -> None:
    rt.configure_mesh(acl=[guest("public.")])
    private = rt.spawn(lambda data: b"private")
    rt.register("private", private)
    rt.register("public.echo", rt.spawn(lambda data: data))
    address = rt.listen("127.0.0.1:0")
    remote = there.resolve_remote(address, "public.echo")
    assert remote is not None
    assert there.call(remote, b"hello") == b"hello"
    with pytest.raises(iris.MeshError, match='does not let this node look up "private"'):
        there.resolve_remote(address, "private")
    assert rt.mesh_denied() == 1
    # By its pid: the stand-in ends, for the node knows of no such actor.
    there.send_remote(address, private, b"x")
    assert wait_for(lambda: rt.mesh_denied() >= 2)
    # Rules change while nodes run.
    rt.set_mesh_acl([])
    with pytest.raises(iris.DeadActorError):
        there.call(remote, b"denied")
    rt.set_mesh_acl(None)
    found = there.resolve_remote(address, "private")
    assert found is not None
    assert there.call(found, b"?") == b"private"


def wait_for(condition) -> bool:
    pause = threading.Event()
    for _ in range(int(PATIENCE * 200)):
        if condition():
            return True
        pause.wait(0.005)
    return False


def test_rules_are_for_names_that_are_proven(rt: iris.Runtime) -> None:
    secret = b"0123456789abcdef0123456789abcdef"
    rules = [{"peers": "web-*", "send": True, "resolve": True}]
    rt.configure_mesh(secret=secret, acl=rules, deny=["web-9"])
    rt.register("echo", rt.spawn(lambda data: data))
    address = rt.listen("127.0.0.1:0")
    for name, text in [("web-1", None), ("db", "look up"), ("web-9", "denies")]:
        with iris.Runtime() as peer:
            peer.configure_mesh(name=name, secret=secret)
            if text is None:
                remote = peer.resolve_remote(address, "echo")
                assert remote is not None
                rt.set_mesh_deny(["web-1"])
                assert peer.join(remote, PATIENCE)
                rt.set_mesh_deny(["web-9"])
            else:
                with pytest.raises(iris.MeshError, match=text):
                    peer.resolve_remote(address, "echo")


def test_a_peer_starts_what_its_rule_names(rt: iris.Runtime, there: iris.Runtime) -> None:
    rt.configure_mesh(acl=[{"peers": "*", "spawn": ["work"], "send": True}])
    for name in ("worker", "shell"):
        rt.register_behavior(name, lambda init: rt.spawn(lambda data: data))
    address = rt.listen("127.0.0.1:0")
    assert there.call(there.spawn_on(address, "worker"), b"x") == b"x"
    with pytest.raises(iris.MeshError):
        there.spawn_on(address, "shell")


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"acl": [{"peers": "*", "sned": True}]}, ValueError, r"acl\[0\]\['sned'\] is not known"),
        ({"acl": [{"peers": "*", 1: True}]}, ValueError, r"acl\[0\]\[1\] is not known"),
        ({"acl": [{"send": True}]}, ValueError, r"acl\[0\] needs 'peers'"),
        ({"acl": [{"peers": "*"}, {"peers": ""}]}, ValueError, r"acl\[1\]\['peers'\].*empty"),
        ({"acl": [{"peers": 7}]}, TypeError, r"acl\[0\]\['peers'\] must be a str, not 7"),
        ({"acl": [{"peers": "*", "send": "x"}]}, TypeError, "list of prefixes, not 'x'"),
        ({"acl": [{"peers": "*", "send": [1]}]}, TypeError, r"list of prefixes, not \[1\]"),
        ({"acl": [{"peers": "*", "exit": "yes"}]}, TypeError, "must be a bool, not 'yes'"),
        ({"acl": {"peers": "*"}}, TypeError, "acl must be a list of dicts"),
        ({"acl": ["*"]}, TypeError, r"acl\[0\] must be a dict, not '\*'"),
        ({"deny": "iris://c/x"}, TypeError, "deny must be a list of str"),
        ({"deny": [""]}, ValueError, "deny must not be empty"),
        ({"name": "a\nb"}, ValueError, "control character"),
        ({"cluster": "a\x1b[31m"}, ValueError, "control character"),
        ({"max_links": 0}, ValueError, "max_links must be at least 1"),
        ({"max_unproven": 0}, ValueError, "max_unproven must be at least 1"),
        ({"max_unproven_per_ip": 0}, ValueError, "max_unproven_per_ip must be at least 1"),
    ],
)
def test_rules_that_are_none_are_refused(rt: iris.Runtime, settings, error, text: str) -> None:
    with pytest.raises(error, match=text):
        rt.configure_mesh(**settings)


def test_who_opens_a_node_to_everybody_is_warned(
    rt: iris.Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="iris"):
        rt.listen("127.0.0.1:0", insecure=True)
        iris.flush_reports()
        assert not caplog.records
        address = rt.listen("0.0.0.0:0", insecure=True)
        iris.flush_reports()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    text = caplog.text
    assert "anybody who reaches this address can send" in text
    assert address in text


def test_the_environment_can_say_that_the_network_is_trusted() -> None:
    program = """
        import iris
        with iris.Runtime() as rt:
            print(rt.listen("0.0.0.0:0"))
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    for value, works in [("1", True), ("", False), ("0", False)]:
        env = {"IRIS_MESH_INSECURE": value, "PATH": ""}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE)
        assert (done.returncode == 0) is works, done.stderr
        assert ("MeshError" in done.stderr) is not works


needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="makes certificates with openssl"
)


class Authority:
    """Issues certificates into files."""

    def __init__(self, folder: pathlib.Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.openssl(
            *"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1".split(),
            *"-subj /CN=ca -keyout ca.key -out ca.pem".split(),
            *"-addext basicConstraints=critical,CA:TRUE".split(),
        )

    def openssl(self, *args: str) -> None:
        subprocess.run(["openssl", *args], cwd=self.folder, check=True, capture_output=True)

    def issue(self, uri: str) -> tuple[bytes, bytes, bytes]:
        self.openssl(
            *"req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=node".split(),
            *"-keyout node.key -out node.csr".split(),
        )
        (self.folder / "ext").write_text(f"subjectAltName=IP:127.0.0.1,URI:{uri}")
        self.openssl(
            *"x509 -req -in node.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 1".split(),
            *"-extfile ext -out node.pem".split(),
        )
        names = ("ca.pem", "node.pem", "node.key")
        ca, certificate, key = ((self.folder / name).read_bytes() for name in names)
        return ca, certificate, key


@needs_openssl
def test_certificates_name_peers_and_are_renewed_under_load(
    rt: iris.Runtime, there: iris.Runtime, tmp_path: pathlib.Path
) -> None:
    old, new = Authority(tmp_path / "old"), Authority(tmp_path / "new")
    files = {}
    for name in ("here", "there"):
        folder = tmp_path / name
        folder.mkdir()
        files[name] = tuple(folder / part for part in ("ca.pem", "node.pem", "node.key"))

    def write(name: str, authority: Authority, trusted: bytes = b"") -> None:
        ca, certificate, key = authority.issue(f"iris://c/{name}")
        for file, text in zip(files[name], (ca + trusted, certificate, key)):
            file.write_bytes(text)

    for name in files:
        write(name, old)
    inbox = Inbox()
    rules = [{"peers": "iris://c/there", "send": True, "resolve": True}]
    rt.configure_mesh(tls=files["here"], cluster="c", acl=rules)
    rt.register("ear", rt.spawn(inbox))
    address = rt.listen("127.0.0.1:0")
    there.configure_mesh(tls=files["there"], cluster="c")
    remote = there.resolve_remote(address, "ear")
    assert remote is not None
    sender = threading.Thread(
        target=lambda: [there.send(remote, b"%d" % n) for n in range(20_000)], daemon=True
    )
    sender.start()
    # The new authority is trusted, its certificates are shown, the old one is not trusted any more.
    trusted = (new.folder / "ca.pem").read_bytes()
    steps = [(old, trusted), (new, (old.folder / "ca.pem").read_bytes()), (new, b"")]
    for authority, also in steps:
        for name, runtime in (("here", rt), ("there", there)):
            write(name, authority, also)
            runtime.reload_tls()
    sender.join(PATIENCE)
    assert inbox.take(20_000) == [b"%d" % n for n in range(20_000)]
    assert there.dead_letters() + rt.dead_letters() == 0
    # A peer with the new certificate is let in, one with the old one is not.
    for authority, works in ((new, True), (old, False)):
        write("there", authority, trusted)
        with iris.Runtime() as late:
            late.configure_mesh(tls=files["there"], cluster="c")
            if works:
                assert late.resolve_remote(address, "ear") is not None
            else:
                with pytest.raises(iris.MeshError):
                    late.resolve_remote(address, "ear")
    # What cannot be used changes nothing.
    files["here"][2].write_bytes(b"half a key")
    with pytest.raises(ValueError, match="the key"):
        rt.reload_tls()
    with pytest.raises(ValueError, match="cannot read"):
        rt.reload_tls(("/no/ca.pem", "/no/node.pem", "/no/node.key"))


def test_only_certificates_are_renewed(rt: iris.Runtime) -> None:
    with pytest.raises(RuntimeError, match=re.escape("configure_mesh(tls=..) comes first")):
        rt.reload_tls()


def test_nothing_in_the_package_reads_pickles() -> None:
    # `copyreg` tells pickle how an offloaded function is named; that writes, and reads nothing.
    reads = re.compile(
        r"^\s*(?:import|from)\s+(?:pickle|marshal|shelve|dill)\b|\bloads\(|\beval\(|\bexec\("
    )
    files = list(PACKAGE.rglob("*.py"))
    assert len(files) > 10
    found = [
        f"{file.name}: {line.strip()}"
        for file in files
        for line in file.read_text(encoding="utf-8").splitlines()
        if reads.search(line) and "ast.literal_eval" not in line
    ]
    assert found == []


class Bomb:
    def __reduce__(self):
        return (pathlib.Path.touch, (pathlib.Path("exploded"),))


class Counter(iris.Actor):
    def __init__(self) -> None:
        self.n = 0

    def add(self, k: int) -> int:
        self.n += k
        return self.n


def test_a_pickle_on_the_wire_is_bytes(
    rt: iris.Runtime,
    there: iris.Runtime,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    bomb = pickle.dumps(Bomb())
    inbox = Inbox()
    rt.register("ear", rt.spawn(inbox))
    counter = rt.spawn(Counter)
    rt.register("counter", counter)
    address = rt.listen("127.0.0.1:0")
    ear, remote = (there.resolve_remote(address, name) for name in ("ear", "counter"))
    assert ear is not None
    assert remote is not None
    there.send(ear, bomb)
    assert inbox.get() == bomb
    with pytest.raises(iris.ProtocolError) as refused:
        there.call(remote, bomb)
    assert "not a message" in str(refused.value)
    with pytest.raises(iris.ProtocolError):
        iris.unpack(bomb)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the process's own map")
def test_no_memory_is_writable_and_executable_after_an_offload() -> None:
    @iris.offload
    def square(x: float) -> float:
        return x * x

    assert square(3.0) == 9.0
    maps = pathlib.Path("/proc/self/maps").read_text().splitlines()
    assert [line for line in maps if line.split()[1].startswith("rwx")] == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="sets a limit of the process")
def test_a_node_without_file_descriptors_does_not_spin() -> None:
    program = """
        import resource, sys, time, iris
        rt = iris.Runtime()
        rt.configure_mesh(max_unproven_per_ip=1000)
        rt.register("echo", rt.spawn(lambda data: data))
        print(rt.listen("127.0.0.1:0"), flush=True)
        used = len(__import__("os").listdir("/proc/self/fd"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 20, used + 20))
        print("limited", flush=True)
        sys.stdin.readline()
        before, wall = time.process_time(), time.monotonic()
        time.sleep(1)
        spent = (time.process_time() - before) / (time.monotonic() - wall)
        print(spent, flush=True)
        sys.stdin.read()
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        host, _, port = process.stdout.readline().strip().partition(":")
        assert process.stdout.readline().strip() == "limited"
        links = [socket.create_connection((host, int(port)), PATIENCE) for _ in range(100)]
        process.stdin.write("go\n")
        process.stdin.flush()
        # A core that spins spends all of one.
        assert float(process.stdout.readline()) < 0.5
        for link in links:
            link.close()
        with iris.Runtime() as peer:
            remote = peer.resolve_remote(f"{host}:{port}", "echo")
            assert remote is not None
            assert peer.call(remote, b"alive") == b"alive"
    finally:
        process.kill()
        process.communicate()
