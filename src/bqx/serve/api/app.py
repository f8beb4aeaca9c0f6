"""The application: routes, their documents, and the gate around them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.to_thread
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from bqx.base.errors import BqxError, NoPrediction, UsageError
from bqx.base.version import __version__
from bqx.market.pairs import parse_pair
from bqx.serve.api import invocations
from bqx.serve.api.answers import answer
from bqx.serve.api.gate import OPEN, App, Gate, failed
from bqx.serve.api.keys import Keys
from bqx.serve.api.limits import Limits
from bqx.serve.api.metrics import Metrics
from bqx.serve.api.predictor import Predictor
from bqx.serve.api.problems import Refused, refusal
from bqx.serve.api.schemas import BatchIn, BatchOut, HealthOut, InvocationOut, PredictIn, PredictOut, ProblemOut

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemOut, "description": text}
    for status, text in {
        400: "the body cannot be read", 401: "no valid key", 404: "no row or no model",
        408: "the body came too slowly", 409: "market closed", 413: "too large", 415: "wrong content type",
        422: "not a valid request", 429: "too many requests", 500: "internal, with a ticket",
        503: "stale data, or busy",
    }.items()
}  # fmt: skip
ROUTES = frozenset({"/predict", "/predict/batch", "/ping", "/invocations", "/metrics", "/health", "/openapi.json"})
WORKERS = 2
"""Cold predictions made at the same time."""


@dataclass
class Service:
    """What the routes need. Gauges are read when /metrics is."""

    predictor: Predictor
    keys: Keys
    limits: Limits
    metrics: Metrics
    container: bool = False
    cors: tuple[str, ...] = ()
    gate: Gate | None = None
    waiting: int = 0
    workers: anyio.CapacityLimiter | None = None

    async def in_thread(self, work: Callable[[], Any]) -> Any:
        """Run `work` in one of a few threads; NoPrediction (`busy`) when too many wait already."""
        if self.waiting >= self.limits.queue:
            self.metrics.count("refused_busy")
            raise NoPrediction("busy", "too many predictions are being made", fix="ask again in a moment")
        if self.workers is None:
            self.workers = anyio.CapacityLimiter(WORKERS)
        self.waiting += 1
        try:
            return await anyio.to_thread.run_sync(work, limiter=self.workers)
        finally:
            self.waiting -= 1


def make_app(service: Service) -> App:
    """The ASGI application of a service."""
    app = FastAPI(
        title="bqx prediction API", version=__version__, docs_url=None, redoc_url=None, openapi_url="/openapi.json",
        description="Forecasts of 5 horizons a pair. HOLD unless a model passed every gate.",
    )  # fmt: skip
    _documents(app)
    _failures(app)
    _predictions(app, service)
    _container(app, service)
    _watching(app, service)
    inner: App = app
    open_paths = OPEN | {"/invocations"} if service.container else OPEN
    service.gate = Gate(inner, service.keys, service.limits, service.metrics, open_paths=open_paths, routes=ROUTES)
    if not service.cors:
        return service.gate
    from starlette.middleware.cors import CORSMiddleware

    return CORSMiddleware(
        service.gate,
        allow_origins=list(service.cors),
        allow_methods=["POST"],
        allow_headers=["authorization", "content-type", "x-request-id"],
    )


def _predictions(app: FastAPI, service: Service) -> None:
    async def one(asked: PredictIn, ident: str, began: float) -> dict[str, Any]:
        predictor = service.predictor
        try:
            pair = parse_pair(asked.pair).name
        except UsageError as error:
            raise Refused(422, "unknown_pair", "there is no such pair", error.fix or "") from error
        now = asked.timestamp is None
        if asked.timestamp is not None and asked.timestamp.timestamp() > predictor.clock():
            raise Refused(422, "future", "the timestamp is in the future", "leave it out to ask about now")
        question = predictor.question(None if asked.timestamp is None else asked.timestamp.timestamp())
        try:
            made = predictor.ready(question, pair, now=now)
            made = made or await service.in_thread(lambda: predictor.make(question, pair))
        except NoPrediction as error:
            if not now and error.reason == "stale":  # of a time in the past nothing will come any more
                raise NoPrediction("no_row", error.what, where=error.where) from error
            raise
        return answer(
            made, question, predictor.calendar, ident, began,
            source=predictor.source.name, simulated=predictor.simulated, values=asked.features,
        )  # fmt: skip

    @app.post("/predict", response_model=PredictOut, responses=PROBLEMS)
    async def predict(asked: PredictIn, request: Request) -> Response:
        """The forecast of a pair: expected move, intervals, signal, of the newest bar or of an earlier time."""
        return _json(await one(asked, request.state.request_id, request.state.began))

    @app.post("/predict/batch", response_model=BatchOut, responses=PROBLEMS)
    async def batch(asked: BatchIn, request: Request) -> Response:
        """Up to 64 questions; each counts against the rate of the key, each is answered or refused by itself."""
        if service.gate is not None:
            service.gate.charge(request.state.key, len(asked.requests) - 1)
        ident = request.state.request_id
        results: list[dict[str, Any]] = []
        for k, item in enumerate(asked.requests):
            mine = f"{ident}.{k}"
            try:
                results.append({"answer": await one(item, mine, time.perf_counter()), "error": None})
            except (Refused, NoPrediction) as error:
                refused = error if isinstance(error, Refused) else refusal(error)
                results.append({"answer": None, "error": json.loads(refused.body(mine))["error"]})
        took = round(1000 * (time.perf_counter() - request.state.began), 3)
        return _json({"request_id": ident, "results": results, "latency_ms": took})


def _container(app: FastAPI, service: Service) -> None:
    @app.get("/ping", response_class=Response, responses={503: {"description": "no model is loaded"}})
    async def ping() -> Response:
        """200 once the models are loaded (SageMaker container contract)."""
        return Response(status_code=200 if service.predictor.models.all() else 503)

    rows = {"type": "array", "items": {"type": "array", "items": {"type": ["number", "null"]}}}
    document = {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["instances"],
                        "additionalProperties": False,
                        "properties": {
                            "pair": {"type": "string"},
                            "columns": {"type": "array", "items": {"type": "string"}},
                            "instances": rows,
                        },
                    }
                },
                "text/csv": {"schema": {"type": "string"}},
            },
        },
        "parameters": [{"name": invocations.TARGET, "in": "header", "schema": {"type": "string"}}],
    }

    @app.post(
        "/invocations",
        response_model=InvocationOut,
        responses={**PROBLEMS, 200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
        openapi_extra=document,
    )
    async def invoke(request: Request) -> Response:
        """Feature rows in the model's column order, or named; JSON or CSV in, JSON or (by `accept`) CSV out."""
        body = await request.body()
        kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        target = request.headers.get(invocations.TARGET)

        def work() -> dict[str, Any]:
            if kind == "application/json":
                pair, columns, rows = invocations.read_json(body)
            elif kind == "text/csv":
                pair, (columns, rows) = None, invocations.read_csv(body)
            else:
                raise Refused(415, "content_type", "send application/json or text/csv")
            model = invocations.model_for(service.predictor.models, target, pair)
            return invocations.answer(model, invocations.matrix(model, columns, rows, service.limits.rows))

        data = await service.in_thread(work)
        if "text/csv" in request.headers.get("accept", ""):
            return Response(invocations.as_csv(data), media_type="text/csv")
        return _json(data)


