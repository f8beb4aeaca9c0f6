"""A secret in Secrets Manager, copied from the project's own provider for the containers."""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass

from bqx.base.secret import Secret
from bqx.ops.cloud.aws import Aws
from bqx.ops.cloud.kinds.kind import Have, Wanted
from bqx.ops.cloud.names import tag_list

_KEY = os.urandom(32)


def fingerprint(value: str) -> str:
    """Tells two values apart within this process; to anybody else it says nothing."""
    return hmac.new(_KEY, value.encode(), hashlib.sha256).hexdigest()[:12]


@dataclass(frozen=True)
class SecretCopy:
    name: str = "secret"
    disposable: bool = True

    def have(self, aws: Aws, name: str) -> Have | None:
        said = aws.find("secretsmanager", "DescribeSecret", SecretId=name)
        if said is None or said.get("DeletedDate"):
            return None
        tags = {t["Key"]: t["Value"] for t in said.get("Tags", ())}
        held = aws.find("secretsmanager", "GetSecretValue", SecretId=name) or {}
        return Have({"value": fingerprint(held.get("SecretString", ""))}, tags)

    def create(self, aws: Aws, want: Wanted) -> None:
        value: Secret = want.hidden["value"]
        aws.call("secretsmanager", "CreateSecret", Name=want.name, SecretString=value.reveal(),
                 Tags=tag_list(want.tags))  # fmt: skip

    def update(self, aws: Aws, want: Wanted) -> bool:
        value: Secret = want.hidden["value"]
        aws.call("secretsmanager", "PutSecretValue", SecretId=want.name, SecretString=value.reveal())
        return True

    def delete(self, aws: Aws, name: str) -> None:
        """At once: its source is the project's provider, where it stays."""
        aws.gone("secretsmanager", "DeleteSecret", SecretId=name, ForceDeleteWithoutRecovery=True)

    def listed(self, aws: Aws, prefix: str) -> list[str]:
        found = aws.pages("secretsmanager", "ListSecrets", "SecretList",
                          Filters=[{"Key": "name", "Values": [f"{prefix}/"]}])  # fmt: skip
        return sorted(s["Name"] for s in found if s["Name"].startswith(f"{prefix}/"))


SECRET = SecretCopy()
