"""The functions of the language by name, one module for each chapter of the specification."""

from cds_service.fhirpath.functions import (
    boundaries,
    combining,
    conversion,
    existence,
    factory,
    fhir,
    filtering,
    math,
    strings,
    subsetting,
    tree,
    types,
    utility,
)
from cds_service.fhirpath.functions.registry import Function

FUNCTIONS: dict[str, Function] = {
    **existence.FUNCTIONS,
    **filtering.FUNCTIONS,
    **subsetting.FUNCTIONS,
    **combining.FUNCTIONS,
    **conversion.FUNCTIONS,
    **strings.FUNCTIONS,
    **math.FUNCTIONS,
    **boundaries.FUNCTIONS,
    **tree.FUNCTIONS,
    **utility.FUNCTIONS,
    **types.FUNCTIONS,
    **fhir.FUNCTIONS,
}
FACTORY_FUNCTIONS: dict[str, Function] = factory.FUNCTIONS
"""Those of ``%factory``, which nothing else has."""
