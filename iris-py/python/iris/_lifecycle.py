"""What happens to runtimes when the process forks or the interpreter exits."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

# The runtime's threads call the latter. It is imported here and not by them, so that no process is
# forked, and none ends, while one of them is half way through it.
from iris import _iris, _threads as _threads
from iris._asking import Asking
from iris._introspect import Tree, TreeEntry
from iris._iris import PySystemMessage

# Who awaits something has imported it; for others it would be most of the time of `import iris`.
if TYPE_CHECKING:
    import asyncio

_live: set[Runtime] = set()
"""Runtimes whose threads have not all ended. Held, so that what is queued in one that nobody
refers to any more is handled all the same, as a thread goes on without its ``Thread`` object."""

_exiting = False


class Runtime(Asking):
    __doc__ = _iris.Runtime.__doc__

    def __new__(
        cls,
        *arguments: Any,
        watchdog: float | None = 10.0,
        mailbox_capacity: int | None = None,
        **keywords: Any,
    ) -> Runtime:
        if (arguments or keywords) and cls.__init__ is object.__init__:
            raise TypeError("Runtime() takes only watchdog=.. and mailbox_capacity=..")
        if _exiting:
            raise RuntimeError("the interpreter is exiting: it is too late for a Runtime")
        self = super().__new__(cls, watchdog=watchdog, mailbox_capacity=mailbox_capacity)
        _live.add(self)
        return self

    def shutdown(self, drain: float = 2.0) -> int:
        undelivered = super().shutdown(drain)
        self._retire_desks()
        if self._ended():
            _live.discard(self)
        return undelivered

    shutdown.__doc__ = _iris.Runtime.shutdown.__doc__

    def tree(self) -> Tree:
        """All actors, as a tree of families: see ``iris.Tree``.

        Nothing stands still meanwhile, so one that is being spawned or ends may be missing.
        Costs a walk over all actors.
        """
        text, entries = self._tree()
        return Tree(text, tuple(TreeEntry(**entry) for entry in entries))

    async def selective_recv(
        self,
        pid: int,
        matcher: Callable[[bytes | PySystemMessage], object],
        timeout: float | None = None,
    ) -> bytes | PySystemMessage | None:
        """As ``selective_recv_blocking``, awaitable: it waits on a thread of the event loop's
        default executor, where ``matcher`` is called, too.

        Cancelled, it takes no message.
        """
        import asyncio

        cancelled = threading.Event()
        loop = asyncio.get_running_loop()
        taken = loop.run_in_executor(
            None, self._selective_recv, pid, matcher, timeout, cancelled.is_set
        )
        try:
            return await asyncio.shield(taken)
        except asyncio.CancelledError:
            cancelled.set()
            taken.add_done_callback(lambda done: self._return_to(pid, done))
            raise

    def _return_to(self, pid: int, taken: asyncio.Future[Any]) -> None:
        """Gives back what was taken just before the wait for it was cancelled."""
        if not taken.cancelled() and taken.exception() is None and taken.result() is not None:
            self._give_back(pid, taken.result())

    async def join_async(self, pid: int, timeout: float | None = None) -> bool:
        """As ``join``, awaitable, on any asyncio loop: it keeps no thread, and cancelled it leaves
        nothing behind."""
        from iris import _awaiting

        return await _awaiting.join(self, pid, timeout)

    async def shutdown_async(self, drain: float = 2.0) -> int:
        """As ``shutdown``, awaitable: the loop goes on meanwhile, so that what actors wait for
        there can come. Cancelled, the shutdown goes on by itself."""
        if self._inside() is not None:
            raise RuntimeError(
                "shutdown_async() inside a handler would wait for that handler; call it elsewhere"
            )
        from iris import _awaiting

        return await _awaiting.on_own_thread(lambda: self.shutdown(drain))

    def __exit__(self, *exception: object) -> None:
        self.shutdown()

    async def __aenter__(self) -> Runtime:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.shutdown_async()


Runtime.__module__ = "iris"


@atexit.register
def _shut_all_down() -> None:
    """Drains what is queued, so that a script may send and end."""
    global _exiting
    _exiting = True
    interrupted: BaseException | None = None
    for runtime in list(_live):
        try:
            undelivered = runtime.shutdown(0.0 if interrupted else 2.0)
        except KeyboardInterrupt as error:
            # Whoever is in such a hurry does not wait for the others either.
            interrupted = error
            undelivered = runtime.shutdown(0.0)
        if undelivered:
            logging.getLogger("iris").warning(
                "%d messages were not delivered before the interpreter exited", undelivered
            )
        runtime._end_threads()
    _iris._end_reports()
    if interrupted:
        raise interrupted


def _forget_all() -> None:
    """In a forked child: the parent's runtimes are not ours to shut down."""
    # First, so that those that are freed here are left as they are.
    _iris._after_fork_in_child()
    _live.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
