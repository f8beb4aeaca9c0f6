"""A registered model: the signed artefact of a pair, a version of it, and how far it may go."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["pending", "approved", "production", "archived"]
STATES: tuple[State, ...] = ("pending", "approved", "production", "archived")
"""pending: research, its signals are HOLD. approved: GATE1 to GATE6 have passed. production: all gates, it serves the
pair. archived: it served once, or was given up."""


@dataclass(frozen=True, slots=True)
class Model:
    """version : counts from 1 in each pair. digest : of the artefact. path : its folder, relative to the project.

    run, run_hash : the training run. facts : from the signed manifest, for reading only. simulated : trained on the
    simulated market; such a model serves demonstrations and says so.
    """

    pair: str
    version: int
    digest: str
    path: str
    run: str
    run_hash: str
    state: State
    simulated: bool
    facts: dict[str, Any]
    registered_at: str
    changed_at: str

    @property
    def name(self) -> str:
        """As commands take it: `eurusd:3`."""
        return f"{self.pair}:{self.version}"

    @property
    def research(self) -> bool:
        """Whether its signals must be HOLD."""
        return self.state != "production"

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, **asdict(self), "research": self.research}
