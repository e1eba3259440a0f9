"""The determination that a funding request rests on: as one resource, and the evidence that it looked at."""

from __future__ import annotations

from cds_service.policies.determination import Determination
from cds_service.policies.findings import Evidence
from cds_service.record.resources import Resource, members, text

# The name of what a canonical points to. Source: https://hl7.org/fhir/extensions/StructureDefinition-display.html
DISPLAY = "http://hl7.org/fhir/StructureDefinition/display"


def guidance(care_plan: Resource) -> Resource:
    """The GuidanceResponse in the CarePlan of a ``PlanDefinition/$apply``, to be passed on by itself.

    What it refers to is contained in it, and the policy's title stands beside its canonical.
    """
    contained = [*members(care_plan, "contained")]
    found = next(each for each in contained if each["resourceType"] == "GuidanceResponse")
    alone = {name: value for name, value in found.items() if name != "id"}
    title = {"extension": [{"url": DISPLAY, "valueString": care_plan["title"]}]}
    return {
        **alone,
        "contained": [each for each in contained if each is not found],
        "_moduleCanonical": title,
    }


def policy_name(guidance_response: Resource) -> str | None:
    """The policy's title and version, or its canonical where the title is not said."""
    named = text(guidance_response, "moduleCanonical") or text(guidance_response, "moduleUri")
    beside = members(guidance_response.get("_moduleCanonical"), "extension")
    title = next((text(each, "valueString") for each in beside if each.get("url") == DISPLAY), None)
    return f"{title} ({named})" if title else named


def evidence(determined: Determination) -> tuple[Evidence, ...]:
    """The resources that speak to the criteria that were looked at, each once."""
    return tuple(dict.fromkeys(each for finding in determined.findings for each in finding.evidence))
