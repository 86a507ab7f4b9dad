"""Functions that use names of ``iris.jit``, rewritten so that plain Python runs them."""

from __future__ import annotations

import ast
import types
from typing import Any, Callable, Iterable, Iterator

from iris import jit

_LOOPS = {"sum_while": "sum", "any_while": "any", "all_while": "all"}
_JUMPS = ("break_if", "break_when", "break_unless", "continue_if", "continue_when", "continue_unless")
_ON_NAN = ("break_on_nan", "continue_on_nan")
_LAZY = {*_LOOPS, *_JUMPS, *_ON_NAN, "if_else"}
_NAMES = {name for name in jit.__all__ if name != "ITERATION_CAP"}

_HIDDEN = "__iris_jit__"
"""The closure variable through which rewritten code reaches what it needs."""


class Support:
    """What rewritten functions call."""

    BREAK = object()
    SKIP = object()

    @classmethod
    def steer(cls, elements: Iterable[Any]) -> Iterator[Any]:
        """The elements up to a ``break``, without those that are left out."""
        for element in elements:
            if element is cls.BREAK:
                return
            if element is not cls.SKIP:
                yield element

    @classmethod
    def unless_nan(cls, value: Any, otherwise: object) -> Any:
        """The value, or what stands for a jump."""
        return otherwise if isinstance(value, float) and value != value else value

    @staticmethod
    def rounds(
        value: Any,
        holds: Callable[[Any], Any],
        following: Callable[[Any], Any],
        contribution: Callable[[Any], Any],
    ) -> Iterator[Any]:
        """What each round of a ``sum_while`` contributes."""
        count = 0
        while holds(value):
            if count >= jit.ITERATION_CAP:
                raise RuntimeError(f"more than {jit.ITERATION_CAP} rounds in a while reduction")
            yield contribution(value)
            value = following(value)
            count += 1


def jit_names(function: types.FunctionType, source: str) -> list[str]:
    """The names of ``iris.jit`` that a function uses and nothing binds.

    ``source`` is its text: the names that a code object has include those of attributes, and
    ``math.sqrt`` is no use of ``sqrt``.
    """
    code = function.__code__
    builtins = function.__globals__.get("__builtins__", {})
    known = builtins if isinstance(builtins, dict) else vars(builtins)
    used = {name for part in _codes(code) for name in part.co_names}
    used &= _NAMES
    free = [name for name in used if name not in function.__globals__ and name not in known]
    return sorted(name for name in free if _may_stand_alone(name, source))


def _may_stand_alone(name: str, source: str) -> bool:
    """Whether a text may have a name in it other than right behind a dot."""
    if not source.isascii():
        # Python takes some letters for others.
        return True
    at = source.find(name)
    while at >= 0:
        if source[at - 1 : at] != ".":
            return True
        at = source.find(name, at + 1)
    return False


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            yield from _codes(const)


def rewritten(
    function: types.FunctionType, source: str, first_line: int, names: list[str]
) -> types.FunctionType:
    """The function itself if it needs no more than Python, else one that does the same.

    ``names`` are those that mean ``iris.jit``'s.
    """
    lazy = {name: name for name in names if name in _LAZY}
    for name in function.__code__.co_names:
        value = function.__globals__.get(name)
        lazy.update({name: own for own in _LAZY if value is not None and value is getattr(jit, own)})
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            value = cell.cell_contents
        except ValueError:
            continue
        lazy.update({name: own for own in _LAZY if value is getattr(jit, own)})
    modules = {name for name in function.__code__.co_names if function.__globals__.get(name) is jit}
    if not (names or lazy or modules & set(function.__code__.co_names)):
        return function
    tree = _definition(source, first_line, function.__code__.co_name)
    if tree is None:
        return function
    return _compiled(function, _Rewriter(set(names), lazy, modules).visit(tree))


def _definition(source: str, first_line: int, name: str) -> ast.FunctionDef | None:
    indented = source[:1] in " \t"
    tree: ast.AST = ast.parse(f"if 1:\n{source}" if indented else source)
    ast.increment_lineno(tree, first_line - 1 - indented)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
    return None


