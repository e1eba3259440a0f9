"""What a decision leaves behind in memory: nothing that only a collection would find."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import orjson
import pytest

from cds_service.hooks.requests import hook_request
from cds_service.policies.library import Library, load_library
from cds_service.service import Terms, decide
from tests.http.test_fixtures import OUTCOMES

ROOT = Path(__file__).parents[2]
TERMS = Terms(
    now=datetime(2026, 11, 22, 9, tzinfo=UTC),
    fresh_id=lambda: str(uuid4()),
    public_url="http://127.0.0.1:8000",
    answers_valid_days=180,
    handle=str.upper,
)


@pytest.fixture(scope="module")
def library() -> Library:
    return load_library([ROOT / "plans"])


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Nothing is collected unless asked for, and then only what is made from here on."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("name", OUTCOMES)
def test_a_decision_leaves_no_circle_that_holds_the_record(library: Library, name: str) -> None:
    body = (ROOT / "fhir_fixtures" / "hooks" / f"{name}.json").read_bytes()
    decide(hook_request(orjson.loads(body)), library, TERMS)
    gc.collect()

    decide(hook_request(orjson.loads(body)), library, TERMS)

    assert gc.collect() == 0
