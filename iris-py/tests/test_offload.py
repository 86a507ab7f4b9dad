"""Offloaded functions answer as the plain function does, or run as it."""

from __future__ import annotations

import builtins
import copy
import functools
import gc
import linecache
import math
import pickle
import struct
import threading
import types
import weakref

import pytest
from support import Run

import iris

INTS = [0, 1, -1, 2, 3, 7, -7, 10, 2**31, 2**53, 2**53 + 1, -(2**53) - 1, 2**62, 2**63 - 1, -(2**63)]
FLOATS = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 1e-320, 1e300, -1e300, 2.0**53]
SPECIAL = [math.inf, -math.inf, math.nan]
SCALARS = [*INTS, *FLOATS, *SPECIAL, True, False]


def outcome(function, *args):
    """What a call comes to: type and value, bits for floats, or the exception."""
    try:
        result = function(*args)
    except Exception as error:
        return type(error), str(error)
    if type(result) is float:
        return float, struct.pack("<d", result)
    return type(result), result


def check(function, *args):
    assert outcome(function, *args) == outcome(function.py, *args), args


K = 3.0
N = 5
FLAG = True
BIG = 1 << 70


@iris.offload
def magnitude(x, y, z):
    return (x * x + y * y + z * z) ** 0.5


@iris.offload
def arithmetic(a, b):
    return a + b - a * b


@iris.offload
def divide(a, b):
    return a / b


@iris.offload
def floor_divide(a, b):
    return a // b


@iris.offload
def remainder(a, b):
    return a % b


@iris.offload
def power(a, b):
    return a**b


@iris.offload
def compare(a, b):
    return a < b


@iris.offload
def chain(a, b):
    return a <= b < a + b


@iris.offload
def equal(a, b):
    return a == b


@iris.offload
def choose(a, b):
    return a - b if a > b else b - a


@iris.offload
def guarded(a, b):
    return a / b if b != 0 else a


@iris.offload
def subtract_itself(a, b):
    return (a - a) + (b * 0)


@iris.offload
def divide_itself(a, b):
    return a / a


@iris.offload
def with_globals(a, b):
    return a * K + b * N


@iris.offload
def with_math(a, b):
    return math.sqrt(a) + math.exp(b) * math.pi


@iris.offload
def trigonometry(a, b):
    return math.sin(a) * math.cos(b) - math.tan(a)


@iris.offload
def hyperbolic(a, b):
    return math.sinh(a) + math.cosh(b) - math.tanh(a)


@iris.offload
def logarithm(a, b):
    return math.log(a) + math.fabs(b)


@iris.offload
def local_names(a, b):
    """Docstring."""
    mean = (a + b) / 2
    spread = a - mean
    spread += 1
    return spread * spread - mean


@iris.offload
def logic(a, b):
    return a > 0 and b > 0 or not a == b


@iris.offload
def smallest(a, b):
    return min(a, b) + max(a, b)


@iris.offload
def absolute(a, b):
    return abs(a) - abs(b)


@iris.offload
def signs(a, b):
    return -a + +b


@iris.offload
def truth(a, b):
    return not a


BINARY = [
    arithmetic, divide, floor_divide, remainder, power, compare, chain, equal, choose, guarded,
    subtract_itself, divide_itself, with_globals, with_math, trigonometry, hyperbolic, logarithm,
    local_names, logic, smallest, absolute, signs, truth,
]  # fmt: skip


@pytest.mark.parametrize("function", BINARY, ids=lambda function: function.__name__)
def test_every_pair_of_scalars_gets_the_plain_answer(function) -> None:
    for a in SCALARS:
        for b in SCALARS:
            if function is power and type(a) is int and type(b) is int and abs(b) > 1000:
                continue  # Python itself would compute for minutes.
            check(function, a, b)


def test_ordinary_calls_run_natively() -> None:
    for function in BINARY:
        before = function.stats["native"]
        function(2.5, 1.25)
        assert function.stats["native"] == before + 1, function.explain()


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ((2**53 + 1, 1), 2**53 + 1 + 1 - (2**53 + 1)),
        ((3, 4), -5),
        ((2**63 - 1, 1), 1),
        ((2**62, 2**62), 2**63 - 2**124),
        ((True, True), 1),
    ],
)
def test_ints_stay_ints_beyond_64_bits_too(args, expected) -> None:
    result = arithmetic(*args)
    assert (result, type(result)) == (expected, int)


