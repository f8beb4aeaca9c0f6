"""The tracker that a project is configured to have."""

from __future__ import annotations

from bqx.base.config import Config
from bqx.base.secrets import provider_from
from bqx.ops.tracker.airtable import AirtableTracker
from bqx.ops.tracker.clock import Clock
from bqx.ops.tracker.export import ExportTracker
from bqx.ops.tracker.local import LocalTracker
from bqx.ops.tracker.mapping import TrackerMap
from bqx.ops.tracker.port import Tracker


def open_tracker(config: Config, *, clock: Clock | None = None) -> Tracker:
    """By ``tracker.kind``; nothing is reached before `probe`. SecretError when airtable has no secrets provider."""
    chosen = config.tracker
    if chosen.kind == "local":
        return LocalTracker(config.root / chosen.path)
    if chosen.kind == "export":
        return ExportTracker(config.root / chosen.path)
    mapping = TrackerMap.load(None if chosen.mapping is None else config.root / chosen.mapping)
    return AirtableTracker(
        provider_from(config),
        mapping,
        token_name=chosen.token_name,
        base_name=chosen.base_name,
        endpoint=chosen.endpoint,
        clock=clock,
    )
