"""Fold tail pieces into month files."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from bqx.store.contract import PartitionInfo, Receipt
from bqx.store.listing import list_partitions
from bqx.store.read import scan_pieces

if TYPE_CHECKING:
    from bqx.store.lake import Lake


@dataclass(frozen=True, slots=True)
class Compacted:
    """Partitions folded (or that would be), and the pieces they were in before."""

    partitions: tuple[str, ...]
    pieces: int
    dry_run: bool


def compact(lake: Lake, dataset: str | None = None, *, dry_run: bool = False) -> Compacted:
    """Rewrite every partition that has a tail as one month file, one transaction a dataset and month.

    Killed half-way, it goes on where it stopped; the pieces stay readable by earlier `as_of` until gc.
    """
    todo = [info for info in list_partitions(lake.manifest, dataset=dataset) if has_tail(info)]
    if not dry_run:
        ordered = sorted(todo, key=lambda info: (info.key.dataset, info.key.ym, info.key.pair))
        for _, group in groupby(ordered, key=lambda info: (info.key.dataset, info.key.ym)):
            lake.commit([_fold(lake, info) for info in group])
    return Compacted(tuple(info.name for info in todo), sum(len(info.pieces) for info in todo), dry_run)


def has_tail(info: PartitionInfo) -> bool:
    """Whether it has rows that were appended and not folded in yet."""
    return any(piece.kind == "tail" for piece in info.pieces)


def _fold(lake: Lake, info: PartitionInfo) -> Receipt:
    table = scan_pieces(lake.files, info.pieces, list(info.columns), None, True).collect()
    return lake.stage(
        info.key,
        table,
        input_hash=info.input_hash,
        code_version=info.code_version,
        complete_through=info.complete_through,
        simulated=info.simulated,
    )
