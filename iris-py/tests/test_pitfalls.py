"""What other systems, and an earlier Iris, did to their users: each row a behaviour that this one
must not have.

The rows are D1 to D35 (defects that were reproduced), R1 to R15 (the first hour of a user) and P1 to
P25 (what angered users elsewhere). `TESTS` says which test would fail for a row, the last of them
being in this file; `ABSENT` says why a row has none.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import pathlib
import re
import threading
from collections.abc import Callable, Iterator

import pytest
from support import PATIENCE, Gate, Inbox, Observer, Run

import iris

TESTS = {
    "D1": "test_children.py::test_the_last_child_that_stops_wedges_nothing",
    "D2": "test_bounded.py::test_nothing_hangs_over_a_mailbox_that_blocks",
    "D2b": "test_lane.py::test_blocked_handlers_leave_the_others_running",
    "D2c": "test_offload_workers.py::test_nested_calls_from_many_threads_do_not_wait_for_each_other",
    "D2d": "test_pull.py::test_two_thousand_run_at_once",
    "D2e": "test_lifecycle.py::test_a_forked_child_is_told_what_to_do",
    "D2f": "test_bad_input.py::test_an_actor_cannot_wait_for_itself",
    "D3": "test_hot_swap.py::test_rolled_back_handlers_are_alive_after_many_swaps",
    "D5": "test_pitfalls.py::test_d5_no_argument_ends_the_process",
    "D5b": "test_bounded.py::test_a_circle_is_refused_and_named",
    "D5c": "test_pitfalls.py::test_d5c_a_name_is_never_called_as_a_library_s",
    "D5d": "test_pitfalls.py::test_d5d_new_functions_get_their_own_answers",
    "D5e": "test_exits.py::test_p2_every_exit_is_clean",
    "D7": "test_bad_input.py::test_stopping_drops_nothing_silently",
    "D8": "test_hot_swap.py::test_a_swap_keeps_its_place_among_the_messages",
    "D11": "test_bounded.py::test_dropping_the_oldest_works_while_the_handler_is_busy",
    "D13": "test_bad_input.py::test_exceptions_that_are_no_errors_are_crashes_too",
    "D14": "test_links.py::test_an_actor_that_is_dead_already_is_reported_at_once",
    "D15": "test_pitfalls.py::test_d15_a_stalled_actor_gets_no_burst_of_ticks",
    "D16": "test_supervision.py::test_d16_p17_a_storm_ends_with_a_report_that_says_why",
    "D17": "test_supervision.py::test_d17_stop_child_ends_an_actor_for_good",
    "D18": "test_supervision.py::test_d18_the_factory_is_called_only_to_restart",
    "D19": "test_supervision.py::test_d19_restartall_stops_the_siblings_and_leaves_no_duplicates",
    "D20": "test_supervision.py::test_d20_what_is_only_watched_is_listed_and_never_restarted",
    "D21": "test_supervision.py::test_d21_a_restarted_actor_keeps_its_names_and_paths",
    "D22": "test_supervision.py::test_d22_a_factory_that_fails_is_logged_and_called_again",
    "D23": "test_observers.py::test_the_oldest_goes_first_beyond_65536_and_is_counted",
    "D26": "test_soak.py::test_d26_the_memory_of_the_dead_is_used_again",
    "D33": "test_observers.py::test_a_selective_receive_takes_what_matches",
    "D35": "test_pitfalls.py::test_d35_a_pid_is_nobody_s_after_its_actor",
    "R2": "test_bad_input.py::test_a_handler_that_is_not_callable_is_refused",
    "R3": "test_bad_input.py::test_a_raising_handler_is_a_logged_crash",
    "R4": "test_bad_input.py::test_an_unknown_pid_is_nobody",
    "R5": "test_bad_input.py::test_text_is_refused_with_the_way_to_send_it",
    "R6": "test_offload.py::test_bad_options_are_refused",
    "R8": "test_signals.py::test_p7_ctrl_c_ends_it",
    "R9": "test_processes.py::test_r9_every_call_says_in_a_forked_child_that_it_was_forked",
    "R11": "test_processes.py::test_two_runtimes_in_one_process_keep_to_themselves",
    "R13": "test_types.py::test_the_stubs_match_the_module",
    "R14": "test_description.py::test_the_example_runs_as_printed",
    "R15": "test_pitfalls.py::test_r15_the_answers_are_python_s",
    "P1": "test_pitfalls.py::test_p1_every_kind_of_actor_reports_a_crash_once",
    "P2": "test_exits.py::test_p2_every_exit_is_clean",
    "P5": "test_processes.py::test_a_server_may_load_before_it_forks_its_workers",
    "P6": "test_soak.py::test_p6_random_traffic_loses_nothing_and_hangs_nowhere",
    "P7": "test_signals.py::test_p7_ctrl_c_ends_it",
    "P8": "test_pitfalls.py::test_p8_a_runtime_outlives_event_loops",
    "P17": "test_supervision.py::test_d16_p17_a_storm_ends_with_a_report_that_says_why",
    "P19": "test_types.py::test_the_package_is_typed_strictly",
    "P20": "test_pitfalls.py::test_p20_the_package_is_light",
    "D4": "test_buffers.py::test_d4_nothing_dangles",
    "D12": "test_release_gil.py::test_d12_order_is_kept_and_one_message_is_handled_at_a_time",
    "D27": "test_release_gil.py::test_d27_threads_end_with_their_actors",
    "R7": "test_release_gil.py::test_r7_the_interpreter_exits_cleanly_over_a_backlog",
    "P11": "test_watchdog.py::test_p11_a_mailbox_that_fills_is_told_once_for_each_doubling",
    "P21": "test_watchdog.py::test_p21_a_handler_that_waits_is_told_with_the_place_where_it_is",
    "P10": "test_ask.py::test_who_asks_itself_is_told_at_once",
    "P16": "test_offload_refusals.py::test_the_texts_are_these",
    "P24": "test_hot_swap_classes.py::test_other_fields_need_a_migration",
    "R1": "test_async.py::test_all_forms_of_async_handlers_are_awaited",
    "R12": "test_context.py::test_a_handler_sees_what_its_sender_had_set",
    "P9": "test_async.py::test_the_next_message_comes_only_when_the_coroutine_is_over",
    "P22": "test_context.py::test_a_handler_sees_what_its_sender_had_set",
    "P25": "test_docs.py::test_the_readme_s_programs_run",
}

MESH = "the mesh is not built"
NODE = "of Node.js"
ABSENT = {
    **dict.fromkeys(["D6", "D9", "D10", "D24", "D25", "D28", "D29", "D30", "D31", "D32"], MESH),
    **dict.fromkeys(["R10", "P12", "P13", "P14", "P15"], MESH),
    **dict.fromkeys(["D34", "P3", "P4", "P23"], NODE),
    "P18": "nothing is published",
}


def test_every_row_has_its_test_or_a_reason() -> None:
    rows = {f"D{n}" for n in range(1, 36)} | {f"R{n}" for n in range(1, 16)}
    rows |= {f"P{n}" for n in range(1, 26)}
    rows |= {"D2b", "D2c", "D2d", "D2e", "D2f", "D5b", "D5c", "D5d", "D5e"}
    assert set(TESTS) | set(ABSENT) == rows
    assert not set(TESTS) & set(ABSENT)
    here = pathlib.Path(__file__).parent
    for row, place in TESTS.items():
        file, name = place.split("::")
        assert re.search(rf"^def {name}\(", (here / file).read_text(), re.M), row


def test_d5_no_argument_ends_the_process(run_script: Run) -> None:
    done = run_script("""
        import math
        import iris

        def handler(data): pass

        results = []
        def body(mailbox):
            for timeout in (-1, math.nan, -math.inf):
                for call in (mailbox.recv, lambda t: mailbox.recv_many(1, t),
                             lambda t: mailbox.selective_recv(print, t)):
                    try:
                        call(timeout)
                    except ValueError:
                        results.append("refused")
            mailbox.recv(1e300)
            mailbox.recv(math.inf)
            results.append("received")

        with iris.Runtime() as rt:
            pull = rt.spawn_with_mailbox(body)
            rt.send(pull, b"x")
            rt.send(pull, b"x")
            rt.join(pull)
            assert results == ["refused"] * 9 + ["received"], results
            pid = rt.spawn(handler)
            huge = 1 << 200
            for call in [
                lambda: rt.spawn_py_handler_bounded(handler, 10, 0),
                lambda: rt.spawn_py_handler_bounded(handler, 10, -1),
                lambda: rt.spawn_py_handler_bounded(handler, 10, huge),
                lambda: rt.send_interval(pid, 0, b"x"),
                lambda: rt.send_interval(pid, -1, b"x"),
                lambda: rt.send_interval(pid, huge, b"x"),
                lambda: rt.send_after(pid, -1, b"x"),
                lambda: rt.spawn(handler, huge),
                lambda: rt.spawn_virtual(handler, 10, -1),
                lambda: rt.join(pid, -1.0),
                lambda: rt.join(pid, math.nan),
                lambda: rt.shutdown(-1.0),
                lambda: rt.rollback_behavior(pid, huge),
                lambda: rt.cancel_timer(-1),
                lambda: rt.send(huge, b"x"),
                lambda: rt.spawn_child_pool(pid, handler, 0),
                lambda: rt.spawn_child_pool(pid, handler, -1),
            ]:
                try:
                    call()
                except (ValueError, OverflowError):
                    continue
                raise SystemExit(f"accepted: {call.__code__.co_firstlineno}")
            rt.cancel_timer(rt.send_after(pid, (1 << 64) - 1, b"x"))
            assert rt.send(pid, b"still there")
    """)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_d5c_a_name_is_never_called_as_a_library_s(tmp_path: pathlib.Path, run_script: Run) -> None:
    (tmp_path / "kernels.py").write_text(
        """
