"""Whether evidence still speaks of what is in the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bqx.ops.stages.counting import hash_of
from bqx.ops.stages.state import Evidence

if TYPE_CHECKING:
    from bqx.build.project import Project
    from bqx.store.contract import PartitionInfo


def why_not(
    project: Project, evidence: Evidence, held: Mapping[str, list[PartitionInfo]], codes: Mapping[str, str]
) -> str | None:
    """Why evidence no longer holds: other code, other partitions, old names; None while it does.

    held, codes : partitions and code of each dataset. Bars that were corrected without a new build show in
    `bqx stage gaps`, which hashes all inputs.
    """
    content = evidence.content
    if content["kind"] == "migration":
        from bqx.ops.stages.checks import legacy_names

        found = legacy_names(project)
        return f"{len(found)} names of the old convention: {', '.join(found[:3])}" if found else None
    if content["kind"] == "task":
        from bqx.ops.stages.task_checks import changed

        odd = changed(project, content["rests"])
        return f"evidence {evidence.id} rests on what has changed: {odd}" if odd else None
    for name, code in content.get("code", {}).items():
        if codes.get(name) != code:
            return f"evidence {evidence.id} is of other code of {name}"
    if not evidence.data_hash:
        return None
    first, last = content["scope"]["first"], content["scope"]["last"]
    mine = [i for name in content["datasets"] for i in held.get(name, []) if first <= i.key.ym <= last]
    if hash_of(mine) != evidence.data_hash:
        return f"evidence {evidence.id} is of other partitions than the store holds now"
    return None