@pytest.mark.parametrize(
    ("function", "args", "error"),
    [
        (divide, (1, 0), ZeroDivisionError),
        (divide, (1.0, 0.0), ZeroDivisionError),
        (remainder, (7, 0), ZeroDivisionError),
        (with_math, (-1.0, 1.0), ValueError),
        (with_math, (1.0, 1000.0), OverflowError),
        (logarithm, (0.0, 1.0), ValueError),
        (power, (0.0, -1.0), ZeroDivisionError),
        (power, (10.0, 400.0), OverflowError),
        (arithmetic, ("a", 1), TypeError),
    ],
)
def test_exceptions_are_the_plain_function_s_own(function, args, error) -> None:
    with pytest.raises(error) as caught:
        function(*args)
    with pytest.raises(error) as expected:
        function.py(*args)
    assert str(caught.value) == str(expected.value)


def test_signs_and_complex_results_are_python_s() -> None:
    assert remainder(-7, 3) == 2
    assert floor_divide(-7, 2) == -4
    assert type(power(-8, 1 / 3)) is complex
    assert power(2, -1) == 0.5
    assert power(-8.0, 1 / 3) == (-8.0) ** (1 / 3)


@pytest.mark.parametrize(
    "args",
    [
        (1 + 2j, 1.0),
        (BIG, 1),
        ("a", "b"),
        ([1], [2]),
        (None, 1.0),
        (1.0,),
        (1.0, 2.0, 3.0),
        (),
    ],
    ids=repr,
)
def test_calls_that_are_not_compiled_run_as_python(args) -> None:
    before = arithmetic.stats["python"]
    check(arithmetic, *args)
    assert arithmetic.stats["python"] == before + 1


def test_subclasses_of_numbers_keep_their_own_arithmetic() -> None:
    class Odd(int):
        def __add__(self, other):
            return "odd"

    class Half(float):
        def __mul__(self, other):
            return 0.5

    check(signs, Odd(1), Odd(2))
    assert compare(Odd(1), 2) is True
    assert outcome(arithmetic, Odd(1), 2) == outcome(arithmetic.py, Odd(1), 2)
    assert outcome(arithmetic, Half(1), 2.0) == outcome(arithmetic.py, Half(1), 2.0)


def test_keywords_and_defaults_are_the_plain_function_s() -> None:
    @iris.offload
    def scaled(x, by=2.0):
        return x * by

    assert scaled(1.5) == 3.0
    assert scaled(1.5, by=4.0) == 6.0
    assert scaled(x=1.5) == 3.0
    with pytest.raises(TypeError, match="scaled"):
        scaled(1.5, factor=2)
    assert scaled(1.5, 3.0) == 4.5
    assert scaled.stats == {"native": 4, "python": 1}


def test_a_rebound_global_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_globals(2.0, 1.0) == 11.0
    monkeypatch.setitem(globals(), "K", 10.0)
    assert with_globals(2.0, 1.0) == 25.0
    assert "K was bound again" in with_globals.explain()
    monkeypatch.setitem(globals(), "K", "text")
    with pytest.raises(TypeError):
        with_globals(2.0, 1.0)
    monkeypatch.delitem(globals(), "K")
    with pytest.raises(NameError, match="K"):
        with_globals(2.0, 1.0)


def test_a_patched_module_or_builtin_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    @iris.offload
    def root(x):
        return math.sqrt(abs(x))

    assert root(-4.0) == 2.0
    with monkeypatch.context() as patch:
        patch.setattr(math, "sqrt", lambda x: "patched")
        assert root(-4.0) == "patched"
    with monkeypatch.context() as patch:
        patch.setattr(builtins, "abs", lambda x: 9.0)
        assert root(-4.0) == 3.0
    with monkeypatch.context() as patch:
        patch.setitem(globals(), "abs", lambda x: 16.0)
        assert root(-4.0) == 4.0
    with monkeypatch.context() as patch:
        patch.setitem(globals(), "math", types.SimpleNamespace(sqrt=lambda x: "other"))
        assert root(-4.0) == "other"
    assert root(-4.0) == 2.0


def test_a_function_patched_before_its_first_call_is_taken_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @iris.offload
    def wave(x):
        return math.sin(x)

    monkeypatch.setattr(math, "sin", math.cos)
    assert wave(1.0) == math.cos(1.0)


