"""Mailboxes with a bound, and what becomes of messages that find them full."""

from __future__ import annotations

import os
import queue
import re
import subprocess
import threading
from collections.abc import Callable

import pytest
from support import PATIENCE, Gate, Inbox, Run

import iris

NOBODY = (1 << 52) + 17

Letter = tuple[int, bytes, str]


def check(done: subprocess.CompletedProcess[str], output: str = "") -> None:
    assert (done.returncode, done.stderr, done.stdout.strip()) == (0, "", output)


def full(rt: iris.Runtime, gate: Gate, capacity: int = 1) -> int:
    """An actor that is inside its first message, with as many waiting as there is room for."""
    pid = rt.spawn_py_handler_bounded(gate, budget=100, capacity=capacity)
    assert rt.send(pid, b"held")
    gate.wait_entered()
    for number in range(capacity):
        assert rt.send(pid, b"%d" % number)
    return pid


def letters_of(rt: iris.Runtime) -> list[Letter]:
    letters: list[Letter] = []
    rt.on_dead_letter(lambda *letter: letters.append(letter))
    return letters


def send_aside(send: Callable[[], bool]) -> Callable[[], bool]:
    """Calls it on a thread of its own; a function that waits for what it returns."""
    answers: queue.SimpleQueue[bool] = queue.SimpleQueue()
    threading.Thread(target=lambda: answers.put(send()), daemon=True).start()
    return lambda: answers.get(timeout=PATIENCE)


def test_the_description_s_example_runs_as_printed(run_script: Run) -> None:
    done = run_script("""
        import sys
        # The three sends are quicker than this, so that no handler comes in between.
        sys.setswitchinterval(30)
        from iris import Runtime
        rt = Runtime()

        # handler simply prints messages
        pid = rt.spawn_py_handler_bounded(lambda m: print('got', m), budget=100, capacity=2)

        # first two sends succeed
        assert rt.send(pid, b'one')
        assert rt.send(pid, b'two')

        # third message is dropped and send returns False
        assert not rt.send(pid, b'three')
    """)
    check(done, "got b'one'\ngot b'two'")


def test_the_description_s_policies_run_as_printed(run_script: Run) -> None:
    done = run_script("""
        from iris import Runtime
        rt = Runtime()

        primary = rt.spawn_py_handler_bounded(lambda m: print("primary", bytes(m)), budget=100, capacity=1)
        fallback = rt.spawn(lambda m: print("fallback", bytes(m)), budget=100)

        # Redirect overflow to fallback actor
        rt.set_overflow_policy(primary, "redirect", fallback)

        # Spill copies overflow to fallback and still enqueues on primary
        rt.set_overflow_policy(primary, "spill", fallback)

        # Block sender until room is available
        rt.set_overflow_policy(primary, "block", None)

        for word in (b"a", b"b", b"c"):
            assert rt.send(primary, word)
    """)
    check(done, "primary b'a'\nprimary b'b'\nprimary b'c'")


def test_a_full_mailbox_refuses_and_loses_nothing(rt: iris.Runtime, gate: Gate) -> None:
    pid = full(rt, gate, capacity=3)
    assert rt.mailbox_size(pid) == 3
    assert rt.send(pid, b"too much") is False
    rt.register("full", pid)
    assert rt.send_named("full", b"too much") is False
    assert rt.dead_letters() == 0
    gate.open()
    assert rt.stop(pid, drain=True)
    assert rt.join(pid, PATIENCE)
    assert gate.handled == [b"held", b"0", b"1", b"2"]


