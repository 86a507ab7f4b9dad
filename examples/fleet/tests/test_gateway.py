"""The gateway without a browser: its HTTP, its command line, and that the run does not need it."""

from __future__ import annotations

import http.client
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import data
import gateway
import mesh
import plain
from detector import DEFAULT_THRESHOLD
from fleet import Outcome, first_difference, make_plan
from fleet_support import (
    FLEET,
    NODE,
    PATIENCE,
    demo,
    demo_command,
    digests,
    needs_node,
    rust_node,
    stand_still,
)

pytestmark = needs_node


def connection(page: gateway.Page) -> http.client.HTTPConnection:
    where = page.url.removeprefix("http://").rstrip("/")
    return http.client.HTTPConnection(where, timeout=PATIENCE)


def ask(page: gateway.Page, method: str = "GET", path: str = "/", **headers: str) -> tuple[int, Any]:
    link = connection(page)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        link.request(method, path, headers=named)
        answer = link.getresponse()
        return answer.status, answer.headers
    finally:
        link.close()


def first_state(page: gateway.Page) -> Any:
    link = connection(page)
    try:
        link.request("GET", "/events")
        answer = link.getresponse()
        assert answer.status == 200
        while True:
            line = answer.readline()
            assert line, "the stream has ended"
            if line.startswith(b"data: "):
                return json.loads(line[len(b"data: ") :])
    finally:
        link.close()


@pytest.fixture(scope="module")
def page() -> Any:
    """A page without a run."""
    flights = data.load_quick()[:50]
    with gateway.serving(make_plan(flights), flights) as opened:
        yield opened


def test_the_parts_in_javascript_pass_their_own_tests() -> None:
    assert NODE is not None
    tests = sorted(map(str, (FLEET / "gateway" / "test").glob("*.test.js")))
    assert len(tests) == 3
    done = subprocess.run(
        [NODE, "--test", "--test-reporter=tap", *tests],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^# pass ([1-9]\d)$", done.stdout, re.MULTILINE), done.stdout


def test_other_names_of_this_machine_are_refused(page: gateway.Page) -> None:
    port = page.url.rstrip("/").rpartition(":")[2]
    for own in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}"):
        assert ask(page, Host=own)[0] == 200, own
    foreign = ["example.org", f"example.org:{port}", f"127.0.0.1.example.org:{port}", "127.0.0.1:1"]
    for host in [*foreign, "127.0.0.1", "localhost", "", f"0.0.0.0:{port}"]:
        for path in ("/", "/events", "/page.js"):
            assert ask(page, path=path, Host=host)[0] == 421, (host, path)


def test_there_is_nothing_but_to_get(page: gateway.Page) -> None:
    for method in ("POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"):
        status, headers = ask(page, method)
        assert (status, headers["Allow"]) == (405, "GET"), method
    for path in ("/main.js", "/../main.js", "/page/page.js", "/events/", "//", "/%2e%2e/main.js"):
        assert ask(page, path=path)[0] == 404, path


def test_other_origins_may_not_read(page: gateway.Page) -> None:
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200)):
        assert ask(page, path="/events", Sec_Fetch_Site=site)[0] == status
    for path in ("/", "/page.js", "/events", "/nothing"):
        headers = ask(page, path=path)[1]
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';")
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Access-Control-Allow-Origin"] is None


def test_the_page_needs_nothing_from_elsewhere() -> None:
    for file in (FLEET / "gateway" / "page").iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "//" not in re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE), file.name
        assert "innerHTML" not in text, file.name
        assert not re.search(r"\son\w+=|<style|style=\"", text), file.name


def test_what_the_board_says_comes_over_whole() -> None:
    flights = data.load_quick()[:1_200]
    plan = make_plan(flights)
    with gateway.serving(plan, flights) as page:
        # More incidents than one answer holds.
        stand_still(page.board, plan, "python-1")
        end = time.monotonic() + PATIENCE
        while (state := first_state(page))["fleet"]["found"]["total"] < len(flights):
            assert time.monotonic() < end, state["fleet"]
    assert len(state["units"]) == len(plan.units)
    assert [state["units"][5][0]] == [plan.units[5]]
    newest = state["incidents"][-1]
    assert newest["number"] == len(flights)
    assert newest["name"] == plan.units[plan.messages[-1][0]]
    assert (newest["delay"], newest["score"], newest["version"]) == (99.0, 5.0, 1)
    assert [entry["kind"] for entry in state["log"]] == ["start", "kill", "restart", "back", "swap"] or [
        entry["kind"] for entry in state["log"]
    ] == ["start", "kill", "restart", "swap", "back"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_gateway_that_is_killed_or_stands_still_changes_nothing(how: signal.Signals) -> None:
    flights = data.load_quick()
    plan = make_plan(flights)
    asked = 0

    def tick(sent: int) -> None:
        nonlocal asked
        if sent == 6_000:
            # It has found all nodes, and asks them.
            end = time.monotonic() + PATIENCE
            while any(node["flights"] == 0 for node in first_state(page)["nodes"]):
                assert time.monotonic() < end
                time.sleep(0.02)
            os.kill(page.process.pids[0], how)
            asked += 1

    with gateway.serving(plan, flights) as page:
        kills = mesh.kills(len(flights), every_node=False)
        outcome, facts = mesh.run_mesh(
            plan, DEFAULT_THRESHOLD, rust_node(), kills, tick, page.board
        )
        page.process.abandon()
    assert asked == 1
    expected = plain.single_loop(flights, DEFAULT_THRESHOLD)
    assert first_difference(plan, expected, outcome) is None
    assert sum(node.handled for node in facts.nodes) == len(flights)
    assert [loss.node for loss in facts.losses] == ["python-1"]


def test_the_demo_says_where_the_page_is_and_ends_with_the_job() -> None:
    done = demo("--gateway")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^gateway: http://127\.0\.0\.1:\d+/$", done.stdout, re.MULTILINE)
    assert "Ctrl-C" not in done.stdout
    found = digests(done.stdout)
    assert len(found) == 2
    assert found[0] == found[1]


class Terminal:
    """The demo with a terminal as its output."""

    def __init__(self, *flags: str) -> None:
        self._main, its = pty.openpty()
        command, environment = demo_command(*flags)
        self.process = subprocess.Popen(
            command,
            env={**environment, "TERM": "dumb"},
            stdin=subprocess.DEVNULL,
            stdout=its,
            stderr=its,
        )
        os.close(its)
        self.text = ""

    def until(self, pattern: str) -> re.Match[str]:
        """Waits for a text on the screen."""
        while not (found := re.search(pattern, self.text)):
            readable, _, _ = select.select([self._main], [], [], PATIENCE)
            assert readable, self.text
            try:
                chunk = os.read(self._main, 4096)
            except OSError:  # the end, on Linux
                chunk = b""
            assert chunk, self.text
            self.text += chunk.decode(errors="replace")
        return found

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._main)


