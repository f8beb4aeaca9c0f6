"""Secrets: masked, lazy, cached for at most 15 minutes, from one configured provider and no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bqx.base.errors import SecretError
from bqx.base.secret import Secret
from bqx.base.secret_aws import AwsProvider
from bqx.base.secret_file import FileProvider
from bqx.base.secret_keyring import KeyringProvider
from bqx.base.secret_provider import MAX_CACHE_SECONDS, SecretProvider

if TYPE_CHECKING:
    from bqx.base.settings import Config

__all__ = [
    "MAX_CACHE_SECONDS",
    "AwsProvider",
    "FileProvider",
    "KeyringProvider",
    "Secret",
    "SecretProvider",
    "provider_from",
]


def provider_from(config: Config) -> SecretProvider:
    """The provider that `config` names; SecretError when it names none."""
    chosen = config.secrets
    if chosen.provider == "file" and chosen.path is not None:
        return FileProvider(config.root / chosen.path, outside=config.root)
    if chosen.provider == "aws":
        return AwsProvider(region=chosen.region, prefix=chosen.prefix)
    if chosen.provider == "keyring":
        return KeyringProvider(service=chosen.prefix.rstrip("/"))
    raise SecretError(
        "no secrets provider is configured",
        where="secrets.provider",
        fix="set it to file, aws or keyring in bqx.toml, see docs/security.md",
    )
