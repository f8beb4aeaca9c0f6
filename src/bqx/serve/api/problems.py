"""Refusals over HTTP: a stable reason, what is wrong, what to do; never a value that came from inside."""

from __future__ import annotations

import json
from typing import Any

from bqx.base.errors import BqxError, NoPrediction, UsageError
from bqx.base.redaction import redact

STATUS = {"stale": 503, "busy": 503, "closed": 409, "no_row": 404, "no_model": 404, "no_volatility": 409}
"""HTTP status of each reason of NoPrediction."""


class Refused(Exception):  # noqa: N818 - an answer, not a failure
    """An answer other than 200. headers : more of them, such as retry-after."""

    def __init__(
        self, status: int, reason: str, what: str, fix: str = "", *, headers: dict[str, str] | None = None
    ) -> None:
        self.status, self.reason, self.what, self.fix = status, reason, what, fix
        self.headers = headers or {}
        super().__init__(what)

    def body(self, request_id: str, ticket: str | None = None) -> bytes:
        """JSON, redacted."""
        data: dict[str, Any] = {"reason": self.reason, "what": self.what, "request_id": request_id}
        if self.fix:
            data["fix"] = self.fix
        if ticket:
            data["ticket"] = ticket
        return redact(json.dumps({"error": data})).encode()


def refusal(error: BqxError) -> Refused:
    """The answer to an error raised on purpose; others of them are internal and say only their code."""
    if isinstance(error, NoPrediction):
        status = STATUS[error.reason]
        headers = {"retry-after": "5"} if status == 503 else {}
        return Refused(status, error.reason, error.what, error.fix or "", headers=headers)
    if isinstance(error, UsageError):
        return Refused(422, "bad_request", error.what, error.fix or "")
    return Refused(500, "internal", f"the server failed with {error.code}", "give the ticket to who runs the server")
