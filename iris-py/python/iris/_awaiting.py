"""What a runtime does for programs that have an event loop of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from iris._lifecycle import Runtime

_T = TypeVar("_T")


async def on_own_thread(call: Callable[[], _T]) -> _T:
    """Calls something that blocks on a thread of its own. Cancelled, the call goes on there, and
    nobody waits for it."""
    event_loop = asyncio.get_running_loop()
    done: asyncio.Future[_T] = event_loop.create_future()

    def tell(result: _T | None, raised: BaseException | None) -> None:
        if done.done():
            return
        if raised is not None:
            done.set_exception(raised)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result: _T | None = None
        raised: BaseException | None = None
        try:
            result = call()
        except BaseException as error:
            raised = error
        try:
            event_loop.call_soon_threadsafe(tell, result, raised)
        except RuntimeError:
            # The loop was closed meanwhile: nobody waits any more.
            pass

    threading.Thread(target=run, name="iris-await", daemon=True).start()
    return await done


async def join(runtime: Runtime, pid: int, timeout: float | None) -> bool:
    """Waits until an actor has ended."""
    if timeout is not None and not timeout >= 0:
        raise ValueError(f"timeout must be a number of seconds >= 0, not {timeout}")
    if runtime.join(pid, 0):
        return True
    event_loop = asyncio.get_running_loop()
    gone: asyncio.Future[None] = event_loop.create_future()

    def note() -> None:
        if not gone.done():
            gone.set_result(None)

    def tell() -> None:
        try:
            event_loop.call_soon_threadsafe(note)
        except RuntimeError:
            # The loop was closed meanwhile: nobody waits any more.
            pass

    mourner = runtime._when_gone(pid, tell)
    try:
        if runtime.join(pid, 0):
            return True
        await asyncio.wait({gone}, timeout=timeout)
        return gone.done() or runtime.join(pid, 0)
    finally:
        if mourner is not None:
            runtime._forget_gone(mourner)
