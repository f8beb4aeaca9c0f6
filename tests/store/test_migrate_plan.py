"""Plans without a server: patterns, specifications and their line numbers, and properties of any plan."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bqx.base.errors import MigrationConflict, MigrationSpecError
from bqx.market.pairs import PAIRS
from bqx.store.migrate.budget import Budget, batches, need
from bqx.store.migrate.inventory import Inventory, Part, Relation, Taken
from bqx.store.migrate.ledger import Entry
from bqx.store.migrate.live import left
from bqx.store.migrate.names import core, follow, size
from bqx.store.migrate.pattern import Pattern
from bqx.store.migrate.plan import Plan
from bqx.store.migrate.planner import make_plan
from bqx.store.migrate.rollback import inverse
from bqx.store.migrate.spec import Spec, parse_spec, read_spec

SPEC = """
migration: x
schema: s
places: {family: [alpha, beta]}
rules:
  - {from: "{family}_features_{pair}[_{month}]", to: "{family}_rate_{pair}[_{month}]"}
"""


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("migration: x\nrules:\n  - {form: a, to: b}\n", 3, "did you mean from?"),
        ("migration: x\nrules: []\n", 2, "at least 1 item"),
        ("migration: a b\nrules:\n  - {from: a, to: b}\n", 1, "migration"),
        ("migration: x\nexpect:\n  each:\n    tables: many\nrules:\n  - {from: a, to: b}\n", 4, "expect.each.tables"),
        ("migration: x\nexpect:\n  total: -1\nrules:\n  - {from: a, to: b}\n", 3, "greater than or equal to 0"),
        ("migration: x\n\nrules:\n  - from: 'a_{family}'\n    to: 'b_{fam}'\n", 3, "`to` uses fam"),
        ("migration: x\nrules:\n  - {from: 'a_{family}', regex: 'b', to: 'b'}\n", 2, "needs one of"),
        ("migration: x\nrules:\n  - {from: 'a_[{family}', to: 'b'}\n", 2, "one pair of brackets"),
        ("migration: x\nplaces: {family: months}\nrules:\n  - {from: 'a_{family}', to: 'b'}\n", 2, "no list of words"),
        ("migration: x\nallow:\n  strais: [a]\nrules:\n  - {from: a, to: b}\n", 3, "did you mean strays?"),
        ("migration: x\nmigration: y\n", 2, "twice"),
        ("migration: &a x\n", 1, "anchor"),
        ("migration: !!python/object:os.system x\n", 1, "tag"),
        ("migration: x\n\n\nrules: [\n", 5, "YAML"),
        ("- a\n- b\n", 1, "mapping"),
        ("\n\n", 1, "empty"),
    ],
)  # fmt: skip
def test_errors_name_the_line(text: str, line: int, says: str) -> None:
    with pytest.raises(MigrationSpecError) as caught:
        parse_spec(text, "file.yaml")
    assert str(caught.value.where).startswith(f"file.yaml:{line}"), caught.value
    assert says in str(caught.value)
    assert caught.value.exit_code == 2


def test_the_shipped_specification() -> None:
    spec = read_spec("1.6.9")
    assert spec.match("bollinger_features_usdjpy_2024_07") == [("bollinger", "bollinger_rate_usdjpy_2024_07")]
    assert spec.match("bollinger_features_usdjpy_2024_13") == spec.match("volume_features_usdjpy") == []
    assert spec.match("xbollinger_features_usdjpy") == spec.match("bollinger_features_usdjpy_2024_07x") == []
    assert spec.old_of("fibonacci_rate_audcad") == "fibonacci_features_audcad"
    assert spec.expect.each.tables == len(PAIRS) * 13 and spec.expect.total == 4 * 364
    assert Spec.model_validate(json.loads(json.dumps(spec.as_dict()))).digest == spec.digest
    with pytest.raises(MigrationSpecError, match="cannot be read"):
        read_spec("1.6.8")


def test_names_that_follow() -> None:
    old, new = "a_features_eurusd_2024_07", "a_rate_eurusd_2024_07"
    assert core(old, new) == ("a_features", "a_rate")
    assert follow(f"{old}_pkey", old, new) == f"{new}_pkey"
    assert follow("idx_a_features_eurusd_ts", old, new) == "idx_a_rate_eurusd_ts"
    assert follow("ba_features_x", old, new) == "ba_features_x", "only whole words"
    assert follow("features", old, new) == "features"
    assert core("a_b", "a_x_b") is None and follow("i_a_b", "a_b", "a_x_b") == "i_a_x_b"


QUICK = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
WORDS = st.text("abcxyz09", min_size=1, max_size=6)


@QUICK
@given(WORDS, WORDS, st.sampled_from(PAIRS), st.none() | st.tuples(st.integers(2000, 2099), st.integers(1, 12)))
def test_a_pattern_reads_what_it_writes(head: str, family: str, pair: str, month: tuple[int, int] | None) -> None:
    pattern = Pattern(f"{head}_{{family}}_{{pair}}[_{{month}}]", {"month": r"[0-9]{4}_[0-9]{2}", "pair": "[a-z]{6}"})
    values = {"family": family, "pair": pair}
    if month is not None:
        values["month"] = f"{month[0]}_{month[1]:02d}"
    name = pattern.render(values)
    assert pattern.match(name) == values
    assert name.endswith(values.get("month", pair))


@st.composite
def inventories(draw: st.DrawFn) -> Inventory:
    """Trees and loose tables of two families, some renamed already, with indexes, strangers and names in the way."""
    names: dict[str, Taken] = {}
    relations: list[Relation] = []
    parts: list[Part] = []
    oid = iter(range(1, 10_000))

    def table(name: str, kind: str, parent: int = 0) -> int:
        if name in names:
            return 0
        me = next(oid)
        relations.append(Relation(me, name, kind, "o", parent))
        names[name] = Taken(me, kind)
        index = f"{name}_pkey"
        if index not in names:
            parts.append(Part(next(oid), "index", index, me))
            names[index] = Taken(parts[-1].oid, "i")
        return me

    for family in ("alpha", "beta"):
        for pair in draw(st.lists(st.sampled_from(PAIRS[:4]), unique=True, max_size=4)):
            word = draw(st.sampled_from(["features", "features", "rate"]))
            months = draw(st.lists(st.integers(1, 4), unique=True, max_size=4))
            parent = table(f"{family}_{word}_{pair}", "p") if draw(st.booleans()) else 0
            for m in months:
                table(f"{family}_{word}_{pair}_2024_{m:02d}", "r", parent)
    for name in draw(st.lists(st.sampled_from([
        "alpha_rate_audcad", "beta_rate_audchf_2024_01", "gamma_features_audcad", "alpha_rate_audcad_pkey", "other",
    ]), unique=True)):  # fmt: skip
        table(name, "r")
    return Inventory("s", tuple(relations), tuple(parts), names)


@QUICK
@given(inventories(), st.sampled_from(["rate", "features_x", "features"]))
def test_any_plan_is_a_bijection(inventory: Inventory, word: str) -> None:
    """Old names and new ones are distinct, no new name is anybody else's, and the inverse is the way back."""
    text = SPEC.replace("_rate_", f"_{word}_") if word != "features" else SPEC.replace(
        'to: "{family}_rate_{pair}', 'to: "{pair}_features_{family}'
    )  # fmt: skip
    plan = make_plan(parse_spec(text), inventory)
    pending = plan.pending
    renames = {(s.space, s.old): (s.space, s.new) for s in pending}
    assert len(renames) == len(pending) == len(set(renames.values()))
    staying = {name for name, taken in inventory.names.items() if taken.oid not in {s.oid for s in pending}}
    assert not staying & {s.new for s in pending if s.space[0] == "relation"}
    applied = [
        Entry(s.oid, s.kind, s.table, s.schema, s.old, s.new, s.group, s.column, "applied", 1, None) for s in pending
    ]
    back = inverse(plan, applied).steps
    assert {(s.space, s.new): (s.space, s.old) for s in back} == renames
    assert {s.unit for s in back} <= {s.unit for s in pending}
    for s in plan.steps:
        assert size(s.new) <= 63 or any(f.case == "A5.8" for f in plan.findings)
    again = Plan.parse(plan.text())
    assert again == plan and again.digest == plan.digest


