"""Which candidates a model of a pair and fold may see: those of a selection, of a list, or all."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from bqx.base.errors import SelectionError, UsageError
from bqx.research.candidates import Candidate
from bqx.research.dataset import Dataset
from bqx.research.selection.run import load_mask, open_selection


@dataclass(frozen=True)
class Masks:
    """Ordered candidates of each pair and fold. source : for people. held : (pair, fold) -> row numbers of
    `candidates`, empty when every cell sees all of `common`. whole : digest of the masks that these are a part of."""

    source: str
    candidates: tuple[Candidate, ...]
    held: dict[tuple[str, int], tuple[int, ...]]
    common: tuple[int, ...] = ()
    whole: str = ""

    def numbers(self, pairs: Sequence[str], fold: int) -> tuple[int, ...]:
        """Row numbers for a model of these pairs. Several pairs with masks of their own vote: as many columns as one
        mask has, those that most masks hold, ties in candidate order."""
        if not self.held:
            return self.common
        if len(pairs) == 1:
            return self.held[pairs[0], fold]
        votes = Counter(k for p in pairs for k in self.held[p, fold])
        size = len(self.held[pairs[0], fold])
        return tuple(sorted(sorted(votes, key=lambda k: (-votes[k], k))[:size]))

    def columns(self, pairs: Sequence[str], fold: int) -> tuple[Candidate, ...]:
        return tuple(self.candidates[k] for k in self.numbers(pairs, fold))

    def union(self, pairs: Sequence[str], folds: Sequence[int]) -> tuple[int, ...]:
        """All that models of these pairs see in any of the folds."""
        return tuple(sorted({k for f in folds for k in self.numbers(pairs, f)}))

    @cached_property
    def digest(self) -> str:
        """Of every name in every mask, in order; of the whole where these are a part."""
        if self.whole:
            return self.whole
        text = [f"{p} {f}: {','.join(self.candidates[k].name for k in v)}" for (p, f), v in sorted(self.held.items())]
        text.append(",".join(self.candidates[k].name for k in self.common))
        return hashlib.sha256("\n".join(text).encode()).hexdigest()[:32]


def from_selection(dataset: Dataset, name: str, pairs: Sequence[str], folds: Sequence[int]) -> Masks:
    """Masks of `bqx select run`; SelectionError when they are of another dataset or not of the size they must have."""
    manifest = open_selection(dataset.project, name)
    if manifest["dataset_hash"] != dataset.hash:
        raise SelectionError(
            f"selection {name} was made of dataset {manifest['dataset']} as it was then, not of {dataset.name}",
            where=f"selections/{name}",
            fix=f"`bqx select run NAME --dataset {dataset.name}`",
        )
    every, budget, held = dataset.candidates, int(manifest["options"]["budget"]), {}
    for pair in pairs:
        for fold in folds:
            table = load_mask(dataset.project, name, pair, fold)
            if table["candidate"].to_list() != [c.name for c in every]:
                raise SelectionError("the mask's candidates are not the dataset's", where=f"{name} {pair} fold {fold}")
            taken = tuple(int(k) for k in table["selected"].arg_true())
            if len(taken) != budget:
                raise SelectionError(f"{len(taken)} columns, not {budget}", where=f"{name} {pair} fold {fold}")
            held[pair, fold] = taken
    return Masks(f"selection {name}", every, held)


def from_names(dataset: Dataset, names: Sequence[str] | None) -> Masks:
    """The same columns for every cell: those named, or all candidates."""
    every = dataset.candidates
    if names is None:
        return Masks("all candidates", every, {}, tuple(range(len(every))))
    at = {c.name: k for k, c in enumerate(every)}
    if unknown := [n for n in names if n not in at]:
        from difflib import get_close_matches

        near = ", ".join(get_close_matches(unknown[0], at, 3))
        raise UsageError(
            f"no candidate {unknown[0]!r} in dataset {dataset.name}", fix=f"near: {near}" if near else None
        )
    if not names or len(set(names)) != len(names):
        raise UsageError("a list of columns is empty or names one twice")
    return Masks("list", every, {}, tuple(sorted(at[n] for n in names)))
