"""What an actor raises, as those who asked get to see it."""

from __future__ import annotations

import asyncio
import sys
import types

import pytest
from support import PATIENCE

import iris
from iris import _remote


class Own(Exception):
    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(code, text)
        self.code = code


class Picky(Exception):
    """Keeps other arguments than it takes."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")


class Raiser(iris.Actor):
    def key(self) -> None:
        raise KeyError("x", 1)

    def own(self) -> None:
        raise Own(7, "seven")

    def picky(self) -> None:
        raise Picky(7, "seven")

    def local(self) -> None:
        class Local(ValueError):
            pass

        raise Local("nobody knows it")

    def unfit(self) -> None:
        raise ValueError("with", {1, 2})

    def end(self) -> None:
        raise StopIteration(3)

    def leave(self) -> None:
        sys.exit(3)

    def caused(self) -> None:
        try:
            raise KeyError("first")
        except KeyError as error:
            raise ValueError("second") from error

    def bad_result(self) -> object:
        return {"x": [object()]}

    def fine(self) -> int:
        return 1


@pytest.fixture
def ref(rt: iris.Runtime) -> iris.Ref[Raiser]:
    return rt.spawn_actor(Raiser, on_error="resume")


def test_what_is_built_in_is_raised_as_itself(ref: iris.Ref[Raiser]) -> None:
    with pytest.raises(KeyError) as raised:
        ref.call(Raiser.key)
    assert raised.value.args == ("x", 1)


def test_what_is_imported_is_raised_as_itself(ref: iris.Ref[Raiser]) -> None:
    with pytest.raises(Own) as raised:
        ref.call(Raiser.own)
    assert (type(raised.value), raised.value.code) == (Own, 7)


def test_the_cause_is_where_it_was_raised(ref: iris.Ref[Raiser]) -> None:
    with pytest.raises(ValueError, match="second") as raised:
        ref.call(Raiser.caused)
    cause = raised.value.__cause__
    assert isinstance(cause, iris.RemoteTraceback)
    text = str(cause)
    assert f"in actor {ref.pid}" in text
    assert "KeyError: 'first'" in text
    assert 'raise ValueError("second") from error' in text
    assert __file__ in text


@pytest.mark.parametrize(
    ("method", "name", "message"),
    [
        (Raiser.picky, f"{__name__}.Picky", "7: seven"),
        (Raiser.local, f"{__name__}.Raiser.local.<locals>.Local", "nobody knows it"),
        (Raiser.unfit, "ValueError", "('with', {1, 2})"),
        (Raiser.end, "StopIteration", "3"),
        (Raiser.leave, "SystemExit", "3"),
    ],
)
def test_what_cannot_be_made_anew_is_a_remote_error(
    ref: iris.Ref[Raiser], method: object, name: str, message: str
) -> None:
    async def main() -> None:
        await ref.ask(method)  # type: ignore[call-overload]

    for ask in (lambda: ref.call(method), lambda: asyncio.run(main())):  # type: ignore[call-overload]
        with pytest.raises(iris.RemoteError) as raised:
            ask()
        assert (raised.value.type_name, raised.value.message) == (name, message)
        assert str(raised.value) == f"{name}: {message}"
        assert "Traceback" in raised.value.traceback


def test_a_message_imports_nothing() -> None:
    name = "this_module_is_not_imported"
    error = _remote.rebuilt(5, [name, "Error", "text", "", []])
    assert isinstance(error, iris.RemoteError)
    assert error.type_name == f"{name}.Error"
    assert name not in sys.modules


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "print"),
        ("builtins", "int"),
        ("builtins", "SystemExit"),
        ("builtins", "KeyboardInterrupt"),
        ("os", "system"),
        ("subprocess", "Popen"),
        ("builtins", "StopAsyncIteration"),
        ("", ""),
        ("builtins", "ValueError.__class__"),
    ],
)
def test_only_exceptions_are_made(module: str, name: str) -> None:
    error = _remote.rebuilt(5, [module, name, "text", "", ["echo hello"]])
    assert type(error) is iris.RemoteError


class Trap:
    sprung = False

    def __init__(self, *_args: object) -> None:
        Trap.sprung = True


def test_a_class_that_is_no_exception_is_not_even_called() -> None:
    error = _remote.rebuilt(5, [__name__, "Trap", "text", "", []])
    assert type(error) is iris.RemoteError
    assert not Trap.sprung


@pytest.mark.parametrize("parts", [None, [], [1, 2, 3, 4, 5], ["a"] * 4, {"a": 1}])
def test_an_error_that_cannot_be_read_is_one_too(parts: object) -> None:
    assert isinstance(_remote.rebuilt(5, parts), iris.ProtocolError)


def test_a_module_that_answers_to_every_name_is_no_way_in() -> None:
    module = types.ModuleType("tricky")
    module.__getattr__ = lambda name: 1 / 0  # type: ignore[method-assign]
    sys.modules["tricky"] = module
    try:
        error = _remote.rebuilt(5, ["tricky", "Error", "text", "", []])
    finally:
        del sys.modules["tricky"]
    assert type(error) is iris.RemoteError


def test_an_exception_is_a_crash_and_the_asker_gets_it(
    rt: iris.Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    ref = rt.spawn(Raiser)
    with pytest.raises(Own):
        ref.call(Raiser.own)
    assert rt.join(ref, PATIENCE)
    assert "raised; it is stopped (crash)" in caplog.text
    assert "Own: (7, 'seven')" in caplog.text


def test_with_resume_the_actor_goes_on(ref: iris.Ref[Raiser]) -> None:
    with pytest.raises(Own):
        ref.call(Raiser.own)
    assert ref.call(Raiser.fine) == 1


def test_a_result_that_cannot_travel_is_named(ref: iris.Ref[Raiser]) -> None:
    with pytest.raises(iris.CodecError, match=r"result\['x'\]\[0\]: object cannot travel"):
        ref.call(Raiser.bad_result)
    ref.tell(Raiser.bad_result)
    assert ref.call(Raiser.fine) == 1


def test_an_argument_that_cannot_travel_is_never_sent(ref: iris.Ref[Raiser]) -> None:
    with pytest.raises(iris.CodecError, match=r"args\[1\]\['x'\]: set cannot travel"):
        ref.tell(Raiser.fine, 1, {"x": {2}})  # type: ignore[call-arg]
    with pytest.raises(iris.CodecError, match=r"kwargs\['k'\]\[0\]: an int beyond 64 bits"):
        ref.call(Raiser.fine, k=[2**64])  # type: ignore[call-overload]


def test_plain_handlers_tell_what_they_raise_as_well(rt: iris.Runtime) -> None:
    def handler(data: bytes) -> None:
        raise Own(3, data.decode())

    for on_error in ("crash", "resume"):
        pid = rt.spawn(handler, on_error=on_error)  # type: ignore[call-overload]
        with pytest.raises(Own) as raised:
            rt.call(pid, b"text")
        assert raised.value.args == (3, "text")
        if on_error == "crash":
            assert rt.join(pid, PATIENCE)
        else:
            assert rt.is_alive(pid)


def test_an_error_passes_through_several_actors(rt: iris.Runtime) -> None:
    inner = rt.spawn_actor(Raiser, on_error="resume")

    class Outer(iris.Actor):
        def own(self) -> None:
            inner.call(Raiser.own)

    outer = rt.spawn(Outer)
    with pytest.raises(Own) as raised:
        outer.call(Outer.own)
    text = str(raised.value.__cause__)
    assert f"in actor {inner.pid}" in text
    assert f"in actor {outer.pid}" in text
