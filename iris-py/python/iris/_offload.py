"""``iris.offload``: Python functions as machine code that answers as they do."""

from __future__ import annotations

import ast
import copyreg
import functools
import linecache
import sys
import types
import warnings
import weakref
from array import array
from typing import TYPE_CHECKING, Any, Callable, Literal, cast, overload

from iris import _iris, _rewrite

_functions: weakref.WeakSet[Any] = weakref.WeakSet()
"""Those that are alive, for ``iris.jit.report()``."""
_known: dict[str, weakref.ref[Any]] = {}
"""What ``named`` has found since the last function was offloaded."""

if TYPE_CHECKING:
    from typing import Protocol, TypeVar

    from typing_extensions import ParamSpec

    P = ParamSpec("P")
    R = TypeVar("R", covariant=True)

    class Offloaded(Protocol[P, R]):
        """What ``offload`` makes of a function: the function, and how it runs."""

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
        @overload
        def __get__(self, instance: None, owner: type | None = None) -> Offloaded[P, R]: ...
        @overload
        def __get__(self, instance: object, owner: type | None = None) -> Callable[..., R]: ...
        def explain(self) -> str: ...
        @property
        def stats(self) -> dict[str, int]: ...
        @property
        def py(self) -> Callable[P, R]: ...

Strategy = Literal["auto", "jit", "actor"]
ReturnType = Literal["float", "int", "bool"]


@overload
def offload(function: Callable[P, R], /) -> Offloaded[P, R]: ...
@overload
def offload(
    function: None = None,
    /,
    *,
    strategy: Strategy = "auto",
    return_type: ReturnType | None = None,
    fastmath: bool = False,
) -> Callable[[Callable[P, R]], Offloaded[P, R]]: ...
def offload(
    function: Callable[..., Any] | None = None,
    /,
    *,
    strategy: Strategy = "auto",
    return_type: ReturnType | None = None,
    fastmath: bool = False,
) -> Any:
    """Compiles a function to machine code, without changing what it answers.

    For every call the result has the value and type that the plain function gives, or the
    same exception is raised; what cannot be compiled runs as Python, with the reason on
    record. The function is compiled by its first call, for the types of that call's
    arguments.

    ``strategy`` is ``"auto"``, ``"jit"`` or ``"actor"``. With ``"actor"`` compiled calls run on a
    pool of native workers, one for each processor at most, while the caller waits without the
    GIL; that costs some 20 microseconds a call, and calls from several threads run at once. What
    runs as Python, and what writes to arrays, runs in the caller. ``"auto"`` and ``"jit"`` mean the
    same in this version: compiled calls run in the caller.

    ``return_type`` converts each result as ``float()``, ``int()`` or ``bool()`` does. With
    ``fastmath=True`` the last bits of floats may differ from Python's: ``sum()`` of floats adds in
    another order, always the same one, and is not compensated as from Python 3.12 on; powers by
    0.5, -0.5 and whole constants up to 16 are roots and products. Exceptions stay Python's.

    The result has beside the function's own attributes:

    - ``py``: the plain function;
    - ``stats``: ``{"native": calls, "python": calls}``;
    - ``explain()``: back end and guards for each signature, and why calls ran as Python.

    Compiled are functions of ``float``, ``int`` (of 64 bits), ``bool``, ``None`` and arrays:
    arithmetic, comparisons, ``in``, ``is None``, conditions, ``match`` of numbers, loops over
    ``range``, arrays, tuples that are written down, ``enumerate``, ``zip`` and ``reversed``,
    ``sum``, ``min``, ``max``, ``any``, ``all`` and ``math.prod`` of them and of generators,
    elements of arrays (read and written), small tuples, global numbers and tuples of them, calls
    of ``math`` (all but ``fsum``; ``hypot`` and ``dist`` of two), of the builtins for numbers, of
    plain Python functions, and the names of ``iris.jit``. Parameters may be keyword-only and have
    defaults.

    Arrays are ``array.array``, ``memoryview``, ``bytes`` and NumPy's. Lists and tuples whose elements
    are all ``float``, all ``int`` or all ``bool`` are copied (some 3 ns an element) and then read as
    arrays are; iterators run as Python. A function of scalars that is
    called with arrays of one length runs for each element; the result is an array (of doubles,
    64-bit ints, or bytes for bools; NumPy's if an argument is), or ``out=`` if that is passed.
    NumPy's arrays may have two dimensions, if all have one shape, which is that of the result.

    Elements of NumPy's arrays of ``float64``, ``int64`` and ``bool`` are NumPy's scalars in compiled
    code, too, and so is what is computed with them. Where NumPy may warn (a float that becomes
    infinite or NaN, an int that overflows, a zero divisor) the call runs as Python. Elements of
    other dtypes do so, too; a ``memoryview`` of the array has Python's numbers.

    >>> import iris
    >>> @iris.offload
    ... def magnitude(x, y, z):
    ...     return (x * x + y * y + z * z) ** 0.5
    >>> magnitude(2.0, 3.0, 6.0)
    7.0
    >>> magnitude.stats
    {'native': 1, 'python': 0}
    """
    if strategy not in ("auto", "jit", "actor"):
        raise ValueError(f"strategy must be 'auto', 'jit' or 'actor', not {strategy!r}")
    if return_type not in ("float", "int", "bool", None):
        raise ValueError(
            f"return_type must be 'float', 'int', 'bool' or None, not {return_type!r}"
        )

    if not isinstance(fastmath, bool):
        raise TypeError(f"fastmath must be True or False, not {fastmath!r}")

    def decorate(function: Callable[..., Any]) -> Any:
        if not isinstance(function, types.FunctionType):
            kind = type(function).__name__
            raise TypeError(f"offload needs a function written in Python, not {kind}")
        name = function.__code__.co_name
        source, first_line, refusal = _read(function)
        names: list[str] = []
        if refusal is None:
            names = _rewrite.jit_names(function, source)
            function = _rewrite.rewritten(function, source, first_line, names)
        kernel = _iris.Kernel(
            function,
            name,
            source,
            first_line,
            refusal,
            return_type,
            names,
            strategy == "actor",
            fastmath,
        )
        offloaded = functools.update_wrapper(_iris._offloaded(kernel), function)
        _functions.add(offloaded)
        _known.clear()
        return offloaded

    return decorate if function is None else decorate(function)


