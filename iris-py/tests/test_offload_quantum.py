"""Quantum speculation: variants of one function, chosen by time, and never seen in a result."""

from __future__ import annotations

import math
import struct
import time
from array import array
from collections.abc import Iterator

import pytest
from support import Run

import iris


@pytest.fixture
def quantum() -> Iterator[None]:
    iris.jit.set_quantum_speculation(True)
    yield
    iris.jit.set_quantum_speculation(None)


def bits(values: array[float]) -> list[bytes]:
    return [struct.pack("d", value) for value in values]


def variants(function: object) -> str:
    return function.explain().partition("variants, the chosen one first:\n")[2]


@pytest.mark.usefixtures("quantum")
def test_all_variants_give_the_bits_of_the_plain_function() -> None:
    @iris.offload
    def wave(x: float, k: float) -> float:
        return math.sin(x) * math.exp(-x * x) + (k if x > 0.5 else -k)

    data = array("d", (math.remainder(0.37 * n, 9.0) for n in range(40_000)))
    wanted = bits(array("d", (wave.py(x, 0.25) for x in data)))
    deadline = time.monotonic() + 30
    # The third variant is compiled on another thread meanwhile.
    while "cranelift" not in variants(wave):
        assert bits(wave(data, 0.25)) == wanted
        assert time.monotonic() < deadline, wave.explain()
    for _ in range(20):
        assert bits(wave(data, 0.25)) == wanted
    assert "below 2^16 elements: " in variants(wave)
    assert "block-vector on 1 thread" in variants(wave)


@pytest.mark.usefixtures("quantum")
def test_a_guard_that_fails_ends_every_variant_alike() -> None:
    @iris.offload
    def root(x: float) -> float:
        return math.sqrt(x) + math.exp(x)

    good = array("d", [1.0 + n / 1e4 for n in range(20_000)])
    bad = array("d", good)
    bad[19_999] = -1.0
    for _ in range(30):
        assert root(good)[0] == root.py(good[0])
        with pytest.raises(ValueError, match="math domain error|expected a nonnegative input"):
            root(bad)


@pytest.mark.usefixtures("quantum")
def test_small_calls_have_no_variants_timed() -> None:
    @iris.offload
    def twice(x: float) -> float:
        return 2.0 * x

    for _ in range(50):
        assert list(twice(array("d", [1.0, 2.0]))) == [2.0, 4.0]
    assert "cranelift" not in variants(twice)


def test_it_is_off_until_it_is_switched_on() -> None:
    @iris.offload
    def twice(x: float) -> float:
        return 2.0 * x

    assert iris.jit.get_quantum_speculation() is False
    for _ in range(10):
        twice(array("d", [1.0] * 1000))
    assert "variants" not in twice.explain()
    assert iris.jit.set_quantum_speculation(True) is True
    try:
        twice(array("d", [1.0] * 1000))
        assert "variants" in twice.explain()
    finally:
        assert iris.jit.set_quantum_speculation(None) is False


def test_the_environment_switches_it_on(run_program: Run) -> None:
    program = """
        import os
        os.environ["IRIS_JIT_QUANTUM"] = "1"
        import iris
        print(iris.jit.get_quantum_speculation())
        print(iris.jit.set_quantum_speculation(False))
        os.environ["MINE"] = "yes"
        print(iris.jit.set_quantum_speculation(None, env_var="MINE"))
        os.environ["MINE"] = "off"
        print(iris.jit.get_quantum_speculation())
    """
    done = run_program(program)
    assert (done.stdout, done.stderr) == ("True\nFalse\nTrue\nFalse\n", "")
    done = run_program("import iris; print(iris.jit.get_quantum_speculation())")
    assert done.stdout == "False\n"


@pytest.mark.parametrize("wrong", [1, 0, "on", 1.0])
def test_a_switch_is_no_number_and_no_text(wrong: object) -> None:
    for switch in (iris.jit.set_quantum_speculation, iris.jit.set_jit_logging):
        with pytest.raises(TypeError, match="enabled must be True, False or None, not"):
            switch(wrong)
        with pytest.raises(TypeError, match="env_var must be the name of an environment variable"):
            switch(None, wrong if not isinstance(wrong, str) else 3)
