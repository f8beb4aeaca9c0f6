import json
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bqx.base.redaction import MASK, leaks, redact, register, scrub

# Canaries are put together at run time, so that the scan of this repository stays clean.
HEX64 = "0123456789abcdef" * 4
AIRTABLE = "pat" + "A1b2C3d4E5f6G7" + "." + HEX64
AWS = "AKIA" + "IOSFODNN7EXAMPLE"
GITHUB = "ghp" + "_" + "a1B2" * 9
WORD = "hunter2" + "-but-longer"
PEM = "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEow\n-----END RSA " + "PRIVATE KEY-----"

CASES = {
    "airtable": (f"token {AIRTABLE}!", AIRTABLE),
    "aws id": (f"id={AWS},", AWS),
    "github": (f"clone with {GITHUB}", GITHUB),
    "pem": (f"key:\n{PEM}\nend", "MIIEow"),
    "url": (f"postgres://me:{WORD}@db.example/x", WORD),
    "url with @": ("postgres://me:" + f"p@{WORD}@db.example/x", WORD),
    "url with /": (f"amqp://me:a/{WORD}@db/x", WORD),
    "libpq": (f"host=db user=me password={WORD} dbname=x", WORD),
    "libpq quoted": (f"password='{WORD} and more'", "and more"),
    "env": (f"PGPASSWORD={WORD} psql", WORD),
    "python": (f'connect(password="{WORD}")', WORD),
    "json": (json.dumps({"api_key": WORD, "n": 1}), WORD),
    "json in json": (json.dumps({"body": json.dumps({"api_key": WORD})}), WORD),
    "yaml": (f"secret_key: {WORD}", WORD),
    "header": (f"Authorization: Bearer {WORD}{WORD}", WORD),
    "basic": (f"'Authorization': 'Basic {WORD}'", WORD),
}


@pytest.mark.parametrize("name", CASES)
def test_patterns(name: str) -> None:
    text, secret = CASES[name]
    assert secret not in redact(text)
    assert MASK in redact(text)
    assert redact(redact(text)) == redact(text)
    assert leaks(redact(text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "error BQX101 unknown key 'store.codecx' at bqx.toml:2, key store.codecx",
        "https://docs.example.org:8080/path?x=1",
        "secrets.provider is not set",
        "EURUSD 2024-07-01 00:00:00 1.0713 1.0714 passed 12",
        "sha256 " + HEX64,
        "path /home/me/keys.txt",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert redact(text) == text


def test_json_stays_json() -> None:
    data = {"a": f'say "password={WORD}" now', "u": f"db://u:{WORD}@h", "token": WORD, "list": [AIRTABLE]}
    text = redact(json.dumps(data))
    assert WORD not in text
    assert json.loads(text)["a"].endswith(" now")


def test_registered_values_in_all_their_spellings() -> None:
    value = 'q"uo\\te/' + "mañana"
    register(value)
    for form in (value, json.dumps({"x": value}), "https://h/?k=" + "q%22uo%5Cte%2Fma%C3%B1ana"):
        assert "uo" not in redact(form)
        assert leaks(form)
    assert json.loads(redact(json.dumps({"x": value}))) == {"x": MASK}


def test_the_longer_of_two_registered_values_wins() -> None:
    register("abcd-efgh")
    register("abcd-efgh-ijkl")
    assert redact("<abcd-efgh-ijkl>") == f"<{MASK}>"


def test_short_values_are_not_registered() -> None:
    register("ab1")
    assert redact("ab1") == "ab1"


def test_structure_is_dropped_before_patterns_look() -> None:
    data = {"user": "me", "Password": "x", "nested": [{"api-key": ["a", "b"]}], "token": None, "n": 3, "ok": True}
    assert scrub(data) == {
        "user": "me",
        "Password": MASK,
        "nested": [{"api-key": MASK}],
        "token": None,
        "n": 3,
        "ok": True,
    }
    assert AIRTABLE not in json.dumps(scrub({AIRTABLE: (AIRTABLE, {AIRTABLE})}))


def test_cycles_end() -> None:
    data: dict[str, object] = {}
    data["self"] = data
    assert MASK in json.dumps(scrub(data))


@given(st.text(string.printable, max_size=200))
def test_redaction_is_idempotent_and_never_fails(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


def test_long_lines_take_linear_time() -> None:
    began = time.perf_counter()
    for unit in ("password" * 3, "a://b:", "x" * 24, "secret=", "Bearer "):
        redact(unit * 20_000)
    assert time.perf_counter() - began < 10


@pytest.mark.parametrize("kind", ["app", "tbl", "rec", "fld", "viw", "usr", "sel"])
def test_ids_of_the_tracker_are_masked_by_their_form(kind: str) -> None:
    for tail in ("A1" * 7, "abcdefghijklm9", "Zbcdefghijklmn"):
        value = kind + tail
        for text in (value, f"/v0/{value}/Stages", f"Record ID {value} does not exist", f'{{"id": "{value}"}}'):
            assert value not in redact(text)
        assert leaks(f"of {value}.")
    for harmless in (kind + "abcdefghijklmn", kind + "A1" * 6, kind + "A1" * 8, f"my{kind}" + "A1" * 7):
        assert redact(harmless) == harmless
