"""The endpoint's variants: their shares of the traffic, and a request to each model of one of them."""

from __future__ import annotations

import json
from typing import Any

from bqx.base.errors import CloudHalfMade
from bqx.ops.cloud import names
from bqx.ops.cloud.apply import PATIENCE_S
from bqx.ops.cloud.aws import Aws
from bqx.ops.cloud.kinds.sagemaker import ENDPOINT
from bqx.ops.cloud.release import Release
from bqx.ops.cloud.state import CloudState

POLL_S = 5.0


def shares(aws: Aws, endpoint: str) -> dict[str, float]:
    """Variant -> its weight now; empty without an endpoint."""
    have = ENDPOINT.have(aws, endpoint)
    variants: list[dict[str, Any]] = [] if have is None else have.values.get("ProductionVariants", [])
    return {v["VariantName"]: float(v.get("CurrentWeight", 0.0)) for v in variants}


def set_shares(aws: Aws, state: CloudState, endpoint: str, wanted: dict[str, int]) -> None:
    """Move the traffic and wait until it is moved; nothing is asked when it is so already."""
    if shares(aws, endpoint) == {k: float(v) for k, v in wanted.items()}:
        return
    detail = ", ".join(f"{k} {v} %" for k, v in wanted.items())
    with state.step("shift", "endpoint", endpoint, detail):
        in_service(aws, endpoint)
        aws.call(
            "sagemaker", "UpdateEndpointWeightsAndCapacities", EndpointName=endpoint,
            DesiredWeightsAndCapacities=[{"VariantName": k, "DesiredWeight": float(v)} for k, v in wanted.items()],
        )  # fmt: skip
        in_service(aws, endpoint)


def in_service(aws: Aws, endpoint: str) -> None:
    """Wait until it is; CloudHalfMade when it fails or that takes too long."""
    until = aws.clock.monotonic() + PATIENCE_S
    while True:
        have = ENDPOINT.have(aws, endpoint)
        if have is None or have.status == "failed":
            raise CloudHalfMade(f"endpoint {endpoint}: {have.reason if have else 'absent'}", where="the cloud account")
        if have.status == "ready":
            return
        if aws.clock.monotonic() > until:
            raise CloudHalfMade(f"endpoint {endpoint} is still {have.reason}", where="the cloud account")
        aws.clock.sleep(POLL_S)


def warm(aws: Aws, prefix: str, release: Release) -> None:
    """Ask each model of a release once, past the shares: it is then in memory, and known to answer.

    A row of NULLs is a row that every model takes. Raises CloudHalfMade naming the models that do not answer.
    """
    from bqx.base.errors import CloudError

    bad = []
    for pair in release.models:
        body = json.dumps({"instances": [[None] * release.columns[pair]]}).encode()
        try:
            answer = aws.call(
                "sagemaker-runtime", "InvokeEndpoint", EndpointName=names.endpoint(prefix), Body=body,
                ContentType="application/json", Accept="application/json", TargetModel=f"{pair}.tar.gz",
                TargetVariant=names.variant(release.id),
            )  # fmt: skip
            said = json.loads(answer["Body"].read())
            if said.get("pair") != pair:
                bad.append(f"{pair} answers for {said.get('pair')}")
        except CloudError as error:
            if not error.code.startswith("BQX880"):
                raise
            bad.append(f"{pair}: {error.what}")
        except ValueError:
            bad.append(f"{pair}: its answer is not JSON")
    if bad:
        raise CloudHalfMade(f"{len(bad)} models do not answer: {'; '.join(bad[:3])}", where=f"release {release.id}")
