"""The one place from which AWS is called: every call is in the table of permissions, recorded, repeated, translated."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bqx.base.aws_keys import aws_keys
from bqx.base.errors import CloudConflict, CloudError, CloudThrottled, DeploymentError, Unsupported
from bqx.base.runlog import event
from bqx.base.secret import Secret
from bqx.ops.cloud.permissions import BY_OPERATION, Need, needs
from bqx.ops.cloud.refusals import CloudAbsent, refusal, sort
from bqx.ops.tracker.clock import SYSTEM, Clock

TRIES = 8
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 20.0
"""Seconds; doubled from try to try, and taken at random between half and all of it."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it was made. needs : actions on resources that had to be allowed."""

    service: str
    operation: str
    needs: tuple[Need, ...]

    @property
    def resource(self) -> str:
        return self.needs[0].resource if self.needs else "*"


class Aws:
    """One account and region. Endpoints, profile and role come from the usual environment of AWS.

    keys : gives the secret with the credentials, asked again when they have expired; None for the machine's own.
    Raises Unsupported without boto3, CloudError and its kinds for whatever is refused.
    """

    def __init__(
        self,
        region: str,
        *,
        keys: Callable[[], Secret] | None = None,
        clock: Clock = SYSTEM,
        tries: int = TRIES,
        rng: random.Random | None = None,
    ) -> None:
        self.region, self.clock, self.calls = region, clock, list[Call]()
        self._keys, self._tries = keys, tries
        self._rng = rng or random.Random()  # noqa: S311 - spreads those who were told to slow down
        self._clients: dict[str, Any] = {}
        self._guard = threading.Lock()
        self._who: dict[str, str] | None = None

    @property
    def account(self) -> str:
        return self._caller()["account"]

    @property
    def partition(self) -> str:
        return self._caller()["partition"]

    @property
    def where(self) -> dict[str, str]:
        return {"partition": self.partition, "region": self.region, "account": self.account}

    def arn(self, service: str, rest: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{rest}"

    def call(self, service: str, operation: str, **args: Any) -> dict[str, Any]:
        """The answer of an operation. Throttling, server errors and cut connections are tried again.

        CloudAbsent when there is no such thing; CloudConflict when it is in the way.
        """
        permission = BY_OPERATION[service, operation]
        where = {} if operation == "GetCallerIdentity" else self.where
        made = Call(service, operation, needs(permission, args, where))
        with self._guard:
            self.calls.append(made)
        event("cloud.call", service=service, operation=operation, resource=self.masked(made.resource))
        return self._ask(service, operation, args, self.masked(f"{service}:{operation} {made.resource}"))

    def find(self, service: str, operation: str, **args: Any) -> dict[str, Any] | None:
        """The answer, None when there is no such thing."""
        try:
            return self.call(service, operation, **args)
        except CloudAbsent:
            return None

    def gone(self, service: str, operation: str, **args: Any) -> None:
        """Remove something; what is not there is removed already."""
        self.find(service, operation, **args)

    def pages(self, service: str, operation: str, key: str, **args: Any) -> Iterator[Any]:
        """Items of all pages of a listing under `key`."""
        asked = dict(args)
        while True:
            answer = self.call(service, operation, **asked)
            yield from answer.get(key, ())
            if not answer.get("NextToken"):
                return
            asked["NextToken"] = answer["NextToken"]

    def masked(self, text: str) -> str:
        """Without the account's number, which belongs into no log, state or report."""
        return text if self._who is None else text.replace(self._who["account"], "ACCOUNT")

    def _caller(self) -> dict[str, str]:
        if self._who is None:
            answer = self.call("sts", "GetCallerIdentity")
            self._who = {"account": str(answer["Account"]), "partition": str(answer["Arn"]).split(":")[1]}
        return self._who

    def _ask(self, service: str, operation: str, args: Mapping[str, Any], doing: str) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

        pause, renewed, said, uncertain = FIRST_PAUSE, False, "", False
        for _ in range(self._tries):
            try:
                answer: dict[str, Any] = self._operation(service, operation)(**args)
                return answer
            except ClientError as error:
                code = str(error.response.get("Error", {}).get("Code", ""))
                said = str(error.response.get("Error", {}).get("Message", ""))
                status = str(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
                kind = sort(code, said)
                kind = "again" if kind == "other" and status.startswith("5") else kind
                if kind == "credentials" and self._keys is not None and not renewed:
                    renewed = True
                    self._clients.clear()  # rotated keys: the provider is asked again
                    continue
                if kind == "conflict" and uncertain:
                    raise MadeMeanwhile(f"{code}: {said}", where=doing) from error
                if kind != "again":
                    raise refusal(kind, code or status, self.masked(said), doing) from error
                said = f"{code or status} {said}".strip()
                uncertain = uncertain or status.startswith("5")
            except ParamValidationError as error:
                raise DeploymentError(self.masked(str(error)), where=doing) from error
            except (BotoCoreError, OSError) as error:  # no answer, a cut connection: it may have been done
                name = type(error).__name__
                if sort(name, "") == "credentials":
                    raise refusal("credentials", name, str(error), doing) from error
                said, uncertain = f"{name}: {error}", True
            self.clock.sleep(self._rng.uniform(pause / 2, pause))
            pause = min(2 * pause, LONGEST_PAUSE)
        raise CloudThrottled(f"no good answer in {self._tries} tries: {self.masked(said)}", where=doing)

    def _operation(self, service: str, operation: str) -> Any:
        from botocore import xform_name

        with self._guard:
            if service not in self._clients:
                self._clients[service] = self._connect(service)
        return getattr(self._clients[service], xform_name(operation))

    def _connect(self, service: str) -> Any:
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError
        except ImportError as error:
            raise Unsupported("boto3 is not installed", fix="pip install 'bqx[aws]'") from error
        config = Config(
            connect_timeout=10, read_timeout=60, retries={"total_max_attempts": 1}, max_pool_connections=32,
            request_checksum_calculation="when_required", response_checksum_validation="when_required",
        )  # fmt: skip
        try:
            return boto3.session.Session(**self._credentials()).client(service, region_name=self.region, config=config)
        except BotoCoreError as error:
            name = type(error).__name__
            raise refusal(sort(name, ""), name, str(error), f"a client of {service}") from error

    def _credentials(self) -> dict[str, str]:
        return {} if self._keys is None else aws_keys(self._keys(), "deployment.credentials", DeploymentError)


class MadeMeanwhile(CloudConflict):
    """It is there, after a try whose answer was lost: most likely it is the one that was asked for."""


__all__ = ["Aws", "Call", "CloudAbsent", "CloudError", "MadeMeanwhile"]
