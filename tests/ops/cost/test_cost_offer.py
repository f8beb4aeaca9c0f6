"""Price lists in the provider's form: read in pieces, with limits; hostile files are refused and nothing is taken."""

from __future__ import annotations

import json
import tracemalloc
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cost_figures import BOOK, D

from bqx.base.errors import PriceListError
from bqx.ops.cost import json_stream, offer
from bqx.ops.cost.book_file import book_text, write_book
from bqx.ops.cost.json_stream import JsonStream
from bqx.ops.cost.offer import import_offer
from bqx.ops.cost.pricebook import read_book


def product(sku: str, usage: str, region: str = "us-east-1") -> dict[str, Any]:
    return {"sku": sku, "productFamily": "ML Instance",
            "attributes": {"servicecode": "x", "usagetype": usage, "regionCode": region,
                           "note": 'a "quoted" {brace]'}}  # fmt: skip


def terms(sku: str, *tiers: tuple[str, str], unit: str = "Hrs", since: str = "2026-06-01T00:00:00Z") -> dict[str, Any]:
    dimensions = {
        f"{sku}.T.{n}": {"unit": unit, "beginRange": begin, "endRange": "Inf", "pricePerUnit": {"USD": price}}
        for n, (begin, price) in enumerate(tiers)
    }
    return {f"{sku}.T": {"offerTermCode": "T", "sku": sku, "effectiveDate": since, "priceDimensions": dimensions}}


def sagemaker() -> dict[str, Any]:
    """As `AmazonSageMaker` is published, in small; invented prices."""
    return {
        "formatVersion": "v1.0", "disclaimer": "invented", "offerCode": "AmazonSageMaker", "version": "20260901000000",
        "publicationDate": "2026-09-01T12:00:00Z",
        "products": {
            "AAA": product("AAA", "USE1-Host:ml.m5.2xlarge"), "BBB": product("BBB", "Train:ml.m5.2xlarge"),
            "CCC": product("CCC", "EUC1-Host:ml.m5.2xlarge", "eu-central-1"),
            "DDD": product("DDD", "Host:ml.g5.xlarge"),
            "EEE": product("EEE", "Processing:ml.m5.2xlarge"), "FFF": product("FFF", "Processing:ml.m5.2xlarge"),
        },
        "terms": {
            "OnDemand": {
                "AAA": terms("AAA", ("0", "0.4610000000")), "BBB": terms("BBB", ("100", "0.4000"), ("0", "0.0")),
                "CCC": terms("CCC", ("0", "0.552")), "DDD": terms("DDD", ("0", "1.4")),
                "EEE": terms("EEE", ("0", "0.5")), "FFF": terms("FFF", ("0", "0.6")),
            },
            "Reserved": {"AAA": {"x": {"priceDimensions": {}}}},
        },
        "attributesList": {},
    }  # fmt: skip


def write(path: Path, data: Any) -> Path:
    path.write_text(json.dumps(data, indent=1))
    return path


def test_prices_are_taken_and_the_rest_is_told(tmp_path: Path) -> None:
    found = import_offer(write(tmp_path / "offer.json", sagemaker()), BOOK)
    assert dict(found.changed) == {"hosting-hour": (D("0.538"), D("0.461")), "training-hour": (D("0.806"), D("0.4"))}
    assert found.left == {"processing-hour": "several prices fit: SKUs EEE, FFF", "monitor-hour": "not in the list",
                          "studio-hour": "not in the list"}  # fmt: skip
    price = found.book["hosting-hour"]
    assert (price.sku, price.given.fixed, price.given.dated) == ("AAA", True, date(2026, 9, 1))
    assert "version 20260901000000" in price.given.source and "valid since 2026-06-01" in price.given.source
    assert found.book["log-gb"] == BOOK["log-gb"]
    assert "28 prices are still those of the reference" in found.book.note
    german = import_offer(tmp_path / "offer.json", BOOK, "eu-central-1")
    assert {k: v[1] for k, v in german.changed.items()} == {"hosting-hour": D("0.552")}


def test_units_are_brought_to_ours(tmp_path: Path) -> None:
    data = {
        **sagemaker(), "offerCode": "AWSLambda",
        "products": {"R": product("R", "USE1-Request"), "E": product("E", "Lambda-Edge-Request"),
                     "G": product("G", "Lambda-GB-Second")},
        "terms": {"OnDemand": {"R": terms("R", ("0", "0.0000002000"), unit="Requests"),
                               "E": terms("E", ("0", "0.0000006"), unit="Requests"),
                               "G": terms("G", ("0", "0.0000166667"), unit="Seconds")}},
    }  # fmt: skip
    found = import_offer(write(tmp_path / "offer.json", data), BOOK)
    assert found.changed["function-requests"][1] == D("0.2")
    assert found.left == {"function-gb-second": "a price a Seconds there, a Lambda-GB-Second in the book"}


def test_a_book_is_written_and_read_again(tmp_path: Path) -> None:
    book = import_offer(write(tmp_path / "offer.json", sagemaker()), BOOK).book
    write_book(book, tmp_path / "prices.toml")
    again = read_book(tmp_path / "prices.toml")
    assert again.prices == dict(sorted(book.prices.items()))
    assert book_text(again) == (tmp_path / "prices.toml").read_text()


