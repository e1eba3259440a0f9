"""The documents for who runs the service: their links lead somewhere, and their examples are what the service takes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from cds_service.settings import Settings
from cds_service.smart.issuers import load_smart_servers
from cds_service.trust.clients import load_clients

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted((ROOT / "docs").rglob("*.md"))
EXAMPLE = re.compile(r"```json\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda each: each.name)
def test_every_link_of_a_document_leads_to_a_file(document: Path) -> None:
    named = LINK.findall(document.read_text())

    assert [link for link in named if not (document.parent / link).exists()] == []


def test_the_clients_file_of_the_deployment_document_is_taken(tmp_path: Path) -> None:
    (example,) = EXAMPLE.findall((ROOT / "docs" / "deployment" / "production.md").read_text())
    (tmp_path / "clients.json").write_text(example)

    assert [client.admin for client in load_clients(tmp_path / "clients.json")] == [False, True]


def test_the_smart_servers_file_of_the_smart_document_is_taken(tmp_path: Path) -> None:
    (example,) = EXAMPLE.findall((ROOT / "docs" / "smart.md").read_text())
    (tmp_path / "ehr-app.pem").write_bytes(ECKey.generate_key("P-384").as_pem(private=True))
    (tmp_path / "other-ehr.secret").write_text("a secret of the example\n")
    (tmp_path / "smart-servers.json").write_text(example)

    assert [*load_smart_servers(tmp_path / "smart-servers.json")] == [
        each["issuer"] for each in json.loads(example)["servers"]
    ]


def test_every_setting_that_a_document_names_is_one() -> None:
    named = {name for document in DOCUMENTS for name in re.findall(r"\bCDS_[A-Z_]+\b", document.read_text())}

    assert named
    assert {name.removeprefix("CDS_").lower() for name in named} <= Settings.model_fields.keys()
