"""The page of a run: a node in JavaScript, `gateway/`, that shows it in a browser."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from actors import FleetError
from board import Board, cluster_name, hung_up
from data import Flight
from fleet import Plan
from processes import NodeError, NodeProcess

PROGRAM = Path(__file__).resolve().parent / "gateway" / "main.js"
OLDEST_NODE = 20
# For the page to hear how the run ended. It asks several times a second.
END_SECONDS = 5.0


class Page:
    """The page while it is there."""

    def __init__(self, board: Board, process: NodeProcess) -> None:
        self.board, self.process = board, process

    @property
    def url(self) -> str:
        """Where the browser finds it."""
        return self.process.address

    def wait_browser(self, seconds: float) -> bool:
        """Waits until a browser has the page open, so that it sees the run from its beginning."""
        return self.board.seen.wait(seconds)

    def wait_seen(self) -> None:
        """Waits until the page knows how the run ended, or is not there to know it."""
        for _ in range(int(END_SECONDS * 10)):
            if self.process.status() is not None or self.board.seen_to_the_end.wait(0.1):
                return

    def stay(self) -> None:
        """Waits for the end of the page, which is that of its process."""
        while self.process.status() is None:
            time.sleep(0.5)


def node_program() -> str:
    """Node.js of a fit version."""
    mend = f"install Node.js {OLDEST_NODE} or later, or leave --gateway out"
    node = shutil.which("node")
    if node is None:
        raise FleetError(f"the gateway needs Node.js, and there is no `node` on PATH; {mend}")
    try:
        done = subprocess.run(
            [node, "--version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FleetError(f"`{node} --version` failed: {error}; {mend}") from error
    version = re.match(r"v(\d+)\.", done.stdout)
    if version is None or int(version[1]) < OLDEST_NODE:
        said = done.stdout.strip() or "nothing"
        raise FleetError(f"`{node} --version` says {said}, which is too old; {mend}")
    return node


@contextmanager
def serving(plan: Plan, flights: list[Flight], port: int = 0) -> Iterator[Page]:
    """Starts the gateway, which shows the run of a coordinator that gets the page's board."""
    node = node_program()
    board = Board(plan, flights)
    with hung_up(board) as address:
        command = [node, str(PROGRAM), cluster_name(), address, str(port)]
        process = NodeProcess("gateway", "JavaScript", command)
        try:
            try:
                process.restart()
            except NodeError as error:
                raise FleetError(f"{error}; `cargo xtask node --release` builds its module") from error
            yield Page(board, process)
            end(process)
        except BaseException:
            board.failed = True
            raise
        finally:
            process.abandon()


def end(process: NodeProcess) -> None:
    """Ends the gateway. How it does is not part of the run, but worth a line."""
    try:
        process.close()
    except NodeError as error:
        print(f"fleet: {error}; the run did not need it", file=sys.stderr)
