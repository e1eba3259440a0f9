"""Past orders decided in bulk, from FHIR Bulk Data files, by the code that answers the hook. Start in ``evaluation``."""
