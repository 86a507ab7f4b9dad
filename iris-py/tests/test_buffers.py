"""Bytes that reach an actor with one copy at most, and views that never dangle."""

from __future__ import annotations

import array
import ctypes
import gc
import mmap
import sys
import threading
import weakref

import pytest
from support import PATIENCE, Gate, Inbox, Run

import iris

LARGE = 1 << 16


@pytest.mark.parametrize("size", [1, 40, 41, 4_095, 4_096, LARGE])
def test_what_was_written_arrives_as_bytes(rt: iris.Runtime, inbox: Inbox, size: int) -> None:
    buffer = iris.allocate_buffer(size)
    assert (len(buffer), buffer.sent) == (size, False)
    assert bytes(buffer) == bytes(size), "it begins as zeros"
    written = bytes(n % 251 for n in range(size))
    buffer.view[:] = written
    assert rt.send_buffer(rt.spawn(inbox), buffer)
    got = inbox.get()
    assert type(got) is bytes
    assert got == written
    assert hash(got) == hash(written)
    assert buffer.sent


def test_an_empty_one_arrives_too(rt: iris.Runtime, inbox: Inbox) -> None:
    buffer = iris.allocate_buffer(0)
    buffer.view[:] = b""
    assert rt.send_buffer(rt.spawn(inbox), buffer)
    assert inbox.get() == b""


def test_its_id_stands_for_it(rt: iris.Runtime, inbox: Inbox) -> None:
    one, other = iris.allocate_buffer(3), iris.allocate_buffer(3)
    assert one.id != other.id
    other.view[:] = b"abc"
    assert rt.send_buffer(rt.spawn(inbox), other.id)
    assert inbox.get() == b"abc"
    assert not one.sent
    gone = one.id
    del one
    gc.collect()
    with pytest.raises(LookupError, match="no buffer with the id"):
        rt.send_buffer(rt.spawn(inbox), gone)


def test_the_memory_itself_is_handed_over(rt: iris.Runtime, inbox: Inbox) -> None:
    buffer = iris.allocate_buffer(LARGE)
    window = (ctypes.c_char * LARGE).from_buffer(buffer.view)
    before = ctypes.addressof(window)
    window[0] = b"w"
    del window
    assert rt.send_buffer(rt.spawn(inbox), buffer)
    got = inbox.get()
    assert got[:2] == b"w\0"
    # The data of a bytes object follows its header.
    assert before == id(got) + bytes.__basicsize__ - 1


def test_a_shared_object_is_given_up_with_its_message(rt: iris.Runtime, gate: Gate) -> None:
    data = bytes(LARGE)
    before = sys.getrefcount(data)
    pid = rt.spawn(gate)
    rt.send(pid, b"held")
    gate.wait_entered()
    for _ in range(10):
        rt.send(pid, data)
    assert sys.getrefcount(data) >= before + 1
    rt.stop(pid)
    gate.open()
    assert rt.join(pid, PATIENCE)
    # References that a thread without the GIL gives up are counted down by the next that has it.
    rt.send(pid, b"x")
    assert sys.getrefcount(data) == before


def test_a_shared_object_outlives_its_sender(rt: iris.Runtime, gate: Gate) -> None:
    pid = rt.spawn(gate)
    rt.send(pid, b"held")
    gate.wait_entered()
    for number in range(50):
        rt.send(pid, bytes([number]) * LARGE)
    gc.collect()
    gate.open()
    rt.stop(pid, drain=True)
    assert rt.join(pid, PATIENCE)
    assert gate.handled[1:] == [bytes([number]) * LARGE for number in range(50)]


def test_the_view_is_released_by_sending(rt: iris.Runtime, inbox: Inbox) -> None:
    buffer = iris.allocate_buffer(LARGE)
    view = buffer.view
    assert buffer.view is view
    view[:5] = b"first"
    assert rt.send_buffer(rt.spawn(inbox), buffer)
    for use in (
        lambda: view.__setitem__(0, 1),
        lambda: view[0],
        lambda: bytes(view),
    ):
        with pytest.raises(ValueError, match="released"):
            use()
    with pytest.raises(BufferError, match="was sent"):
        buffer.view  # noqa: B018
    with pytest.raises(BufferError, match="was sent"):
        memoryview(buffer)
    assert inbox.get()[:5] == b"first"


def test_a_view_of_another_kind_holds_the_sending_up(rt: iris.Runtime, inbox: Inbox) -> None:
    pid = rt.spawn(inbox)
    buffer = iris.allocate_buffer(8)
    mine, part = memoryview(buffer), buffer.view[2:4]
    with pytest.raises(BufferError, match="2 views that are in use"):
        rt.send_buffer(pid, buffer)
    mine.release()
    with pytest.raises(BufferError, match="1 views that are in use"):
        rt.send_buffer(pid, buffer)
    part[:] = b"ok"
    part.release()
    assert not buffer.sent
    assert rt.send_buffer(pid, buffer)
    assert inbox.get() == b"\0\0ok\0\0\0\0"


def test_it_is_sent_once(rt: iris.Runtime, inbox: Inbox) -> None:
    pid = rt.spawn(inbox)
    buffer = iris.allocate_buffer(3)
    assert rt.send_buffer(pid, buffer)
    for _ in range(2):
        with pytest.raises(ValueError, match="was sent already"):
            rt.send_buffer(pid, buffer)
    assert inbox.get() == b"\0\0\0"
    rt.stop(pid, drain=True)
    assert rt.join(pid, PATIENCE)
    assert inbox.empty()


