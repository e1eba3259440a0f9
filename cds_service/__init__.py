"""Funding policies at the moment of ordering: CDS Hooks cards decided from FHIR policies."""
