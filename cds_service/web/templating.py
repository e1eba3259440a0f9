"""The templates: ours strict, with the components of NHS.UK frontend as functions in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from functools import cache
from typing import Any

from jinja2 import ChainableUndefined, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cds_service.record.dates import date_in_words
from cds_service.web.static_files import static_url

# Folder of the component in nhsuk-frontend-jinja → the macro in it.
_COMPONENTS = {
    "back-link": "backLink",
    "button": "button",
    "checkboxes": "checkboxes",
    "date-input": "dateInput",
    "details": "details",
    "error-message": "errorMessage",
    "error-summary": "errorSummary",
    "fieldset": "fieldset",
    "hint": "hint",
    "input": "input",
    "inset-text": "insetText",
    "radios": "radios",
    "select": "select",
    "skip-link": "skipLink",
    "summary-list": "summaryList",
    "tag": "tag",
    "textarea": "textarea",
}


def rendered(template: str, values: Mapping[str, Any]) -> str:
    """A template with these values in it, as HTML."""
    return templates().get_template(template).render(values)


def macro(template: str, name: str) -> Callable[..., Markup]:
    """A macro of a template, as a function that makes HTML."""
    found: Callable[..., Markup] = getattr(templates().get_template(template).module, name)
    return found


@cache
def templates() -> Environment:
    """What every page is made with: escaping on, and a name that is not given is an error."""
    made = Environment(
        loader=PackageLoader("cds_service.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals.update(_components(), static_url=static_url)
    made.filters["day"] = _day
    return made


def _components() -> dict[str, Any]:
    """NHS.UK's macros. They ask undefined values for more, which ours must not: so theirs stand apart."""
    theirs = Environment(
        loader=PackageLoader("nhsuk_frontend_jinja"),
        autoescape=True,
        undefined=ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    return {
        name: getattr(theirs.get_template(f"nhsuk/components/{folder}/macro.jinja").module, name)
        for folder, name in _COMPONENTS.items()
    }


def _day(day: date | str) -> str:
    """A date in words: 3 March 2024."""
    return date_in_words(day.isoformat() if isinstance(day, date) else day)
