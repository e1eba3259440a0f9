"""A decision as a person reads it afterwards: what was said, on which facts, and what would have changed it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cds_service.explaining import Change, Difference, changes, redetermined
from cds_service.hooks.words import OUTCOME_WORDS
from cds_service.policies.determination import Determination
from cds_service.policies.library import Library
from cds_service.record.dates import date_in_words
from cds_service.store.entries import DecisionEntry
from cds_service.web.templating import rendered
from cds_service.web.verdicts import Verdict, verdict


@dataclass(frozen=True)
class ToldDecision:
    """One card's determination: its verdict, the policies that sent the order on to it, what would have changed it."""

    policy: str
    order: str | None
    verdict: Verdict
    sent_on_by: tuple[str, ...]
    changes: tuple[str, ...]
    same: bool


def decision_page(entry: DecisionEntry, library: Library) -> str:
    """A decision of the log, as HTML. What is known of sensitive questions is not shown."""
    again = [*redetermined(entry, library)]
    return rendered(
        "decision.html",
        {
            "entry": entry,
            "at": date_in_words(entry.at.isoformat()),
            "same_set": entry.plan_set == library.digest,
            "decisions": [
                ToldDecision(
                    f"{each.determination.policy.title}, version {each.determination.policy.version}",
                    each.told.get("order"),
                    verdict(_without_sensitive(each.determination)),
                    tuple(passed.policy.title for passed in each.redirected_from),
                    tuple(_change_in_words(change) for change in changes(each.determination)),
                    each.told.get("outcome") == each.extension.get("outcome"),
                )
                for each in again
                if not isinstance(each, Difference)
            ],
            "gone": [each.told for each in again if isinstance(each, Difference)],
        },
    )


def _without_sensitive(determined: Determination) -> Determination:
    shown = tuple(each for each in determined.findings if not each.criterion.sensitive)
    return replace(determined, findings=shown)


def _change_in_words(change: Change) -> str:
    facts = " and ".join(
        f"{criterion.name}: {'another value' if criterion.sensitive else value}"
        for criterion, value in change.facts
    )
    outcomes = " or ".join(OUTCOME_WORDS[each.code] for each in change.outcomes)
    return f"{facts} – then {outcomes}"
