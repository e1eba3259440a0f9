"""A new policy's folder: files that load as they are, with ``TO WRITE`` wherever the author has something to say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

from cds_service.errors import PlanError, PlansError
from cds_service.policies.loading.directory import ORGANIZATIONS, read_directory
from cds_service.policies.loading.documents import Problems
from cds_service.record.commissioners import Directory, Identifier

TO_WRITE = ("TO WRITE", "TO-WRITE")
_POLICY_ID = re.compile(r"(?=.{1,64}\Z)[a-z][a-z0-9]*(-[a-z0-9]+)*")
# What the templates say for the policy's id, its name and the day on which it is made.
_ID, _NAME, _DAY = "POLICY-ID", "PolicyName", "1970-01-01"
_USAGE_CONTEXT = "http://terminology.hl7.org/CodeSystem/usage-context-type"


@dataclass(frozen=True)
class Payer:
    """Whose policy it is: the identifier that plans name it by, and what it is called."""

    identifier: Identifier
    name: str


def directory_in(plans: Path) -> Directory:
    """The organisations of a plans folder. PlansError when its ``organizations.json`` cannot be used."""
    problems = Problems()
    directory = read_directory([plans], None, problems)
    if problems.found:
        raise PlansError(problems.found)
    return directory


def payer(identifier: str, directory: Directory, plans: Path) -> Payer:
    """The organisation with an identifier written ``system|value``. PlanError when the directory does not hold it."""
    system, _, value = identifier.rpartition("|")
    organization = directory.by_identifier.get((system, value))
    if organization is None:
        known = sorted("|".join(each) for each in directory.by_identifier)
        raise PlanError(str(plans / ORGANIZATIONS), "entry", repr(identifier), f"one of {', '.join(known)}")
    return Payer((system, value), directory.names[organization])


def scaffolded(policy_id: str, today: date, commissioner: Payer | None) -> dict[str, str]:
    """The files of a new policy by name. PlanError for an id that cannot name one."""
    if _POLICY_ID.fullmatch(policy_id) is None:
        expected = "lower-case words joined by hyphens, at most 64 characters: example-knee-arthroscopy"
        raise PlanError(policy_id, "id", repr(policy_id), expected)
    said = {_ID: policy_id, _NAME: policy_id.title().replace("-", ""), _DAY: today.isoformat()}
    written = {}
    for template in sorted(
        files(__package__).joinpath("templates", "policy").iterdir(), key=lambda f: f.name
    ):
        text = _filled(template.read_text(encoding="utf-8"), said)
        if commissioner is not None and template.name.startswith("PlanDefinition-"):
            text = _commissioned(text, commissioner)
        written[_filled(template.name, said)] = text
    return written


def write_policy(plans: Path, policy_id: str, contents: Mapping[str, str]) -> Path:
    """Make the policy's folder, with an empty folder for its cases. PlanError when there is a folder of this name."""
    folder = plans / policy_id
    if folder.exists():
        raise PlanError(str(folder), "$", "something that is already there", "a policy id that is still free")
    (folder / "cases").mkdir(parents=True)
    for name, text in contents.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def still_to_write(folder: Path) -> Iterator[str]:
    """The files of a policy that still hold a placeholder of the scaffold, each with the first line that does."""
    for file in sorted((*folder.glob("*.json"), *folder.glob("*.md"), *folder.glob("cases/*.json"))):
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        places = [
            number for number, line in enumerate(lines, start=1) if any(each in line for each in TO_WRITE)
        ]
        if places:
            more = f" and in {len(places) - 1} more lines" if len(places) > 1 else ""
            yield f"{file.relative_to(folder)}: still to write in line {places[0]}{more}"


def _filled(text: str, said: Mapping[str, str]) -> str:
    for placeholder, word in said.items():
        text = text.replace(placeholder, word)
    return text


def _commissioned(text: str, commissioner: Payer) -> str:
    """The PlanDefinition with its commissioner, after ``description``."""
    plan: dict[str, Any] = json.loads(text)
    system, value = commissioner.identifier
    context = {
        "code": {"system": _USAGE_CONTEXT, "code": "program"},
        "valueReference": {"identifier": {"system": system, "value": value}, "display": commissioner.name},
    }
    members: dict[str, Any] = {}
    for name, member in plan.items():
        members[name] = member
        if name == "description":
            members["useContext"] = [context]
    return json.dumps(members, indent=2, ensure_ascii=False) + "\n"
