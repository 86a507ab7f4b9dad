"""Runs the scenarios of ``parity/``: what iris-node/test/parity_runner.js is for Node.js.

The format is in parity/README.md. A thing that a scenario can say is done in one place here.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import parity_kinds
from support import PATIENCE

import iris

FOLDER = Path(__file__).resolve().parents[2] / "parity"
LANGUAGE = "python"

ERRORS: list[tuple[type[BaseException], str]] = [
    (parity_kinds.AsAsked, "handler"),
    (iris.RemoteError, "handler"),
    (iris.NameTakenError, "name_taken"),
    (iris.MailboxClosed, "closed"),
    (iris.WouldBlockError, "would_block"),
    (iris.MailboxFullError, "mailbox_full"),
    (iris.AskTimeout, "timeout"),
    (iris.DeadlockError, "deadlock"),
    (iris.NoReplyError, "no_reply"),
    (iris.MeshError, "mesh"),
    (LookupError, "not_found"),
    (TypeError, "bad_type"),
    (ValueError, "bad_value"),
    (OverflowError, "bad_value"),
    (RuntimeError, "refused"),
]
"""What a scenario calls an exception: the first class that fits."""

SYSTEM = ("type_name", "from_pid", "target_pid", "reason", "metadata", "reference", "node", "detail")


def load(name: str) -> Any:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def error_name(error: BaseException) -> str:
    for known, name in ERRORS:
        if isinstance(error, known):
            return name
    raise error


def plain(value: Any) -> Any:
    """A value as JSON has it; bytes as text."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        data = bytes(value)
        try:
            return data.decode()
        except UnicodeDecodeError:
            return {"hex": data.hex()}
    if isinstance(value, iris.PySystemMessage):
        return {field: plain(getattr(value, field)) for field in SYSTEM}
    if isinstance(value, (str, iris.Tree)):
        return str(value)
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value


