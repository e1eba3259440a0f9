"""Paths: elements, variables, ``$this`` and indexes.

Source: FHIRPath N1 §3 (path selection), §4.6 (environment variables), http://hl7.org/fhirpath/N1/;
https://hl7.org/fhir/R4/fhirpath.html (variables, choices)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cds_service.fhirpath import ast, steps
from cds_service.fhirpath.compiled import (
    Choice,
    Compiled,
    Many,
    One,
    Scope,
    focus_item,
    plural,
    single,
    system,
)
from cds_service.fhirpath.model import Element, suggestion
from cds_service.fhirpath.runtime import BadDataError, Frame, Item, Node, Unbox, over_budget, reader, type_of

if TYPE_CHECKING:
    from cds_service.fhirpath.compiler import Compiler

_URLS = {"ucum": "http://unitsofmeasure.org", "sct": "http://snomed.info/sct", "loinc": "http://loinc.org"}
_PREFIXED_URLS = {"vs-": "http://hl7.org/fhir/ValueSet/", "ext-": "http://hl7.org/fhir/StructureDefinition/"}
FOCUS_VARIABLES = frozenset({"context", "resource", "rootResource"})
_FACTORY = "factory"


def member(compiler: Compiler, node: ast.Member, scope: Scope) -> Compiled:
    """``target.name``, or ``name`` alone: an element of the focus, else the focus itself by the name of its type."""
    if node.target is not None:
        return element(compiler, compiler.compile(node.target, scope), node.name, node.position)
    this = scope.this
    is_type = node.name in compiler.model and "." not in node.name and node.name[0].isupper()
    if is_type and not elements_of(compiler, this, node.name):
        return focus_of_type(compiler, this, node.name, node.position)
    return element(compiler, this, node.name, node.position)


def focus_of_type(compiler: Compiler, this: Compiled, type_: str, position: int) -> Compiled:
    """``Patient`` at the beginning of a path: the focus, which must be one."""
    if this.types is not None:
        fits = any(compiler.model.is_a(known, type_) for known in this.types)
        narrows = any(compiler.is_abstract(known) for known in this.types)
        if not fits and not narrows:
            expected = f"expected an element of {compiler.names(this)}"
            compiler.refuse(f"{type_} is not the type of the focus, {expected}", position)
        if fits:
            return this
    return narrowed(compiler, this, type_, position)


def narrowed(compiler: Compiler, target: Compiled, type_: str, position: int) -> Compiled:
    """The items of self-describing types that are of one type, then known to be so."""
    model, many = compiler.model, target.many
    if model.is_resource(type_) and not compiler.is_abstract(type_):

        def of_resource_type(item: Item, frame: Frame) -> list[Item]:
            return [
                found
                for found in many(item, frame)
                if type(found) is dict and found.get("resourceType") == type_
            ]

        return like(target, of_resource_type, (type_,), position, is_boxed=False)

    def of_type(item: Item, frame: Frame) -> list[Item]:
        return [found for found in many(item, frame) if matches(compiler, type_of(found), type_)]

    return like(target, of_type, (type_,), position, is_boxed=True)


def like(
    target: Compiled, many: Any, types: tuple[str, ...] | None, position: int, *, is_boxed: bool
) -> Compiled:
    """A selection of the items of ``target``: at most one if it has at most one."""
    if target.one is None:
        return replace(plural(many, types, position, is_boxed=is_boxed), is_ordered=target.is_ordered)

    def one(item: Item, frame: Frame) -> Item | None:
        found = many(item, frame)
        return found[0] if found else None

    return Compiled(many, types, is_boxed, position, one)


def matches(compiler: Compiler, found: str | None, type_: str) -> bool:
    """Whether ofType() and as keep it: a complex type with all that specialise it, a primitive alone (official suite)."""
    if type_ in {found, "System.Any"}:
        return True
    if found is None or found not in compiler.model or found in compiler.model.system_of:
        return False
    return compiler.model.is_a(found, type_)


def elements_of(compiler: Compiler, target: Compiled, name: str) -> list[Element]:
    """The elements of that name in the types that the target can have."""
    found = (compiler.model.element(type_, name) for type_ in target.types or () if type_ in compiler.model)
    return [element_ for element_ in found if element_ is not None]


def element(compiler: Compiler, target: Compiled, name: str, position: int) -> Compiled:
    """One step of a path, checked as far as the types are known."""
    if target.is_empty:
        return replace(target, position=position)
    found = elements_of(compiler, target, name)
    is_open = target.types is None or any(compiler.is_abstract(type_) for type_ in target.types)
    if not found:
        if not is_open:
            _refuse_element(compiler, target, name, position)
        if compiler.is_strict:
            names = compiler.names(target)
            compiler.refuse(
                f"{name} of {names}: narrow it first with ofType(…), expected a known type", position
            )
    if len(found) == 1 and target.type is not None and not target.is_boxed:
        return _static(compiler, target, found[0], position)
    types = None if not found else tuple(dict.fromkeys(t for element_ in found for t in element_.types))
    step = steps.dynamic(compiler.model, name)
    is_single = bool(found) and not is_open and not any(element_.is_list for element_ in found)
    flat = _flattened(target, step, types, position)
    return _once(compiler, target, flat) if is_single else flat


def _refuse_element(compiler: Compiler, target: Compiled, name: str, position: int) -> None:
    elements = [
        one for type_ in target.types or () if type_ in compiler.model for one in _all(compiler, type_)
    ]
    choice = next(
        (one for one in elements if one.is_choice and any(name == key for key, _ in one.keys)), None
    )
    if choice:
        type_ = next(type_ for key, type_ in choice.keys if key == name)
        hint = f"expected {choice.name}.ofType({type_})"
    else:
        hint = suggestion(name, (one.name for one in elements))
    compiler.refuse(f"{name} is no element of {compiler.names(target)}, {hint}", position)


def _all(compiler: Compiler, type_: str) -> Iterable[Element]:
    return compiler.model.elements(type_).values()


def _static(compiler: Compiler, target: Compiled, element_: Element, position: int) -> Compiled:
    """A step from plain JSON of a known type."""
    if target.type in compiler.model.system_of:
        step = steps.extension_of_primitive(element_.name)
        return _flattened(target, step, element_.types, position, is_boxed=False)
    if element_.is_choice:
        model, fault = compiler.model, compiler.fault(position)

        def choice(item: Item) -> list[Item]:
            if type(item) is not dict:
                raise fault(item)
            return list(steps.boxed_elements(model, item, element_))

        found = _once(compiler, target, _flattened(target, choice, element_.types, position))
        return replace(found, choice=Choice(target, element_))
    key, type_ = element_.keys[0]
    return at_key(compiler, target, key, type_, position, is_list=element_.is_list)


def at_key(
    compiler: Compiler, target: Compiled, key: str, type_: str, position: int, *, is_list: bool
) -> Compiled:
    """The element under one JSON key, its type known."""
    is_primitive = type_ in compiler.model.system_of
    is_boxed, fault = compiler.is_abstract(type_), compiler.fault(position)
    if is_list:
        step = steps.primitive_many(key, type_, fault) if is_primitive else steps.complex_many(key, fault)
        if target.key is not None and not is_primitive:
            return plural(_list_of_key(target.key, key, fault), (type_,), position, is_boxed=is_boxed)
        return _flattened(target, step, (type_,), position, is_boxed=is_boxed)
    if not is_primitive and target.one is None:
        return _complexes(target, key, type_, fault, position, is_boxed=is_boxed)
    if not is_primitive:
        return _complex_one(target, key, type_, fault, position, is_boxed=is_boxed)
    if target.one is None:
        return _primitives(target, key, type_, fault, position)
    found = _chained(target, steps.primitive_one(key, type_, fault), type_, position)
    value = _primitive_value(compiler, target.one, key, type_, position)
    return replace(found, value=value, key=key if target.one is focus_item else None)


def _primitive_value(compiler: Compiler, parent: One, key: str, type_: str, position: int) -> One:
    """The System value without looking at the sibling, which never changes it."""
    read, fault = reader(compiler.model, type_), compiler.fault(position)
    if parent is focus_item:
        return _value_of_focus(compiler, read, key, position)

    def value(item: Item, frame: Frame) -> Any:
        found = parent(item, frame)
        if found is None:
            return None
        try:
            found = found.get(key)
            return None if found is None else read(found)
        except AttributeError:
            raise fault(found) from None
        except BadDataError as error:
            raise compiler.failure(str(error), position) from None

    return value


def _value_of_focus(compiler: Compiler, read: Unbox, key: str, position: int) -> One:
    fault = compiler.fault(position)

    def value(item: Item, frame: Frame) -> Any:  # noqa: ARG001
        if item is None:
            return None
        try:
            found = item.get(key)
            return None if found is None else read(found)
        except AttributeError:
            raise fault(item) from None
        except BadDataError as error:
            raise compiler.failure(str(error), position) from None

    return value


def _complex_one(
    target: Compiled, key: str, type_: str, fault: steps.Fault, position: int, *, is_boxed: bool
) -> Compiled:
    """Written out, not composed: these few lines are most of what a policy's expression does."""
    if target.one is not focus_item:
        return replace(_chained(target, steps.complex_one(key, fault), type_, position), is_boxed=is_boxed)

    def one(item: Item, frame: Frame) -> Item | None:  # noqa: ARG001
        try:
            return item.get(key)
        except AttributeError:
            raise fault(item) from None

    return replace(single(one, (type_,), position, is_boxed=is_boxed), key=key)


