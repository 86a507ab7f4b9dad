"""The type stubs tell the truth about the built module."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

pytest.importorskip("mypy", reason="needs Python 3.10")


def run(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *arguments], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_stubs_match_the_module() -> None:
    run("mypy.stubtest", "iris._iris")


def test_the_package_is_typed_strictly() -> None:
    run("mypy", "--strict", "--cache-dir", "/dev/null", "--package", "iris")


def test_the_examples_are_typed_strictly() -> None:
    programs = sorted((pathlib.Path(__file__).parents[2] / "examples" / "fleet").glob("*.py"))
    assert programs
    run("mypy", "--strict", "--cache-dir", "/dev/null", *map(str, programs))


def test_a_program_is_checked_against_the_stubs(tmp_path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        """
import iris

@iris.offload(return_type="float")
def half(x: float) -> float:
    return x / 2

with iris.Runtime() as rt:
    pid: int = rt.spawn(lambda data: print(data.decode()), name="printer")
    sent: bool = rt.send(pid, bytearray(b"x"))
    where: int | None = rt.whereis("printer")
    y: float = half(3.0)
    how: str = half.explain()
    native: int = half.stats["native"]
    half("3.0")  # type: ignore[arg-type]
    workers: list[int] = iris.spawn_child_pool(rt, pid, print, size=2)
    rt.spawn(42)  # type: ignore[call-overload]
    rt.send("printer", b"x")  # type: ignore[arg-type]
"""
    )
    run("mypy", "--strict", "--warn-unused-ignores", "--cache-dir", "/dev/null", str(program))