def test_a_function_keeps_the_builtins_it_was_made_with(tmp_path) -> None:
    path = tmp_path / "module.py"
    path.write_text("def f(x):\n    return abs(x)\n")
    scope: dict[str, object] = {}
    exec(compile(path.read_text(), str(path), "exec"), scope)
    f = iris.offload(scope["f"])
    scope["__builtins__"] = {"abs": math.floor}
    check(f, -1.5)


class Looked(dict):
    def __getitem__(self, key):
        return 8.0 if key == "K" else super().__getitem__(key)


def test_globals_of_a_dict_s_subclass_are_python_s_to_look_up(tmp_path) -> None:
    path = tmp_path / "module.py"
    path.write_text("K = 2.0\ndef f(x):\n    return x * K\n")
    plain: dict[str, object] = {}
    exec(compile(path.read_text(), str(path), "exec"), plain)
    f = iris.offload(types.FunctionType(plain["f"].__code__, Looked(plain)))
    check(f, 1.0)


def test_a_module_that_computes_its_attributes_is_asked(run_script: Run, tmp_path) -> None:
    path = tmp_path / "program.py"
    path.write_text(
        "import math, types, iris\n"
        "@iris.offload\n"
        "def f(x):\n"
        "    return math.sin(x)\n"
        "assert f(1.0) == math.sin(1.0) and f.stats['native'] == 1\n"
        "class Mine(types.ModuleType):\n"
        "    sin = property(lambda self: lambda x: 'mine')\n"
        "math.__class__ = Mine\n"
        "assert f(1.0) == 'mine', f(1.0)\n"
    )
    done = run_script(f"import runpy; runpy.run_path({str(path)!r})")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_key_that_cannot_be_compared_raises_as_in_python(tmp_path) -> None:
    path = tmp_path / "module.py"
    path.write_text("def f(x):\n    return abs(x)\n")
    scope: dict[object, object] = {}
    exec(compile(path.read_text(), str(path), "exec"), scope)
    f = iris.offload(scope["f"])
    assert f(-1.5) == 1.5

    class Key:
        def __hash__(self):
            return hash("abs")

        def __eq__(self, other):
            raise ValueError("not comparable")

    scope[Key()] = 1
    with pytest.raises(ValueError, match="not comparable"):
        f(-1.5)
    with pytest.raises(ValueError, match="not comparable"):
        iris.offload(f.py)(-1.5)


def test_the_first_call_needs_no_stack_of_the_caller_s(run_script: Run, tmp_path) -> None:
    path = tmp_path / "program.py"
    path.write_text(
        "import threading, iris\n"
        "@iris.offload\n"
        "def f(x):\n"
        "    return x * 2.0 + 1.0\n"
        "threading.stack_size(64 * 1024)\n"
        "results = []\n"
        "thread = threading.Thread(target=lambda: results.append(f(1.0)))\n"
        "thread.start()\n"
        "thread.join()\n"
        "assert results == [3.0] and f.stats['native'] == 1\n"
    )
    done = run_script(f"import runpy; runpy.run_path({str(path)!r})")
    assert (done.returncode, done.stderr) == (0, "")


def test_it_pickles_and_copies_as_functions_do() -> None:
    assert pickle.loads(pickle.dumps(magnitude)) is magnitude
    assert copy.copy(magnitude) is copy.deepcopy(magnitude) is magnitude
    assert pickle.loads(pickle.dumps(iris.STOP)) is copy.deepcopy(iris.STOP) is iris.STOP
    assert magnitude.__code__ is magnitude.py.__code__
    assert (magnitude.__defaults__, magnitude.__kwdefaults__, magnitude.__closure__) == (None,) * 3
    assert magnitude.__globals__ is globals()
    assert repr(magnitude) == "<offloaded magnitude>"


def test_compiling_the_source_again_warns_nobody(tmp_path, recwarn) -> None:
    path = tmp_path / "module.py"
    path.write_text("TEXT = '\\d'\ndef f(x):\n    return x + 1\n")
    scope: dict[str, object] = {}
    exec(compile("def f(x):\n    return x + 1\n", str(path), "exec"), scope)
    recwarn.clear()
    iris.offload(scope["f"])
    assert len(recwarn) == 0


def test_a_closure_is_taken_at_its_present_value() -> None:
    def make(factor):
        def change(to):
            nonlocal factor
            factor = to

        @iris.offload
        def scaled(x):
            return x * factor

        return scaled, change

    doubled, change = make(2.0)
    tripled, _ = make(3.0)
    assert (doubled(5.0), tripled(5.0)) == (10.0, 15.0)
    assert doubled.stats == {"native": 1, "python": 0}, doubled.explain()
    change(7.0)
    assert doubled(5.0) == 35.0


