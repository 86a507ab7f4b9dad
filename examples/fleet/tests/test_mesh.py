"""The run over several processes: nodes that do the same, and nothing lost with one of them."""

from __future__ import annotations

import os
import random
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import iris
import pytest

import data
import detector
import mesh
import plain
from detector import DEFAULT_THRESHOLD, Stats
from fleet import FLIGHT, INCIDENT, Outcome, Plan, digest, first_difference, make_handler, make_plan
from fleet_support import FLEET, PATIENCE, demo, digests, rust_node
from ledger import Ledger
from packets import BLANK, COUNT, HANGAR, pack_open, pack_state, unpack_ack
from processes import NodeError, NodeProcess

CLUSTER = "fleet-tests"
NAMES = ["python-1", "rust-1"]


@pytest.fixture
def coordinator() -> Iterator[tuple[iris.Runtime, str, int]]:
    """A runtime, its address, and an observer in the place of the coordinator."""
    with iris.Runtime() as rt:
        rt.configure_mesh(cluster=CLUSTER)
        observer = rt.spawn_with_path_observed(100, "/tests/coordinator")
        rt.register("coordinator", observer)
        yield rt, rt.listen("127.0.0.1:0"), observer


def a_node(name: str, address: str, threshold: float = 2.0, swap_at: int = 60) -> NodeProcess:
    (program,) = (program for program in mesh.programs(rust_node()) if program[0] == name)
    _, kind, command = program
    arguments = [name, CLUSTER, address, repr(threshold), str(swap_at)]
    return NodeProcess(name, kind, [*command, *arguments])


def flights_of_every_sort() -> list[bytes]:
    draw = random.Random(11)
    delays = [draw.gauss(3.0, 18.0) * draw.choice((1.0, 1.0, 40.0)) for _ in range(120)]
    delays[4::17] = [float("nan")] * len(delays[4::17])
    delays[30:33] = [0.0, -0.0, 5e-324]
    # Behind it everything is infinite.
    delays[118] = 1e300
    return [FLIGHT.pack(index, delay) for index, delay in enumerate(delays)]


@pytest.mark.parametrize("name", NAMES)
def test_an_aircraft_of_any_language_computes_the_same_bits(
    coordinator: tuple[iris.Runtime, str, int], name: str
) -> None:
    rt, address, observer = coordinator
    node = a_node(name, address)
    flights = flights_of_every_sort()
    try:
        node.restart()
        hangar = rt.resolve_remote(node.address, HANGAR)
        assert hangar is not None
        known = Stats()
        known.add(12.5, 0.25)
        rt.send(hangar, pack_open(3, pack_state(known), "/fleet/UA/N1"))
        assert rt.call(hangar, b"", PATIENCE) == COUNT.pack(1)
        aircraft = rt.resolve_remote(node.address, "/fleet/UA/N1")
        assert aircraft is not None
        for flight in flights:
            assert rt.send(aircraft, flight)
        state = rt.call(aircraft, b"", PATIENCE)
        # The answer may overtake what the aircraft has said to somebody else.
        acks = [rt.selective_recv_blocking(observer, lambda _: True, PATIENCE) for _ in flights]
    finally:
        node.abandon()

    incident = b""

    def note(message: bytes) -> None:
        nonlocal incident
        incident = message

    old = make_handler(known, detector.score_v1, 1, 2.0, note)
    new = make_handler(known, detector.score_v2, 2, 2.0, note)
    versions = set()
    for index, flight in enumerate(flights):
        incident = b""
        (old if index < 60 else new)(flight)
        message = acks[index]
        assert isinstance(message, bytes)
        assert unpack_ack(message) == (3, 1, index, pack_state(known), incident)
        if incident:
            versions.add(INCIDENT.unpack(incident)[1])
    assert state == pack_state(known)
    assert versions == {1, 2}


