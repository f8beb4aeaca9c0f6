"""Live copies of the families: their own source files, executed once more with steppers in place of kernels.

A formula is written once. What a copy imports from `kernels` is a stepper's shim, a kernel that looks at one row only,
or a constant; a kernel that is none of them makes the import fail, and the dataset is recomputed instead.
"""

from __future__ import annotations

import builtins
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from bqx.base.errors import LiveError
from bqx.features.live.tape import BY_ROW, STEPPERS, shim

KERNELS, FAMILIES = "bqx.features.kernels", "bqx.features.families"
ORIGINAL = ("_reference", "_support")
"""Modules with these endings compute no columns: copies import them as they are."""

PURE = {"parse", "_parse"}
"""Functions that take column names apart: their answers are kept, for they are asked at every minute."""

OVERRIDES: dict[str, Any] = {}
"""`module.name` or `module.Class.name` of a family -> what a copy has in its place, where rows are shifted in numpy or
fits are looked up."""


def override(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a replacement in live copies."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            OVERRIDES[name] = function
        return function

    return register


class _Kernels(ModuleType):
    """A module of kernels as a live copy sees it."""

    def __init__(self, original: ModuleType) -> None:
        super().__init__(original.__name__)
        self._original = original

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._original, name)
        path = f"{self.__name__.rpartition('.')[2]}.{name}"
        if path in STEPPERS:
            return shim(path)
        if path in BY_ROW or not callable(value) or isinstance(value, type) or hasattr(value, "__origin__"):
            return value
        raise LiveError(f"kernel {path} has no stepper")


@lru_cache(maxsize=1)
def _ready() -> None:
    """Import all steppers and overrides."""
    import bqx.features.live.overrides
    import bqx.features.live.overrides_fits
    import bqx.features.live.overrides_names
    import bqx.features.live.steppers  # noqa: F401


@lru_cache(maxsize=256)
def _kernels(name: str) -> _Kernels:
    return _Kernels(import_module(name))


@lru_cache(maxsize=256)
def copy_of(name: str) -> ModuleType:
    """The live copy of a module by its full name; raises LiveError when it calls a kernel without a stepper."""
    _ready()
    original = import_module(name)
    path = Path(str(original.__file__))
    copied = ModuleType(f"bqx.features.live.copies.{name.rpartition('.')[2]}")
    copied.__file__ = str(path)
    copied.__dict__["__builtins__"] = {**vars(builtins), "__import__": _import}
    sys.modules[copied.__name__] = copied  # dataclasses look their module up
    source = path.read_text("utf-8")
    exec(compile(source, str(path), "exec"), copied.__dict__)  # noqa: S102 - our own source
    for word in PURE & vars(copied).keys():
        if getattr(copied, word).__module__ == copied.__name__:
            setattr(copied, word, lru_cache(maxsize=None)(getattr(copied, word)))
    for word, value in list(vars(copied).items()):
        if isinstance(value, _Kernels):  # fail now, not at the first bar
            for used in re.findall(rf"\b{word}\.(\w+)", source):
                getattr(value, used)
    head = f"{name.rpartition('.')[2]}."
    for place, function in OVERRIDES.items():
        if place.startswith(head):
            *owners, last = place.removeprefix(head).split(".")
            owner: Any = copied
            for part in owners:
                owner = getattr(owner, part)
            setattr(owner, last, function)
    return copied


def _import(
    name: str,
    globals_: Mapping[str, object] | None = None,
    locals_: Mapping[str, object] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> Any:
    """`__import__` of live copies: kernels become shims, families copies."""
    if fromlist and not level:
        if name == KERNELS:
            return _Package({part: _kernels(f"{KERNELS}.{part}") for part in fromlist})
        if name == FAMILIES:
            return _Package({part: copy_of(f"{FAMILIES}.{part}") for part in fromlist})
        if name.startswith(f"{KERNELS}."):
            return _kernels(name)
        if name.startswith(f"{FAMILIES}.") and not name.endswith(ORIGINAL):
            return copy_of(name)
    return builtins.__import__(name, globals_, locals_, fromlist or (), level)


class _Package(ModuleType):
    def __init__(self, parts: Mapping[str, ModuleType]) -> None:
        super().__init__(KERNELS)
        self.__dict__.update(parts)
