"""Random uses of the names of ``iris.jit``: native code against the rewritten function.

``iris-offload/tests/differential`` does so for everything that plain Python understands.
"""

from __future__ import annotations

import array
import linecache
import math
import random
import struct

import iris

JUMPS = ["break_if", "break_when", "break_unless", "continue_if", "continue_when", "continue_unless"]
FORMS = [
    "({a} + {b})",
    "({a} - {b})",
    "({a} * {b})",
    "({a} / {b})",
    "({a} % {b})",
    "({a} < {b})",
    "if_else({a} > {b}, {a}, {b})",
    "abs({a})",
    "sin({a})",
    "min({a}, {b})",
]
XS = [0, 1, 2, -3, 2.5, -0.0, math.nan, math.inf, True, 2**62]
YS = [0, 3, 7, 1.5, -1]
ITEMS = [1.0, -2.0, math.nan, 0.0, 3.5, math.inf]


def outcome(function, *args):
    try:
        result = function(*args)
    except Exception as error:
        return type(error), str(error)
    if type(result) is float:
        return "nan" if result != result else struct.pack("<d", result)
    return type(result), result


class Writer(random.Random):
    def expression(self, names):
        if self.random() < 0.3:
            return self.choice([*names, "1", "2", "0.5", "-1", "0", "pi", "True"])
        a, b = (self.choice([*names, "2", "0.5"]) for _ in range(2))
        return self.choice(FORMS).format(a=a, b=b)

    def element(self, depth, names):
        if depth == 0:
            return self.expression(names)
        if self.random() < 0.25:
            return f"{self.choice(['break_on_nan', 'continue_on_nan'])}({self.expression(names)})"
        test = f"{self.expression(names)} > {self.expression(names)}"
        return f"{self.choice(JUMPS)}({test}, {self.element(depth - 1, names)})"

    def reduction(self):
        kind = self.randrange(4)
        if kind == 0:
            name = self.choice(["sum_while", "any_while", "all_while"])
            first, stop = self.choice(["0", "1", "x", "0.5"]), self.choice(["5", "y", "9"])
            step, body = self.choice(["1", "0.5", "2"]), self.element(self.randrange(2), ["i", "x"])
            return f"{name}(i, {first}, i < {stop}, i + {step}, {body})"
        fold = self.choice(["sum", "any", "all", "max", "min"])
        body = self.element(self.randrange(3), ["v", "x", "y"])
        if kind == 1:
            return f"{fold}({body} for v in z)"
        stop = self.choice(["7", "y", "0", "-2, 6", "9, 0, -2"])
        return f"{fold}({body} for v in range({stop}){self.choice(['', ' if v % 3', ' if v > x'])})"


def test_random_reductions_answer_as_their_rewritten_function() -> None:
    native = 0
    for seed in range(250):
        rng = Writer(seed)
        text = f"def f(x, y, z):\n    return {rng.reduction()} + {rng.expression(['x', 'y'])}\n"
        name = f"<random {seed}>"
        linecache.cache[name] = (len(text), None, text.splitlines(True), name)
        scope: dict[str, object] = {}
        exec(compile(text, name, "exec"), scope)
        f = iris.offload(scope["f"])
        for _ in range(6):
            z = array.array("d", rng.choices(ITEMS, k=rng.choice([0, 1, 4])))
            args = rng.choice(XS), rng.choice(YS), z
            assert outcome(f, *args) == outcome(f.py, *args), (text, args)
        native += f.stats["native"]
    assert native > 500
