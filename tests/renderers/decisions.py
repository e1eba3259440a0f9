"""What the service decides of an order when somebody's form comes with it."""

from __future__ import annotations

from typing import Any

import httpx

Json = dict[str, Any]
# The rest of a determination is this card's own id, and where each value was found.
_SAME = ("policy", "status", "outcome", "possibleOutcomes", "outstanding", "citations")


def decided(service: httpx.Client, hook: Json, form: Json | None) -> list[Json]:
    """The determinations of a hook request that shows this form and no other, and each criterion's value."""
    entries = [] if form is None else [{"resource": form}]
    shown = {"resourceType": "Bundle", "type": "searchset", "entry": entries}
    request = {**hook, "prefetch": {**hook["prefetch"], "questionnaireResponses": shown}}
    answer = service.post("/cds-services/procedure-funding", json=request)
    cards = answer.raise_for_status().json()["cards"]
    return [_decision(card["extension"]["cds-service.determination"]) for card in cards]


def disagreements(one: list[Json], other: list[Json]) -> list[str]:
    """Where two decisions of one order differ: in what is decided, or in the value of a criterion that both looked at.

    Which criteria were looked at besides depends on where each value was found.
    """
    if len(one) != len(other):
        return [f"{len(one)} cards, {len(other)} cards"]
    found = []
    for first, second in zip(one, other, strict=True):
        found += [f"{name}: {first[name]}, {second[name]}" for name in _SAME if first[name] != second[name]]
        values, others = first["values"], second["values"]
        both = [name for name in values if name in others]
        found += [f"{name}: {values[name]}, {others[name]}" for name in both if values[name] != others[name]]
    return found


def errors(service: httpx.Client, form: Json) -> list[str]:
    """What ``QuestionnaireResponse/$validate`` says is wrong with a form."""
    answer = service.post("/fhir/QuestionnaireResponse/$validate", json=form)
    issues = answer.raise_for_status().json()["issue"]
    return [
        f"{issue.get('expression')}: {issue.get('diagnostics')}"
        for issue in issues
        if issue["severity"] in {"error", "fatal"}
    ]


def _decision(determination: Json) -> Json:
    values = {each["criterion"]: each.get("value") for each in determination["findings"]}
    return {**{name: determination.get(name) for name in _SAME}, "values": values}
