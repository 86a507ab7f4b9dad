"""What the tests of the runs on nodes share: their programs, and a run that stands still."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import mesh
from board import Board
from fleet import INCIDENT, Plan

FLEET = Path(mesh.__file__).resolve().parent
# Far more than anything here takes.
PATIENCE = 60.0
NODE = shutil.which("node")

needs_node = pytest.mark.skipif(NODE is None, reason="there is no Node.js on PATH")


def rust_node() -> Path:
    """What `cargo xtask test` has built, or `cargo build --example fleet_node`."""
    named = os.environ.get("IRIS_FLEET_NODE")
    node = Path(named) if named else FLEET.parents[1] / "target" / "debug/examples/fleet_node"
    assert node.is_file(), f"no {node}: `cargo build --example fleet_node` builds it"
    return node


def demo_command(*flags: str) -> tuple[list[str], dict[str, str]]:
    """The demo on three nodes, quick, and its environment."""
    command = [sys.executable, str(FLEET / "main.py"), "--mesh", "--quick"]
    return [*command, "--rust-node", str(rust_node()), *flags], {**os.environ, "COLUMNS": "100"}


def demo(*flags: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs the demo without a terminal."""
    command, environment = demo_command(*flags)
    return subprocess.run(
        command,
        env={**environment, **env},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def digests(output: str) -> list[str]:
    """The digests that the demo has printed."""
    words = [line.split()[-1] for line in output.splitlines() if line.split()]
    return [word for word in words if len(word) == 64]


def stand_still(board: Board, plan: Plan, text: str) -> Any:
    """A run that stands still, in which everything that can be a text is `text`."""
    process = SimpleNamespace(name=text, kind=text, address="", lives=2, pids=[1])
    node = SimpleNamespace(process=process, up=False, units=list(range(len(plan.units))), number=0)
    loss = SimpleNamespace(
        node=text, after=1, killed=True, reason=text, restarted=0.5, back=0.75, aircraft=3, resent=[1]
    )
    incidents = [INCIDENT.pack(index, 1, 99.0, 5.0) for index in range(len(plan.messages))]
    board.coordinator = SimpleNamespace(  # type: ignore[assignment]
        phase="streaming",
        streamed=len(plan.messages),
        nodes=[node],
        ledger=SimpleNamespace(
            handled=[7], open=[0], incidents=incidents, homes=[0] * len(plan.units)
        ),
        losses=[loss],
    )
    return board.coordinator
