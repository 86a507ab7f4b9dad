"""Offloaded functions against Numba, NumPy and CPython, all in one run.

A row says whether the result equals CPython's, bit for bit, and how many times faster than
Numba the function is. The ratio counts, not the time: both are taken in this run.
"""

from __future__ import annotations

import argparse
import array
import json
import math
import random
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any, Callable

import kernels

try:
    import iris
except ModuleNotFoundError:
    sys.exit("iris is not installed here; `cargo xtask bench offload` builds and installs it")
try:
    import numpy as np
except ModuleNotFoundError:
    np = None
try:
    import numba
except ModuleNotFoundError:
    numba = None

Clock = time.perf_counter


@dataclass
class Row:
    """One measure; times in milliseconds."""

    name: str
    iris: float
    numba: float | None
    numpy: float | None
    cpython: float
    correct: bool
    ratio: float | None
    goal: float | None


@dataclass
class Case:
    """A kernel, its arguments, and how the contestants see it."""

    name: str
    function: Callable[..., Any]
    args: Callable[[Any], tuple[Any, ...]]
    """The arguments: arrays are ``memoryview``s for CPython and NumPy arrays for Numba. Iris gets
    what Numba gets for maps, whose results are then NumPy arrays, too, and ``memoryview``s else."""
    goal: float | None = None
    map: bool = False
    numpy: Callable[..., Any] | None = None


def best(call: Callable[[], Any], repeat: int, calls: int = 1) -> float:
    """The least time of a call, in milliseconds."""
    times = []
    for _ in range(repeat):
        start = Clock()
        for _ in range(calls):
            call()
        times.append(Clock() - start)
    return min(times) / calls * 1e3


def cases(quick: bool) -> list[Case]:
    size = 100_000 if quick else 1_000_000
    rng = random.Random(7)
    uniform = array.array("d", (rng.random() + 1e-3 for _ in range(size)))
    spots = array.array("d", (50 + 100 * rng.random() for _ in range(size)))
    zeros = array.array("d", bytes(8 * size))
    flags = array.array("b", bytes(size))

    def arrays(*data: Any) -> Callable[[Any], tuple[Any, ...]]:
        return lambda wrap: tuple(wrap(x) if isinstance(x, array.array) else x for x in data)

    polynomial = np and (lambda x: kernels.polynomial(x))
    squares = np and (lambda x: float(np.sum(x * x)))
    conditional = np and (lambda x: float(np.sum(x[x > 0.5])))
    waves = np and (lambda x: np.exp(-x) * np.sin(x) + np.log(x))
    return [
        Case("scalar call, 3 floats", kernels.magnitude, arrays(1.0, 2.0, 3.0), 3.0),
        Case("black-scholes map", kernels.black_scholes, arrays(spots, 100.0, 0.5), 4.0, True),
        Case("exp*sin+log map", kernels.wave, arrays(uniform), 2.5, True, waves),
        Case("polynomial degree 9 map", kernels.polynomial, arrays(uniform), 1.0, True, polynomial),
        Case("sum of squares", kernels.sum_of_squares, arrays(uniform), 1.0, False, squares),
        Case("conditional sum", kernels.conditional_sum, arrays(uniform), 1.5, False, conditional),
        Case("sieve", kernels.sieve, arrays(flags), 5.0),
        Case("logistic map", kernels.logistic, arrays(0.3, size), 1.1),
        Case("IIR filter", kernels.filtered, arrays(uniform, zeros), 1.1),
        Case("LCG loop", kernels.lcg, arrays(42, size), 0.95),
        Case("recursive fib", kernels.fib, arrays(20 if quick else 25), 0.95),
        Case("mandelbrot", kernels.mandelbrot, arrays(60, 40, 100), 0.95),
        Case("collatz", kernels.collatz, arrays(3_000 if quick else 30_000), 0.8),
    ]


def numba_version(case: Case) -> Callable[..., Any]:
    if not case.map:
        return numba.njit(case.function)
    # A loop as a user of Numba would write it, with the function inlined.
    inner = numba.njit(case.function)
    rest = ", ".join(f"a{n}" for n in range(1, case.function.__code__.co_argcount))
    text = (
        f"def outer(x, {rest}):\n    out = np.empty(x.size)\n    for i in range(x.size):\n"
        f"        out[i] = inner(x[i], {rest})\n    return out\n"
    )
    scope = {"np": np, "inner": inner}
    exec(text, scope)
    return numba.njit(scope["outer"])


def plain_version(case: Case) -> Callable[..., Any]:
    if not case.map:
        return case.function
    return lambda data, *rest: array.array("d", [case.function(x, *rest) for x in data])


def same(a: Any, b: Any) -> bool:
    if hasattr(a, "tobytes"):
        return a.tobytes() == b.tobytes()
    return type(a) is type(b) and (a == b or a != a and b != b)


