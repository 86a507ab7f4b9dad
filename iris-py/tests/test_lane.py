"""Handlers that block or keep the GIL hold nobody else up."""

from __future__ import annotations

import os
import threading
import time

import pytest
from support import PATIENCE, Gate, Inbox

import iris


def test_blocked_handlers_leave_the_others_running(rt: iris.Runtime, inbox: Inbox) -> None:
    gates = [Gate() for _ in range(8)]
    for gate in gates:
        rt.send(rt.spawn(gate), b"x")
    for gate in gates:
        gate.wait_entered()
    rt.send(rt.spawn(inbox), b"still served")
    assert inbox.get() == b"still served"
    for gate in gates:
        gate.open()


def test_a_blocked_actor_s_own_messages_keep_their_order(rt: iris.Runtime, gate: Gate) -> None:
    pid = rt.spawn(gate, budget=1)
    other = Gate()
    rt.send(rt.spawn(other), b"x")
    messages = [b"%d" % n for n in range(1_000)]
    for message in messages:
        rt.send(pid, message)
    gate.wait_entered()
    other.wait_entered()
    other.open()
    gate.open()
    rt.stop(pid, drain=True)
    assert rt.join(pid, PATIENCE)
    assert gate.handled == messages


def test_no_two_messages_of_an_actor_are_handled_at_once(rt: iris.Runtime) -> None:
    inside = 0
    worst = 0

    def handler(data: bytes) -> None:
        nonlocal inside, worst
        inside += 1
        worst = max(worst, inside)
        time.sleep(0.012 if data == b"slow" else 0)
        inside -= 1

    pid = rt.spawn(handler)
    for n in range(300):
        rt.send(pid, b"slow" if n % 30 == 0 else b"quick")
    rt.stop(pid, drain=True)
    assert rt.join(pid, PATIENCE)
    assert worst == 1


def test_a_handler_that_keeps_the_gil_does_not_starve_the_others(
    rt: iris.Runtime, inbox: Inbox
) -> None:
    finish = threading.Event()

    def spin(data: bytes) -> None:
        while not finish.is_set():
            pass

    rt.send(rt.spawn(spin), b"x")
    rt.send(rt.spawn(inbox), b"served")
    assert inbox.get() == b"served"
    finish.set()


def test_timers_run_while_every_handler_blocks(rt: iris.Runtime, inbox: Inbox) -> None:
    gates = [Gate() for _ in range(4)]
    for gate in gates:
        rt.send(rt.spawn(gate), b"x")
    pid = rt.spawn_virtual(inbox, idle_timeout_ms=1)
    rt.send(pid, b"x")
    for gate in gates:
        gate.wait_entered()
    assert rt.join(pid, PATIENCE), "its idle time ran out"
    for gate in gates:
        gate.open()


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts threads through /proc")
def test_actors_cost_no_threads(rt: iris.Runtime, inbox: Inbox) -> None:
    rt.send(rt.spawn(inbox), b"warm up")
    inbox.get()
    before = len(os.listdir("/proc/self/task"))
    for pid in [rt.spawn(inbox) for _ in range(1_000)]:
        rt.send(pid, b"x")
    inbox.take(1_000)
    # Handlers that the machine held up for 10 ms may have brought some spare threads.
    assert len(os.listdir("/proc/self/task")) <= before + 16


def test_other_threads_get_their_turn_beside_an_actor_that_never_pauses(rt: iris.Runtime) -> None:
    pid = rt.spawn(lambda data: rt.send(pid, data))
    rt.send(pid, b"x")
    finished = threading.Event()

    def turns() -> None:
        for _ in range(100):
            time.sleep(0.001)  # lets go of the GIL, and wants it back
        finished.set()

    threading.Thread(target=turns, daemon=True).start()
    assert finished.wait(PATIENCE)
    rt.stop(pid)
