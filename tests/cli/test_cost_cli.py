"""`bqx cost` and `bqx models evidence cost`: what is printed, what is written, and what the exit code says."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bqx.build.project import Project
from bqx.cli.main import main
from bqx.research.registry.store import ALL_MODELS, Registry

Run = Callable[..., tuple[int, str, str]]
FEW = ("--serving", "batch", "--draws", "100")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    def call(*words: str) -> tuple[int, str, str]:
        code = 0
        try:
            main(["-C", str(tmp_path), *words])
        except SystemExit as done:
            code = int(done.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_estimate_needs_no_project(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("cost", "estimate", *FEW)
    assert code == 0 and "NOT CURRENT" in out and "a 1,000 answers" in out
    code, out, _ = run("cost", "estimate", *FEW, "--json")
    data = json.loads(out)
    cents = sum(round(100 * float(line["amount"])) for line in data["lines"])
    assert cents == round(100 * float(data["total"]))
    (tmp_path / "cost.toml").write_text("budget = 12345\nserving = 'container'\n")
    code, out, _ = run("cost", "estimate", "--draws", "100", "--json")
    assert (json.loads(out)["budget"], json.loads(out)["serving"]) == ("12345", "container"), "cost.toml of the folder"
    code, _, err = run("cost", "estimate", "--serving", "cloud")
    assert code == 3 and "BQX870" in err


def test_the_seed_is_compared(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("cost", "compare", "--reference", "seed", "--html", str(tmp_path / "r"))
    assert code == 0 and "lines come to 511.87, printed 512.38" in out
    assert [line.split()[0] for line in out.splitlines() if line.startswith("K")] == [f"K{n}" for n in range(1, 14)]
    assert "NAT gateway" in (tmp_path / "r" / "cost-seed.html").read_text()
    data = json.loads(run("cost", "compare", "--reference", "seed", "--json")[1])
    assert len(data["differences"]) == 13 and data["sums"]["baseline"] == "511.87"


def test_check_tells_by_its_exit_code(run: Run, tmp_path: Path) -> None:
    assert run("cost", "check", *FEW, "--budget", "100000")[0] == 0
    code, out, err = run("cost", "check", *FEW, "--budget", "100", "--json")
    assert code == 5 and json.loads(out)["alarms"][0]["name"] == "budget" and "BQX873" in err
    assert run("cost", "check", *FEW, "--budget", "much")[0] == 2
    rows = [["date", "service", "usage_type", "usage", "cost", "currency"]]
    rows += [[f"2026-09-{day:02}", "AmazonEC2", "NatGateway-Hours", "24", "1.08", "USD"] for day in range(1, 11)]
    with (tmp_path / "bill.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    code, out, err = run("cost", "check", *FEW, "--budget", "100000", "--bill", str(tmp_path / "bill.csv"))
    assert code == 0 and "10.80 billed" in out, "less was used, and the lines say so"
    code, _, err = run("cost", "check", *FEW, "--budget", "20", "--bill", str(tmp_path / "bill.csv"))
    assert code == 5 and "projection" in err and "will end at" in err


def test_prices_are_imported_listed_and_used(run: Run, tmp_path: Path) -> None:
    offer = {
        "offerCode": "AmazonEC2", "version": "1", "publicationDate": "2026-09-01T00:00:00Z",
        "products": {"N": {"attributes": {"usagetype": "NatGateway-Hours", "regionCode": "us-east-1"}}},
        "terms": {"OnDemand": {"N": {"N.1": {"effectiveDate": "2026-09-01T00:00:00Z", "priceDimensions": {
            "N.1.1": {"unit": "Hrs", "beginRange": "0", "pricePerUnit": {"USD": "0.09"}}}}}}},
    }  # fmt: skip
    path = tmp_path / "offer.json"
    path.write_text(json.dumps(offer))
    code, out, _ = run("cost", "prices", "import", str(path), "--dry-run")
    assert code == 0 and "0.045 -> 0.09" in out and not (tmp_path / "prices.toml").exists()
    before = json.loads(run("cost", "estimate", *FEW, "--json")[1])
    code, out, _ = run("cost", "prices", "import", str(path))
    assert code == 0 and "nat-gb" in out and "not in the list" in out
    after = json.loads(run("cost", "estimate", *FEW, "--json")[1])
    nat = [next(line for line in e["lines"] if line["id"] == "nat") for e in (before, after)]
    assert float(nat[1]["amount"]) == 2 * float(nat[0]["amount"])
    assert "version 1" in nat[1]["figures"]["nat-hour"]["source"]
    assert "AmazonEC2 as published 2026-09-01" in run("cost", "prices", "list")[1]
    path.write_text("{")
    code, _, err = run("cost", "prices", "import", str(path))
    assert code == 4 and "BQX871" in err


def test_evidence_of_gate_8(run: Run, tmp_path: Path) -> None:
    Project.create(tmp_path, pairs=["eurusd"]).close()
    code, _, err = run("models", "evidence", "cost", *FEW)
    assert code == 5 and "not good" in err, "prices of the reference are too old"
    assert not Registry(tmp_path).evidence("GATE8", ALL_MODELS)["cost"]["ok"]
    (tmp_path / "cost.toml").write_text("budget = 100000\n")
    code, out, err = run("models", "evidence", "cost", *FEW, "--max-age-days", "36500")
    assert code == 0 and "GATE8 cost: good" in out, err
    found = Registry(tmp_path).evidence("GATE8", ALL_MODELS)["cost"]
    assert found["ok"] and found["figures"]["prices"] == "reference"