def test_every_kind_of_actor_can_have_a_bound(rt: iris.Runtime, gate: Gate) -> None:
    pid = rt.spawn(gate, capacity=1)
    rt.send(pid, b"held")
    gate.wait_entered()
    assert [rt.send(pid, b"x") for _ in range(2)] == [True, False]
    gate.open()
    go = threading.Event()

    def pull(mailbox: iris.Mailbox) -> None:
        go.wait(PATIENCE)
        # What is passed over is still to be handled.
        assert mailbox.selective_recv(lambda data: data == b"none such", timeout=0) is None
        inbox(b"%d" % [rt.send(mailbox.pid, b"3"), rt.send(mailbox.pid, b"4")].count(True))
        assert mailbox.recv() == b"1"
        inbox(b"%d" % rt.send(mailbox.pid, b"5"))

    inbox = Inbox()
    pid = rt.spawn_with_mailbox(pull, capacity=2)
    assert [rt.send(pid, b"%d" % n) for n in (1, 2, 3)] == [True, True, False]
    go.set()
    assert inbox.take(2) == [b"0", b"1"]


def test_dropping_the_oldest_works_while_the_handler_is_busy(rt: iris.Runtime, gate: Gate) -> None:
    letters = letters_of(rt)
    pid = rt.spawn_py_handler_bounded(gate, 100, 3)
    rt.set_overflow_policy(pid, "dropold")
    rt.send(pid, b"held")
    gate.wait_entered()
    assert [rt.send(pid, b"%d" % n) for n in range(8)] == [True] * 8
    assert rt.mailbox_size(pid) == 3
    assert iris.flush_reports()
    assert letters == [(pid, b"%d" % n, "evicted") for n in range(5)]
    gate.open()
    rt.stop(pid, drain=True)
    assert rt.join(pid, PATIENCE)
    assert gate.handled == [b"held", b"5", b"6", b"7"]
    assert rt.dead_letters() == 5


def test_redirecting_leads_to_the_target(rt: iris.Runtime, gate: Gate, inbox: Inbox) -> None:
    pid, fallback = full(rt, gate), rt.spawn(inbox)
    rt.set_overflow_policy(pid, "redirect", fallback)
    assert rt.send(pid, b"elsewhere")
    assert inbox.get() == b"elsewhere"
    assert rt.mailbox_size(pid) == 1
    rt.stop(fallback)
    assert rt.send(pid, b"nowhere") is False
    assert rt.dead_letters() == 0
    gate.open()


def test_spilling_is_a_copy(rt: iris.Runtime, gate: Gate) -> None:
    letters = letters_of(rt)
    pid, other = full(rt, gate), Gate()
    fallback = full(rt, other)
    rt.set_overflow_policy(fallback, "block")
    rt.set_overflow_policy(pid, "spill", fallback)
    assert rt.send(pid, b"copy refused"), "and nobody waits for the copy"
    assert iris.flush_reports()
    assert letters == [(fallback, b"copy refused", "refused")]
    assert (rt.mailbox_size(pid), rt.mailbox_size(fallback)) == (2, 1)
    other.open()
    assert rt.stop(fallback, drain=True)
    assert rt.join(fallback, PATIENCE)
    assert rt.send(pid, b"nobody there")
    assert iris.flush_reports()
    assert letters[1:] == [(fallback, b"nobody there", "refused")]
    gate.open()
    assert rt.stop(pid, drain=True)
    assert rt.join(pid, PATIENCE)
    assert gate.handled == [b"held", b"0", b"copy refused", b"nobody there"]


def test_blocking_senders_are_in_step_with_the_handler(rt: iris.Runtime, inbox: Inbox) -> None:
    pid = rt.spawn_py_handler_bounded(inbox, 100, 2)
    rt.set_overflow_policy(pid, "block")

    def sender(own: int) -> None:
        for number in range(500):
            assert rt.send(pid, b"%d %d" % (own, number))

    threads = [threading.Thread(target=sender, args=(own,), daemon=True) for own in range(3)]
    for thread in threads:
        thread.start()
    heard = [data.split() for data in inbox.take(1_500)]
    for own in range(3):
        numbers = [int(number) for sent_by, number in heard if int(sent_by) == own]
        assert numbers == list(range(500)), "in order"
    assert rt.dead_letters() == 0


