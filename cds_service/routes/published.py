"""What of a policy set the FHIR API shows: its plans, forms and value sets, and our operations' definitions."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version

import orjson

from cds_service.fhir_api.operations import OPERATIONS
from cds_service.policies.library import Library, plan_folders
from cds_service.policies.loading.documents import Problems
from cds_service.record.resources import Resource
from cds_service.settings import Settings


def software_version() -> str:
    """The version of this software."""
    return version("cds-service")


def published(library: Library, settings: Settings) -> Iterator[Resource]:
    """The resources of a policy set, and our operations' definitions."""
    for policy in library.policies:
        yield policy.plan
        yield policy.questionnaire
    yield from (form.questionnaire for form in library.forms)
    yield from _value_sets(library, settings)
    yield from (operation.definition(settings.public_url, software_version()) for operation in OPERATIONS)


def _value_sets(library: Library, settings: Settings) -> Iterator[Resource]:
    """The value sets of the policies and forms in use, as their files have them."""
    in_use = {policy.folder for policy in library.policies} | {form.folder for form in library.forms}
    for plan in plan_folders(settings.plans, Problems()):
        if plan.path in in_use:
            yield from (orjson.loads(file.read_bytes()) for file in plan.files("ValueSet"))
