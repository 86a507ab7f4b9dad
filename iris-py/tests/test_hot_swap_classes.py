"""Replacing the class of an actor while calls flow."""

from __future__ import annotations

import gc
import weakref
from typing import ClassVar

import pytest
from support import PATIENCE, Gate

import iris


class Counter(iris.Actor):
    def __init__(self, n: int = 0) -> None:
        self.n = n

    def add(self, k: int) -> int:
        self.n += k
        return self.n

    def version(self) -> str:
        return "one"


class Doubler(iris.Actor):
    """The same fields, another logic."""

    def __init__(self) -> None:
        raise AssertionError("a swap calls no constructor")

    def add(self, k: int) -> int:
        self.n += 2 * k
        return self.n

    def version(self) -> str:
        return "two"


class Renamed(iris.Actor):
    total: int
    steps: list[int]

    def add(self, k: int) -> int:
        self.total += k
        self.steps.append(k)
        return self.total

    def version(self) -> str:
        return "renamed"


class Slotted(iris.Actor):
    __slots__ = ("n",)

    def __init__(self, n: int) -> None:
        self.n = n

    def add(self, k: int) -> int:
        self.n += k
        return self.n


def renamed(old: Counter) -> dict[str, object]:
    return {"total": old.n, "steps": []}


def test_the_state_survives_a_swap(rt: iris.Runtime) -> None:
    ref = rt.spawn(Counter, 3)
    assert rt.hot_swap(ref, Doubler) == 2
    assert ref.call(Counter.add, 1) == 5
    assert ref.call(Doubler.version) == "two"
    assert rt.behavior_version(ref) == 2
    info = rt.info(ref)
    assert info is not None
    assert info["behavior"] == "Doubler"


def test_migrate_says_what_the_new_attributes_are(rt: iris.Runtime) -> None:
    ref = rt.spawn(Counter, 3)
    rt.hot_swap(ref, Renamed, migrate=renamed)
    assert ref.call(Renamed.add, 4) == 7


def test_a_swapped_instance_knows_its_actor(rt: iris.Runtime) -> None:
    class Knowing(Counter):
        def who(self) -> list[object]:
            return [self.ref, self.rt is rt, repr(self.ref)]

    ref = rt.spawn(Counter, 3)
    rt.hot_swap(ref, Knowing)
    assert ref.call(Knowing.who) == [  # type: ignore[call-overload]
        ref.pid,
        True,
        f"<iris.Ref {Knowing.__qualname__} {ref.pid}>",
    ]


def test_a_swap_keeps_its_place_among_the_calls(rt: iris.Runtime) -> None:
    gate = Gate()
    seen: list[str] = []

    class Old(iris.Actor):
        def note(self, text: str) -> None:
            gate(b"x")
            seen.append(f"old {text}")

    class New(iris.Actor):
        def note(self, text: str) -> None:
            seen.append(f"new {text}")

    for now in (False, True):
        gate = Gate()
        seen.clear()
        ref = rt.spawn(Old)
        ref.tell(Old.note, "in flight")
        gate.wait_entered()
        ref.tell(Old.note, "before")
        rt.hot_swap(ref, New, now=now)
        ref.tell(Old.note, "after")
        assert rt.behavior_version(ref) == 1, "the old one is still at it"
        gate.open()
        rt.stop(ref, drain=True)
        assert rt.join(ref, PATIENCE)
        assert seen == ["old in flight", "new before" if now else "old before", "new after"]


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (Counter, Renamed, "gone: none; new: steps, total"),
        (Slotted, Counter, "gone: n; new: none"),
        (Counter, Slotted, "gone: none; new: n"),
    ],
)
def test_other_fields_need_a_migration(
    rt: iris.Runtime, old: type[iris.Actor], new: type[iris.Actor], text: str
) -> None:
    ref = rt.spawn_actor(old, (1,))
    with pytest.raises(TypeError, match=f"{text}.*migrate="):
        rt.hot_swap(ref, new)
    assert rt.behavior_version(ref) == 1
    assert ref.call("add", 1) == 2  # type: ignore[call-overload]


def test_what_belongs_to_the_class_is_no_field(rt: iris.Runtime) -> None:
    class Constant(Counter):
        limit: ClassVar[int] = 3

    ref = rt.spawn(Counter, 1)
    rt.hot_swap(ref, Constant)
    assert ref.call(Counter.add, 1) == 2


def test_slots_are_state_too(rt: iris.Runtime) -> None:
    class Slotted2(iris.Actor):
        __slots__ = ("n",)

        def add(self, k: int) -> int:
            self.n -= k
            return self.n

    ref = rt.spawn(Slotted, 5)
    rt.hot_swap(ref, Slotted2)
    assert ref.call(Slotted2.add, 1) == 4  # type: ignore[call-overload]


def test_the_fields_are_those_of_the_swap_before(rt: iris.Runtime, gate: Gate) -> None:
    class Same(iris.Actor):
        total: int
        steps: list[int]

    ref = rt.spawn(Counter, 1)
    rt.hot_swap(ref, Renamed, migrate=renamed)
    rt.hot_swap(ref, Same)
    with pytest.raises(TypeError, match="migrate="):
        rt.hot_swap(ref, Counter)


