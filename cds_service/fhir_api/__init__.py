"""The FHIR API as values: what is served under ``/fhir``, found, expanded and described. Knows no web."""