def steps_in(node: Any) -> Iterator[dict[str, Any]]:
    """All objects of a scenario, at any depth."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            yield from steps_in(one)


class Signature:
    """What a call is named in this language and how it takes its arguments.

    ``of.name(positional, .., *, keyword, ..)``; ``of`` is ``rt``, ``mailbox`` or ``iris``.
    """

    def __init__(self, text: str) -> None:
        match = re.fullmatch(r"(rt|mailbox|iris)\.(\w+)\((.*)\)", text)
        assert match, f"not a signature: {text}"
        self.of, self.name, parameters = match.groups()
        positional, _, keywords = parameters.partition("*")
        self.positional = re.findall(r"\w+", positional)
        self.parameters = self.positional + re.findall(r"\w+", keywords)

    def arguments(self, given: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        unknown = given.keys() - set(self.parameters)
        assert not unknown, f"{self.name} takes no {unknown}"
        keywords = dict(given)
        leading = []
        for name in self.positional:
            if name not in keywords:
                break
            leading.append(keywords.pop(name))
        return leading, keywords


class Log:
    """What actors say, in order."""

    def __init__(self) -> None:
        self._entries: list[Any] = []
        self._grown = threading.Condition()

    def add(self, entry: Any) -> None:
        with self._grown:
            self._entries.append(plain(entry))
            self._grown.notify_all()

    def wait(self, count: int, patience: float) -> list[Any]:
        """All entries, as soon as there are so many or time is up."""
        with self._grown:
            self._grown.wait_for(lambda: len(self._entries) >= count, patience)
            return list(self._entries)


class World:
    """One run of one scenario."""

    def __init__(self, calls: dict[str, Any], patience: float = PATIENCE) -> None:
        self._patience = patience
        self._calls = calls["calls"]
        self._bytes = set(calls["bytes"])
        self._runtimes: dict[str, iris.Runtime] = {}
        self._logs: dict[str, Log] = {}
        self._observers: dict[int, iris.Runtime] = {}
        self._begun: dict[str, Future[Any]] = {}
        self.variables: dict[str, Any] = {}
        self.gates: dict[str, parity_kinds.Gate] = {}

    def run(self, scenario: dict[str, Any]) -> None:
        last: dict[str, dict[str, Any]] = {}
        try:
            for step in scenario["steps"]:
                self._step(step, last)
            for pid, runtime in self._observers.items():
                assert runtime.get_messages(pid) == [], f"observer {pid} got more"
        finally:
            # Who waits at a gate ends there.
            for runtime in reversed(self._runtimes.values()):
                runtime.shutdown(0)
        for name, step in last.items():
            self._matches(step, self.log(name).wait(0, 0), f"log {name!r} after the end")

    def log(self, name: str) -> Log:
        return self._logs.setdefault(name, Log())

    def _runtime(self, name: str) -> iris.Runtime:
        if name not in self._runtimes:
            self._runtimes[name] = iris.Runtime()
        return self._runtimes[name]

    def _step(self, step: dict[str, Any], last: dict[str, dict[str, Any]]) -> None:
        if "call" in step:
            if "begin" in step:
                self._begun[step["begin"]] = begin(lambda: self.call(step))
            else:
                self._outcome(step, lambda: self.call(step))
        elif "await" in step:
            self._outcome(step, lambda: self._begun[step["await"]].result(self._patience))
        elif "log" in step:
            entries = self.log(step["log"]).wait(len(self.value(step["is"])), self._patience)
            self._matches(step, entries, f"log {step['log']!r}")
            last[step["log"]] = step
        elif "messages" in step:
            self._messages(step)
        elif "until" in step:
            self._until(step)
        elif "open" in step:
            self.gates[step["open"]].open()
        elif "same" in step or "differ" in step:
            pair = step["same"] if "same" in step else step["differ"]
            first, second = (plain(self.value(one)) for one in pair)
            assert (first == second) is ("same" in step), step
        elif "times" in step:
            for _ in range(step["times"]):
                for one in step["steps"]:
                    self._step(one, last)
        else:
            raise AssertionError(f"no such step: {step}")

    def call(self, step: dict[str, Any], own: dict[str, Any] | None = None) -> Any:
        """Does one call; ``own`` is what the actor knows that does it."""
        own = own or {}
        signature = Signature(self._calls[step["call"]][LANGUAGE])
        given = {}
        for name, raw in step.get("args", {}).items():
            value = self.value(raw, own)
            given[name] = as_bytes(value) if name in self._bytes else value
        positional, keywords = signature.arguments(given)
        runtime = self._runtime(step.get("on", "a"))
        target = {"rt": runtime, "iris": iris, "mailbox": own.get("mailbox")}[signature.of]
        result = getattr(target, signature.name)(*positional, **keywords)
        return asyncio.run(result) if inspect.iscoroutine(result) else result

    def _outcome(self, step: dict[str, Any], act: Callable[[], Any]) -> None:
        if "fails" in step:
            try:
                result = act()
            except Exception as error:
                assert error_name(error) == step["fails"], f"{step}: {error!r}"
                return
            raise AssertionError(f"{step}: it was accepted with {plain(result)!r}")
        result = act()
        if "as" in step:
            self.variables[step["as"]] = result
        if "is" in step:
            self._matches(step, plain(result), str(step))

    def _messages(self, step: dict[str, Any]) -> None:
        """What an observer has got, and will have got soon."""
        runtime, pid = self._runtime(step.get("on", "a")), self.value(step["messages"])
        self._observers[pid] = runtime
        wanted = len(step["is"])
        got: list[Any] = []
        deadline = time.monotonic() + self._patience
        while len(got) < wanted and time.monotonic() < deadline:
            got += plain(runtime.get_messages(pid))
            time.sleep(0.001)
        self._matches(step, got, f"messages of {step['messages']}")

    def _until(self, step: dict[str, Any]) -> None:
        deadline = time.monotonic() + self._patience
        while True:
            result = plain(self.call(step["until"]))
            if self.fits(step["is"], result):
                return
            assert time.monotonic() < deadline, f"{step}: it is {result!r} to the end"
            time.sleep(0.001)

    def _matches(self, step: dict[str, Any], actual: Any, what: str) -> None:
        expected = self.value(step["is"])
        if step.get("sorted"):
            fits = len(expected) == len(actual) and self._any_order(expected, list(actual))
        else:
            fits = self.fits(expected, actual)
        assert fits, f"{what}: expected {expected!r}, got {actual!r}"

    def _any_order(self, expected: list[Any], actual: list[Any]) -> bool:
        for one in expected:
            found = next((i for i, other in enumerate(actual) if self.fits(one, other)), None)
            if found is None:
                return False
            del actual[found]
        return True

    def fits(self, expected: Any, actual: Any) -> bool:
        """Of an object only what is expected counts; of a list, all."""
        expected = plain(self.value(expected))
        if isinstance(expected, dict):
            if "any" in expected:
                return True
            if "bind" in expected:
                self.variables[expected["bind"]] = actual
                return actual is not None
            if "contains" in expected:
                return isinstance(actual, str) and expected["contains"] in actual
            if "at_least" in expected:
                return isinstance(actual, int) and actual >= expected["at_least"]
            return isinstance(actual, dict) and all(
                key in actual and self.fits(one, actual[key]) for key, one in expected.items()
            )
        if isinstance(expected, list):
            return (
                isinstance(actual, list)
                and len(actual) == len(expected)
                and all(map(self.fits, expected, actual))
            )
        return type(expected) is type(actual) and expected == actual

    def value(self, raw: Any, own: dict[str, Any] | None = None) -> Any:
        """What a value of a scenario stands for."""
        if isinstance(raw, str) and raw.startswith("$"):
            first, *rest = raw[1:].split(".")
            if first == "runtime":
                return self._runtime("a")
            known = {**self.variables, **(own or {})}
            assert first in known, f"nothing is called {raw}"
            found = known[first]
            for part in rest:
                found = found[int(part)] if part.isdigit() else found[part]
            return found
        if isinstance(raw, list):
            return [self.value(one, own) for one in raw]
        if isinstance(raw, dict):
            for key, make in parity_kinds.VALUES.items():
                if key in raw:
                    return make(self, raw)
        return raw


def as_bytes(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode()
    return [as_bytes(one) for one in value] if isinstance(value, list) else value


def begin(act: Callable[[], Any]) -> Future[Any]:
    """Does something on a thread of its own."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(act())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
