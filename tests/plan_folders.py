"""Small plan folders, written for a test from their parts."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from cds_service.policies.loading.seals import is_settled

OURS = "https://funding-policies.example/fhir"
PAYER_SYSTEM = f"{OURS}/Id/payer"
CPT = "http://www.ama-assn.org/go/cpt"


def boolean(link_id: str, **members: Any) -> dict[str, Any]:
    """A yes-or-no criterion that is asked."""
    clause = {"url": f"{OURS}/StructureDefinition/clause", "valueString": "1"}
    return {
        "linkId": link_id,
        "type": "boolean",
        "text": f"Is it {link_id}?",
        "extension": [clause],
        **members,
    }


def rule(name: str, outcome: str, condition: str | None = None, **members: Any) -> dict[str, Any]:
    """A rule of a plan; without a condition the policy's own position."""
    written: dict[str, Any] = {
        "id": name,
        "title": f"Title of {name}",
        "description": f"Description of {name}.",
        "code": [{"coding": [{"system": f"{OURS}/CodeSystem/outcome", "code": outcome}]}],
        "documentation": [{"type": "citation", "label": f"§ {name}"}],
        **members,
    }
    if condition is not None:
        expression = {"language": "text/fhirpath", "expression": condition}
        written["condition"] = [{"kind": "applicability", "expression": expression}]
    return written


def write_plan(
    folder: Path,
    name: str,
    rules: list[dict[str, Any]],
    items: list[dict[str, Any]],
    code: str = "19316",
    commissioner: str | None = "a",
    **members: Any,
) -> None:
    """Write ``folder/name`` as a plan on one CPT code; ``members`` go into its PlanDefinition."""
    version = members.get("version", "1")
    codes = f"{OURS}/ValueSet/{name}-orders"
    context = {
        "code": {"system": "http://terminology.hl7.org/CodeSystem/usage-context-type", "code": "program"},
        "valueReference": {"identifier": {"system": PAYER_SYSTEM, "value": commissioner}},
    }
    root = {
        "trigger": [{"type": "named-event", "name": hook} for hook in ("order-select", "order-sign")],
        "input": [{"type": "ServiceRequest", "codeFilter": [{"path": "code", "valueSet": codes}]}],
        "definitionCanonical": f"{OURS}/Questionnaire/{name}|{version}",
        "extension": [
            {"url": "http://hl7.org/fhir/StructureDefinition/cqf-applicabilityBehavior", "valueCode": "any"}
        ],
        "action": rules,
    }
    common = {
        "id": name,
        "version": version,
        "title": f"Policy {name}",
        "status": "active",
        "publisher": "Tests",
        "date": "2026-01-01",
    }
    plan = {
        "resourceType": "PlanDefinition",
        **common,
        "url": f"{OURS}/PlanDefinition/{name}",
        **({"useContext": [context]} if commissioner else {}),
        "relatedArtifact": [
            {"type": "derived-from", "label": "Source", "display": "The source"},
            {
                "type": "documentation",
                "label": "individual-funding-request",
                "display": "Apply to the panel.",
            },
        ],
        **members,
        "action": [root],
    }
    form = {
        "resourceType": "Questionnaire",
        **common,
        "url": f"{OURS}/Questionnaire/{name}",
        "extension": [_launch_context("clinical", "ServiceRequest")],
        "item": items,
    }
    value_set = {
        "resourceType": "ValueSet",
        "id": f"{name}-orders",
        "url": codes,
        "status": "active",
        "compose": {"include": [{"system": CPT, "concept": [{"code": code}]}]},
        "expansion": {"timestamp": "2026-01-01", "total": 1, "contains": [{"system": CPT, "code": code}]},
    }
    path = folder / name
    path.mkdir(parents=True)
    for resource in (plan, form, value_set):
        (path / f"{resource['resourceType']}-{resource['id']}.json").write_text(json.dumps(resource))


def _launch_context(name: str, kind: str) -> dict[str, Any]:
    return {
        "url": "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-launchContext",
        "extension": [{"url": "name", "valueCoding": {"code": name}}, {"url": "type", "valueCode": kind}],
    }


def write_organizations(folder: Path, *names: str, part_of: dict[str, str] | None = None) -> None:
    """Write ``organizations.json``: payers known by their names, some part of others."""
    folder.mkdir(parents=True, exist_ok=True)
    organizations = [
        {
            "resourceType": "Organization",
            "id": name,
            "name": f"Payer {name.upper()}",
            "identifier": [{"system": PAYER_SYSTEM, "value": name}],
            **(
                {"partOf": {"reference": f"Organization/{parent}"}}
                if (parent := (part_of or {}).get(name))
                else {}
            ),
        }
        for name in names
    ]
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": each} for each in organizations],
    }
    (folder / "organizations.json").write_text(json.dumps(bundle))


def coverage(payer: str, **members: Any) -> dict[str, Any]:
    """An active Coverage of the usual patient, paid by a payer."""
    return {
        "resourceType": "Coverage",
        "id": f"coverage-{payer}",
        "status": "active",
        "beneficiary": {"reference": "Patient/p1"},
        "payor": [{"identifier": {"system": PAYER_SYSTEM, "value": payer}}],
        **members,
    }


def settled(folder: Path) -> Path:
    """The same folder once no file in it may change any more without its times showing it: waits for up to two seconds."""
    statuses = [each.lstat() for each in folder.rglob("*")]
    while not all(is_settled(each, time.time_ns()) for each in statuses):
        time.sleep(0.05)
    return folder
