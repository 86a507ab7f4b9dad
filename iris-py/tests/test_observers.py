"""Observers: actors that keep what they receive."""

from __future__ import annotations

import asyncio
import threading

import pytest
from support import PATIENCE, Observer

import iris


def test_what_was_sent_is_there_at_once_and_given_once(rt: iris.Runtime) -> None:
    pid = rt.spawn_with_path_observed(10, "/svc/test/one")
    assert rt.whereis_path("/svc/test/one") == pid
    for number in range(100):
        rt.send(pid, b"%d" % number)
    expected = [b"%d" % number for number in range(100)]
    assert rt.get_messages(pid, drain=False) == expected
    assert rt.get_messages(pid) == expected
    assert rt.get_messages(pid) == []


def test_the_oldest_goes_first_beyond_65536_and_is_counted(rt: iris.Runtime) -> None:
    pid = rt.spawn_with_path_observed(10, "/o")
    for number in range(65_536 + 2):
        rt.send(pid, b"%d" % number)
    messages = rt.get_messages(pid)
    assert (len(messages), messages[0], messages[-1]) == (65_536, b"2", b"65537")
    assert rt.observer_dropped(pid) == 2


def test_who_is_no_observer_says_so(rt: iris.Runtime) -> None:
    pid = rt.spawn(print)
    with pytest.raises(ValueError, match="no observer"):
        rt.get_messages(pid)
    with pytest.raises(ValueError, match="no observer"):
        rt.selective_recv_blocking(pid, lambda _: True, 0)
    assert rt.observer_dropped(pid) is None
    observer = rt.spawn_with_path_observed(10, "/o")
    rt.stop(observer)
    assert rt.join(observer, PATIENCE)
    assert rt.get_messages(observer) == []
    with pytest.raises(iris.MailboxClosed):
        rt.selective_recv_blocking(observer, lambda _: True)


def test_a_selective_receive_takes_what_matches(rt: iris.Runtime) -> None:
    observer = Observer(rt)
    for word in (b"a", b"b", b"c"):
        rt.send(observer.pid, word)
    assert rt.selective_recv_blocking(observer.pid, lambda m: m == b"b", PATIENCE) == b"b"
    assert rt.selective_recv_blocking(observer.pid, lambda m: m == b"x", 0) is None
    assert rt.get_messages(observer.pid) == [b"a", b"c"]


def test_the_matcher_sees_each_message_once_and_may_raise(rt: iris.Runtime) -> None:
    observer = Observer(rt)
    rt.send(observer.pid, b"a")
    seen = []
    assert rt.selective_recv_blocking(observer.pid, seen.append, 0.2) is None
    assert seen == [b"a"]
    with pytest.raises(ZeroDivisionError):
        rt.selective_recv_blocking(observer.pid, lambda _: 1 / 0, PATIENCE)
    assert rt.get_messages(observer.pid) == [b"a"]


def test_an_awaited_receive_lets_the_loop_go_on(rt: iris.Runtime) -> None:
    observer = Observer(rt)

    async def main() -> object:
        looked = asyncio.Event()
        loop = asyncio.get_running_loop()

        def matcher(message: object) -> bool:
            loop.call_soon_threadsafe(looked.set)
            return message == b"b"

        receive = asyncio.create_task(rt.selective_recv(observer.pid, matcher, PATIENCE))
        rt.send(observer.pid, b"a")
        await asyncio.wait_for(looked.wait(), PATIENCE)
        rt.send(observer.pid, b"b")
        return await receive

    assert asyncio.run(main()) == b"b"
    assert rt.get_messages(observer.pid) == [b"a"]


@pytest.mark.parametrize("taken", [False, True], ids=["before", "while it takes one"])
def test_a_cancelled_receive_takes_nothing(rt: iris.Runtime, taken: bool) -> None:
    observer = Observer(rt)
    inside, leave = threading.Event(), threading.Event()

    def matcher(_: object) -> bool:
        inside.set()
        assert leave.wait(PATIENCE)
        return taken

    async def main() -> None:
        receive = asyncio.create_task(rt.selective_recv(observer.pid, matcher))
        rt.send(observer.pid, b"a")
        assert await asyncio.to_thread(inside.wait, PATIENCE)
        receive.cancel()
        with pytest.raises(asyncio.CancelledError):
            await receive
        leave.set()

    # Waits for the executor's threads at its end.
    asyncio.run(main())
    assert rt.selective_recv_blocking(observer.pid, lambda _: True, PATIENCE) == b"a"
