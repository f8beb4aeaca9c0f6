"""Lines of serving, in the four ways that are compared. The traffic gives `requests`, `instances`, `open_minutes`."""

from __future__ import annotations

from bqx.ops.cost.rule import F8, Rule, Values

GROUP = "serving"
TRAFFIC = ("polls", "pairs", "bursts", "hours")


def rules(how: str) -> list[Rule]:
    """Of `endpoint`, `container`, `serverless` or `batch`."""
    return {"endpoint": _endpoint, "container": _container, "serverless": _serverless, "batch": _batch}[how]()


def _rule(
    name: str, component: str, what: str, price: str, how: str, inputs: tuple[str, ...], quantity: object
) -> Rule:
    assert callable(quantity)
    return Rule(name, GROUP, component, what, price, how, inputs, quantity)


def _gateway() -> Rule:
    return _rule("gateway", "gateway", "requests through the gateway", "gateway-requests", "requests of the month",
                 TRAFFIC, lambda x: x["requests"] / 1e6)  # fmt: skip


def _endpoint() -> list[Rule]:
    return [
        _rule("endpoint", "endpoint", "instances that the scaling policy runs", "hosting-hour",
              "instance-hours of a simulated week x hours / 168", TRAFFIC, lambda x: x["instances"]),
        _rule("overlap", "overlap", "second fleet of deployments and variants", "hosting-hour",
              "deployments x overlap_hours + variant_share x hours",
              ("deployments", "overlap_hours", "variant_share", "hours"),
              lambda x: x["deployments"] * x["overlap_hours"] + x["variant_share"] * x["hours"]),
        _gateway(),
        _rule("function-requests", "function-requests", "function between gateway and endpoint", "function-requests",
              "requests", TRAFFIC, lambda x: x["requests"] / 1e6),
        _rule("function-time", "function-time", "its time", "function-gb-second",
              "requests x function_ms x function_gb",
              (*TRAFFIC, "function_ms", "function_gb"),
              lambda x: x["requests"] * x["function_ms"] / 1000 * x["function_gb"]),
    ]  # fmt: skip


def _container() -> list[Rule]:
    size = ("containers", "hours", "predict_ms", "request_ms", "vcpu_ratio", "polls", "pairs", "bursts")
    twice = "deployments x overlap_hours of a second set"
    return [
        _rule("endpoint", "endpoint", "small containers, always on: processors", "container-cpu-hour",
              "containers x container_vcpus x hours; as many as keep 60 % busy at the peak", (*size, "container_vcpus"),
              lambda x: x["containers"] * x["container_vcpus"] * x["hours"]),
        _rule("endpoint-memory", "endpoint", "small containers, always on: memory", "container-gb-hour",
              "containers x container_gb x hours", (*size, "container_gb"),
              lambda x: x["containers"] * x["container_gb"] * x["hours"]),
        _rule("overlap", "overlap", "a second set while deploying", "container-cpu-hour", twice,
              ("deployments", "overlap_hours", *size, "container_vcpus"),
              lambda x: x["deployments"] * x["overlap_hours"] * x["containers"] * x["container_vcpus"]),
        _rule("balancer", "gateway", "load balancer", "balancer-hour", "hours", ("hours",), lambda x: x["hours"]),
    ]  # fmt: skip


def _minute(x: Values) -> F8:
    """Seconds of the function that runs each open minute: load the state, step 28 pairs."""
    return x["restore_seconds"] + x["live_ms"] * x["vcpu_ratio"] / 1000 * x["pairs"] / 28


def _each_minute(what: str, more: str, seconds: object) -> list[Rule]:
    assert callable(seconds)
    inputs = ("hours", "restore_seconds", "live_ms", "vcpu_ratio", "minute_gb", "pairs", "predict_ms")
    return [
        _rule("minute-requests", "function-requests", "a function each open minute", "function-requests",
              "open minutes", ("hours",), lambda x: x["open_minutes"] / 1e6),
        _rule("minute-time", "endpoint", what, "function-gb-second",
              f"open minutes x (restore_seconds + live_ms{more}) x minute_gb", inputs,
              lambda x: x["open_minutes"] * seconds(x) * x["minute_gb"]),
    ]  # fmt: skip


def _serverless() -> list[Rule]:
    return [
        _gateway(),
        _rule("function-requests", "function-requests", "forecast on request", "function-requests", "requests", TRAFFIC,
              lambda x: x["requests"] / 1e6),
        _rule("function-time", "function-time", "forecast on request", "function-gb-second",
              "requests x (function_ms + predict_ms x vcpu_ratio) x minute_gb",
              (*TRAFFIC, "function_ms", "predict_ms", "vcpu_ratio", "minute_gb"),
              lambda x: x["requests"] * (x["function_ms"] + x["predict_ms"] * x["vcpu_ratio"]) / 1000 * x["minute_gb"]),
        *_each_minute("features of each open minute", "", _minute),
    ]  # fmt: skip


def _batch() -> list[Rule]:
    def seconds(x: Values) -> F8:
        return _minute(x) + x["pairs"] * x["predict_ms"] * x["vcpu_ratio"] / 1000

    return [
        *_each_minute("features and all forecasts of each open minute", " + pairs x predict_ms", seconds),
        _rule("answers", "gateway", "answers written as objects", "object-writes", "open minutes x pairs",
              ("hours", "pairs"), lambda x: x["open_minutes"] * x["pairs"] / 1000),
        _rule("answers-read", "gateway", "answers read", "object-reads", "requests", TRAFFIC,
              lambda x: x["requests"] / 1000),
    ]  # fmt: skip
