"""Which changes to a policy its cases do not notice. A case that notices a change is said to kill the mutant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from cds_service.authoring.difference import same_rules_win
from cds_service.authoring.mutants import Mutant, mutants
from cds_service.policies.cases import Case, run_case
from cds_service.policies.library import Library
from cds_service.policies.policy import Policy
from cds_service.policies.questions import Questions


@dataclass(frozen=True)
class MutationResult:
    """How many mutants the cases killed, those that none did, and how many change no decision and are not counted."""

    killed: int
    survivors: tuple[Mutant, ...]
    equivalent: int

    @property
    def counted(self) -> int:
        """The mutants that a case could have killed."""
        return self.killed + len(self.survivors)


def mutation_result(policy: Policy, cases: Iterable[Case], library: Library) -> MutationResult:
    """Run the cases on every mutant, each until one case fails. The cases must pass on the policy itself."""
    waiting = list(cases)
    killed = equivalent = 0
    survivors: list[Mutant] = []
    for mutant in mutants(policy):
        if is_equivalent(mutant, policy):
            equivalent += 1
        elif (killer := _killer(mutant, waiting, library)) is not None:
            killed += 1
            # What noticed this change is likely to notice the next, which is often in the same rule.
            waiting.insert(0, waiting.pop(killer))
        else:
            survivors.append(mutant)
    return MutationResult(killed, tuple(survivors), equivalent)


def is_equivalent(mutant: Mutant, policy: Policy) -> bool:
    """Whether a change to the rules leaves every decision as it was, by the same rule."""
    return mutant.kind in {"rule", "condition"} and same_rules_win(policy, mutant.policy)


def _killer(mutant: Mutant, cases: Iterable[Case], library: Library) -> int | None:
    """The place of the first case that fails on a mutant."""
    questions = {mutant.policy.canonical: Questions(mutant.policy)}
    within = replace(library, questions=questions)
    return next(
        (place for place, case in enumerate(cases) if run_case(case, mutant.policy, within).faults), None
    )
