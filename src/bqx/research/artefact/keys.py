"""Ed25519 keys: the private one comes from the secrets provider, public ones lie beside the project."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection
from pathlib import Path
from typing import Any

from bqx.base.atomic import write_text
from bqx.base.errors import ArtefactError, SecretError, Unsupported
from bqx.base.secret import Secret
from bqx.base.secrets import SecretProvider

SIGNING_KEY = "model-signing-key"
"""Name of the secret: 32 bytes in base64."""
TRUSTED = Path("models") / "trusted.keys"
"""In a project: one public key a line, 32 bytes in base64, with a comment behind it."""
_PURPOSE = b"bqx model manifest 1\n"


class Signer:
    """Signs manifests with a private key; SecretError when it is not one."""

    def __init__(self, key: Secret) -> None:
        ed25519 = _ed25519()
        try:
            self._key = ed25519.Ed25519PrivateKey.from_private_bytes(base64.b64decode(key.reveal(), validate=True))
        except (ValueError, binascii.Error):
            # without the cause: it may quote the value
            raise SecretError(
                "the signing key is not 32 bytes in base64", where=SIGNING_KEY, fix="make one with `bqx models keys`"
            ) from None

    @classmethod
    def of(cls, provider: SecretProvider, name: str = SIGNING_KEY) -> Signer:
        """From the project's secrets provider (`bqx.base.secrets.provider_from`)."""
        return cls(provider.get(name))

    @property
    def public(self) -> str:
        """The public key, for :func:`trust`."""
        return _text(self._key.public_key().public_bytes_raw())

    def sign(self, manifest: bytes) -> str:
        return _text(self._key.sign(_PURPOSE + manifest))


def make_key() -> tuple[Secret, str]:
    """A new private key, to be stored at the secrets provider under SIGNING_KEY, and its public key."""
    key = _ed25519().Ed25519PrivateKey.generate()
    return Secret(_text(key.private_bytes_raw())), _text(key.public_key().public_bytes_raw())


def check_signature(manifest: bytes, public: str, signature: str, trusted: Collection[str], where: str) -> None:
    """ArtefactError unless `public` is trusted and has signed these very bytes."""
    if public not in trusted:
        raise ArtefactError(
            f"signed with the key {public[:12]}..., which is not trusted here",
            where=where,
            fix="add it to models/trusted.keys only if you know whose it is",
        )
    from cryptography.exceptions import InvalidSignature

    try:
        key = _ed25519().Ed25519PublicKey.from_public_bytes(base64.b64decode(public, validate=True))
        key.verify(base64.b64decode(signature, validate=True), _PURPOSE + manifest)
    except (InvalidSignature, ValueError, binascii.Error) as error:
        raise ArtefactError("the signature does not fit the manifest: it was changed", where=where) from error


def read_trusted(root: Path) -> frozenset[str]:
    """Public keys that a project trusts; ArtefactError for a line that is none. Empty when there is no file."""
    path = Path(root) / TRUSTED
    if not path.is_file():
        return frozenset()
    lines = enumerate(path.read_text("utf-8").splitlines(), start=1)
    words = [(number, line.split()[0]) for number, line in lines if line.strip() and not line.startswith("#")]
    for number, word in words:
        if not _is_key(word):
            raise ArtefactError("not a public key: 32 bytes in base64", where=f"{path}, line {number}")
    return frozenset(word for _, word in words)


def trust(root: Path, public: str, comment: str) -> None:
    """Add a public key to the project's trusted ones; nothing changes when it is there already."""
    if not _is_key(public) or "\n" in comment:
        raise ArtefactError("not a public key, or a comment of several lines", where=str(TRUSTED))
    if public in read_trusted(root):
        return
    path = Path(root) / TRUSTED
    have = path.read_text("utf-8") if path.is_file() else "# public keys whose models this project loads\n"
    write_text(path, f"{have.rstrip()}\n{public} {comment}\n")


def _is_key(word: str) -> bool:
    try:
        return len(base64.b64decode(word, validate=True)) == 32
    except (binascii.Error, ValueError):
        return False


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _ed25519() -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ModuleNotFoundError as error:
        raise Unsupported("signed models need `cryptography`", fix="pip install cryptography") from error
    return ed25519
