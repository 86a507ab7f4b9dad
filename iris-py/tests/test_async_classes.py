"""Classes of actors with methods that are coroutines, and the answers that async actors await."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest
from support import PATIENCE, Inbox

import iris

COLOUR: contextvars.ContextVar[str] = contextvars.ContextVar("COLOUR", default="none")


class Adder(iris.Actor):
    def __init__(self, start: int = 0) -> None:
        self.n = start
        self.release = asyncio.Event()

    async def add(self, k: int) -> int:
        self.n += k
        return self.n

    async def slowly(self, k: int) -> int:
        await asyncio.sleep(0.001)
        self.n += k
        return self.n

    def plain(self) -> int:
        return self.n

    async def thread(self) -> str:
        return threading.current_thread().name

    async def fail(self, waits: bool) -> None:
        if waits:
            await asyncio.sleep(0)
        raise KeyError("missing")

    async def end(self, waits: bool) -> object:
        if waits:
            await asyncio.sleep(0)
        return iris.STOP

    async def hang(self) -> None:
        await asyncio.sleep(3600)

    async def colour(self) -> str:
        await asyncio.sleep(0)
        return COLOUR.get()


class Asker(iris.Actor):
    def __init__(self, other: int) -> None:
        self.other = self.rt.ref(other, Adder)

    async def twice(self, k: int) -> int:
        await self.other.ask(Adder.add, k)
        return await self.other.ask(Adder.slowly, k)

    async def many(self, count: int) -> int:
        last = 0
        for _ in range(count):
            last = await self.other.ask(Adder.add, 1)
        return last

    async def gathered(self, count: int) -> list[int]:
        return list(await asyncio.gather(*(self.other.ask(Adder.add, 1) for _ in range(count))))

    async def impatient(self) -> str:
        try:
            await self.other.ask(Adder.hang, timeout=0.05)
        except iris.AskTimeout as error:
            return str(error)
        return "answered"

    async def caught(self, waits: bool) -> str:
        try:
            await self.other.ask(Adder.fail, waits)
        except KeyError as error:
            return repr(error)
        return "nothing"

    async def itself(self) -> None:
        await self.rt.ref(self.ref, Asker).ask(Asker.many, 1)

    async def bytes(self, pid: int) -> bytes:
        return await self.rt.ask(pid, b"question", timeout=PATIENCE)

    async def cancelled(self) -> bool:
        asking = asyncio.ensure_future(self.other.ask(Adder.hang))
        await asyncio.sleep(0.01)
        asking.cancel()
        try:
            await asking
        except asyncio.CancelledError:
            return True
        return False

    async def coloured(self, colour: str) -> str:
        COLOUR.set(colour)
        return await self.other.ask(Adder.colour)


@pytest.fixture
def adder(rt: iris.Runtime) -> iris.Ref[Adder]:
    return rt.spawn(Adder, 3)


@pytest.fixture
def asker(rt: iris.Runtime, adder: iris.Ref[Adder]) -> iris.Ref[Asker]:
    return rt.spawn(Asker, int(adder))


def test_coroutines_and_plain_methods_share_the_state(adder: iris.Ref[Adder]) -> None:
    assert adder.call(Adder.add, 1) == 4
    assert adder.call(Adder.slowly, 1) == 5
    adder.tell(Adder.slowly, 1)
    assert adder.call(Adder.plain) == 6, "one method at a time, in order"
    assert adder.call(Adder.thread) == "iris-loop"


def test_an_event_loop_of_ones_own_may_ask(adder: iris.Ref[Adder]) -> None:
    async def main() -> list[int]:
        return list(await asyncio.gather(*(adder.ask(Adder.slowly, 1) for _ in range(20))))

    assert asyncio.run(main()) == list(range(4, 24))


def test_actors_ask_each_other(asker: iris.Ref[Asker]) -> None:
    assert asker.call(Asker.twice, 2) == 7
    assert asker.call(Asker.many, 1_000, timeout=PATIENCE) == 1_007
    assert asker.call(Asker.gathered, 100, timeout=PATIENCE) == list(range(1_008, 1_108))


def test_an_async_actor_may_ask_a_plain_one(rt: iris.Runtime, asker: iris.Ref[Asker]) -> None:
    plain = rt.spawn(lambda data: data.upper())
    assert asker.call(Asker.bytes, plain, timeout=PATIENCE) == b"QUESTION"


@pytest.mark.parametrize("waits", [False, True])
def test_what_a_coroutine_raises_reaches_the_asker_and_ends_the_actor(
    rt: iris.Runtime, adder: iris.Ref[Adder], asker: iris.Ref[Asker], waits: bool
) -> None:
    assert asker.call(Asker.caught, waits) == "KeyError('missing')"
    assert rt.join(adder, PATIENCE)
    with pytest.raises(iris.DeadActorError):
        adder.call(Adder.plain)


@pytest.mark.parametrize("waits", [False, True])
def test_one_that_is_to_go_on_goes_on(rt: iris.Runtime, waits: bool) -> None:
    ref = rt.spawn_actor(Adder, on_error="resume")
    with pytest.raises(KeyError, match="missing"):
        ref.call(Adder.fail, waits)
    assert ref.call(Adder.add, 1) == 1


@pytest.mark.parametrize("waits", [False, True])
def test_a_coroutine_may_stop_its_actor(
    rt: iris.Runtime, adder: iris.Ref[Adder], waits: bool
) -> None:
    assert adder.call(Adder.end, waits) is None
    assert rt.join(adder, PATIENCE)


def test_a_stop_cancels_and_who_asked_is_told(rt: iris.Runtime, adder: iris.Ref[Adder]) -> None:
    errors: list[BaseException] = []

    def ask() -> None:
        try:
            adder.call(Adder.hang, timeout=PATIENCE)
        except iris.IrisError as error:
            errors.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    while rt.mailbox_size(adder) or (rt.info(adder) or {}).get("handled") != 2:
        pass
    rt.stop(adder)
    asking.join(PATIENCE)
    assert [type(error) for error in errors] == [iris.DeadActorError]


def test_a_time_out_names_the_method(asker: iris.Ref[Asker]) -> None:
    assert "Adder.hang" in asker.call(Asker.impatient)
    # Its timer stands for later ones of the same length.
    assert "Adder.hang" in asker.call(Asker.impatient)


def test_a_cancelled_ask_is_given_up(asker: iris.Ref[Asker]) -> None:
    assert asker.call(Asker.cancelled) is True


def test_who_asks_itself_is_told_at_once(asker: iris.Ref[Asker]) -> None:
    with pytest.raises(iris.DeadlockError, match="Asker.itself -> Asker.many"):
        asker.call(Asker.itself)


def test_the_context_travels_with_questions(asker: iris.Ref[Asker]) -> None:
    assert asker.call(Asker.coloured, "red") == "red"
    assert asker.call(Asker.coloured, "blue") == "blue"


def test_a_plain_class_may_become_an_async_one(rt: iris.Runtime) -> None:
    class Before(iris.Actor):
        def __init__(self) -> None:
            self.n = 1

        def get(self) -> int:
            return self.n

    class After(Before):
        async def later(self) -> int:
            await asyncio.sleep(0)
            return self.n + 1

    ref = rt.spawn(Before)
    rt.hot_swap(ref, After)
    after = rt.ref(ref, After)
    assert after.call(After.later) == 2
    assert after.call(After.get) == 1


def test_async_handlers_answer_with_what_they_return(rt: iris.Runtime) -> None:
    async def shout(data: bytes) -> bytes:
        if data.startswith(b"wait"):
            await asyncio.sleep(0)
        return data.upper()

    for reentrant in (False, True):
        pid = rt.spawn(shout, reentrant=reentrant)
        assert rt.call(pid, b"now") == b"NOW"
        assert rt.call(pid, b"wait for it") == b"WAIT FOR IT"


def test_async_batches_come_as_lists(rt: iris.Runtime, inbox: Inbox) -> None:
    async def handle(batch: list[bytes]) -> None:
        await asyncio.sleep(0)
        for data in batch:
            inbox(data)

    pid = rt.spawn(handle, batch=True)
    rt.send_many(pid, [b"%d" % n for n in range(500)])
    assert inbox.take(500) == [b"%d" % n for n in range(500)]


def test_threads_of_ones_own_are_not_for_coroutines(rt: iris.Runtime) -> None:
    async def handle(_: bytes) -> None: ...

    with pytest.raises(ValueError, match="runs on the loop thread"):
        rt.spawn(handle, release_gil=True)
