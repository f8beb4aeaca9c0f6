"""Importers, one file a format: `metatrader`, `fxcm`, `lean`; `read` joins them to clock and validation."""
