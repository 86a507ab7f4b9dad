"""The nodes' processes: started, waited for, stopped, killed, and never left behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
from dataclasses import dataclass, field

# A cold interpreter on a busy machine needs a few seconds.
START_SECONDS = 60.0
END_SECONDS = 20.0
READY = "READY "


class NodeError(Exception):
    """A node's process did not do what it had to."""


@dataclass
class NodeProcess:
    """One node's process, and its successors.

    A node says `READY <address>` on its standard output, and ends when its standard input does:
    so it ends with its parent, however that ends.
    """

    name: str
    kind: str
    """What it is written in."""
    command: list[str]
    """The program with its arguments; the life is added as the last."""
    lives: int = 0
    """How often it was started."""
    pids: list[int] = field(default_factory=list)
    address: str = ""
    _process: subprocess.Popen[str] | None = None
    _closed: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def launch(self) -> None:
        """Starts a process without waiting until it is ready."""
        with self._lock:
            if self._closed:
                raise NodeError(f"{self.name} is not started any more: the demo ends")
            self.lives += 1
            # A session of its own: Ctrl-C is for the parent, which closes its nodes.
            self._process = subprocess.Popen(
                [*self.command, str(self.lives)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            self.pids.append(self._process.pid)

    def wait_ready(self) -> None:
        """Waits until the node listens, and remembers where."""
        process = self._running()
        assert process.stdout is not None
        # It writes one short line, all at once.
        readable, _, _ = select.select([process.stdout], [], [], START_SECONDS)
        if not readable:
            raise NodeError(f"{self.name} was not ready within {START_SECONDS:.0f} s")
        line = process.stdout.readline()
        if not line.startswith(READY):
            status = "" if line else f" (status {process.wait(END_SECONDS)})"
            raise NodeError(f"{self.name} said {line.strip()!r} instead of READY{status}")
        self.address = line[len(READY) :].strip()

    def restart(self) -> None:
        """Starts a successor of a process that is gone, and waits until it is ready."""
        self._reap()
        self.launch()
        self.wait_ready()

    def freeze(self) -> None:
        """Has the system stop the process between two instructions, and waits for that."""
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)

    def thaw(self) -> None:
        """Lets a frozen process go on."""
        self._running().send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, and no more than that."""
        self._running().kill()

    def status(self) -> int | None:
        """How the process ended; None while it runs."""
        process = self._process
        return None if process is None else process.poll()

    def close(self) -> None:
        """Lets the process end by itself; kills it, and raises, if it fails or takes long."""
        with self._lock:
            self._closed = True
            process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        try:
            process.stdin.close()
            status = process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            raise NodeError(f"{self.name} did not end within {END_SECONDS:.0f} s") from None
        finally:
            _end(process)
        if status != 0:
            raise NodeError(f"{self.name} ended with status {status}")

    def abandon(self) -> None:
        """Kills the process, in whatever state it is, and starts none any more."""
        with self._lock:
            self._closed = True
            process, self._process = self._process, None
        if process is not None:
            _end(process)

    def _reap(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            _end(process)

    def _running(self) -> subprocess.Popen[str]:
        process = self._process
        if process is None:
            raise NodeError(f"{self.name} has no process")
        return process


def _end(process: subprocess.Popen[str]) -> None:
    """Kills what may still run, and gives back what belongs to it."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
