"""Pools of workers under a parent."""

from __future__ import annotations

from typing import Any, Callable

from iris._iris import Runtime


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

    Without a handler the workers are to evaluate calls of offloaded functions that are sent as
    ``[name, args]`` in MessagePack. This version has no codec for that: ``NotImplementedError``.
    """
    if handler is None:
        raise NotImplementedError(
            "a pool without a handler evaluates offloaded calls in MessagePack, which is not in"
            " this version yet; give spawn_child_pool() a handler that calls the function"
        )
    return rt.spawn_child_pool(parent, handler, size, budget, release_gil)
