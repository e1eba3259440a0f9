"""The policy library and each policy as pages, rendered on the server."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined

from cds_service.hooks.words import OUTCOME_WORDS
from cds_service.policies.policy import Policy

# Nothing but our own style sheet and pictures; no script, no frame, no form.
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def library_page(policies: tuple[Policy, ...]) -> str:
    """Every policy in use, as HTML."""
    return _templates().get_template("library.html").render(policies=policies)


def policy_page(policy: Policy) -> str:
    """One policy: its position, its rules with their clauses, its questions, as HTML."""
    return _templates().get_template("policy.html").render(policy=policy, words=OUTCOME_WORDS)


def style_sheet() -> bytes:
    """The pages' one style sheet."""
    return files("cds_service.web").joinpath("static", "style.css").read_bytes()


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("cds_service.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
