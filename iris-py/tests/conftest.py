from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import Gate, Inbox, Run

import iris


@pytest.fixture
def rt() -> Iterator[iris.Runtime]:
    with iris.Runtime() as runtime:
        yield runtime


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def run_script() -> Run:
    """Runs Python text in a process of its own, so that a crash or hang is a failed test."""

    def run(text: str, timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
        # Python 3.12 and later warn of forking beside threads, which some tests are about.
        quiet = "ignore:This process:DeprecationWarning"
        command = [sys.executable, "-X", "faulthandler", "-W", quiet, "-c", textwrap.dedent(text)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout)

    return run


@pytest.fixture
def run_program(tmp_path: Path) -> Run:
    """As ``run_script``, from a file: functions then have a source."""

    def run(text: str, timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
        program = tmp_path / "program.py"
        program.write_text(textwrap.dedent(text))
        command = [sys.executable, "-X", "faulthandler", str(program)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout)

    return run
