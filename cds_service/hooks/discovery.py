"""What we offer: one service on two hooks, and the prefetch that its policies need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cds_service.hooks.requests import HOOKS

SERVICE_ID = "procedure-funding"


def services(queries: Mapping[str, str]) -> dict[str, Any]:
    """The discovery response. The same id on both hooks: cards of the later hook replace those of the earlier."""
    return {
        "services": [
            {
                "id": SERVICE_ID,
                "hook": hook,
                "title": "Procedure funding",
                "description": "Says for each procedure order whether the patient's funder pays for it, by which "
                "clause of its policy and on which facts; when facts are missing, which questions settle it.",
                "prefetch": prefetch_templates(queries),
                "usageRequirements": "Any prefetch key that is left out counts as not read, never as absent data.",
            }
            for hook in HOOKS
        ]
    }


def prefetch_templates(queries: Mapping[str, str]) -> dict[str, str]:
    """Prefetch key → template, with the one token that every client understands."""
    return {
        name: query.replace("{{%patient.id}}", "{{context.patientId}}") for name, query in queries.items()
    }


def resource_types(queries: Mapping[str, str]) -> dict[str, str]:
    """Prefetch key → the resource type that its query asks for."""
    return {key: query.replace("/", "?").partition("?")[0] for key, query in queries.items()}
