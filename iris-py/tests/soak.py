"""Threads that send, spawn, swap and stop at random, and an exact account at the end.

`python soak.py SECONDS [SEED]` prints the account and ends with 0 if it is balanced. Every message
that `send` accepted was handled or is a dead letter; what hangs is shown by faulthandler.
"""

from __future__ import annotations

import faulthandler
import itertools
import logging
import os
import random
import sys
import threading
import time
from collections.abc import Callable

import iris

THREADS = 8
HANG_SECONDS = 60.0
MOST_WAITING = 2_000
"""Messages in one mailbox, beyond which nobody adds to it: the account is exact, memory finite."""
MOST_ALIVE = 400


class Count:
    """Counts from any thread, under the GIL, without a lock."""

    def __init__(self) -> None:
        self._next = itertools.count()

    def add(self) -> None:
        """One more."""
        next(self._next)

    def value(self) -> int:
        """Once, at the end: it counts, too."""
        return next(self._next)


class Soak:
    """The actors that are alive, and what became of messages."""

    def __init__(self, rt: iris.Runtime) -> None:
        self.rt = rt
        self.handled = Count()
        self.buried = Count()
        self.ticks_handled = Count()
        self.ticks_buried = Count()
        self.actors: list[int] = []
        self.over = threading.Event()
        rt.on_dead_letter(self.bury)

    def bury(self, _pid: int, data: bytes, _reason: str) -> None:
        """The dead-letter hook."""
        (self.ticks_buried if data == b"tick" else self.buried).add()

    def handler(self, seed: int) -> Callable[[bytes], object]:
        """A handler that counts first, and then does something that handlers do."""
        chance = random.Random(seed)

        def handle(data: bytes) -> object:
            (self.ticks_handled if data == b"tick" else self.handled).add()
            lot = chance.random()
            if lot < 0.001:
                raise ValueError("at random")
            if lot < 0.002:
                return iris.STOP
            if lot < 0.0022:
                time.sleep(0.02)
            return None

        return handle

    def pull(self, seed: int) -> Callable[[iris.Mailbox], None]:
        """The body of a pull actor."""
        chance = random.Random(seed)

        def run(mailbox: iris.Mailbox) -> None:
            while True:
                if chance.random() < 0.1:
                    message = mailbox.selective_recv(lambda data: data != b"m1", timeout=0.001)
                    received = [] if message is None else [message]
                else:
                    received = mailbox.recv_many(8, timeout=0.01)
                for message in received:
                    # The EXIT of a linked actor is nobody's send.
                    if isinstance(message, bytes):
                        (self.ticks_handled if message == b"tick" else self.handled).add()
                if chance.random() < 0.001:
                    raise ValueError("at random")

        return run


