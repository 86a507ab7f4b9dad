"""What became of offloaded functions: the log of compilations, and the report."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator

import pytest
from support import Run

import iris
from iris.jit import get_jit_logging, set_jit_logging


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("IRIS_JIT_LOG", raising=False)
    yield
    set_jit_logging(None, env_var="IRIS_JIT_LOG")


def compile_one() -> None:
    @iris.offload
    def doubled(x):
        return 2 * x

    assert doubled(1.5) == 3.0


def test_the_log_is_off_by_default(caplog: pytest.LogCaptureFixture) -> None:
    assert not get_jit_logging()
    compile_one()
    assert caplog.records == []


def test_a_compilation_is_one_record(caplog: pytest.LogCaptureFixture) -> None:
    assert set_jit_logging(True)
    with caplog.at_level(logging.INFO, "iris.jit"):
        compile_one()
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("iris.jit", "INFO")
    assert record.getMessage().startswith("doubled(float) -> float\n  back end: cranelift")


def test_a_refusal_is_logged_with_its_place(caplog: pytest.LogCaptureFixture) -> None:
    @iris.offload
    def listed(x):
        return [x]

    set_jit_logging(True)
    with caplog.at_level(logging.INFO, "iris.jit"):
        assert listed(1) == [1]
    assert all("mend:" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1", True), ("true", True), ("x", True), ("0", False), ("", False), ("Off", False)],
)
def test_the_environment_decides_unless_told(
    monkeypatch: pytest.MonkeyPatch, value: str, expected: bool
) -> None:
    monkeypatch.setenv("IRIS_JIT_LOG", value)
    assert get_jit_logging() is expected
    assert set_jit_logging(not expected) is not expected
    assert set_jit_logging(None) is expected
    monkeypatch.setenv("MY_LOG", "1")
    assert set_jit_logging(None, env_var="MY_LOG") is True
    monkeypatch.delenv("MY_LOG")
    assert get_jit_logging() is False


def test_wrong_types_are_refused() -> None:
    for enabled in (1, "yes", 0.0):
        with pytest.raises(TypeError, match="True, False or None"):
            set_jit_logging(enabled)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="environment variable"):
        set_jit_logging(True, env_var=3)  # type: ignore[arg-type]
    assert not get_jit_logging()


def test_a_process_started_with_the_variable_logs_to_stderr(run_program: Run) -> None:
    done = run_program(
        """
import os
os.environ["IRIS_JIT_LOG"] = "1"
import iris

@iris.offload
def doubled(x):
    return 2 * x

print(doubled(2))
"""
    )
    assert done.stdout == "4\n"
    assert done.stderr.startswith("doubled(int) -> int\n")


def test_the_report_names_those_that_are_alive() -> None:
    @iris.offload
    def reported(x):
        return x + 1

    reported(1)
    reported("x" if False else 2.5)
    text = iris.jit.report()
    name = f"{__name__}.{reported.__qualname__}"
    assert f"{name}: 2 native, 0 as Python" in text
    assert "    reported(float) -> float" in text
    del reported
    gc.collect()
    assert name not in iris.jit.report()