@pytest.mark.parametrize("end", ["stop", "drain", "policy"])
def test_a_sender_that_waits_is_told_when_there_will_be_no_room(
    rt: iris.Runtime, gate: Gate, end: str
) -> None:
    pid = full(rt, gate)
    rt.set_overflow_policy(pid, "block")
    answers = [send_aside(lambda: rt.send(pid, b"late")) for _ in range(3)]
    if end == "policy":
        rt.set_overflow_policy(pid, "dropnew")
    else:
        rt.stop(pid, drain=end == "drain")
    assert [answer() for answer in answers] == [False] * 3
    gate.open()


def test_a_handler_does_not_wait(rt: iris.Runtime, gate: Gate, inbox: Inbox) -> None:
    pid = full(rt, gate)
    rt.set_overflow_policy(pid, "block")
    own: list[int] = []

    def handler(data: bytes) -> None:
        for to in (pid, own[0]):
            try:
                while rt.send(to, b"x"):
                    pass
            except iris.WouldBlockError as error:
                assert isinstance(error, iris.IrisError)
                inbox(str(error).encode())

    own.append(rt.spawn_py_handler_bounded(handler, 100, 1))
    rt.set_overflow_policy(own[0], "block")
    rt.send(own[0], b"go")
    for to in (pid, own[0]):
        assert re.match(rf"the mailbox of actor {to} is full.*handler cannot", inbox.get().decode())
    gate.open()


def test_a_pull_actor_waits_for_others_and_not_for_itself(
    rt: iris.Runtime, gate: Gate, inbox: Inbox
) -> None:
    pid = full(rt, gate)
    rt.set_overflow_policy(pid, "block")

    def pull(mailbox: iris.Mailbox) -> None:
        rt.set_overflow_policy(mailbox.pid, "block")
        assert rt.send(mailbox.pid, b"x")
        with pytest.raises(iris.WouldBlockError):
            rt.send(mailbox.pid, b"x")
        inbox(b"refused")
        inbox(b"%d" % rt.send(pid, b"from a pull actor"))

    rt.spawn_with_mailbox(pull, capacity=1)
    assert inbox.get() == b"refused"
    gate.open()
    assert inbox.get() == b"1"
    rt.stop(pid, drain=True)
    assert rt.join(pid, PATIENCE)
    assert gate.handled == [b"held", b"0", b"from a pull actor"]


def test_a_timer_does_not_wait(rt: iris.Runtime, gate: Gate, inbox: Inbox) -> None:
    letters: queue.SimpleQueue[Letter] = queue.SimpleQueue()
    rt.on_dead_letter(lambda *letter: letters.put(letter))
    pid = full(rt, gate)
    rt.set_overflow_policy(pid, "block")
    rt.send_after(pid, 1, b"tick")
    assert letters.get(timeout=PATIENCE) == (pid, b"tick", "refused")
    rt.send_after(rt.spawn(inbox), 1, b"the next timer")
    assert inbox.get() == b"the next timer"
    gate.open()


def test_a_dead_letter_hook_that_waits_holds_no_actor_up(
    rt: iris.Runtime, gate: Gate, inbox: Inbox
) -> None:
    pid = full(rt, gate)
    rt.set_overflow_policy(pid, "block")
    waits = threading.Event()

    def hook(*letter: object) -> None:
        waits.set()
        inbox(b"%d" % rt.send(pid, b"news"))

    rt.on_dead_letter(hook)
    other = Gate()
    dying = full(rt, other)
    rt.stop(dying)
    other.open()
    assert waits.wait(PATIENCE)
    served = Inbox()
    rt.send(rt.spawn(served), b"x")
    assert served.get() == b"x"
    gate.open()
    assert inbox.get() == b"1"


