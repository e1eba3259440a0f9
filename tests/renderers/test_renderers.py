"""Our forms in software by others: filled in from the same record to the same answers, and, completed there, deciding
as they do here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.renderers.answers import differences, questions
from tests.renderers.conftest import Service
from tests.renderers.decisions import decided, disagreements, errors
from tests.renderers.pages import LhcForms, Renderer, SmartForms
from tests.renderers.situations import REQUEST_FORM, SITUATIONS, Situation, launch, populated_by_us
from tests.renderers.summary import AXE, COMPARED

Json = dict[str, Any]
Opened = dict[type[Renderer], Renderer]
Record = Callable[[str, object], None]
RENDERERS = (LhcForms, SmartForms)
POPULATE = "sdc-populate"
FORMS = tuple(dict.fromkeys(form for _, form in SITUATIONS))
CENTRAL_EAST, DERBY = "central-east-breast-asymmetry", "derby-mastopexy"
LANCASHIRE = "lancashire-minor-plastic-surgery"

# Why an item is filled in otherwise there than here. The table is exact: a test fails where an item that is listed does
# not differ in any story, and where one differs that is not listed.
OURS_ALONE = "rests on what this service alone knows: the funding outcome, or a deployer's list of providers"
UNASKED = "sdc-populate gives an item its initial value whether or not it is enabled"
UNANSWERED = "to Smart Forms `!=` of a question without answer is false: the item comes once it is answered"
_NOT_FILLED_IN: dict[str, dict[str, str]] = {
    LANCASHIRE: dict.fromkeys(("orderFunding", "communityProviderAvailable"), OURS_ALONE),
}
KNOWN: dict[tuple[str, str], dict[str, str]] = {
    **{
        (name, form): _NOT_FILLED_IN.get(form, {})
        for name in ("lforms", "smart-forms", POPULATE)
        for form in FORMS
    },
    ("smart-forms", DERBY): dict.fromkeys(("priorSymmetryOperations", "oneSpell"), UNANSWERED),
    (POPULATE, DERBY): {"exceptional": UNASKED},
    (POPULATE, CENTRAL_EAST): {"exceptional": UNASKED},
    (POPULATE, REQUEST_FORM): {"adult": UNASKED},
}


def told_of(service: Service, form: str) -> Iterator[Situation]:
    """The situations in which a form is filled in."""
    return (each for each in service.situations.values() if each.form == form)


def compared(service: Service, situation: Situation, theirs: Json, name: str, record: Record) -> set[str]:
    """The linkIds that another has answered otherwise than we do; how many there are goes into the table."""
    found = differences(populated_by_us(service.client, situation), theirs)
    items = sum(1 for _ in questions(situation.questionnaire["item"]))
    record(COMPARED, (situation.form, name, items, len(found)))
    return set(found)


@pytest.mark.parametrize("kind", RENDERERS)
@pytest.mark.parametrize("form", FORMS)
def test_a_renderer_fills_a_form_in_as_we_do_but_for_what_is_known(
    service: Service, opened: Opened, kind: type[Renderer], form: str, record_property: Record
) -> None:
    found: set[str] = set()
    for situation in told_of(service, form):
        opened[kind].show(launch(situation, service.url))
        found |= compared(service, situation, opened[kind].response(), kind.name, record_property)

    assert found == set(KNOWN[kind.name, form])


@pytest.mark.parametrize("form", FORMS)
def test_sdc_populate_fills_a_form_in_as_we_do_but_for_what_is_known(
    service: Service, populated_by_aehrc: dict[tuple[str, str], Json], form: str, record_property: Record
) -> None:
    found: set[str] = set()
    for situation in told_of(service, form):
        theirs = populated_by_aehrc[situation.story, form]["populatedResponse"]
        found |= compared(service, situation, theirs, POPULATE, record_property)

    assert found == set(KNOWN[POPULATE, form])


@pytest.mark.parametrize("kind", RENDERERS)
@pytest.mark.parametrize(("story", "form"), [told for told in SITUATIONS if told[1] != REQUEST_FORM], ids=str)
def test_a_form_completed_in_a_renderer_decides_as_the_same_answers_do_here(
    service: Service, opened: Opened, kind: type[Renderer], story: str, form: str
) -> None:
    situation, renderer = service.situations[story, form], opened[kind]
    items = {item["linkId"]: item for item in questions(situation.questionnaire["item"])}
    renderer.show(launch(situation, service.url))

    for link_id, given in given_in(situation.completed):
        renderer.answer(items[link_id], given)

    completed = {**renderer.response(), "status": "completed"}
    assert errors(service.client, completed) == []
    there, here = (decided(service.client, situation.hook, each) for each in (completed, situation.completed))
    assert disagreements(there, here) == []


def given_in(response: Json | None) -> Iterator[tuple[str, list[Json]]]:
    """linkId and answers of each item that a response answers, in its order."""
    for item in (response or {}).get("item", ()):
        if item.get("answer"):
            yield item["linkId"], item["answer"]
        yield from given_in(item)


@pytest.mark.parametrize(("story", "form"), SITUATIONS)
def test_what_sdc_populate_makes_is_accepted_and_decides_as_what_we_make(
    service: Service, populated_by_aehrc: dict[tuple[str, str], Json], story: str, form: str
) -> None:
    situation = service.situations[story, form]
    theirs, ours = (
        populated_by_aehrc[story, form]["populatedResponse"],
        populated_by_us(service.client, situation),
    )

    # The one thing that is wrong with it: an initial value of an item that is not asked.
    unasked = [name for name, reason in KNOWN[POPULATE, form].items() if reason == UNASKED]
    assert [each for each in errors(service.client, theirs) if not is_about(each, unasked)] == []
    if form != REQUEST_FORM:
        filled = [{**each, "status": "completed"} for each in (theirs, ours)]
        decisions = [decided(service.client, situation.hook, each) for each in filled]
        assert disagreements(*decisions) == []


def is_about(error: str, link_ids: list[str]) -> bool:
    """Whether an error says that one of these items is answered although it is not asked."""
    return any(f"{each}: answered, but it is not asked" in error for each in link_ids)


def test_the_answers_of_the_stories_decide(service: Service) -> None:
    turned = [
        situation.story
        for situation in service.situations.values()
        if situation.completed
        if disagreements(
            decided(service.client, situation.hook, None),
            decided(service.client, situation.hook, situation.completed),
        )
    ]

    assert len(turned) >= 6, turned


def test_what_axe_finds_in_one_form_drawn_by_each(
    service: Service, opened: Opened, record_property: Record
) -> None:
    situation = next(told_of(service, DERBY))
    found = {}
    for kind, renderer in opened.items():
        renderer.show(launch(situation, service.url))
        found[kind.name] = axe(renderer.page)
    page = opened[LhcForms].page.context.new_page()
    page.goto(f"{service.url}/try?patient=derby-after-mastectomy&order=order-B31.3&hook=order-select")
    with page.context.expect_page() as launched:
        page.locator("article").get_by_role("link", name="Answer 2 questions").click()
    launched.value.locator("main form").first.wait_for()
    found["ours"] = axe(launched.value)
    page.context.pages[-1].close()
    page.close()

    for name, violations in found.items():
        record_property(AXE, f"axe, {DERBY}, {name}: {len(violations)} rules broken {violations or ''}")
    assert found["ours"] == []


def axe(page: Page) -> list[str]:
    """The rules of axe-core that a page breaks, with how many elements do."""
    return [f"{each['id']} ({len(each['nodes'])})" for each in Axe().run(page).response["violations"]]