def _list_of_key(parent_key: str, key: str, fault: steps.Fault) -> Many:
    """``code.coding`` of the focus, in one closure."""

    def many(item: Item, frame: Frame) -> list[Item]:  # noqa: ARG001
        try:
            parent = item.get(parent_key)
            if parent is None:
                return []
            found = parent.get(key)
        except AttributeError:
            raise fault(item if type(item) is not dict else item[parent_key]) from None
        if found.__class__ is list:
            return found
        return [] if found is None else [found]

    return many


def _primitives(target: Compiled, key: str, type_: str, fault: steps.Fault, position: int) -> Compiled:
    """A primitive of each item of a collection; see steps.primitive_one."""
    source, sibling = target.many, "_" + key

    def many(item: Item, frame: Frame) -> list[Item]:
        parents = source(item, frame)
        frame.steps -= len(parents)
        if frame.steps < 0:
            raise over_budget(frame, position)
        found = []
        for parent in parents:
            try:
                value = parent.get(key)
                extra = parent.get(sibling)
            except AttributeError:
                raise fault(parent) from None
            if extra is not None:
                found.append(Node(type_, value, extra))
            elif value is not None:
                found.append(value)
        return found

    return replace(plural(many, (type_,), position, is_boxed=False), is_ordered=target.is_ordered)


