"""Iris: actors and native compute offload.

>>> import iris
>>> with iris.Runtime() as rt:
...     pid = rt.spawn(lambda data: print("got", data.decode()))
...     sent = rt.send(pid, b"hello")
got hello
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from iris import jit
from iris._actor import Actor, Ref, current
from iris._errors import (
    AskTimeout,
    CodecError,
    DeadActorError,
    DeadlockError,
    ForkError,
    IrisError,
    MailboxClosed,
    MailboxFullError,
    MeshError,
    NameTakenError,
    NoReplyError,
    ProtocolError,
    RemoteError,
    RemoteTraceback,
    WouldBlockError,
    WrongRuntimeError,
)
from iris._introspect import Tree, TreeEntry
from iris._iris import (
    STOP,
    Buffer,
    Mailbox,
    PySystemMessage,
    __version__,
    allocate_buffer,
    flush_reports,
    make_certificates,
    pack,
    unpack,
)
from iris._lifecycle import Runtime
from iris._offload import offload
from iris._pool import spawn_child_pool
from iris._system import ExitReason

__all__ = [
    "STOP",
    "Actor",
    "AskTimeout",
    "AsyncMailbox",
    "Buffer",
    "CodecError",
    "DeadActorError",
    "DeadlockError",
    "ExitReason",
    "ForkError",
    "IrisError",
    "Mailbox",
    "MailboxClosed",
    "MailboxFullError",
    "MeshError",
    "NameTakenError",
    "NoReplyError",
    "ProtocolError",
    "PySystemMessage",
    "Ref",
    "RemoteError",
    "RemoteTraceback",
    "Runtime",
    "Tree",
    "TreeEntry",
    "WouldBlockError",
    "WrongRuntimeError",
    "__version__",
    "allocate_buffer",
    "current",
    "flush_reports",
    "jit",
    "make_certificates",
    "offload",
    "pack",
    "spawn_child_pool",
    "unpack",
    "version",
]


if TYPE_CHECKING:
    from iris._async import AsyncMailbox
else:

    def __getattr__(name: str) -> object:
        # With it comes asyncio, which takes longer to import than all the rest.
        if name == "AsyncMailbox":
            from iris._async import AsyncMailbox

            return AsyncMailbox
        raise AttributeError(f"module 'iris' has no attribute {name!r}")


def version() -> str:
    """The version of Iris, such as ``"0.5.0"``."""
    return __version__
