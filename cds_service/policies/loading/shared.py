"""What plans have in common: value sets of the same content, expressions and conditions of the same text, diagrams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cds_service.fhirpath import Expression, compile_expression
from cds_service.policies.conditions import Condition, read_condition
from cds_service.policies.diagram import Diagram
from cds_service.policies.domains import Domain
from cds_service.policies.loading.documents import Document
from cds_service.policies.loading.sound_parts import SoundParts
from cds_service.policies.recent import Recent

_MOST = 4_096
# A part that is remembered takes a few hundred bytes, and a large plan has hundreds.
_MOST_PARTS = 32_768
_SMALL_PART = 1_000

Types = Mapping[str, str | None]
_ExpressionKey = tuple[str, str, frozenset[tuple[str, str | None]], frozenset[str] | None]
# The criteria in order, and each rule's condition as its author wrote it.
DiagramKey = tuple[tuple[tuple[str, Domain], ...], tuple[str | None, ...]]
Codes = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Shared:
    """The parts of plans that were read last. All are immutable, and the same whichever plan they are read for.

    ``documents`` and ``codes`` (of value sets, in every spelling) are by the sha256 of the file's content.
    """

    documents: Recent[bytes, Document] = field(default_factory=lambda: Recent(_MOST))
    codes: Recent[bytes, Codes] = field(default_factory=lambda: Recent(_MOST))
    conditions: Recent[str, Condition] = field(default_factory=lambda: Recent(_MOST))
    diagrams: Recent[DiagramKey, Diagram] = field(default_factory=lambda: Recent(_MOST))
    expressions: Recent[_ExpressionKey, Expression] = field(default_factory=lambda: Recent(_MOST))
    sound_parts: SoundParts = field(default_factory=lambda: SoundParts(_MOST_PARTS, _SMALL_PART))

    def expression(
        self, text: str, context: str, types: Types, value_sets: frozenset[str] | None
    ) -> Expression:
        """The expression of a text, compiled strictly. FhirPathError when it is wrong."""
        return self.expressions.of(
            (text, context, frozenset(types.items()), value_sets),
            lambda: compile_expression(
                text, context=context, variables=types, strict=True, value_sets=value_sets
            ),
        )

    def condition(self, text: str) -> Condition:
        """The logic in a condition's text. FhirPathError when it is wrong."""
        return self.conditions.of(text, lambda: read_condition(text))