@pytest.mark.parametrize("name", NAMES)
def test_a_node_ends_with_its_parent_however_that_ends(
    coordinator: tuple[iris.Runtime, str, int], name: str
) -> None:
    node = a_node(name, coordinator[1])
    program = (
        "import sys; from processes import NodeProcess; import signal\n"
        "node = NodeProcess(sys.argv[1], '', sys.argv[2:]); node.restart()\n"
        "print('up', flush=True); signal.pause()\n"
    )
    # The node inherits its parent's error stream, whose end is the end of both.
    parent = subprocess.Popen(
        [sys.executable, "-c", program, name, *node.command],
        env={**os.environ, "PYTHONPATH": str(FLEET)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == "up\n"
    parent.kill()
    _, errors = parent.communicate(timeout=PATIENCE)
    assert errors == ""


def test_a_node_that_cannot_start_says_why() -> None:
    node = NodeProcess("python-1", "", [sys.executable, "-c", "print('no'); raise SystemExit(3)"])
    with pytest.raises(NodeError, match="python-1 said 'no' instead of READY"):
        node.restart()
    node.abandon()
    with pytest.raises(NodeError, match="not started any more"):
        node.launch()


def test_a_node_that_fails_at_its_end_is_an_error() -> None:
    program = "import sys; print('READY here', flush=True); sys.stdin.read(); sys.exit(4)"
    node = NodeProcess("python-1", "", [sys.executable, "-c", program])
    node.restart()
    assert node.address == "here"
    with pytest.raises(NodeError, match="python-1 ended with status 4"):
        node.close()


def run(flights: list[data.Flight], every_node: bool) -> tuple[Plan, Outcome, mesh.MeshFacts]:
    plan = make_plan(flights)
    kills = mesh.kills(len(flights), every_node)
    outcome, facts = mesh.run_mesh(plan, DEFAULT_THRESHOLD, rust_node(), kills, lambda _: None)
    return plan, outcome, facts


def test_every_node_is_killed_and_every_flight_counts_once() -> None:
    flights = data.load_quick()
    plan, outcome, facts = run(flights, every_node=True)
    expected = plain.single_loop(flights, DEFAULT_THRESHOLD)
    assert first_difference(plan, expected, outcome) is None
    assert sum(node.handled for node in facts.nodes) == len(flights)
    assert [node.restarts for node in facts.nodes] == [1, 1, 1]
    assert sorted(loss.node for loss in facts.losses) == ["python-1", "python-2", "rust-1"]
    for loss in facts.losses:
        assert loss.killed
        assert loss.reason == "noconnection"
        assert loss.aircraft > 100
        assert len(loss.resent) >= mesh.DOOMED
        assert loss.waited + loss.returned <= len(loss.resent)
        # In the order in which one follows from the other.
        assert loss.down is not None
        assert loss.restarted is not None
        assert loss.back is not None
        assert 0.0 < loss.down < loss.restarted < loss.back


def test_without_what_was_acknowledged_the_figures_differ(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begin_life = Ledger.begin_life

    def forgetful(ledger: Ledger, node: int, life: int) -> list[int]:
        flights = begin_life(ledger, node, life)
        ledger.states = [BLANK] * len(ledger.states)
        return flights

    monkeypatch.setattr(Ledger, "begin_life", forgetful)
    flights = data.load_quick()[:6_000]
    plan, outcome, _ = run(flights, every_node=False)
    expected = plain.single_loop(flights, DEFAULT_THRESHOLD)
    assert digest(plan, expected) != digest(plan, outcome)


def test_a_flight_that_is_not_sent_again_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    begin_life = Ledger.begin_life

    def without_the_first(ledger: Ledger, node: int, life: int) -> list[int]:
        return begin_life(ledger, node, life)[1:]

    monkeypatch.setattr(Ledger, "begin_life", without_the_first)
    # Then nothing more is heard of it, or its aircraft acknowledges the next one.
    monkeypatch.setattr(mesh, "PATIENCE_SECONDS", 3.0)
    with pytest.raises(mesh.FleetError, match="open was|open flights"):
        run(data.load_quick()[:6_000], every_node=False)


def test_a_node_that_dies_by_itself_is_mended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def unannounced(coordinator: mesh.Coordinator, name: str) -> None:
        (node,) = (node for node in coordinator.nodes if node.process.name == name)
        os.kill(node.process.pids[-1], signal.SIGKILL)

    monkeypatch.setattr(mesh.Coordinator, "doom", unannounced)
    flights = data.load_quick()[:6_000]
    plan, outcome, facts = run(flights, every_node=False)
    expected = plain.single_loop(flights, DEFAULT_THRESHOLD)
    assert first_difference(plan, expected, outcome) is None
    assert [(loss.node, loss.killed) for loss in facts.losses] == [("python-1", False)]


def test_a_missing_node_in_rust_is_named(tmp_path: Path) -> None:
    plan = make_plan([])
    with pytest.raises(mesh.FleetError, match="cargo xtask demo --mesh` builds it"):
        mesh.run_mesh(plan, DEFAULT_THRESHOLD, tmp_path / "no", {}, lambda _: None)


@pytest.mark.parametrize("columns", [80, 120])
def test_the_demo_shows_what_happened_and_that_the_digest_is_equal(columns: int) -> None:
    done = demo(COLUMNS=str(columns))
    assert (done.returncode, done.stderr) == (0, "")
    found = digests(done.stdout)
    assert len(found) == 2
    assert found[0] == found[1]
    assert "check: all 2,085 figures are equal, bit by bit" in done.stdout
    assert "SIGKILL" in done.stdout
    assert "…" not in done.stdout, "no cell is cut off"
    assert max(map(len, done.stdout.splitlines())) <= columns


def test_the_demo_on_nodes_is_not_repeated() -> None:
    done = demo("--repeat", "2")
    assert done.returncode == 2
    assert "--repeat is not for --mesh" in done.stderr


def test_ctrl_c_ends_the_demo_and_its_nodes() -> None:
    # A node that is frozen and not killed: the coordinator waits for it when the signal comes.
    program = (
        "import sys, pathlib, data, mesh; from fleet import make_plan\n"
        "mesh.Coordinator.kill = lambda self, node: print('frozen', flush=True)\n"
        "plan, node = make_plan(data.load_quick()), pathlib.Path(sys.argv[1])\n"
        "mesh.run_mesh(plan, 4.0, node, {8_000: 'python-1'}, lambda _: None)\n"
    )
    main = subprocess.Popen(
        [sys.executable, "-c", program, str(rust_node())],
        env={**os.environ, "PYTHONPATH": str(FLEET)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert main.stdout is not None
    assert main.stdout.readline() == "frozen\n"
    main.send_signal(signal.SIGINT)
    # The ends of the streams are the ends of all who have them.
    _, errors = main.communicate(timeout=PATIENCE)
    assert errors.rstrip().endswith("KeyboardInterrupt")
