import asyncio
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Literal, TypedDict, final, overload

from iris._system import ExitReason
from typing_extensions import Buffer as _BytesLike
from typing_extensions import Self, disjoint_base

__all__ = [
    "STOP",
    "Buffer",
    "Kernel",
    "Mailbox",
    "OffloadedFunction",
    "PySystemMessage",
    "Runtime",
    "StopType",
    "_ITERATION_CAP",
    "_ActorClass",
    "_Desk",
    "__version__",
    "_cpu_features",
    "_after_fork_in_child",
    "_end_reports",
    "_offloaded",
    "_pack",
    "_unpack",
    "allocate_buffer",
    "flush_reports",
]

__version__: Final[str]
_ITERATION_CAP: Final[int]
STOP: Final[StopType]

_Handler = Callable[[bytes], object]
_BatchHandler = Callable[[list[Any]], object]
_Message = bytes | PySystemMessage
_Factory = Callable[[], int]
_Restart = Literal["permanent", "transient", "temporary"]
_OnError = Literal["crash", "resume"]

class _Failure(TypedDict):
    type: str
    message: str
    traceback: str

class _Info(TypedDict):
    pid: int
    name: str | None
    kind: Literal["push", "virtual", "pull", "observer"]
    alive: bool
    capacity: int | None
    overflow: Literal["dropnew", "dropold", "redirect", "spill", "block"] | None
    overflow_target: int | None
    supervised: bool
    status: Literal["reserved", "idle", "scheduled", "running"]
    mailbox_size: int
    handled: int
    behavior_version: int
    behavior: str
    names: list[str]
    paths: list[str]
    parent: int | None
    children: list[int]

class _DeadLetterCounts(TypedDict):
    stopped: int
    evicted: int
    refused: int

class _Stats(TypedDict):
    actors: int
    busy: int
    messages_queued: int
    messages_handled: int
    exits_clean: int
    exits_failed: int
    dead_letters: _DeadLetterCounts
    lane_threads: int
    own_threads: int
    reports_dropped: int

@final
class StopType: ...

@final
class Buffer(_BytesLike):
    @property
    def id(self) -> int: ...
    @property
    def view(self) -> memoryview: ...
    @property
    def sent(self) -> bool: ...
    def __len__(self) -> int: ...

@final
class Mailbox:
    @property
    def pid(self) -> int: ...
    def recv(self, timeout: float | None = None) -> _Message | None: ...
    def selective_recv(
        self, matcher: Callable[[_Message], object], timeout: float | None = None
    ) -> _Message | None: ...
    def recv_many(self, max: int, timeout: float | None = None) -> list[_Message]: ...
    def reply(self, data: _BytesLike) -> bool: ...
    def __iter__(self) -> Iterator[_Message]: ...
    def __next__(self) -> _Message: ...

@final
class PySystemMessage:
    @property
    def type_name(self) -> str: ...
    @property
    def from_pid(self) -> int | None: ...
    @property
    def target_pid(self) -> int | None: ...
    @property
    def reason(self) -> ExitReason | None: ...
    @property
    def metadata(self) -> _Failure | None: ...
    @property
    def reference(self) -> int | None: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: None  # type: ignore[assignment]

