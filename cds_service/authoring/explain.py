"""A policy on a page of text: its rules, the same as a decision table, its questions, and which are asked first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from textwrap import wrap

from cds_service.authoring.condition_text import in_words
from cds_service.authoring.tables import table
from cds_service.policies.diagram import Ref, leaf_value
from cds_service.policies.domains import BooleanDomain, ChoiceDomain, NumberDomain, SeveralChoicesDomain, said
from cds_service.policies.policy import Criterion, Policy, Rule
from cds_service.policies.questions import Questions

WIDTH = 110
# Beyond so many criteria a table is too wide, and each way to a rule is written as a line.
_COLUMNS = 7
# A rule is shown in at most so many ways.
_WAYS = 20
_ANY = "–"

# Which cells of which criterion (by level) lead along a way.
Cells = tuple[tuple[int, tuple[int, ...]], ...]


@dataclass(frozen=True)
class Way:
    """One way through the diagram to a rule (by position): the cells that lead there, of each criterion looked at."""

    rule: int
    cells: Cells


def explained(policy: Policy) -> str:
    """The whole page."""
    parts = (_heading(policy), _rules(policy), _decisions(policy), _criteria(policy), _asked_first(policy))
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def ways(policy: Policy) -> list[Way]:
    """All ways to the rules, no two of which hold together; those that differ in one criterion are taken together."""
    found = list(_paths(policy))
    while len(fewer := _joined(policy, found)) < len(found):
        found = fewer
    return found


def _joined(policy: Policy, found: list[Way]) -> list[Way]:
    for level in sorted(policy.diagram.support()):
        alike: dict[tuple[int, bool, Cells], set[int]] = {}
        for way in found:
            rest = tuple(pair for pair in way.cells if pair[0] != level)
            here = dict(way.cells).get(level, ())
            alike.setdefault((way.rule, not here, rest), set()).update(here)
        size = policy.criteria[level].domain.size
        found = [
            Way(rule, rest if free or len(cells) == size else _with(rest, level, cells))
            for (rule, free, rest), cells in alike.items()
        ]
    return found


def _with(rest: Cells, level: int, cells: Iterable[int]) -> Cells:
    return tuple(sorted((*rest, (level, tuple(sorted(cells))))))


def _paths(policy: Policy) -> Iterator[Way]:
    def below(ref: Ref, cells: Cells) -> Iterator[Way]:
        if ref < 0:
            yield Way(leaf_value(ref), cells)
            return
        level, children = policy.diagram.at(ref)
        for child in dict.fromkeys(children):
            same = tuple(cell for cell, each in enumerate(children) if each == child)
            yield from below(child, (*cells, (level, same)))

    return below(policy.diagram.root, ())


def in_cells(criterion: Criterion, cells: Sequence[int]) -> str:
    """Several cells of a criterion, options by their codes: "sculptra or radiesse", "not sculptra", "3 or more"."""
    domain = criterion.domain
    if isinstance(domain, NumberDomain):
        return " or ".join(_ranges(domain, cells))
    others = [cell for cell in range(domain.size) if cell not in cells]
    if len(others) == 1 and len(cells) > 1:
        return f"not {_code(criterion, others[0])}"
    return " or ".join(_code(criterion, cell) for cell in cells)


def _code(criterion: Criterion, cell: int) -> str:
    domain = criterion.domain
    if isinstance(domain, SeveralChoicesDomain):
        chosen = [code for place, code in enumerate(domain.codes) if cell >> place & 1]
        return "+".join(chosen) or "nothing"
    return domain.codes[cell] if isinstance(domain, ChoiceDomain) else domain.label(cell)


def _ranges(domain: NumberDomain, cells: Sequence[int]) -> Iterator[str]:
    """Neighbouring cells as one range of numbers."""
    for _, run in groupby(enumerate(cells), key=lambda pair: pair[1] - pair[0]):
        neighbours = [cell for _, cell in run]
        first, last = neighbours[0], neighbours[-1]
        ends = [place for place in (first - 1, last) if 0 <= place < len(domain.cuts)]
        whole_range = replace(domain, cuts=tuple(domain.cuts[place] for place in ends))
        yield whole_range.label(1 if first else 0)


def _heading(policy: Policy) -> Iterator[str]:
    yield from _indented(policy.title, 2, "")
    period = f"from {policy.starts or 'always'} to {policy.ends or 'further notice'}"
    yield f"{policy.id} {policy.version}, in force {period}"
    yield f"commissioner: {policy.commissioner_name or 'none, it applies to every patient'}"
    source = (
        f"source: {policy.source.label} – {policy.source.display or policy.source.url or 'no description'}"
    )
    yield from _indented(source, 2, "")


def _rules(policy: Policy) -> Iterator[str]:
    yield "RULES  the first that holds decides"
    criteria = {criterion.link_id: criterion for criterion in policy.criteria}
    for number, rule in enumerate(policy.rules, start=1):
        yield from _indented(f"{rule.id} → {_outcome(rule)}  [{_clauses(rule)}]", 5, f"{number:3}. ")
        when = "in every other case" if rule.logic is None else f"when {in_words(rule.logic, criteria)}"
        yield from _indented(when, 5)
        yield from _indented(f"“{rule.title}”", 5)


def _decisions(policy: Policy) -> Iterator[str]:
    yield f"DECISION TABLE  exactly one row holds; {_ANY}: does not matter"
    found = ways(policy)
    levels = sorted(policy.diagram.support())
    if len(levels) <= _COLUMNS:
        yield from _as_table(policy, levels, found)
    else:
        yield from _as_lines(policy, found)


def _as_table(policy: Policy, levels: Sequence[int], found: Iterable[Way]) -> Iterator[str]:
    head = [*(policy.criteria[level].name for level in levels), "Outcome", "Rule", "Clauses"]
    rows = []
    for way in sorted(found, key=lambda way: way.rule):
        cells, rule = dict(way.cells), policy.rules[way.rule]
        told = [
            in_cells(policy.criteria[level], cells[level]) if level in cells else _ANY for level in levels
        ]
        rows.append([*told, _outcome(rule), rule.id, _clauses(rule)])
    return table(head, rows, WIDTH)


def _as_lines(policy: Policy, found: Iterable[Way]) -> Iterator[str]:
    by_rule: dict[int, list[Way]] = {}
    for way in found:
        by_rule.setdefault(way.rule, []).append(way)
    for position, its_ways in sorted(by_rule.items()):
        rule = policy.rules[position]
        yield from _indented(f"{_outcome(rule)}, by {rule.id}  [{_clauses(rule)}]", 2, "")
        for way in its_ways[:_WAYS]:
            told = (
                f"{policy.criteria[level].name}: {in_cells(policy.criteria[level], cells)}"
                for level, cells in way.cells
            )
            yield from _indented("; ".join(told), 4, "  · ")
        if len(its_ways) > _WAYS:
            yield f"    and in {len(its_ways) - _WAYS} more ways"


def _criteria(policy: Policy) -> Iterator[str]:
    yield "QUESTIONS"
    for criterion in policy.criteria:
        heading = f"{criterion.link_id}: {criterion.name}  [{', '.join(criterion.clauses)}]"
        yield from _indented(heading, 4, "  ")
        yield from _indented(criterion.text, 6)
        yield from _indented(f"{_known(criterion)}; {_told_apart(criterion)}", 6)


def _known(criterion: Criterion) -> str:
    """How the value comes to be known."""
    reads = f" ({', '.join(sorted(criterion.queries))})" if criterion.queries else ""
    first = f"the record may prove it{reads}; else " if criterion.proof else ""
    if criterion.assumed is None:
        return f"{first}asked"
    return f"{first}assumed {said(criterion.domain, criterion.assumed)} until somebody says otherwise"


def _told_apart(criterion: Criterion) -> str:
    domain = criterion.domain
    if isinstance(domain, BooleanDomain):
        return "yes or no"
    if isinstance(domain, NumberDomain):
        return f"told apart: {', '.join(domain.label(cell) for cell in range(domain.size))}"
    options = zip(getattr(domain, "codes", ()), getattr(domain, "displays", ()), strict=True)
    several = "any of " if isinstance(domain, SeveralChoicesDomain) else ""
    return several + ", ".join(f"{code} (“{display}”)" for code, display in options)


def _asked_first(policy: Policy) -> Iterator[str]:
    """What is outstanding when nothing is known, and after each answer to the first question."""
    yield "WHAT IS ASKED  with everything assumed that may be, and nothing from the record"
    questions = Questions(policy)
    assumed = {
        level: criterion.domain.cell(criterion.assumed)
        for level, criterion in enumerate(policy.criteria)
        if criterion.assumed is not None
    }
    yield from _indented(f"nothing answered: {_open(policy, questions, assumed)}", 4, "  ")
    for first in questions.outstanding(tuple(sorted(assumed.items())))[:1]:
        level = policy.criteria.index(first)
        for cell in range(min(first.domain.size, _WAYS)):
            still = _open(policy, questions, assumed | {level: cell})
            yield from _indented(f"{first.name}: {first.domain.label(cell)}: {still}", 6, "    ")


def _open(policy: Policy, questions: Questions, known: Mapping[int, int]) -> str:
    positions = sorted(policy.diagram.reachable_leaves(known.get))
    outcomes = list(dict.fromkeys(_outcome(policy.rules[position]) for position in positions))
    if len(outcomes) == 1:
        return f"{outcomes[0]}, by {' or '.join(policy.rules[position].id for position in positions)}"
    outstanding = questions.outstanding(tuple(sorted(known.items())))
    return f"{' or '.join(outcomes)}; asks {', then '.join(each.name for each in outstanding)}"


def _outcome(rule: Rule) -> str:
    target = rule.outcome.redirect_to
    return rule.outcome.code if target is None else f"{rule.outcome.code} to {target.rpartition('/')[2]}"


def _clauses(rule: Rule) -> str:
    return ", ".join(citation.label for citation in rule.citations)


def _indented(text: str, indent: int, first: str | None = None) -> list[str]:
    margin = " " * indent
    return wrap(text, WIDTH, initial_indent=margin if first is None else first, subsequent_indent=margin)
