"""All kinds, in the order in which they are made; they are removed in the opposite one."""

from __future__ import annotations

from bqx.ops.cloud.kinds.alarm import ALARM
from bqx.ops.cloud.kinds.bucket import BUCKET
from bqx.ops.cloud.kinds.budget import BUDGET
from bqx.ops.cloud.kinds.kind import Kind
from bqx.ops.cloud.kinds.sagemaker import (
    ENDPOINT,
    ENDPOINT_CONFIG,
    FEATURE_GROUP,
    MODEL,
    PACKAGE_GROUP,
    SCHEDULE,
)
from bqx.ops.cloud.kinds.scaling import SCALING
from bqx.ops.cloud.kinds.secret import SECRET
from bqx.ops.cloud.kinds.topic import TOPIC

KINDS: tuple[Kind, ...] = (
    TOPIC, BUDGET, BUCKET, SECRET, PACKAGE_GROUP, FEATURE_GROUP, MODEL, ENDPOINT_CONFIG, ENDPOINT, SCALING, ALARM,
    SCHEDULE,
)  # fmt: skip
BY_NAME = {k.name: k for k in KINDS}
