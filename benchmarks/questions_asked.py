"""How many questions the adaptive form asks beside the whole form, for every policy and all its cases.

    python benchmarks/questions_asked.py

The record is the case's; the answers are those that the case gives, what is assumed where something is, and for other
questions drawn at random from what they can be answered with, "don't know" once in ten (the same draw for both forms).
"On form" counts the criteria that the form can show and the record does not prove. The whole form asks those of them
that the answers before enable, from top to bottom. The adaptive form begins with what the answers say against what is
assumed. Both must determine the same. Situations in which the whole form has nothing to ask are left out.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cds_service.policies.cases import read_cases
from cds_service.policies.determination import Determination, determination
from cds_service.policies.domains import SeveralChoicesDomain, Value
from cds_service.policies.findings import RECORD, Answers, Findings, Situation
from cds_service.policies.library import Library, load_library
from cds_service.policies.policy import Criterion, Policy
from cds_service.questionnaires.adaptive_relevance import is_enabled, is_hidden, path_to
from cds_service.questionnaires.next_question import questions_asked
from cds_service.record.resources import Resource, members

ROOT = Path(__file__).parents[1]
DRAWS = 5
Answerer = Callable[[Criterion], Value | None]


@dataclass(frozen=True)
class Compared:
    """One situation asked both ways: how many questions each asked, and what they determine."""

    situation: Situation
    whole: dict[str, Value | None]
    adaptive: dict[str, Value | None]
    determined_whole: Determination
    determined_adaptive: Determination


def compared(policy: Policy, library: Library, situation: Situation, answerer: Answerer) -> Compared:
    """One situation, asked both ways with the same answers."""
    questions = library.questions[policy.canonical]
    whole = whole_form(policy, situation, answerer)
    assumed = {each.link_id: each.assumed for each in policy.criteria if each.assumed is not None}
    volunteered = {name: value for name, value in whole.items() if name in assumed and value != assumed[name]}
    begun = replace(situation, answers=Answers(None, None, volunteered))
    adaptive = questions_asked(policy, questions, begun, answerer)
    determined = [
        determination(
            policy, Findings(policy, replace(situation, answers=Answers(None, None, values))), questions
        )
        for values in (whole, adaptive)
    ]
    return Compared(situation, whole, adaptive, *determined)


def whole_form(policy: Policy, situation: Situation, answerer: Answerer) -> dict[str, Value | None]:
    """The answers to every question that the whole form shows and the record does not prove, top to bottom."""
    record = Findings(policy, replace(situation, answers=None))
    criteria = {criterion.link_id: criterion for criterion in policy.criteria}
    values: dict[str, Value | None] = {}

    def answer(items: Iterator[Resource]) -> None:
        for item in items:
            known = {
                name: record[each].value for name, each in criteria.items() if record[each].origin == RECORD
            }
            if not is_enabled(item, (known | values).get):
                continue
            criterion = criteria.get(item["linkId"])
            if criterion is not None and item["linkId"] not in known and not is_hidden(item):
                values[item["linkId"]] = answerer(criterion)
            answer(members(item, "item"))

    answer(members(policy.questionnaire, "item"))
    return values


def on_the_form(policy: Policy, situation: Situation) -> int:
    """How many criteria the form can ask at all, whatever is answered, less those that the record proves."""
    record = Findings(policy, replace(situation, answers=None))
    paths = ((each, path_to(policy.questionnaire, each.link_id)) for each in policy.criteria)
    return sum(record[each].origin != RECORD and not any(map(is_hidden, path)) for each, path in paths)


def drawn(situation: Situation, seed: str) -> Answerer:
    """Answers as the case gives them; for what it leaves out, drawn at random, always alike for one seed."""
    given = situation.answers.values if situation.answers else {}

    def answer(criterion: Criterion) -> Value | None:
        if criterion.link_id in given:
            return given[criterion.link_id]
        if criterion.assumed is not None:
            return criterion.assumed
        draw = random.Random(f"{seed} {criterion.link_id}")  # noqa: S311  a repeatable draw, no secret
        return None if draw.random() < 0.1 else draw.choice(possible_values(criterion))

    return answer


def possible_values(criterion: Criterion) -> list[Value]:
    """Values to answer with: one of each cell."""
    domain, options = (
        criterion.domain,
        [
            option["valueCoding"]["code"]
            for option in members(criterion.item, "answerOption")
            if "valueCoding" in option
        ],
    )
    if isinstance(domain, SeveralChoicesDomain):
        return [
            tuple(code for place, code in enumerate(options) if cell >> place & 1)
            for cell in range(domain.size)
        ]
    if options:
        return list(options)
    return [False, True] if criterion.item["type"] == "boolean" else list(range(10))


def situations(policy: Policy) -> Iterator[tuple[Situation, str]]:
    """Each situation of the policy's cases, with the names of its draws; cases that differ in a code alone count each."""
    for number, case in enumerate(read_cases(policy.folder)):
        if "applies" not in case.expect:
            for draw in range(DRAWS):
                yield case.situation, f"{policy.id} {number} {draw}"


def row(policy: Policy, library: Library) -> str:
    """The figures of one policy."""
    found = [
        compared(policy, library, situation, drawn(situation, seed)) for situation, seed in situations(policy)
    ]
    asking = [each for each in found if each.whole]
    form = statistics.fmean(on_the_form(policy, each.situation) for each in asking)
    whole = statistics.fmean(len(each.whole) for each in asking)
    adaptive = statistics.fmean(len(each.adaptive) for each in asking)
    worst = max(len(each.adaptive) for each in asking)
    figures = f"{form:8.2f} {whole:8.2f} {adaptive:9.2f} {worst:6}"
    return f"{policy.id:36} {len(asking):6} {figures} {adaptive / form:9.2f} {adaptive / whole:9.2f}"


def main() -> None:
    """Print a line for each policy."""
    library = load_library([ROOT / "plans"])
    figures = f"{'on form':>8} {'whole':>8} {'adaptive':>9} {'worst':>6} {'of form':>9} {'of whole':>9}"
    print(f"{'policy':36} {'cases':>6} {figures}")
    for policy in library.policies:
        print(row(policy, library))


if __name__ == "__main__":
    main()
