"""The registry of models: what was trained, which gates it has passed, which model serves a pair."""

from __future__ import annotations

from bqx.research.registry.gates import GATES, Gate
from bqx.research.registry.model import STATES, Model
from bqx.research.registry.store import Registry

__all__ = ["GATES", "STATES", "Gate", "Model", "Registry"]
