"""Names of the runtime's threads in ``threading``."""

from __future__ import annotations

import threading


def name_thread(name: str) -> None:
    """Has ``threading`` know the calling thread, which is none of its own, by this name."""
    threading.current_thread().name = name


def forget_thread() -> None:
    """The calling thread ends: another one may get its number."""
    thread = threading.current_thread()
    active: dict[int, threading.Thread] = getattr(threading, "_active", {})
    if active.get(threading.get_ident()) is thread and thread is not threading.main_thread():
        active.pop(threading.get_ident(), None)
