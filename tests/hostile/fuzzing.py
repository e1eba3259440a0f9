"""Coverage-guided fuzzing by atheris of what reads other people's bytes. A process of its own: atheris never returns.

python -m tests.hostile.fuzzing TARGET SECONDS [FOLDER …]: fuzz for so long, starting from the inputs in the folders; new
ones are kept in the first. An input that crashes, hangs or eats memory is printed, kept in a file, and fails.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import atheris  # type: ignore[import-untyped,unused-ignore]

with atheris.instrument_imports(include=["cds_service"]):
    from cds_service.errors import CdsServiceError
    from cds_service.fhirpath import Environment, compile_expression
    from cds_service.hooks.feedback import feedback_items
    from cds_service.hooks.requests import hook_request
    from cds_service.policies.library import load_library
    from cds_service.service import Terms, decide, queries_to_read
    from cds_service.trust.limits import limited_json

ROOT = Path(__file__).parents[2]
HANG_SECONDS = 2
MOST_MEGABYTES = 1_024
PATIENT = {
    "resourceType": "Patient",
    "id": "p",
    "birthDate": "1970-02-28",
    "name": [{"family": "Testpatient", "given": ["Robin", "R."]}],
    "contact": [{"telecom": [{"rank": 1, "value": "1"}]}, {"telecom": [{"rank": 2}]}],
}


def hook_body() -> Callable[[bytes], None]:
    """A body, read as a hook request and decided on."""
    library = load_library((ROOT / "plans",), None)
    terms = Terms(
        now=datetime(2026, 11, 22, 12, tzinfo=UTC),
        fresh_id=lambda: str(uuid4()),
        public_url="http://127.0.0.1",
        answers_valid_days=90,
        handle=lambda name: name,
    )

    def once(body: bytes) -> None:
        request = hook_request(limited_json(body))
        queries_to_read(request, library, terms.now.date())
        decide(request, library, terms)

    return once


def feedback_body() -> Callable[[bytes], None]:
    """A body, read as feedback."""

    def once(body: bytes) -> None:
        feedback_items(limited_json(body))

    return once


def fhirpath() -> Callable[[bytes], None]:
    """An expression, compiled, and evaluated within a small budget."""
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def once(body: bytes) -> None:
        expression = compile_expression(body.decode("utf-8", "replace"), variables={"conditions": None})
        environment = Environment(now, variables={"conditions": PATIENT}, steps=10_000)
        expression.evaluate(PATIENT, environment)

    return once


TARGETS: dict[str, Callable[[], Callable[[bytes], None]]] = {
    "hook": hook_body,
    "feedback": feedback_body,
    "fhirpath": fhirpath,
}


def answered(target: Callable[[bytes], None], body: bytes) -> None:
    """Try one input: an error of our own tree is an answer, any other a crash."""
    with suppress(CdsServiceError):
        target(body)


def main() -> None:
    """Fuzz."""
    name, seconds, *folders = sys.argv[1:]
    target = TARGETS[name]()
    options = [
        f"-max_total_time={seconds}",
        f"-timeout={HANG_SECONDS}",
        f"-rss_limit_mb={MOST_MEGABYTES}",
        f"-dict={Path(__file__).with_name('fuzzing.dict')}",
        "-max_len=20000",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, *folders], lambda body: answered(target, body))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
