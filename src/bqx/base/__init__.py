"""Errors, settings, logs, secrets, redaction, atomic files, and reports whose numbers have provenance."""
