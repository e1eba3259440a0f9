"""What an operation was given: Parameters, a bare resource or a query, checked against the operation's description."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cds_service.errors import RequestError
from cds_service.fhir_api.operation import MANY, PRIMITIVES, Operation, OperationParameter
from cds_service.fhir_api.values import fault, from_text
from cds_service.record.resources import Resource


@dataclass(frozen=True)
class Given:
    """One parameter as it was given: ``where``, and its value, resource or parts. ``value`` holds a resource too."""

    name: str
    where: str
    value: Any
    parts: tuple[Given, ...]

    def part(self, name: str) -> Given | None:
        """The first part of this name."""
        return next((each for each in self.parts if each.name == name), None)

    def parts_named(self, name: str) -> tuple[Given, ...]:
        """All parts of this name."""
        return tuple(each for each in self.parts if each.name == name)


@dataclass(frozen=True)
class Inputs:
    """What an operation was given, each parameter known to be of its type and as often as it may be."""

    given: tuple[Given, ...]

    def all(self, name: str) -> tuple[Given, ...]:
        """Every parameter of this name, in order."""
        return tuple(each for each in self.given if each.name == name)

    def one(self, name: str) -> Given | None:
        """The parameter of this name, if it was given."""
        return next(iter(self.all(name)), None)

    def value(self, name: str) -> Any:
        """The value of the parameter of this name; None when it was not given."""
        found = self.one(name)
        return None if found is None else found.value

    def needed(self, name: str) -> Given:
        """The parameter of this name. RequestError when it was not given."""
        found = self.one(name)
        if found is None:
            raise RequestError("Parameters", "nothing", f"the parameter {name}")
        return found


def inputs_of_body(operation: Operation, body: object) -> Inputs:
    """What a POSTed body gives an operation. RequestError, with the exact place, for what the operation cannot take.

    Instead of Parameters the body may be the one resource that the operation takes.
    """
    if not isinstance(body, dict):
        raise RequestError("$", "no JSON object", "a Parameters resource")
    kind = body.get("resourceType")
    if kind == "Parameters":
        given = tuple(_given(each, where, operation.taken) for where, each in _listed(body, "Parameters"))
    else:
        given = (_bare(operation, body, kind),)
    return _checked(given, operation.taken, "Parameters")


def inputs_of_query(operation: Operation, pairs: Iterable[tuple[str, str]]) -> Inputs:
    """What a query gives an operation: simple values only. Parameters with an underscore are the server's."""
    known = {each.name: each for each in operation.taken}
    given: list[Given] = []
    for name, text in pairs:
        if name.startswith("_"):
            continue
        where = f"http.{name[:40]}"
        parameter = known.get(name)
        if parameter is None or parameter.type not in PRIMITIVES:
            expected = f"one of {', '.join(each.name for each in operation.taken if each.type in PRIMITIVES)}"
            raise RequestError(where, "a parameter that a query cannot give here", expected)
        given.append(Given(name, where, from_text(parameter.type, text, where), ()))
    return _checked(tuple(given), operation.taken, "http")


def outputs(pairs: Iterable[tuple[str, Any]]) -> Resource:
    """A Parameters resource of what comes out; resources as such, truth and words by their types, None left out."""
    named: list[dict[str, Any]] = []
    for name, value in pairs:
        if isinstance(value, bool):
            named.append({"name": name, "valueBoolean": value})
        elif isinstance(value, str):
            named.append({"name": name, "valueString": value})
        elif value is not None:
            named.append({"name": name, "resource": value})
    return {"resourceType": "Parameters", **({"parameter": named} if named else {})}


def _bare(operation: Operation, body: Resource, kind: object) -> Given:
    takers = [each for each in operation.taken if each.type == kind]
    if len(takers) != 1:
        taken = [each.type for each in operation.taken if each.type and each.type not in PRIMITIVES]
        raise RequestError(
            "resourceType", repr(str(kind)[:40]), f"Parameters, or a bare {' or '.join(taken)}"
        )
    return Given(takers[0].name, str(kind), body, ())


def _listed(
    parent: Resource, path: str, member: str = "parameter"
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    listed = parent.get(member, [])
    if not isinstance(listed, list):
        raise RequestError(f"{path}.{member}", "no list", "a list of parameters")
    for position, each in enumerate(listed):
        where = f"{path}.{member}[{position}]"
        if not isinstance(each, dict) or not isinstance(each.get("name"), str):
            raise RequestError(f"{where}.name", "nothing", "the parameter's name")
        yield where, each


def _given(written: Mapping[str, Any], where: str, known: Sequence[OperationParameter]) -> Given:
    parameter = next((each for each in known if each.name == written["name"]), None)
    if parameter is None:
        names = ", ".join(each.name for each in known)
        raise RequestError(f"{where}.name", repr(written["name"][:40]), f"one of {names}")
    if parameter.parts:
        parts = tuple(_given(each, at, parameter.parts) for at, each in _listed(written, where, "part"))
        return Given(parameter.name, where, None, _checked(parts, parameter.parts, where).given)
    member = _member(written, where)
    value = written[member]
    at = f"{where}.{member}"
    if problem := fault(str(parameter.type), member, value):
        raise RequestError(at, problem, f"a {parameter.type}")
    return Given(parameter.name, at, value, ())


def _member(written: Mapping[str, Any], where: str) -> str:
    """The one member that holds the value."""
    holding = [name for name in written if name == "resource" or name.startswith("value")]
    if len(holding) != 1:
        raise RequestError(where, f"{len(holding)} values", "one value[x] or resource")
    return holding[0]


def _checked(given: tuple[Given, ...], known: Sequence[OperationParameter], where: str) -> Inputs:
    """As often as each may and must be given."""
    for parameter in known:
        found = [each for each in given if each.name == parameter.name]
        if len(found) < parameter.least:
            raise RequestError(where, "nothing", f"the parameter {parameter.name}")
        if parameter.most != MANY and len(found) > int(parameter.most):
            expected = f"{parameter.name} at most {parameter.most} time"
            raise RequestError(found[int(parameter.most)].where, "one more of it", expected)
    return Inputs(given)
