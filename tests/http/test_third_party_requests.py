"""Requests that others wrote: answered or refused, never a fault of ours. They lie beside the project, not in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

THIRD_PARTY = Path(__file__).parents[3] / "shared" / "third-party"
HOOK = "/cds-services/procedure-funding"


def requests() -> list[Path]:
    """Every JSON file that looks like a hook request."""
    files = [
        file
        for folder in ("cds-hooks", "argonaut-pama", "crd")
        for file in (THIRD_PARTY / folder).glob("*.json")
    ]
    return sorted(file for file in files if "context" in (_json(file) or {}))


def _json(file: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(file.read_text())
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


@pytest.mark.skipif(not THIRD_PARTY.exists(), reason="the inputs that others wrote lie beside the project")
def test_there_are_requests_to_try() -> None:
    assert len(requests()) >= 10


@pytest.mark.parametrize("file", requests(), ids=lambda file: file.stem)
def test_a_request_of_somebody_elses_is_answered_or_refused_for_a_reason(
    client: TestClient, file: Path
) -> None:
    request = _json(file) or {}

    answer = client.post(HOOK, json=request)

    if request.get("hook") in {"order-select", "order-sign"} and "draftOrders" in request["context"]:
        assert (answer.status_code, answer.json()) == (200, {"cards": []}), answer.text
    else:
        assert answer.status_code == 400
        assert answer.json()["issue"][0]["expression"]
