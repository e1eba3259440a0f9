"""Code systems and the spellings of them in circulation.

A code matches exactly or not at all: no prefixes, no case folding. What differs between senders is only how they spell
the system, and whether they write the dot of an OPCS-4 code; both are folded here, once, when a value set is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator

SNOMED = "http://snomed.info/sct"

# No authoritative URI for OPCS-4 exists in UK Core or THO; these four are in circulation.
OPCS4_SPELLINGS = (
    "https://fhir.hl7.org.uk/CodeSystem/OPCS-4",
    "http://fhir.hl7.org.uk/CodeSystem/OPCS-4",
    "https://fhir.hl7.org.uk/Id/opcs-4",
    "https://fhir.nhs.uk/Id/opcs-4",
)
# THO's preferred URI first, then the https form and the two retired ones that are still sent.
HCPCS_SPELLINGS = (
    "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
    "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
    "http://www.nlm.nih.gov/research/umls/hcpcs",
    "http://terminology.hl7.org/CodeSystem/HCPCS-all-codes",
)
_SPELLINGS = {spelling: group for group in (OPCS4_SPELLINGS, HCPCS_SPELLINGS) for spelling in group}


def spellings(system: str, code: str) -> Iterator[tuple[str, str]]:
    """Every (system, code) pair that means the same as this one, itself included."""
    for system_spelling in _SPELLINGS.get(system, (system,)):
        yield system_spelling, code
        if system in OPCS4_SPELLINGS and "." in code:
            yield system_spelling, code.replace(".", "")
        elif system in OPCS4_SPELLINGS and len(code) == 4:
            yield system_spelling, f"{code[:3]}.{code[3]}"


def is_snomed_id(code: str) -> bool:
    """Whether the digits carry a valid SNOMED CT check digit (Verhoeff)."""
    if not (code.isascii() and code.isdigit() and 6 <= len(code) <= 18 and code[0] != "0"):
        return False
    check = 0
    for position, digit in enumerate(reversed(code)):
        check = _VERHOEFF_PRODUCT[check][_VERHOEFF_PERMUTATION[position % 8][int(digit)]]
    return check == 0


def _dihedral_product(left: int, right: int) -> int:
    """The product of two elements of the dihedral group D5, which Verhoeff's scheme is built on."""
    if left < 5:
        return (left + right) % 5 if right < 5 else 5 + (left + right) % 5
    return 5 + (left - right) % 5 if right < 5 else (left - right) % 5


def _permutations() -> tuple[tuple[int, ...], ...]:
    first = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
    rows = [tuple(range(10))]
    for _ in range(7):
        rows.append(tuple(first[digit] for digit in rows[-1]))
    return tuple(rows)


_VERHOEFF_PRODUCT = tuple(tuple(_dihedral_product(a, b) for b in range(10)) for a in range(10))
_VERHOEFF_PERMUTATION = _permutations()
