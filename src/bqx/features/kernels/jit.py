"""The one decorator of all kernels: IEEE arithmetic as written, no reordering, threads allowed, a cache of our own."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import numba
import numpy as np
from numba import config
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., object])
P = ParamSpec("P")
F8 = NDArray[np.float64]


def _sources_hash() -> str:
    """Numba keys its cache on the kernel's own file only; a changed helper must change the folder."""
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """Where compiled kernels are kept: ``$BQX_CACHE_DIR``, else the user's cache folder."""
    base = os.environ.get("BQX_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "bqx" / "kernels" / _sources_hash()


def _usable_cache() -> bool:
    if os.environ.get("NUMBA_CACHE_DIR"):
        return True
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False  # a read-only machine compiles in memory
    if not os.access(folder, os.W_OK):
        return False
    setattr(config, "CACHE_DIR", str(folder))  # noqa: B010 - numba's config makes its attributes at run time
    return True


_CACHE = _usable_cache()


def cached() -> bool:
    """Whether compiled kernels outlive this process, in :func:`cache_folder`."""
    return _CACHE and not os.environ.get("NUMBA_CACHE_DIR")


def kernel(function: F) -> F:
    """Compile `function`: no fastmath (bits would depend on the CPU), no `parallel`, the GIL released.

    ``error_model="numpy"`` makes division IEEE; Python's check for zero would block vectorisation.
    """
    return cast("F", numba.njit(nogil=True, cache=_CACHE, fastmath=False, error_model="numpy")(function))


def batch(function: Callable[Concatenate[F8, P], None]) -> Callable[P, F8]:
    """A kernel `function(out, x, ...)` as `x, ... -> out`, out float64 of the shape of x.

    The array comes from numpy, which asks for huge pages: touching fresh memory page by page, as arrays allocated
    inside compiled code do, costs more than most of our arithmetic (4 ns a value against 0.5).
    """
    compiled = cast("Callable[..., None]", kernel(function))

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> F8:
        out = np.empty(cast("F8", args[0]).shape)
        compiled(out, *args, **kwargs)
        return out

    return call


def batches(count: int) -> Callable[[Callable[Concatenate[Any, P], None]], Callable[P, tuple[F8, ...]]]:
    """:func:`batch` for kernels that fill a tuple of `count` arrays."""

    def decorate(function: Callable[Concatenate[Any, P], None]) -> Callable[P, tuple[F8, ...]]:
        compiled = cast("Callable[..., None]", kernel(function))

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> tuple[F8, ...]:
            out = tuple(np.empty(cast("F8", args[0]).shape) for _ in range(count))
            compiled(out, *args, **kwargs)
            return out

        return call

    return decorate