def _complexes(
    target: Compiled, key: str, type_: str, fault: steps.Fault, position: int, *, is_boxed: bool
) -> Compiled:
    """A complex element of each item of a collection; see steps.complex_one."""
    source = target.many

    def many(item: Item, frame: Frame) -> list[Item]:
        parents = source(item, frame)
        frame.steps -= len(parents)
        if frame.steps < 0:
            raise over_budget(frame, position)
        try:
            return [found for parent in parents if (found := parent.get(key)) is not None]
        except AttributeError:
            raise fault(next(parent for parent in parents if type(parent) is not dict)) from None

    return replace(plural(many, (type_,), position, is_boxed=is_boxed), is_ordered=target.is_ordered)


def _chained(target: Compiled, step: steps.One, type_: str, position: int) -> Compiled:
    """A step that gives at most one item for each item of the target."""
    many = target.many
    if target.one is not None:
        parent = target.one

        def one(item: Item, frame: Frame) -> Item | None:
            found = parent(item, frame)
            return None if found is None else step(found)

        return single(one, (type_,), position, is_boxed=False)

    def each(item: Item, frame: Frame) -> list[Item]:
        parents = many(item, frame)
        frame.spend(len(parents), position)
        return [found for parent in parents if (found := step(parent)) is not None]

    return replace(plural(each, (type_,), position, is_boxed=False), is_ordered=target.is_ordered)


def _flattened(
    target: Compiled,
    step: steps.Many,
    types: tuple[str, ...] | None,
    position: int,
    *,
    is_boxed: bool = True,
) -> Compiled:
    """A step that gives a list for each item of the target."""
    many, parent = target.many, target.one
    if parent is None:

        def each(item: Item, frame: Frame) -> list[Item]:
            parents = many(item, frame)
            # A Bundle, mostly: its entries need no list of their own.
            is_one = len(parents) == 1
            found = step(parents[0]) if is_one else [child for one in parents for child in step(one)]
            frame.steps -= len(parents) + len(found)
            if frame.steps < 0:
                raise over_budget(frame, position)
            return found

        return replace(plural(each, types, position, is_boxed=is_boxed), is_ordered=target.is_ordered)

    def of_one(item: Item, frame: Frame) -> list[Item]:
        found = parent(item, frame)
        return [] if found is None else step(found)

    return plural(of_one, types, position, is_boxed=is_boxed)


def _once(compiler: Compiler, target: Compiled, found: Compiled) -> Compiled:
    """An element that occurs at most once, as far as the data keeps to that."""
    return found if target.one is None else replace(found, one=compiler.only(found))


