"""Two versions of a policy: each loaded by itself, and what changed from one to the other, as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from cds_service.authoring.changes import changes
from cds_service.authoring.difference import Comparison, Decision, Difference, SharedCriterion, compared
from cds_service.errors import PlansError
from cds_service.policies.domains import said
from cds_service.policies.loading.directory import read_directory
from cds_service.policies.loading.documents import Problems
from cds_service.policies.loading.folder import PlanFolder, read_folder
from cds_service.policies.policy import Policy

UNDECIDED = "cannot be asked"


def policy_in(folder: Path, plans: Path | None = None) -> Policy:
    """The policy in one folder, with the ``organizations.json`` of ``plans`` or of the folder around it.

    PlansError with every problem.
    """
    problems = Problems()
    whole = folder.resolve()
    directory = read_directory([plans or whole.parent], None, problems)
    policy = read_folder(PlanFolder(whole), directory, problems)
    if policy is None or problems.found:
        raise PlansError(problems.found)
    return policy


def differences_told(before: Policy, after: Policy) -> tuple[str, bool]:
    """What differs, as text; and whether any situation has another outcome."""
    comparison = compared(before, after)
    of_outcome = [each for each in comparison.differences if each.of_outcome]
    of_rule = [each for each in comparison.differences if not each.of_outcome]
    also = list(changes(before, after))
    lines = [f"{before.id} {before.version} → {after.id} {after.version}"]
    lines += _section("DECIDED DIFFERENTLY", of_outcome, comparison)
    lines += _section("SAME OUTCOME BY ANOTHER RULE", of_rule, comparison)
    lines += [
        "",
        "ALSO CHANGED  a proof, a code or an assumed value changes what is known, and so what is decided",
    ]
    lines += [f"  {each}" for each in also] or ["  nothing"]
    return "\n".join(lines) + "\n", bool(of_outcome)


def _section(title: str, differences: Iterable[Difference], comparison: Comparison) -> Iterator[str]:
    found = list(differences)
    told = sum(each.situations for each in found)
    yield ""
    yield (
        f"{title}  in {told} of {comparison.situations} combinations of values"
        if found
        else f"{title}  never"
    )
    for each in found:
        yield f"  {_decision(each.before)} → {_decision(each.after)}  ({each.situations} combinations)"
        yield "    for example a patient with:"
        for criterion, value in each.example:
            yield f"      {criterion.criterion.name}: {said(criterion.domain, value)}{_whose(criterion)}"
        if not each.example:
            yield "      whatever values"


def _decision(decision: Decision) -> str:
    if decision.outcome is None:
        return UNDECIDED
    target = decision.outcome.redirect_to
    outcome = decision.outcome.code if target is None else f"{decision.outcome.code} to {target}"
    return f"{outcome} ({decision.rule})"


def _whose(shared: SharedCriterion) -> str:
    """Which version looks at the criterion, when it is only one."""
    if shared.before is None:
        return "  [not asked before]"
    return "" if shared.after is not None else "  [no longer asked]"
