"""The policy library, and each policy as a person reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import chain, groupby
from typing import Any

from cds_service.authoring.code_groups import each_once
from cds_service.authoring.condition_text import in_words
from cds_service.authoring.versions import differences_told
from cds_service.hooks.words import OUTCOME_WORDS
from cds_service.policies.cases import Case
from cds_service.policies.conditions import Condition, Logic
from cds_service.policies.domains import BooleanDomain, NumberDomain, SeveralChoicesDomain
from cds_service.policies.library import Library
from cds_service.policies.loading.processes import MANY
from cds_service.policies.policy import Criterion, Policy, Rule
from cds_service.record.resources import members
from cds_service.web.templating import rendered

IN_FORCE, UPCOMING, ENDED = "in force", "upcoming", "ended"
_SYSTEMS = {
    "https://fhir.hl7.org.uk/CodeSystem/OPCS-4": "OPCS-4",
    "http://snomed.info/sct": "SNOMED CT",
    "http://www.ama-assn.org/go/cpt": "CPT",
    "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets": "HCPCS",
    "http://hl7.org/fhir/sid/icd-10": "ICD-10",
    "http://hl7.org/fhir/sid/icd-10-cm": "ICD-10-CM",
}
# More on one page is no longer read; whoever looks for another searches for it.
MOST_SHOWN = 100
_NATIONAL = "National advice"
_JOINED = {"and": "all of these hold", "or": "any of these holds"}


@dataclass(frozen=True)
class Start:
    """How a newcomer starts: whether there is an order-entry screen to try it on, and what was looked for."""

    can_try: bool
    question: str


@dataclass(frozen=True)
class Around:
    """What belongs to a policy's page beside the policy.

    ``versions`` are all of the same canonical URL in the library, ``overlays`` the files of deployers that replace ours.
    """

    versions: tuple[Policy, ...]
    overlays: tuple[str, ...]
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class CodeGroup:
    """The codes of one value set of one system, each in its preferred spelling."""

    name: str
    system: str
    codes: tuple[str, ...]


def library_page(library: Library, today: date, start: Start) -> str:
    """The policies that ``start.question`` finds, all when it is empty, by funder; the first ``MOST_SHOWN`` of them."""
    found = sorted(_found(library, start.question), key=lambda place: _funder_first(library, place))
    shown = [library.policies[place] for place in found[:MOST_SHOWN]]
    by_funder = groupby(shown, key=lambda policy: policy.commissioner_name or _NATIONAL)
    return rendered(
        "library.html",
        {
            "funders": [(funder, list(each)) for funder, each in by_funder],
            "found": len(found),
            "shown": len(shown),
            "total": len(library.listings),
            "start": start,
            "standing": lambda policy: standing(policy, today),
            "order_codes": order_codes,
        },
    )


def policy_page(policy: Policy, around: Around, today: date) -> str:
    """One policy: position, rules, questions, codes, diagram, cases, history."""
    related = list(members(policy.plan, "relatedArtifact"))
    return rendered(
        "policy.html",
        {
            "policy": policy,
            "around": around,
            "words": OUTCOME_WORDS,
            "standing": standing(policy, today),
            "condition": lambda rule: condition_words(rule, policy),
            "options": options,
            "details": further_details(policy),
            "order_codes": order_codes(policy),
            "other_codes": other_codes(policy),
            "told": _differences(policy, around.versions),
            "predecessors": [each for each in related if each.get("type") == "predecessor"],
            "case_count": len(around.cases),
        },
    )


def standing(policy: Policy, today: date) -> str:
    """Whether orders of today are decided by this version, or only later or earlier ones."""
    if policy.in_force(today):
        return IN_FORCE
    return UPCOMING if policy.starts is not None and today < policy.starts else ENDED


def condition_words(rule: Rule, policy: Policy) -> tuple[str, tuple[str, ...]]:
    """A rule's condition: how its parts belong together ("all of these hold"), and each part in words."""
    if rule.logic is None:
        return "no rule above applies", ()
    criteria = {criterion.link_id: criterion for criterion in policy.criteria}
    joint, parts = _parts(rule.logic)
    return joint, tuple(_sentence(in_words(part, criteria)) for part in parts)


