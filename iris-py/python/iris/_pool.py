"""Pools of workers under a parent."""

from __future__ import annotations

from typing import Any, Callable

from iris._errors import CodecError
from iris._iris import Runtime, pack, unpack


def spawn_child_pool(
    rt: Runtime,
    parent: int,
    handler: Callable[[bytes], Any] | None = None,
    size: int = 4,
    budget: int = 100,
    release_gil: bool = False,
) -> list[int]:
    """Spawns ``size`` workers that end with ``parent``, and returns their pids in the order of
    spawning. As ``rt.spawn_child_pool(parent, handler, workers=size)``; the same errors.

    Without a handler the workers evaluate calls of offloaded functions: a message is
    ``iris.pack([name, args])``, where ``name`` is the function's qualified name, with its module's
    name before it if several have the same; who asks gets the packed result. A message that is no
    such call, and an exception of the function, are a crash of the worker, as in any handler; who
    asks gets the exception, too.

    >>> import iris
    >>> @iris.offload
    ... def discounted(price, rate):
    ...     return price * (1.0 - rate)
    >>> with iris.Runtime() as rt:
    ...     first, second = iris.spawn_child_pool(rt, rt.spawn(print), size=2)
    ...     iris.unpack(rt.call(first, iris.pack(["discounted", [8.0, 0.25]])))
    6.0
    """
    return rt.spawn_child_pool(parent, handler or _evaluate, size, budget, release_gil)


def _evaluate(data: bytes) -> bytes:
    """Answers one call of an offloaded function."""
    # Who offloads nothing needs none of it.
    from iris._offload import named

    call = unpack(data)
    if not (
        isinstance(call, list)
        and len(call) == 2
        and isinstance(call[0], str)
        and isinstance(call[1], list)
    ):
        raise CodecError(
            "a worker without a handler takes iris.pack([name, args]) of an offloaded function,"
            f" not {call!r:.80}"
        )
    name, args = call
    return pack(named(name)(*args))
