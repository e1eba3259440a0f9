"""What of a policy set the FHIR API shows: its plans, forms and value sets, and our operations' definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from itertools import chain
from pathlib import Path

import orjson

from cds_service.fhir_api.artefacts import Artefact, at_hand
from cds_service.fhir_api.operations import OPERATIONS
from cds_service.policies.library import Library, plan_folders
from cds_service.policies.listing import Listing
from cds_service.policies.loading.documents import Problems
from cds_service.policies.policy import Policy
from cds_service.record.resources import Resource
from cds_service.settings import Settings


def software_version() -> str:
    """The version of this software."""
    return version("cds-service")


def published(library: Library, settings: Settings) -> Iterator[Artefact]:
    """The resources of a policy set, and our operations' definitions. A policy is built when its own are asked for."""
    for place, listing in enumerate(library.listings):
        policy = partial(library.policies.__getitem__, place)
        yield _plan(listing, policy)
        yield _questionnaire(listing, policy)
    definitions = (operation.definition(settings.public_url, software_version()) for operation in OPERATIONS)
    forms = (form.questionnaire for form in library.forms)
    yield from map(at_hand, chain(forms, _value_sets(library, settings), definitions))


def _plan(listing: Listing, policy: Callable[[], Policy]) -> Artefact:
    found_by = {
        "resourceType": "PlanDefinition",
        "id": listing.id,
        "url": listing.url,
        "version": listing.version,
        "title": listing.title,
        "status": "active",
    }
    return Artefact(found_by, lambda: policy().plan)


def _questionnaire(listing: Listing, policy: Callable[[], Policy]) -> Artefact:
    """A policy's form, which has the policy's id and version."""
    found_by = {
        "resourceType": "Questionnaire",
        "id": listing.id,
        "url": listing.questionnaire_url,
        "version": listing.version,
        "title": listing.questionnaire_title,
        "status": listing.questionnaire_status,
    }
    return Artefact(found_by, lambda: policy().questionnaire)


def _value_sets(library: Library, settings: Settings) -> Iterator[Resource]:
    """The value sets of the policies and forms in use, as their files have them; of files that are alike one."""
    in_use = {Path(listing.folder) for listing in library.listings} | {form.folder for form in library.forms}
    seen: set[bytes] = set()
    for plan in plan_folders(settings.plans, Problems()):
        for file in plan.files("ValueSet") if plan.path in in_use else ():
            content = file.read_bytes()
            if (digest := sha256(content).digest()) not in seen:
                seen.add(digest)
                yield orjson.loads(content)
