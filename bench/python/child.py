"""One repetition of one workload in a process of its own: `child.py PEER WORKLOAD N SIZE`."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

import measure
import startup


def find(peer: str, workload: str) -> Any:
    """The function that does a workload on a peer."""
    if peer in ("simple_queue", "queue"):
        import on_threads

        return {"simple_queue": on_threads.SIMPLE_QUEUE, "queue": on_threads.QUEUE}[peer][workload]
    module: ModuleType = importlib.import_module(f"on_{peer}")
    return getattr(module, workload)


def main() -> None:
    """Prints the timing as one line."""
    peer, workload, n, size = sys.argv[1:]
    if workload == "import":
        timing = startup.timed_import(peer)
    elif workload == "runtime":
        timing = startup.first_runtime()
    elif workload == "installed":
        timing = measure.Timing(startup.installed_bytes(), 1.0, 0)
    else:
        timing = find(peer, workload)(int(n), int(size))
    print(timing.line(), flush=True)


if __name__ == "__main__":
    main()
