"""Names that offloaded functions may use without importing them.

The functions and constants of ``math`` here are those of ``math``. The others are ways to write a
loop as one expression; their arguments are not evaluated like those of a call, so they have a
meaning only in functions under ``iris.offload``, compiled or not:

- ``if_else(condition, when_true, when_false)``;
- ``sum_while(name, first, condition, next, contribution)``, ``any_while`` and ``all_while``, where
  ``name`` is a variable of the expression's own; they raise ``RuntimeError`` after
  ``ITERATION_CAP`` rounds;
- in what a generator gives to ``sum``, ``any``, ``all``, ``min`` or ``max``:
  ``break_if(condition, value)`` (also ``break_when``; ``break_unless`` for the opposite) ends the
  reduction without the element, ``continue_if`` and its like leave the element out, and
  ``break_on_nan(value)`` and ``continue_on_nan(value)`` do so for NaN.

>>> import iris
>>> @iris.offload
... def squares_below(limit):
...     return sum(break_if(i * i > limit, i * i) for i in range(1000))
>>> squares_below(30)
55
"""

from __future__ import annotations

from math import cos, cosh, e, exp, log, pi, sin, sinh, sqrt, tan, tanh
from typing import Any, NoReturn

from iris import _iris
from iris._jit_log import get_jit_logging, set_jit_logging
from iris._quantum import get_quantum_speculation, set_quantum_speculation

__all__ = [
    "ITERATION_CAP",
    "all_while",
    "any_while",
    "break_if",
    "break_on_nan",
    "break_unless",
    "break_when",
    "continue_if",
    "continue_on_nan",
    "continue_unless",
    "continue_when",
    "cos",
    "cosh",
    "e",
    "exp",
    "get_jit_logging",
    "get_quantum_speculation",
    "if_else",
    "log",
    "pi",
    "report",
    "set_jit_logging",
    "set_quantum_speculation",
    "sin",
    "sinh",
    "sqrt",
    "sum_while",
    "tan",
    "tanh",
]

ITERATION_CAP: int = _iris._ITERATION_CAP
"""Most rounds of one ``sum_while``, ``any_while`` or ``all_while``."""


def report() -> str:
    """What became of every offloaded function that is alive: for each, by its qualified name, how
    many calls ran natively and as Python, and the lines of ``explain()``.

    >>> import iris
    >>> @iris.offload
    ... def doubled(x):
    ...     return 2 * x
    >>> doubled(21)
    42
    >>> "doubled: 1 native, 0 as Python" in iris.jit.report()
    True
    """
    from iris._offload import _functions

    parts = []
    for function in sorted(_functions, key=_full_name):
        stats = function.stats
        counts = f"{stats['native']} native, {stats['python']} as Python"
        lines = "".join(f"    {line}\n" for line in function.explain().splitlines())
        parts.append(f"{_full_name(function)}: {counts}\n{lines}")
    return "\n".join(parts) or "no function is offloaded\n"


def _full_name(function: Any) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def _outside(name: str) -> NoReturn:
    raise RuntimeError(f"{name} has a meaning only in a function under iris.offload")


def if_else(condition: Any, when_true: Any, when_false: Any) -> Any:
    """``when_true if condition else when_false``"""
    _outside("if_else")


def sum_while(name: Any, first: Any, condition: Any, next: Any, contribution: Any) -> Any:
    """The sum of ``contribution`` while ``condition`` holds."""
    _outside("sum_while")


def any_while(name: Any, first: Any, condition: Any, next: Any, contribution: Any) -> bool:
    """Whether ``contribution`` is true once while ``condition`` holds."""
    _outside("any_while")


def all_while(name: Any, first: Any, condition: Any, next: Any, contribution: Any) -> bool:
    """Whether ``contribution`` is true each time while ``condition`` holds."""
    _outside("all_while")


def break_if(condition: Any, value: Any) -> Any:
    """``value``, unless ``condition`` ends the reduction before it."""
    _outside("break_if")


def break_when(condition: Any, value: Any) -> Any:
    """As ``break_if``."""
    _outside("break_when")


def break_unless(condition: Any, value: Any) -> Any:
    """As ``break_if`` with the opposite condition."""
    _outside("break_unless")


def continue_if(condition: Any, value: Any) -> Any:
    """``value``, unless ``condition`` leaves it out."""
    _outside("continue_if")


def continue_when(condition: Any, value: Any) -> Any:
    """As ``continue_if``."""
    _outside("continue_when")


def continue_unless(condition: Any, value: Any) -> Any:
    """As ``continue_if`` with the opposite condition."""
    _outside("continue_unless")


def break_on_nan(value: Any) -> Any:
    """``value``, unless it is NaN, which ends the reduction before it."""
    _outside("break_on_nan")


def continue_on_nan(value: Any) -> Any:
    """``value``, unless it is NaN, which is left out."""
    _outside("continue_on_nan")
