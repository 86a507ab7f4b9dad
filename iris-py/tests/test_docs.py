"""What the documentation shows is what happens."""

from __future__ import annotations

import doctest
import inspect
import pathlib
import re

import pytest
from support import Run

import iris
import iris._offload
import iris._pool

README = pathlib.Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n?^```text\n(.*?)^```\n)?", re.M | re.S)


@pytest.mark.parametrize("match", list(BLOCK.finditer(README.read_text())), ids=lambda m: m[1][:30])
def test_the_readme_s_programs_run(run_script: Run, match: re.Match[str]) -> None:
    done = run_script(match[1])
    assert (done.returncode, done.stderr) == (0, "")
    if match[2] is not None:
        assert done.stdout == match[2]


MODULES = [iris, iris._offload, iris._pool]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_the_docstrings_examples_hold(module) -> None:
    failed, tried = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert tried > 0
    assert failed == 0


def test_everything_public_has_a_docstring() -> None:
    things = [(name, getattr(iris, name)) for name in iris.__all__ if name != "__version__"]
    things += [
        (f"Runtime.{name}", member)
        for name, member in inspect.getmembers(iris.Runtime)
        if not name.startswith("_")
    ]
    bare = [name for name, thing in things if not inspect.getdoc(thing)]
    assert bare == []
