"""Random programs on NumPy arrays: native code against the plain function, NumPy's rules and all.

The value with its bits and exact type, the exception, the warnings and what is written must be the
same. ``IRIS_NUMPY_PROGRAMS`` and ``IRIS_NUMPY_SEED`` ask for longer runs.
"""

from __future__ import annotations

import array
import linecache
import math
import os
import random
import struct
import sys
import warnings

import pytest

import iris

np = pytest.importorskip("numpy")

FLOATS = [0.0, -0.0, 1.0, -2.5, 0.5, 2.5, 3.0, 1e308, -1e308, 5e-324, 1e-200, math.inf, -math.inf]
FLOATS += [math.nan, 9007199254740993.0, 9.3e18, 0.1]
INTS = [0, 1, -1, 2, 7, -3, 2**53 + 1, 2**63 - 1, -(2**63), 62, 63, 64, 10]
TAME_FLOATS = [0.0, 1.0, -2.5, 0.5, 2.5, 3.0, -0.0, 100.25, -7.0, 0.1]
TAME_INTS = [0, 1, -1, 2, 7, -3, 10, 5]
BINARY = ["+", "-", "*", "/", "//", "%", "**", "<<", ">>", "&", "|", "^"]
COMPARE = ["<", "<=", ">", ">=", "==", "!="]
CALLS = [
    *("abs({0})", "-{0}", "+{0}", "~{0}", "(not {0})", "float({0})", "int({0})", "bool({0})"),
    *("round({0})", "math.sqrt({0})", "math.exp({0})", "math.floor({0})", "math.sin({0})"),
    *("math.isnan({0})", "math.log({0})", "math.atan2({0}, {1})", "min({0}, {1})", "max({0}, {1})"),
    *("divmod({0}, {1})[0]", "pow(x, 2)", "pow(s, {1} > 0)", "({0} and {1})", "({0} or {1})"),
    *("({0} if {1} else {0})", "({0} if {1} > 0 else {1})", "({0} < {1} < 2)", "helper({0}, {1})"),
    *("a[{0}]", "b[int({0}) % 3]", "math.fabs({0})", "math.pow({0}, 2)", "math.trunc({0})"),
    *("({0} in (1, 2.5, {1}))", "({0} in a)", "({0} not in b)", "({0} in range(-3, 9, 2))"),
    *("({0} in c)", "({0} is None)", "({0} is True)", "({0} is not False)", "({0} is s)"),
    *("(None, {0})[i == 0]", "(x, y, {0})[i]", "({0}, {1})[1]", "len((x, {0}))", "a.shape[0]"),
    *("sum((x, {0}, {1}))", "max((x, {0}, y))", "max(a, default={0})", "min(b, default=None)"),
    *("any(({0}, {1}))", "math.prod(a)", "math.prod((2, {0}), start={1})", "round({0}, 1)"),
    *("round(s, 1 if {0} else -1)", "round({0}, None)", "({0}).is_integer()", "({0}).bit_length()"),
    *("math.hypot({0}, {1})", "math.isclose({0}, {1})", "math.modf({0})[0]", "math.ulp({0})"),
    *("math.frexp({0})[1]", "math.ldexp({0}, 2)", "math.ldexp(0.5, {0})", "math.gcd({0}, 4)"),
    *("math.isqrt({0})", "math.comb(5, {0})", "math.remainder({0}, {1})", "math.gamma({0})"),
    *("math.dist(({0}, 1.0), (x, {1}))", "math.nextafter({0}, {1})", "math.cbrt({0})"),
    *("only(x={0})", "only(x={0}, by={1})", "maybe({0}, None)", "maybe(x, {0})", "c.nbytes"),
    *("pow(base={0}, exp=2)", "({0} == None)", "({0} != None)", "(not ({0}, ))"),
]
HELPERS = """\
def helper(x, y):
    return x * 2 - y

def only(*, x, by=0.5):
    return x + by

def maybe(x, y):
    return x if y is None else y

"""


