"""What a person reads when a form cannot be opened or gone on with."""

from __future__ import annotations

from cds_service.errors import (
    FormUnavailableError,
    HandleError,
    LaunchRefusedError,
    StoreConflictError,
    WrongLaunchError,
)
from cds_service.web.form_pages import trouble_page

_ORDER_AGAIN = "Go back to the order in your patient record and open the form from its card again."
_HANDLES = {
    "expired": "The link to this form is no longer good: a card's form can be opened for an hour.",
    "tampered": "This is not a link that we gave, or it was changed on the way.",
}
_BINDINGS = {
    "client": "The form belongs to another record system than the one that opened it.",
    "patient": "The form belongs to another patient than the one who is open in your record system.",
    "order": "The form belongs to another order than the one that is open in your record system.",
}


def trouble(error: Exception) -> str:
    """The page for an error that stops somebody who has, or wants, a form open."""
    if isinstance(error, HandleError):
        return trouble_page("The form cannot be opened", [_HANDLES[error.why]], [_ORDER_AGAIN])
    if isinstance(error, WrongLaunchError):
        return trouble_page("The form cannot be opened", [_BINDINGS[error.binding]], [_ORDER_AGAIN])
    if isinstance(error, FormUnavailableError):
        return trouble_page("The form cannot be opened", [error.reason], [error.advice])
    if isinstance(error, LaunchRefusedError):
        words = f"The record system could not open the form: {error.reason}."
        return trouble_page("The form cannot be opened", [words], [_ORDER_AGAIN])
    if isinstance(error, StoreConflictError):
        words = "The form was changed in another window since this one showed it."
        return trouble_page(
            "Your answers changed elsewhere", [words], ["Reload the page to see them as they are now."]
        )
    words = "What you had answered before is kept."
    return trouble_page("Something went wrong here", [words], ["Try again in a moment."])
