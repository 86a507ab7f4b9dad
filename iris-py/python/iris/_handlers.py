"""What can be seen of a handler before it is called. Asks nothing of asyncio, which takes longer to
import than all of Iris."""

from __future__ import annotations

import functools
from collections.abc import Callable

_CO_COROUTINE = 0x80
_MARK = "_is_coroutine_mark"
"""What ``inspect.markcoroutinefunction`` leaves."""


def is_async(handler: Callable[..., object]) -> bool:
    """Whether calling ``handler`` gives a coroutine, as far as can be seen beforehand."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    return _is_coroutine_function(handler) or _is_coroutine_function(
        getattr(type(handler), "__call__", None)  # noqa: B004
    )


def _is_coroutine_function(function: object) -> bool:
    function = getattr(function, "__func__", function)
    while isinstance(function, functools.partial):
        function = function.func
    if hasattr(function, _MARK):
        return True
    code = getattr(function, "__code__", None)
    return bool(getattr(code, "co_flags", 0) & _CO_COROUTINE)
