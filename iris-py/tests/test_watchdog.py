"""Handlers that are at one message for long, and mailboxes that fill, are told of."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Iterator

import pytest
from support import PATIENCE, Gate, Inbox, Run

import iris


class Warnings(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.queue: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()

    def emit(self, record: logging.LogRecord) -> None:
        self.queue.put(record)

    def next(self) -> logging.LogRecord:
        return self.queue.get(timeout=PATIENCE)


@pytest.fixture
def warnings() -> Iterator[Warnings]:
    handler = Warnings()
    logging.getLogger("iris").addHandler(handler)
    yield handler
    logging.getLogger("iris").removeHandler(handler)


@pytest.mark.parametrize("release_gil", [False, True])
def test_p21_a_handler_that_waits_is_told_with_the_place_where_it_is(
    rt: iris.Runtime, warnings: Warnings, release_gil: bool
) -> None:
    rt.set_watchdog(0.05)
    go = threading.Event()

    def waits_for_somebody(data: bytes) -> None:
        go.wait(PATIENCE)

    pid = rt.spawn(waits_for_somebody, name="the slow one", release_gil=release_gil)
    rt.send(pid, b"1")
    rt.send(pid, b"2")
    first, again = warnings.next(), warnings.next()
    assert (first.name, first.levelno) == ("iris.watchdog", logging.WARNING)
    assert first.actor == pid  # type: ignore[attr-defined]
    text = first.getMessage()
    assert text.startswith(f"actor {pid} 'the slow one' (test_p21")
    assert "waits_for_somebody" in text
    assert "1 more wait" in text
    assert "go.wait(PATIENCE)" in text, "the line that it is at"
    assert again.actor == pid  # type: ignore[attr-defined]

    def seconds(record: logging.LogRecord) -> float:
        return float(record.getMessage().split(" for ")[1].split(" s;")[0])

    assert seconds(first) >= 0.05
    assert seconds(again) >= 2 * seconds(first) * 0.99, "again when the time has doubled"
    go.set()


def test_p21_a_handler_that_keeps_the_gil_is_told_too(
    rt: iris.Runtime, warnings: Warnings
) -> None:
    rt.set_watchdog(0.05)
    finish = threading.Event()

    def spins(data: bytes) -> None:
        while not finish.is_set():
            pass

    pid = rt.spawn(spins)
    rt.send(pid, b"x")
    text = warnings.next().getMessage()
    finish.set()
    assert f"actor {pid}" in text
    assert "in spins" in text


def test_many_quick_messages_are_no_long_one(rt: iris.Runtime, warnings: Warnings) -> None:
    rt.set_watchdog(0.1)
    done = threading.Event()
    began = time.monotonic()

    def handler(data: bytes) -> None:
        time.sleep(0.001)
        if time.monotonic() > began + 0.6:
            done.set()

    pid = rt.spawn(handler)
    while not done.is_set():
        rt.send(pid, b"x")
        time.sleep(0.0005)
    assert iris.flush_reports()
    assert warnings.queue.empty()


def test_it_can_be_turned_off_and_on(warnings: Warnings) -> None:
    with iris.Runtime(watchdog=None) as rt:
        gate, go = Gate(), threading.Event()
        rt.send(rt.spawn(gate), b"x")
        gate.wait_entered()
        # Nobody is to look: what could be waited for is the next that somebody does.
        rt.set_watchdog(0.02)
        assert "Gate" in warnings.next().getMessage()
        rt.set_watchdog(None)
        gate.open()
        rt.send(rt.spawn(lambda data: go.wait(PATIENCE)), b"x")
        rt.set_watchdog(0.02)
        while "lambda" not in warnings.next().getMessage():
            pass
        go.set()


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_times_that_cannot_be_are_refused(rt: iris.Runtime, seconds: float) -> None:
    with pytest.raises(ValueError, match="watchdog must be"):
        rt.set_watchdog(seconds)
    with pytest.raises(ValueError, match="watchdog must be"):
        iris.Runtime(watchdog=seconds)


def test_a_pull_actor_is_not_watched(rt: iris.Runtime, warnings: Warnings) -> None:
    rt.set_watchdog(0.02)
    pull = rt.spawn_with_mailbox(lambda mailbox: list(mailbox))
    rt.send(pull, b"x")
    gate = Gate()
    pid = rt.spawn(gate)
    rt.send(pid, b"x")
    for _ in range(3):
        assert warnings.next().actor == pid  # type: ignore[attr-defined]
    gate.open()


def test_it_does_not_keep_the_process(run_script: Run) -> None:
    done = run_script("""
        import threading
        import iris
        rt = iris.Runtime(watchdog=0.01)
        entered = threading.Event()
        def handler(data):
            entered.set()
            threading.Event().wait(0.3)
        rt.send(rt.spawn(handler), b"x")
        entered.wait(20)
    """)
    assert done.returncode == 0
    assert "has been handling one message" in done.stderr
    assert "panicked" not in done.stderr


def backlog(warnings: Warnings) -> list[int]:
    """How many messages waited at each warning."""
    assert iris.flush_reports()
    found = []
    while not warnings.queue.empty():
        record = warnings.queue.get()
        if record.name == "iris.sched.backlog":
            text = record.getMessage()
            assert text.startswith("many messages wait in a mailbox")
            found.append(int(text.split("waiting=")[1].split(")")[0].split(",")[0]))
    return found


def test_p11_a_mailbox_that_fills_is_told_once_for_each_doubling(
    rt: iris.Runtime, inbox: Inbox, warnings: Warnings
) -> None:
    turn, held = threading.Semaphore(0), threading.Semaphore(0)

    def slow(data: bytes) -> None:
        if data == b"stop":
            held.release()
            turn.acquire(timeout=PATIENCE)

    # One message for each slice, and a look after each.
    pid = rt.spawn(slow, budget=1)

    def grow(count: int) -> None:
        """Sends so many, and has the actor take one turn."""
        for _ in range(count):
            rt.send(pid, b"x")

    rt.send(pid, b"stop")
    assert held.acquire(timeout=PATIENCE)
    grow(9_000)
    turn.release()
    rt.send(pid, b"stop")
    assert held.acquire(timeout=PATIENCE)
    assert backlog(warnings) == [], "fewer than 10,000"
    for count in (12_000, 13_000, 24_000, 45_000):
        grow(count)
        rt.send(pid, b"stop")
        turn.release()
        assert held.acquire(timeout=PATIENCE)
    told = backlog(warnings)
    # 13,000 are more than 10,000 again, and less than twice that.
    assert [n // 1_000 for n in told] == [12, 24, 45]
    turn.release()


def test_a_pull_actor_s_mailbox_is_told_of_too(rt: iris.Runtime, warnings: Warnings) -> None:
    go, done = threading.Event(), threading.Event()

    def slow(mailbox: iris.Mailbox) -> None:
        go.wait(PATIENCE)
        for _ in range(200):
            mailbox.recv()
        done.set()

    pid = rt.spawn_with_mailbox(slow)
    for _ in range(11_000):
        rt.send(pid, b"x")
    go.set()
    assert done.wait(PATIENCE)
    (waiting,) = backlog(warnings)
    assert 10_000 < waiting <= 11_000
