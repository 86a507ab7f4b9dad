"""What the runtime tells Python's ``logging``, called on the reporter's thread."""

from __future__ import annotations

import logging
import sys
import traceback
from types import TracebackType
from typing import Optional, Union

_Raised = Optional[
    Union[
        tuple[type[BaseException], BaseException, Optional[TracebackType]],
        tuple[None, None, None],
    ]
]


def effective_level() -> int:
    """The least level that the logger ``iris`` lets pass."""
    return max(logging.getLogger("iris").getEffectiveLevel(), logging.root.manager.disable + 1)


def emit(
    logger: str,
    level: int,
    text: str,
    pid: int | None,
    at: float,
    thread: str,
    raised: _Raised = None,
) -> None:
    """One record: made now, of what was so at ``at`` on the thread called ``thread``."""
    to = logging.getLogger(logger)
    if not to.isEnabledFor(level):
        return
    record = to.makeRecord(
        to.name, level, "(iris)", 0, "%s", (text,), raised, extra={"actor": pid}
    )
    record.relativeCreated += (at - record.created) * 1000
    record.created = at
    record.msecs = float(int((at - int(at)) * 1000))
    record.threadName = thread
    to.handle(record)


def emit_overrun(
    pid: int, name: str | None, behavior: str, seconds: float, queued: int, ident: int | None
) -> None:
    """A handler has been at one message for ``seconds``. ``ident`` names its thread; ``None`` if
    it has returned since."""
    logger = logging.getLogger("iris.watchdog")
    if not logger.isEnabledFor(logging.WARNING):
        return
    who = f"actor {pid}" + (f" {name!r}" if name else "") + f" ({behavior})"
    text = f"{who} has been handling one message for {seconds:.3g} s; {queued} more wait"
    frame = None if ident is None else sys._current_frames().get(ident)
    if frame is None:
        # The reporter had no GIL, or a hook or a handler of logging kept it.
        text += "\nIt has returned before anybody could look where it was."
    else:
        text += "\nIt is here (most recent call last):\n" + "".join(traceback.format_stack(frame))
        # A frame keeps its locals alive.
        del frame
    logger.warning("%s", text.rstrip(), extra={"actor": pid})
