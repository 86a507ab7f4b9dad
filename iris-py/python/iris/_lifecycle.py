"""What happens to runtimes when the process forks or the interpreter exits."""

from __future__ import annotations

import atexit
import logging
import os
import weakref

from iris import _iris

_live: weakref.WeakSet[Runtime] = weakref.WeakSet()


class Runtime(_iris.Runtime):
    __doc__ = _iris.Runtime.__doc__

    def __init__(self) -> None:
        _live.add(self)


Runtime.__module__ = "iris"


@atexit.register
def _shut_all_down() -> None:
    """Drains what is queued, so that a script may send and end."""
    for runtime in list(_live):
        undelivered = runtime.shutdown()
        if undelivered:
            logging.getLogger("iris").warning(
                "%d messages were not delivered before the interpreter exited", undelivered
            )


def _forget_all() -> None:
    """In a forked child: the parent's runtimes are not ours to shut down."""
    _live.clear()
    _iris._after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