@pytest.mark.parametrize("chunk", [1, 7, 64, 1 << 20])
def test_any_size_of_piece_gives_the_same(chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "CHUNK", chunk)
    path = write(tmp_path / "offer.json", sagemaker())
    with JsonStream(path) as stream:
        assert {key: stream.value() for key in stream.members()} == sagemaker()
    assert len(import_offer(path, BOOK).changed) == 2


def test_a_long_list_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A megabyte of products that nobody asked for, in pieces of 16 kB."""
    monkeypatch.setattr(json_stream, "CHUNK", 1 << 14)
    path = tmp_path / "offer.json"
    data = sagemaker()
    filler = json.dumps(product("X", "Host:ml.other") | {"text": "y" * 900})
    with path.open("w") as out:
        head = {k: data[k] for k in ("offerCode", "version", "publicationDate")}
        out.write(json.dumps(head)[:-1] + ', "products": {')
        out.writelines(f'"X{n}": {filler},' for n in range(1_000))
        out.write(f'"AAA": {json.dumps(data["products"]["AAA"])}}}, "terms": {json.dumps(data["terms"])}}}')
    assert path.stat().st_size > 1 << 20
    tracemalloc.start()
    found = import_offer(path, BOOK)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.changed["hosting-hour"][1] == D("0.461")
    assert peak < 1 << 18


def _cut(data: dict[str, Any]) -> str:
    text = json.dumps(data)
    return text[: int(len(text) * 0.6)]


def _term(**changes: Any) -> str:
    data = sagemaker()
    dimension = next(iter(data["terms"]["OnDemand"]["AAA"]["AAA.T"]["priceDimensions"].values()))
    dimension.update(changes)
    return json.dumps(data)


HOSTILE = {
    "empty": ("", "is expected"),
    "an array": ("[1, 2]", "'{' is expected"),
    "cut short": (_cut(sagemaker()), "ends|expected"),
    "no head": (json.dumps({"products": {}}), "no offer file"),
    "another service": (json.dumps({**sagemaker(), "offerCode": "AmazonQLDB"}), "no price of the book is of Amazon"),
    "negative": (_term(pricePerUnit={"USD": "-1"}), "negative"),
    "not a number": (_term(pricePerUnit={"USD": "NaN"}), "not finite"),
    "infinite": (_term(pricePerUnit={"USD": "Infinity"}), "not finite"),
    "words": (_term(pricePerUnit={"USD": "cheap"}), "lacks what a price needs"),
    "another currency": (_term(pricePerUnit={"CNY": "1"}), "lacks what a price needs"),
    "no date": (json.dumps({**sagemaker(), "publicationDate": "soon"}), "no date"),
    "deep": ('{"a": ' + "[" * 500 + "]" * 500 + "}", "deeper than 32"),
    "deep objects": ('{"products": ' + '{"a": ' * 500, "deeper than|offers|expected"),
    "a long key": ('{"' + "k" * 9000 + '": 1}', "a key of more than"),
    "a long word": ('{"offerCode": ' + "1" * 9000 + "}", "more than 4,096 bytes"),
    "a long text": ('{"version": "' + "x" * (2 << 20) + '"}', "a text of more than"),
    "a long value": ('{"version": [' + "1," * (3 << 20) + "1]}", "a value of more than"),
    "bad escapes": ('{"version": "\\q"}', "not JSON"),
    "bad bytes": ('{"version": "\udcff"}', "not JSON"),
    "no colon": ('{"version" "1"}', "':' is expected"),
    "products are a list": (json.dumps({**sagemaker(), "products": []}), "'{' is expected"),
    "offers are a list": (json.dumps({**sagemaker(), "terms": {"OnDemand": {"AAA": [1]}}}), "no object"),
    "a product is a number": (json.dumps({**sagemaker(), "products": {"AAA": 3}}), "no price can be taken"),
    "nothing of the region": (json.dumps({**sagemaker(), "products": {"C": product("C", "Host:ml.m5.2xlarge", "x")}}),
                              "no price can be taken"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_lists_are_refused(case: str, tmp_path: Path) -> None:
    text, words = HOSTILE[case]
    path = tmp_path / "offer.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(PriceListError, match=words) as caught:
        import_offer(path, BOOK)
    assert "offer.json" in str(caught.value.where)


def test_limits_of_files_and_products(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "offer.json", sagemaker())
    monkeypatch.setattr(offer, "MOST_PRODUCTS", 3)
    with pytest.raises(PriceListError, match="products"):
        import_offer(path, BOOK)
    monkeypatch.setattr(offer, "MOST_BYTES", 100)
    with pytest.raises(PriceListError, match="more than 100 bytes"):
        import_offer(path, BOOK)
    with pytest.raises(PriceListError, match="cannot be read"):
        import_offer(tmp_path / "absent.json", BOOK)
    assert isinstance(BOOK["hosting-hour"].given.mode, Decimal)