def variable(compiler: Compiler, node: ast.Variable) -> Compiled:
    """``%name``, asked of the environment each time."""
    name, position = node.name, node.position
    url = _built_in_url(name)
    if name in compiler.variables:
        return _declared(compiler, name, compiler.variables[name], position)
    if url is not None:
        return system(lambda _item, _frame: url, "String", position, is_fixed=True)
    if name in FOCUS_VARIABLES:
        return _declared(compiler, name, compiler.context if name == "context" else None, position)
    if name == _FACTORY:
        compiler.refuse("%factory is no value, expected one of its functions after it", position)
    known = [*compiler.variables, *_URLS, *FOCUS_VARIABLES, _FACTORY]
    return compiler.refuse(f"undefined variable %{name}, {suggestion(name, known)}", position)


def is_factory(compiler: Compiler, node: ast.Node | None) -> bool:
    """Whether it is the type factory, and no variable of that name."""
    return isinstance(node, ast.Variable) and node.name == _FACTORY and _FACTORY not in compiler.variables


def _built_in_url(name: str) -> str | None:
    prefix = next((prefix for prefix in _PREFIXED_URLS if name.startswith(prefix)), None)
    return _URLS.get(name) if prefix is None else _PREFIXED_URLS[prefix] + name.removeprefix(prefix)


def _declared(compiler: Compiler, name: str, type_: str | None, position: int) -> Compiled:
    known = None if type_ is None else compiler.known_type(type_, position)
    types = None if known is None else (known,)
    is_built_in, check = name in FOCUS_VARIABLES, checker(compiler, known, f"%{name}", position)

    def many(item: Item, frame: Frame) -> list[Item]:  # noqa: ARG001
        variables = frame.variables
        if is_built_in and name not in variables:
            return check(frame.focus)
        try:
            found = variables[name]
        except KeyError:
            raise compiler.failure(
                f"%{name} has no value, expected one in the environment", position
            ) from None
        return check(listed(found))

    return plural(many, types, position, is_boxed=known is None or compiler.is_abstract(known))


def listed(value: Any) -> list[Item]:
    """A variable's or a focus' value as a collection; null is no item."""
    if type(value) is list:
        return value
    return [] if value is None else [value]


def checker(
    compiler: Compiler, type_: str | None, name: str, position: int
) -> Callable[[list[Item]], list[Item]]:
    """What gives items as plain JSON of the declared type, or with their types on them when none was declared."""
    if type_ is None:
        return lambda found: [steps.untyped(item) for item in found]
    if type_.startswith("System."):
        read = reader(compiler.model, type_)
        return lambda found: [value for item in found if (value := read(item)) is not None]
    if not compiler.model.is_resource(type_):
        return lambda found: found

    def resources(found: list[Item]) -> list[Item]:
        for item in found:
            if item.__class__ is dict and item.get("resourceType") == type_:
                continue
            has = type_of(item)
            if has is not None and not compiler.model.is_a(has, type_):
                raise compiler.failure(f"{name} is a {has}, expected a {type_}", position)
        return found

    return resources


def special(compiler: Compiler, node: ast.Special, scope: Scope) -> Compiled:
    """``$this``, ``$index``, ``$total`` (N1 §4.2 and §7.1)."""
    if node.name == "$this":
        return replace(scope.this, position=node.position)
    if node.name == "$total" and scope.total is not None:
        return replace(scope.total, position=node.position)
    if node.name == "$index" and scope.has_index:
        return system(lambda _item, frame: frame.index, "Integer", node.position)
    expected = (
        "a place inside aggregate()"
        if node.name == "$total"
        else "a place inside where(), select() or the like"
    )
    return compiler.refuse(f"{node.name} means nothing here, expected {expected}", node.position)


def index(compiler: Compiler, node: ast.Index, scope: Scope) -> Compiled:
    """``target[index]``, empty beyond the end (N1 §5.3.1)."""
    target, position = compiler.compile(node.target, scope), node.position
    require_order(compiler, target, "[…]", position)
    at = compiler.memoised(compiler.compile(node.index, scope))
    number = compiler.integer(at, "an index")
    many = target.many

    def one(item: Item, frame: Frame) -> Item | None:
        wanted = number(item, frame)
        found = many(item, frame)
        return found[wanted] if wanted is not None and 0 <= wanted < len(found) else None

    return single(one, target.types, position, is_boxed=target.is_boxed)


def require_order(compiler: Compiler, target: Compiled, name: str, position: int) -> None:
    """Children have no order that two systems agree on, so strict mode refuses to count on it (N1 §5.8.1)."""
    if compiler.is_strict and not target.is_ordered:
        compiler.refuse(
            f"{name} on children() or descendants(), expected a collection that has an order", position
        )
