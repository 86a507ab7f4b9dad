"""What happens to runtimes when the process forks or the interpreter exits."""

from __future__ import annotations

import atexit
import logging
import os
from typing import Any

from iris import _iris

_live: set[Runtime] = set()
"""Runtimes whose threads have not all ended. Held, so that what is queued in one that nobody
refers to any more is handled all the same, as a thread goes on without its ``Thread`` object."""

_exiting = False


class Runtime(_iris.Runtime):
    __doc__ = _iris.Runtime.__doc__

    def __new__(cls, *_arguments: Any, **_keywords: Any) -> Runtime:
        if _exiting:
            raise RuntimeError("the interpreter is exiting: it is too late for a Runtime")
        self = super().__new__(cls)
        _live.add(self)
        return self

    def shutdown(self, drain: float = 2.0) -> int:
        undelivered = super().shutdown(drain)
        if self._ended():
            _live.discard(self)
        return undelivered

    shutdown.__doc__ = _iris.Runtime.shutdown.__doc__

    def __exit__(self, *exception: object) -> None:
        self.shutdown()


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
    if interrupted:
        raise interrupted


def _forget_all() -> None:
    """In a forked child: the parent's runtimes are not ours to shut down."""
    # First, so that those that are freed here are left as they are.
    _iris._after_fork_in_child()
    _live.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
