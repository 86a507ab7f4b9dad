"""What a program pays before its first message: importing, the first runtime, the disk.

Run in a process of its own for each figure; the anchor of the import is that of asyncio, which
iris imports too.
"""

from __future__ import annotations

import importlib
import pathlib
import time

from measure import Timing


def timed_import(module: str) -> Timing:
    """Seconds from the statement to its end, in a process that has imported little else."""
    start, cpu = time.perf_counter(), time.process_time_ns()
    importlib.import_module(module)
    return Timing(1, time.perf_counter() - start, time.process_time_ns() - cpu)


def first_runtime() -> Timing:
    """Seconds that the first `Runtime()` takes, its threads included."""
    import iris

    start, cpu = time.perf_counter(), time.process_time_ns()
    rt = iris.Runtime()
    timing = Timing(1, time.perf_counter() - start, time.process_time_ns() - cpu)
    rt.shutdown()
    return timing


def installed_bytes() -> int:
    """All files of the installed package."""
    import iris

    folder = pathlib.Path(iris.__file__).parent
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in files if path.suffix != ".pyc")
