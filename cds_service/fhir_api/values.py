"""Values of operation parameters: whether one is of the type that is wanted, and one read from a query."""

from __future__ import annotations

from typing import Any

from cds_service.errors import RequestError

_WORDS = frozenset({"canonical", "code", "date", "dateTime", "id", "string", "uri", "url"})
_NUMBERS = frozenset({"decimal", "integer"})
_DATATYPES = frozenset({"CodeableConcept", "Coding", "Identifier", "Reference"})
_MOST_SHOWN = 40


def fault(wanted: str, member: str, value: object) -> str | None:
    """What is wrong with a value under ``member`` (``valueUri``, ``resource``) where a type is wanted, if anything.

    Kinds of words pass for one another (``valueUri`` for a canonical), and a Reference for the words of one; senders
    differ in that, and nothing depends on it.
    """
    if wanted in _WORDS:
        return _fault_of_words(member, value)
    if wanted == "boolean":
        return None if member == "valueBoolean" and isinstance(value, bool) else _shown(member, value)
    if wanted in _NUMBERS:
        return None if _is_number(wanted, member, value) else _shown(member, value)
    if wanted in _DATATYPES:
        return None if member == f"value{wanted}" and isinstance(value, dict) else _shown(member, value)
    if wanted == "Any":
        return None if isinstance(value, dict) else _shown(member, value)
    return _fault_of_resource(wanted, member, value)


def from_text(wanted: str, text: str, where: str) -> str | bool | int:
    """A simple value as a query writes it. RequestError when it is not of the type."""
    if wanted == "boolean":
        if text not in {"true", "false"}:
            raise RequestError(where, repr(text[:_MOST_SHOWN]), "true or false")
        return text == "true"
    if wanted == "integer":
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdecimal() and len(digits) <= 9):
            raise RequestError(where, repr(text[:_MOST_SHOWN]), "an integer")
        return int(text)
    if not text:
        raise RequestError(where, "nothing", f"a {wanted}")
    return text


def _fault_of_words(member: str, value: object) -> str | None:
    if member == "valueReference":
        reference = value.get("reference") if isinstance(value, dict) else None
        return None if isinstance(reference, str) else "a Reference without reference"
    kind = member.removeprefix("value")
    fits = kind[:1].lower() + kind[1:] in _WORDS and isinstance(value, str) and bool(value)
    return None if fits else _shown(member, value)


def _is_number(wanted: str, member: str, value: object) -> bool:
    if isinstance(value, bool) or member.removeprefix("value").lower() not in {
        *_NUMBERS,
        "positiveint",
        "unsignedint",
    }:
        return False
    return isinstance(value, int) or (wanted == "decimal" and isinstance(value, float))


def _fault_of_resource(wanted: str, member: str, value: object) -> str | None:
    kind = value.get("resourceType") if isinstance(value, dict) else None
    if member != "resource" or not isinstance(kind, str):
        return _shown(member, value)
    return None if wanted in {"Resource", kind} else f"a {kind[:_MOST_SHOWN]}"


def _shown(member: str, value: Any) -> str:
    """What was found, by its kind alone: a value may be a patient's."""
    kind = value.get("resourceType") if isinstance(value, dict) else None
    return f"{member} holding {f'a {kind}' if isinstance(kind, str) else type(value).__name__}"
