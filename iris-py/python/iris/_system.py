"""Why actors end."""

from __future__ import annotations

from enum import Enum


class ExitReason(str, Enum):
    """Why an actor ended: text in lower case that compares equal in any case.

    >>> ExitReason("crash") == "Crash"
    True
    >>> ExitReason.NORMAL
    <ExitReason.NORMAL: 'normal'>

    A reason of the user's own is one, too, though not among the names below.
    """

    NORMAL = "normal"
    SHUTDOWN = "shutdown"
    KILLED = "killed"
    PANIC = "panic"
    CRASH = "crash"
    TIMEOUT = "timeout"
    NOPROC = "noproc"
    NOCONNECTION = "noconnection"

    @classmethod
    def _missing_(cls, value: object) -> ExitReason | None:
        if not isinstance(value, str):
            return None
        for reason in cls:
            if reason.value == value.lower():
                return reason
        own = str.__new__(cls, value)
        own._name_ = own._value_ = value
        return own

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and str.lower(self) == str.lower(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(str.lower(self))

    def __str__(self) -> str:
        return str.__str__(self)
