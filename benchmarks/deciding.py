"""Deciding by diagram beside evaluating the rules one by one: for every policy and all its cases, and by unknowns.

    python -m benchmarks.deciding

Prints for each policy how long its diagram takes to build, and, in microseconds once the findings are known: the walk
that finds every outcome still possible; a whole determination with its outstanding questions, asked before and for the
first time; and the alternative, trying every completion of the unknowns with the rules in order (medians over the cases;
the alternative only where there are at most 10,000 completions).

Then, for the policy with most criteria, the same by the number of its unknowns, in situations drawn at random, always
the same ones: median and, in brackets, the 10th and 90th percentile. With nothing unknown, the alternative is the rules
in order.
The alternative's conditions are Python closures made beforehand, over cells that are known: no reading, no parsing.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from math import prod

from benchmarks.figures import ROOT, percentile, write_down
from cds_service.policies.cases import read_cases
from cds_service.policies.conditions import Comparison, Condition
from cds_service.policies.determination import determination
from cds_service.policies.findings import Findings
from cds_service.policies.library import load_library
from cds_service.policies.loading.documents import Document
from cds_service.policies.loading.folder import build_diagram
from cds_service.policies.policy import Policy
from cds_service.policies.questions import Questions

Known = Sequence[int | None]
Holds = Callable[[Sequence[int]], bool]
UNKNOWNS = (0, 1, 2, 3, 5, 8, 10, 15, 20, 25, 30)
DRAWS = 40
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


def meaning(condition: Condition, policy: Policy) -> Holds:
    """A condition by its plain meaning, as a function of the criteria's cells."""
    if isinstance(condition, Comparison):
        level, criterion = next(
            (place, each) for place, each in enumerate(policy.criteria) if each.link_id == condition.criterion
        )
        cells = criterion.domain.cells_where(condition.operator, condition.value)
        return lambda known: cells[known[level]]
    parts = [meaning(operand, policy) for operand in condition.operands]
    match condition.operator:
        case "and":
            return lambda known: all(part(known) for part in parts)
        case "or":
            return lambda known: any(part(known) for part in parts)
        case "not":
            return lambda known: not parts[0](known)
        case "implies":
            return lambda known: not parts[0](known) or parts[1](known)
        case "xor":
            return lambda known: parts[0](known) != parts[1](known)
        case constant:
            return lambda _: constant == "true"


def in_order(policy: Policy) -> Callable[[Sequence[int]], int]:
    """Which rule wins when every criterion's cell is known, by trying the rules in order."""
    conditions = [
        (lambda _: True) if rule.logic is None else meaning(rule.logic, policy) for rule in policy.rules
    ]

    def winner(cells: Sequence[int]) -> int:
        return next(place for place, holds in enumerate(conditions) if holds(cells))

    return winner


def by_completions(policy: Policy, winner: Callable[[Sequence[int]], int], known: Known) -> set[int]:
    """The rules that some completion of the unknowns lets win, by trying all of them."""
    ranges = [
        range(criterion.domain.size) if cell is None else (cell,)
        for criterion, cell in zip(policy.criteria, known, strict=True)
    ]
    return {winner(cells) for cells in product(*ranges)}


def completions(policy: Policy, known: Known) -> int:
    """How many completions the unknowns have."""
    return prod(each.domain.size for each, cell in zip(policy.criteria, known, strict=True) if cell is None)


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
    winner = in_order(policy)
    for findings in situations(policy):
        known = [findings[criterion].cell for criterion in policy.criteria]
        questions = Questions(policy)
        first.append(microseconds(lambda f=findings, q=questions: determination(policy, f, q), repeats=1))  # type: ignore[misc]
        again.append(microseconds(lambda f=findings, q=questions: determination(policy, f, q)))  # type: ignore[misc]
        walking.append(microseconds(lambda k=known: policy.diagram.reachable_leaves(k.__getitem__)))  # type: ignore[misc]
        if completions(policy, known) <= MOST_COMPLETIONS:
            alternative.append(microseconds(lambda k=known: by_completions(policy, winner, k), repeats=1))  # type: ignore[misc]
    figures = [statistics.median(each) for each in (walking, again, first)]
    beside = (
        f"{statistics.median(alternative):12.0f} ({len(alternative)}/{len(first)} cases)"
        if alternative
        else "–"
    )
    size = f"{len(policy.rules):5} {len(policy.criteria):8} {len(policy.diagram):5} {building:9.1f} ms"
    return f"{policy.id:34} {size} {figures[0]:8.1f} {figures[1]:13.1f} {figures[2]:11.0f} {beside:>30}"


