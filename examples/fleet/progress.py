"""Progress while a run sends: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

Tick = Callable[[int], None]

# How often a run reports: seldom enough to cost nothing in a measurement.
STRIDES = 40


@contextmanager
def sending(console: Console, title: str, total: int) -> Iterator[Tick]:
    """Gives a function to call with the number of messages sent so far."""
    if not console.is_terminal:
        yield _plain_lines(console, title, total)
        return
    # Refreshed by `tick` alone: a refreshing thread would take the interpreter lock from
    # whatever is being measured.
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, auto_refresh=False) as bar:
        task = bar.add_task(title, total=total)

        def tick(sent: int) -> None:
            bar.update(task, completed=sent, refresh=True)

        yield tick
        tick(total)


def _plain_lines(console: Console, title: str, total: int) -> Tick:
    quarter = 0

    def tick(sent: int) -> None:
        nonlocal quarter
        if sent * 4 // max(1, total) > quarter:
            quarter = sent * 4 // total
            console.print(f"{title}: {quarter * 25} % sent", highlight=False)

    return tick