@pytest.mark.parametrize("how", ["raises", "no dict", "bad name"])
def test_a_migration_that_fails_rolls_back_alone(
    rt: iris.Runtime, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    class Strict(Counter):
        __slots__ = ()

        @property
        def fixed(self) -> int:
            return 1

    def migrate(old: Counter) -> dict[str, object]:
        if how == "raises":
            raise KeyError("no way")
        return [1] if how == "no dict" else {"n": 99, "fixed": 2}  # type: ignore[return-value]

    ref = rt.spawn(Counter, 3)
    other = rt.spawn(Counter, 4)
    rt.hot_swap(ref, Strict, migrate=migrate)
    ref.tell(Counter.add, 1)
    assert ref.call(Counter.add, 1) == 5
    assert ref.call(Counter.version) == "one"
    assert rt.behavior_version(ref) == 1
    assert other.call(Counter.add, 1) == 5
    assert iris.flush_reports(PATIENCE)
    assert "the swap to" in caplog.text
    assert "goes on as it was" in caplog.text
    rt.hot_swap(ref, Doubler)
    assert ref.call(Counter.add, 1) == 7


def test_a_rollback_takes_the_state_along(rt: iris.Runtime) -> None:
    ref = rt.spawn(Counter, 3)
    rt.hot_swap(ref, Doubler)
    assert ref.call(Counter.add, 1) == 5
    assert rt.rollback_behavior(ref) == 1
    assert ref.call(Counter.add, 1) == 6
    assert ref.call(Counter.version) == "one"


def test_a_rollback_over_a_migration_keeps_what_both_have(rt: iris.Runtime) -> None:
    class Wider(iris.Actor):
        extra: int

        def add(self, k: int) -> int:
            self.n += k + self.extra
            return self.n

    class Own(Counter):
        def __init__(self) -> None:
            self.n = 1
            self.note = "of the old"

        def both(self) -> list[object]:
            return [self.n, self.note, hasattr(self, "extra")]

    ref = rt.spawn(Own)
    rt.hot_swap(ref, Wider, migrate=lambda old: {"n": old.n, "extra": 10})
    assert ref.call(Wider.add, 1) == 12  # type: ignore[call-overload]
    rt.rollback_behavior(ref)
    assert ref.call(Own.both) == [12, "of the old", False]


def test_rollbacks_over_several_swaps_and_forward_again(rt: iris.Runtime) -> None:
    ref = rt.spawn(Counter, 0)
    for n in range(2, 30):
        rt.hot_swap(ref, Doubler if n % 2 == 0 else Counter)
        ref.tell(Counter.add, 1)
    assert ref.call(Counter.version) == "one"
    before = ref.call(Counter.add, 0)
    rt.rollback_behavior(ref, 3)
    assert ref.call(Counter.version) == "two"
    assert ref.call(Counter.add, 0) == before
    for _ in range(12):
        rt.rollback_behavior(ref)
    assert ref.call(Counter.add, 0) == before
    assert rt.behavior_version(ref) == 1
    rt.hot_swap(ref, Doubler)
    assert ref.call(Counter.add, 1) == before + 2


def test_an_actor_of_a_class_and_a_handler_are_two_things(rt: iris.Runtime) -> None:
    plain = rt.spawn(print)
    with pytest.raises(TypeError, match="none of a class"):
        rt.hot_swap(plain, Counter)
    with pytest.raises(TypeError, match="migrate= is for classes"):
        rt.hot_swap(plain, print, migrate=lambda old: {})
    ref = rt.spawn(Counter, 3)
    rt.hot_swap(ref, lambda data: data)
    assert rt.call(ref, b"raw") == b"raw"
    rt.rollback_behavior(ref)
    assert ref.call(Counter.add, 1) == 4, "the state is there again"


def test_the_dead_are_not_swapped(rt: iris.Runtime) -> None:
    ref = rt.spawn(Counter)
    rt.stop(ref)
    with pytest.raises(iris.DeadActorError):
        rt.hot_swap(ref, Doubler)


def test_on_stop_is_that_of_the_last_class(rt: iris.Runtime) -> None:
    seen: list[str] = []

    class First(Counter):
        def on_stop(self) -> None:
            seen.append("first")

    class Second(Counter):
        def on_stop(self) -> None:
            seen.append(f"second {self.n}")

    ref = rt.spawn(First, 2)
    rt.hot_swap(ref, Second)
    rt.stop(ref, drain=True)
    assert rt.join(ref, PATIENCE)
    assert seen == ["second 2"]


def test_an_actor_that_has_ended_keeps_no_instance(rt: iris.Runtime) -> None:
    class Weak(Counter):
        pass

    seen: list[weakref.ref[object]] = []

    def migrate(old: Weak) -> dict[str, object]:
        seen.append(weakref.ref(old))
        return {"n": old.n}

    ref = rt.spawn(Weak, 1)
    rt.hot_swap(ref, Doubler, migrate=migrate)
    assert ref.call(Counter.add, 1) == 3
    gc.collect()
    assert seen[0]() is not None, "for a rollback"
    rt.stop(ref, drain=True)
    assert rt.join(ref, PATIENCE)
    gc.collect()
    assert seen[0]() is None


def test_many_swaps_under_traffic_lose_no_call(rt: iris.Runtime) -> None:
    ref = rt.spawn(Counter)
    for n in range(1_000):
        ref.tell(Counter.add, 1)
        rt.hot_swap(ref, Counter, now=n % 3 == 0)
    assert ref.call(Counter.add, 0) == 1_000