HANGS = {
    "the policy alone": "assert [rt.send(pid, b'x') for _ in range(500)] == [True] * 500",
    "a send to itself": """
def handler(data):
    try:
        while rt.send(own, b'x'): pass
    except iris.WouldBlockError: told.set()
own = rt.spawn_py_handler_bounded(handler, 100, 1)
rt.set_overflow_policy(own, 'block')
rt.send(own, b'x')
assert told.wait(20)
rt.stop(own)
""",
    "a stop": """
entered, go = threading.Event(), threading.Event()
def handler(data): entered.set(); go.wait(20)
own = rt.spawn_py_handler_bounded(handler, 100, 1)
rt.set_overflow_policy(own, 'block')
rt.send(own, b'x'); entered.wait(20); rt.send(own, b'x')
answers = []
sender = threading.Thread(target=lambda: answers.append(rt.send(own, b'x')))
sender.start()
assert rt.stop(own)
sender.join(20)
assert answers == [False], answers
go.set()
""",
    "a spill to a full mailbox": """
rt.set_overflow_policy(pid, 'dropnew')
primary = rt.spawn_py_handler_bounded(lambda data: None, 100, 1)
rt.set_overflow_policy(pid, 'block')
rt.set_overflow_policy(primary, 'spill', pid)
assert all([rt.send(primary, b'x') for _ in range(5_000)])
""",
    "a shutdown": """
entered, go = threading.Event(), threading.Event()
def handler(data): entered.set(); go.wait(20)
own = rt.spawn_py_handler_bounded(handler, 100, 1)
rt.set_overflow_policy(own, 'block')
rt.send(own, b'x'); entered.wait(20); rt.send(own, b'x')
answers = []
sender = threading.Thread(target=lambda: (answers.append(rt.send(own, b'x')), go.set()))
sender.start()
rt.shutdown(0)
sender.join(20)
assert answers == [False], answers
""",
}


@pytest.mark.parametrize("body", HANGS.values(), ids=HANGS.keys())
def test_nothing_hangs_over_a_mailbox_that_blocks(run_script: Run, body: str) -> None:
    prelude = "\n".join(
        [
            "import threading",
            "import iris",
            "rt = iris.Runtime()",
            "told = threading.Event()",
            "pid = rt.spawn_py_handler_bounded(lambda data: None, 100, 2)",
            "rt.set_overflow_policy(pid, 'block')",
            "",
        ]
    )
    check(run_script(prelude + body + "\nprint('done')"), "done")


def test_ctrl_c_ends_a_wait_for_room(run_script: Run) -> None:
    done = run_script("""
import os, signal, sys, threading, time, iris
rt = iris.Runtime()
entered, release = threading.Event(), threading.Event()
def handler(data): entered.set(); release.wait(60)
pid = rt.spawn_py_handler_bounded(handler, 100, 1)
rt.set_overflow_policy(pid, "block")
rt.send(pid, b"held"); entered.wait(60)
rt.send(pid, b"fills it")
main = threading.main_thread().ident
def wait(): rt.send(pid, b"never")
def interrupt():
    # Once this thread has the interpreter while the other is in there, that one waits.
    while sys._current_frames()[main].f_code is not wait.__code__:
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGINT)
    global since
    since = time.monotonic()
threading.Thread(target=interrupt).start()
try:
    wait()
except KeyboardInterrupt:
    # Every 50 ms it looks; the rest is patience with the machine.
    assert time.monotonic() - since < 5
    print("interrupted", rt.mailbox_size(pid))
release.set()
    """)
    check(done, "interrupted 1")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="measures through /proc")
def test_a_bounded_mailbox_does_not_grow(run_script: Run) -> None:
    done = run_script("""
        import resource, threading
        import iris
        rt = iris.Runtime()
        entered, go = threading.Event(), threading.Event()
        def handler(data): entered.set(); go.wait(60)
        pids = [rt.spawn_py_handler_bounded(handler, 100, 10) for _ in range(2)]
        rt.set_overflow_policy(pids[1], "dropold")
        def pages(): return int(open("/proc/self/statm").read().split()[1])
        def fill(count):
            for pid in pids:
                rt.send(pid, b"held")
                for _ in range(count): rt.send(pid, bytes(1_000))
        fill(1_000)
        before = pages()
        fill(100_000)
        grown = (pages() - before) * resource.getpagesize() >> 20
        assert grown < 30, f"{grown} MB"
        assert [rt.mailbox_size(pid) for pid in pids] == [10, 10]
        go.set()
        for pid in pids: rt.stop(pid)
    """)
    check(done)


