"""Secrets in the keyring of the operating system (extra ``keyring``)."""

from __future__ import annotations

from typing import Any

from bqx.base.errors import SecretError
from bqx.base.secret_provider import CachedProvider


class KeyringProvider(CachedProvider):
    """Looks a name up under `service`. Keyrings that keep plain text on disk are refused."""

    def __init__(self, *, service: str = "bqx", **cache: Any) -> None:
        super().__init__(**cache)
        self._service = service or "bqx"

    def probe(self) -> str:
        backend = _keyring().get_keyring()
        kind = f"{type(backend).__module__}.{type(backend).__name__}"
        if type(backend).__module__ in ("keyring.backends.fail", "keyring.backends.null"):
            raise SecretError(f"this machine has no keyring ({kind})", fix="use secrets.provider = 'file' or 'aws'")
        if "plaintext" in kind.lower():
            raise SecretError(f"{kind} keeps secrets as plain text", fix="choose an encrypted keyring")
        return f"keyring {kind}, service {self._service!r}"

    def _fetch(self, name: str) -> str:
        where = self.probe()
        from keyring.errors import KeyringError

        try:
            value = _keyring().get_password(self._service, name)
        except KeyringError as error:
            raise SecretError(f"the keyring failed: {type(error).__name__}", where=where) from error
        if value is None:
            raise SecretError(f"no secret {name!r}", where=where, fix=f"run: keyring set {self._service} {name}")
        return str(value)


def _keyring() -> Any:
    try:
        import keyring
    except ModuleNotFoundError as error:
        raise SecretError("keyring is not installed", fix="pip install 'bqx[keyring]'") from error
    return keyring
