"""``python -m iris``."""

from __future__ import annotations

import subprocess
import sys

import pytest

import iris
from iris import __main__ as command


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "iris", *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=120)


def test_version() -> None:
    done = run("version")
    assert (done.returncode, done.stdout, done.stderr) == (0, iris.version() + "\n", "")


def test_info_says_what_was_found() -> None:
    done = run("info")
    assert (done.returncode, done.stderr) == (0, "")
    found = dict(line.split(":", 1) for line in done.stdout.splitlines())
    assert iris.version() in found["iris"]
    assert ".".join(map(str, sys.version_info[:3])) in found["python"]
    assert {"free-threaded build", "processors", "vector extensions", "thread limit"} <= set(found)


def test_the_doctor_tries_things_out() -> None:
    done = run("doctor")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    for what in ("actor round trip", "on its own thread", "offloaded function"):
        assert f"{what}:" in done.stdout
    assert done.stdout.count("ok, ") == 3
    assert "microseconds each" in done.stdout


def test_the_doctor_fails_if_something_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> str:
        raise TimeoutError("no answer")

    monkeypatch.setattr(command, "CHECKS", [("a check", broken), ("another", lambda: "fine")])
    assert command.main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "FAILED: TimeoutError: no answer" in out
    assert "ok, fine" in out, "the others are tried all the same"


def test_help_names_the_commands_and_exit_codes() -> None:
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("version", "info", "doctor", "Exit codes"):
        assert word in done.stdout


@pytest.mark.parametrize("arguments", [(), ("nonsense",), ("version", "extra")])
def test_wrong_commands_are_refused(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "usage: python -m iris" in done.stderr


PRICES = """def total(price, count):
    return price * count

def tabled(price):
    return {price: 1}

def checked(data):
    return sum(value for value in data)

class Shop:
    @staticmethod
    def half(x):
        return x / 2

LIMIT = 3
"""


@pytest.fixture
def shop(tmp_path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "shop.py").write_text(PRICES)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["shop:total", "2.5", "4"], 0, ["result: 10.0", "total(float, int) -> float"]),
        (["shop:total", "--", "-3", "4"], 0, ["result: -12", "total(int, int) -> int"]),
        (["shop:checked", "[1.5, 2.0]"], 0, ["result: 3.5", "array of f64"]),
        (["shop:checked", "[1, 2]"], 0, ["result: 3", "array of i64"]),
        (["shop:Shop.half", "3"], 0, ["result: 1.5"]),
        (["shop:tabled", "3"], 1, ["result: {3: 1}", "a dict is not compiled", "^", "mend:"]),
        (["shop:tabled"], 0, ["a dict is not compiled"]),
        (["shop:total", "1"], 1, ["raised: TypeError"]),
        (["shop:total", "'a'", "2"], 1, ["result: 'aa'"]),
    ],
)
def test_explain_says_what_becomes_of_a_function(shop, arguments, code, words) -> None:
    done = run("explain", *arguments)
    assert (done.returncode, done.stderr) == (code, ""), done.stdout
    for word in words:
        assert word in done.stdout


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["shop"], "is not MODULE:FUNCTION"),
        (["shop:nothing"], "is not found"),
        (["nowhere:f"], "is not found"),
        (["shop:LIMIT"], "is no function but of type int"),
        (["shop:total", "price", "2"], "price is no literal"),
        (["shop:checked", f"[{2**70}]"], "beyond 64 bits"),
    ],
)
def test_explain_says_what_it_cannot_do(shop, arguments, word) -> None:
    done = run("explain", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert word in done.stderr
    assert "Traceback" not in done.stderr
