"""The job over three processes: two nodes in Python and one in Rust, of which some are killed.

The coordinator, an actor of this process with a mailbox and a thread of its own, streams the
flights to the aircraft in their order. Acknowledgements and the news of nodes reach it in the same
mailbox, so that nothing here is shared between threads but the processes, and the figures that
`board.py` reads.

What heals a dead node is a supervisor: the stand-in of its hangar is supervised, and the factory
starts the process again. The coordinator hears of that (RESTARTED), opens the aircraft with
what they had last acknowledged, and sends again what is open (`ledger.py`).
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import iris

from actors import FleetError
from board import Board, cluster_name
from fleet import FLIGHT, INCIDENT, Incident, Outcome, Plan
from ledger import Ledger, LedgerError
from mesh_facts import Loss, MeshFacts, NodeFacts
from packets import COORDINATOR, COUNT, HANGAR, pack_open, unpack_state
from processes import NodeError, NodeProcess
from progress import STRIDES, Tick

HERE = Path(__file__).resolve().parent

# Open flights for each node. Enough to keep it busy, and what may have to be sent again.
WINDOW = 2_000
# Acknowledgements that are taken at once, and flights between two looks into the mailbox.
BATCH = 1_000
LOOK_EVERY = 128
# Flights that certainly die with a node, since it gets them when it cannot handle them any more.
DOOMED = 100
# Longer than all of this together takes on a slow machine.
PATIENCE_SECONDS = 60.0
WHOLE_SECONDS = 1_800.0


class Node:
    """A node as the coordinator sees it."""

    def __init__(self, number: int, process: NodeProcess, units: list[int]) -> None:
        self.number, self.process, self.units = number, process, units
        self.hangar = 0
        self.monitor = 0
        self.up = False
        self.doomed = 0
        """Flights that it still gets before it is killed, if it is to be killed."""
        self.waiting: set[int] = set()
        """Open flights that were never sent to it."""
        self.loss: Loss | None = None


def programs(rust_node: Path) -> list[tuple[str, str, list[str]]]:
    """Name, language and program of each node."""
    python = [sys.executable, str(HERE / "mesh_node.py")]
    return [
        ("python-1", "Python", python),
        ("python-2", "Python", python),
        ("rust-1", "Rust", [str(rust_node)]),
    ]


def kills(flights: int, every_node: bool) -> dict[int, str]:
    """Which node is killed at which flight: one of them, or each of them once."""
    if not every_node:
        return {flights * 2 // 5: "python-1"}
    # Before, at and after the swap of the detectors.
    return {flights * 3 // 10: "python-1", flights // 2: "rust-1", flights * 7 // 10: "python-2"}


def run_mesh(
    plan: Plan,
    threshold: float,
    rust_node: Path,
    kills: dict[int, str],
    tick: Tick,
    board: Board | None = None,
) -> tuple[Outcome, MeshFacts]:
    """Replays the flights on three nodes; `kills` has the nodes to kill, by the flight before."""
    if not rust_node.is_file():
        raise FleetError(f"there is no {rust_node}; `cargo xtask demo --mesh` builds it")
    with quiet(), iris.Runtime() as rt:
        cluster = cluster_name()
        rt.configure_mesh(name=COORDINATOR, cluster=cluster)
        address = rt.listen("127.0.0.1:0")
        arguments = [cluster, address, repr(threshold), str(plan.swap_at)]
        processes = [
            NodeProcess(name, kind, [*command, name, *arguments])
            for name, kind, command in programs(rust_node)
        ]
        coordinator = Coordinator(rt, plan, processes, kills, tick)
        if board is not None:
            board.coordinator = coordinator
        try:
            pid = rt.spawn_with_mailbox(coordinator.run, name=COORDINATOR)
            if not rt.join(pid, WHOLE_SECONDS):
                raise FleetError(f"the fleet did not finish within {WHOLE_SECONDS:.0f} s")
        finally:
            coordinator.let_go()
            for process in processes:
                process.abandon()
    if coordinator.failure is not None:
        raise FleetError(str(coordinator.failure)) from coordinator.failure
    if coordinator.result is None:
        raise FleetError("the coordinator crashed, see above")
    return coordinator.result


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps what the report will say off the screen: nodes that are down, dead letters."""
    loggers = [logging.getLogger(f"iris.{name}") for name in ("nodes.local", "exits")]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger in loggers:
            logger.setLevel(logging.NOTSET)


