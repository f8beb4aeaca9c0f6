"""The one decorator of all kernels: IEEE arithmetic as written, no reordering, threads allowed, a cache of our own."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import numba
import numpy as np
from llvmlite import binding as llvm
from numba import config, types
from numba.extending import intrinsic
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., object])
P = ParamSpec("P")
F8 = NDArray[np.float64]


HERE = Path(__file__).parent
_IMPORT = re.compile(r"^from bqx\.features\.kernels(?:\.(\w+))? import (.+)", re.MULTILINE)


def _prefer_vectors_of_four() -> None:
    """28 lanes are seven vectors of four float64, but three of eight and four lanes one by one. No bit depends on it;
    see :func:`wide` for long loops. What the user has set stays."""
    host, set_by_user = llvm.get_host_cpu_features(), ("CPU_NAME", "CPU_FEATURES")
    if host.get("avx512f") and all(getattr(config, name, None) is None for name in set_by_user):
        setattr(config, "CPU_FEATURES", f"{host.flatten()},+prefer-256-bit")  # noqa: B010 - as in :func:`kernel`


_prefer_vectors_of_four()


@intrinsic
def _wide(typingctx: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        # past llvmlite's list of known attributes
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), codegen


wide = cast("Callable[[], None]", _wide)
"""Called in a kernel: its loops are so long that vectors of eight pay off, where the CPU has them."""


def cache_folder() -> Path:
    """Where compiled kernels are kept: ``$BQX_CACHE_DIR``, else the user's cache folder."""
    base = os.environ.get("BQX_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "bqx" / "kernels"


@cache
def sources(module: str) -> tuple[str, ...]:
    """A module of this folder and all it imports from here, by name, sorted."""
    found = [module]
    for name in found:  # grows on the way
        for one, several in _IMPORT.findall((HERE / f"{name}.py").read_text("utf-8")):
            wanted = [one] if one else [part.split(" as ")[0].strip(" ()") for part in several.split(",")]
            found.extend(other for other in wanted if other not in found and (HERE / f"{other}.py").is_file())
    return tuple(sorted(found))


@cache
def _folder_of(path: Path) -> Path:
    """Numba keys its cache on a kernel's own file only; a changed helper must change the folder."""
    digest = hashlib.sha256(numba.__version__.encode())
    inside = path.parent == HERE
    for name in sources(path.stem) if inside else sorted(p.stem for p in HERE.glob("*.py")):
        digest.update((HERE / f"{name}.py").read_bytes())
    for other in [] if inside else sorted(path.parent.glob("*.py")):
        digest.update(other.read_bytes())
    return cache_folder() / digest.hexdigest()[:16]


@cache
def _usable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False  # a read-only machine compiles in memory
    return os.access(folder, os.W_OK)


def cached() -> bool:
    """Whether compiled kernels outlive this process, in :func:`cache_folder`."""
    return not os.environ.get("NUMBA_CACHE_DIR") and _usable(cache_folder())


def kernel(function: F) -> F:
    """Compile `function`: no fastmath (bits would depend on the CPU), no `parallel`, the GIL released.

    ``error_model="numpy"`` makes division IEEE; Python's check for zero would block vectorisation.
    """
    keep = bool(os.environ.get("NUMBA_CACHE_DIR"))
    if not keep:
        folder = _folder_of(Path(function.__code__.co_filename))
        keep = _usable(folder)
        setattr(config, "CACHE_DIR", str(folder))  # noqa: B010 - numba's config makes its attributes at run time
    return cast("F", numba.njit(nogil=True, cache=keep, fastmath=False, error_model="numpy")(function))


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
