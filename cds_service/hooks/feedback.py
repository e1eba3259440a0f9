"""CDS Hooks feedback as it comes: what clinicians did with our cards.

Source: https://cds-hooks.hl7.org/2.0/#feedback
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cds_service.errors import RequestError
from cds_service.record.resources import members, text

ACCEPTED, OVERRIDDEN = "accepted", "overridden"
MOST_ITEMS = 200
_LONGEST_COMMENT = 4_096
_LONGEST = 256


@dataclass(frozen=True)
class Feedback:
    """What became of one card. ``accepted_suggestions`` are uuids; ``reason`` is a code with its system, if any."""

    card: str
    outcome: str
    outcome_timestamp: datetime
    accepted_suggestions: tuple[str, ...]
    reason_system: str | None
    reason_code: str | None
    user_comment: str | None


def feedback_items(body: object) -> tuple[Feedback, ...]:
    """The feedback in a parsed JSON body. RequestError says of the first item that cannot be read, where and why.

    Read leniently is what clients in use get wrong: a reason without its system, one reason instead of a Coding.
    """
    items = body.get("feedback") if isinstance(body, Mapping) else None
    if not isinstance(items, list):
        raise RequestError("feedback", "no list", "a list of what became of cards")
    if len(items) > MOST_ITEMS:
        raise RequestError("feedback", f"{len(items)} items", f"at most {MOST_ITEMS} in one request")
    return tuple(_item(f"feedback[{place}]", item) for place, item in enumerate(items))


def _item(where: str, item: object) -> Feedback:
    if not isinstance(item, Mapping):
        raise RequestError(where, "no object", "an object with card, outcome and outcomeTimestamp")
    outcome = text(item, "outcome")
    if outcome not in {ACCEPTED, OVERRIDDEN}:
        raise RequestError(f"{where}.outcome", _shown(outcome), f"{ACCEPTED} or {OVERRIDDEN}")
    reason = item.get("overrideReason") if outcome == OVERRIDDEN else None
    coding = reason.get("reason") if isinstance(reason, Mapping) else None
    return Feedback(
        card=_name(f"{where}.card", item.get("card")),
        outcome=outcome,
        outcome_timestamp=_moment(f"{where}.outcomeTimestamp", text(item, "outcomeTimestamp")),
        accepted_suggestions=_accepted(where, item) if outcome == ACCEPTED else (),
        reason_system=_short(text(coding, "system")),
        reason_code=_short(text(coding, "code")),
        user_comment=_comment(f"{where}.overrideReason.userComment", reason),
    )


def _accepted(where: str, item: Mapping[str, Any]) -> tuple[str, ...]:
    listed = [*members(item, "acceptedSuggestions")]
    if len(listed) > MOST_ITEMS:
        expected = f"at most {MOST_ITEMS}"
        raise RequestError(f"{where}.acceptedSuggestions", f"{len(listed)} suggestions", expected)
    return tuple(
        _name(f"{where}.acceptedSuggestions[{place}].id", each.get("id")) for place, each in enumerate(listed)
    )


def _name(where: str, value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST:
        raise RequestError(where, "no id", "the uuid that the card has")
    return value


def _moment(where: str, value: str | None) -> datetime:
    try:
        moment = datetime.fromisoformat(value or "")
        # The whole range of dates has no other clock to go by at its ends.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise RequestError(where, _shown(value), "a moment such as 2026-11-22T09:30:00Z") from None


def _comment(where: str, reason: object) -> str | None:
    comment = text(reason, "userComment")
    if comment is not None and len(comment) > _LONGEST_COMMENT:
        raise RequestError(where, f"{len(comment)} characters", f"at most {_LONGEST_COMMENT}")
    return comment


def _short(value: str | None) -> str | None:
    return value[:_LONGEST] if value else None


def _shown(value: str | None) -> str:
    return "nothing" if value is None else repr(value[:40])
