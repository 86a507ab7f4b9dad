"""What a person reads whose function is not compiled: the texts, as they are printed.

`data/refusals.txt` holds the programs and the texts. After a change of a text:
`IRIS_UPDATE_SNAPSHOTS=1 pytest test_offload_refusals.py`, and read the difference.
"""

from __future__ import annotations

import math
import os
import pathlib
from array import array

import pytest

import iris

TABLE = pathlib.Path(__file__).parent / "data" / "refusals.txt"
MARK = "\nnot compiled: "
HELPERS = """def helper(x):
    return [x][0]
def deep(x):
    return helper(x) + 1
def ping(x):
    return pong(x)
def pong(x):
    return ping(x)
"""


def blocks() -> list[tuple[str, str]]:
    programs = TABLE.read_text().strip().split("\n\n")
    pairs = [block.partition(MARK) for block in programs]
    return [(program, mark.lstrip() + text) for program, mark, text in pairs]


def refusal(program: str, folder: pathlib.Path) -> str:
    """What `explain` says after one call: from the reason on."""
    helpers, module = folder / "helpers.py", folder / "module.py"
    scope: dict[str, object] = {"__name__": "module", "math": math, "NAMES": ["a"], "TEXT": "a"}
    helpers.write_text(HELPERS)
    exec(compile(HELPERS, str(helpers), "exec"), scope)
    module.write_text(program + "\n")
    exec(compile(module.read_text(), str(module), "exec"), scope)
    function = iris.offload(scope["f"])
    arguments = [array("d", [1.0, 2.0]) if name == "d" else 5 for name in parameters(function)]
    try:
        outcome = function(*arguments)
    except Exception:  # Python's own answer is other tests' matter.
        pass
    else:
        getattr(outcome, "close", lambda: None)()
    assert function.stats["native"] == 0
    text = function.explain()
    assert text.startswith("f"), text
    return text.partition(MARK)[1].lstrip() + text.partition(MARK)[2].rstrip()


def parameters(function) -> tuple[str, ...]:
    code = function.py.__code__
    return code.co_varnames[: code.co_argcount]


def test_the_texts_are_these(tmp_path) -> None:
    found, known, skipped = [], [], 0
    for number, (program, text) in enumerate(blocks()):
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            said = refusal(program, folder)
        except SyntaxError:  # newer syntax than this interpreter's
            said, skipped = text, skipped + 1
        found.append(f"{program}\n{said}")
        known.append(f"{program}\n{text}")
    if os.environ.get("IRIS_UPDATE_SNAPSHOTS"):
        TABLE.write_text("\n\n".join(found) + "\n")
    assert "\n\n".join(found) == "\n\n".join(known)
    assert len(found) >= 60
    assert skipped <= 2


@pytest.mark.parametrize(("program", "text"), blocks())
def test_a_text_is_short_and_complete(program: str, text: str) -> None:
    lines = text.splitlines()
    assert len(lines) == 5, text
    reason, _, source, caret, mend = lines
    assert reason.startswith("not compiled: ")
    assert len(reason) <= 120
    # The line that is shown is the program's, and the caret stands below a part of it.
    assert source.partition(" | ")[2] in program.splitlines()
    assert caret.endswith("^") and len(caret) <= len(source)
    assert mend.startswith("  = mend: ") and len(mend) <= 120
