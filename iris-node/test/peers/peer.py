"""As peer.js, which says what the lines are; and offloaded functions for whoever asks ``pool.NAME``."""

from __future__ import annotations

import sys

import iris

PATIENCE = 20.0
NAME = sys.argv[1]


@iris.offload
def trail(x: float, turns: int) -> float:
    total = 0.0
    for turn in range(turns):
        total += x * turn / (1.0 + turn)
    return total


def say(text: str) -> None:
    print(text, flush=True)


def watch(message: object) -> None:
    if isinstance(message, iris.PySystemMessage):
        say(f"down {message.reason.value}")


with iris.Runtime() as rt:
    rt.configure_mesh(name=NAME)
    echo = rt.spawn(lambda data: NAME.encode() + b":" + data, name=f"echo.{NAME}")
    rt.spawn(lambda data: say(f"got {data.decode()}"), name=f"ear.{NAME}")
    (worker,) = iris.spawn_child_pool(rt, echo, size=1)
    rt.register(f"pool.{NAME}", worker)
    # How often it ran as machine code, and what it is as plain Python.
    rt.spawn(lambda _: iris.pack(trail.stats["native"]), name=f"native.{NAME}")
    rt.spawn(lambda data: iris.pack(trail.py(*iris.unpack(data))), name=f"plain.{NAME}")
    watcher = rt.spawn(watch, system=True)
    say(f"at {rt.listen('127.0.0.1:0')}")
    for line in sys.stdin:
        command, *words = line.split()
        if command == "join":
            rt.join_mesh(words[0])
            say("joined")
        elif command == "resolve":
            say("nobody" if rt.resolve_remote(*words) is None else "found")
        elif command == "send":
            address, to, text = words
            pid = rt.resolve_remote(address, to)
            assert pid is not None
            rt.send_remote(address, pid, text.encode())
            say("sent")
        elif command == "ask":
            pid = rt.lookup(words[0], PATIENCE)
            assert pid is not None
            say(f"answer {rt.call(pid, words[1].encode(), PATIENCE).decode()}")
        elif command == "monitor":
            address, to = words
            pid = rt.resolve_remote(address, to)
            assert pid is not None
            rt.monitor_remote(address, pid, watcher)
            say("monitors")
        else:
            raise SystemExit(f"no such line: {line}")