def named(name: str) -> Callable[..., Any]:
    """The offloaded function of that qualified name, with or without its module's.

    ``LookupError`` if there is none, or if there are several and none of them is what the module
    has under that name now.
    """
    known = _known.get(name)
    function = known and known()
    if function is not None:
        return cast("Callable[..., Any]", function)
    found: dict[str, list[Any]] = {}
    for other in list(_functions):
        full = f"{other.__module__}.{other.__qualname__}"
        if name in (full, other.__qualname__):
            found.setdefault(full, []).append(other)
    if not found:
        raise LookupError(
            f"no offloaded function is called {name!r} (iris.jit.report() lists those there are;"
            " has its module been imported in this process?)"
        )
    if len(found) > 1:
        raise LookupError(
            f"{name!r} is the name of {len(found)} offloaded functions: give one of"
            f" {', '.join(sorted(found))}"
        )
    [(full, others)] = found.items()
    if len(others) > 1:
        # Defined again, in a notebook or by a reload: the one that Python would call.
        others = [other for other in others if _current(other) is other]
        if len(others) != 1:
            raise LookupError(f"several offloaded functions are called {full!r}, none of them now")
    _known[name] = weakref.ref(others[0])
    return cast("Callable[..., Any]", others[0])


def _current(function: Any) -> Any:
    """What stands in a function's module under its name."""
    found: Any = sys.modules.get(function.__module__)
    for part in function.__qualname__.split("."):
        found = getattr(found, part, None)
    return found


# As functions do: by name in a pickle, and as itself in a copy.
copyreg.pickle(_iris.OffloadedFunction, lambda function: str(getattr(function, "__qualname__")))
copyreg.pickle(_iris.StopType, lambda stop: "STOP")


def _read(function: types.FunctionType) -> tuple[str, int, str | None]:
    """Source, its first line, and why it is not the source of this very function."""
    code = function.__code__
    try:
        linecache.checkcache(code.co_filename)
        file = linecache.getlines(code.co_filename, function.__globals__)
        lines, first_line = _plain_block(file, code.co_firstlineno), code.co_firstlineno
        if lines is None:
            # Half as slow to import as all of Iris: for those alone who need it.
            import inspect

            # Of the code object: of a function it may be the source of what that wraps.
            lines, first_line = inspect.getsourcelines(code)
        candidates = _code_objects("".join(file), code.co_filename, code.co_flags & _FUTURES)
    except (OSError, TypeError) as error:
        return "", 1, f"its source cannot be read ({error})"
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return "", 1, f"its source does not compile ({error})"
    place = (code.co_name, code.co_firstlineno)
    if first_line != code.co_firstlineno or not any(
        (other.co_name, other.co_firstlineno) == place and _same(other, code)
        for other in candidates
    ):
        edited = "is not what is running (was the file edited since?)"
        return "", 1, f"the source in {code.co_filename} {edited}"
    return "".join(lines), first_line, None


