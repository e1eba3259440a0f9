"""Development mode only: a FHIR server with SMART App Launch over invented patients, so that everything can be tried."""

# Where its FHIR server is, below the service's own address.
FHIR_PATH = "/development/fhir"
