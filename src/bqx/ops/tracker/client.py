"""Calls of the Airtable library: patience, and errors of ours, which hold no token, address or id."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from bqx.base.errors import BqxError, TrackerAccess, TrackerError, TrackerUnreachable
from bqx.base.redaction import redact
from bqx.ops.tracker.clock import Clock
from bqx.ops.tracker.port import Uncertain

if TYPE_CHECKING:
    import requests

T = TypeVar("T")
PENALTY_S = 30.0
"""How long Airtable answers 429 once its rate was passed."""
_FIRST_S, _LONGEST_S = 1.0, 32.0


@dataclass(frozen=True, slots=True)
class _Passing:
    """A failure that goes away by itself."""

    why: str
    wait_s: float | None  # None: back off


class Client:
    """Runs one call after the other. `patience_s` bounds how long a read is tried again.

    Reads are repeated after 429 (as long as the server says, else 30 s), 5xx, silence and cut connections, with
    exponential back-off and jitter. Writes are not: they raise Uncertain, and the caller reads before it writes again.
    """

    def __init__(self, clock: Clock, *, patience_s: float = 120.0, rng: random.Random | None = None) -> None:
        self._clock, self._patience_s = clock, patience_s
        self._rng = rng or random.Random()  # noqa: S311 - jitter, no secret
        self._failures = 0

    def read(self, doing: str, call: Callable[[], T]) -> T:
        """The answer of `call`; TrackerUnreachable, TrackerAccess or TrackerError when there is none."""
        began = self._clock.monotonic()
        while True:
            passing, answer = self._once(doing, call)
            if passing is None:
                return answer[0]
            wait = self._back_off(passing)
            if self._clock.monotonic() + wait - began > self._patience_s:
                raise TrackerUnreachable(
                    f"could not {doing} within {self._patience_s:.0f} s: {passing.why}",
                    where="Airtable",
                    fix="look at the vendor's status page and your network; then `bqx tracker sync`",
                )
            self._clock.sleep(wait)

    def write(self, doing: str, call: Callable[[], T]) -> T:
        """The same in one try; Uncertain when it may or may not have happened."""
        passing, answer = self._once(doing, call)
        if passing is not None:
            raise Uncertain(f"could not {doing}: {passing.why}", self._back_off(passing))
        return answer[0]

    def _back_off(self, passing: _Passing) -> float:
        self._failures += 1
        if passing.wait_s is not None:
            return passing.wait_s
        longest: float = min(_LONGEST_S, _FIRST_S * 2 ** min(self._failures - 1, 10))
        return longest * self._rng.uniform(0.5, 1.0)

    def _once(self, doing: str, call: Callable[[], T]) -> tuple[_Passing | None, list[T]]:
        """What failed in passing, or a list of the one answer. The library's exception, which holds the request with
        its token, is dropped here: ours are raised outside of its handler and have no context."""
        import requests

        refused: BqxError
        try:
            answer = call()
        except requests.HTTPError as error:
            found = _judge(doing, error.response)
            if isinstance(found, _Passing):
                return found, []
            refused = found
        except (requests.ConnectionError, requests.Timeout) as error:
            return _Passing("no answer" if isinstance(error, requests.Timeout) else "the connection broke", None), []
        except (requests.RequestException, ValueError, KeyError, TypeError, AttributeError) as error:
            refused = TrackerError(f"could not {doing}: its answer is not what is documented ({type(error).__name__})")
        else:
            self._failures = 0
            return None, [answer]
        raise refused


def _judge(doing: str, response: requests.Response | None) -> _Passing | BqxError:
    if response is None:
        return _Passing("no answer", None)
    status, (kind, message) = response.status_code, _words(response)
    if status == 429:
        after = response.headers.get("Retry-After", "")
        return _Passing("too many requests", float(after) if after.isdigit() else PENALTY_S)
    if status >= 500:
        return _Passing(f"answer {status}", None)
    said = f"answer {status}" + (f" {kind}" if kind else "") + (f": {message}" if message else "")
    if status in (401, 403, 404):
        what = "the token is not valid any more" if status == 401 else "it is not allowed, or does not exist"
        return TrackerAccess(
            f"could not {doing}, {what} ({said})",
            where="Airtable",
            fix="give the token the base and the scopes data.records:read, data.records:write, schema.bases:read",
        )
    return TrackerError(f"could not {doing} ({said})", where="Airtable")


def _words(response: requests.Response) -> tuple[str, str]:
    """Type and message of an error answer, without ids or secrets."""
    try:
        error = json.loads(response.content)["error"]
    except (ValueError, KeyError, TypeError):
        return "", ""
    if isinstance(error, str):
        return redact(error)[:80], ""
    if not isinstance(error, dict):
        return "", ""
    return redact(str(error.get("type", "")))[:80], redact(str(error.get("message", "")))[:300]
