"""The page in a browser: what it shows of a real run, and what it does when nothing comes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import browser
import data
import gateway
import mesh
import plain
from browser import Browser
from detector import DEFAULT_THRESHOLD
from fleet import Outcome, digest, first_difference, make_plan
from fleet_support import FLEET, PATIENCE, needs_node, rust_node, stand_still
from processes import NodeProcess

pytestmark = [
    needs_node,
    pytest.mark.skipif(browser.program() is None, reason="there is no Chromium on PATH"),
]

PICTURES = FLEET.parents[1] / "target" / "gateway"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests."""
    opened = Browser(tmp_path_factory.mktemp("chromium"))
    try:
        yield opened
    finally:
        opened.close()


def opened(chromium: Browser, url: str) -> None:
    """Goes to the page, and waits until it is connected."""
    chromium.events.clear()
    chromium.emulate("light")
    chromium.open(url)
    chromium.until("document.querySelector('#connection')?.dataset.state === 'live'")


def text_of(chromium: Browser, selector: str) -> str:
    """What an element says."""
    return str(chromium.run(f"document.querySelector({selector!r}).textContent"))


def number_of(chromium: Browser, selector: str) -> int:
    """The number that an element says."""
    return int(text_of(chromium, selector).replace(",", ""))


def state_of(name: str) -> str:
    return f"document.querySelector('#nodes [data-node=\"{name}\"]')?.dataset.state"


def log_of(chromium: Browser) -> list[str]:
    """What happened, the first first."""
    entries = "[...document.querySelectorAll('#log li')].reverse()"
    found = chromium.run(f"{entries}.map((item) => item.className + ' ' + item.lastChild.textContent)")
    assert isinstance(found, list)
    return found


def colors_of_the_map(chromium: Browser) -> int:
    """How many colors the map has."""
    script = """(() => {
        const canvas = document.querySelector('#map');
        // A copy: a canvas that is read goes on in another, slower way.
        const copy = new OffscreenCanvas(canvas.width, canvas.height);
        const context = copy.getContext('2d', { willReadFrequently: true });
        context.drawImage(canvas, 0, 0);
        const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
        return new Set(new Uint32Array(data.buffer)).size;
    })()"""
    return int(chromium.run(script))


