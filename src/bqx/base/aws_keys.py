"""Keys of an AWS account as one secret."""

from __future__ import annotations

import json

from bqx.base.errors import BqxError
from bqx.base.secret import Secret


def aws_keys(secret: Secret, where: str, error: type[BqxError]) -> dict[str, str]:
    """boto3's arguments from a secret that is JSON; `error`, which names `where` and shows nothing of it, when it is
    not."""
    try:
        said = json.loads(secret.reveal())
        token = {"aws_session_token": str(said["session_token"])} if said.get("session_token") else {}
        return {"aws_access_key_id": str(said["access_key_id"]),
                "aws_secret_access_key": str(said["secret_access_key"]), **token}  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError):
        raise error(
            "the secret is not JSON with access_key_id and secret_access_key",
            where=where,
            fix='store {"access_key_id": ..., "secret_access_key": ...} under that name',
        ) from None
