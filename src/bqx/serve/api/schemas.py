"""What goes in and out of the API; the OpenAPI document is made of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from bqx.market.pairs import PAIRS

Interval = tuple[float, float] | None
Pair = Annotated[str, Field(description="Six letters, such as eurusd", json_schema_extra={"enum": list(PAIRS)})]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", str_max_length=64)


class PredictIn(_In):
    """A pair, now or at an earlier time."""

    pair: Pair
    timestamp: AwareDatetime | None = Field(
        default=None, description="As if asked then: the last bar complete at this time. Without it, now."
    )
    features: bool = Field(default=False, description="Return the names and values of the inputs too.")


class BatchIn(_In):
    """Several questions; each is answered or refused by itself."""

    requests: Annotated[list[PredictIn], Field(min_length=1, max_length=64)]


class SignalOut(BaseModel):
    action: Literal["BUY", "SELL", "HOLD"]
    strength: float | None = Field(description="0 to 1; 0 for HOLD")
    horizon: int
    reason: str


class HorizonOut(BaseModel):
    """Forecast of the next `bars` minutes; null where the market closes before they are over."""

    bars: int
    expected_move_bps: float | None
    interval_80_bps: Interval
    interval_90_bps: Interval
    quantiles_bps: dict[str, float | None]
    probability_up: float | None
    innovation_sigma: float | None = Field(
        description="y3: oriented momentum beyond its random-walk forecast, in sigmas"
    )
    signal: SignalOut


class DataOut(BaseModel):
    bar: datetime = Field(description="Label of the row the forecast is of; usable 60 s later")
    newest_bar: datetime = Field(description="The newest real bar at or before it")
    age_bars: int = Field(description="Open minutes the newest bar lags behind; above 2 the request is refused")
    age_seconds: float = Field(description="Since the newest bar was complete")
    sigma_bps: float
    cost_bps: float | None
    bars_left: int
    source: str
    simulated: bool


class FeaturesOut(BaseModel):
    used: int
    null: int
    values: dict[str, float | None] | None = None


class ModelOut(BaseModel):
    version: str
    digest: str
    catalogue_version: str
    promoted: bool = Field(description="It passed every gate; otherwise its signals are HOLD")
    simulated: bool = Field(description="Trained on the simulated market: it never signals on real bars")
    note: str


class PredictOut(BaseModel):
    request_id: str
    pair: str
    asked_at: datetime
    signal: SignalOut
    horizons: list[HorizonOut]
    data: DataOut
    features: FeaturesOut
    model: ModelOut
    latency_ms: float


class ProblemIn(BaseModel):
    reason: str
    what: str
    request_id: str
    fix: str | None = None
    ticket: str | None = None


class ProblemOut(BaseModel):
    """Every answer other than 200."""

    error: ProblemIn


class BatchItem(BaseModel):
    """One of both."""

    answer: PredictOut | None = None
    error: ProblemIn | None = None


class BatchOut(BaseModel):
    request_id: str
    results: list[BatchItem]
    latency_ms: float


class HealthOut(BaseModel):
    status: Literal["ok", "starting"]


class InvocationOut(BaseModel):
    """Forecasts of feature rows in the model's units: y4 in sigma sqrt(h), y3 in sigmas; one list a row."""

    pair: str
    version: str
    horizons: list[int]
    quantiles: list[str]
    predictions: list[dict[str, list[float | None] | list[list[float | None]]]]