def _compiled(function: types.FunctionType, tree: ast.FunctionDef) -> types.FunctionType:
    """A function of the tree with everything else of the function's own."""
    code = function.__code__
    # Evaluated when the function was made; only their number counts here.
    tree.decorator_list = []
    tree.returns = None
    arguments = tree.args
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        argument.annotation = None
    arguments.defaults = [ast.Constant(None) for _ in arguments.defaults]
    arguments.kw_defaults = [default and ast.Constant(None) for default in arguments.kw_defaults]
    cells = dict(zip(code.co_freevars, function.__closure__ or ()))
    outer = ast.parse(f"def outer({', '.join([_HIDDEN, *cells])}):\n    return 0").body[0]
    assert isinstance(outer, ast.FunctionDef)
    outer.body.insert(0, tree)
    module = ast.fix_missing_locations(ast.Module([outer], []))
    made = compile(module, code.co_filename, "exec", dont_inherit=True)
    for part in _codes(made):
        if part.co_name == code.co_name and part is not made:
            made = part
            break
    cells[_HIDDEN] = types.CellType(Support)
    closure = tuple(cells[name] for name in made.co_freevars)
    copy = types.FunctionType(
        made, function.__globals__, function.__name__, function.__defaults__, closure
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__qualname__ = function.__qualname__
    copy.__module__ = function.__module__
    copy.__doc__ = function.__doc__
    copy.__annotations__ = function.__annotations__
    copy.__dict__.update(function.__dict__)
    setattr(copy, "__iris_original__", function)
    return copy


def _support(name: str) -> ast.expr:
    return ast.Attribute(ast.Name(_HIDDEN, ast.Load()), name, ast.Load())


class _Rewriter(ast.NodeTransformer):
    """Turns what only compiled code understands into what Python does."""

    def __init__(self, names: set[str], lazy: dict[str, str], modules: set[str]) -> None:
        self.names = names
        self.lazy = lazy
        self.modules = modules

    def _own_name(self, node: ast.expr) -> str | None:
        """Which of the lazily evaluated functions an expression means."""
        if isinstance(node, ast.Name):
            return self.lazy.get(node.id)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id in self.modules and node.attr in _LAZY:
                return node.attr
        return None

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.names and node.id not in _LAZY and isinstance(node.ctx, ast.Load):
            return ast.copy_location(_support(node.id), node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        name = self._own_name(node.func)
        new: ast.expr | None = None
        if name == "if_else" and len(node.args) == 3 and not node.keywords:
            test, then, otherwise = (self.visit(arg) for arg in node.args)
            new = ast.IfExp(test, then, otherwise)
        elif name in _LOOPS and len(node.args) == 5 and isinstance(node.args[0], ast.Name):
            new = self._loop(_LOOPS[name], node)
        elif name is not None and name.rpartition("_")[0] and self._jump(name, node.args):
            new = self._jump(name, [self.visit(arg) for arg in node.args])
        if new is not None:
            return ast.copy_location(new, node)
        self.generic_visit(node)
        if len(node.args) >= 1 and isinstance(node.args[0], ast.GeneratorExp):
            if self._uses_jumps(node.args[0]):
                steered = ast.Call(_support("steer"), [node.args[0]], [])
                node.args[0] = ast.copy_location(steered, node)
        return node

    def _uses_jumps(self, node: ast.AST) -> bool:
        return any(
            isinstance(part, ast.Attribute)
            and isinstance(part.value, ast.Name)
            and part.value.id == _HIDDEN
            and part.attr in ("BREAK", "SKIP")
            for part in ast.walk(node)
        )

    def _jump(self, name: str, args: list[ast.expr]) -> ast.expr | None:
        mark = _support("BREAK" if name.startswith("break") else "SKIP")
        if name in _ON_NAN and len(args) == 1:
            return ast.Call(_support("unless_nan"), [args[0], mark], [])
        if name in _JUMPS and len(args) == 2:
            if name.endswith("unless"):
                return ast.IfExp(args[0], args[1], mark)
            return ast.IfExp(args[0], mark, args[1])
        return None

    def _loop(self, fold: str, node: ast.Call) -> ast.expr:
        variable = node.args[0]
        assert isinstance(variable, ast.Name)
        first = self.visit(node.args[1])

        def function(body: ast.expr) -> ast.expr:
            parameter = ast.arg(variable.id)
            arguments = ast.arguments([], [parameter], None, [], [], None, [])
            return ast.Lambda(arguments, self.visit(body))

        rounds = ast.Call(_support("rounds"), [first, *map(function, node.args[2:])], [])
        steered = ast.Call(_support("steer"), [rounds], [])
        return ast.Call(ast.Attribute(_support("builtins"), fold, ast.Load()), [steered], [])


def _add_names() -> None:
    import builtins

    setattr(Support, "builtins", builtins)
    for name in _NAMES - _LAZY:
        setattr(Support, name, staticmethod(value) if callable(value := getattr(jit, name)) else value)


_add_names()
