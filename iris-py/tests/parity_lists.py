"""Which scenarios of ``parity/`` exercise which call; run as a program, it writes that down.

``python iris-py/tests/parity_lists.py`` rewrites parity/calls.json.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parents[2] / "parity" / "calls.json"
MOST = 4
"""Scenarios that are written down of a call; the first ones."""


def calls_in(node: Any) -> Iterator[str]:
    """The calls of a scenario, at any depth."""
    if isinstance(node, dict):
        call = node.get("call")
        if isinstance(call, str):
            yield call
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            yield from calls_in(one)


def exercising(scenarios: list[Any], call: str, language: str) -> list[str]:
    """The scenarios in which a call is used in a language."""
    return [
        one["name"]
        for one in scenarios
        if one.get("only", language) == language and call in calls_in(one["steps"])
    ]


def listed(scenarios: list[Any], call: str) -> list[str]:
    """What calls.json says of it."""
    return [one["name"] for one in scenarios if call in calls_in(one["steps"])][:MOST]


def written(calls: dict[str, Any]) -> str:
    """The text of calls.json: a line for each thing that is said of a call."""

    def block(node: dict[str, Any], depth: int) -> str:
        pad = "  " * depth
        lines = []
        for key, value in node.items():
            text = json.dumps(value, ensure_ascii=False)
            if isinstance(value, dict):
                text = block(value, depth + 1)
            elif len(text) > 90 and isinstance(value, list):
                rows = [f"{pad}    {json.dumps(one, ensure_ascii=False)}" for one in value]
                text = "[\n" + ",\n".join(rows) + f"\n{pad}  ]"
            lines.append(f"{pad}  {json.dumps(key)}: {text}")
        return "{\n" + ",\n".join(lines) + f"\n{pad}}}"

    return block(calls, 0) + "\n"


if __name__ == "__main__":
    everything = json.loads(FILE.read_text(encoding="utf-8"))
    wanted = json.loads(FILE.with_name("scenarios.json").read_text(encoding="utf-8"))
    for called, about in everything["calls"].items():
        about["scenarios"] = listed(wanted, called)
    FILE.write_text(written(everything), encoding="utf-8")
