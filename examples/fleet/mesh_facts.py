"""What a run over several processes was like, for its tables."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Loss:
    """What happened when a node was lost; times are seconds from its end."""

    node: str
    after: int
    """Flights that had been streamed."""
    killed: bool = True
    """By the coordinator; else it died by itself, and nobody knows when."""
    at: float = 0.0
    down: float | None = None
    """The DOWN of its hangar."""
    reason: str = ""
    node_down: float | None = None
    node_up: float | None = None
    restarted: float | None = None
    """The supervisor's RESTARTED."""
    back: float | None = None
    """All aircraft were open again, and the open flights sent again."""
    aircraft: int = 0
    """Opened again."""
    resent: list[int] = field(default_factory=list)
    """Flights that were sent again: those that have waited, were returned, or died with it."""
    waited: int = 0
    """Flights that were not sent before, since the node was known to be down."""
    returned: int = 0
    """Flights that came back as dead letters."""


@dataclass
class NodeFacts:
    """One line of the table."""

    name: str
    kind: str
    pids: list[int]
    aircraft: int
    handled: int
    restarts: int


@dataclass
class MeshFacts:
    """What the run was like."""

    nodes: list[NodeFacts]
    losses: list[Loss]
    dead_letters: int
    """Messages that came back since their node was gone."""
    settled: int
    """Flights among them that had been acknowledged, and so were not sent again."""
    late: int
    """Acknowledgements from earlier lives."""