def drawn(policy: Policy, unknowns: int, draw: int) -> list[int | None]:
    """The cells of one situation with so many unknowns, the same for the same draw."""
    chance = random.Random(f"{policy.id} {unknowns} {draw}")  # noqa: S311  a repeatable draw, no secret
    left_open = set(chance.sample(range(len(policy.criteria)), unknowns))
    return [
        None if level in left_open else chance.randrange(criterion.domain.size)
        for level, criterion in enumerate(policy.criteria)
    ]


def by_unknowns(policy: Policy, unknowns: int) -> dict[str, list[float]]:
    """Microseconds over many situations: all possible rules, by walk and by completions; the questions, best first."""
    winner = in_order(policy)
    taken: dict[str, list[float]] = {"walk": [], "outstanding": [], "alternative": []}
    for draw in range(DRAWS):
        known = drawn(policy, unknowns, draw)
        by_walk = policy.diagram.reachable_leaves(known.__getitem__)
        taken["walk"].append(microseconds(lambda k=known: policy.diagram.reachable_leaves(k.__getitem__)))  # type: ignore[misc]
        cells, questions = (
            tuple((place, cell) for place, cell in enumerate(known) if cell is not None),
            Questions(policy),
        )
        taken["outstanding"].append(
            microseconds(lambda q=questions, c=cells: q.outstanding(c), repeats=1)  # type: ignore[misc]
        )
        if completions(policy, known) <= MOST_COMPLETIONS:
            assert by_completions(policy, winner, known) == by_walk
            taken["alternative"].append(
                microseconds(lambda k=known: by_completions(policy, winner, k), repeats=3)  # type: ignore[misc]
            )
    return {name: spread(values) for name, values in taken.items() if len(values) > DRAWS / 2}


def spread(values: Sequence[float]) -> list[float]:
    """Median, 10th and 90th percentile."""
    return [round(percentile(values, part), 1) for part in (0.5, 0.1, 0.9)]


def shown(figures: Sequence[float] | None) -> str:
    """One cell of the table; a dash where it was not measured."""
    return f"{figures[0]:.1f} ({figures[1]:.1f} to {figures[2]:.1f})" if figures else "–"


def main() -> None:
    """Print a line for each policy, then one for each number of unknowns, which are written down."""
    head = f"{'policy':34} {'rules':>5} {'criteria':>8} {'nodes':>5} {'build':>12}"
    print(
        f"{head} {'walk, µs':>8} {'determination':>13} {'first time':>11} {'every completion, rule by rule':>30}"
    )
    policies = load_library([ROOT / "plans"]).policies
    for policy in policies:
        print(row(policy))
    largest = max(policies, key=lambda each: len(each.criteria))
    print(f"{largest.id}, {len(largest.criteria)} criteria, µs")
    print(
        f"{'unknown':>7} {'possible outcomes, by walk':>30} {'by completions':>34} {'questions, first time':>34}"
    )
    rows = []
    for unknowns in UNKNOWNS:
        figures = by_unknowns(largest, unknowns)
        walk, alternative, asked = (
            shown(figures.get(name)) for name in ("walk", "alternative", "outstanding")
        )
        print(f"{unknowns:7} {walk:>30} {alternative:>34} {asked:>34}", flush=True)
        rows.append({"policy": largest.id, "unknowns": unknowns, **figures})
    write_down("deciding", "python -m benchmarks.deciding", rows)


if __name__ == "__main__":
    main()
