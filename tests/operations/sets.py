"""Policy sets that say which set they are: two policies on one code, whose version is the set's."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tests.hook_requests import bundle, everything_read, hook_request, order
from tests.plan_folders import CPT, boolean, coverage, rule, write_organizations, write_plan

RULES = [rule("yes", "eligible", "%needed"), rule("no", "not-normally-funded")]
HOOK = "/cds-services/procedure-funding"


def write_set(folder: Path, version: str, *, broken: bool = False) -> None:
    """The set of this version in the place of what was there; a broken one is half good: its first policy only."""
    shutil.rmtree(folder, ignore_errors=True)
    write_organizations(folder, "a", "b")
    write_plan(folder, "of-a", RULES, [boolean("needed")], commissioner="a", version=version)
    last = [rule("no", "not-normally-funded", "%misspelt")] if broken else RULES
    write_plan(folder, "of-b", last, [boolean("needed")], commissioner="b", version=version)


def asked() -> dict[str, Any]:
    """A hook request that both policies answer."""
    paid = bundle(coverage("a"), coverage("b"))
    return hook_request(order("19316", CPT), **everything_read(coverages=paid))


def versions(answer: dict[str, Any]) -> list[str]:
    """The version of each policy that decided."""
    told = (card["extension"]["cds-service.determination"]["policy"] for card in answer["cards"])
    return [policy.rpartition("|")[2] for policy in told]
