"""What a monitor says of one subject at one look."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["critical", "warning", "info"]
RANK: dict[str, int] = {"critical": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be.

    check : name of the monitor, which is also its runbook. subject : pair, domain, column or route. value, limit : what
    was measured and what would have been in order; None where the words say all.
    """

    check: str
    subject: str
    severity: Severity
    what: str
    value: float | None = None
    limit: float | None = None

    @property
    def key(self) -> str:
        """The same trouble has the same key at every look."""
        return f"{self.check}/{self.subject}"

    def as_dict(self) -> dict[str, Any]:
        """JSON values; a figure that is not finite is null."""
        data = asdict(self)
        for name in ("value", "limit"):
            if data[name] is not None and not math.isfinite(data[name]):
                data[name] = None
        return {**data, "key": self.key}
