"""``strategy="actor"``: native workers run what is compiled, and the caller waits."""

from __future__ import annotations

import array
import math
import os
import signal
import sys
import threading

import pytest
from support import PATIENCE, Run

import iris


@iris.offload(strategy="actor")
def harmonic(n):
    total = 0.0
    for i in range(1, n):
        total += 1.0 / i
    return total


@iris.offload(strategy="actor")
def gauss(n):
    return n if n <= 1 else n + gauss(n - 1)


@iris.offload(strategy="actor")
def halved(x):
    return x / 2


def native(function) -> int:
    return function.stats["native"]


def test_it_answers_as_python_does() -> None:
    before = native(harmonic)
    assert harmonic(1000) == harmonic.py(1000)
    assert native(harmonic) == before + 1


def test_what_cannot_be_native_runs_in_the_caller() -> None:
    class Text(str):
        def __truediv__(self, other):
            return threading.current_thread()

    assert halved(Text("x")) is threading.current_thread()
    with pytest.raises(TypeError):
        halved("x")


def test_maps_and_recursion_run_there_too() -> None:
    data = array.array("d", [1.0, -2.0, math.inf])
    assert halved(data).tolist() == [0.5, -1.0, math.inf]
    before = native(gauss)
    assert gauss(100) == 5050
    assert native(gauss) == before + 1


def test_too_deep_a_recursion_is_pythons_own_error() -> None:
    with pytest.raises(RecursionError):
        gauss(10 * sys.getrecursionlimit())


def test_nested_calls_from_many_threads_do_not_wait_for_each_other() -> None:
    # D2c: depth and number of callers are far beyond the number of workers.
    results: list[float] = []

    def nested(depth: int) -> float:
        below = nested(depth - 1) if depth else 0.0
        return below + harmonic(10)

    def caller() -> None:
        results.append(nested(50))

    threads = [threading.Thread(target=caller) for _ in range(4 * (os.cpu_count() or 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(results) == len(threads)
    assert len(set(results)) == 1


def test_a_new_function_is_never_answered_by_the_code_of_a_dead_one() -> None:
    # D5d: 200 functions, each of which may lie where the one before it lay.
    for number in range(200):
        scope: dict[str, object] = {"n": float(number)}

        def make(n):
            @iris.offload(strategy="actor")
            def shifted(x):
                return x + n

            return shifted

        shifted = make(scope["n"])
        assert shifted(1.0) == 1.0 + number
        assert native(shifted) == 1


@pytest.mark.skipif(not hasattr(signal, "SIGINT") or os.name == "nt", reason="needs POSIX signals")
def test_ctrl_c_ends_a_call(run_program: Run) -> None:
    done = run_program(
        """
import iris, os, signal, threading

@iris.offload(strategy="actor")
def spin(n):
    total = 0
    for i in range(n):
        total ^= i
    return total

spin(10)
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    spin(1 << 62)
except KeyboardInterrupt:
    print("interrupted", spin.stats["native"])
"""
    )
    assert (done.stdout, done.stderr, done.returncode) == ("interrupted 2\n", "", 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_workers_of_its_own(run_program: Run) -> None:
    done = run_program(
        """
import iris, os

@iris.offload(strategy="actor")
def doubled(x):
    return 2 * x

print(doubled(1), flush=True)
pid = os.fork()
if pid == 0:
    print(doubled(2), doubled.stats["native"], flush=True)
    os._exit(0)
print(os.waitpid(pid, 0)[1], doubled(3))
"""
    )
    assert (done.stdout, done.returncode) == ("2\n4 2\n0 6\n", 0), done.stderr
