"""The exceptions of Iris that Python has no name for."""

from __future__ import annotations


class IrisError(Exception):
    """The base of all exceptions below."""


class DeadActorError(IrisError, LookupError):
    """No actor has this pid, or it is stopping."""


class NameTakenError(IrisError, ValueError):
    """The name or path leads to another live actor."""


class ForkError(IrisError, RuntimeError):
    """The runtime was made before ``os.fork()`` and cannot be used in the child."""


class WouldBlockError(IrisError, RuntimeError):
    """A send would have to wait for room in a full mailbox, in a handler that must not."""


class MailboxClosed(IrisError):
    """The actor was told to stop, and its mailbox gives nothing more.

    It may leave the function of a pull actor: that is its quiet end, not a crash.
    """


class WrongRuntimeError(DeadActorError):
    """The actor belongs to another ``Runtime`` than the one that was called."""


class MailboxFullError(IrisError, RuntimeError):
    """The mailbox is full, and its policy refuses what does not fit."""


class AskTimeout(IrisError, TimeoutError):
    """No answer came in time. One that comes later is dropped."""


class DeadlockError(IrisError, RuntimeError):
    """An actor would wait for its own answer, directly or through others."""


class NoReplyError(IrisError):
    """The actor took the question and did not answer it."""


class MeshError(IrisError, ConnectionError):
    """Another node cannot be reached, or this one cannot listen; the text says why, and what to
    do."""


class CodecError(IrisError, ValueError):
    """A value cannot travel in a message; the text says which and where it is."""


class ProtocolError(IrisError, ValueError):
    """Bytes are not the message that they should be, or name a method that may not be called."""


class RemoteError(IrisError):
    """An actor raised what the asker has no class for, or what cannot be made anew.

    ``type_name`` is the class's full name, ``message`` its text and ``traceback`` what the
    interpreter would have printed.
    """

    def __init__(self, type_name: str, message: str, traceback: str = "") -> None:
        super().__init__(type_name, message, traceback)
        self.type_name = type_name
        self.message = message
        self.traceback = traceback

    def __str__(self) -> str:
        return f"{self.type_name}: {self.message}" if self.message else self.type_name


class RemoteTraceback(Exception):
    """The cause of an exception that came from an actor: where in the actor it was raised."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"\n{self.text}"