class Worker(threading.Thread):
    """One of the threads; its choices follow from its seed."""

    def __init__(self, soak: Soak, seed: int) -> None:
        super().__init__(name=f"soak-{seed}", daemon=True)
        self.soak = soak
        self.chance = random.Random(seed)
        self.accepted = 0
        self.failed: BaseException | None = None

    def run(self) -> None:
        """Until it is over; what goes wrong is for the account."""
        try:
            while not self.soak.over.is_set():
                self.step()
        except BaseException as error:
            self.failed = error
            raise

    def step(self) -> None:
        """One thing, picked at random."""
        lot = self.chance.random()
        pid = self.someone()
        if lot < 0.05 or pid is None:
            self.spawn()
            return
        rt = self.soak.rt
        if lot < 0.90:
            if (rt.mailbox_size(pid) or 0) < MOST_WAITING:
                data = b"m%d" % self.chance.randrange(4)
                for _ in range(self.chance.randrange(1, 30)):
                    self.accepted += rt.send(pid, data)
        elif lot < 0.93:
            rt.stop(pid, drain=self.chance.random() < 0.5)
        elif lot < 0.95:
            self.tolerant(lambda: rt.hot_swap(pid, self.soak.handler(self.seed()), now=lot < 0.94))
        elif lot < 0.97:
            self.tolerant(lambda: rt.send_after(pid, self.chance.randrange(50), b"tick"))
        elif lot < 0.98:
            self.tolerant(lambda: rt.link(pid, self.someone() or pid))
        elif lot < 0.985:
            self.tolerant(lambda: rt.rollback_behavior(pid))
        elif lot < 0.99:
            rt.join(pid, 0.001)
        else:
            rt.info(pid)

    def someone(self) -> int | None:
        """An actor that was spawned lately and may have ended. Others change the list meanwhile."""
        actors = list(self.soak.actors)
        return self.chance.choice(actors) if actors else None

    def seed(self) -> int:
        """For what is made here."""
        return self.chance.randrange(1 << 30)

    def tolerant(self, call: Callable[[], object]) -> None:
        """Others stop the actor meanwhile, or it is of a kind that cannot be swapped."""
        try:
            call()
        except (LookupError, ValueError, iris.IrisError):
            pass

    def spawn(self) -> None:
        """An actor of some kind; the oldest makes room for it."""
        soak, rt, seed = self.soak, self.soak.rt, self.seed()
        if len(soak.actors) >= MOST_ALIVE:
            rt.stop(soak.actors.pop(0))
        kind = self.chance.randrange(7)
        if kind == 0:
            pid = rt.spawn_with_mailbox(soak.pull(seed))
        elif kind == 1:
            pid = rt.spawn_virtual(soak.handler(seed), 10, 20)
        elif kind == 2:
            pid = rt.spawn(soak.handler(seed), capacity=50)
            policy = self.chance.choice(["dropnew", "dropold", "block"])
            self.tolerant(lambda: rt.set_overflow_policy(pid, policy))
        elif kind == 3:
            pid = rt.spawn(soak.handler(seed), capacity=50)
            target = rt.spawn(soak.handler(seed))
            soak.actors.append(target)
            self.tolerant(lambda: rt.set_overflow_policy(pid, "redirect", target))
        elif kind == 4:
            parent = self.someone()
            if parent is None:
                return
            try:
                pid = rt.spawn_child(parent, soak.handler(seed))
            except iris.IrisError:
                return
        else:
            pid = rt.spawn(soak.handler(seed), on_error="resume")
        soak.actors.append(pid)


def main(seconds: float, seed: int) -> int:
    """Runs it; 0 if the account is balanced."""
    faulthandler.dump_traceback_later(seconds + HANG_SECONDS, exit=True)
    # Every crash is formatted and written, as a program that logs to a file does.
    logging.basicConfig(level=logging.DEBUG, stream=open(os.devnull, "w", encoding="utf-8"))
    sys.setswitchinterval(1e-6)
    rt = iris.Runtime()
    soak = Soak(rt)
    workers = [Worker(soak, seed * 1000 + number) for number in range(THREADS)]
    for worker in workers:
        worker.start()
    time.sleep(seconds)
    soak.over.set()
    for worker in workers:
        worker.join()
    rt.shutdown(drain=20.0)
    accepted = sum(worker.accepted for worker in workers)
    handled, buried = soak.handled.value(), soak.buried.value()
    ticks = soak.ticks_buried.value()
    counted = rt.dead_letters()
    print(
        f"seed {seed}: accepted {accepted}, handled {handled}, dead letters {buried};"
        f" of ticks {soak.ticks_handled.value()} and {ticks}; the runtime counts {counted}"
    )
    failed = [worker.failed for worker in workers if worker.failed]
    # The runtime also counts system messages that found nobody, which no hook is called for.
    balanced = accepted == handled + buried and counted >= buried + ticks
    return 0 if balanced and accepted > 0 and not failed else 1


if __name__ == "__main__":
    arguments = sys.argv[1:] + ["1"][len(sys.argv) - 2 :]
    sys.exit(main(float(arguments[0]), int(arguments[1])))