class Writer(random.Random):
    def expression(self, depth, names):
        if depth == 0 or self.random() < 0.15:
            return self.choice([*names, *names, "1", "2", "0.5", "-1", "3", "True", "0"])
        a, b = (self.expression(depth - 1, names) for _ in range(2))
        kind = self.random()
        if kind < 0.5:
            weights = [12, 12, 12, 8, 4, 4, 4, 1, 1, 1, 1, 1]
            [op] = self.choices(BINARY, weights)
            if op in ("**", "<<"):
                # Of other operands an int of Python's may take all memory.
                b = self.choice(["2", "0.5", "-1", "3", "s", "i", "True", "0"])
                a = self.choice(names)
            return f"({a} {op} {b})"
        if kind < 0.65:
            return f"({a} {self.choice(COMPARE)} {b})"
        return self.choice(CALLS).format(a, b)

    def body(self):
        names = ["x", "y", "s"]
        expression = lambda: self.expression(self.randrange(1, 4), names)  # noqa: E731
        kind = self.randrange(11 if sys.version_info >= (3, 10) else 10)
        if kind == 0:
            return f"x, y = a[i], b[i]\nreturn {expression()}"
        if kind == 1:
            fold = self.choice(["sum", "sum", "sum", "any", "all", "max", "min"])
            tail = self.choice(["", "", f" if {expression()}"])
            start = self.choice(["", ""] + [", 0.5", ", s", ", a[i]"])
            names = ["x", "s"]
            if fold != "sum" or not start:
                return f"y = b[i]\nreturn {fold}({expression()} for x in a{tail})"
            return f"y = b[i]\nreturn sum(({expression()} for x in a{tail}){start})"
        if kind == 2:
            start, op = self.choice(["0", "0.0", "a[i]", "s", "True"]), self.choice(BINARY[:3])
            if self.random() < 0.5:
                names.append("t")
            return f"t = {start}\nfor x, y in zip(a, b):\n    t {op}= {expression()}\nreturn t"
        if kind == 3:
            test, value = expression(), expression()
            return (
                f"y = s\nfor i, x in enumerate(a):\n    if {test}:\n        o[i] = {value}\n"
                "    y = x\nreturn y"
            )
        if kind == 4:
            return f"for j in range(len(b)):\n    x, y = a[j], b[j]\n    o[j] += {expression()}"
        if kind == 5:
            return f"x, y = a[i], b[-1 - i]\nz = {expression()}\nx = z\nreturn {expression()}, z, y"
        if kind == 6:
            way = self.choice(["a", "range(len(a))", "range(1, 9, 3)", "(x, y, s, 2)"])
            return f"x, y, t = a[i], b[i], s\nfor x in reversed({way}):\n    t += {expression()}\nreturn t"
        if kind == 7:
            row = ", ".join(expression() for _ in range(3))
            return f"x, y, t = a[i], b[i], 0\nfor x in [{row}]:\n    t = t + {expression()}\nreturn t, x"
        if kind == 8:
            return f"y = b[i]\nreturn math.prod({expression()} for x in a)"
        if kind == 10:
            return (
                f"x, y = a[i], b[i]\nmatch {expression()}:\n    case 1 | 2.5:\n        return {expression()}\n"
                f"    case None | True:\n        return 3\n    case z if {expression()}:\n        return z\n"
                f"return {expression()}"
            )
        names = ["x", "y", "s", "c[i, 0]", "c[-1, i]"]
        return f"x, y = a[0], c[0, 1]\nreturn {expression()}"

    def array_of(self, size, shape=None):
        wild = self.random() < 0.3
        kinds = ["f8", "i8", "?", "f4", "i4", "plain f", "plain i"]
        [kind] = self.choices(kinds, [20, 10, 3, 1, 1, 3, 3])
        floats, ints = (FLOATS, INTS) if wild else (TAME_FLOATS, TAME_INTS)
        if kind == "plain f":
            return array.array("d", self.choices(floats, k=size))
        if kind == "plain i":
            return array.array("q", self.choices(ints, k=size))
        if kind == "?":
            made = np.array(self.choices([True, False], k=size), dtype=bool)
        elif kind[0] == "f":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                made = np.array(self.choices(floats, k=size), dtype="f8").astype(kind)
        else:
            made = np.array(self.choices(ints, k=size), dtype="i8").astype(kind)
        way = self.randrange(5)
        if way == 0:
            made = np.repeat(made, 2)[::2]
        elif way == 1:
            made = made[::-1]
        elif way == 2:
            made = made.copy()
            made.flags.writeable = self.random() < 0.7
        return made


def bits(value):
    if isinstance(value, tuple):
        return tuple(map(bits, value))
    if isinstance(value, float):
        return type(value), "nan" if value != value else struct.pack("<d", value)
    return type(value), value if value is None else int(value)


def copied(value):
    if not isinstance(value, np.ndarray):
        return value[:] if isinstance(value, array.array) else value
    if value.base is None or value.ndim != 1 or not value.size:
        whole = value.copy()
        whole.flags.writeable = value.flags.writeable
        return whole
    whole = value.base.copy()
    return whole[:: value.strides[0] // whole.strides[0]]


def outcome(function, args):
    args = [copied(arg) for arg in args]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = bits(function(*args))
        except Exception as error:
            result = type(error), str(error)
    told = [(one.category, str(one.message)) for one in caught]
    flat = [arg for arg in args if hasattr(arg, "tolist") and getattr(arg, "ndim", 1) == 1]
    return result, told, [bits(tuple(arg.tolist())) for arg in flat]


def program(seed):
    rng = Writer(seed)
    lines = "".join(f"    {line}\n" for line in rng.body().splitlines())
    text = HELPERS + f"def f(a, b, c, o, s, i):\n{lines}"
    name = f"<numpy {seed}>"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    scope: dict[str, object] = {"math": math}
    exec(compile(text, name, "exec"), scope)
    return rng, text, scope["f"]


def test_random_programs_answer_as_the_plain_function() -> None:
    native = 0
    first = int(os.environ.get("IRIS_NUMPY_SEED", "0"))
    for seed in range(first, first + int(os.environ.get("IRIS_NUMPY_PROGRAMS", "300"))):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            rng, text, plain = program(seed)
            f = iris.offload(plain)
            for _ in range(4):
                size = rng.choice([0, 1, 4, 4, 5, 9])
                a, b, o = (rng.array_of(size) for _ in range(3))
                c = np.array(rng.choices(TAME_FLOATS, k=size * 3)).reshape(size, 3)
                c = c.astype(rng.choice(["f8", "f8", "i8"]))
                s = rng.choice([2, 0.5, True, -3, 0, 1.0])
                args = a, b, c, o, s, rng.choice([0, 1, -1, 3, 12])
                assert outcome(f, args) == outcome(plain, args), (seed, text, args)
        native += f.stats["native"]
    assert native > 150