@disjoint_base
class Runtime:
    def __new__(
        cls, *, watchdog: float | None = 10.0, mailbox_capacity: int | None = None
    ) -> Self: ...
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
    @overload
    def spawn_many(
        self,
        handler: _Handler,
        count: int,
        budget: int = 100,
        *,
        on_error: _OnError = "crash",
        system: bool = False,
        batch: Literal[False] = False,
        capacity: int | None = None,
    ) -> list[int]: ...
    @overload
    def spawn_many(
        self,
        handler: _BatchHandler,
        count: int,
        budget: int = 100,
        *,
        on_error: _OnError = "crash",
        system: bool = False,
        batch: Literal[True],
        capacity: int | None = None,
    ) -> list[int]: ...
    def spawn_py_handler_bounded(
        self,
        handler: _Handler,
        budget: int,
        capacity: int,
        release_gil: bool = False,
        *,
        name: str | None = None,
        on_error: _OnError = "crash",
    ) -> int: ...
    def set_overflow_policy(self, pid: int, policy: str, target: int | None = None) -> None: ...
    def spawn_virtual(
        self,
        handler: _Handler,
        budget: int = 100,
        idle_timeout_ms: int | None = None,
        *,
        reactivate: bool = False,
        name: str | None = None,
        on_error: _OnError = "crash",
        system: bool = False,
    ) -> int: ...
    def spawn_with_mailbox(
        self,
        handler: Callable[[Mailbox], object],
        budget: int = 100,
        *,
        name: str | None = None,
        capacity: int | None = None,
    ) -> int: ...
    def spawn_child_with_mailbox(
        self,
        parent: int,
        handler: Callable[[Mailbox], object],
        budget: int = 100,
        *,
        name: str | None = None,
    ) -> int: ...
    def spawn_child(
        self,
        parent: int,
        handler: _Handler,
        budget: int = 100,
        release_gil: bool = False,
        *,
        name: str | None = None,
        on_error: _OnError = "crash",
        system: bool = False,
    ) -> int: ...
    def spawn_child_pool(
        self,
        parent: int,
        handler: _Handler,
        workers: int = 4,
        budget: int = 100,
        release_gil: bool = False,
    ) -> list[int]: ...
    def rollback_behavior(self, pid: int, steps: int = 1) -> int: ...
    def send(self, pid: int, data: _BytesLike) -> bool: ...
    def send_many(self, pid: int, items: Iterable[_BytesLike]) -> int: ...
    def send_buffer(self, pid: int, buffer: Buffer | int) -> bool: ...
    def send_named(self, name: str, data: _BytesLike) -> bool: ...
    def send_after(self, pid: int, ms: int, data: _BytesLike) -> int: ...
    def send_interval(self, pid: int, ms: int, data: _BytesLike) -> int: ...
    def cancel_timer(self, timer: int) -> bool: ...
    def stop(self, pid: int, drain: bool = False) -> bool: ...
    def join(self, pid: int, timeout: float | None = None) -> bool: ...
    def is_alive(self, pid: int) -> bool: ...
    def mailbox_size(self, pid: int) -> int | None: ...
    def info(self, pid: int) -> _Info | None: ...
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
    def behavior_version(self, pid: int) -> int | None: ...
    def register(self, name: str, pid: int) -> None: ...
    def unregister(self, name: str) -> bool: ...
    def whereis(self, name: str) -> int | None: ...
    def resolve(self, name: str) -> int | None: ...
    def register_path(self, path: str, pid: int) -> None: ...
    def unregister_path(self, path: str) -> bool: ...
    def whereis_path(self, path: str) -> int | None: ...
    def list_children(self, prefix: str) -> list[tuple[str, int]]: ...
    def list_children_direct(self, prefix: str) -> list[tuple[str, int]]: ...
    def watch_path(self, prefix: str) -> int: ...
    def link(self, a: int, b: int, propagate: bool = False) -> bool: ...
    def unlink(self, a: int, b: int) -> bool: ...
    def monitor(self, watcher: int, pid: int) -> int: ...
    def demonitor(self, reference: int) -> bool: ...
    def trap_exit(self, pid: int, traps: bool = True) -> None: ...
    def join_group(self, group: str, pid: int) -> bool: ...
    def leave_group(self, group: str, pid: int) -> bool: ...
    def members(self, group: str) -> list[int]: ...
    def publish(self, group: str, data: _BytesLike) -> int: ...
    def spawn_with_path_observed(self, budget: int, path: str) -> int: ...
    def get_messages(self, pid: int, drain: bool = True) -> list[_Message]: ...
    def observer_dropped(self, pid: int) -> int | None: ...
    def selective_recv_blocking(
        self, pid: int, matcher: Callable[[_Message], object], timeout: float | None = None
    ) -> _Message | None: ...
    def _selective_recv(
        self,
        pid: int,
        matcher: Callable[[_Message], object],
        timeout: float | None,
        cancelled: Callable[[], bool],
    ) -> _Message | None: ...
    def _give_back(self, pid: int, message: _Message) -> None: ...
    def supervise_with_factory(
        self,
        pid: int,
        factory: _Factory,
        strategy: str = "restartone",
        *,
        restart: _Restart = "permanent",
    ) -> None: ...
    def path_supervise_with_factory(
        self,
        path: str,
        pid: int,
        factory: _Factory,
        strategy: str = "restartone",
        *,
        restart: _Restart = "permanent",
    ) -> None: ...
    def stop_child(self, pid: int) -> bool: ...
    def child_pids(self) -> list[int]: ...
    def children_count(self) -> int: ...
    def create_path_supervisor(self, path: str) -> None: ...
    def remove_path_supervisor(self, path: str) -> bool: ...
    def path_supervisor_watch(self, path: str, pid: int) -> bool: ...
    def path_supervisor_children(self, path: str) -> list[int]: ...
    def watch_supervision(self, pid: int) -> None: ...
    def dead_letters(self) -> int: ...
    def on_dead_letter(self, hook: Callable[[int, bytes, str], object] | None) -> None: ...
    def stats(self) -> _Stats: ...
    def _tree(self) -> tuple[str, list[dict[str, Any]]]: ...
    def set_release_gil_limits(self, max_threads: int, gil_pool_size: int) -> None: ...
    def set_release_gil_strict(self, strict: bool) -> None: ...
    def set_watchdog(self, seconds: float | None) -> None: ...
    def shutdown(self, drain: float = 2.0) -> int: ...
    def call(self, pid: int, data: _BytesLike, timeout: float | None = 5.0) -> bytes: ...
    def _inside(self) -> int | None: ...
    def _spawn_class(
        self,
        actor: _ActorClass,
        args: tuple[Any, ...],
        kwargs: dict[str, Any] | None,
        budget: int,
        capacity: int | None,
        name: str | None,
        on_error: str,
        parent: int | None,
        system: bool,
    ) -> int: ...
    def _swap_class(
        self,
        pid: int,
        actor: _ActorClass,
        migrate: Callable[[Any], Any] | None,
        now: bool,
        on_error: str,
        system: bool,
    ) -> int: ...
    @staticmethod
    def _packed(method: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes: ...
    def _tell(
        self, pid: int, method: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None: ...
    def _call_method(
        self,
        pid: int,
        method: object,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        timeout: float | None,
    ) -> Any: ...
    def _end_threads(self) -> bool: ...
    def _ended(self) -> bool: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exception: object) -> None: ...

@final
class _ActorClass:
    def __new__(
        cls, actor: type, methods: list[str], has_on_stop: bool, has_on_system: bool
    ) -> Self: ...

@final
class _Desk:
    def __new__(cls) -> Self: ...
    def fileno(self) -> int: ...
    def ask(
        self,
        runtime: Runtime,
        future: asyncio.Future[Any],
        pid: int,
        data: _BytesLike,
        timeout: float | None,
    ) -> int: ...
    def ask_method(
        self,
        runtime: Runtime,
        future: asyncio.Future[Any],
        pid: int,
        method: object,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        timeout: float | None,
    ) -> int: ...
    def drain(self) -> None: ...
    def expire(self, number: int, timeout: float) -> None: ...
    def forget(self, number: int) -> None: ...
    def pending(self) -> int: ...
    def close(self) -> int: ...

def _pack(value: object) -> bytes: ...
def _unpack(data: bytes) -> Any: ...
@final
class Kernel:
    def __new__(
        cls,
        function: Callable[..., Any],
        name: str,
        source: str,
        first_line: int,
        refusal: str | None,
        return_type: str | None,
        jit_names: list[str],
        pooled: bool = False,
    ) -> Self: ...
    @property
    def _jit_names(self) -> list[str]: ...
    @property
    def _return_type(self) -> str | None: ...
    def explain(self) -> str: ...
    @property
    def stats(self) -> dict[str, int]: ...
    @property
    def py(self) -> Callable[..., Any]: ...

@final
class OffloadedFunction:
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    def __get__(self, instance: object, owner: type | None = None, /) -> Any: ...
    @property
    def _jit_names(self) -> list[str]: ...
    @property
    def _return_type(self) -> str | None: ...
    @property
    def __code__(self) -> types.CodeType: ...
    @property
    def __defaults__(self) -> tuple[Any, ...] | None: ...
    @property
    def __kwdefaults__(self) -> dict[str, Any] | None: ...
    @property
    def __globals__(self) -> dict[str, Any]: ...
    @property
    def __closure__(self) -> tuple[types.CellType, ...] | None: ...
    @property
    def explain(self) -> Callable[[], str]: ...
    @property
    def stats(self) -> dict[str, int]: ...
    @property
    def py(self) -> Callable[..., Any]: ...

def _offloaded(kernel: Kernel) -> OffloadedFunction: ...
def _after_fork_in_child() -> None: ...
def _end_reports() -> None: ...
def _cpu_features() -> list[str]: ...
def allocate_buffer(size: int) -> Buffer: ...
def flush_reports(timeout: float = 1.0) -> bool: ...