def test_one_that_was_refused_can_be_sent_again(
    rt: iris.Runtime, gate: Gate, inbox: Inbox
) -> None:
    full = rt.spawn(gate, capacity=1)
    rt.send(full, b"held")
    gate.wait_entered()
    rt.send(full, b"queued")
    buffer = iris.allocate_buffer(LARGE)
    buffer.view[:3] = b"one"
    assert rt.send_buffer(full, buffer) is False
    assert rt.send_buffer(0, buffer) is False
    assert not buffer.sent
    buffer.view[:3] = b"two"
    assert rt.send_buffer(rt.spawn(inbox), buffer)
    assert inbox.get()[:3] == b"two"
    gate.open()


def test_no_view_is_given_while_it_waits_to_be_sent(rt: iris.Runtime, gate: Gate) -> None:
    full = rt.spawn(gate, capacity=1)
    rt.set_overflow_policy(full, "block")
    rt.send(full, b"held")
    gate.wait_entered()
    rt.send(full, b"queued")
    buffer = iris.allocate_buffer(LARGE)
    answers: list[bool] = []
    sender = threading.Thread(target=lambda: answers.append(rt.send_buffer(full, buffer)))
    sender.start()
    while True:
        try:
            memoryview(buffer).release()
        except BufferError:
            break  # It waits for room.
    with pytest.raises(ValueError, match="was sent already"):
        rt.send_buffer(full, buffer)
    gate.open()
    sender.join(PATIENCE)
    assert answers == [True]
    assert buffer.sent


@pytest.mark.parametrize("size", [-1, -(1 << 40), (1 << 32) + 1, 1 << 62])
def test_sizes_that_cannot_be_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="size of a buffer"):
        iris.allocate_buffer(size)


def test_wrong_arguments_are_refused(rt: iris.Runtime) -> None:
    for wrong in ("1", b"1", None, 1.5):
        with pytest.raises(TypeError, match="send_buffer takes"):
            rt.send_buffer(1, wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        iris.allocate_buffer("many")  # type: ignore[arg-type]
    with pytest.raises((OverflowError, ValueError)):
        iris.allocate_buffer(1 << 80)
    with pytest.raises(LookupError):
        rt.send_buffer(1, 1 << 40)


def test_a_buffer_is_freed(rt: iris.Runtime, inbox: Inbox) -> None:
    buffer = iris.allocate_buffer(LARGE)
    view = buffer.view
    gone = weakref.ref(buffer)
    del buffer
    assert gone() is not None, "the view keeps it"
    view[0] = 1
    del view
    assert gone() is None


def test_d4_nothing_dangles(run_script: Run) -> None:
    done = run_script("""
        import gc, threading
        import iris
        got = []
        rt = iris.Runtime()
        pid = rt.spawn(got.append)
        views = []
        for n in range(2_000):
            buffer = iris.allocate_buffer(8_192)
            view = buffer.view
            view[:] = bytes([n % 256]) * 8_192
            if n % 3 == 0:
                rt.send_buffer(pid, buffer.id)
            elif n % 3 == 1:
                assert rt.send_buffer(pid, buffer)
                try: view[0] = 255
                except ValueError: pass
                else: raise SystemExit("written after it was sent")
            # Else it is dropped, and the view outlives it.
            views.append(view)
            del buffer
            if n % 100 == 0: gc.collect()
        for n, view in enumerate(views):
            if n % 3 == 2: view[:] = b"z" * 8_192
        rt.stop(pid, drain=True); rt.join(pid)
        assert len(got) == 1_334, len(got)
        assert all(len(set(data)) == 1 for data in got)
        assert [data[0] for data in got] == [n % 256 for n in range(2_000) if n % 3 != 2]
        rt.shutdown()
        del rt, pid
        gc.collect()
        for n, view in enumerate(views):
            if n % 3 == 2: assert view[0] == ord("z")
        print("ok")
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")


def test_messages_that_share_objects_survive_the_exit(run_script: Run) -> None:
    done = run_script("""
        import threading, time
        import iris
        rt = iris.Runtime()
        pid = rt.spawn(lambda data: time.sleep(0.01))
        for n in range(1_000):
            rt.send(pid, bytes(10_000))
            buffer = iris.allocate_buffer(10_000)
            rt.send_buffer(pid, buffer)
        rt.shutdown(0)
    """)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("size", [3, 48, LARGE])
def test_anything_bytes_like_is_copied_once(rt: iris.Runtime, inbox: Inbox, size: int) -> None:
    pid = rt.spawn(inbox)
    plain = bytes(n % 7 for n in range(size))
    written = mmap.mmap(-1, size)
    written.write(plain)
    whole = bytearray(plain)
    samples: list[tuple[object, bytes]] = [
        (whole, plain),
        (memoryview(plain), plain),
        (memoryview(whole)[1:], plain[1:]),
        (memoryview(plain)[::2], plain[::2]),
        (memoryview(plain)[::-1], plain[::-1]),
        (array.array("d", [1.5, 2.5]), array.array("d", [1.5, 2.5]).tobytes()),
        (array.array("H", plain[: size // 2 * 2]), array.array("H", plain[: size // 2 * 2]).tobytes()),
        (written, plain),
        (iris.allocate_buffer(size), bytes(size)),
    ]
    for sample, expected in samples:
        assert rt.send(pid, sample)  # type: ignore[arg-type]
        assert inbox.get() == expected
    rt.send(pid, whole)
    whole[:1] = b"\xff"
    assert inbox.get() == plain, "what is changed after it was sent is not what was sent"
    written.close()


def test_numpy_arrays_are_sent(rt: iris.Runtime, inbox: Inbox) -> None:
    numpy = pytest.importorskip("numpy")
    pid = rt.spawn(inbox)
    grid = numpy.arange(12, dtype="f8").reshape(3, 4)
    for sample in (grid, grid[::2], grid.T, grid[:, 1]):
        rt.send(pid, sample)
        assert inbox.get() == sample.tobytes()
