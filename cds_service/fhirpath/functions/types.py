"""Type tests and narrowing: FHIRPath N1 §6.3, §5.2.4 and §10.2; https://hl7.org/fhir/R4/fhirpath.html (types)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from cds_service.fhirpath import ast, paths
from cds_service.fhirpath.compiled import Compiled, Invocation, plural, single, system
from cds_service.fhirpath.functions.registry import function
from cds_service.fhirpath.runtime import Frame, Item, Node, type_of

if TYPE_CHECKING:
    from cds_service.fhirpath.compiler import Compiler


def is_type(compiler: Compiler, target: Compiled, name: str, position: int) -> Compiled:
    """``is``: whether the only item is of the type or of one that specialises it."""
    type_ = _type_asked(compiler, name, position)
    if target.is_empty:
        return replace(target, position=position)
    if compiler.is_strict:
        require_possible(compiler, target, type_, position)
    boxed = compiler.boxed(target)
    only, model = compiler.only(boxed), compiler.model

    def one(item: Item, frame: Frame) -> bool | None:
        found = only(item, frame)
        if found is None:
            return None
        has = type_of(found)
        return has is not None and (same_quantity(has, type_) or model.is_a(has, type_))

    return system(one, "Boolean", position)


def _type_asked(compiler: Compiler, name: str, position: int) -> str:
    """A type name; a System type that does not exist is one that nothing is (official suite testType22)."""
    is_unknown_system = name.startswith("System.") and not compiler.is_strict
    return name if is_unknown_system else compiler.known_type(name, position)


def same_quantity(found: str, type_: str) -> bool:
    """``Quantity`` without a namespace means FHIR's, but a literal is one too."""
    return found == "System.Quantity" and type_ == "Quantity"


def require_possible(compiler: Compiler, target: Compiled, type_: str, position: int) -> None:
    """In strict mode: a type that the items can never have."""
    if not target.types or any(_can_be(compiler, known, type_) for known in target.types):
        return
    expected = f"expected one of {', '.join(target.types)}"
    compiler.refuse(f"{type_} is none of the types it can have, {expected}", position)


def _can_be(compiler: Compiler, known: str, type_: str) -> bool:
    model = compiler.model
    if model.is_a(known, type_) or same_quantity(known, type_):
        return True
    return compiler.is_abstract(known) and model.is_a(type_, known)


def narrowed_to(compiler: Compiler, target: Compiled, name: str, position: int) -> Compiled:
    """``as``: the only item if it is of the type; an error when there are more."""
    found = of_type(compiler, target, name, position)
    if found.one is not None:
        return found
    only = compiler.only(replace(compiler.boxed(target), position=position))
    many = found.many

    def one(item: Item, frame: Frame) -> Item | None:
        only(item, frame)
        kept = many(item, frame)
        return kept[0] if kept else None

    return single(one, found.types, position, is_boxed=found.is_boxed)


def of_type(compiler: Compiler, target: Compiled, name: str, position: int) -> Compiled:
    """ofType(): the items of the type. A choice element goes straight to its own key."""
    type_ = compiler.known_type(name, position)
    if compiler.is_strict:
        require_possible(compiler, target, type_, position)
    if target.choice is not None:
        keys = [key for key, known in target.choice.element.keys if paths.matches(compiler, known, type_)]
        if len(keys) == 1 and type_ in target.choice.element.types:
            key = keys[0]
            is_list = target.choice.element.is_list
            return paths.at_key(compiler, target.choice.parent, key, type_, position, is_list=is_list)
    if target.type == type_:
        return replace(target, position=position)
    found = paths.narrowed(compiler, compiler.boxed(target), type_, position)
    return _unwrapped(compiler, found) if found.is_boxed else found


def _unwrapped(compiler: Compiler, found: Compiled) -> Compiled:
    """Complex items of one type as plain JSON again: what follows is compiled for that type."""
    if found.type in compiler.model.system_of or found.type is None or found.type.startswith("System."):
        return found
    if compiler.is_abstract(found.type) or compiler.model.is_resource(found.type):
        return found
    many = found.many

    def plain(item: Item, frame: Frame) -> list[Item]:
        return [each.value if type(each) is Node else each for each in many(item, frame)]

    return paths.like(found, plain, found.types, found.position, is_boxed=False)


def _type_argument(compiler: Compiler, call: Invocation) -> str:
    """The name of a type as an argument, which reads like a path."""
    node = call.node.arguments[0]
    if isinstance(node, ast.Member):
        if node.target is None:
            return node.name
        if isinstance(node.target, ast.Member) and node.target.target is None:
            return f"{node.target.name}.{node.name}"
    return compiler.refuse("unexpected expression, expected the name of a type", node.position)


def _with_type(
    build: Callable[[Compiler, Compiled, str, int], Compiled],
) -> Callable[[Compiler, Invocation], Compiled]:
    def compile_(compiler: Compiler, call: Invocation) -> Compiled:
        return build(compiler, call.target, _type_argument(compiler, call), call.position)

    return compile_


def type_(compiler: Compiler, call: Invocation) -> Compiled:
    """Namespace and name of each item's type (N1 §10.2)."""
    source = compiler.boxed(call.target).many

    def many(item: Item, frame: Frame) -> list[Item]:
        return [_type_info(type_of(each)) for each in source(item, frame)]

    return plural(many, None, call.position)


def _type_info(found: str | None) -> Node:
    namespace, _, name = (
        (found or "").rpartition(".") if (found or "").startswith("System.") else ("FHIR", "", found)
    )
    return Node(None, {"namespace": namespace, "name": name})


FUNCTIONS = {
    "is": function(_with_type(is_type), 1),
    "as": function(_with_type(narrowed_to), 1),
    "ofType": function(_with_type(of_type), 1),
    "type": function(type_),
}
