"""A secret value that shows itself only when asked by name."""

from __future__ import annotations

import hmac
from typing import Any, NoReturn

from bqx.base.errors import SecretError
from bqx.base.redaction import register

_SHOWN = "Secret(***)"


class Secret:
    """Holds one secret; ``repr``, ``str``, ``format`` and ``json`` with ``default=str`` give a mask.

    Pickling and copying raise SecretError. Making one registers the value with the redaction filter.
    """

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        register(value)
        self.__value = value

    def reveal(self) -> str:
        """The value itself: hand it to the driver that needs it, keep no copy."""
        return self.__value

    def __repr__(self) -> str:
        return _SHOWN

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return _SHOWN

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.reveal().encode(), other.reveal().encode())

    __hash__ = None  # type: ignore[assignment]

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise SecretError("a secret cannot be pickled or copied", fix="pass its name and fetch it where it is used")

    def __dir__(self) -> list[str]:
        return ["reveal"]
