"""A FHIR R4 Questionnaire as a form on a page: put there as HTML, and what was posted read back.

    form = FormOnPage(questionnaire, expand, zone)
    fields = form_fields(form, response)          → HTML and, for the error summary, where each problem stands
    posted = answered(form, response, posted)     → the new QuestionnaireResponse, and what could not be read

Read in this order: ``items`` (what an item says of its look), ``places`` (what its inputs are called), ``controls``
(each way to put a question, from answers to what its inputs hold and back: ``choosing``, ``boxes``), ``blocks`` (the
page in order), ``fields`` (HTML), ``reading`` (back).
The page carries what the controls enter and nothing else, so a form posted untouched is the response it was made from.
"""

from cds_service.web.forms.fields import FieldProblem, FormFields, form_fields
from cds_service.web.forms.form import FormOnPage
from cds_service.web.forms.notes import Note, finding_note
from cds_service.web.forms.reading import Posted, answered
from cds_service.web.forms.refusals import Refusal, refuse_unrenderable, unrenderable
from cds_service.web.forms.review import AnswerRow, answer_rows

__all__ = [
    "AnswerRow",
    "FieldProblem",
    "FormFields",
    "FormOnPage",
    "Note",
    "Posted",
    "Refusal",
    "answer_rows",
    "answered",
    "finding_note",
    "form_fields",
    "refuse_unrenderable",
    "unrenderable",
]
