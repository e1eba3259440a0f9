"""The forms of this repository, and forms that others wrote: put on a page, or refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from cds_service.web.form_pages import FormView, PolicyLine, form_page
from cds_service.web.forms import FormOnPage, answered, form_fields, unrenderable
from tests.web.conftest import Show
from tests.web.posting import posted
from tests.web.sample_pages import LONDON, ROOT, form_of, response

OURS = sorted((ROOT / "plans").glob("*/Questionnaire-*.json"))
THIRD_PARTY = ROOT.parent / "shared" / "third-party" / "questionnaires"
THEIRS = sorted(THIRD_PARTY.glob("*.json"))
# What no page can ask, by the item that wants it.
REFUSED = {
    "sdc__Questionnaire-CardiologyForm.json": {"supportingdocumentation_attachment": "type attachment"},
    "smart-forms__AuCoreProcedure.json": {"encounter": "type reference"},
}


def read(path: Path) -> dict[str, Any]:
    """A Questionnaire from its file."""
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.parent.name)
def test_every_form_of_ours_is_put_on_a_page_that_axe_finds_nothing_on(path: Path, show: Show) -> None:
    form = form_of(read(path))
    fields = form_fields(form, response())
    page = show(
        form_page(
            FormView(
                form.questionnaire["title"],
                "Example procedure",
                PolicyLine("Example policy"),
                fields,
                "/form",
                whole=True,
            )
        )
    )

    assert Axe().run(page).response["violations"] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.skipif(not THEIRS, reason="the third-party questionnaires are not here")
@pytest.mark.parametrize("path", THEIRS, ids=lambda path: path.stem)
def test_every_form_of_others_is_put_on_a_page_or_refused_by_name(path: Path) -> None:
    form = form_of(read(path))
    refused = REFUSED.get(path.name, {})

    assert {each.link_id: each.feature for each in unrenderable(form)} == refused
    if not refused:
        empty = response()
        read_back = answered(form, empty, posted(form_fields(form, empty).html))
        assert read_back.response.get("item", []) == []
        assert read_back.problems == {}


@pytest.mark.skipif(not THEIRS, reason="the third-party questionnaires are not here")
@pytest.mark.parametrize("path", THEIRS, ids=lambda path: path.stem)
def test_a_value_set_that_cannot_be_expanded_is_named(path: Path) -> None:
    questionnaire = read(path)
    unknown = FormOnPage(questionnaire, lambda _: None, LONDON)
    wanted = {value for value in _value_sets(questionnaire) if not value.startswith("#")}

    named = {
        each.feature.partition(" ")[2]
        for each in unrenderable(unknown)
        if each.feature.startswith("answerValueSet")
    }

    assert named == wanted


def _value_sets(item: dict[str, Any]) -> set[str]:
    found = {item["answerValueSet"]} if "answerValueSet" in item else set()
    return found.union(*(_value_sets(child) for child in item.get("item", [])))
