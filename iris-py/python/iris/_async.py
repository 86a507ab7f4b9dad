"""The loop thread of a runtime's async actors, and the mailboxes of those that receive."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Generator
from types import coroutine
from typing import TYPE_CHECKING, Any, Protocol

from iris._errors import MailboxClosed
from iris._iris import PySystemMessage, Suspension

if TYPE_CHECKING:
    from iris._iris import _Inbox, _LoopLane

LEFT_PATIENCE = 1.0
"""Seconds that tasks which handlers have left behind get to end once they are cancelled."""


async def awaited(awaitable: Awaitable[object]) -> object:
    """A coroutine around any awaitable."""
    return await awaitable


def run_loop(lane: _LoopLane, watched: int) -> None:
    """The life of the loop thread."""
    event_loop = asyncio.new_event_loop()
    if not hasattr(event_loop, "add_reader") or isinstance(
        event_loop, getattr(asyncio, "ProactorEventLoop", ())
    ):
        event_loop.close()
        event_loop = asyncio.SelectorEventLoop()
    asyncio.set_event_loop(event_loop)
    try:
        event_loop.add_reader(watched, lane._rung)
        lane._begin(event_loop)
        event_loop.run_forever()
        event_loop.remove_reader(watched)
        _end_tasks(event_loop)
        event_loop.run_until_complete(event_loop.shutdown_asyncgens())
    finally:
        asyncio.set_event_loop(None)
        event_loop.close()


def _end_tasks(event_loop: asyncio.AbstractEventLoop) -> None:
    """Cancels what handlers have left behind, as ``asyncio.run`` does, but does not wait long."""
    left = [task for task in asyncio.all_tasks(event_loop) if isinstance(task, asyncio.Future)]
    for task in left:
        task.cancel()
    if left:
        event_loop.run_until_complete(asyncio.wait(left, timeout=LEFT_PATIENCE))


@coroutine
def _turn() -> Generator[None, None, None]:
    """Lets the loop go round once."""
    yield


class AsyncMailbox:
    """The mailbox of an actor whose function is ``async def``. It belongs to that actor's code,
    on the runtime's loop thread; one receive at a time."""

    __slots__ = ("_budget", "_inbox", "_left", "_waits")

    def __init__(self, inbox: _Inbox, budget: int) -> None:
        self._inbox = inbox
        self._budget = budget
        self._left = budget
        self._waits = False

    @property
    def pid(self) -> int:
        """The pid of the actor whose mailbox it is."""
        return self._inbox.pid

    async def recv(self, timeout: float | None = None) -> bytes | PySystemMessage | None:
        """The next message, or ``None`` if none came within ``timeout`` seconds (``None``: for
        ever). It is ``bytes``, or a ``PySystemMessage`` such as the EXIT of a linked actor.

        Raises ``MailboxClosed`` once the actor was told to stop; it may leave the actor's
        function, which is then a quiet end. Cancelled, it takes no message.
        """
        if self._left > 0 and not self._waits:
            message = self._inbox.take(None)
            if message is not None:
                self._left -= 1
                return message
        return await self._wait(None, timeout)

    async def selective_recv(
        self,
        matcher: Callable[[bytes | PySystemMessage], object],
        timeout: float | None = None,
    ) -> bytes | PySystemMessage | None:
        """The first message for which ``matcher(message)`` is true, as ``recv``. Those before it
        keep their order for later calls. What ``matcher`` raises is raised here, and the message
        that it looked at stays where it is."""
        if not callable(matcher):
            raise TypeError(
                f"a handler must be callable with one argument, not {type(matcher).__name__}"
            )
        return await self._wait(matcher, timeout)

    async def recv_many(
        self, max: int, timeout: float | None = None
    ) -> list[bytes | PySystemMessage]:
        """Up to ``max`` messages: waits for the first as ``recv`` does, and takes what is there
        then. An empty list if none came in time."""
        if max < 1:
            raise ValueError("max must be at least 1")
        first = await self.recv(timeout)
        if first is None:
            return []
        batch = [first]
        while len(batch) < max:
            try:
                message = self._inbox.take(None)
            except MailboxClosed:
                # It is for the next call to say so.
                break
            if message is None:
                break
            batch.append(message)
        return batch

    def __aiter__(self) -> AsyncMailbox:
        return self

    async def __anext__(self) -> bytes | PySystemMessage:
        try:
            message = await self.recv()
        except MailboxClosed:
            raise StopAsyncIteration from None
        assert message is not None
        return message

    async def _wait(
        self, matcher: Callable[[bytes | PySystemMessage], object] | None, timeout: float | None
    ) -> bytes | PySystemMessage | None:
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"timeout must be a number of seconds >= 0, not {timeout}")
        if self._waits:
            raise RuntimeError("the mailbox is in use, by another receive of the same actor")
        self._waits = True
        timer: asyncio.TimerHandle | None = None
        late = [False]
        seen = 0
        try:
            if self._left <= 0:
                # A mailbox that always has mail must not keep the others waiting.
                self._left = self._budget
                await _turn()
            self._left -= 1
            while True:
                news = Suspension._new()
                message, seen = self._inbox.poll_for(news, seen, matcher)
                if message is not None or late[0] or timeout == 0:
                    return message
                if timer is not None:
                    timer.cancel()
                elif timeout is not None:
                    deadline = asyncio.get_running_loop().time() + timeout
                if timeout is not None:
                    timer = asyncio.get_running_loop().call_at(deadline, _expire, news, late)
                await news
        finally:
            self._waits = False
            if timer is not None:
                timer.cancel()


def _expire(news: Suspension, late: list[bool]) -> None:
    late[0] = True
    news.wake()


class _AsyncBody(Protocol):
    def __call__(self, mailbox: AsyncMailbox, /) -> Any: ...


async def run_body(handler: _AsyncBody, inbox: _Inbox, budget: int) -> None:
    """The code of an async actor that receives."""
    returned = handler(AsyncMailbox(inbox, budget))
    if inspect.isawaitable(returned):
        await returned
