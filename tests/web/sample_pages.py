"""One of each page that is made here, with a real policy's form, its findings and its determination."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from cds_service.policies.determination import determination
from cds_service.policies.findings import Findings, Situation
from cds_service.policies.library import Library, load_library
from cds_service.record.orders import procedure_orders
from cds_service.record.patient_record import patient_record
from cds_service.record.resources import Resource
from cds_service.web.form_pages import (
    DocumentSection,
    DoneView,
    FormView,
    Link,
    NotSavedView,
    PolicyLine,
    ReviewView,
    document_page,
    done_page,
    form_page,
    not_saved_page,
    review_page,
    row,
    trouble_page,
)
from cds_service.web.forms import FormOnPage, Note, answer_rows, finding_note, form_fields
from cds_service.web.forms.fields import FieldProblem
from cds_service.web.verdicts import Verdict, verdict
from tests.hook_requests import bundle, condition, order, patient

ROOT = Path(__file__).parents[2]
LONDON = ZoneInfo("Europe/London")
BREAST_CANCER = "254837009"


@cache
def library() -> Library:
    """The policies of this repository."""
    return load_library((ROOT / "plans",))


def form_of(questionnaire: Resource) -> FormOnPage:
    """A form whose value sets all hold the same two codes."""
    return FormOnPage(
        questionnaire, lambda canonical: [_coding(canonical, "one"), _coding(canonical, "two")], LONDON
    )


def _coding(canonical: str, code: str) -> Resource:
    return {"system": canonical, "code": code, "display": f"Option {code}"}


def response(*items: Mapping[str, Any]) -> dict[str, Any]:
    """A form in progress with these items."""
    return {"resourceType": "QuestionnaireResponse", "status": "in-progress", "item": list(items)}


@cache
def derby() -> tuple[FormOnPage, Mapping[str, Note], Verdict, PolicyLine]:
    """Derby's form for a patient with breast cancer in the record: form, notes, what is decided, policy."""
    policy = next(each for each in library().policies if each.id == "derby-mastopexy")
    sent = {
        "patient": patient(),
        "conditions": bundle(condition(BREAST_CANCER, onsetDateTime="2024-03-03")),
        "procedures": bundle(),
    }
    record = patient_record(
        "p1", sent, {"patient": "Patient", "conditions": "Condition", "procedures": "Procedure"}
    )
    (drafted,) = procedure_orders([order()])
    findings = Findings(policy, Situation(drafted, record, None, datetime(2026, 11, 22, 12, tzinfo=UTC)))
    determined = determination(policy, findings, library().questions[policy.canonical])
    notes = {each.link_id: note for each in policy.criteria if (note := finding_note(findings[each]))}
    line = PolicyLine(policy.title, policy.version, policy.commissioner_name, f"/policies/{policy.id}")
    return form_of(policy.questionnaire), notes, verdict(determined), line


PREFILLED = response({"linkId": "breastCancer", "answer": [{"valueBoolean": True}]})


def whole_form(problems: Mapping[str, str] | None = None) -> str:
    """Derby's form on one page."""
    form, notes, decided, policy = derby()
    return form_page(
        FormView(
            title="Funding questions",
            order="Mastopexy",
            policy=policy,
            fields=form_fields(form, PREFILLED, None, problems or {}, notes),
            action="/form",
            whole=True,
            patient="Example Patient, born 3 March 1970",
            verdict=decided,
            hidden={"handle": "h"},
            other_mode=Link("Answer one question at a time", "/form?mode=one"),
            continue_words="Review answers",
        )
    )


def one_question(link_id: str = "reconstructionPurpose", problem: str | None = None) -> str:
    """One question of Derby's form, the one answered by the record beside it."""
    form, notes, decided, policy = derby()
    (known, *_) = answer_rows(form, PREFILLED, {"breastCancer"}, notes)
    return form_page(
        FormView(
            title="Funding questions",
            order="Mastopexy",
            policy=policy,
            fields=form_fields(form, PREFILLED, {link_id}, {link_id: problem} if problem else {}, notes),
            action="/form",
            whole=False,
            progress="Question 2 of at most 5",
            verdict=decided,
            known=(row(known, "/form?change=breastCancer"),),
            other_mode=Link("Answer all questions on one page", "/form?mode=whole"),
            may_go_back=True,
        )
    )


def review() -> str:
    """Derby's answers to look over."""
    form, notes, decided, policy = derby()
    rows = tuple(
        row(each, f"/form?change={each.place.key}") for each in answer_rows(form, PREFILLED, None, notes)
    )
    problem = FieldProblem("Purpose of the mastopexy: answer this question", None)
    return review_page(
        ReviewView(
            "Check your answers", "Mastopexy", policy, rows, "/form", verdict=decided, problems=(problem,)
        )
    )


def all_item_types() -> dict[str, Any]:
    """A Questionnaire with every type and control that is put on a page."""
    text = (Path(__file__).parent / "every-item-type.json").read_text()
    found: dict[str, Any] = json.loads(text)
    return found


def every_control(problems: Mapping[str, str] | None = None) -> str:
    """A page with every control on it."""
    form = form_of(all_item_types())
    page = FormView(
        "Every control",
        "Example procedure",
        PolicyLine("Example form"),
        form_fields(form, response(), None, problems or {}),
        "/form",
        True,
    )
    return form_page(page)


def every_page() -> dict[str, str]:
    """Name → HTML."""
    _, _, decided, policy = derby()
    problems = dict.fromkeys(
        ("breastCancer", "reconstructionPurpose", "priorSymmetryOperations"), "Answer this question"
    )
    eligible = replace(
        decided,
        outcome="eligible",
        status="Eligible",
        tag="nhsuk-tag--green",
        headline="Eligible: first operation to match the breasts",
    )
    sections = (
        DocumentSection(
            "Patient", (("Name", ("Example Patient",)), ("Born", (date(1970, 3, 3).strftime("%d %B %Y"),)))
        ),
        DocumentSection("Statement", words=("The patient differs from the reference group.",)),
    )
    return {
        "whole form": whole_form(),
        "whole form with problems": whole_form(problems),
        "one question": one_question(),
        "one question with a problem": one_question(problem="Select which breast is to be operated on"),
        "a number": one_question("priorSymmetryOperations"),
        "every control": every_control(),
        "every control with problems": every_control(dict.fromkeys(_all_link_ids(), "Answer this question")),
        "review": review(),
        "done": done_page(
            DoneView(
                "Answers sent",
                "Mastopexy",
                policy,
                "Your answers are in the patient’s record and on this order.",
                ("Return to your order. The funding card there is up to date.",),
                "f1",
                verdict=eligible,
                links=(Link("Download your answers", "/form/answers"),),
            )
        ),
        "not saved": not_saved_page(
            NotSavedView(
                "Your answers are not in the record yet",
                "Mastopexy",
                policy,
                "The record’s server did not answer.",
                "/form",
                download_url="/form/answers",
            )
        ),
        "trouble": trouble_page(
            "This form has expired",
            ("Forms can be answered for 8 hours after the order was checked.",),
            ("Return to your order and open the form from the card again.",),
        ),
        "document": document_page(
            "Individual funding request", sections, "Mastopexy", (Link("Download as FHIR", "/document"),)
        ),
    }


def _all_link_ids() -> list[str]:
    return [item["linkId"] for item in all_item_types()["item"]]
