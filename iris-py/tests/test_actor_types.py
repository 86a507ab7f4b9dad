"""Calls of actors are checked by mypy: what is right passes, what is wrong does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="needs Python 3.10")

PRELUDE = """
import iris

class Counter(iris.Actor):
    def __init__(self, start: int = 0) -> None:
        self.n = start

    def add(self, k: int, *, times: int = 1) -> int:
        self.n += k * times
        return self.n

    def name(self) -> str:
        return repr(self.ref)

    async def later(self, x: float) -> bytes:
        return b""

class Other(iris.Actor):
    def other(self) -> None: ...

class Loud(Counter):
    def add(self, k: int, *, times: int = 1) -> int:
        return super().add(k, times=times)
"""

RIGHT = """
async def main() -> None:
    async with iris.Runtime() as rt:
        ref: iris.Ref[Counter] = rt.spawn(Counter, start=3)
        again: iris.Ref[Counter] = rt.spawn(Counter)
        plain: int = rt.spawn(lambda data: print(data), name="printer")
        def handler(data: bytes) -> bytes:
            return data
        handled: int = rt.spawn(handler, 50, on_error="resume")
        named: iris.Ref[Counter] = rt.spawn_actor(Counter, (3,), name="counter", capacity=5)
        ref.tell(Counter.add, 1)
        ref.tell(Counter.add, k=1, times=2)
        ref.tell(Counter.later, 1.0)
        a: int = ref.call(Counter.add, 1)
        b: int = ref.call(Counter.add, 1, times=3)
        c: int = await ref.ask(Counter.add, 2, timeout=1)
        d: str = await ref.ask(Counter.name)
        e: str = ref.call(Counter.name, timeout=None)
        f: bytes = await ref.ask(Counter.later, 0.5)
        g: bytes = ref.call(Counter.later, 0.5, timeout=2.0)
        h: bytes = await rt.ask(ref, b"x", timeout=1)
        i: bytes = rt.call(plain, bytearray(b"x"))
        loud: iris.Ref[Counter] = rt.spawn(Loud)
        j: int = loud.call(Counter.add, 1)
        k: int = rt.spawn(Loud).call(Counter.add, 1)
        rt.send_after(ref, 10, ref.pack(Counter.add, 1))
        rt.hot_swap(ref, Loud, migrate=lambda old: {"n": old.n})
        rt.hot_swap(plain, handler)
        l: iris.Ref[Other] = rt.ref(plain, Other)
        pid: int = ref
        sent: bool = rt.send(ref, b"x")
"""

WRONG = [
    'rt.spawn(Counter, start="3")',
    "rt.spawn(Counter, begin=3)",
    "rt.spawn(Counter, 1, 2)",
    "rt.spawn_actor(dict)",
    "rt.spawn(42)",
    'ref.tell(Counter.add, "1")',
    "ref.tell(Counter.add)",
    "ref.tell(Counter.add, 1, 2)",
    "ref.tell(Counter.add, 1, often=2)",
    "ref.tell(Other.other)",
    'ref.tell("add", 1)',
    'ref.call(Counter.add, "1")',
    "ref.call(Other.other)",
    "ref.call(Counter.add, 1, timeout='x')",
    "x1: str = ref.call(Counter.add, 1)",
    'ref.call(Counter.add, "1", timeout=1)',
    "x2: str = await ref.ask(Counter.add, 1)",
    "x3: int = await ref.ask(Counter.later, 1.0)",
    "x4: str = await ref.ask(Counter.add, 1, timeout=1)",
    'await ref.ask(Counter.later, "x")',
    'ref.pack(Counter.add, "1")',
    "x5: iris.Ref[Other] = rt.spawn(Counter)",
    "await rt.ask(ref, 'text')",
]


def check(path: Path, text: str) -> subprocess.CompletedProcess[str]:
    path.write_text(text)
    command = [sys.executable, "-m", "mypy", "--strict", "--warn-unused-ignores"]
    command += ["--cache-dir", "/dev/null", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_what_is_right_passes(tmp_path: Path) -> None:
    done = check(tmp_path / "right.py", PRELUDE + RIGHT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_wrong_is_an_error_each(tmp_path: Path) -> None:
    text = PRELUDE + "async def main(rt: iris.Runtime, ref: iris.Ref[Counter]) -> None:\n"
    first = text.count("\n") + 1
    text += "".join(f"    {line}\n" for line in WRONG)
    done = check(tmp_path / "wrong.py", text)
    # One line of mypy's is "wrong.py:12: error: ..".
    errors = [line.split(":") for line in done.stdout.splitlines() if ": error:" in line]
    lines = {int(parts[1]) for parts in errors}
    missed = [wrong for at, wrong in enumerate(WRONG, first) if at not in lines]
    assert not missed, done.stdout
    assert lines == set(range(first, first + len(WRONG))), done.stdout
