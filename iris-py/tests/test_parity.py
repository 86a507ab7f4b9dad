"""The scenarios that Python and Node.js have in common: parity/README.md says what they are."""

from __future__ import annotations

from typing import Any

import parity_lists
import pytest
from parity_runner import LANGUAGE, Signature, World, load

import iris

CALLS = load("calls.json")
SCENARIOS = load("scenarios.json")
PENDING = load(f"pending-{LANGUAGE}.json")
OURS = [one for one in SCENARIOS if one.get("only", LANGUAGE) == LANGUAGE]
RECEIVERS: dict[str, Any] = {"rt": iris.Runtime, "mailbox": iris.Mailbox, "iris": iris}


def signatures() -> dict[str, Signature]:
    calls = CALLS["calls"]
    return {name: Signature(call[LANGUAGE]) for name, call in calls.items() if LANGUAGE in call}


@pytest.mark.parametrize("scenario", OURS, ids=[one["name"] for one in OURS])
def test_scenario(scenario: dict[str, Any]) -> None:
    if scenario["name"] not in PENDING["scenarios"]:
        World(CALLS).run(scenario)
        return
    try:
        World(CALLS, patience=0.5).run(scenario)
    except Exception:
        return
    pytest.fail("it passes: take it off the list of those that are known to fail")


def test_each_call_is_there() -> None:
    for name, signature in signatures().items():
        is_there = hasattr(RECEIVERS[signature.of], signature.name)
        assert is_there is (name not in PENDING["calls"]), name


def test_no_public_method_is_missing_from_the_list() -> None:
    for of in ("rt", "mailbox"):
        known = {one.name for one in signatures().values() if one.of == of}
        elsewhere = set(CALLS["elsewhere"][LANGUAGE].get(of, {}))
        there = {name for name in dir(RECEIVERS[of]) if not name.startswith("_")}
        assert there - known == elsewhere, "list it as a call, or say where it is tested and why"
        assert not known & elsewhere


def test_each_call_is_exercised() -> None:
    for name, call in CALLS["calls"].items():
        for language in ("python", "node"):
            if language in call:
                assert parity_lists.exercising(SCENARIOS, name, language), f"{name} in {language}"
        assert call.get("scenarios") == parity_lists.listed(SCENARIOS, name), (
            "calls.json is behind: python iris-py/tests/parity_lists.py"
        )


def test_what_one_language_lacks_has_a_reason() -> None:
    for name, call in CALLS["calls"].items():
        assert call.get("why") or {"python", "node"} <= call.keys(), name
    for scenario in SCENARIOS:
        assert ("only" in scenario) is ("why" in scenario), scenario["name"]
    names = [one["name"] for one in SCENARIOS]
    assert len(names) == len(set(names))
    for language in ("python", "node"):
        pending = load(f"pending-{language}.json")
        assert pending["scenarios"].keys() <= set(names)
        assert pending["calls"].keys() <= CALLS["calls"].keys()


ECHO = {"handler": "echo"}


@pytest.mark.parametrize(
    "step",
    [
        {"call": "is_alive", "args": {"pid": "$pid"}, "is": False},
        {"call": "is_alive", "args": {"pid": "$pid"}, "is": 1},
        {"call": "is_alive", "args": {"pid": "$pid"}, "fails": "bad_value"},
        {"call": "is_alive", "args": {"pid": "x"}, "fails": "bad_value"},
        {"call": "is_alive", "args": {"pid": "x"}},
        {"call": "child_pids", "is": ["$pid"]},
        {"call": "info", "args": {"pid": "$pid"}, "is": {"kind": "pull"}},
        {"call": "info", "args": {"pid": "$pid"}, "is": {"no such field": None}},
        {"call": "version", "is": {"contains": "no version"}},
        {"call": "mailbox_size", "args": {"pid": "$pid"}, "is": {"at_least": 1}},
        {"log": "log", "is": []},
        {"log": "log", "sorted": True, "is": ["a", "a"]},
        {"log": "log", "is": ["b", "a"]},
        {"messages": "$observer", "is": []},
        {"same": ["$pid", "$observer"]},
        {"differ": ["$pid", "$pid"]},
        {"no such step": 1},
    ],
    ids=str,
)
def test_a_step_that_does_not_hold_fails(step: dict[str, Any]) -> None:
    steps = [
        {"call": "spawn", "args": {"handler": {"handler": "recorder"}}, "as": "pid"},
        {"call": "spawn_with_path_observed", "args": {"budget": 1, "path": "/o"}, "as": "observer"},
        {"call": "send_many", "args": {"pid": "$pid", "items": ["a", "b"]}},
        {"log": "log", "is": ["a", "b"]},
        {"call": "send", "args": {"pid": "$observer", "data": "x"}},
    ]
    World(CALLS).run({"steps": [*steps, {"messages": "$observer", "is": ["x"]}]})
    with pytest.raises((AssertionError, TypeError)):
        World(CALLS).run({"steps": [*steps, step]})
