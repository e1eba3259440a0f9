"""The functions that FHIR adds: https://hl7.org/fhir/R4/fhirpath.html#functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cds_service.fhirpath import paths
from cds_service.fhirpath.compiled import Compiled, Invocation, Membership, One, plural, system
from cds_service.fhirpath.functions.registry import argument, function
from cds_service.fhirpath.runtime import BadDataError, Frame, Item, Node, type_of
from cds_service.fhirpath.steps import not_an_object

if TYPE_CHECKING:
    from cds_service.fhirpath.compiler import Compiler

_PROFILE = "http://hl7.org/fhir/StructureDefinition/"
_CODED = frozenset({"CodeableConcept", "Coding", "code", "string", "uri", "System.String"})


def extension(compiler: Compiler, call: Invocation) -> Compiled:
    """The extensions with this url."""
    found = paths.element(compiler, call.target, "extension", call.position)
    url, many = compiler.string(argument(compiler, call, 0)), found.many

    def with_url(item: Item, frame: Frame) -> list[Item]:
        wanted = url(item, frame)
        extensions = many(item, frame)
        frame.spend(len(extensions), call.position)
        return [each for each in extensions if _content(each).get("url") == wanted]

    return plural(with_url, found.types, call.position, is_boxed=found.is_boxed)


def _content(item: Item) -> dict[str, Any]:
    """The JSON of a complex element, with or without its type on it."""
    value = item.value if type(item) is Node else item
    return value if type(value) is dict else {}


def has_value(compiler: Compiler, call: Invocation) -> Compiled:
    """Whether it is one primitive that has a value, not only extensions."""
    many, unbox = call.target.many, compiler.unbox(call.target)

    def one(item: Item, frame: Frame) -> bool:
        found = many(item, frame)
        return len(found) == 1 and not isinstance(value := unbox(found[0]), dict) and value is not None

    return system(compiler.guarded(one, call.position), "Boolean", call.position)


def get_value(compiler: Compiler, call: Invocation) -> Compiled:
    """The System value of one primitive; empty of anything else."""
    many, unbox = call.target.many, compiler.unbox(call.target)

    def one(item: Item, frame: Frame) -> Any:
        found = many(item, frame)
        value = unbox(found[0]) if len(found) == 1 else None
        return None if isinstance(value, dict) else value

    type_ = call.target.type and compiler.system_of(call.target.type)
    found = system(compiler.guarded(one, call.position), "Any", call.position)
    return replace(found, types=(type_,) if type_ else None)


def resolve(compiler: Compiler, call: Invocation) -> Compiled:
    """The resources that references, or strings of them, lead to; those that lead nowhere are left out."""
    kinds = compiler.kinds(call.target)
    if kinds and not kinds & {"string", "complex"}:
        compiler.refuse(f"found {compiler.names(call.target)}, expected references", call.position)
    many = call.target.many

    def resources(item: Item, frame: Frame) -> list[Item]:
        look_up = frame.environment.resolve
        if look_up is None:
            raise compiler.failure(
                "nothing to look references up in, expected resolve in the environment", call.position
            )
        references = [_reference(each) for each in many(item, frame)]
        frame.spend(len(references), call.position)
        found = [look_up(reference) for reference in references if reference is not None]
        return [resource for resource in found if resource is not None]

    return plural(resources, ("Resource",), call.position)


def _reference(item: Item) -> str | None:
    value = item.value if type(item) is Node else item
    found = value.get("reference") if type(value) is dict else value
    return found if type(found) is str else None


def member_of(compiler: Compiler, call: Invocation) -> Compiled:
    """Whether the code, or any coding of the concept, is in the value set; unknown when there is no code at all."""
    types = call.target.types
    if types and not any(type_ in _CODED or compiler.system_of(type_) == "System.String" for type_ in types):
        expected = "expected a code, Coding or CodeableConcept"
        compiler.refuse(f"memberOf() on {compiler.names(call.target)}, {expected}", call.position)
    url = argument(compiler, call, 0)
    _require_value_set(compiler, url)
    value_set = compiler.string(url)
    only, is_concept = compiler.only(call.target), _is_concept(call.target)
    literal = str(url.literal.value) if url.literal and url.literal.value else None
    may_be_code = types is None or any(compiler.system_of(type_) == "System.String" for type_ in types)

    def asked(found: Item, item: Item, frame: Frame) -> bool | None:
        is_member = frame.environment.member_of
        if is_member is None:
            expected = "expected member_of in the environment"
            raise compiler.failure(f"nothing to look value sets up in, {expected}", call.position)
        try:
            concept = found if is_concept else _concept(found, may_be_code=may_be_code)
            return _any_member(is_member, literal or value_set(item, frame), concept)
        except BadDataError as error:
            raise compiler.failure(str(error), call.position) from None

    def one(item: Item, frame: Frame) -> bool | None:
        found = only(item, frame)
        return None if found is None else asked(found, item, frame)

    if not (is_concept and literal):
        return system(one, "Boolean", call.position)
    key = call.target.key
    found = system(_in_value_set(only, key, literal, asked), "Boolean", call.position)
    return found if key is None else replace(found, membership=Membership(key, literal))


def _in_value_set(
    only: One, key: str | None, url: str, asked: Callable[[Item, Item, Frame], bool | None]
) -> One:
    """A concept looked up in a value set that is at hand; what is not shaped as it should be is asked like the others.

    ``key``: see Compiled.
    """

    def one(item: Item, frame: Frame) -> bool | None:
        concept = item.get(key) if key is not None and item.__class__ is dict else only(item, frame)
        if concept is None:
            return None
        codes = frame.value_sets.get(url)
        if codes is None:
            return asked(concept, item, frame)
        known = None
        try:
            for coding in concept.get("coding") or ():
                code = coding.get("code")
                if code is not None:
                    if (coding.get("system"), code) in codes:
                        return True
                    known = False
        except (AttributeError, TypeError):
            return asked(concept, item, frame)
        return known

    return one


def _require_value_set(compiler: Compiler, url: Compiled) -> None:
    if url.literal is None or compiler.value_sets is None:
        return
    if url.literal.value not in compiler.value_sets:
        compiler.refuse(f"unknown value set {url.literal.value}, expected one that is loaded", url.position)


def _is_concept(target: Compiled) -> bool:
    """Whether its items are the JSON of CodeableConcepts."""
    return target.type == "CodeableConcept" and not target.is_boxed


def _concept(item: Item, *, may_be_code: bool) -> dict[str, Any]:
    """A code or a Coding as a CodeableConcept."""
    value = item.value if type(item) is Node else item
    if type(value) is dict:
        return value if "coding" in value else {"coding": [value]}
    if not may_be_code or (type(item) is Node and item.type in {"CodeableConcept", "Coding"}):
        raise not_an_object(value)
    return {} if value is None else {"coding": [{"code": value}]}


def _any_member(is_member: Callable[..., bool], url: Any, concept: dict[str, Any]) -> bool | None:
    """Unknown when no coding has a code."""
    if url is None:
        return None
    if concept.__class__ is not dict:
        raise not_an_object(concept)
    known = None
    codings = concept.get("coding") or ()
    if codings.__class__ is dict or isinstance(codings, str | int | float):
        raise not_an_object(concept)
    for coding in codings:
        if coding.__class__ is not dict:
            raise not_an_object(coding)
        code = coding.get("code")
        if code is not None:
            if is_member(url, coding.get("system"), code):
                return True
            known = False
    return known


def conforms_to(compiler: Compiler, call: Invocation) -> Compiled:
    """Whether it is of the type that R4 itself defines under this url; other profiles are not known here."""
    only, model = compiler.only(compiler.boxed(call.target)), compiler.model
    profile = compiler.string(argument(compiler, call, 0))

    def one(item: Item, frame: Frame) -> bool | None:
        found, url = only(item, frame), profile(item, frame)
        if found is None or url is None:
            return None
        type_ = url.removeprefix(_PROFILE)
        if type_ == url or type_ not in model:
            raise compiler.failure(f"unknown profile {url}, expected one of R4's own types", call.position)
        has = type_of(found)
        return has is not None and model.is_a(has, type_)

    return system(one, "Boolean", call.position)


FUNCTIONS = {
    "extension": function(extension, 1),
    "hasValue": function(has_value),
    "getValue": function(get_value),
    "resolve": function(resolve),
    "memberOf": function(member_of, 1),
    "conformsTo": function(conforms_to, 1),
}