def test_replaced_code_is_noticed() -> None:
    @iris.offload
    def one(x):
        return x + 1

    def two(x):
        return x + 2

    assert one(1) == 2
    one.py.__code__ = two.__code__
    assert one(1) == 3


def test_source_that_is_not_what_runs_is_not_compiled() -> None:
    text = "def shifting(x):\n    return x + 1\n"
    scope: dict[str, object] = {}
    exec(compile(text, "<edited>", "exec"), scope)
    edited = text.replace("+ 1", "+ 2")
    linecache.cache["<edited>"] = (len(edited), None, edited.splitlines(True), "<edited>")
    shifting = iris.offload(scope["shifting"])
    assert shifting(1) == 2
    assert "not what is running" in shifting.explain()
    for change in ("+ 1.0", "+ True", "- 1"):
        other = text.replace("+ 1", change)
        linecache.cache["<edited>"] = (len(other), None, other.splitlines(True), "<edited>")
        assert iris.offload(scope["shifting"])(1) == 2, change


def test_a_wrapper_is_not_taken_for_what_it_wraps() -> None:
    def inner(x):
        return x + 1

    @functools.wraps(inner)
    def wrapper(x):
        return x - 1

    assert iris.offload(wrapper)(1) == 0
    inner.__name__ = "renamed"
    assert iris.offload(inner)(1) == 2


def test_missing_source_is_a_reason_not_an_error() -> None:
    scope: dict[str, object] = {}
    exec("def nowhere(x): return x + 1", scope)
    nowhere = iris.offload(scope["nowhere"])
    assert nowhere(1) == 2
    assert "source cannot be read" in nowhere.explain()