class Coordinator:
    """Streams the flights, and answers for each of them."""

    def __init__(
        self,
        rt: iris.Runtime,
        plan: Plan,
        processes: list[NodeProcess],
        kills: dict[int, str],
        tick: Tick,
    ) -> None:
        self.rt, self.plan, self.tick, self.kills = rt, plan, tick, kills
        homes = [unit % len(processes) for unit in range(len(plan.units))]
        self.ledger = Ledger(homes, len(processes))
        self.nodes = [
            Node(number, process, [unit for unit, home in enumerate(homes) if home == number])
            for number, process in enumerate(processes)
        ]
        self.by_hangar: dict[int, Node] = {}
        self.pids = [0] * len(plan.units)
        """By unit number: the stand-in of its aircraft."""
        self.path_of = {unit: path for path, unit in plan.paths.items()}
        self.phase = "starting"
        self.streamed = 0
        self.returned: list[bytes] = []
        self.losses: list[Loss] = []
        self.failure: Exception | None = None
        self.result: tuple[Outcome, MeshFacts] | None = None

    def run(self, mailbox: iris.Mailbox) -> None:
        """The actor: all of the job."""
        self.mailbox = mailbox
        try:
            self.begin()
            self.phase = "streaming"
            start = time.perf_counter()
            self.stream()
            seconds = time.perf_counter() - start
            stats = [unpack_state(self.rt.call(pid, b"", PATIENCE_SECONDS)) for pid in self.pids]
            self.end()
            incidents = sorted(Incident(*INCIDENT.unpack(each)) for each in self.ledger.incidents)
            self.result = Outcome(stats, incidents, seconds), self.facts()
        except (FleetError, NodeError, LedgerError, iris.IrisError, OSError) as error:
            self.failure = error

    def begin(self) -> None:
        """Starts the nodes, and opens the aircraft."""
        rt, own = self.rt, self.mailbox.pid
        rt.on_dead_letter(lambda pid, data, reason: self.returned.append(data))
        rt.watch_nodes(own)
        rt.watch_supervision(own)
        for node in self.nodes:
            node.process.launch()
        for node in self.nodes:
            node.process.wait_ready()
            self.adopt(node, self.find_hangar(node.process))
            rt.supervise_with_factory(node.hangar, self.factory(node.process))
            self.open_aircraft(node)

    def factory(self, process: NodeProcess) -> Callable[[], int]:
        """Starts a node that has died, for the supervisor; gives its hangar."""

        def start_again() -> int:
            process.restart()
            return self.find_hangar(process)

        return start_again

    def find_hangar(self, process: NodeProcess) -> int:
        """The stand-in of a node's hangar."""
        hangar = self.rt.resolve_remote(process.address, HANGAR)
        if hangar is None:
            raise NodeError(f"{process.name} has no hangar")
        return hangar

    def adopt(self, node: Node, hangar: int) -> None:
        """A node has a hangar, from now on this one."""
        node.hangar = hangar
        node.monitor = self.rt.monitor(self.mailbox.pid, hangar)
        self.by_hangar[hangar] = node

    def open_aircraft(self, node: Node) -> None:
        """Opens a node's aircraft with what they have last acknowledged, and finds them."""
        rt = self.rt
        for unit in node.units:
            rt.send(node.hangar, pack_open(unit, self.ledger.states[unit], self.path_of[unit]))
        # Behind all the orders: with its answer they are carried out.
        (opened,) = COUNT.unpack(rt.call(node.hangar, b"", PATIENCE_SECONDS))
        if opened != len(node.units):
            raise FleetError(f"{node.process.name} opened {opened} of {len(node.units)} aircraft")
        for unit in node.units:
            pid = rt.resolve_remote(node.process.address, self.path_of[unit])
            if pid is None:
                raise FleetError(f"{node.process.name} has nobody at {self.path_of[unit]}")
            self.pids[unit] = pid
        node.up = True

    def stream(self) -> None:
        """Sends every flight, and waits until each is acknowledged."""
        messages, ledger = self.plan.messages, self.ledger
        stride = max(1, len(messages) // STRIDES)
        for index, (unit, _) in enumerate(messages):
            if index in self.kills:
                self.doom(self.kills[index])
            node = self.nodes[ledger.homes[unit]]
            # A frozen node makes no room any more.
            while ledger.open[node.number] >= WINDOW and not node.doomed:
                self.attend(PATIENCE_SECONDS)
            ledger.write(unit, index)
            self.streamed = index + 1
            self.pass_on(node, index)
            if index % LOOK_EVERY == 0:
                self.attend(0.0)
            if index % stride == 0:
                self.tick(index)
        for node in self.nodes:
            if node.doomed:
                self.kill(node)
        while any(ledger.open):
            self.attend(PATIENCE_SECONDS)

    def pass_on(self, node: Node, index: int) -> None:
        """Sends a flight that is written down to its aircraft, if there is one now."""
        unit, message = self.plan.messages[index]
        # No stand-in: it is sent when the node is back.
        node.up = node.up and self.rt.send(self.pids[unit], message)
        if not node.up:
            node.waiting.add(index)
        elif node.doomed:
            node.doomed -= 1
            if not node.doomed:
                self.kill(node)

    def doom(self, name: str) -> None:
        """A node stands still from here on, and is killed a few flights later.

        By then it has acknowledged half of what it got, and certainly not the rest: there is
        something to restore, and something to send again.
        """
        (node,) = (node for node in self.nodes if node.process.name == name)
        handled, open_flights = self.ledger.handled, self.ledger.open
        while not node.up or handled[node.number] < open_flights[node.number]:
            self.attend(PATIENCE_SECONDS)
        node.process.freeze()
        node.doomed = DOOMED

    def kill(self, node: Node) -> None:
        """SIGKILL: from here on everything follows from what the runtime says."""
        node.doomed = 0
        self.lose(node, killed=True)
        node.process.kill()

    def lose(self, node: Node, killed: bool) -> Loss:
        """Begins the account of what follows on a node's end."""
        node.loss = Loss(node.process.name, self.streamed, killed, time.perf_counter())
        self.losses.append(node.loss)
        return node.loss

    def attend(self, timeout: float) -> None:
        """Takes what is in the mailbox; waits for it if there is a time-out."""
        batch = self.mailbox.recv_many(BATCH, timeout)
        if not batch and timeout:
            open_flights = ", ".join(
                f"{node.process.name} has {self.ledger.open[node.number]:,} open flights"
                for node in self.nodes
            )
            raise FleetError(f"nothing was heard for {timeout:.0f} s; {open_flights}")
        for message in batch:
            if isinstance(message, bytes):
                self.ledger.acknowledge(message)
            else:
                self.hear(message)

    def hear(self, news: iris.PySystemMessage) -> None:
        """News of nodes, of the hangars' stand-ins, and of the supervisor."""
        kind = news.type_name
        if kind in ("NODE_UP", "NODE_DOWN"):
            for node in self.nodes:
                if node.process.name == news.node and node.loss is not None:
                    self.note(node.loss, kind.lower())
        elif kind == "DOWN":
            for node in self.nodes:
                if node.monitor == news.reference:
                    node.up = False
                    loss = node.loss or self.lose(node, killed=False)
                    loss.reason = str(news.reason)
                    self.note(loss, "down")
        elif kind == "RESTARTED":
            assert news.from_pid is not None and news.target_pid is not None
            node = self.by_hangar.pop(news.from_pid)
            self.adopt(node, news.target_pid)
            self.restore(node)
        elif kind == "GAVE_UP":
            raise FleetError("the supervisor gave a node up that died too often")

    def note(self, loss: Loss, what: str) -> None:
        """The time of the first such event."""
        if getattr(loss, what) is None:
            setattr(loss, what, time.perf_counter() - loss.at)

    def restore(self, node: Node) -> None:
        """A node is back with empty hands: opens its aircraft, and sends what is open."""
        loss = node.loss or self.lose(node, killed=False)
        self.note(loss, "restarted")
        flights = self.ledger.begin_life(node.number, node.process.lives)
        try:
            self.open_aircraft(node)
        except (iris.DeadActorError, iris.MeshError):
            # It died again. The supervisor sees that, too, and there will be a next time.
            return
        loss.resent, loss.aircraft = flights, len(node.units)
        loss.waited = len(node.waiting.intersection(flights))
        node.waiting.clear()
        node.loss = None
        for index in flights:
            self.pass_on(node, index)
        self.note(loss, "back")

    def let_go(self) -> None:
        """From here on the end of a node is nothing that the supervisor has to mend."""
        for node in self.nodes:
            self.rt.stop_child(node.hangar)

    def end(self) -> None:
        """Ends the nodes, and waits for that."""
        self.phase = "checking"
        self.let_go()
        for node in self.nodes:
            node.process.close()
        iris.flush_reports()

    def facts(self) -> MeshFacts:
        """The figures of the tables."""
        returned = {FLIGHT.unpack(data)[0] for data in self.returned if len(data) == FLIGHT.size}
        for loss in self.losses:
            loss.returned = len(returned.intersection(loss.resent))
        resent = {flight for loss in self.losses for flight in loss.resent}
        ledger = self.ledger
        nodes = [
            NodeFacts(
                node.process.name,
                node.process.kind,
                node.process.pids,
                len(node.units),
                ledger.handled[node.number],
                node.process.lives - 1,
            )
            for node in self.nodes
        ]
        settled = len(returned - resent)
        return MeshFacts(nodes, self.losses, self.rt.dead_letters(), settled, ledger.late)
