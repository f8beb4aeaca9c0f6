"""Lines of data, of watching, and of what stands around both."""

from __future__ import annotations

from collections.abc import Callable

from bqx.ops.cost.resources import store_bytes
from bqx.ops.cost.rule import F8, Rule, Values

DATA, WATCHING, AROUND = "data", "watching", "around it"
TRAFFIC = ("polls", "pairs", "bursts", "hours")


def rules() -> list[Rule]:
    """The same for all ways of serving."""
    return [*_data(), *_watching(), *_around()]


def _data() -> list[Rule]:
    captured = ("capture_share", "request_kb", *TRAFFIC)
    return [
        Rule("objects", DATA, "object-storage", "feature store, candidates, models", "object-gb-month",
             "bytes of the store, grown, x generations + other_gb",
             ("rows_a_year", "years", "growth", "pairs", "generations", "other_gb"), _stored),
        _plain("object-reads", DATA, "object-requests", "reads", "object-reads", "reads"),
        _plain("object-writes", DATA, "object-requests", "writes", "object-writes", "writes"),
        Rule("capture", DATA, "capture", "answers kept", "object-gb-month",
             "requests x request_kb x capture_share x capture_months", (*captured, "capture_months"),
             lambda x: _answers(x) * x["capture_share"] * x["capture_months"]),
        Rule("egress", DATA, "transfer", "answers and files that leave", "egress-gb",
             "requests x request_kb + egress_gb",
             ("request_kb", "egress_gb", *TRAFFIC), lambda x: _answers(x) + x["egress_gb"]),
        _plain("images", DATA, "images", "images of containers", "image-gb-month", "images_gb"),
    ]  # fmt: skip


def _watching() -> list[Rule]:
    return [
        Rule("logs", WATCHING, "logs", "logs", "log-gb", "requests x log_kb + log_gb", ("log_kb", "log_gb", *TRAFFIC),
             lambda x: x["requests"] * x["log_kb"] / 1e6 + x["log_gb"]),
        _plain("metrics", WATCHING, "metrics", "metrics", "metric-month", "metrics"),
        _plain("dashboards", WATCHING, "dashboards", "dashboards", "dashboard-month", "dashboards"),
        _plain("notices", WATCHING, "notices", "notices", "notices", "notices"),
        Rule("monitors", WATCHING, "monitors", "data and model monitors", "monitor-hour",
             "hours x monitor_runs x monitor_minutes / 60", ("hours", "monitor_runs", "monitor_minutes"),
             lambda x: x["hours"] * x["monitor_runs"] * x["monitor_minutes"] / 60),
    ]  # fmt: skip


def _around() -> list[Rule]:
    return [
        _hours("database", "database", "database capacity", "database-acu-hour", "database_acu"),
        _plain("database-gb", AROUND, "database", "database storage", "database-gb-month", "database_gb"),
        _plain("database-io", AROUND, "database", "database input and output", "database-io", "database_io"),
        _hours("replica", "replica", "read replica", "database-acu-hour", "replica_acu"),
        _hours("cache", "cache", "cache", "cache-gb-hour", "cache_gb"),
        _hours("nat", "network", "NAT gateways", "nat-hour", "nats"),
        Rule("nat-gb", AROUND, "network", "what passes them", "nat-gb", "nat_gb, when there is a gateway",
             ("nat_gb", "nats"), lambda x: x["nat_gb"] * (x["nats"] > 0)),
        _hours("private-endpoints", "network", "private endpoints", "endpoint-hour", "private_endpoints"),
        _plain("secrets", AROUND, "vault", "secrets", "secret-month", "secrets"),
        _plain("keys", AROUND, "keys", "encryption keys", "key-month", "keys"),
        Rule("workflow", AROUND, "workflow", "workflow steps", "workflow-steps", "steps x retrains",
             ("steps", "retrains"), lambda x: x["steps"] * x["retrains"]),
        _plain("studio", AROUND, "studio", "notebooks of people", "studio-hour", "studio_hours"),
    ]  # fmt: skip


def _plain(name: str, group: str, component: str, what: str, price: str, source: str) -> Rule:
    """As many units as the input says."""
    return Rule(name, group, component, what, price, source, (source,), _of(source))


def _hours(name: str, component: str, what: str, price: str, source: str) -> Rule:
    """As many, through all hours of the month."""
    return Rule(name, AROUND, component, what, price, f"{source} x hours", (source, "hours"),
                lambda x: x[source] * x["hours"])  # fmt: skip


def _of(source: str) -> Callable[[Values], F8]:
    return lambda x: x[source]


def _answers(x: Values) -> F8:
    return x["requests"] * x["request_kb"] / 1e6


def _stored(x: Values) -> F8:
    rows = x["rows_a_year"] * (x["years"] + x["growth"])
    return store_bytes(rows, x["pairs"]) / 1e9 * x["generations"] + x["other_gb"]
