"""policy × order × findings → a determination: an outcome, or what is still open and which questions settle it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from cds_service.policies.findings import ASKED, RECORD, Finding, Findings
from cds_service.policies.policy import (
    ADVICE,
    ELIGIBLE,
    IFR_REQUIRED,
    INFORMATION_NEEDED,
    Citation,
    Criterion,
    Outcome,
    Policy,
    Rule,
)
from cds_service.policies.questions import Questions

FINAL, UNDETERMINED = "final", "undetermined"


@dataclass(frozen=True)
class Determination:
    """What a policy says of an order.

    ``final``: ``outcome``, by ``rules`` (several only when all that can still win say the same; none when a completed
    form leaves the question open and it goes to individual review). ``undetermined``: ``possible`` outcomes, and the
    ``outstanding`` criteria, best question first. ``findings`` are those that the decision looked at. ``unmet``, of
    advice only: the criteria whose answers by themselves keep the advice standing.
    """

    policy: Policy
    status: str
    outcome: Outcome | None
    rules: tuple[Rule, ...]
    possible: tuple[Outcome, ...]
    outstanding: tuple[Criterion, ...]
    findings: tuple[Finding, ...]
    unmet: tuple[Criterion, ...] = ()

    @property
    def says_advice(self) -> bool:
        """Whether it is advice to be given: decided, or the position of an advice policy that is open."""
        outcome = self.outcome or self.policy.position.outcome
        return self.policy.is_advice and outcome == Outcome(ADVICE)

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The clauses of the rules, each once; of the policy's own position while nothing is decided."""
        rules = self.rules or (self.policy.position,)
        return tuple(dict.fromkeys(citation for rule in rules for citation in rule.citations))

    def finding(self, criterion: Criterion) -> Finding | None:
        """The finding on a criterion, if the decision looked at it."""
        return next((each for each in self.findings if each.criterion is criterion), None)


def determination(policy: Policy, findings: Findings, questions: Questions) -> Determination:
    """What the policy says, exactly: decided as soon as every completion of the unknowns gives the same outcome."""
    determined = _determination(policy, findings, questions)
    return replace(determined, unmet=_unmet(policy, findings)) if determined.says_advice else determined


def _determination(policy: Policy, findings: Findings, questions: Questions) -> Determination:
    leaves = policy.diagram.reachable_leaves(lambda level: findings[policy.criteria[level]].cell)
    rules = tuple(policy.rules[position] for position in sorted(leaves))
    outcomes = tuple(dict.fromkeys(rule.outcome for rule in rules))
    if len(outcomes) > 1:
        return _open(policy, findings, questions, outcomes)
    if outcomes[0].code == INFORMATION_NEEDED:
        return _waiting(policy, findings, rules)
    return Determination(policy, FINAL, outcomes[0], rules, (), (), findings.made())


def _open(
    policy: Policy, findings: Findings, questions: Questions, outcomes: tuple[Outcome, ...]
) -> Determination:
    outstanding = questions.outstanding(_known_cells(findings.made(), policy))
    if not policy.is_advice and all(findings[criterion].why == ASKED for criterion in outstanding):
        # Everything that could settle it was asked and is not known: that is for people to weigh.
        return Determination(policy, FINAL, Outcome(IFR_REQUIRED), (), (), (), findings.made())
    return Determination(policy, UNDETERMINED, None, (), outcomes, outstanding, findings.made())


def _waiting(policy: Policy, findings: Findings, rules: tuple[Rule, ...]) -> Determination:
    """The rule itself waits for a step or a document: what would cure it is outstanding."""
    mentioned = [each for each in policy.criteria if any(each.link_id in rule.criteria for rule in rules)]
    after = {each.link_id: _outcomes_without(policy, findings, each) for each in mentioned}
    cures = [each for each in mentioned if Outcome(ELIGIBLE) in after[each.link_id]] or [
        each for each in mentioned if len(after[each.link_id]) > 1
    ]
    possible = dict.fromkeys(outcome for each in cures for outcome in after[each.link_id])
    possible.pop(Outcome(INFORMATION_NEEDED), None)
    return Determination(policy, UNDETERMINED, None, rules, tuple(possible), tuple(cures), findings.made())


def _outcomes_without(policy: Policy, findings: Findings, left_out: Criterion) -> tuple[Outcome, ...]:
    """The outcomes that are possible when one criterion is taken for unknown."""
    leaves = policy.diagram.reachable_leaves(
        lambda level: None if policy.criteria[level] is left_out else findings[policy.criteria[level]].cell
    )
    return tuple(dict.fromkeys(policy.rules[position].outcome for position in sorted(leaves)))


def _unmet(policy: Policy, findings: Findings) -> tuple[Criterion, ...]:
    """The answered criteria that would keep the advice standing if nothing but the record's own facts were known."""
    answered = [each for each in findings.made() if each.cell is not None and each.origin != RECORD]
    return tuple(
        each.criterion
        for each in answered
        if _outcomes_with(policy, findings, each.criterion) == {policy.position.outcome}
    )


def _outcomes_with(policy: Policy, findings: Findings, answered: Criterion) -> set[Outcome]:
    """The outcomes that are possible when of all answers only this one is known."""
    leaves = policy.diagram.reachable_leaves(
        lambda level: _kept_cell(findings[policy.criteria[level]], policy.criteria[level] is answered)
    )
    return {policy.rules[position].outcome for position in leaves}


def _kept_cell(finding: Finding, keep: bool) -> int | None:
    return finding.cell if keep or finding.origin == RECORD else None


def _known_cells(findings: Iterable[Finding], policy: Policy) -> tuple[tuple[int, int], ...]:
    levels = {criterion.link_id: level for level, criterion in enumerate(policy.criteria)}
    return tuple(
        (levels[finding.criterion.link_id], finding.cell) for finding in findings if finding.cell is not None
    )