def bound(function: Callable[..., Any], case: Case) -> Callable[..., Any]:
    """The function, also as what the kernel's name means: a recursion calls by name."""
    setattr(kernels, case.function.__name__, function)
    return function


def measured(case: Case, repeat: int) -> Row:
    args = case.args(memoryview)
    calls = 100_000 if case.name.startswith("scalar") else 1
    plain = plain_version(case)
    expected = plain(*case.args(memoryview))
    cpython = best(lambda: plain(*args), 1 if calls == 1 else repeat, calls)
    offloaded = bound(iris.offload(case.function), case)
    numpy_args = np and case.args(lambda data: np.frombuffer(data, dtype=data.typecode).copy())
    if case.map and numpy_args:
        args = numpy_args
    result = offloaded(*args)
    if offloaded.stats["native"] != 1:
        sys.exit(f"{case.name} ran as Python:\n{offloaded.explain()}")
    native = best(lambda: offloaded(*args), repeat, calls)
    numba_time = numpy_time = None
    if numba is not None and np is not None:
        jitted = bound(numba_version(case), case)
        jitted(*numpy_args)
        numba_time = best(lambda: jitted(*numpy_args), repeat, calls)
    bound(case.function, case)
    if case.numpy is not None:
        numpy_time = best(lambda: case.numpy(*numpy_args), repeat, calls)
    ratio = numba_time / native if numba_time else None
    correct = same(result, expected)
    return Row(case.name, native, numba_time, numpy_time, cpython, correct, ratio, case.goal)


IMPORT = {
    "iris": "import iris\n@iris.offload\ndef f(x):\n    return x * 2.0\nf(1.0)\n",
    "numba": "import numba\n@numba.njit\ndef f(x):\n    return x * 2.0\nf(1.0)\n",
}


def first_call(module: str, repeat: int) -> float:
    """Milliseconds from the start of an interpreter to its first compiled result."""
    import pathlib
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "program.py"
        path.write_text(IMPORT[module])
        empty = pathlib.Path(folder) / "empty.py"
        empty.write_text("")
        start = best(lambda: subprocess.run([sys.executable, empty], check=True), repeat)
        return best(lambda: subprocess.run([sys.executable, path], check=True), repeat) - start


def compile_time(case: Case) -> tuple[float, float | None]:
    args = case.args(memoryview)
    start = Clock()
    iris.offload(case.function)(*args)
    iris_time = (Clock() - start) * 1e3
    if numba is None or np is None:
        return iris_time, None
    numba_args = case.args(lambda data: np.frombuffer(data, dtype=data.typecode).copy())
    start = Clock()
    numba_version(case)(*numba_args)
    return iris_time, (Clock() - start) * 1e3


def rows(quick: bool) -> list[Row]:
    repeat = 5 if quick else 15
    table = [measured(case, repeat) for case in cases(quick)]
    small = Case("compile small", kernels.magnitude, lambda _: (1.0, 2.0, 3.0), 100.0)
    for case, name in ((small, "compile small"), (cases(True)[1], "compile black-scholes map")):
        native, other = compile_time(case)
        ratio = other / native if other else None
        table.append(Row(name, native, other, None, math.nan, True, ratio, 100.0))
    native = first_call("iris", repeat)
    other = first_call("numba", 3) if numba else None
    ratio = other / native if other else None
    table.append(Row("import + first call", native, other, None, math.nan, True, ratio, 15.0))
    return table


def shown(value: float | None) -> str:
    if value is None or value != value:
        return "-"
    return f"{value:.3f}" if value >= 0.1 else f"{value * 1e6:.0f} ns"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller inputs, fewer rounds")
    parser.add_argument("--json", action="store_true", help="one JSON object per row")
    options = parser.parse_args()
    for name, module in (("NumPy", np), ("Numba", numba)):
        if module is None:
            print(f"{name} is not installed: its column stays empty", file=sys.stderr)
    table = rows(options.quick)
    for row in table:
        if options.json:
            print(json.dumps(asdict(row)))
    if not options.json:
        print(f"{'ms':28}{'iris':>11}{'numba':>11}{'numpy':>11}{'cpython':>11}  correct   ratio  goal")
        for row in table:
            times = "".join(f"{shown(x):>11}" for x in (row.iris, row.numba, row.numpy, row.cpython))
            ratio = "-" if row.ratio is None else f"{row.ratio:.2f}x"
            goal = "-" if row.goal is None else f"{row.goal:g}x"
            print(f"{row.name:28}{times}  {'yes' if row.correct else 'NO':>7} {ratio:>7}  {goal}")
    return 0 if all(row.correct for row in table) else 1


if __name__ == "__main__":
    sys.exit(main())
