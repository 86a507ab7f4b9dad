"""The actors, and other values that are no JSON, which the scenarios of ``parity/`` name."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import iris

if TYPE_CHECKING:
    from parity_runner import World

Handler = Callable[[Any], Any]


class AsAsked(Exception):
    """What actors raise that are told to."""


class Gate:
    """Keeps handlers waiting until it is opened; for all threads and loops."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_open = False
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def open(self) -> None:
        with self._lock:
            self._is_open = True
            waiting, self._waiting = self._waiting, []
        for loop, event in waiting:
            try:
                loop.call_soon_threadsafe(event.set)
            except RuntimeError:  # the loop is closed: nobody waits any more
                pass

    async def passed(self) -> None:
        event = asyncio.Event()
        with self._lock:
            if self._is_open:
                return
            self._waiting.append((asyncio.get_running_loop(), event))
        await event.wait()


def recorder(world: World, raw: dict[str, Any]) -> Handler:
    """Logs what it gets, after a prefix if it has one."""
    log, prefix = world.log(raw.get("log", "log")), raw.get("prefix")

    def handler(message: Any) -> None:
        log.add(prefix + message.decode() if prefix else message)

    return handler


def echo(world: World, raw: dict[str, Any]) -> Handler:
    """Answers with what it gets."""
    return lambda message: message


def async_echo(world: World, raw: dict[str, Any]) -> Handler:
    """The same, after a wait."""

    async def handler(message: bytes) -> bytes:
        await asyncio.sleep(0)
        return message

    return handler


def counter(world: World, raw: dict[str, Any]) -> Handler:
    """Answers with the number of messages that it has had, and logs it."""
    log, count = world.log(raw.get("log", "log")), 0

    def handler(message: bytes) -> bytes:
        nonlocal count
        count += 1
        log.add(count)
        return b"%d" % count

    return handler


def mortal(world: World, raw: dict[str, Any]) -> Handler:
    """Raises at ``raise``, ends at ``stop`` and logs everything else."""
    log = world.log(raw.get("log", "log"))

    def handler(message: bytes) -> object:
        if message == b"raise":
            raise AsAsked("as asked")
        if message == b"stop":
            return iris.STOP
        log.add(message)
        return None

    return handler


def async_mortal(world: World, raw: dict[str, Any]) -> Handler:
    """The same, after a wait."""
    act = mortal(world, raw)

    async def handler(message: bytes) -> object:
        await asyncio.sleep(0)
        return act(message)

    return handler


def forwarder(world: World, raw: dict[str, Any]) -> Handler:
    """Sends what it gets to another actor."""
    step = {"call": "send", "on": raw.get("on", "a"), "args": {"pid": raw["to"], "data": "$message"}}
    return lambda message: world.call(step, {"message": message}) and None


def gate(world: World, raw: dict[str, Any]) -> Handler:
    """Waits in its first message until the scenario opens it; logs when it enters each message and
    when it is done with it."""
    log = world.log(raw.get("log", "log"))
    held = world.gates.setdefault(raw["gate"], Gate())

    async def handler(message: bytes) -> None:
        log.add("in " + message.decode())
        await held.passed()
        log.add("out " + message.decode())

    return handler


def doer(world: World, raw: dict[str, Any]) -> Handler:
    """Does some steps for each message."""
    return lambda message: perform(world, raw, {"message": message})


def puller(world: World, raw: dict[str, Any]) -> Handler:
    """A pull actor that does some steps."""
    return lambda mailbox: perform(world, raw, {"mailbox": mailbox, "self": mailbox.pid})


def perform(world: World, raw: dict[str, Any], own: dict[str, Any]) -> Any:
    """The steps of an actor: they log what comes of them, and do not fail the scenario."""
    from parity_runner import error_name

    log = world.log(raw.get("log", "log"))
    for step in raw["steps"]:
        if "raise" in step:
            raise AsAsked(step["raise"])
        if "return" in step:
            return iris.STOP if step["return"] == "STOP" else step["return"].encode()
        if "say" in step:
            log.add(step["say"])
        elif step["call"] == "mailbox.iterate":
            for message in own["mailbox"]:
                log.add(message)
            log.add("end")
        else:
            try:
                result = world.call(step, own)
            except iris.MailboxClosed:
                log.add({"error": "closed"})
                raise
            except Exception as error:
                log.add({"error": error_name(error)})
            else:
                own[step.get("as", "result")] = result
                if not step.get("quiet"):
                    log.add(result)
    return None


KINDS: dict[str, Callable[[World, dict[str, Any]], Handler]] = {
    kind.__name__: kind
    for kind in (
        recorder, echo, async_echo, counter, mortal, async_mortal, forwarder, gate, doer, puller,
    )
}  # fmt: skip


def factory(world: World, raw: dict[str, Any]) -> Callable[..., int]:
    """Makes an actor when it is called, and logs that."""
    log = world.log(raw.get("log", "factory"))

    def make(*init: bytes) -> int:
        log.add(["made", *init])
        if "raise" in raw["factory"]:
            raise AsAsked(raw["factory"]["raise"])
        return int(world.call(raw["factory"]))

    return make


def matcher(world: World, raw: dict[str, Any]) -> Callable[[Any], bool]:
    """Wants one text, or raises."""
    wanted = raw["matcher"]

    def matches(message: Any) -> bool:
        if isinstance(wanted, dict):
            raise AsAsked(wanted["raise"])
        return isinstance(message, bytes) and message.decode() == wanted

    return matches


def hook(world: World, raw: dict[str, Any]) -> Callable[[int, Any, str], None]:
    """Logs dead letters."""
    log = world.log(raw["hook"])
    return lambda pid, data, reason: log.add({"to": pid, "data": data, "reason": reason})


VALUES: dict[str, Callable[[World, dict[str, Any]], Any]] = {
    "handler": lambda world, raw: KINDS[raw["handler"]](world, raw),
    "factory": factory,
    "matcher": matcher,
    "hook": hook,
    "hex": lambda world, raw: bytes.fromhex(raw["hex"]),
    "number": lambda world, raw: float(raw["number"]),
    "numbers": lambda world, raw: [str(n) for n in range(raw["numbers"])],
    "wrong": lambda world, raw: object(),
}
"""Values that JSON has no notation for, by the key that says so."""
