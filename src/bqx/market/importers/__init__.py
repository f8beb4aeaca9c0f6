"""Importers, one file a format: `metatrader`, `histdata`, `fxcm`, `lean`, `dukascopy`, `bi5`, and `mapped` for tables.

`read` joins them to clock and validation.
"""
