"""Requests made from the API's own document, right ones and wrong ones: never a 5xx, always what the document says."""

from __future__ import annotations

import pytest
import schemathesis
from api_server import Served
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CheckFunction, load_all_checks, not_a_server_error
from schemathesis.specs.openapi import checks

load_all_checks()
CHECKS: list[CheckFunction] = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
EXAMPLES = 25


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("path", ["/predict", "/predict/batch", "/invocations"])
def test_fuzz(served: Served, path: str, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_url(served.server.url + "openapi.json")
    statuses: dict[int, int] = {}

    @seed(1)
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=st.deferred(lambda: schema[path]["POST"].as_strategy(generation_mode=mode)))
    def ask(case: schemathesis.Case) -> None:
        found = case.call(base_url=served.server.url.rstrip("/"), headers={"authorization": f"Bearer {served.key}"})
        statuses[found.status_code] = statuses.get(found.status_code, 0) + 1
        case.validate_response(found, checks=CHECKS)

    ask()
    assert sum(statuses.values()) >= EXAMPLES // 2
    assert not [s for s in statuses if s >= 500]
    if mode is GenerationMode.NEGATIVE and path == "/predict":
        assert 200 not in statuses, "what breaks the document is refused"