@pytest.mark.parametrize(
    ("capacity", "error"),
    [
        (0, ValueError),
        (-1, OverflowError),
        (1 << 64, OverflowError),
        ("2", TypeError),
        (None, TypeError),
        (1.5, TypeError),
    ],
)
def test_a_capacity_that_is_none_is_refused(
    rt: iris.Runtime, capacity: object, error: type[Exception]
) -> None:
    with pytest.raises(error):
        rt.spawn_py_handler_bounded(print, 100, capacity)
    if capacity is not None:
        for spawn in (rt.spawn, rt.spawn_with_mailbox):
            with pytest.raises(error):
                spawn(print, capacity=capacity)


@pytest.mark.parametrize("word", ["", "drop", "blocking", "dropnewest", "\ud800"])
def test_an_unknown_policy_is_refused_with_the_ones_there_are(
    rt: iris.Runtime, gate: Gate, word: str
) -> None:
    pid = rt.spawn_py_handler_bounded(gate, 100, 1)
    with pytest.raises(ValueError) as caught:
        rt.set_overflow_policy(pid, word)
    if word != "\ud800":
        for known in ("dropnew", "dropold", "redirect", "spill", "block"):
            assert known in str(caught.value)


def test_a_policy_is_a_word_in_any_case(rt: iris.Runtime, gate: Gate, inbox: Inbox) -> None:
    pid, target = full(rt, gate), rt.spawn(inbox)
    for word in ("Redirect", "SPILL"):
        rt.set_overflow_policy(pid, word, target)
        assert rt.send(pid, word.encode())
        assert inbox.get() == word.encode()
    for word in ("drop_new", "DropNew", "DROPOLD", "Block"):
        rt.set_overflow_policy(pid, word)
    gate.open()


def test_what_a_policy_cannot_be_set_for_is_refused(rt: iris.Runtime, gate: Gate) -> None:
    pid, target = rt.spawn_py_handler_bounded(gate, 100, 1), rt.spawn(gate)
    for word in ("redirect", "spill"):
        with pytest.raises(ValueError, match="needs a target"):
            rt.set_overflow_policy(pid, word)
        with pytest.raises(iris.DeadActorError, match=f"no actor with pid {NOBODY}"):
            rt.set_overflow_policy(pid, word, NOBODY)
        with pytest.raises(LookupError):
            rt.set_overflow_policy(pid, word, 0)
    for word in ("dropnew", "dropold", "block"):
        with pytest.raises(ValueError, match="has no target"):
            rt.set_overflow_policy(pid, word, target)
        with pytest.raises(iris.DeadActorError):
            rt.set_overflow_policy(NOBODY, word)
        with pytest.raises(ValueError, match="no bound"):
            rt.set_overflow_policy(target, word)
    with pytest.raises(TypeError):
        rt.set_overflow_policy(pid, None)
    with pytest.raises(TypeError):
        rt.set_overflow_policy(pid, "redirect", "1")
    with pytest.raises(OverflowError):
        rt.set_overflow_policy(pid, "redirect", -1)


def test_a_circle_is_refused_and_named(rt: iris.Runtime, gate: Gate) -> None:
    a, b, c = (rt.spawn_py_handler_bounded(gate, 100, 1) for _ in range(3))
    with pytest.raises(ValueError, match=f"circle: {a} -> {a}"):
        rt.set_overflow_policy(a, "redirect", a)
    rt.set_overflow_policy(a, "redirect", b)
    rt.set_overflow_policy(b, "spill", c)
    for word in ("redirect", "spill"):
        with pytest.raises(ValueError, match=f"{c} -> {a} -> {b} -> {c}"):
            rt.set_overflow_policy(c, word, a)
    rt.send(c, b"held")
    gate.wait_entered()
    assert [rt.send(c, b"x") for _ in range(3)] == [True, False, False]
    gate.open()