@QUICK
@given(inventories(), st.integers(60, 400))
def test_batches_are_whole_units_within_the_budget(inventory: Inventory, capacity: int) -> None:
    plan = make_plan(parse_spec(SPEC), inventory)
    budget = Budget(capacity + 40, 0)
    groups = batches(plan, budget, "batched")
    assert [s for steps in groups for s in steps] == list(plan.pending)
    where = {}
    for number, steps in enumerate(groups):
        assert need(steps, views=False) <= budget.allowed
        for s in steps:
            assert where.setdefault(s.unit, number) == number


@QUICK
@given(inventories(), st.data())
def test_what_is_left_after_any_batches(inventory: Inventory, data: st.DataObject) -> None:
    """A plan of which some units are done, by the ledger, leaves exactly the others; anything else is a conflict."""
    plan = make_plan(parse_spec(SPEC), inventory)
    units = sorted({s.unit for s in plan.pending})
    done = set(data.draw(st.lists(st.sampled_from(units), unique=True))) if units else set()
    gone = {s.oid: s.new for s in plan.pending if s.unit in done}
    after = Inventory(
        "s",
        tuple(replace(r, name=gone.get(r.oid, r.name)) for r in inventory.relations),
        tuple(replace(p, name=gone.get(p.oid, p.name)) for p in inventory.parts),
        {gone.get(t.oid, n): t for n, t in inventory.names.items()},
    )
    rest = left(plan, make_plan(parse_spec(SPEC), after, gone))
    assert {s.oid for s in rest} == {s.oid for s in plan.pending if s.unit not in done}
    if gone:
        with pytest.raises(MigrationConflict):
            left(plan, make_plan(parse_spec(SPEC), after))  # the same names, but no ledger that knows why


def test_a_plan_that_was_edited_is_refused() -> None:
    relation = Relation(7, "alpha_features_eurusd", "r", "o")
    plan = make_plan(parse_spec(SPEC), Inventory("s", (relation,), (), {relation.name: Taken(7, "r")}))
    assert len(plan.pending) == 1
    for old, new in (
        ("alpha_rate_eurusd", "alpha_rate_eurusx"),
        ('"oid": 7', '"oid": 8'),
        ('"schema": "s"', '"schema": "t"'),
    ):
        assert old in plan.text()
        with pytest.raises(MigrationSpecError, match="was changed"):
            Plan.parse(plan.text().replace(old, new))
    for text in ("", "{}", "[]", '{"format": 9}', "not json"):
        with pytest.raises(MigrationSpecError):
            Plan.parse(text)
