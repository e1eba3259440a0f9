"""policy × order × findings → a determination: an outcome, or what is still open and which questions settle it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from cds_service.policies.findings import ASKED, RECORD, Finding, KnownFindings
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
# How many criteria are tried together as the cure of a rule that waits; beyond, all of them are named.
_MOST_CURES = 3


@dataclass(frozen=True)
class Determination:
    """What a policy says of an order.

    ``final``: ``outcome``, by ``rules`` (several only when all that can still win say the same; none when a completed
    form leaves the question open and it goes to individual review). ``undetermined``: ``possible`` outcomes, and the
    ``outstanding`` criteria, best question first. ``findings`` are those that the decision looked at. ``position`` is
    what holds unless something is shown: the last rule that can still decide. ``unmet``, of advice only: the criteria
    whose answers keep the advice standing.
    """

    policy: Policy
    status: str
    outcome: Outcome | None
    rules: tuple[Rule, ...]
    possible: tuple[Outcome, ...]
    outstanding: tuple[Criterion, ...]
    findings: tuple[Finding, ...]
    position: Rule
    unmet: tuple[Criterion, ...] = ()

    @property
    def says_advice(self) -> bool:
        """Whether it is advice to be given: decided, or the position of an advice policy that is open."""
        outcome = self.outcome or self.policy.position.outcome
        return self.policy.is_advice and outcome == Outcome(ADVICE)

    @property
    def speaking(self) -> tuple[Rule, ...]:
        """The rules in whose words it is told: those that decide, or the position while none does."""
        return self.rules or (self.position,)

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The clauses of the rules that speak, each once."""
        return tuple(dict.fromkeys(citation for rule in self.speaking for citation in rule.citations))

    def finding(self, criterion: Criterion) -> Finding | None:
        """The finding on a criterion, if the decision looked at it."""
        return next((each for each in self.findings if each.criterion is criterion), None)


def determination(policy: Policy, findings: KnownFindings, questions: Questions) -> Determination:
    """What the policy says, exactly: decided as soon as every completion of the unknowns gives the same outcome."""
    determined = _determination(policy, findings, questions)
    return _with_what_is_missing(determined, findings, questions) if determined.says_advice else determined


def _determination(policy: Policy, findings: KnownFindings, questions: Questions) -> Determination:
    leaves = policy.diagram.reachable_leaves(lambda level: findings[policy.criteria[level]].cell)
    rules = tuple(policy.rules[position] for position in sorted(leaves))
    outcomes = tuple(dict.fromkeys(rule.outcome for rule in rules))
    if len(outcomes) > 1:
        return _open(policy, findings, questions, rules)
    if outcomes[0].code == INFORMATION_NEEDED:
        return _waiting(policy, findings, rules)
    return Determination(policy, FINAL, outcomes[0], rules, (), (), findings.made(), rules[-1])


def _open(
    policy: Policy, findings: KnownFindings, questions: Questions, rules: tuple[Rule, ...]
) -> Determination:
    outstanding = questions.outstanding(_known_cells(findings.made(), policy))
    position = policy.position if policy.is_advice else rules[-1]
    if not policy.is_advice and all(findings[criterion].why == ASKED for criterion in outstanding):
        # Everything that could settle it was asked and is not known: that is for people to weigh.
        return Determination(policy, FINAL, Outcome(IFR_REQUIRED), (), (), (), findings.made(), position)
    possible = tuple(dict.fromkeys(rule.outcome for rule in rules))
    return Determination(policy, UNDETERMINED, None, (), possible, outstanding, findings.made(), position)


def _waiting(policy: Policy, findings: KnownFindings, rules: tuple[Rule, ...]) -> Determination:
    """The rule itself waits for a step or a document: what would cure it is outstanding."""
    named = frozenset().union(*(rule.criteria for rule in rules))
    open_to_change = [
        each for each in policy.criteria if each.link_id in named and findings[each].origin != RECORD
    ]
    cures = _cures(policy, findings, open_to_change)
    possible = [
        each for each in _outcomes_without(policy, findings, cures) if each.code != INFORMATION_NEEDED
    ]
    return Determination(
        policy, UNDETERMINED, None, rules, tuple(possible), cures, findings.made(), rules[-1]
    )


def _cures(policy: Policy, findings: KnownFindings, candidates: Sequence[Criterion]) -> tuple[Criterion, ...]:
    """The fewest criteria whose change together makes *eligible* possible, or else any other outcome; ties all count."""

    def fewest(wanted: Callable[[tuple[Outcome, ...]], bool]) -> tuple[Criterion, ...]:
        if not wanted(_outcomes_without(policy, findings, candidates)):
            return ()
        for count in range(1, min(_MOST_CURES, len(candidates)) + 1):
            groups = combinations(candidates, count)
            cures = {
                criterion.link_id
                for group in groups
                if wanted(_outcomes_without(policy, findings, group))
                for criterion in group
            }
            if cures:
                return tuple(each for each in candidates if each.link_id in cures)
        return tuple(candidates)

    return fewest(lambda outcomes: Outcome(ELIGIBLE) in outcomes) or fewest(
        lambda outcomes: len(outcomes) > 1
    )


def _outcomes_without(
    policy: Policy, findings: KnownFindings, left_out: Sequence[Criterion]
) -> tuple[Outcome, ...]:
    """The outcomes that are possible when some criteria are taken for unknown."""
    unknown = {each.link_id for each in left_out}
    leaves = policy.diagram.reachable_leaves(
        lambda level: (
            None if policy.criteria[level].link_id in unknown else findings[policy.criteria[level]].cell
        )
    )
    return tuple(dict.fromkeys(policy.rules[position].outcome for position in sorted(leaves)))


def _with_what_is_missing(
    determined: Determination, findings: KnownFindings, questions: Questions
) -> Determination:
    """Advice with the answers that keep it standing as ``unmet``, and with what is still unknown beside them.

    Answers are taken in the Questionnaire's order, in which a question that opens others stands before them: one is
    unmet when with it, and the answers taken before, nothing but the advice is possible any more.
    """
    policy = determined.policy
    cells = {level: findings[criterion].cell for level, criterion in enumerate(policy.criteria)}
    taken = {
        level: cell for level, cell in cells.items() if findings[policy.criteria[level]].origin == RECORD
    }
    unmet: list[int] = []
    for level, cell in cells.items():
        if level in taken or cell is None:
            continue
        leaves = policy.diagram.reachable_leaves({**taken, level: cell}.get)
        if {policy.rules[position].outcome for position in leaves} == {policy.position.outcome}:
            unmet.append(level)
        else:
            taken[level] = cell
    known = tuple((level, cell) for level, cell in sorted(taken.items()) if cell is not None)
    refused = tuple(policy.criteria[level] for level in unmet)
    outstanding = tuple(each for each in questions.outstanding(known) if each not in refused)
    return replace(determined, outstanding=outstanding, unmet=refused, findings=findings.made())


def _known_cells(findings: Iterable[Finding], policy: Policy) -> tuple[tuple[int, int], ...]:
    levels = policy.levels
    cells = [(levels[finding.criterion.link_id], finding.cell) for finding in findings]
    return tuple([(level, cell) for level, cell in cells if cell is not None])
