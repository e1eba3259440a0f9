"""What the pages of an open form show."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import tzinfo
from types import MappingProxyType
from urllib.parse import quote

from cds_service.filling.open_form import OpenForm
from cds_service.policies.determination import FINAL
from cds_service.policies.domains import said
from cds_service.policies.findings import ANSWER, RECORD, Evidence, Finding
from cds_service.policies.policy import ADVICE, ELIGIBLE, IFR_REQUIRED, NOT_NORMALLY_FUNDED
from cds_service.questionnaires.items import questionnaire_items
from cds_service.record.dates import date_in_words
from cds_service.record.resources import Resource, full_date, members, text
from cds_service.web.form_pages import (
    DoneView,
    FormView,
    Link,
    NotSavedView,
    PolicyLine,
    ReviewView,
    Row,
    row,
)
from cds_service.web.forms import (
    FieldProblem,
    FormOnPage,
    Note,
    answer_rows,
    finding_note,
    form_fields,
)
from cds_service.web.forms.items import short_label
from cds_service.web.forms.notes import evidence_in_words
from cds_service.web.forms.places import Place
from cds_service.web.verdicts import Verdict, verdict

ALL, REVIEW = "all", "review"
_FREE_TEXT = frozenset({"text", "string"})
_NHS_NUMBER = "https://fhir.nhs.uk/Id/nhs-number"
_NEXT = {
    ELIGIBLE: "The card now says that the procedure is eligible, with these answers beside it.",
    NOT_NORMALLY_FUNDED: "The card now says that the procedure is not normally funded, and how to ask for an exception.",
    IFR_REQUIRED: "The card now offers the individual funding request, filled in from the record.",
    ADVICE: "The card now says what is still missing, if anything is.",
}


class FormPages:
    """The pages of one open form. ``zone`` is the clock that people here go by; ``path`` where the form is."""

    def __init__(self, opened: OpenForm, path: str, zone: tzinfo) -> None:
        self._opened = opened
        self._path = path
        self._session = opened.session
        self.on_page = FormOnPage(
            opened.form.questionnaire, opened.launch.options, zone, self._may_be_unknown
        )

    @property
    def _may_be_unknown(self) -> Collection[str] | None:
        """A policy's questions may be answered with "don't know"; a request form's not."""
        if self._opened.is_request:
            return ()
        return {each.link_id for each in self._opened.policy.criteria}

    def question(
        self, link_id: str, problems: Mapping[str, str], unread: Mapping[str, tuple[str, ...]]
    ) -> FormView:
        """One question."""
        asked = self._session.asked
        number = asked.index(link_id) + 1 if link_id in asked else len(asked) + 1
        return replace(
            self._form({link_id}, f"question {link_id}", problems, unread),
            title=short_label(self._opened.form.by_link_id[link_id].resource),
            progress=self._progress_words(number),
            known=self._known(link_id),
            other_mode=Link("See all questions on one page", f"{self._path}?{ALL}=1"),
            may_go_back=bool(asked) and link_id != asked[0],
        )

    def whole(self, problems: Mapping[str, str], unread: Mapping[str, tuple[str, ...]]) -> FormView:
        """The whole form, as far as the answers open it."""
        is_request = self._opened.is_request
        return replace(
            self._form(self._opened.asked_items, ALL, problems, unread),
            whole=True,
            other_mode=None if is_request else Link("One question at a time", self._path),
            continue_words="Continue to check your answers" if is_request else "Continue",
        )

    def _form(
        self,
        shown: Collection[str],
        page: str,
        problems: Mapping[str, str],
        unread: Mapping[str, tuple[str, ...]],
    ) -> FormView:
        return FormView(
            title=self._title if self._opened.is_request else "Funding questions",
            order=self._opened.opening.order.name,
            policy=self._policy,
            fields=form_fields(self.on_page, self._session.response, shown, problems, self._notes, unread),
            action=self._path,
            whole=False,
            patient=self._patient,
            verdict=self._verdict,
            hidden={"page": page},
        )

    def review(self, problems: tuple[FieldProblem, ...] = ()) -> ReviewView:
        """All answers before they are sent."""
        return ReviewView(
            title="Check your answers",
            order=self._opened.opening.order.name,
            policy=self._policy,
            rows=self._rows(self._reviewed),
            action=self._path,
            patient=self._patient,
            verdict=self._verdict,
            problems=problems,
            hidden={"page": REVIEW},
            submit_words="Complete the request" if self._opened.is_request else "Submit answers",
        )

    def done(self) -> DoneView:
        """The answers are where they belong."""
        where = (
            "Your answers are in the patient's record." if self._session.written else "Your answers are kept."
        )
        links = [Link("Download the answers (FHIR)", f"{self._path}/answers.json")]
        if self._opened.is_request:
            links = [
                Link("See and print the request", f"{self._path}/document"),
                Link("Download the request (FHIR document)", f"{self._path}/document.json"),
                *links,
            ]
        return DoneView(
            title="Request complete" if self._opened.is_request else "Answers sent",
            order=self._opened.opening.order.name,
            policy=self._policy,
            saved=where,
            next_steps=tuple(self._next_steps()),
            form_id=self._session.context.card,
            patient=self._patient,
            verdict=self._verdict,
            links=tuple(links),
        )

    def not_saved(self) -> NotSavedView:
        """The EHR did not take the answers, which are kept."""
        return NotSavedView(
            title="Your answers are not in the patient's record yet",
            order=self._opened.opening.order.name,
            policy=self._policy,
            why=f"The record system did not take them: {self._session.not_written}.",
            action=self._path,
            patient=self._patient,
            hidden={"page": REVIEW},
            download_url=f"{self._path}/answers.json",
        )

    def _next_steps(self) -> list[str]:
        if self._opened.is_request:
            return self._request_steps()
        steps = ["Close this page and return to your order."]
        progress = self._opened.progress
        if progress and progress.determination.outcome:
            steps += [_NEXT[code] for code in [progress.determination.outcome.code] if code in _NEXT]
        return steps

    def _request_steps(self) -> list[str]:
        route = self._opened.policy.route
        steps = ["Print or download the request."]
        if route is not None:
            steps += [route.citation.display] if route.citation.display else []
            steps += [f"Send it: {route.submission}"] if route.submission else []
            steps += [f"Expect an answer: {route.response_time}"] if route.response_time else []
        return [*steps, "Nothing has been sent to the funder from here."]

    @property
    def _title(self) -> str:
        return text(self._opened.form.questionnaire, "title") or "Questions"

    @property
    def _policy(self) -> PolicyLine:
        policy = self._opened.policy
        return PolicyLine(
            policy.title, policy.version, policy.commissioner_name, f"/policies/{quote(policy.id)}"
        )

    @property
    def _verdict(self) -> Verdict | None:
        progress = self._opened.progress
        return None if progress is None else verdict(progress.determination)

    @property
    def _patient(self) -> str | None:
        return patient_words(self._session.patient) if self._session.shows_patient else None

    def _progress_words(self, number: int) -> str | None:
        progress = self._opened.progress
        if progress is None or progress.determination.status == FINAL:
            return None
        most = len(self._session.asked) + len(progress.determination.outstanding)
        return f"Question {number} of at most {max(number, most)}"

    @property
    def _notes(self) -> Mapping[str, Note]:
        progress = self._opened.progress
        if progress is not None:
            notes = {name: _note(finding) for name, finding in progress.findings.items()}
            return {name: note for name, note in notes.items() if note is not None}
        return MappingProxyType(
            {
                name: Note(
                    "Filled in from the record", tuple(evidence_in_words(Evidence(**each)) for each in found)
                )
                for name, found in self._session.evidence.items()
                if found
            }
        )

    def _known(self, besides: str) -> tuple[Row, ...]:
        """What need not be asked, because it was answered or the record shows it."""
        progress = self._opened.progress
        if progress is None:
            return ()
        proven = {name for name, finding in progress.findings.items() if finding.origin == RECORD}
        known = (proven | self._opened.answered_items) & self._opened.asked_items - {besides}
        return self._rows(known)

    def _rows(self, shown: Collection[str]) -> tuple[Row, ...]:
        rows = answer_rows(self.on_page, self._session.response, shown, self._notes)
        return tuple(row(each, self._change_url(each.place)) for each in rows)

    def _change_url(self, place: Place) -> str:
        if self._opened.is_request:
            return f"{self._path}?{ALL}=1#{place.name}"
        return f"{self._path}?question={quote(place.link_id)}"

    @property
    def _reviewed(self) -> frozenset[str]:
        """What is looked over: what was answered, and the open text fields, which decide nothing but may be wanted."""
        opened = self._opened
        if opened.is_request:
            return opened.asked_items
        kinds = {
            item["linkId"]: item.get("type") for _, item in questionnaire_items(opened.form.questionnaire)
        }
        words = {name for name in opened.asked_items if kinds.get(name) in _FREE_TEXT}
        return (opened.answered_items | words) & opened.asked_items


def _note(finding: Finding) -> Note | None:
    """What to say beside a question: of an answer only what the record says to the contrary; who gave it sees it."""
    if finding.origin != ANSWER:
        return finding_note(finding)
    if finding.overrides is None:
        return None
    return Note(f"The record says {said(finding.criterion.domain, finding.overrides)}")


def patient_words(patient: Resource | None) -> str | None:
    """A patient by name, birthday and NHS number, as far as the record shows them."""
    if patient is None:
        return None
    name = next(iter(members(patient, "name")), {})
    words = [text(name, "text") or " ".join([*name.get("given", ()), name.get("family", "")]).strip()]
    born = text(patient, "birthDate")
    words += [f"born {date_in_words(born)}"] if full_date(born) and born else []
    numbers = [
        text(each, "value") for each in members(patient, "identifier") if each.get("system") == _NHS_NUMBER
    ]
    words += [f"NHS number {each}" for each in numbers if each]
    return ", ".join(each for each in words if each) or None