def test_with_a_terminal_the_page_stays_until_ctrl_c() -> None:
    terminal = Terminal("--gateway")
    try:
        address = terminal.until(r"gateway: http://(127\.0\.0\.1:\d+)/")[1]
        terminal.until("the run begins when a browser is there")
        assert "sent" not in terminal.text
        browser = http.client.HTTPConnection(address, timeout=PATIENCE)
        browser.request("GET", "/events")
        stream = browser.getresponse()
        terminal.until("stays until Ctrl-C")
        assert "figures are equal, bit by bit" in terminal.text
        # Who comes now sees how it ended.
        late = http.client.HTTPConnection(address, timeout=PATIENCE)
        late.request("GET", "/events")
        answer = late.getresponse()
        answer.readline()
        answer.readline()
        assert json.loads(answer.readline()[len(b"data: ") :])["fleet"]["phase"] == "equal"
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.process.wait(PATIENCE) == 0
        assert b"event: end\n" in stream.read()
    finally:
        terminal.close()


def test_flags_that_need_each_other() -> None:
    program = [sys.executable, str(FLEET / "main.py")]
    for flags, text in (
        (["--gateway"], "--gateway is for --mesh, whose nodes it shows"),
        (["--mesh", "--gateway-port", "0"], "--gateway-port is for --gateway"),
        (["--mesh", "--gateway", "--gateway-port", "70000"], "70000 is not a port"),
    ):
        done = subprocess.run(
            [*program, "--quick", *flags],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 2
        assert text in done.stderr


def test_without_a_fit_node_js_it_says_what_to_do(tmp_path: Path) -> None:
    done = demo("--gateway", PATH=str(tmp_path))
    assert done.returncode == 1
    assert "there is no `node` on PATH; install Node.js 20 or later, or leave" in done.stderr
    old = tmp_path / "node"
    old.write_text("#!/bin/sh\necho v18.19.0\n", encoding="ascii")
    old.chmod(0o755)
    done = demo("--gateway", PATH=str(tmp_path))
    assert done.returncode == 1
    assert "says v18.19.0, which is too old; install Node.js 20 or later" in done.stderr


def test_a_port_that_is_taken_is_named(page: gateway.Page) -> None:
    port = page.url.rstrip("/").rpartition(":")[2]
    done = demo("--gateway", "--gateway-port", port)
    assert done.returncode == 1
    assert f"gateway: port {port} is taken" in done.stderr


def test_the_nodes_swap_the_detector_once_each() -> None:
    flights = data.load_quick()[:6_000]
    plan = make_plan(flights)
    seen: dict[str, tuple[int, int]] = {}

    class Watching(mesh.Coordinator):
        """Asks the gauges before the nodes end."""

        def end(self) -> None:
            for node in self.nodes:
                gauge = self.rt.resolve_remote(node.process.address, "gauge")
                assert gauge is not None
                seen.update(versions_of(self.rt.call(gauge, b"", PATIENCE), plan.units))
            super().end()

    outcome = run_with(Watching, plan)
    last = {unit: index for index, (unit, _) in enumerate(plan.messages)}
    for unit, name in enumerate(plan.units):
        stats = outcome.stats[unit]
        assert seen[name] == (
            int(stats.count) + stats.cancelled,
            2 if last[unit] >= plan.swap_at else 1,
        )


def versions_of(answer: bytes, units: list[str]) -> dict[str, tuple[int, int]]:
    """Flights and version of the behavior of each aircraft, by its name."""
    from packets import GAUGE, GAUGED

    life, count = GAUGE.unpack_from(answer)
    assert life == 1
    assert len(answer) == GAUGE.size + count * GAUGED.size
    entries = GAUGED.iter_unpack(answer[GAUGE.size :])
    return {units[unit]: (flights, version) for unit, flights, version, _ in entries}


def run_with(coordinator: type[mesh.Coordinator], plan: Any) -> Outcome:
    """A run without kills, by another coordinator."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mesh, "Coordinator", coordinator)
        outcome, _ = mesh.run_mesh(plan, DEFAULT_THRESHOLD, rust_node(), {}, lambda _: None)
    return outcome
