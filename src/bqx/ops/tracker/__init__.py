"""Trackers that agree with the evidence: an outbox in the evidence's transaction, adapters, drift and its check.

`schema.STEPS` and `outbox.enqueue` belong to who writes evidence; `delivery.deliver`, `sync.sync` and `check.check` to
who runs stages. Times are integer microseconds since 1970 UTC, as everywhere in the store.
"""
