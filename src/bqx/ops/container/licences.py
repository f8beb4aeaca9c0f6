"""Licences of packages, and which of them may be in an image."""

from __future__ import annotations

import re
from importlib.metadata import Distribution
from typing import Any

REFUSED = re.compile(r"\b(AGPL|GPL|SSPL|BUSL|Affero|Commons Clause|non-?commercial)", re.IGNORECASE)
ALLOWED = re.compile(r"\bL(esser )?GPL", re.IGNORECASE)
NOT_STATED = "not stated"


def licence(package: Distribution) -> str:
    """Expression, field or classifiers, the first that is stated; as `make licences` reads them."""
    meta: Any = package.metadata  # its type lacks `get`
    stated = [meta.get("License-Expression"), (meta.get("License") or "").split("\n")[0]]
    stated += [c.rsplit("::", 1)[1].strip() for c in meta.get_all("Classifier") or [] if c.startswith("License ::")]
    return "; ".join(dict.fromkeys(s for s in stated if s)) or NOT_STATED


def refused(text: str) -> str:
    """Why a licence may not be in an image, "" when it may."""
    if text == NOT_STATED:
        return "no licence is stated"
    return f"the licence {text}" if REFUSED.search(text) and not ALLOWED.search(text) else ""
