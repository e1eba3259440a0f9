"""The Codings that a choice's expression makes, against the item's own options."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from cds_service.fhirpath import Expression, parse
from cds_service.fhirpath.ast import Call, Literal, Node, Variable, walk
from cds_service.policies.loading.documents import Document
from cds_service.record.resources import Resource, members, text


def check_made(document: Document, path: str, item: Resource, expression: Expression | None) -> None:
    """Where system and code of a ``%factory.Coding`` are written out, they must be those of one of the options.

    A code that only the record tells is checked when it is known; its system here.
    """
    codings = [option.get("valueCoding", {}) for option in members(item, "answerOption")]
    if expression is None or item["type"] != "choice" or not codings:
        return
    options = [(text(coding, "system"), text(coding, "code")) for coding in codings]
    for made in _made(expression.text):
        if not any(_agrees(made, option) for option in options):
            found = "|".join(part or "…" for part in made)
            raise document.problem(path, found, "a Coding of one of the item's options, by system and code")


@lru_cache(4_096)
def _made(text: str) -> tuple[tuple[str | None, str | None], ...]:
    """(system, code) of each Coding that an expression makes; None for what is not written out."""
    return tuple(_codings(parse(text)))


def _codings(root: Node) -> Iterator[tuple[str | None, str | None]]:
    for node in walk(root):
        match node:
            case Call(target=Variable(name="factory"), name="Coding", arguments=(system, code, *_)):
                yield _written(system), _written(code)


def _written(node: Node) -> str | None:
    return node.value if isinstance(node, Literal) and isinstance(node.value, str) else None


def _agrees(made: tuple[str | None, str | None], option: tuple[str | None, str | None]) -> bool:
    return all(part is None or part == its for part, its in zip(made, option, strict=True))
