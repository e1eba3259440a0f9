"""Structured Data Capture: what a filled-in form says."""