def _plain_block(file: list[str], first_line: int) -> list[str] | None:
    """The lines of a ``def``, where the indentation alone shows its end; ``None`` elsewhere.

    The block ends at the first line that stands no deeper than the ``def``. Such a line may also be
    part of a string, of brackets or behind a backslash: a text that was cut there would have an
    odd end, and is left to ``inspect``, which looks at tokens.
    """
    if not 0 < first_line <= len(file):
        return None
    at = first_line - 1
    depth = file[at][: len(file[at]) - len(file[at].lstrip())]
    while at < len(file) and not file[at].startswith((f"{depth}def ", f"{depth}async def ")):
        if not file[at].startswith(f"{depth}@"):
            return None
        at += 1
    end = at = at + 1
    for number, line in enumerate(file[at:], at + 1):
        text = line.lstrip()
        if text and text[0] != "#":
            deeper = line.startswith(depth) and line[len(depth)] in " \t"
            if not deeper and text[0] not in ")]}":
                break
            end = number
    lines = file[first_line - 1 : end]
    block = "".join(lines)
    odd = block.count('"""') % 2 or block.count("'''") % 2 or block.rstrip().endswith("\\")
    closed = all(block.count(one) == block.count(other) for one, other in ("()", "[]", "{}"))
    return lines if closed and not odd and "\f" not in block else None


@functools.lru_cache(maxsize=4)
def _code_objects(module: str, filename: str, futures: int) -> list[types.CodeType]:
    """All code objects of a module, by compiling the whole of it.

    A function compiled alone would differ: what surrounds it decides what is a closure
    variable, a mangled name or a call of an imported module.
    """
    flags = futures | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT  # as notebooks do
    with warnings.catch_warnings():
        # Python has given them already, when it compiled the module itself.
        warnings.simplefilter("ignore")
        found = [compile(module, filename, "exec", flags, dont_inherit=True)]
    for code in found:
        found.extend(const for const in code.co_consts if isinstance(const, types.CodeType))
    return found


_FUTURES = 0x1FE0000
"""``PyCF_MASK``: the flags of the ``__future__`` imports in force, from Python 3.9 on."""


def _same(one: types.CodeType, other: types.CodeType) -> bool:
    """Whether two code objects do the same; where they stand in a file does not matter."""
    return (
        one.co_code == other.co_code
        and one.co_names == other.co_names
        and one.co_varnames == other.co_varnames
        and one.co_freevars == other.co_freevars
        and one.co_cellvars == other.co_cellvars
        and one.co_argcount == other.co_argcount
        and one.co_posonlyargcount == other.co_posonlyargcount
        and one.co_kwonlyargcount == other.co_kwonlyargcount
        and one.co_flags == other.co_flags
        and len(one.co_consts) == len(other.co_consts)
        and all(map(_same_constant, one.co_consts, other.co_consts))
    )


def _same_constant(one: object, other: object) -> bool:
    if isinstance(one, types.CodeType) and isinstance(other, types.CodeType):
        return _same(one, other)
    # 1, 1.0 and True are equal, and so are 0.0 and -0.0.
    return type(one) is type(other) and repr(one) == repr(other)


def _elementwise(function: Callable[..., Any], args: tuple[Any, ...], named: list[str]) -> Any:
    """A map, one element after the other, as Python; the last arguments by these names."""
    first = len(args) - len(named)
    columns = [_listed(arg) for arg in args]
    size = next(len(column) for column in columns if isinstance(column, list))
    rows = zip(*(column if isinstance(column, list) else [column] * size for column in columns))
    results = [function(*row[:first], **dict(zip(named, row[first:]))) for row in rows]
    kinds = set(map(type, results))
    code = "B" if kinds == {bool} else "q" if kinds == {int} else "d"
    made = array(code, results)
    if all(type(arg).__module__ != "numpy" for arg in args):
        return made
    numpy = sys.modules["numpy"]
    shape = next(arg.shape for arg in args if type(arg).__module__ == "numpy")
    kind = {"B": "bool", "q": "int64", "d": "float64"}[code]
    return numpy.array(made, dtype=kind).reshape(shape)


def _listed(arg: Any) -> Any:
    """The elements of an array, row by row; anything else as it is."""
    if isinstance(arg, (bytes, bytearray)):
        return list(arg)
    if hasattr(arg, "ravel"):
        arg = arg.ravel()
    return arg.tolist() if hasattr(arg, "tolist") else arg


def _into(out: Any, results: Any) -> Any:
    """Puts the results of a map where the caller wants them."""
    if len(out) != len(results):
        raise ValueError(f"out has {len(out)} elements for {len(results)} results")
    if isinstance(out, array) and isinstance(results, array) and out.typecode == results.typecode:
        out[:] = results
        return out
    for index, result in enumerate(results.tolist()):
        out[index] = result
    return out


def _converted(results: Any, kind: str) -> Any:
    """The results of a map, each converted as ``return_type`` says."""
    convert: Callable[[Any], Any] = {"float": float, "int": int, "bool": bool}[kind]
    made = array({"float": "d", "int": "q", "bool": "B"}[kind], map(convert, _listed(results)))
    if isinstance(results, array):
        return made
    return type(results)(results.shape, {"float": "d", "int": "q", "bool": "?"}[kind], made)
