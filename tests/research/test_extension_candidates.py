"""Extensions are candidates only of a training dataset that was made with them; the 2,640 stay what they are."""

from __future__ import annotations

import pytest

from bqx.base.errors import DatasetError, UsageError
from bqx.build.project import Project
from bqx.features.catalogue import extensions
from bqx.research.candidates import candidates, catalogue_version, counted_datasets, wider_in
from bqx.research.dataset_make import make_dataset
from bqx.serve.api.models import columns_of


def test_the_candidates_stay() -> None:
    base = candidates()
    wider = candidates("seed", ("reg_rate",))
    assert len(base) == 2640 and wider[:2640] == base
    assert [c.column for c in wider[2640:]] == [c.name for c in extensions()["reg_rate"].columns]
    assert all(c.lag == 0 and c.signal_domain == "rate" for c in wider[2640:])
    assert len(counted_datasets()) == 33 and counted_datasets(("reg_rate",))[33:] == ("reg_rate",)


def test_versions_name_what_was_added() -> None:
    plain, wider = catalogue_version(), catalogue_version(("reg_rate", "reg_bqx"))
    assert wider.startswith(f"{plain}+reg_rate:") and wider_in(plain) == ()
    assert wider_in(wider) == ("reg_rate", "reg_bqx")
    assert catalogue_version(wider_in(wider)) == wider


def test_a_model_may_read_them() -> None:
    names = ("returns_raw_rate.ret_1", "reg_rate.t2_w60")
    assert tuple(c.name for c in columns_of(names)) == names


def test_both_switches_are_needed(noise_world: Project) -> None:
    with pytest.raises(UsageError, match="reg_rate is not switched on"):
        make_dataset(noise_world, "wider", extensions=["reg"], dry_run=True)
    on = Project.open(noise_world.root, overrides={"features.extensions": "reg"})
    plain = make_dataset(on, "plain", dry_run=True)
    assert plain["candidates"] == 2640 and "extensions" not in plain
    with pytest.raises(DatasetError, match="are not built"):
        make_dataset(on, "wider", extensions=["reg"], dry_run=True)
    on.close()
