"""What ``Runtime`` has for event loops and for actors of classes."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, overload

from iris import _iris
from iris._actor import _DEFAULT_TIMEOUT, Actor, Ref, _class_of

# Who awaits something has imported asyncio; for others it would be most of `import iris`.
if TYPE_CHECKING:
    import asyncio

    from iris._iris import _BatchHandler, _Handler, _OnError
    from iris._lifecycle import Runtime
    from typing_extensions import Buffer, ParamSpec, Self

    P = ParamSpec("P")

A = TypeVar("A", bound=Actor)


class Asking(_iris.Runtime):
    """The part of ``iris.Runtime`` that is about asking and about classes."""

    _desks: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _iris._Desk]
    _desks_lock: threading.Lock
    _given_up: int
    """Answers that loops were waiting for when they were closed."""

    def __new__(cls, *_arguments: Any, **settings: Any) -> Self:
        self = super().__new__(cls, **settings)
        self._desks = weakref.WeakKeyDictionary()
        self._desks_lock = threading.Lock()
        self._given_up = 0
        return self

    async def ask(self, pid: int, data: Buffer, timeout: float | None = _DEFAULT_TIMEOUT) -> bytes:
        """As ``call``, awaited instead of waited for, in any running event loop of any thread.

        Cancelled, it gives the answer up, as does a loop that is closed; the question is not
        taken back.
        """
        if self._on_loop():
            return cast(bytes, await self._awaited(pid, data, timeout))
        from asyncio import get_running_loop

        loop = get_running_loop()
        desk = self._desk_of(loop)
        future: asyncio.Future[Any] = loop.create_future()
        number = desk.ask(self, future, pid, data, timeout)
        return cast(bytes, await _answer(loop, desk, future, number, timeout))

    async def resolve_remote_py(self, addr: str, name: str) -> int | None:
        """As ``resolve_remote``, awaited, in any running event loop: a thread waits meanwhile."""
        from asyncio import get_running_loop

        return await get_running_loop().run_in_executor(None, self.resolve_remote, addr, name)

    async def lookup_async(self, name: str, timeout: float = _DEFAULT_TIMEOUT) -> int | None:
        """As ``lookup`` with a timeout, awaited, in any running event loop: a thread waits meanwhile."""
        from asyncio import get_running_loop

        return await get_running_loop().run_in_executor(None, self.lookup, name, timeout)

    async def _ask_method(
        self,
        pid: int,
        method: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        timeout: float | None,
    ) -> Any:
        from asyncio import get_running_loop

        loop = get_running_loop()
        desk = self._desk_of(loop)
        future: asyncio.Future[Any] = loop.create_future()
        number = desk.ask_method(self, future, pid, method, args, kwargs, timeout)
        return await _answer(loop, desk, future, number, timeout)

    def _desk_of(self, loop: asyncio.AbstractEventLoop) -> _iris._Desk:
        desk = self._desks.get(loop)
        if desk is not None:
            return desk
        desk = _iris._Desk()
        try:
            loop.add_reader(desk.fileno(), desk.drain)
        except NotImplementedError:
            raise RuntimeError(
                f"{type(loop).__name__} cannot watch a socket (add_reader), which asks need: "
                "use a selector event loop, or rt.call on a thread"
            ) from None
        with self._desks_lock:
            for other, others in list(self._desks.items()):
                if other.is_closed():
                    self._given_up += others.close()
                    del self._desks[other]
            self._desks[loop] = desk
        return desk

    def _retire_desks(self) -> None:
        """After a shutdown no loop need watch for answers of this runtime any more."""
        with self._desks_lock:
            desks = list(self._desks.items())
        for loop, desk in desks:
            try:
                loop.call_soon_threadsafe(self._retire, loop, desk)
            except RuntimeError:  # it is closed
                pass

    def _retire(self, loop: asyncio.AbstractEventLoop, desk: _iris._Desk) -> None:
        desk.drain()
        # A handler that was left behind may answer still.
        if not desk.pending():
            loop.remove_reader(desk.fileno())
            with self._desks_lock:
                self._desks.pop(loop, None)

    @overload
    def spawn(self, actor: Callable[P, A], /, *args: P.args, **kwargs: P.kwargs) -> Ref[A]: ...
    @overload
    def spawn(
        self,
        handler: _Handler,
        budget: int = 100,
        release_gil: bool = False,
        *,
        name: str | None = None,
        on_error: _OnError = "crash",
        system: bool = False,
        batch: Literal[False] = False,
        capacity: int | None = None,
        reentrant: bool = False,
    ) -> int: ...
    @overload
    def spawn(
        self,
        handler: _BatchHandler,
        budget: int = 100,
        release_gil: bool = False,
        *,
        name: str | None = None,
        on_error: _OnError = "crash",
        system: bool = False,
        batch: Literal[True],
        capacity: int | None = None,
    ) -> int: ...
    # A constructor's keyword may be `handler`, too, so that it is no parameter here.
    def spawn(self, /, *args: Any, **kwargs: Any) -> Any:  # type: ignore[misc]
        if args and isinstance(args[0], type) and issubclass(args[0], Actor):
            return self.spawn_actor(args[0], args[1:], kwargs)
        return _spawn(self, *args, **kwargs) if kwargs else _spawn(self, *args)

    spawn.__doc__ = f"""{_iris.Runtime.spawn.__doc__}
    A class derived from ``iris.Actor`` instead of a handler: see ``spawn_actor``. All else that
    is given goes to its constructor then."""

    def spawn_actor(
        self,
        actor: type[A],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        capacity: int | None = None,
        budget: int = 100,
        on_error: _OnError = "crash",
        parent: int | None = None,
        system: bool = False,
    ) -> Ref[A]:
        """Spawns an actor of a class, with ``actor(*args, **kwargs)`` for its state.

        The instance is made inside the actor, before any message; the arguments may be
        whatever the constructor takes. What that raises is raised here, and the actor has ended
        then (reason ``crash``). With ``parent`` it ends with that actor. The options are those
        of ``spawn``; ``rt.spawn(Counter, start=3)`` is the short form without them.
        """
        if not (isinstance(actor, type) and issubclass(actor, Actor)):
            raise TypeError(f"an actor is a class derived from iris.Actor, not {actor!r}")
        keywords = dict(kwargs) if kwargs else None
        pid = self._spawn_class(
            _class_of(actor),
            tuple(args),
            keywords,
            budget,
            capacity,
            name,
            on_error,
            parent,
            system,
        )
        return Ref(cast("Runtime", self), pid, actor)

    def ref(self, pid: int, actor: type[A]) -> Ref[A]:
        """A ``Ref`` of a pid that came in a message or from ``whereis``.

        That the actor is of this class, or of one derived from it, is the caller's promise.
        """
        if isinstance(pid, Ref) and pid.rt is not self:
            raise ValueError(f"{pid!r} belongs to another Runtime")
        return Ref(cast("Runtime", self), pid, actor)

    @overload
    def hot_swap(
        self,
        pid: int,
        handler: _Handler,
        *,
        now: bool = False,
        on_error: _OnError = "crash",
        system: bool = False,
        batch: Literal[False] = False,
    ) -> int: ...
    @overload
    def hot_swap(
        self,
        pid: int,
        handler: _BatchHandler,
        *,
        now: bool = False,
        on_error: _OnError = "crash",
        system: bool = False,
        batch: Literal[True],
    ) -> int: ...
    @overload
    def hot_swap(
        self,
        pid: int,
        handler: type[Actor],
        *,
        now: bool = False,
        on_error: _OnError = "crash",
        system: bool = False,
        migrate: Callable[[Any], Mapping[str, Any]] | None = None,
    ) -> int: ...
    def hot_swap(
        self,
        pid: int,
        handler: Any,
        *,
        now: bool = False,
        on_error: _OnError = "crash",
        system: bool = False,
        batch: bool = False,
        migrate: Callable[[Any], Mapping[str, Any]] | None = None,
    ) -> int:
        if isinstance(handler, type) and issubclass(handler, Actor):
            return self._swap_class(
                pid, _class_of(handler), migrate, now, on_error, system
            )
        if migrate is not None:
            raise TypeError("migrate= is for classes: a handler's state is its own")
        how: dict[str, Any] = {"on_error": on_error, "system": system, "batch": batch}
        return _hot_swap(self, pid, handler, now=now, **how)

    hot_swap.__doc__ = f"""{_iris.Runtime.hot_swap.__doc__}
    An actor of a class goes on as an instance of another one, made without its constructor:
    ``migrate(old)`` returns the attributes of the new one. Without ``migrate`` they are those of
    the old one; then both classes must declare the same fields (annotations and ``__slots__``),
    else it raises ``TypeError``. If ``migrate`` raises, that is logged and the actor goes on as
    it was. After a rollback it is the instance of before: what both classes have is what the
    later one had, the rest is as it was at the swap. Until it ends an actor keeps its last 16
    instances for that."""


_spawn: Callable[..., int] = _iris.Runtime.spawn
_hot_swap: Callable[..., int] = _iris.Runtime.hot_swap


async def _answer(
    loop: asyncio.AbstractEventLoop,
    desk: _iris._Desk,
    future: asyncio.Future[Any],
    number: int,
    timeout: float | None,
) -> Any:
    if not number:
        return future.result()
    timer = None
    if timeout is not None:
        timer = loop.call_later(timeout, desk.expire, number, timeout)
    try:
        return await future
    finally:
        desk.forget(number)
        if timer is not None:
            timer.cancel()
