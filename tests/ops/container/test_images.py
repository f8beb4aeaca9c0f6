"""Build files, locks, contexts and bills of materials: what holds, and faults planted one by one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bqx.base.errors import AuditError, ImageError
from bqx.ops.container.closure import EXTRAS, closure, requirements
from bqx.ops.container.containerfile import lint, parse
from bqx.ops.container.context import build_wheel, check_context, write_context
from bqx.ops.container.locked import Pin, read_lock
from bqx.ops.container.sbom import check_sbom, make_sbom

ROOT = Path(__file__).parents[3]
IMAGES = ROOT / "deploy" / "images"
LOCK = ROOT / "requirements" / "runtime.lock"
GOOD = (IMAGES / "inference" / "Containerfile").read_text()


@pytest.mark.parametrize("kind", sorted(EXTRAS))
def test_our_containerfiles_keep_every_rule_and_a_second_parser_reads_them_alike(kind: str, tmp_path: Path) -> None:
    text = (IMAGES / kind / "Containerfile").read_text()
    assert lint(text, kind) == []
    from dockerfile_parse import DockerfileParser

    other = DockerfileParser(path=str(tmp_path / "Dockerfile"))
    other.content = text
    theirs = [(s["instruction"], s["startline"] + 1) for s in other.structure if s["instruction"] != "COMMENT"]
    assert [(s.word, s.line) for s in parse(text)] == theirs
    assert (
        other.is_multistage
        and f'"{"train" if kind == "training" else "serve" if kind == "inference" else "processing"}"' in text
    )


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda t: t.replace("FROM ${BASE_IMAGE} AS build", "FROM registry.example/python:3.11 AS build"), "base"),
        (lambda t: t.replace("ARG BASE_IMAGE\nFROM", "ARG BASE_IMAGE=python:3.11\nFROM"), "base"),
        (lambda t: t.replace("*@sha256:*", "*"), "base"),
        (lambda t: t.replace("USER 10001:10001\n", ""), "user"),
        (lambda t: t + "USER root\n", "user"),
        (lambda t: t.replace("USER 10001:10001\n", "USER bqx\n"), "user"),
        (lambda t: t.replace(" --require-hashes", ""), "pinned"),
        (lambda t: t.replace(" --no-index", ""), "pinned"),
        (lambda t: t.replace("/opt/bqx/bin/pip check", "true"), "pinned"),
        (lambda t: t.replace("pip check", "pip check && curl -O x"), "pinned"),
        (lambda t: t + "ENV SIGNING_KEY_TOKEN=x\n", "secret"),
        (lambda t: t + "ARG DB_PASSWORD\n", "secret"),
        (lambda t: t + "RUN --mount=type=secret,id=k true\n", "secret"),
        (lambda t: t + "ADD x.tar /\n", "files"),
        (lambda t: t + "COPY . /srv\n", "files"),
        (lambda t: t.replace("image.revision", "image.other"), "labels"),
        (lambda t: t.replace("HEALTHCHECK", "# HEALTHCHECK"), "health"),
        (lambda t: t.replace("STOPSIGNAL SIGTERM\n", ""), "signal"),
        (lambda t: t.replace('CMD ["serve"]', "CMD serve"), "exec"),
    ],
)  # fmt: skip
def test_a_planted_fault_breaks_its_rule(change: object, rule: str) -> None:
    text = change(GOOD)  # type: ignore[operator]
    assert text != GOOD
    assert rule in {p.rule for p in lint(text)}


def test_what_is_no_containerfile_is_refused_with_its_line() -> None:
    with pytest.raises(ImageError, match=r"'FORM' is no instruction.*line 2"):
        parse("# a comment\nFORM x\n")
    with pytest.raises(ImageError, match=r"middle of an instruction.*line 1"):
        parse("RUN a \\\n")
    assert lint("RUN x\n")[0].rule == "base"


def test_the_lock_is_read_whole_and_every_fault_is_named(tmp_path: Path) -> None:
    pins = read_lock(LOCK)
    assert len(pins) == len([line for line in LOCK.read_text().splitlines() if line[:1].strip()])
    assert all(p.hashes for p in pins) and any(not p.on_target() for p in pins)
    digest = "--hash=sha256:" + "ab" * 32
    faults = {
        "x==1 \\\n    --hash=md5:00\n": "no sha256", "x==1\n": "no hash", "x>=1 " + digest: "not NAME==VERSION",
        "--index-url https://x.example/\n": "not NAME==VERSION", "x @ https://x.example/x " + digest: "NAME==",
        f"x==1 {digest}\nX==1 {digest}": "twice", f"x==1 ; nonsense {digest}": "which is none", "# nothing\n": "empty",
        f"x==1 {digest} --hash=sha256:zz": "no sha256",
    }  # fmt: skip
    for text, words in faults.items():
        (tmp_path / "f.lock").write_text(text)
        with pytest.raises(AuditError, match=words):
            read_lock(tmp_path / "f.lock")


def test_an_image_has_what_it_needs_and_no_more() -> None:
    pins = read_lock(LOCK)
    held = {kind: {p.key for p in closure(pins, requirements(ROOT, extras))} for kind, extras in EXTRAS.items()}
    assert {"fastapi", "uvicorn", "lightgbm", "cryptography", "numpy"} <= held["inference"]
    assert "fastapi" not in held["training"] and {"boto3", "botocore", "xgboost-cpu"} <= held["training"]
    for keys in held.values():
        assert not keys & {"hatchling", "distributed", "psycopg", "pyairtable", "keyring"}
    with pytest.raises(ImageError, match="numpy is needed and not in the lock"):
        closure([p for p in pins if p.key != "numpy"], requirements(ROOT, ()))


def test_a_bill_is_cyclonedx_and_anything_that_differs_from_the_lock_is_found() -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    pins = closure(read_lock(LOCK), requirements(ROOT, ("serve",)))
    bill = make_sbom("inference", pins, ("bqx.whl", "0" * 64))
    assert bill == make_sbom("inference", tuple(reversed(pins)), ("bqx.whl", "0" * 64))
    check_sbom(bill, pins)
    validator = JsonStrictValidator(SchemaVersion.V1_5)
    assert validator.validate_str(json.dumps(bill)) is None
    assert validator.validate_str(json.dumps({**bill, "components": [{"type": "nonsense", "name": "x"}]})) is not None
    first = pins[0]
    changed = Pin(first.name, first.version, (*first.hashes[:-1], "0" * 64), first.marker, first.line)
    for others, words in (
        (pins[1:], "not in the lock"),
        ((*pins, Pin("more", "1", ("0" * 64,), "", 1)), "not in the bill"),
        ((changed, *pins[1:]), "other hashes"),
    ):
        with pytest.raises(ImageError, match=words):
            check_sbom(bill, others)
    with pytest.raises(ImageError, match="no name, version, hashes or licence"):
        check_sbom({**bill, "components": [{"name": "x", "version": "1"}]}, pins)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("context") / "inference"
    write_context("inference", ROOT, out)
    return out


def test_a_context_is_whole_and_the_same_again(context: Path) -> None:
    card = json.loads((context / "context.json").read_text())
    [wheel] = context.glob("*.whl")
    name, data = build_wheel(ROOT)
    assert (wheel.name, wheel.read_bytes()) == (name, data), "the wheel can be built again"
    assert set(card["files"]) == {p.name for p in context.iterdir()} - {"context.json"}
    copied = [w for s in parse((context / "Containerfile").read_text()) if s.word == "COPY" and "--from" not in s.value
              for w in s.value.split()[:-1]]  # fmt: skip
    assert copied and all(list(context.glob(w)) for w in copied), "all that is copied is there"
    assert len(read_lock(context / "requirements.lock")) == card["packages"]


def test_a_context_that_was_touched_is_refused(context: Path, tmp_path: Path) -> None:
    def touched(name: str, text: str | None, words: str) -> None:
        copy = tmp_path / name.replace("/", "-")
        shutil.copytree(context, copy)
        if text is None:
            (copy / name).unlink()
        else:
            (copy / name).write_text(text)
        with pytest.raises(ImageError, match=words):
            check_context(copy)

    touched("Containerfile", GOOD + "\n", "was changed")
    touched("sbom.cdx.json", None, "this is no build context")
    touched("notes.txt", "x", "does not belong here")
    with pytest.raises(ImageError, match="holds something else"):
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "x").write_text("")
        write_context("inference", ROOT, tmp_path / "other")
    with pytest.raises(ImageError, match="no image 'gpu'"):
        write_context("gpu", ROOT, tmp_path / "gpu")


def test_a_secret_in_a_context_is_found_and_not_shown(context: Path, tmp_path: Path) -> None:
    """As if somebody had written one into the Containerfile: the card is made to fit, the scan still sees it."""
    import hashlib

    canary = "AKIA" + "QWERTYUIOP" + "123456"
    copy = tmp_path / "c"
    shutil.copytree(context, copy)
    path = copy / "Containerfile"
    path.write_text(path.read_text() + f"# {canary}\n")
    card = json.loads((copy / "context.json").read_text())
    card["files"]["Containerfile"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    card["files"] = {k: v for k, v in card["files"].items() if not k.endswith(".whl")}
    (copy / "context.json").write_text(json.dumps(card))
    for wheel in copy.glob("*.whl"):  # scanned in the fixture already
        wheel.unlink()
    with pytest.raises(ImageError, match="possible secrets") as caught:
        check_context(copy)
    assert canary not in str(caught.value)
