"""Renaming by plan: tables of any PostgreSQL schema and datasets of the lake, proven and taken back by identity.

spec -> planner -> plan file -> apply -> verify -> report; the ledger remembers, rollback replays it backwards.
"""
