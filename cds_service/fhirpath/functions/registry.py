"""What every function of the language has: how it is compiled, and how many arguments it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cds_service.fhirpath import ast
from cds_service.fhirpath.compiled import Compiled, Invocation, Scope, item_scope
from cds_service.fhirpath.runtime import Frame, Item

if TYPE_CHECKING:
    from cds_service.fhirpath.compiler import Compiler

Build = Callable[["Compiler", Invocation], Compiled]


@dataclass(frozen=True, slots=True)
class Function:
    """``least`` to ``most`` arguments."""

    compile: Build
    least: int = 0
    most: int = 0


def function(build: Build, least: int = 0, most: int | None = None) -> Function:
    """A function of ``least`` arguments, or of up to ``most``."""
    return Function(build, least, least if most is None else most)


def argument(compiler: Compiler, call: Invocation, index: int) -> Compiled:
    """A plain argument: evaluated on the focus around the call, not on the target (N1 §5)."""
    return compiler.memoised(compiler.compile(call.node.arguments[index], call.scope))


def criteria(compiler: Compiler, call: Invocation, index: int, scope: Scope | None = None) -> Compiled:
    """An argument that is evaluated on each item of the target."""
    found = compiler.compile(call.node.arguments[index], scope or item_scope(call.target))
    return compiler.memoised(found)


def asks_index(call: Invocation) -> bool:
    """Whether an argument mentions ``$index``, which then has to be kept."""
    nodes = (node for argument_ in call.node.arguments for node in ast.walk(argument_))
    return any(isinstance(node, ast.Special) and node.name == "$index" for node in nodes)


def numbered(items: list[Item], frame: Frame) -> Iterator[Item]:
    """The items, ``$index`` counting along; the index of the loop around is restored."""
    outer = frame.index
    try:
        for position, item in enumerate(items):
            frame.index = position
            yield item
    finally:
        frame.index = outer
