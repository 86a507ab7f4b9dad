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
