"""SMART App Launch: from an EHR's launch to a patient, a user and a token, and back with a completed form."""
