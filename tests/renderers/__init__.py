"""The plans' forms in software by others: LHC-Forms, Smart Forms and sdc-populate. See ``test_renderers.py``."""
