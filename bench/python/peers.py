"""Who is measured, and how one repetition of each is run in a process of its own."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass

from measure import LIMIT_SECONDS, BenchError, Timing

HERE = pathlib.Path(__file__).parent


@dataclass(frozen=True)
class Peer:
    """An implementation of the workloads."""

    name: str
    """In the rows."""
    module: str
    """As `child.py` knows it; empty for Erlang."""


IRIS = Peer("iris", "iris")
ASYNCIO = Peer("asyncio.Queue", "asyncio")
SIMPLE_QUEUE = Peer("queue.SimpleQueue", "simple_queue")
QUEUE = Peer("queue.Queue", "queue")
PYKKA = Peer("pykka", "pykka")
BEAM = Peer("erlang", "")


class Runner:
    """Starts the processes. Used as a context manager: it keeps Erlang's compiled module."""

    def __init__(self, extras: str | None) -> None:
        self._extras = extras
        self._folder = tempfile.TemporaryDirectory(prefix="iris-bench-")

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def absent(self, peer: Peer) -> str | None:
        """Why a peer cannot be measured here, if so."""
        if peer is BEAM and not self._compiled():
            return "`erl` is not installed (erlang-base)"
        if peer is PYKKA and not (self._extras and os.path.isdir(f"{self._extras}/pykka")):
            return "pykka is not installed (bench/python/requirements.txt)"
        return None

    def run(self, peer: Peer, workload: str, n: int, size: int) -> Timing:
        """One repetition."""
        if peer is BEAM:
            return self._erlang(workload, n, size)
        command = [sys.executable, str(HERE / "child.py"), peer.module, workload, str(n), str(size)]
        environment = dict(os.environ)
        environment.pop("PYTHONPATH", None)
        if peer is PYKKA and self._extras:
            environment["PYTHONPATH"] = self._extras
        line = _last_line(command, f"{workload} on {peer.name}", environment)
        return Timing(**json.loads(line))

    def _erlang(self, workload: str, n: int, size: int) -> Timing:
        command = ["erl", "-noshell", "-kernel", "logger_level", "none", "+P", "2000000"]
        command += ["-pa", self._folder.name, "-run", "workloads", "main"]
        command += [workload, str(n), str(size)]
        line = _last_line(command, f"{workload} on Erlang", dict(os.environ))
        seconds, each = line.split()
        return Timing(n, float(seconds), 0, bytes_each=None if each == "none" else float(each))

    def _compiled(self) -> bool:
        if shutil.which("erlc") is None or shutil.which("erl") is None:
            return False
        if not os.path.isfile(f"{self._folder.name}/workloads.beam"):
            command = ["erlc", "-o", self._folder.name, str(HERE / "workloads.erl")]
            return subprocess.run(command, stdout=sys.stderr).returncode == 0
        return True


def _last_line(command: list[str], what: str, environment: dict[str, str]) -> str:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=environment,
            timeout=LIMIT_SECONDS + 30,
        )
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{what} did not end") from error
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        raise BenchError(f"{what} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return lines[-1]
