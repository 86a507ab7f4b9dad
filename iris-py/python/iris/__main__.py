"""``python -m iris``: what is installed, whether it works here, and what becomes of a function."""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import platform
import sys
import sysconfig
import threading
import time
import types
from array import array
from collections.abc import Callable, Sequence
from typing import Any

import iris
from iris import _iris

PATIENCE = 10.0
"""Seconds after which the doctor takes an answer for lost."""

ROUNDS = 1_000
"""Round trips that the doctor times."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. Returns 0 if all is well and 1 if the doctor found something; argparse
    ends the process with 2 for a command that there is not."""
    parser = argparse.ArgumentParser(
        prog="python -m iris",
        description="Iris: actors and native compute offload.",
        epilog="Exit codes: 0 all is well, 1 something does not work, 2 a command or an argument "
        "that there is not.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, command, text in COMMANDS:
        commands.add_parser(name, help=text, description=text).set_defaults(run=command)
    text = "print what becomes of a function, and why it runs as Python where it does"
    explaining = commands.add_parser("explain", help=text, description=text + ".")
    explaining.add_argument("function", metavar="MODULE:FUNCTION", help="as shop.prices:total")
    explaining.add_argument(
        "arguments",
        nargs="*",
        metavar="ARGUMENT",
        help="a literal, as 3, 2.5 or True; a list of numbers stands for an array of int64 or of "
        "float64. Put -- before a first one that is negative. The function is called once",
    )
    explaining.set_defaults(run=explain)
    text = "make TLS files for nodes of a mesh, and an authority for them if there is none"
    certifying = commands.add_parser("certificates", help=text, description=text + ".")
    certifying.add_argument("folder", metavar="FOLDER", help="where the files are")
    certifying.add_argument("nodes", metavar="NODE", nargs="+", help="what a node is called")
    certifying.add_argument("--cluster", default="", help="the cluster that the nodes belong to")
    certifying.add_argument(
        "--host",
        action="append",
        dest="hosts",
        help="a name or an IP address at which the nodes are dialled; may be repeated (localhost, "
        "127.0.0.1 and ::1)",
    )
    certifying.add_argument(
        "--days", type=int, default=90, help="for how long the certificates are valid (90)"
    )
    certifying.set_defaults(run=certificates)
    options = vars(parser.parse_args(arguments))
    run: Callable[..., int] = options.pop("run")
    return run(**options)


def version() -> int:
    """Prints the version."""
    print(iris.version())
    return 0


def certificates(
    folder: str, nodes: list[str], cluster: str, hosts: list[str] | None, days: int
) -> int:
    """Makes TLS files, and prints where they are."""
    for node in nodes:
        try:
            files = iris.make_certificates(folder, node, cluster=cluster, hosts=hosts, days=days)
        except (OSError, ValueError) as error:
            print(f"{node}: {error}", file=sys.stderr)
            return 1
        authority, certificate, key = map(str, files)
        print(f"{node}: tls=({authority!r}, {certificate!r}, {key!r})")
    return 0


def info() -> int:
    """Prints what was found."""
    for what, found in facts():
        print(f"{what + ':':22} {found}")
    return 0


def facts() -> list[tuple[str, str]]:
    """What there is to know of this installation and machine, in the order to print it."""
    free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    is_gil_enabled: Callable[[], bool] = getattr(sys, "_is_gil_enabled", lambda: True)
    gil = "on" if is_gil_enabled() else "off"
    return [
        ("iris", f"{iris.version()} ({_iris.__file__})"),
        ("python", f"{platform.python_implementation()} {platform.python_version()}"),
        ("free-threaded build", f"{'yes' if free_threaded else 'no'}, GIL {gil}"),
        ("system", f"{platform.system()} {platform.release()}, {platform.machine()}"),
        ("processors", str(processors())),
        ("vector extensions", ", ".join(_iris._cpu_features()) or "none known"),
        ("thread limit", thread_limit()),
    ]


def processors() -> int:
    """Those that this process may use."""
    affinity: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def thread_limit() -> str:
    """How many threads pull actors and ``release_gil=True`` may have at most."""
    limits: list[tuple[int, str]] = []
    try:
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
        if soft != resource.RLIM_INFINITY:
            limits.append((soft, "ulimit -u"))
    except (ImportError, AttributeError):
        pass  # Not on this system.
    for path in ("/proc/sys/kernel/threads-max", "/sys/fs/cgroup/pids.max"):
        try:
            with open(path, encoding="ascii") as file:
                limits.append((int(file.read()), path))
        except (OSError, ValueError):
            continue  # Not there, or "max".
    return "{} ({})".format(*min(limits)) if limits else "none known"


def doctor() -> int:
    """Prints what was found, and tries the main things out."""
    info()
    print()
    failed = 0
    for what, check in CHECKS:
        try:
            print(f"{what + ':':22} ok, {check()}")
        except Exception as error:
            failed += 1
            print(f"{what + ':':22} FAILED: {type(error).__name__}: {error}")
    return 1 if failed else 0


def explain(function: str, arguments: Sequence[str]) -> int:
    """Calls a function once, offloaded, and prints what `explain` says of it. Returns 1 if it
    runs as Python, and 2 if there is no such function or an argument is no literal."""
    try:
        offloaded = offloaded_function(function)
        values = [argument(text) for text in arguments]
    except ValueError as error:
        print(f"iris explain: {error}", file=sys.stderr)
        return 2
    if not values:
        print(offloaded.explain().rstrip())
        return 0
    try:
        print(f"result: {offloaded(*values)!r}")
    except Exception as error:
        print(f"raised: {type(error).__name__}: {error}")
    print(offloaded.explain().rstrip())
    return 0 if offloaded.stats["native"] else 1


def offloaded_function(path: str) -> Any:
    """The function of a module, offloaded if it is not; ValueError if there is none."""
    module, colon, name = path.partition(":")
    if not (module and colon and name):
        raise ValueError(f"{path} is not MODULE:FUNCTION, as shop.prices:total")
    # As `python -m` looks for modules.
    sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{path} is not found: {error}") from error
    if isinstance(found, types.FunctionType):
        return iris.offload(found)
    if not isinstance(found, _iris.OffloadedFunction):
        raise ValueError(f"{path} is no function but of type {type(found).__name__}")
    return found


def argument(text: str) -> Any:
    """A value for a call; ValueError if the text is no literal."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError) as error:
        raise ValueError(f"{text} is no literal, as 3, 2.5, True or [1.0, 2.0]") from error
    if isinstance(value, list) and all(type(item) in (int, float) for item in value):
        kind = "q" if value and all(type(item) is int for item in value) else "d"
        try:
            return array(kind, value)
        except OverflowError as error:
            raise ValueError(f"{text} has a number beyond 64 bits") from error
    return value


def check_round_trip(release_gil: bool = False) -> str:
    """A message to an actor and an answer from it, many times."""
    answered = threading.Semaphore(0)
    with iris.Runtime() as rt:
        pid = rt.spawn(lambda data: answered.release(), release_gil=release_gil)
        began = time.perf_counter()
        for _ in range(ROUNDS):
            if not rt.send(pid, b"ping"):
                raise RuntimeError("a live actor refused a message")
            if not answered.acquire(timeout=PATIENCE):
                raise TimeoutError(f"an actor did not answer within {PATIENCE:g} s")
        each = (time.perf_counter() - began) / ROUNDS
        if rt.stop(pid, drain=True) and not rt.join(pid, PATIENCE):
            raise TimeoutError(f"an actor did not end within {PATIENCE:g} s")
    return f"{each * 1e6:.1f} microseconds each"


def check_own_thread() -> str:
    """The same with a thread of its own."""
    return check_round_trip(release_gil=True)


def check_offload() -> str:
    """A function as machine code."""
    half: Any = iris.offload(_half)
    if half(3.0) != 1.5:
        raise ArithmeticError(f"half of 3 is {half(3.0)!r}")
    counts = half.stats
    if not counts.get("native"):
        raise RuntimeError("an offloaded function ran as Python: " + half.explain())
    return "as machine code"


def _half(x: float) -> float:
    return x / 2


COMMANDS: list[tuple[str, Callable[[], int], str]] = [
    ("version", version, "print the version"),
    ("info", info, "print what was found: versions, processors, limits"),
    ("doctor", doctor, "print the same, and try actors and offloading out"),
]

CHECKS: list[tuple[str, Callable[[], str]]] = [
    ("actor round trip", check_round_trip),
    ("on its own thread", check_own_thread),
    ("offloaded function", check_offload),
]

if __name__ == "__main__":
    sys.exit(main())
