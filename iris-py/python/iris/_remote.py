"""Exceptions that an actor raised, as the asker gets to see them."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from iris._errors import ProtocolError, RemoteError, RemoteTraceback


def rebuilt(by: int, parts: Any) -> Exception:
    """The exception that was raised, of its own type if the asker knows that already."""
    if not isinstance(parts, list) or len(parts) != 5:
        return ProtocolError(f"actor {by} answered with an error that cannot be read")
    module, name, message, traceback, args = parts
    if not all(isinstance(text, str) for text in (module, name, message, traceback)):
        return ProtocolError(f"actor {by} answered with an error that cannot be read")
    error = _own_type(module, name, args)
    if error is None:
        error = RemoteError(_called(module, name), message, traceback)
    return _with_traceback(by, error, traceback)


def failed(by: int, kind: str, message: str, traceback: str) -> Exception:
    """For a failure of which only the text is known."""
    return _with_traceback(by, RemoteError(kind, message, traceback), traceback)


def _own_type(module: str, name: str, args: object) -> Exception | None:
    """Made of a class that is imported already: a message imports nothing.

    Not with ``getattr``, since the ``__getattr__`` of a module may do so.
    """
    found: object = sys.modules.get(module)
    for part in name.split("."):
        is_namespace = isinstance(found, (ModuleType, type))
        found = vars(found).get(part) if is_namespace else None
    if not (isinstance(found, type) and issubclass(found, Exception)):
        return None
    # Futures and coroutines refuse it, for it ends iterations.
    if issubclass(found, (StopIteration, StopAsyncIteration)) or not isinstance(args, list):
        return None
    try:
        error = found(*args)
    except Exception:  # a constructor of the user's, with other arguments than it keeps
        return None
    return error if isinstance(error, Exception) else None


def _called(module: str, name: str) -> str:
    return name if module in ("builtins", "") else f"{module}.{name}"


def _with_traceback(by: int, error: Exception, traceback: str) -> Exception:
    if traceback:
        error.__cause__ = RemoteTraceback(f"in actor {by}\n\n{traceback.rstrip()}")
    return error
