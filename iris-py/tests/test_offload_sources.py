"""Which text belongs to a function, and which names in it stand alone."""

from __future__ import annotations

import inspect
import math
import textwrap

import pytest
from support import Run

import iris
from iris import _offload, _rewrite

BLOCKS = {
    "plain": "def f(x):\n    return x + 1\n",
    "one line": "def f(x): return x + 1\n\nx = 1\n",
    "decorated": "@staticmethod\n@staticmethod\ndef f(x):\n    return x\n",
    "dedented comment": "def f(x):\n    y = x\n# a comment\n    return y\n",
    "blank lines": "def f(x):\n\n    y = x\n\n    return y\n\n\ndef g():\n    pass\n",
    "parameters over lines": "def f(\n    x,\n    y=(1,),\n):\n    return x\n",
}
ODD = {
    "a string at the margin": 'def f(x):\n    return """\nend"""\n',
    "a docstring at the margin": 'def f(x):\n    """One.\n\nTwo.\n"""\n    return x\n',
    "brackets at the margin": "def f(x):\n    return (x +\n1)\n",
    "a backslash": "def f(x):\n    return x + \\\n1\n",
    "a decorator over lines": "@staticmethod(\n    1\n)\ndef f(x):\n    return x\n",
}


def lines(text):
    return text.splitlines(keepends=True)


@pytest.mark.parametrize("text", BLOCKS.values(), ids=BLOCKS)
@pytest.mark.parametrize("indent", ["", "    "])
def test_a_plain_block_is_what_inspect_finds(text, indent) -> None:
    file = ["# first\n", *lines(textwrap.indent(text, indent)), f"\n{indent}z = 1\n"]
    found = _offload._plain_block(file, 2)
    assert found is not None
    assert "".join(found).rstrip() == "".join(inspect.getblock(file[1:])).rstrip()


def test_a_block_may_be_the_last_of_its_file() -> None:
    file = lines("def f(x):\n    return x")
    assert _offload._plain_block(file, 1) == file


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_a_block_whose_end_does_not_show_is_left_to_inspect(text) -> None:
    file = ["# first\n", *lines(text), "z = 1\n"]
    found = _offload._plain_block(file, 2)
    assert found is None or "".join(found) == "".join(inspect.getblock(file[1:]))


def test_offloading_imports_no_inspect(run_script: Run, tmp_path) -> None:
    path = tmp_path / "program.py"
    path.write_text(
        "import sys, iris\n@iris.offload\ndef f(x):\n    return x * 2.0\n"
        "assert f(2.0) == 4.0 and f.stats['native'] == 1\n"
        "assert 'inspect' not in sys.modules\n"
    )
    done = run_script(f"import runpy; runpy.run_path({str(path)!r})")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("name", "text", "alone"),
    [
        ("sqrt", "math.sqrt(x)", False),
        ("sqrt", "math . sqrt(x)", True),
        ("sqrt", "sqrt(x) + math.sqrt(x)", True),
        ("sqrt", "math.sqrt(x) + sqrt(x)", True),
        ("e", "math.e", False),
        ("sqrt", "math.ſqrt(x)", True),
    ],
)
def test_names_behind_a_dot_do_not_stand_alone(name, text, alone) -> None:
    assert _rewrite._may_stand_alone(name, text) is alone


def test_a_function_that_uses_attributes_is_not_rewritten() -> None:
    def root(x):
        return math.sqrt(x)

    assert iris.offload(root).py is root


SCALE = 2


@iris.offload
def scaled(x):
    return x * SCALE + len(LABEL) if False else x * SCALE


def test_a_global_that_changes_and_changes_back_is_noticed() -> None:
    global SCALE
    namespace = globals()
    assert scaled(3) == 6
    for value in (5, 2.5, True, 2):
        SCALE = value
        namespace["unrelated"] = value
        assert (scaled(3), type(scaled(3))) == (3 * value, type(3 * value))
    SCALE = 2
    before = scaled.stats["native"]
    assert scaled(3) == 6
    namespace["unrelated"] = None
    assert scaled(4) == 8
    del namespace["unrelated"]
    assert scaled(5) == 10
    assert scaled.stats["native"] == before + 3
    namespace["float"] = int
    try:
        assert scaled(6) == 12
    finally:
        del namespace["float"]


@pytest.mark.parametrize("stack", [0, 64 << 10, 512 << 10])
def test_a_deep_source_needs_no_deep_stack(run_script: Run, tmp_path, stack) -> None:
    # Deep, and in less than the size that is worked on where the caller is.
    deep = "-(" * 40 + "x" + ")" * 40
    sums = "x" + " + x" * 150
    ifs = "".join(f"{'  ' * n}if x > {n}:\n" for n in range(1, 40)) + "  " * 40 + "x = x + 1\n"
    path = tmp_path / "deep.py"
    path.write_text(
        "import threading, iris\n"
        f"@iris.offload\ndef f(x):\n    return {deep}\n"
        f"@iris.offload\ndef g(x):\n    return {sums}\n"
        f"@iris.offload\ndef h(x):\n{ifs}  return x\n"
        "def run():\n"
        "    assert (f(1), g(1), h(50)) == (1, 151, 51)\n"
        f"threading.stack_size({stack})\n"
        "thread = threading.Thread(target=run)\nthread.start()\nthread.join()\n"
        "run()\n"
        "assert all(one.stats == {'native': 2, 'python': 0} for one in (f, g, h)), f.explain()\n"
    )
    done = run_script(f"import runpy; runpy.run_path({str(path)!r})")
    assert (done.returncode, done.stderr) == (0, "")
