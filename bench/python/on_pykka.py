"""The workloads on pykka's ThreadingActor."""

from __future__ import annotations

from typing import Any

import pykka
from measure import PAYLOAD, Clock, Growth, Timing


class Counter(pykka.ThreadingActor):  # type: ignore[misc]
    """Counts down."""

    def __init__(self, n: int, clock: Clock) -> None:
        super().__init__()
        self.left = n
        self.clock = clock

    def on_receive(self, message: bytes) -> None:
        """Stops the clock at the last one."""
        self.left -= 1
        if self.left == 0:
            self.clock.stop()


class Member(pykka.ThreadingActor):  # type: ignore[misc]
    """Hands the message on until it has gone far enough."""

    left = 0
    clock: Clock

    def __init__(self) -> None:
        super().__init__()
        self.following: Any = None

    def on_receive(self, message: Any) -> None:
        """The first message says who follows."""
        if not isinstance(message, bytes):
            self.following = message
            return
        Member.left -= 1
        if Member.left > 0:
            self.following.tell(message)
        elif Member.left == 0:
            Member.clock.stop()


class Echo(pykka.ThreadingActor):  # type: ignore[misc]
    """Answers with the question."""

    def on_receive(self, message: bytes) -> bytes:
        """The answer is what is returned."""
        return message


class Asker(pykka.ThreadingActor):  # type: ignore[misc]
    """Asks an echo."""

    def __init__(self, n: int, echo: Any, clock: Clock) -> None:
        super().__init__()
        self.n, self.echo, self.clock = n, echo, clock

    def on_receive(self, message: bytes) -> None:
        """One question after the other's answer."""
        for _ in range(self.n):
            self.echo.ask(message)
        self.clock.stop()


def tell(n: int, _: int) -> Timing:
    """One sender, one actor."""
    clock = Clock(n)
    counter = Counter.start(n, clock)
    clock.start()
    for _number in range(n):
        counter.tell(PAYLOAD)
    return _ended(clock.wait())


def ping_pong(n: int, _: int) -> Timing:
    """Two members of a ring."""
    return _ring(2 * n, 2, n)


def ring(hops: int, members: int) -> Timing:
    """One message goes round."""
    return _ring(hops, members, hops)


def _ring(hops: int, members: int, n: int) -> Timing:
    clock = Clock(n)
    Member.left, Member.clock = hops, clock
    refs = [Member.start() for _ in range(members)]
    for ref, following in zip(refs, refs[1:] + refs[:1]):
        ref.tell(following)
    clock.start()
    refs[0].tell(PAYLOAD)
    return _ended(clock.wait())


def call(n: int, _: int) -> Timing:
    """An actor asks another one and blocks until the answer is there."""
    clock = Clock(n)
    asker = Asker.start(n, Echo.start(), clock)
    clock.start()
    asker.tell(PAYLOAD)
    return _ended(clock.wait())


def spawn(actors: int, _: int) -> Timing:
    """Starts actors that wait."""
    clock = Clock(actors)
    growth = Growth()
    clock.start()
    refs: list[object] = [Echo.start() for _ in range(actors)]
    clock.stop()
    timing = clock.wait()
    timing.bytes_each = growth.each(refs)
    return _ended(timing)


def _ended(timing: Timing) -> Timing:
    pykka.ActorRegistry.stop_all()
    return timing
