"""Containerfiles, parsed, and the rules that ours keep."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bqx.base.errors import ImageError

WORDS = frozenset({
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK",
    "LABEL", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
})  # fmt: skip
LABELS = tuple(f"org.opencontainers.image.{k}" for k in ("title", "description", "licenses", "version", "revision"))
_SECRET = re.compile(r"(?i)(secret|token|passw|credential|private|access_?key|api_?key|dsn)")
_ROOT = ("", "0", "root", "0:0", "root:root")


@dataclass(frozen=True)
class Instruction:
    """word : in capitals. value : the rest, continuations joined by a blank. line : where it begins."""

    word: str
    value: str
    line: int

    @property
    def listed(self) -> list[str] | None:
        """The value as a JSON list of words, None when it is not one."""
        try:
            found = json.loads(self.value)
        except ValueError:
            return None
        return found if isinstance(found, list) and all(isinstance(w, str) for w in found) else None


@dataclass(frozen=True)
class Problem:
    """A rule that is broken, at a line (0: of the whole file)."""

    line: int
    rule: str
    what: str

    def text(self, name: str) -> str:
        return f"{name}:{self.line}: {self.rule}: {self.what}"


def parse(text: str, name: str = "Containerfile") -> tuple[Instruction, ...]:
    """Instructions in order; ImageError names the line of what is none."""
    out: list[Instruction] = []
    parts: list[str] = []
    begun = 0
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("#") or (not parts and not line.strip()):
            continue
        begun = begun if parts else number
        bare = line.rstrip()
        parts.append(bare.removesuffix("\\").strip())
        if not bare.endswith("\\"):
            word, _, value = " ".join(p for p in parts if p).partition(" ")
            if word.upper() not in WORDS:
                raise ImageError(f"{word[:40]!r} is no instruction", where=f"{name}, line {begun}")
            out.append(Instruction(word.upper(), value.strip(), begun))
            parts = []
    if parts:
        raise ImageError("the file ends in the middle of an instruction", where=f"{name}, line {begun}")
    return tuple(out)


def lint(text: str, name: str = "Containerfile") -> list[Problem]:
    """What breaks our rules, by line; empty when nothing does.

    base: FROM a required build argument or a stage, no host and no tag. user: the last stage ends as a numbered user
    that is not root. pinned: pip installs with --require-hashes, or from the context without an index. secret: no ARG
    or ENV sounds like one. files: COPY of named files only, no ADD. health, labels, signal, exec: present.
    """
    steps = parse(text, name)
    froms = [k for k, s in enumerate(steps) if s.word == "FROM"]
    if not froms:
        return [Problem(0, "base", "there is no FROM")]
    last = steps[froms[-1] :]
    found = [*_bases(steps, froms), *_user(last), *_pinned(steps), *_secrets(steps), *_files(steps)]
    labels = " ".join(s.value for s in last if s.word == "LABEL")
    found += [Problem(0, "labels", f"{k} is missing") for k in LABELS if f"{k}=" not in labels]
    for word, rule in (("HEALTHCHECK", "health"), ("STOPSIGNAL", "signal"), ("ENTRYPOINT", "exec")):
        if not any(s.word == word for s in last):
            found.append(Problem(0, rule, f"no {word} in the last stage"))
    found += [
        Problem(s.line, "exec", f"{s.word} is not a list of words, so a shell would swallow SIGTERM")
        for s in last
        if s.word in ("ENTRYPOINT", "CMD") and s.listed is None
    ]
    if any(s.word == "EXPOSE" for s in last) and any(s.word == "HEALTHCHECK" and s.value == "NONE" for s in last):
        found.append(Problem(0, "health", "a server that is not asked whether it lives"))
    return sorted(found, key=lambda p: (p.line, p.rule))


def _bases(steps: Sequence[Instruction], froms: Sequence[int]) -> list[Problem]:
    stages: set[str] = set()
    early = {s.value: s for s in steps[: froms[0]] if s.word == "ARG"}
    found = []
    for k in froms:
        base, _, alias = steps[k].value.partition(" AS ")
        base = base.strip()
        if base == "${BASE_IMAGE}":
            if "BASE_IMAGE" not in early:
                found.append(Problem(steps[k].line, "base", "ARG BASE_IMAGE must stand first, without a default"))
        elif base not in stages:
            found.append(Problem(steps[k].line, "base", f"FROM {base}: the base is an argument of the build"))
        stages.add(alias.strip())
    if not any(s.word == "RUN" and "@sha256:" in s.value for s in steps):
        found.append(Problem(0, "base", "no step refuses a base without a digest"))
    return found


def _user(last: Sequence[Instruction]) -> list[Problem]:
    users = [s for s in last if s.word == "USER"]
    if not users:
        return [Problem(0, "user", "the image runs as root")]
    bad = [s for s in users if s.value in _ROOT or s.value.split(":")[0] in _ROOT]
    if bad:
        return [Problem(bad[0].line, "user", f"USER {bad[0].value}")]
    named = not re.fullmatch(r"\d+:\d+", users[-1].value)
    return [Problem(users[-1].line, "user", "give numbers: an orchestrator cannot check a name")] if named else []


def _pinned(steps: Sequence[Instruction]) -> list[Problem]:
    found = []
    for s in steps:
        if s.word != "RUN":
            continue
        for part in re.split(r"&&|;|\|\|", s.value):
            if re.search(r"\bpip3? install\b", part):
                words = part.split()
                if "--no-deps" not in words or not ({"--require-hashes", "--no-index"} & set(words)):
                    found.append(Problem(s.line, "pinned", f"{part.strip()[:60]}: no hashes"))
            if re.search(r"\b(curl|wget|git clone|apt-get install|apk add|dnf install|yum install)\b", part):
                found.append(Problem(s.line, "pinned", f"{part.strip()[:60]}: fetches what is not pinned"))
    if not any(s.word == "RUN" and "pip check" in s.value for s in steps):
        found.append(Problem(0, "pinned", "`pip check` is missing: nothing says that the lock's part is whole"))
    return found


def _secrets(steps: Sequence[Instruction]) -> list[Problem]:
    named = [
        (s, n) for s in steps if s.word in ("ARG", "ENV") for n in re.findall(r"(?:^|\s)([A-Za-z_]\w*)=?", s.value)
    ]
    found = [Problem(s.line, "secret", f"{s.word} {n}") for s, n in named if _SECRET.search(n)]
    return found + [Problem(s.line, "secret", "a mounted secret") for s in steps if "type=secret" in s.value]


def _files(steps: Sequence[Instruction]) -> list[Problem]:
    found = [Problem(s.line, "files", "ADD fetches and unpacks; use COPY") for s in steps if s.word == "ADD"]
    for s in steps:
        words = [w for w in s.value.split() if not w.startswith("--")]
        if s.word == "COPY" and any(w in (".", "./", "*") for w in words[:-1]):
            found.append(Problem(s.line, "files", "COPY of the whole context"))
    return found


def check_file(path: Path) -> None:
    """ImageError with every broken rule."""
    if problems := lint(path.read_text("utf-8"), path.name):
        raise ImageError("; ".join(p.text(path.name) for p in problems), where=str(path))