REFUSED = {
    "a loop": "def f(x):\n    while x > 0:\n        x -= 1\n    return x\n",
    "a list": "def f(x):\n    return [x]\n",
    "text": 'def f(x):\n    return f"{x}"\n',
    "a lambda": "def f(x):\n    return (lambda y: y)(x)\n",
    "a walrus": "def f(x):\n    return (y := x) + y\n",
    "an unknown call": "def f(x):\n    return divmod(x, 2)\n",
    "degrees with two": "def f(x):\n    return math.log(x, 2)\n",
    "gamma": "def f(x):\n    return math.gamma(x)\n",
    "a libc name": "def f(x):\n    return exit(x)\n",
    "matrix product": "def f(x):\n    return x @ x\n",
    "keyword pow": "def f(x):\n    return pow(base=x, exp=2)\n",
    "a container": "def f(x):\n    return sum(i * i for i in range(4)) + x\n",
    "a global of text": "def f(x):\n    return x * len(__name__)\n",
    "star arguments": "def f(*x):\n    return x\n",
    "an unbound local": "def f(x):\n    y += x\n    return y\n",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_compiled_gives_the_plain_answer(text: str, tmp_path) -> None:
    path = tmp_path / "module.py"
    path.write_text("import math\ndef exit(x): return ('exit', x)\n" + text)
    scope: dict[str, object] = {"__name__": "module"}
    exec(compile(path.read_text(), str(path), "exec"), scope)
    function = iris.offload(scope["f"])
    for x in (5, 5.0, True, -1):
        check(function, x)
    assert "runs as Python" in function.explain() or function.stats["native"] > 0


def test_a_refusal_shows_the_place_and_the_mend() -> None:
    @iris.offload
    def listed(x):
        return sum([i for i in (x, 1)])

    assert listed(3) == 4
    text = listed.explain()
    assert "sum([i for i in (x, 1)])" in text
    assert "^" in text
    assert "mend:" in text


@pytest.mark.parametrize("kind", ["float", "int", "bool"])
def test_return_type_converts_as_the_constructor_does(kind: str) -> None:
    convert = getattr(builtins, kind)

    @iris.offload(return_type=kind)
    def half(x):
        return x / 2 if x != 3 else x

    for x in (4, 5.0, 3, 0, -0.0, 1e300, True, math.nan, math.inf, BIG):
        assert outcome(half, x) == outcome(lambda x: convert(half.py(x)), x)


def test_bad_options_are_refused() -> None:
    with pytest.raises(ValueError, match="'auto', 'jit' or 'actor'"):
        iris.offload(strategy="bogus")
    with pytest.raises(ValueError, match="return_type"):
        iris.offload(return_type="complex")
    for thing in (42, len, int, print, None.__class__):
        with pytest.raises(TypeError, match="written in Python"):
            iris.offload(thing)


def test_it_looks_like_the_function_it_stands_for() -> None:
    assert local_names.__name__ == "local_names"
    assert local_names.__doc__ == "Docstring."
    assert local_names.__module__ == __name__
    assert local_names.__wrapped__ is local_names.py
    local_names.note = "attributes can be added"
    assert local_names.note == "attributes can be added"
    assert weakref.ref(local_names)() is local_names
    assert callable(local_names)


def test_it_works_as_a_method() -> None:
    class Point:
        def __init__(self, x):
            self.x = x

        @iris.offload
        def times(self, k):
            return self.x * k

        @staticmethod
        @iris.offload
        def double(x):
            return x * 2

    assert Point(3).times(2) == 6
    assert Point.times(Point(4), 2) == 8
    assert Point.double(2.5) == 5.0


def test_stacked_and_shared_functions_do_not_mix() -> None:
    functions = []
    for n in range(50):
        scope: dict[str, object] = {}
        name = f"<made {n}>"
        text = f"def made(x):\n    return x + {n}\n"
        linecache.cache[name] = (len(text), None, text.splitlines(True), name)
        exec(compile(text, name, "exec"), scope)
        functions.append(iris.offload(scope["made"]))
        del scope
        gc.collect()
    assert [function(1) for function in functions] == [n + 1 for n in range(50)]
    assert all(function.stats["native"] == 1 for function in functions)


def test_more_signatures_than_are_kept_still_answer() -> None:
    @iris.offload
    def three(a, b, c):
        return a + b + c

    kinds = [1, 1.5, True]
    for a in kinds:
        for b in kinds:
            for c in kinds:
                check(three, a, b, c)
    assert three.stats["native"] > 0
    assert "signatures" in three.explain()


def test_a_collected_function_frees_all_it_held() -> None:
    def make():
        class Marker: ...

        marker = Marker()

        @iris.offload
        def held(x):
            return x + 1

        held.marker = marker
        held.itself = held
        assert held(1) == 2
        return weakref.ref(held), weakref.ref(marker)

    refs = make()
    gc.collect()
    assert [ref() for ref in refs] == [None, None]


def test_a_module_with_an_offloaded_function_can_be_collected(tmp_path) -> None:
    path = tmp_path / "collected.py"
    path.write_text("K = 2\ndef f(x):\n    return x * K\n")
    scope: dict[str, object] = {"__name__": "collected"}
    exec(compile(path.read_text(), str(path), "exec"), scope)
    scope["f"] = offloaded = iris.offload(scope["f"])
    assert (offloaded(3), offloaded.stats["native"]) == (6, 1)

    class Marker: ...

    scope["marker"] = Marker()
    gone = weakref.ref(scope["marker"])
    del scope, offloaded
    gc.collect()
    assert gone() is None


def test_many_threads_may_make_the_first_call() -> None:
    for _ in range(50):

        @iris.offload
        def fresh(x):
            return x * 2 + 1

        start = threading.Barrier(4)
        results = []

        def work(fresh=fresh, start=start, results=results):
            start.wait()
            results.append([fresh(n) for n in range(100)])

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [[n * 2 + 1 for n in range(100)]] * 4


def test_handlers_may_call_offloaded_functions(rt: iris.Runtime, inbox) -> None:
    pid = rt.spawn(lambda data: inbox(b"%r" % magnitude(2.0, 3.0, float(data))))
    rt.send(pid, b"6")
    assert inbox.get() == b"7.0"


def test_memory_stays_flat_over_many_functions(run_script: Run) -> None:
    done = run_script("""
        import gc, linecache, os, iris
        def rss():
            with open("/proc/self/statm") as statm:
                return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        def round(count):
            for n in range(count):
                text = f"def made(x):\\n    return x * {n} + 1\\n"
                linecache.cache["<made>"] = (len(text), None, text.splitlines(True), "<made>")
                scope = {}
                exec(compile(text, "<made>", "exec"), scope)
                made = iris.offload(scope["made"])
                assert made(2) == 2 * n + 1
                assert made.stats["native"] == 1
            gc.collect()
        if not os.path.exists("/proc/self/statm"):
            raise SystemExit
        round(300)
        before = rss()
        round(10_000)
        grown = rss() - before
        # A page of code each, were it not freed, would be 40 MB.
        assert grown < 3 << 20, grown
    """)
    assert (done.returncode, done.stderr) == (0, "")
