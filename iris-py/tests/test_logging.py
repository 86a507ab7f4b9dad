"""What reaches Python's ``logging``, on which thread, and that nobody hangs over it."""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
from collections.abc import Iterator

import pytest
from support import PATIENCE, Inbox, Observer, Run, mortal

import iris


class Records(logging.Handler):
    """Hands records to the test, with the thread that brings them."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: queue.SimpleQueue[tuple[logging.LogRecord, int]] = queue.SimpleQueue()

    def emit(self, record: logging.LogRecord) -> None:
        self.queue.put((record, threading.get_ident()))

    def next(self) -> logging.LogRecord:
        return self.queue.get(timeout=PATIENCE)[0]

    def all(self) -> list[logging.LogRecord]:
        """Those of all that has happened so far."""
        assert iris.flush_reports()
        found = []
        while not self.queue.empty():
            found.append(self.queue.get()[0])
        return found


@pytest.fixture
def records() -> Iterator[Records]:
    handler = Records()
    logger = logging.getLogger("iris")
    logger.addHandler(handler)
    logger.propagate = False
    yield handler
    logger.removeHandler(handler)
    logger.propagate = True
    logger.setLevel(logging.NOTSET)


def test_a_crash_is_told_by_a_thread_of_its_own(rt: iris.Runtime, records: Records) -> None:
    idents: list[int] = []

    def handler(data: bytes) -> None:
        idents.append(threading.get_ident())
        raise ValueError(data)

    pid = rt.spawn(handler)
    rt.send(pid, b"x")
    record, ident = records.queue.get(timeout=PATIENCE)
    assert ident not in [*idents, threading.get_ident()]
    assert (record.name, record.levelno) == ("iris", logging.ERROR)
    assert record.threadName == "iris-lane", "it names the thread that it is about"
    assert record.actor == pid  # type: ignore[attr-defined]
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)
    assert str(record.exc_info[1]) == "b'x'"
    assert records.all() == [], "once"


def test_events_of_the_rust_crates_arrive(rt: iris.Runtime, records: Records) -> None:
    entered, go = threading.Event(), threading.Event()

    def handler(data: bytes) -> None:
        entered.set()
        go.wait(PATIENCE)
        raise ValueError("as asked")

    pid = rt.spawn(handler)
    rt.send(pid, b"1")
    assert entered.wait(PATIENCE)
    rt.send(pid, b"2")
    go.set()
    assert rt.join(pid, PATIENCE)
    crash, letters = records.all()
    assert crash.levelno == logging.ERROR
    assert (letters.name, letters.levelno) == ("iris.exits", logging.WARNING)
    assert letters.getMessage() == f"messages became dead letters (pid={pid}, count=1)"
    assert letters.actor == pid  # type: ignore[attr-defined]


def test_an_end_on_purpose_is_no_warning(rt: iris.Runtime, records: Records) -> None:
    entered, go = threading.Event(), threading.Event()
    pid = rt.spawn(lambda data: entered.set() or go.wait(PATIENCE))
    rt.send(pid, b"1")
    assert entered.wait(PATIENCE)
    rt.send(pid, b"2")
    rt.stop(pid)
    go.set()
    assert rt.join(pid, PATIENCE)
    assert rt.dead_letters() == 1
    assert records.all() == []


@pytest.mark.parametrize(
    ("level", "expected"),
    [(logging.DEBUG, True), (logging.WARNING, False), (logging.CRITICAL, False)],
)
def test_the_level_follows_the_python_logger(
    records: Records, level: int, expected: bool
) -> None:
    logging.getLogger("iris").setLevel(level)
    with iris.Runtime() as rt:
        pid = rt.spawn(mortal)
        rt.send(pid, b"stop")
        assert rt.join(pid, PATIENCE)
        other = rt.spawn(mortal)
        rt.send(other, b"raise")
        assert rt.join(other, PATIENCE)
    found = records.all()
    ended = [record for record in found if record.getMessage().startswith("process ended")]
    assert bool(ended) is expected
    if ended:
        assert (ended[0].name, ended[0].levelno) == ("iris.exits", logging.DEBUG)
        assert f"pid={pid}" in ended[0].getMessage()
    assert any(r.exc_info for r in found) is (level < logging.CRITICAL)


def test_a_crash_by_a_link_is_told_too(rt: iris.Runtime, records: Records) -> None:
    one, other = rt.spawn(mortal), rt.spawn(lambda data: None)
    rt.link(one, other, propagate=True)
    rt.send(one, b"raise")
    assert rt.join(other, PATIENCE)
    by_actor = {record.actor: record for record in records.all()}  # type: ignore[attr-defined]
    assert set(by_actor) == {one, other}
    assert by_actor[one].exc_info is not None
    assert "process failed" in by_actor[other].getMessage()


def test_an_actor_that_is_given_up_is_told_once(rt: iris.Runtime, records: Records) -> None:
    observer = Observer(rt)
    rt.watch_supervision(observer.pid)
    pid = rt.spawn(mortal)
    rt.supervise_with_factory(pid, lambda: rt.spawn(mortal))
    while True:
        rt.send(pid, b"raise")
        news = observer.next()
        assert isinstance(news, iris.PySystemMessage)
        if news.type_name == "GAVE_UP":
            break
        assert news.target_pid is not None
        pid = news.target_pid
    while True:
        record = records.next()
        if "given up" in record.getMessage():
            break
    assert not any("given up" in record.getMessage() for record in records.all())


@pytest.mark.parametrize("error", [RuntimeError, SystemExit, KeyboardInterrupt])
def test_a_filter_that_raises_harms_nobody(
    rt: iris.Runtime,
    records: Records,
    monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException],
) -> None:
    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda it: unraisable.append(it.exc_value))

    def broken(record: logging.LogRecord) -> bool:
        raise error("the filter is broken")

    records.addFilter(broken)
    pid = rt.spawn(mortal, on_error="resume")
    rt.send(pid, b"raise")
    rt.stop(pid, drain=True)
    assert rt.join(pid, PATIENCE)
    assert [str(raised) for raised in unraisable] == ["the filter is broken"]
    records.removeFilter(broken)
    pid = rt.spawn(mortal)
    rt.send(pid, b"raise")
    assert f"actor {pid}" in records.next().getMessage()


def test_p6_a_handler_of_logging_may_wait_for_an_actor_that_has_something_to_log(
    run_script: Run,
) -> None:
    done = run_script("""
        import faulthandler, logging, threading
        faulthandler.dump_traceback_later(50, exit=True)
        import iris
        rt = iris.Runtime()
        entered, go = threading.Event(), threading.Event()
        def crashes(data):
            entered.set(); go.wait(20)
            raise ValueError("with the lock of the handler held by another thread")
        pid = rt.spawn(crashes)
        answers = []
        class Waits(logging.Handler):
            def emit(self, record):
                # Called with the handler's lock, which a crash is logged under, too.
                if record.getMessage() == "from main":
                    go.set()
                    answers.append(rt.join(pid, 20))
        logging.getLogger().addHandler(Waits())
        rt.send(pid, b"x")
        entered.wait(20)
        logging.getLogger("mine").warning("from main")
        print(answers)
    """)
    assert (done.returncode, done.stdout) == (0, "[True]\n"), done.stderr


def test_p6_a_handler_of_logging_may_send_where_it_has_to_wait(run_script: Run) -> None:
    done = run_script("""
        import faulthandler, logging, threading
        faulthandler.dump_traceback_later(50, exit=True)
        import iris
        rt = iris.Runtime()
        seen = []
        sink = rt.spawn_py_handler_bounded(seen.append, 100, 1)
        rt.set_overflow_policy(sink, "block")
        class ToActor(logging.Handler):
            def emit(self, record):
                rt.send(sink, record.getMessage().encode())
        logging.getLogger().addHandler(ToActor())
        def complains(data):
            logging.getLogger("mine").warning("before")
            raise ValueError(data)
        pids = [rt.spawn(complains, on_error="resume") for _ in range(4)]
        threads = [
            threading.Thread(target=lambda pid=pid: [rt.send(pid, b"x") for _ in range(200)])
            for pid in pids
        ]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        for pid in pids:
            rt.stop(pid, drain=True); assert rt.join(pid, 30)
        rt.shutdown()
        print(len([text for text in seen if b"raised" in text]) > 0)
    """)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr[-2000:]


def test_p6_many_threads_that_log_and_crash_do_not_hang(run_script: Run) -> None:
    done = run_script("""
        import faulthandler, logging, sys, threading
        faulthandler.dump_traceback_later(50, exit=True)
        sys.setswitchinterval(1e-6)
        logging.basicConfig(level=logging.DEBUG, filename="/dev/null")
        import iris
        with iris.Runtime() as rt:
            def handler(data):
                logging.getLogger("mine").info("handling")
                raise ValueError(data)
            def work(release_gil):
                for _ in range(40):
                    pid = rt.spawn(handler, release_gil=release_gil)
                    for _ in range(5): rt.send(pid, b"x")
                    logging.getLogger("iris").debug("sent")
                    assert rt.join(pid, 30)
            threads = [threading.Thread(target=work, args=(n % 2 == 0,)) for n in range(8)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
        print("done")
    """)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr[-2000:]


def test_a_handler_of_logging_that_blocks_holds_no_actor_up(
    rt: iris.Runtime, inbox: Inbox
) -> None:
    entered, go = threading.Event(), threading.Event()

    class Blocks(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            entered.set()
            go.wait(PATIENCE)

    blocks = Blocks()
    logger = logging.getLogger("iris")
    logger.addHandler(blocks)
    logger.propagate = False
    try:
        rt.send(rt.spawn(mortal), b"raise")
        assert entered.wait(PATIENCE)
        for _ in range(100):
            rt.send(rt.spawn(inbox), b"served")
        assert inbox.take(100) == [b"served"] * 100
        assert iris.flush_reports(0) is False
    finally:
        go.set()
        logger.removeHandler(blocks)
        logger.propagate = True
    assert iris.flush_reports()


def test_more_than_can_be_told_is_counted(rt: iris.Runtime, records: Records) -> None:
    entered, go = threading.Event(), threading.Event()

    def hold(record: logging.LogRecord) -> bool:
        entered.set()
        return go.wait(PATIENCE)

    records.addFilter(hold)
    pid = rt.spawn(mortal, on_error="resume")
    rt.send(pid, b"raise")
    assert entered.wait(PATIENCE)
    before = rt.stats()["reports_dropped"]
    for _ in range(10_200):
        rt.send(pid, b"raise")
    done = threading.Event()
    other = rt.spawn(lambda data: done.set())
    rt.hot_swap(pid, lambda data: rt.send(other, data))
    rt.send(pid, b"all were handled")
    assert done.wait(PATIENCE)
    dropped = rt.stats()["reports_dropped"] - before
    # That so many wait in the mailbox may be one more.
    assert dropped in (200, 201)
    go.set()
    records.removeFilter(hold)
    texts: list[str] = []
    while not (texts and "were dropped" in texts[-1]):
        texts.append(records.next().getMessage())
    assert texts[-1].startswith(f"{dropped} log records were dropped")


def test_iris_starts_its_thread_with_a_runtime_and_ends_it_with_the_last(
    run_script: Run,
) -> None:
    if not os.path.isdir("/proc/self/task"):
        pytest.skip("looks at threads through /proc")
    done = run_script("""
        import os, threading
        import iris
        def reporters():
            names = []
            for task in os.listdir("/proc/self/task"):
                try: names.append(open(f"/proc/self/task/{task}/comm").read().strip())
                except FileNotFoundError: pass
            return names.count("iris-reporter")
        def settles(count):
            tick = threading.Event()
            for _ in range(1_000):
                if reporters() == count: return True
                tick.wait(0.01)
        assert reporters() == 0
        for _ in range(3):
            with iris.Runtime(), iris.Runtime(): assert settles(1), reporters()
            assert settles(0), reporters()
        print("ok")
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")


def test_what_is_logged_last_is_told_before_the_exit(run_script: Run) -> None:
    for _ in range(5):
        done = run_script("""
            import iris
            def handler(data): raise ValueError("last words")
            rt = iris.Runtime()
            for _ in range(50): rt.send(rt.spawn(handler), b"x")
        """)
        assert done.returncode == 0
        assert done.stderr.count("ValueError: last words") == 50


def test_an_exit_does_not_hang_on_a_handler_of_logging(run_script: Run) -> None:
    done = run_script("""
        import logging, threading, time
        import iris
        entered = threading.Event()
        class Stuck(logging.Handler):
            def emit(self, record):
                entered.set()
                while True: time.sleep(0.01)
        logging.getLogger("iris").addHandler(Stuck())
        def handler(data): raise ValueError("never told")
        rt = iris.Runtime()
        rt.send(rt.spawn(handler), b"x")
        entered.wait(20)
    """)
    assert done.returncode == 0
    assert "panicked" not in done.stderr


def test_a_forked_child_logs_too(run_script: Run) -> None:
    done = run_script("""
        import os
        import iris
        def handler(data): raise ValueError("in " + data.decode())
        rt = iris.Runtime()
        rt.send(rt.spawn(handler), b"the parent")
        iris.flush_reports()
        child = os.fork()
        if child == 0:
            with iris.Runtime() as own: own.send(own.spawn(handler), b"the child")
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
    assert done.stderr.count("ValueError: in the parent") == 1
    assert done.stderr.count("ValueError: in the child") == 1
