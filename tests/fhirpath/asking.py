"""Short ways to ask: compile, evaluate, and a record to ask about."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cds_service.fhirpath import Environment, compile_expression

NOW = datetime(2026, 6, 30, 12, 0, tzinfo=UTC)


def ask(
    text: str,
    focus: Any = (),
    *,
    context: str | None = None,
    strict: bool = False,
    types: Mapping[str, str | None] | None = None,
    environment: Environment | None = None,
    **variables: Any,
) -> list[Any]:
    """The collection that ``text`` yields; variables without a type in ``types`` have none."""
    declared: dict[str, str | None] = {**dict.fromkeys(variables), **(types or {})}
    expression = compile_expression(text, context=context, variables=declared, strict=strict)
    return expression.evaluate(
        list(focus) if focus == () else focus, environment or Environment(NOW, variables)
    )


def value(number: float, code: str, **more: Any) -> dict[str, Any]:
    """A FHIR Quantity in a UCUM unit."""
    return {"value": number, "unit": code, "system": "http://unitsofmeasure.org", "code": code, **more}


def observation(quantity: dict[str, Any]) -> dict[str, Any]:
    """An Observation with this value."""
    return {"resourceType": "Observation", "status": "final", "valueQuantity": quantity}


def bundle(*resources: dict[str, Any]) -> dict[str, Any]:
    """A searchset."""
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "entry": [{"resource": resource} for resource in resources],
    }