def _watching(app: FastAPI, service: Service) -> None:
    @app.get("/health", response_model=HealthOut, responses={503: {"model": HealthOut}})
    async def health() -> Response:
        """Whether predictions are ready; it names nothing, as it needs no key."""
        ready = bool(service.predictor.latest())
        return JSONResponse({"status": "ok" if ready else "starting"}, 200 if ready else 503)

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}, **PROBLEMS})
    async def metrics() -> Response:
        """Prometheus text."""
        return Response(service.metrics.text(_gauges(service)), media_type="text/plain; version=0.0.4")


def _gauges(service: Service) -> dict[str, dict[str, float]]:
    from bqx.serve.api.freshness import age_in_bars, asked

    predictor = service.predictor
    question = asked(predictor.calendar, predictor.clock())
    ages = {
        pair: float(age_in_bars(predictor.calendar, question, made.row.last_bar))
        for pair, made in sorted(predictor.latest().items())
    }
    models = predictor.models.all().values()
    return {
        "bqx_data_age_bars": ages,
        "bqx_models": {"": float(len(models))},
        "bqx_models_promoted": {"": float(sum(m.located.promoted for m in models))},
        "bqx_market_open": {"": float(question.opens is None)},
    }


def _failures(app: FastAPI) -> None:
    """Errors of handlers in the one form all answers have; what was wrong in a request is named, not echoed."""

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"])[:200]
        return _refused(request, Refused(422, "bad_request", f"{path}: {first['msg']}", "see /openapi.json"))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        reasons = {404: "no_such_path", 405: "no_such_method"}
        reason = reasons.get(error.status_code, "bad_request")
        return _refused(
            request, Refused(error.status_code, reason, str(error.detail), headers=dict(error.headers or {}))
        )

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        return _refused(request, error)

    @app.exception_handler(BqxError)
    async def known(request: Request, error: BqxError) -> Response:
        said = refusal(error)
        if said.status == 500:
            raise error  # for `unforeseen`
        return _refused(request, said)

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> Response:
        return _refused(request, *failed(error, request.state.request_id))


def _documents(app: FastAPI) -> None:
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            data = made()
            scheme = {"type": "http", "scheme": "bearer", "description": "`bqx serve keys make LABEL` makes a key"}
            data["components"]["securitySchemes"] = {"key": scheme}
            for path, methods in data["paths"].items():
                for operation in methods.values():
                    operation["security"] = [] if path in OPEN else [{"key": []}]
        return app.openapi_schema or data

    app.openapi = openapi  # type: ignore[method-assign]


def _json(data: dict[str, Any]) -> Response:
    return Response(json.dumps(data, allow_nan=False, separators=(",", ":")), media_type="application/json")


def _refused(request: Request, error: Refused, ticket: str | None = None) -> Response:
    body = error.body(request.state.request_id, ticket)
    return Response(body, error.status, headers=error.headers, media_type="application/json")