def test_a_run_is_seen_from_its_beginning_to_its_end(
    chromium: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    flights, node = data.load_quick(), rust_node()
    plan = make_plan(flights)
    expected = plain.single_loop(flights, DEFAULT_THRESHOLD)
    # The run waits until each step of it was seen: it would be over in a tenth of a second.
    seen_up, seen_down, seen_again = (threading.Event() for _ in range(3))
    stops = {0: seen_up, 18_000: seen_again}
    restart = NodeProcess.restart

    def tick(sent: int) -> None:
        if sent in stops:
            assert stops[sent].wait(PATIENCE)

    def restart_when_seen(process: NodeProcess) -> None:
        assert seen_down.wait(PATIENCE)
        restart(process)

    outcomes: list[Outcome] = []

    def run() -> None:
        kills = mesh.kills(len(flights), every_node=False)
        outcome, _ = mesh.run_mesh(
            plan, DEFAULT_THRESHOLD, node, kills, tick, page.board
        )
        outcomes.append(outcome)
        page.board.decide(digest(plan, expected), digest(plan, outcome))

    with gateway.serving(plan, flights) as page:
        monkeypatch.setattr(mesh, "WINDOW", 400)
        monkeypatch.setattr(NodeProcess, "restart", restart_when_seen)
        opened(chromium, page.url)
        assert page.wait_browser(PATIENCE)
        assert number_of(chromium, "#handled") == 0
        assert text_of(chromium, "#verdict") == "open"
        running = threading.Thread(target=run)
        running.start()
        try:
            chromium.until(
                "[...document.querySelectorAll('#nodes tr[data-state=up]')].length === 3"
            )
            assert number_of(chromium, "#handled") <= 1
            seen_up.set()
            chromium.until(f"{state_of('python-1')} === 'down'")
            # All but the node that is down are done with what they have.
            chromium.until(
                "[...document.querySelectorAll('#nodes tr:not([data-node=\"python-1\"])')]"
                ".every((row) => row.dataset.state === 'up' && row.lastChild.textContent === '0')"
            )
            handled = number_of(chromium, "#handled")
            assert 5_000 < handled < 10_000
            assert text_of(chromium, "#detector") == "1"
            assert text_of(chromium, "#lost") == "1 / 0"
            assert text_of(chromium, "#verdict") == "open"
            chromium.screenshot(PICTURES / "down.png")
            seen_down.set()
            chromium.until(f"{state_of('python-1')} === 'up'")
            # What it had is sent again, and more; the detectors have changed.
            chromium.until("document.querySelector('#detector').textContent === '2'")
            assert handled < number_of(chromium, "#handled") < len(flights)
            assert text_of(chromium, "#verdict") == "open"
            chromium.screenshot(PICTURES / "back.png")
        finally:
            for event in (seen_up, seen_down, seen_again):
                event.set()
            running.join(PATIENCE)
        assert len(outcomes) == 1
        assert first_difference(plan, expected, outcomes[0]) is None
        chromium.until("document.querySelector('#digest').dataset.state === 'equal'")
        assert number_of(chromium, "#handled") == len(flights)
        assert text_of(chromium, "#streamed") == f"{len(flights):,}"
        assert text_of(chromium, "#detector") == "2"
        assert text_of(chromium, "#lost") == "1 / 1"
        assert number_of(chromium, "#found") == len(outcomes[0].incidents)
        assert text_of(chromium, "#verdict") == "equal"
        shown = text_of(chromium, "#hashes").split()
        assert shown.count(digest(plan, outcomes[0])[:16]) == 2
        assert "life 2" in text_of(chromium, '#nodes [data-node="python-1"]')

        log = log_of(chromium)
        steps = ["start", "kill python-1", "down python-1", "restart python-1", "back python-1"]
        steps += ["up python-1", "equal"]
        for step in steps:
            assert any(entry.startswith(step) for entry in log), (step, log)
        told = [entry for entry in log if "python-1" in entry]
        assert [entry.split()[0] for entry in told][:4] == ["up", "kill", "down", "restart"]
        assert sorted(entry.split()[0] for entry in told[4:]) == ["back", "up"]

        newest = outcomes[0].incidents[-1]
        incidents = text_of(chromium, "#incidents")
        assert plan.units[plan.messages[newest.flight][0]] in incidents
        assert chromium.run("document.querySelectorAll('#chart path').length") == 3
        assert chromium.run("document.querySelectorAll('#chart .mark').length") >= 3
        assert number_of(chromium, "#rate") == 0
        assert "at most 0" not in text_of(chromium, "#rate-note")

        chromium.screenshot(PICTURES / "light.png")
        by_delay = colors_of_the_map(chromium)
        assert by_delay > 4
        for mode in ("node", "detector"):
            chromium.run(f"document.querySelector('input[value={mode}]').click()")
            chromium.emulate("dark")
            assert colors_of_the_map(chromium) > 2
            chromium.screenshot(PICTURES / f"dark-{mode}.png")
        chromium.emulate("light", width=420)
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert chromium.run(wide) == 0, "a narrow window needs no scrolling to the side"
        assert chromium.complaints() == []
    chromium.until("document.querySelector('#connection').dataset.state === 'ended'")
    assert number_of(chromium, "#handled") == len(flights)


def test_a_lost_connection_is_said_and_made_again(chromium: Browser) -> None:
    flights = data.load_quick()[:200]
    plan = make_plan(flights)
    with gateway.serving(plan, flights) as page:
        stand_still(page.board, plan, "python-1")
        opened(chromium, page.url)
        chromium.until(f"document.querySelector('#found').textContent === '{len(flights)}'")
        entries = len(log_of(chromium))
        page.process.kill()
        chromium.until("document.querySelector('#connection').dataset.state === 'lost'")
        assert text_of(chromium, "#connection") == "connection lost, trying again"
        assert number_of(chromium, "#found") == len(flights), "what was known stays"
        # Another process, which has told nobody anything.
        page.process.command[-1] = page.url.rstrip("/").rpartition(":")[2]
        page.process.restart()
        chromium.until("document.querySelector('#connection').dataset.state === 'live'")
        chromium.until(f"document.querySelector('#found').textContent === '{len(flights)}'")
        assert len(log_of(chromium)) == entries, "the snapshot replaces what was there"


def test_a_gateway_that_falls_silent_counts_as_lost(chromium: Browser) -> None:
    flights = data.load_quick()[:200]
    with gateway.serving(make_plan(flights), flights) as page:
        opened(chromium, page.url)
        page.process.freeze()
        chromium.until("document.querySelector('#connection').dataset.state === 'lost'")
        page.process.thaw()
        chromium.until("document.querySelector('#connection').dataset.state === 'live'")


def test_what_comes_from_data_is_text(chromium: Browser) -> None:
    evil = "<img src=x onerror=\"document.title='broken'\"><b>&amp;"
    flights = [flight._replace(tail=evil, carrier=evil) for flight in data.load_quick()[:50]]
    plan = make_plan(flights)
    with gateway.serving(plan, flights) as page:
        stand_still(page.board, plan, evil)
        opened(chromium, page.url)
        chromium.until("document.querySelectorAll('#incidents tr').length === 50")
        for part in ("#nodes", "#log", "#incidents", "#series"):
            assert evil in text_of(chromium, part), part
        chromium.run("document.querySelector('input[value=node]').click()")
        assert evil in text_of(chromium, "#legend")
        assert chromium.run("document.querySelectorAll('img').length") == 1
        assert chromium.run("document.querySelectorAll('b').length") == 0
        assert chromium.run("document.title") == "The fleet"
        # Nothing was even tried.
        assert chromium.complaints() == []


def test_scripts_of_others_do_not_run(chromium: Browser) -> None:
    flights = data.load_quick()[:50]
    with gateway.serving(make_plan(flights), flights) as page:
        opened(chromium, page.url)
        chromium.run(
            "document.body.append(Object.assign(document.createElement('script'),"
            " { textContent: \"document.title = 'broken'\" }))"
        )
        assert chromium.run("document.title") == "The fleet"
        assert any("Content Security Policy" in text for text in chromium.complaints())
