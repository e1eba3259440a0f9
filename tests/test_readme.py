"""The README's example, as a newcomer would follow it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


# A form's handle is other in every card; the README shows its beginning.
HANDLE = re.compile(r'(handle=|"appContext": ")[^"]*')


def without_ids(card: Any) -> Any:
    """The same JSON with every UUID and every handle taken out."""
    return json.loads(HANDLE.sub(r"\1", UUID.sub("", json.dumps(card))))


def test_the_request_in_the_readme_is_answered_with_the_card_in_the_readme(client: TestClient) -> None:
    path = re.search(r"--data @(\S+)", README)
    shown = re.search(r"```json\n(.*?)```", README, re.DOTALL)
    assert path
    assert shown

    answer = client.post("/cds-services/procedure-funding", content=(ROOT / path[1]).read_bytes())

    assert without_ids(answer.json()) == without_ids(json.loads(shown[1]))


def test_every_file_that_the_readme_names_is_there() -> None:
    named = re.findall(r"\]\(([^)#:]+)\)|`((?:docs|benchmarks|cds_service|fhir_fixtures)/[\w./-]+)`", README)

    assert [name for pair in named for name in pair if name and not (ROOT / name).exists()] == []
