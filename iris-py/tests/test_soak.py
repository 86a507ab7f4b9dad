"""Traffic at random for a few seconds, and memory that comes and goes. `cargo xtask soak` is the
same for as long as one likes."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest
from support import Run

SOAK = pathlib.Path(__file__).with_name("soak.py")


@pytest.mark.parametrize("seed", ["1", "2"])
def test_p6_random_traffic_loses_nothing_and_hangs_nowhere(seed: str) -> None:
    command = [sys.executable, str(SOAK), "2.5", seed]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr


@pytest.mark.skipif(not os.path.isfile("/proc/self/statm"), reason="reads memory from /proc")
def test_d26_the_memory_of_the_dead_is_used_again(run_script: Run) -> None:
    done = run_script("""
        import gc, threading
        import iris

        def megabytes():
            with open("/proc/self/statm") as statm:
                return int(statm.read().split()[1]) * 4096 / 1e6

        def round(rt):
            handler = lambda data: None
            pids = [rt.spawn(lambda data: None, capacity=4) for _ in range(50_000)]
            for pid in pids[::2]:
                rt.send(pid, b"x")
            for pid in pids[::5]:
                rt.hot_swap(pid, lambda data: None)
            grown = megabytes()
            for pid in pids:
                rt.stop(pid)
            for pid in pids:
                rt.join(pid)
            return max(grown, megabytes())

        with iris.Runtime() as rt:
            before = megabytes()
            first = max(round(rt) for _ in range(2))
            later = max(round(rt) for _ in range(5))
            print(before, first, later)
            # Five times what was spawned in the first ones; nothing of it stays for good.
            assert later - before < 1.5 * (first - before), (before, first, later)
    """)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr


@pytest.mark.skipif(not os.path.isfile("/proc/self/statm"), reason="reads memory from /proc")
def test_runtimes_that_come_and_go_leave_nothing_behind(run_script: Run) -> None:
    done = run_script("""
        import gc
        import iris

        def kilobytes():
            with open("/proc/self/statm") as statm:
                return int(statm.read().split()[1]) * 4

        def rounds(count):
            for _ in range(count):
                with iris.Runtime() as rt:
                    pids = [rt.spawn(lambda data: None) for _ in range(1000)]
                    for pid in pids:
                        rt.send(pid, b"x")
            gc.collect()
            return kilobytes()

        first = rounds(20)
        later = rounds(40)
        print(first, later)
        # A runtime with its thousand actors holds about half a megabyte while it lives.
        assert later - first < 40 * 100, (first, later)
    """)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
