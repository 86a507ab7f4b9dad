"""The actors of a runtime as a tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, overload


class TreeEntry(NamedTuple):
    """One actor of a ``Tree``."""

    pid: int
    parent: int | None
    """The actor that it ends with."""
    depth: int
    """How many ancestors it has."""
    names: list[str]
    paths: list[str]
    behavior: str
    """The name of its handler."""
    status: str
    """``"reserved"``, ``"idle"``, ``"scheduled"``, ``"running"``, or ``"exited"`` for a parent
    that waits for its children."""
    mailbox_size: int


class Tree(Sequence[TreeEntry]):
    """All actors of a runtime, each before its children, which stand by age.

    ``str`` draws it for a terminal: at most 1,000 actors and 16 generations, and how many it
    leaves out.

    >>> import iris
    >>> with iris.Runtime() as rt:
    ...     tree = rt.tree()
    >>> len(tree), str(tree)
    (0, '')
    """

    def __init__(self, text: str, entries: tuple[TreeEntry, ...]) -> None:
        self._text = text
        self._entries = entries

    @overload
    def __getitem__(self, index: int) -> TreeEntry: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[TreeEntry, ...]: ...
    def __getitem__(self, index: int | slice) -> TreeEntry | tuple[TreeEntry, ...]:
        return self._entries[index]

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[TreeEntry]:
        return iter(self._entries)

    def roots(self) -> list[TreeEntry]:
        """Those without a parent."""
        return [entry for entry in self._entries if entry.parent is None]

    def children_of(self, pid: int) -> list[TreeEntry]:
        """The children of an actor, oldest first."""
        return [entry for entry in self._entries if entry.parent == pid]

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"<iris.Tree of {len(self)} actors>"