import math
import iris

def exit(x): return x + 1.0
def abort(): return 2.0
def getenv(x): return x * 3.0

@iris.offload
def degrees(x): return math.degrees(x)
@iris.offload
def exits(x): return exit(x)
@iris.offload
def aborts(x): return abort() + x
@iris.offload
def reads(x): return getenv(x)
@iris.offload
def least(a, b, c): return min(a, b, c)
@iris.offload
def unknown(x): return puts(x)
@iris.offload
def itself(x): return 1.0 if x <= 0 else x * itself(x - 1)
"""
    )
    done = run_script(f"""
        import math, sys
        sys.path.insert(0, {str(tmp_path)!r})
        from kernels import *
        for _ in range(3):
            assert degrees(math.pi) == 180.0
            assert (exits(1.0), aborts(1.0), reads(1.0), least(3, 1, 2)) == (2.0, 3.0, 3.0, 1)
            assert itself(5) == 120.0
            try:
                unknown(1.0)
            except NameError:
                continue
            sys.exit("puts was called")
    """)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")


def _made(tmp_path: pathlib.Path, number: int) -> Callable[[int], int]:
    path = tmp_path / f"made_{number}.py"
    path.write_text(f"import iris\n\n@iris.offload\ndef f(x):\n    return x * 2 + {number}\n")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: Callable[[int], int] = module.f
    return made


def test_d5d_new_functions_get_their_own_answers(tmp_path: pathlib.Path) -> None:
    # Each dies before the next is made, which is likely to get its address.
    for number in range(100):
        assert _made(tmp_path, number)(10) == 20 + number


def test_d15_a_stalled_actor_gets_no_burst_of_ticks(rt: iris.Runtime, gate: Gate) -> None:
    pid = rt.spawn(gate)
    beat = Inbox()
    watch = rt.spawn(beat)
    rt.send_interval(pid, 1, b"tick")
    gate.wait_entered()
    # Another timer of the same beat says how many ticks the actor has missed meanwhile.
    rt.send_interval(watch, 1, b"beat")
    beat.take(50)
    waiting = rt.mailbox_size(pid)
    gate.open()
    assert waiting is not None
    assert waiting <= 2


def test_d35_a_pid_is_nobody_s_after_its_actor(rt: iris.Runtime) -> None:
    seen: set[int] = set()
    for _ in range(300):
        pids = [rt.spawn(lambda data: None) for _ in range(100)]
        for pid in pids:
            rt.stop(pid)
        for pid in pids:
            assert rt.join(pid, PATIENCE)
        assert seen.isdisjoint(pids)
        seen.update(pids)
    assert len(seen) == 30_000
    assert all(0 < pid < 1 << 53 for pid in seen)
    assert not any(rt.send(pid, b"x") for pid in list(seen)[:1000])


K = 3.0


@iris.offload
def _by_global(a):  # type: ignore[no-untyped-def]
    return a * K


@iris.offload
def _times_one(x):  # type: ignore[no-untyped-def]
    return x * 1


@iris.offload
def _less(a, b):  # type: ignore[no-untyped-def]
    return a < b


@iris.offload
def _remainder(a, b):  # type: ignore[no-untyped-def]
    return a % b


@iris.offload
def _quotient(a, b):  # type: ignore[no-untyped-def]
    return a // b


@iris.offload
def _power(a, b):  # type: ignore[no-untyped-def]
    return a**b


def test_r15_the_answers_are_python_s() -> None:
    for _ in range(3):
        assert _by_global(2.0) == 6.0
        assert (_times_one(2**53 + 1), type(_times_one(4))) == (9007199254740993, int)
        assert _less(1, 2) is True
        assert (_remainder(-7, 3), _quotient(-7, 2)) == (2, -4)
        assert _power(-8, 1 / 3) == (-8) ** (1 / 3)
        assert _quotient(a=9, b=2) == 4
        for call in (_remainder, _quotient):
            with pytest.raises(ZeroDivisionError):
                call(7, 0)


def _raise(_data: object) -> None:
    raise ValueError("at its place")


def _kinds(rt: iris.Runtime) -> Iterator[tuple[str, int]]:
    parent = rt.spawn(lambda data: None)
    yield "push", rt.spawn(_raise)
    yield "bounded", rt.spawn_py_handler_bounded(_raise, 10, 5)
    yield "virtual", rt.spawn_virtual(_raise)
    yield "child", rt.spawn_child(parent, _raise)
    yield "pool", rt.spawn_child_pool(parent, _raise, 1)[0]
    yield "pull", rt.spawn_with_mailbox(lambda mailbox: _raise(mailbox.recv()))
    yield "pull child", rt.spawn_child_with_mailbox(parent, lambda mailbox: _raise(mailbox.recv()))


@pytest.mark.parametrize("how", ["send", "timer"])
def test_p1_every_kind_of_actor_reports_a_crash_once(
    rt: iris.Runtime, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    observer = Observer(rt)
    for kind, pid in _kinds(rt):
        caplog.clear()
        rt.monitor(observer.pid, pid)
        if how == "send":
            assert rt.send(pid, b"x"), kind
        else:
            rt.send_after(pid, 1, b"x")
        news = observer.system("DOWN")
        assert (news.target_pid, news.reason) == (pid, "crash"), kind
        assert news.metadata is not None
        assert (news.metadata["type"], news.metadata["message"]) == ("ValueError", "at its place")
        assert re.search(r'test_pitfalls.py", line \d+, in _raise', news.metadata["traceback"])
        assert iris.flush_reports(PATIENCE)
        errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert len(errors) == 1, kind
        assert str(pid) in errors[0].getMessage()
        assert "in _raise" in logging.Formatter().format(errors[0])
        assert observer.empty(), kind


def test_p8_a_runtime_outlives_event_loops(rt: iris.Runtime) -> None:
    observer = rt.spawn_with_path_observed(10, "/observer")

    async def take() -> object:
        rt.send(observer, b"x")
        return await rt.selective_recv(observer, lambda message: True, PATIENCE)

    assert [asyncio.run(take()) for _ in range(2)] == [b"x", b"x"]
    results: list[object] = []
    threads = [
        threading.Thread(target=lambda: results.append(asyncio.run(take()))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert results == [b"x", b"x"]


def test_p20_the_package_is_light(run_script: Run) -> None:
    # Times are the benches' to measure; these are what they follow from.
    done = run_script("""
        import pathlib, sys
        before = set(sys.modules)
        import iris
        new = {name.partition(".")[0] for name in set(sys.modules) - before}
        heavy = new & {"asyncio", "inspect", "multiprocessing", "ctypes", "ssl", "socket",
                       "concurrent", "numpy", "json", "subprocess", "pathlib", "urllib"}
        assert not heavy, heavy
        size = sum(
            path.stat().st_size
            for path in pathlib.Path(iris.__file__).parent.rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        )
        print(size)
    """)
    assert (done.returncode, done.stderr) == (0, "")
    # A debug build is not what users get, and three times as large.
    assert int(done.stdout) < 12_000_000 or int(done.stdout) > 30_000_000
