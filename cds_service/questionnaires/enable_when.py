"""The conditions of enableWhen, against the answers of the question that they name.

Source: https://hl7.org/fhir/R4/valueset-questionnaire-enable-operator.html
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Any

from cds_service.questionnaires.answer_values import compared, equal
from cds_service.questionnaires.sight import Launch

OPERATORS = frozenset({"exists", "=", "!=", ">", "<", ">=", "<="})
_ORDER_OF = {">": (1,), "<": (-1,), ">=": (1, 0), "<=": (-1, 0)}


def fulfils(
    operator: str, kind: str, wanted: Any, answers: Sequence[tuple[str, Any]], launch: Launch
) -> bool:
    """Whether the answers fulfil one enableWhen. ``!=`` holds when no answer is equal, so also when there is none."""
    if operator == "exists":
        return bool(answers) is wanted
    zone = launch.now.tzinfo or UTC

    def same(value: Any) -> bool:
        if kind in {"Coding", "Reference", "Boolean"}:
            return equal(value, wanted)
        return compared(kind, value, wanted, zone) == 0

    if operator in {"=", "!="}:
        return any(same(value) for _, value in answers) is (operator == "=")
    return any(compared(kind, value, wanted, zone) in _ORDER_OF[operator] for _, value in answers)
