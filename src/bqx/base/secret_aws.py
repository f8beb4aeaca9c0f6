"""Secrets in AWS Secrets Manager (extra ``aws``)."""

from __future__ import annotations

from typing import Any

from bqx.base.errors import SecretError
from bqx.base.secret_provider import CachedProvider


class AwsProvider(CachedProvider):
    """Names are `prefix` + name. Credentials come from the usual AWS chain, never from bqx's settings.

    `endpoint_url` is for tests and private endpoints; ``AWS_ENDPOINT_URL_SECRETS_MANAGER`` works as well.
    """

    def __init__(
        self,
        *,
        region: str | None = None,
        prefix: str = "bqx/",
        endpoint_url: str | None = None,
        **cache: Any,
    ) -> None:
        super().__init__(**cache)
        self._region, self._prefix, self._endpoint = region, prefix, endpoint_url
        self._made: Any = None

    def probe(self) -> str:
        client = self._client()
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            client.list_secrets(MaxResults=1, Filters=[{"Key": "name", "Values": [self._prefix]}])
        except (BotoCoreError, ClientError) as error:
            raise _translated(error, f"list secrets under {self._prefix!r}", self._where()) from error
        return self._where()

    def _fetch(self, name: str) -> str:
        client = self._client()
        from botocore.exceptions import BotoCoreError, ClientError

        full = self._prefix + name
        try:
            answer = client.get_secret_value(SecretId=full)
        except (BotoCoreError, ClientError) as error:
            raise _translated(error, f"get {full!r}", self._where()) from error
        if "SecretString" not in answer:
            raise SecretError(f"{full!r} is binary", where=self._where(), fix="store it as text")
        return str(answer["SecretString"])

    def _where(self) -> str:
        return f"AWS Secrets Manager, region {self._client().meta.region_name}"

    def _client(self) -> Any:
        if self._made is None:
            try:
                import boto3
                from botocore.config import Config
                from botocore.exceptions import BotoCoreError
            except ModuleNotFoundError as error:
                raise SecretError("boto3 is not installed", fix="pip install 'bqx[aws]'") from error
            quick = Config(connect_timeout=5, read_timeout=10, retries={"max_attempts": 3, "mode": "standard"})
            try:
                self._made = boto3.session.Session().client(
                    "secretsmanager", region_name=self._region, endpoint_url=self._endpoint, config=quick
                )
            except BotoCoreError as error:
                raise SecretError(f"no AWS client: {error}", fix="set secrets.region") from error
        return self._made


def _translated(error: Exception, doing: str, where: str) -> SecretError:
    response = getattr(error, "response", None)
    code = response["Error"]["Code"] if response else type(error).__name__
    fixes = {
        "ResourceNotFoundException": "create it there, or correct secrets.prefix and the name",
        "AccessDeniedException": "allow secretsmanager:GetSecretValue and ListSecrets for this role",
        "NoCredentialsError": "give this host a role, or log in with the aws command",
        "EndpointConnectionError": "check the network and secrets.region",
    }
    return SecretError(f"could not {doing}: {code}", where=where, fix=fixes.get(code, "see the AWS error code"))
