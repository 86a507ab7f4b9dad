"""The ledger: each flight counts once, whatever an earlier life of a node still says."""

from __future__ import annotations

import pytest

from detector import Stats
from ledger import Ledger, LedgerError
from packets import ACK, BLANK, pack_open, pack_state, unpack_ack, unpack_open


def knowing(flights: int) -> bytes:
    stats = Stats()
    for number in range(flights):
        stats.add(10.0 * number, 0.1)
    return pack_state(stats)


def ack(unit: int, life: int, flight: int, state: bytes = BLANK, incident: bytes = b"") -> bytes:
    return ACK.pack(unit, life, flight) + state + incident


@pytest.fixture
def ledger() -> Ledger:
    """Two units on node 0, one on node 1, with two open flights each."""
    ledger = Ledger([0, 1, 0], nodes=2)
    for flight, unit in enumerate([0, 1, 2, 2, 1, 0]):
        ledger.write(unit, flight)
    return ledger


def test_an_acknowledged_flight_is_not_open(ledger: Ledger) -> None:
    ledger.acknowledge(ack(0, 1, 0, knowing(1), b"incident"))
    assert (ledger.open, ledger.handled) == ([3, 2], [1, 0])
    assert ledger.states[0] == knowing(1)
    assert ledger.incidents == [b"incident"]


def test_a_new_life_gets_the_open_flights_in_their_order(ledger: Ledger) -> None:
    ledger.acknowledge(ack(2, 1, 2, knowing(1)))
    assert ledger.begin_life(0, 2) == [0, 3, 5]
    assert ledger.states == [BLANK, BLANK, knowing(1)]
    assert ledger.open == [3, 2]


def test_an_earlier_life_does_not_count_any_more(ledger: Ledger) -> None:
    ledger.begin_life(0, 2)
    ledger.acknowledge(ack(0, 1, 0, knowing(1), b"incident"))
    assert (ledger.late, ledger.handled, ledger.incidents) == (1, [0, 0], [])
    assert ledger.states[0] == BLANK
    ledger.acknowledge(ack(0, 2, 0, knowing(2)))
    assert ledger.states[0] == knowing(2)
    # The other node is still in its first.
    ledger.acknowledge(ack(1, 1, 1))
    assert (ledger.late, ledger.handled) == (1, [1, 1])


@pytest.mark.parametrize("flight", [5, 4, 17])
def test_a_flight_that_is_passed_over_is_an_error(ledger: Ledger, flight: int) -> None:
    with pytest.raises(LedgerError, match=f"acknowledged flight {flight}, open was 0"):
        ledger.acknowledge(ack(0, 1, flight))


def test_a_flight_that_counts_twice_is_an_error(ledger: Ledger) -> None:
    for flight in (0, 5):
        ledger.acknowledge(ack(0, 1, flight))
    with pytest.raises(LedgerError, match="acknowledged flight 5, open was none"):
        ledger.acknowledge(ack(0, 1, 5))


def test_packets_keep_every_bit() -> None:
    stats = Stats()
    stats.count, stats.mean, stats.m2, stats.cancelled = 3.0, -0.0, 5e-324, 2**32 - 1
    stats.last_score, stats.score_sum = 0.1, float("inf")
    state = pack_state(stats)
    unit, opened, path = unpack_open(pack_open(7, state, "/fleet/ÜA/N1"))
    assert (unit, pack_state(opened), path) == (7, state, "/fleet/ÜA/N1")
    assert unpack_ack(ack(1, 2, 3, state, b"x")) == (1, 2, 3, state, b"x")
