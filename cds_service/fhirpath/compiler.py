"""Abstract syntax → closures, with every type that can be known.

Source: FHIRPath N1, http://hl7.org/fhirpath/N1/; for FHIR, https://hl7.org/fhir/R4/fhirpath.html
"""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Mapping
from dataclasses import replace
from decimal import DecimalException
from typing import Any, NoReturn

from cds_service.errors import FhirPathEvaluationError, FhirPathTypeError
from cds_service.fhirpath import ast, operators, paths
from cds_service.fhirpath.compiled import Compiled, Invocation, Many, One, Scope, focus_collection, single
from cds_service.fhirpath.equality import KIND_OF_TYPE, identity
from cds_service.fhirpath.functions import FACTORY_FUNCTIONS, FUNCTIONS
from cds_service.fhirpath.model import SYSTEM_TYPES, Model, suggestion
from cds_service.fhirpath.runtime import (
    BadDataError,
    Frame,
    Item,
    Unbox,
    reader,
    readers,
    system_type,
    system_type_of_class,
)
from cds_service.fhirpath.steps import boxed, not_an_object

_STRINGS, _BOOLEANS = frozenset({"string"}), frozenset({"boolean"})


class Compiler:
    """The expression being compiled and what it is compiled against; it is thrown away afterwards."""

    def __init__(
        self,
        text: str,
        model: Model,
        variables: Mapping[str, str | None],
        *,
        is_strict: bool,
        value_sets: Container[str] | None,
    ) -> None:
        self.text = text
        self.model = model
        self.variables = variables
        self.is_strict = is_strict
        self.value_sets = value_sets
        self.context: str | None = None
        self._readers: Unbox | None = None

    # errors

    def refuse(self, message: str, position: int) -> NoReturn:
        """What is wrong whatever the data is."""
        raise FhirPathTypeError(message, self.text, position)

    def failure(self, message: str, position: int) -> FhirPathEvaluationError:
        """What is wrong with the data at hand."""
        return FhirPathEvaluationError(message, self.text, position)

    def fault(self, position: int) -> Callable[[Item], FhirPathEvaluationError]:
        """The error of an item that has no elements although FHIR says so."""
        return lambda item: self.failure(str(not_an_object(item)), position)

    # nodes

    def whole(self, node: ast.Node, context: str | None) -> Compiled:
        """The expression itself, on a focus of the type ``context``."""
        self.context = None if context is None else self.known_type(context, 0)
        types = None if self.context is None else (self.context,)
        this = Compiled(focus_collection, types, is_boxed=types is None, position=0)
        return self.compile(node, Scope(this))

    def compile(self, node: ast.Node, scope: Scope) -> Compiled:  # noqa: PLR0911 - one for each kind of node
        """One node; what it yields is in ``Compiled``."""
        match node:
            case ast.Literal():
                return self.literal(node)
            case ast.Member():
                return paths.member(self, node, scope)
            case ast.Call():
                return self.call(node, scope)
            case ast.Binary():
                return operators.binary(self, node, scope)
            case ast.Unary():
                return operators.unary(self, node, scope)
            case ast.Variable():
                return paths.variable(self, node)
            case ast.Special():
                return paths.special(self, node, scope)
            case ast.Index():
                return paths.index(self, node, scope)
        return self.refuse(f"unexpected {node}", node.position)

    def literal(self, node: ast.Literal) -> Compiled:
        """A value written out."""
        value = node.value
        if value is None:
            return Compiled(
                lambda _item, _frame: [],
                (),
                True,
                node.position,
                lambda _item, _frame: None,
                literal=node,
                is_fixed=True,
            )

        def one(_item: Item, _frame: Frame) -> Any:
            return value

        found = single(one, (str(system_type(value)),), node.position)
        return replace(found, value=one, literal=node, is_fixed=True)

    def call(self, node: ast.Call, scope: Scope) -> Compiled:
        """A function, looked up by name and checked for the number of its arguments."""
        is_made = paths.is_factory(self, node.target)
        functions, name = (FACTORY_FUNCTIONS, f"%factory.{node.name}") if is_made else (FUNCTIONS, node.name)
        function = functions.get(node.name)
        if function is None:
            self.refuse(f"unknown function {name}(), {suggestion(node.name, functions)}", node.position)
        if not function.least <= len(node.arguments) <= function.most:
            expected = f"{function.least}" + (
                f" to {function.most}" if function.most > function.least else ""
            )
            self.refuse(f"{name}() has {len(node.arguments)} arguments, expected {expected}", node.position)
        target = scope.this if node.target is None or is_made else self.compile(node.target, scope)
        return function.compile(self, Invocation(node, self.memoised(target), scope))

    # types

    def known_type(self, name: str, position: int) -> str:
        """A type by its name, with or without a namespace; refused when there is none."""
        namespace, _, rest = name.rpartition(".")
        if namespace == "System" and rest in SYSTEM_TYPES:
            return name
        plain = rest if namespace == "FHIR" else name
        if plain in self.model:
            return plain
        if not namespace and plain in SYSTEM_TYPES:
            return f"System.{plain}"
        known = [*(type_ for type_ in self.model if "." not in type_), *SYSTEM_TYPES]
        return self.refuse(f"unknown type {name}, {suggestion(rest, known)}", position)

    def system_of(self, type_: str) -> str | None:
        """The System type that items of a type convert to; None for a complex element."""
        if type_.startswith("System."):
            return type_
        return "System.Quantity" if self.model.is_quantity(type_) else self.model.system_of.get(type_)

    def kinds(self, compiled: Compiled) -> frozenset[str] | None:
        """What the items can be compared with (see equality.kind_of); None when unknown."""
        if compiled.types is None or any(
            type_ == "System.Any" or self.is_abstract(type_) for type_ in compiled.types
        ):
            return None
        return frozenset(KIND_OF_TYPE.get(self.system_of(type_) or "", "complex") for type_ in compiled.types)

    def common_kind(self, left: Compiled, right: Compiled) -> str | None:
        """The one kind that all values on both sides are known to have."""
        one, other = self.kinds(left), self.kinds(right)
        return next(iter(one)) if one is not None and one == other and len(one) == 1 else None

    def is_abstract(self, type_: str) -> bool:
        """Whether items of the type are of another, which nobody knows yet."""
        return type_ in {"Resource", "DomainResource", "Element", "BackboneElement"}

    # conversions

    def unbox(self, compiled: Compiled) -> Unbox:
        """Its items to their System values."""
        if compiled.type is not None and not compiled.is_boxed:
            return reader(self.model, compiled.type)
        if self._readers is None:
            self._readers = readers(self.model)
        return self._readers

    def boxed(self, compiled: Compiled) -> Compiled:
        """The same with items that carry their types."""
        if compiled.is_boxed or compiled.type is None:
            return compiled
        if compiled.type.startswith("System."):
            return replace(compiled, is_boxed=True)
        model, type_, many, one = self.model, compiled.type, compiled.many, compiled.one

        def boxed_many(item: Item, frame: Frame) -> list[Item]:
            return [boxed(model, type_, found) for found in many(item, frame)]

        def boxed_one(item: Item, frame: Frame) -> Item | None:
            found = None if one is None else one(item, frame)
            return None if found is None else boxed(model, type_, found)

        return replace(compiled, many=boxed_many, one=one and boxed_one, is_boxed=True, choice=None, key=None)

    def value(self, compiled: Compiled) -> One:
        """The System value of at most one item; more than one is an error of the data."""
        if compiled.value is not None:
            return compiled.value
        unbox, position = self.unbox(compiled), compiled.position
        one = compiled.one or self.only(compiled)

        def value(item: Item, frame: Frame) -> Any:
            found = one(item, frame)
            try:
                return None if found is None else unbox(found)
            except BadDataError as error:
                raise self.failure(str(error), position) from None

        return value

    def expecting(self, compiled: Compiled, accepted: tuple[type, ...], expected: str) -> One:
        """The System value of at most one item, which must be of one of these classes."""
        names = {system_type_of_class(class_) for class_ in accepted}
        if self.kinds(compiled) is not None and compiled.types:
            converted = {self.system_of(type_) for type_ in compiled.types}
            if not converted & names:
                self.refuse(f"found {self.names(compiled)}, expected {expected}", compiled.position)
            if converted <= names:
                return self.value(compiled)
        value, position = self.value(compiled), compiled.position

        def checked(item: Item, frame: Frame) -> Any:
            found = value(item, frame)
            if found is not None and type(found) not in accepted:
                has = system_type(found) or "an element"
                raise self.failure(f"found {has}, expected {expected}", position)
            return found

        return checked

    def string(self, compiled: Compiled) -> One:
        """A string or nothing."""
        return self.expecting(compiled, (str,), "a string")

    def integer(self, compiled: Compiled, expected: str = "an integer") -> One:
        """An integer or nothing."""
        return self.expecting(compiled, (int,), expected)

    def guarded(self, one: One, position: int) -> One:
        """The same, with the place in the expression on what goes wrong; a number beyond computing is empty (N1 §6.6)."""

        def guarded(item: Item, frame: Frame) -> Any:
            try:
                return one(item, frame)
            except BadDataError as error:
                raise self.failure(str(error), position) from None
            except DecimalException:
                return None

        return guarded

    def key(self, compiled: Compiled) -> Callable[[Item], Hashable]:
        """Equal for equal items: what sets of them are made of."""
        unbox = self.unbox(compiled)

        def key(item: Item) -> Hashable:
            value = unbox(item)
            return identity(item if value is None else value)

        return key

    def alike(self, parts: list[Compiled]) -> tuple[list[Compiled], Callable[[Item], Hashable]]:
        """Collections whose items can be set beside each other, and what makes two of those equal."""
        known = [part for part in parts if not part.is_empty]
        if len({part.type for part in known}) > 1 or any(part.is_boxed for part in known):
            parts = [self.boxed(part) for part in parts]
        return parts, self.key(next((part for part in parts if not part.is_empty), parts[0]))

    def common_types(self, parts: list[Compiled]) -> tuple[str, ...] | None:
        """All types that their items can have; None when one of them is unknown."""
        if any(part.types is None for part in parts):
            return None
        return tuple(dict.fromkeys(type_ for part in parts for type_ in part.types or ()))

    def values(self, compiled: Compiled) -> Many:
        """The System values of all items; a primitive without a value is None."""
        many, unbox, position = compiled.many, self.unbox(compiled), compiled.position
        if compiled.types is not None and all(type_.startswith("System.") for type_ in compiled.types):
            return many
        if self.kinds(compiled) == _STRINGS:
            return self._texts(compiled)

        def values(item: Item, frame: Frame) -> list[Any]:
            try:
                return [unbox(found) for found in many(item, frame)]
            except BadDataError as error:
                raise self.failure(str(error), position) from None

        return values

    def _texts(self, compiled: Compiled) -> Many:
        """Strings of JSON are their own values; only the others are looked at."""
        many, unbox, position = compiled.many, self.unbox(compiled), compiled.position

        def texts(item: Item, frame: Frame) -> list[Any]:
            found = many(item, frame)
            for each in found:
                if each.__class__ is not str:
                    break
            else:
                return found
            try:
                return [unbox(each) for each in found]
            except BadDataError as error:
                raise self.failure(str(error), position) from None

        return texts

    def only(self, compiled: Compiled) -> One:
        """The item of a collection that may hold at most one (N1 §4.5, singleton evaluation)."""
        many, position = compiled.many, compiled.position

        def only(item: Item, frame: Frame) -> Item | None:
            found = many(item, frame)
            if len(found) > 1:
                raise self.failure(f"found {len(found)} items, expected at most one", position)
            return found[0] if found else None

        return compiled.one or only

    def truth(self, compiled: Compiled) -> One:
        """True, False, or None for unknown.

        A single item that is no boolean counts as true (N1 §4.5, singleton evaluation); in strict mode it is an error.
        """
        kinds = self.kinds(compiled)
        if kinds == _BOOLEANS:
            return self.value(compiled)
        if self.is_strict and kinds and "boolean" not in kinds:
            self.refuse(
                f"found {self.names(compiled)}, expected true or false; did you mean exists()?",
                compiled.position,
            )
        value, position, is_strict = self.value(compiled), compiled.position, self.is_strict

        def truth(item: Item, frame: Frame) -> bool | None:
            found = value(item, frame)
            if found is None or found is True or found is False:
                return found
            if is_strict:
                raise self.failure("found no boolean, expected true or false", position)
            return True

        return truth if kinds != frozenset() else value

    def names(self, compiled: Compiled) -> str:
        """Its types, for a message."""
        return " or ".join(compiled.types or ("an unknown type",))

    def memoised(self, compiled: Compiled) -> Compiled:
        """Evaluated once an evaluation when nothing in it can change, as in ``today() - 6 months``."""
        if not compiled.is_fixed or compiled.literal is not None:
            return compiled
        many, key = compiled.many, object()

        def once(item: Item, frame: Frame) -> list[Item]:
            found = frame.memory.get(key)
            if found is None:
                found = frame.memory[key] = many(item, frame)
            return found

        def one(item: Item, frame: Frame) -> Item | None:
            found = frame.memory.get(key)
            if found is None:
                found = once(item, frame)
            return found[0] if found else None

        if compiled.one is None:
            return replace(compiled, many=once)
        return replace(compiled, many=once, one=one, value=one if compiled.value else None)
