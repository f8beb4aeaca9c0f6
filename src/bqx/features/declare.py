"""The declaration contract: what a family file says about its columns, once."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import FeatureError
from bqx.features.support import Mask, Policy, Support, View

if TYPE_CHECKING:
    from bqx.features.fits import Fit
    from bqx.features.identities import Identity
    from bqx.features.streams import Streams

F8 = NDArray[np.float64]
Dtype = Literal["f4", "f8", "i2", "i4"]
Domain = Literal["rate", "bqx", "dual"]
Compute = Callable[["Streams", Sequence[str]], Mapping[str, F8]]
Reference = Callable[["Streams", str, int, int], float]

TAGS = frozenset({"level", "zero_ok", "may_be_undefined"})
OURS = "bqx"
"""Origin of the datasets that come with the package."""
EXTENSION = "ext"
"""Stage of the package's extensions: auxiliary datasets, in a project only when it switches them on."""


@dataclass(frozen=True, slots=True)
class Column:
    """One feature.

    formula, unit, source : as printed in the catalogue. policy : how windows meet closures.
    bounds : closed interval of possible values. tags : `level` (moves with T0), `zero_ok` (exact zeros are data),
    `may_be_undefined` (may be NULL where `support` allows a value); `why_tagged` gives the reason.
    alias_of : the same quantity in another dataset, `dataset.column`.
    """

    name: str
    unit: str
    formula: str
    support: Support
    policy: Policy
    dtype: Dtype = "f4"
    bounds: tuple[float, float] = (-np.inf, np.inf)
    tags: frozenset[str] = frozenset()
    why_tagged: str = ""
    alias_of: str | None = None
    source: str = ""
    summary: str = ""

    def __post_init__(self) -> None:
        if unknown := self.tags - TAGS:
            raise FeatureError(f"column {self.name} has unknown tags {sorted(unknown)}")
        if self.tags & {"zero_ok", "may_be_undefined"} and not self.why_tagged:
            raise FeatureError(f"column {self.name} is exempt by tag {sorted(self.tags)} without a reason")

    @property
    def warmup(self) -> int:
        return self.support.warmup

    def expected(self, view: View) -> Mask:
        """Where the column must have a value: its support, and as many bars in the stream as its warm-up."""
        return view.mask(self.support) & (view.stream >= self.warmup)

    def why_null(self, view: View, row: int, pair: int) -> str | None:
        """Reason in words, None where a value is expected."""
        have = int(view.stream[row, pair])
        if have == 0 and self.warmup > 0:
            return "warm-up: the pair has no bar yet"
        if have < self.warmup:
            return f"warm-up: {have} bars since the pair's first, {self.warmup} needed"
        return self.support.why(view, row, pair)


@dataclass(frozen=True)
class Dataset:
    """A family in a domain: the columns that are stored together.

    compute(streams, names) fills float64 arrays (n, pairs), NaN for NULL. reference(streams, column, row, pair) gives
    one value the slow, obvious way. stage : the plan's stage that builds it. uses : what else moves its bits:
    `volume`, `quotes`, `baseline` (B_p), `gaps` (segment edges since T0), `panel` (the bars of all pairs). fits : the
    estimates its columns use. identities : equations between its values that every build checks. origin : the
    distribution it comes from, set when a user's family is loaded.
    """

    family: str
    domain: Domain
    columns: tuple[Column, ...]
    compute: Compute
    reference: Reference
    stage: str = ""
    summary: str = ""
    version: int = 1
    counted: bool = True
    inherited: bool = False
    laggable: bool = False
    uses: frozenset[str] = frozenset()
    fits: tuple[Fit, ...] = ()
    identities: tuple[Identity, ...] = ()
    origin: str = OURS
    by_name: Mapping[str, Column] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        by_name = {c.name: c for c in self.columns}
        if len(by_name) != len(self.columns):
            raise FeatureError(f"dataset {self.name} declares a column twice")
        object.__setattr__(self, "by_name", by_name)

    @property
    def name(self) -> str:
        return f"{self.family}_{self.domain}"

    @property
    def extension(self) -> bool:
        """Whether it comes with the package and is off unless a project names it."""
        return self.origin == OURS and self.stage == EXTENSION

    @property
    def code_hash(self) -> str:
        """Hash of the declared version and of all sources that values can depend on."""
        return _code_hash(self.version, _sources(Path(inspect.getfile(self.compute)), self.origin))

    def signal_domain(self, column: str) -> str:
        """`rate`, `bqx` or `neutral`: what the column counts for in selection."""
        if self.domain != "dual":
            return self.domain
        for domain in ("rate", "bqx"):
            if column.endswith(f"_{domain}"):
                return domain
        return "neutral"


_IMPORT = re.compile(r"^from bqx\.features\.families\.([\w.]+) import", re.MULTILINE)


def _sources(family_file: Path, origin: str) -> list[Path]:
    """Ours: the family's file, those named after it, `{family}_*.py` (one of which may be `family_file`), and the files
    of other families they import. A user's: all of its package, for bqx cannot know which helpers it calls."""
    folder = family_file.parent
    if origin == OURS or not (folder / "__init__.py").is_file():
        words = family_file.stem.split("_")
        heads = (folder / f"{'_'.join(words[:k])}.py" for k in range(1, len(words) + 1))
        family = next((head for head in heads if head.is_file()), family_file)
        families = folder.parent if folder.name == "extensions" else folder
        found = [family, *sorted(folder.glob(f"{family.stem}_*.py"))]
        for path in found:  # grows on the way
            names = (name.replace(".", "/") for name in sorted(_IMPORT.findall(path.read_text("utf-8"))))
            borrowed = (families / f"{name}.py" for name in names)
            found.extend(other for other in borrowed if other not in found and other.is_file())
        return found
    top = family_file.parent
    while (top.parent / "__init__.py").is_file():
        top = top.parent
    return sorted(top.rglob("*.py"))


SHARED = ("streams", "anchors", "support", "states", "refresh", "groups", "fits", "by_name", "panel_support", "compute")
"""Modules of this folder on which every value depends, the kernels and two of the market's besides."""


@lru_cache(maxsize=1)
def _shared_hash() -> bytes:
    here = Path(__file__).parent
    paths = [*sorted((here / "kernels").glob("*.py")), *(here / f"{name}.py" for name in SHARED)]
    paths += [here.parent / "market" / name for name in ("panel.py", "calendar.py")]
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.digest()


def _code_hash(version: int, family_files: Sequence[Path]) -> str:
    """Kernels and streams are shared: an edit there concerns every dataset, one in a family file only its own."""
    digest = hashlib.sha256(str(version).encode() + _shared_hash())
    for path in family_files:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def expand(template: str, **lists: Sequence[int | str]) -> list[tuple[str, dict[str, int | str]]]:
    """`expand("ret_{h}", h=(1, 2))` -> [("ret_1", {"h": 1}), ("ret_2", {"h": 2})]; several lists make a product."""
    rows: list[dict[str, int | str]] = [{}]
    for key, values in lists.items():
        rows = [{**row, key: value} for row in rows for value in values]
    return [(template.format(**row), row) for row in rows]
