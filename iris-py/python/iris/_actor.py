"""Actors as classes: their state is ``self``, and messages are calls of their methods."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

from iris import _iris
from iris._handlers import is_async
from iris._iris import PySystemMessage

if TYPE_CHECKING:
    from iris._lifecycle import Runtime
    from typing_extensions import Concatenate, ParamSpec, Self, TypeVarTuple, Unpack

    P = ParamSpec("P")
    Ts = TypeVarTuple("Ts")

R = TypeVar("R")
A = TypeVar("A", bound="Actor")
A_co = TypeVar("A_co", bound="Actor", covariant=True)

_DEFAULT_TIMEOUT = 5.0


class Actor:
    """The base of classes of actors: ``rt.spawn(Counter, start=3)`` makes one.

    >>> import iris
    >>> class Counter(iris.Actor):
    ...     def __init__(self, start: int = 0) -> None:
    ...         self.n = start
    ...
    ...     def add(self, k: int) -> int:
    ...         self.n += k
    ...         return self.n
    >>> with iris.Runtime() as rt:
    ...     counter = rt.spawn(Counter, start=3)
    ...     counter.tell(Counter.add, 1)
    ...     counter.call(Counter.add, 2)
    6

    Only methods whose names have no leading underscore may be called from outside, one at a
    time, in the order in which each sender sent them. Arguments and results are what msgpack
    knows: ``None``, ``bool``, ``int`` of 64 bits, ``float``, ``str``, ``bytes``, ``list`` and
    ``dict``; a tuple arrives as a list.

    Methods may be ``async def``: all of such a class runs on the runtime's loop thread, one
    method at a time, and ``await other.ask(..)`` there costs no change of threads if the other
    is such a class, too.

    An exception in a method is a crash of the actor, and the asker gets it, too. With
    ``on_error="resume"`` the actor goes on. A call with arguments that the method does not take
    is the caller's mistake, and harms nobody else. A method that returns ``iris.STOP`` ends its
    actor (reason ``normal``).
    """

    __slots__ = ("__weakref__", "ref", "rt")

    rt: Runtime
    """The runtime, from before ``__init__`` on."""
    ref: Ref[Self]
    """The actor itself, for others to talk to, from before ``__init__`` on."""

    def on_start(self) -> None:
        """Called in the actor after ``__init__``. What it raises is raised by the spawn."""

    def on_stop(self) -> None:
        """Called when the actor ends for whatever reason, at most for 5 s. What it raises is
        logged."""

    def on_system(self, message: PySystemMessage) -> object:
        """Called with system messages if the actor was spawned with ``system=True``."""


class Ref(int, Generic[A_co]):
    """An actor of a class, for others to talk to. It is the pid, too, and travels in messages
    as that; ``rt.ref(pid, Counter)`` makes a ``Ref`` of it again.

    ``timeout`` is in seconds, 5 by default, and ``None`` for ever. A method's own parameter of
    that name can be given by position only.
    """

    _rt: Runtime
    _cls: type[A_co]

    def __new__(cls, rt: Runtime, pid: int, actor: type[A_co]) -> Self:
        self = super().__new__(cls, pid)
        self._rt = rt
        self._cls = actor
        return self

    @property
    def pid(self) -> int:
        """The plain number."""
        return int(self)

    @property
    def rt(self) -> Runtime:
        """The runtime that the actor lives in."""
        return self._rt

    def tell(
        self: Ref[A],
        method: Callable[Concatenate[A, P], object],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None:
        """Has the actor call ``method``, and does not wait for it.

        Raises ``DeadActorError``, ``MailboxFullError`` if the mailbox is full and refuses, and
        ``CodecError`` for arguments that cannot travel. What the method raises is a crash of the
        actor, and none of the sender's business.
        """
        self._rt._tell(self, method, args, kwargs)

    @overload
    def call(
        self: Ref[A],
        method: Callable[Concatenate[A, P], Coroutine[Any, Any, R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R: ...
    @overload
    def call(
        self: Ref[A],
        method: Callable[Concatenate[A, P], R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R: ...
    @overload
    def call(
        self: Ref[A],
        method: Callable[[A, Unpack[Ts]], Coroutine[Any, Any, R]],
        /,
        *args: Unpack[Ts],
        timeout: float | None,
    ) -> R: ...
    @overload
    def call(
        self: Ref[A],
        method: Callable[[A, Unpack[Ts]], R],
        /,
        *args: Unpack[Ts],
        timeout: float | None,
    ) -> R: ...
    # It takes all that the overloads do; mypy compares no variadic types with that.
    def call(  # type: ignore[misc]
        self: Ref[Any], method: Any, /, *args: Any, **kwargs: Any
    ) -> Any:
        """Calls ``method`` in the actor and blocks for what it returns, as ``rt.call`` does.

        What the method raises is raised here, as its own type if that is built in or imported
        already, else as a ``RemoteError``; its cause is a ``RemoteTraceback``.
        """
        timeout = kwargs.pop("timeout", _DEFAULT_TIMEOUT)
        return self._rt._call_method(self, method, args, kwargs, timeout)

    @overload
    async def ask(
        self: Ref[A],
        method: Callable[Concatenate[A, P], Coroutine[Any, Any, R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R: ...
    @overload
    async def ask(
        self: Ref[A],
        method: Callable[Concatenate[A, P], R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R: ...
    @overload
    async def ask(
        self: Ref[A],
        method: Callable[[A, Unpack[Ts]], Coroutine[Any, Any, R]],
        /,
        *args: Unpack[Ts],
        timeout: float | None,
    ) -> R: ...
    @overload
    async def ask(
        self: Ref[A],
        method: Callable[[A, Unpack[Ts]], R],
        /,
        *args: Unpack[Ts],
        timeout: float | None,
    ) -> R: ...
    # It takes all that the overloads do; mypy compares no variadic types with that.
    async def ask(  # type: ignore[misc]
        self: Ref[Any], method: Any, /, *args: Any, **kwargs: Any
    ) -> Any:
        """As ``call``, awaited instead of waited for. Cancelled, it gives the answer up."""
        timeout = kwargs.pop("timeout", _DEFAULT_TIMEOUT)
        rt = self._rt
        if rt._on_loop():
            return await rt._awaited_method(self, method, args, kwargs, timeout)
        return await rt._ask_method(self, method, args, kwargs, timeout)

    def pack(
        self: Ref[A],
        method: Callable[Concatenate[A, P], object],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> bytes:
        """The call as a message: for ``rt.send_after``, ``rt.send_interval``, ``rt.publish``.

        >>> import iris
        >>> class Clock(iris.Actor):
        ...     def tick(self) -> None: ...
        >>> with iris.Runtime() as rt:
        ...     clock = rt.spawn(Clock)
        ...     timer = rt.send_interval(clock, 1_000, clock.pack(Clock.tick))
        """
        return _iris.Runtime._packed(method, args, kwargs)

    def __repr__(self) -> str:
        return f"<iris.Ref {self._cls.__qualname__} {int(self)}>"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    def __reduce__(self) -> Any:
        raise TypeError("a Ref is of one Runtime and cannot be pickled; send it as a pid")


def current() -> Ref[Any] | None:
    """The actor whose code the calling thread is inside of, or ``None``.

    A ``Ref`` of ``iris.Actor`` for one that is none of a class, which is good for its pid.
    """
    from iris import _lifecycle

    for rt in list(_lifecycle._live):
        pid = rt._inside()
        if pid is not None:
            return Ref(rt, pid, Actor)
    return None


def _class_of(cls: type[Actor]) -> _iris._ActorClass:
    """What the runtime knows of a class, made once."""
    known = cls.__dict__.get("_iris_class")
    if known is None:
        if cls is Actor:
            raise TypeError("iris.Actor is the base of actors: spawn a class derived from it")
        known = _iris._ActorClass(
            cls,
            _methods_of(cls),
            cls.on_stop is not Actor.on_stop,
            cls.on_system is not Actor.on_system,
            _is_async(cls),
        )
        cast(Any, cls)._iris_class = known
    return cast(_iris._ActorClass, known)


def _is_async(cls: type[Actor]) -> bool:
    """Whether it has methods that are coroutines."""
    for name in ("on_start", "on_stop", "on_system"):
        if is_async(getattr(cls, name)):
            raise TypeError(
                f"{cls.__qualname__}.{name} must be a plain def: the runtime calls it where "
                "nobody can await it"
            )
    return any(is_async(getattr(cls, name)) for name in _methods_of(cls))


def _methods_of(cls: type) -> list[str]:
    """The names of what may be called from outside."""
    names: dict[str, bool] = {}
    for base in cls.__mro__:
        if base is Actor or base is object:
            continue
        for name, value in vars(base).items():
            is_method = callable(value) or isinstance(value, (staticmethod, classmethod))
            names.setdefault(name, is_method and not isinstance(value, type))
    return [
        name
        for name, is_method in names.items()
        if is_method and not name.startswith("_") and name not in vars(Actor)
    ]


def _bear(
    cls: type[Actor], rt: Runtime, pid: int, args: tuple[Any, ...], kwargs: dict[str, Any] | None
) -> Actor:
    """Makes the instance, inside the actor."""
    keywords = kwargs or {}
    self = cast(Any, cls.__new__)(cls, *args, **keywords)
    self.rt = rt
    self.ref = Ref(rt, pid, cls)
    self.__init__(*args, **keywords)
    self.on_start()
    return cast(Actor, self)


def _annotated(cls: type) -> list[str]:
    """The names of the fields that the body of a class annotates."""
    annotations: Mapping[str, object]
    if sys.version_info >= (3, 14):
        import annotationlib

        # Evaluated they may name what is imported for type checkers only.
        form = annotationlib.Format.FORWARDREF
        annotations = annotationlib.get_annotations(cls, format=form)
    else:
        annotations = vars(cls).get("__annotations__", {})
    return [name for name, kind in annotations.items() if "ClassVar" not in str(kind)]


def _fields(cls: type) -> set[str]:
    """The fields that a class declares, by annotation or in its slots."""
    fields: set[str] = set()
    for base in cls.__mro__:
        if base is Actor or base is object:
            continue
        slots = vars(base).get("__slots__", ())
        fields.update([slots] if isinstance(slots, str) else slots)
        fields.update(_annotated(base))
    return fields - {"__dict__", "__weakref__"}


def _check_fields(old: type, new: type) -> None:
    """Refuses a swap for which somebody has to say what becomes of the fields."""
    before, after = _fields(old), _fields(new)
    if before != after:
        gone = ", ".join(sorted(before - after)) or "none"
        come = ", ".join(sorted(after - before)) or "none"
        raise TypeError(
            f"{new.__qualname__} has not the fields of {old.__qualname__} (gone: {gone}; new: "
            f"{come}): say what becomes of them with migrate=lambda old: {{...}}"
        )


def _attributes(instance: Actor) -> dict[str, Any]:
    """What an instance has, wherever it keeps it."""
    attributes: dict[str, Any] = dict(getattr(instance, "__dict__", {}))
    for name in _fields(type(instance)):
        if hasattr(instance, name):
            attributes[name] = getattr(instance, name)
    return attributes


def _evolve(
    cls: type[Actor], old: Actor, migrate: Callable[[Any], Mapping[str, Any]] | None
) -> Actor:
    """An instance of the new class that goes on where the old one is."""
    attributes: Any
    if migrate is None:
        _check_fields(type(old), cls)
        attributes = _attributes(old)
    else:
        attributes = migrate(old)
        if not isinstance(attributes, Mapping):
            kind = type(attributes).__name__
            raise TypeError(f"migrate must return a dict of the new attributes, not {kind}")
    new = cls.__new__(cls)
    new.rt = old.rt
    new.ref = Ref(old.rt, old.ref, cls)
    for name, value in attributes.items():
        setattr(new, name, value)
    return new


def _revive(earlier: Actor, present: Actor) -> None:
    """Brings the instance that a rollback goes back to up to date: what both have is what the
    present one has."""
    now = _attributes(present)
    for name in _attributes(earlier).keys() & now.keys():
        setattr(earlier, name, now[name])
