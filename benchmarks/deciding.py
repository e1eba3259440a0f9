"""Deciding by diagram beside evaluating the rules one by one, for every policy and all its cases.

    python benchmarks/deciding.py

Prints for each policy how long its diagram takes to build, and, in microseconds once the findings are known: the walk
that finds every outcome still possible; a whole determination with its outstanding questions, asked before and for the
first time; and the alternative, trying every completion of the unknowns with the rules in order (medians over the cases;
the alternative only where there are at most 10,000 completions).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from math import prod
from pathlib import Path

from cds_service.policies.cases import read_cases
from cds_service.policies.conditions import Comparison, Condition
from cds_service.policies.determination import determination
from cds_service.policies.findings import Findings
from cds_service.policies.library import load_library
from cds_service.policies.loading.documents import Document
from cds_service.policies.loading.folder import build_diagram
from cds_service.policies.policy import Policy
from cds_service.policies.questions import Questions

ROOT = Path(__file__).parents[1]
MOST_COMPLETIONS = 10_000
REPEATS = 5


def microseconds(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """The median of some runs."""
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        taken.append((time.perf_counter() - started) * 1e6)
    return statistics.median(taken)


def holds(condition: Condition, cells: dict[str, int], policy: Policy) -> bool:
    """A condition by its plain meaning."""
    if isinstance(condition, Comparison):
        domain = next(each.domain for each in policy.criteria if each.link_id == condition.criterion)
        return domain.cells_where(condition.operator, condition.value)[cells[condition.criterion]]
    parts = (holds(operand, cells, policy) for operand in condition.operands)
    match condition.operator:
        case "and":
            return all(parts)
        case "or":
            return any(parts)
        case "not":
            return not next(parts)
        case "implies":
            return not next(parts) or next(parts)
        case "xor":
            return next(parts) != next(parts)
        case constant:
            return constant == "true"


def by_completions(policy: Policy, known: Sequence[int | None]) -> set[int]:
    """The rules that some completion of the unknowns lets win, by trying all of them."""
    names = [criterion.link_id for criterion in policy.criteria]
    ranges = [
        range(criterion.domain.size) if cell is None else (cell,)
        for criterion, cell in zip(policy.criteria, known, strict=True)
    ]
    return {
        next(
            place
            for place, rule in enumerate(policy.rules)
            if rule.logic is None or holds(rule.logic, dict(zip(names, cells, strict=True)), policy)
        )
        for cells in product(*ranges)
    }


def situations(policy: Policy) -> Iterator[Findings]:
    """The findings of every case to which the policy applies, all made beforehand."""
    for case in read_cases(policy.folder):
        if "applies" not in case.expect:
            findings = Findings(policy, case.situation)
            for criterion in policy.criteria:
                findings[criterion]
            yield findings


def row(policy: Policy) -> str:
    """The figures of one policy."""
    document = Document(policy.folder, policy.plan)
    building = microseconds(lambda: build_diagram(document, policy.criteria, policy.rules), repeats=3) / 1000
    walking, again, first, alternative = [], [], [], []
    for findings in situations(policy):
        known = [findings[criterion].cell for criterion in policy.criteria]
        questions = Questions(policy)
        first.append(microseconds(lambda f=findings, q=questions: determination(policy, f, q), repeats=1))  # type: ignore[misc]
        again.append(microseconds(lambda f=findings, q=questions: determination(policy, f, q)))  # type: ignore[misc]
        walking.append(microseconds(lambda k=known: policy.diagram.reachable_leaves(k.__getitem__)))  # type: ignore[misc]
        sizes = (each.domain.size for each, cell in zip(policy.criteria, known, strict=True) if cell is None)
        if prod(sizes) <= MOST_COMPLETIONS:
            alternative.append(microseconds(lambda k=known: by_completions(policy, k), repeats=1))  # type: ignore[misc]
    figures = [statistics.median(each) for each in (walking, again, first)]
    beside = (
        f"{statistics.median(alternative):12.0f} ({len(alternative)}/{len(first)} cases)"
        if alternative
        else "–"
    )
    size = f"{len(policy.rules):5} {len(policy.criteria):8} {len(policy.diagram):5} {building:9.1f} ms"
    return f"{policy.id:34} {size} {figures[0]:8.1f} {figures[1]:13.1f} {figures[2]:11.0f} {beside:>30}"


def main() -> None:
    """Print a line for each policy."""
    head = f"{'policy':34} {'rules':>5} {'criteria':>8} {'nodes':>5} {'build':>12}"
    print(
        f"{head} {'walk, µs':>8} {'determination':>13} {'first time':>11} {'every completion, rule by rule':>30}"
    )
    for policy in load_library([ROOT / "plans"]).policies:
        print(row(policy))


if __name__ == "__main__":
    main()
