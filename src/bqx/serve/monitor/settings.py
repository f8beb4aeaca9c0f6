"""What `PROJECT/monitor.toml` may say; without the file, the defaults."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from bqx.base.errors import MonitorError
from bqx.serve.monitor.health import HealthLimits
from bqx.serve.monitor.service import ServiceLimits

FILE = "monitor.toml"


@dataclass(frozen=True)
class DriftSettings:
    """window : trade days compared. reference : trade days before the end of the model's data. score : deviations
    beyond the resamples of the reference at which a domain raises an alarm.
    """

    window: int = 5
    reference: int = 60
    score: float = 4.5
    draws: int = 499


@dataclass(frozen=True)
class PerformanceSettings:
    """arl : days to a false alarm of each of the three CUSUMs."""

    arl: float = 250.0
    draws: int = 200


@dataclass(frozen=True)
class RetrainSettings:
    """every : days after which models are trained anew, 0 never. challenger : a run to compare with."""

    every: int = 30
    challenger: str = ""


@dataclass(frozen=True)
class AlertSettings:
    """repeat_hours : until an alert that stays is sent again. webhook : name of the secret that is the URL; posts JSON.

    mail_* : a message a delivery over SMTP; mail_user and mail_password are names of secrets. Empty means not used.
    """

    repeat_hours: float = 24.0
    webhook: str = ""
    mail_host: str = ""
    mail_port: int = 587
    mail_from: str = ""
    mail_to: tuple[str, ...] = ()
    mail_starttls: bool = True
    mail_user: str = ""
    mail_password: str = ""


@dataclass(frozen=True)
class ProbeSettings:
    """url : of a running `bqx serve`, asked for one forecast a pair at each run. key : name of the secret."""

    url: str = ""
    key: str = ""


@dataclass(frozen=True)
class Settings:
    """run : the run of `bqx train` that serves, empty for the registry's models.

    cost_bps : as given to `bqx predict`, None for quoted spreads."""

    run: str = ""
    cost_bps: float | None = None
    health: HealthLimits = field(default_factory=HealthLimits)
    service: ServiceLimits = field(default_factory=ServiceLimits)
    drift: DriftSettings = field(default_factory=DriftSettings)
    performance: PerformanceSettings = field(default_factory=PerformanceSettings)
    retrain: RetrainSettings = field(default_factory=RetrainSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    probe: ProbeSettings = field(default_factory=ProbeSettings)

    @property
    def source(self) -> str:
        """As `bqx predict` names its folder."""
        return self.run or "registry"


def read_settings(root: Path, run: str | None = None) -> Settings:
    """Settings of a project; `run` overrides. Raises MonitorError for a key or value that does not belong."""
    path = root / FILE
    data: dict[str, Any] = {}
    if path.is_file():
        try:
            data = tomllib.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise MonitorError(f"it cannot be read: {error}", where=str(path)) from error
    if run is not None:
        data["run"] = run
    found: Settings = _build(Settings, data, FILE)
    _check(found)
    return found


def _build(cls: Any, data: dict[str, Any], where: str) -> Any:
    known = {f.name: f for f in fields(cls)}
    if odd := sorted(set(data) - set(known)):
        raise MonitorError(f"there is no key {odd[0]!r}", where=where, fix=f"there are {', '.join(known)}")
    defaults = cls()
    made: dict[str, Any] = {}
    for name, value in data.items():
        default, place = getattr(defaults, name), f"{where}, {name}"
        if hasattr(default, "__dataclass_fields__"):
            if not isinstance(value, dict):
                raise MonitorError("it is a section", where=place, fix=f"write [{name}]")
            made[name] = _build(type(default), value, place)
        else:
            made[name] = _value(value, default, place)
    return cls(**made)


def _value(value: Any, default: Any, where: str) -> Any:
    if isinstance(default, tuple):
        if isinstance(value, list) and all(isinstance(v, str) for v in value):
            return tuple(value)
    elif isinstance(default, bool):
        if isinstance(value, bool):
            return value
    elif default is None or isinstance(default, float):
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    elif isinstance(value, type(default)) and not isinstance(value, bool):
        return value
    kind = "number" if default is None else "list of texts" if isinstance(default, tuple) else type(default).__name__
    raise MonitorError(f"{value!r} is no {kind}", where=where)


def _check(s: Settings) -> None:
    rules = {
        "drift.window": s.drift.window >= 1,
        "drift.reference": s.drift.reference >= max(30, 3 * s.drift.window),
        "drift.score": s.drift.score >= 3.0 and s.drift.draws >= 199,
        "performance.arl": s.performance.arl >= 90.0,
        "performance.draws": s.performance.draws >= 100,
        "service.objective": 0.0 < s.service.objective < 1.0,
        "retrain.every": s.retrain.every >= 0,
        "alerts.mail_to": not s.alerts.mail_host or bool(s.alerts.mail_to and s.alerts.mail_from),
        "probe.key": not s.probe.url or bool(s.probe.key),
        "health.spread_ratio": s.health.spread_ratio > 1.0,
    }
    for name, kept in rules.items():
        if not kept:
            raise MonitorError(f"{name} is out of range", where=FILE, fix="docs/monitoring.md says what each may be")