def options(criterion: Criterion) -> tuple[str, ...]:
    """What can be answered."""
    domain = criterion.domain
    if isinstance(domain, BooleanDomain):
        return "Yes", "No"
    if isinstance(domain, NumberDomain):
        return tuple(domain.label(cell) for cell in range(domain.size))
    several = ("any of these:",) if isinstance(domain, SeveralChoicesDomain) else ()
    return (*several, *getattr(domain, "displays", ()))


def further_details(policy: Policy) -> tuple[str, ...]:
    """The questions of the form that decide nothing, such as which of several reasons was meant."""
    deciding = {criterion.link_id for criterion in policy.criteria}
    return tuple(
        item["text"]
        for item in _items(policy.questionnaire)
        if item["linkId"] not in deciding and item["type"] not in {"group", "display"} and "text" in item
    )


def order_codes(policy: Policy) -> tuple[CodeGroup, ...]:
    """The codes of the orders that the policy speaks to."""
    return _groups("orders", policy.codes)


def other_codes(policy: Policy) -> tuple[CodeGroup, ...]:
    """The codes of the policy's other value sets."""
    return tuple(
        group
        for url, codes in sorted(policy.value_sets.codes.items())
        if frozenset(codes) != policy.codes
        for group in _groups(url.rpartition("/")[2].replace("-", " "), codes)
    )


def _items(holder: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for item in members(holder, "item"):
        yield item
        yield from _items(item)


def _parts(logic: Condition) -> tuple[str, tuple[Condition, ...]]:
    if isinstance(logic, Logic) and logic.operator in _JOINED and logic.operands:
        return _JOINED[logic.operator], tuple(_operands(logic, logic.operator))
    return "this holds", (logic,)


def _operands(logic: Condition, operator: str) -> Iterator[Condition]:
    """The operands of one operator, however deep they stand in operands of the same."""
    if isinstance(logic, Logic) and logic.operator == operator:
        for operand in logic.operands:
            yield from _operands(operand, operator)
    else:
        yield logic


def _groups(name: str, codes: Iterable[tuple[str, str]]) -> tuple[CodeGroup, ...]:
    by_system = groupby(sorted(each_once(codes)), key=lambda code: code[0])
    return tuple(
        CodeGroup(name, _SYSTEMS.get(system, system), tuple(code for _, code in found))
        for system, found in by_system
    )


def _found(library: Library, question: str) -> set[int]:
    """The places of the policies on the code that was asked for, and of those in which all words asked for stand."""
    wanted = question.strip()
    systems = library.index.by_system
    of_code = (library.index.covering((system, wanted.upper()), None) for system in systems)
    words = wanted.lower().split()
    of_words = (
        place
        for place in range(len(library.listings))
        if not words or all(map(_words(library, place).__contains__, words))
    )
    return {*chain.from_iterable(of_code), *of_words}


def _words(library: Library, place: int) -> str:
    """Title and funder; of few policies also what they are for and what their rules say. Thousands are not built."""
    known = f"{library.listings[place].title} {_funder(library, place)}"
    if len(library.listings) >= MANY:
        return known.lower()
    policy = library.policies[place]
    rules = (f"{rule.title} {rule.description}" for rule in policy.rules)
    return " ".join((known, policy.plan.get("description", ""), *rules)).lower()


def _funder(library: Library, place: int) -> str:
    commissioner = library.listings[place].commissioner
    return _NATIONAL if commissioner is None else library.directory.names[commissioner]


def _funder_first(library: Library, place: int) -> tuple[bool, str, str, str, int]:
    """National advice after the funders."""
    listing = library.listings[place]
    return listing.commissioner is None, _funder(library, place), listing.title, listing.version, place


def _differences(policy: Policy, versions: Iterable[Policy]) -> list[tuple[Policy, str]]:
    """What changed to this version from the one before it, and from this one to the next; in the order of versions."""
    line = sorted(versions, key=lambda each: each.starts or date.min)
    place = next(number for number, each in enumerate(line) if each.version == policy.version)
    neighbours = [(line[place - 1], policy)] if place else []
    neighbours += [(policy, line[place + 1])] if place + 1 < len(line) else []
    return [
        (before if after is policy else after, differences_told(before, after)[0])
        for before, after in neighbours
    ]


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]
