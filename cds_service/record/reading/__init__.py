"""How one query of the record is read from a FHIR server; ``cds_service.record.reads`` is the face."""
