"""Runbooks, and whether every step of them is a command that exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from bqx.base.errors import RunbookError

NEEDED = ("deploy", "restore", "roll-back", "rotate")
"""Runbooks that operations want (GATE8)."""
OUTSIDE = frozenset({
    "aws", "podman", "git", "make", "curl", "tar", "cp", "mv",
    "rm", "mkdir", "test", "sha256sum", "kill", "export", "cd", "cat", "cfn-lint",
})  # fmt: skip
"""Programs of others that a step may call; whether they are installed is not asked."""
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.M | re.S)
_PLACE = re.compile(r"[A-Z][A-Z0-9_:.-]*")
"""A word for the reader to fill in: RUN, PAIR:VERSION."""


@dataclass(frozen=True)
class Step:
    """A command of a runbook, split into words, and its line."""

    runbook: str
    line: int
    words: tuple[str, ...]

    @property
    def where(self) -> str:
        return f"{self.runbook}.md:{self.line}"


@dataclass(frozen=True)
class Review:
    """What the runbooks of a folder came to. ours : steps that are commands of bqx. problems : in words, with place."""

    runbooks: tuple[str, ...]
    steps: int
    ours: int
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.problems

    def figures(self) -> dict[str, object]:
        return {"runbooks": len(self.runbooks), "steps": self.steps, "commands_of_bqx": self.ours,
                "problems": len(self.problems), "first": self.problems[0] if self.problems else ""}  # fmt: skip


def review(folder: Path, programs: Mapping[str, click.Command]) -> Review:
    """Read `folder`/*.md and try every step on the command line it names; nothing is run.

    programs : "bqx" and "python -m MODULE" with their commands. RunbookError when a needed runbook is absent.
    """
    have = {p.stem: p for p in sorted(folder.glob("*.md"))}
    if absent := [n for n in NEEDED if n not in have]:
        raise RunbookError(f"there is no runbook {absent[0]!r}", where=str(folder))
    problems, total, ours = [], 0, 0
    for name, path in have.items():
        found = list(steps(path.read_text("utf-8"), name))
        if not found:
            problems.append(f"{name}.md: no step is a command")
        for step in found:
            total += 1
            program, rest = _program(step.words)
            if program in programs:
                ours += 1
                if why := wrong(programs[program], rest):
                    problems.append(f"{step.where}: `{shlex.join(step.words)[:80]}`: {why}")
            elif program not in OUTSIDE:
                problems.append(f"{step.where}: {program!r} is no program that steps may call")
    return Review(tuple(have), total, ours, tuple(problems))


def steps(text: str, name: str) -> Iterator[Step]:
    """Commands of the `sh` blocks of a page: comments left out, continued lines joined, chains taken apart."""
    for block in _BLOCK.finditer(text):
        first = text.count("\n", 0, block.start(1)) + 1
        kept, begun = "", 0
        for k, line in enumerate(block.group(1).splitlines()):
            begun = begun if kept else first + k
            if line.rstrip().endswith("\\"):
                kept += line.rstrip().removesuffix("\\")
                continue
            kept += line
            yield from _split(kept, name, begun)
            kept = ""


def _split(line: str, name: str, number: int) -> Iterator[Step]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    words: list[str] = []
    skip = False
    try:
        tokens = [*lexer, ";"]
    except ValueError as error:
        raise RunbookError(f"the line cannot be read as a command: {error}", where=f"{name}.md:{number}") from error
    for token in tokens:
        if token in ("|", "&&", "||", ";", "&"):
            while words and re.fullmatch(r"[A-Za-z_]\w*=.*", words[0]):
                words.pop(0)
            if words:
                yield Step(name, number, tuple(words))
            words = []
        elif token in (">", ">>", "<"):
            skip = True
        elif skip:
            skip = False
        else:
            words.append(token)


def wrong(command: click.Command, words: Sequence[str]) -> str:
    """Why `words` are no call of the command, "" when they are: unknown subcommands and options, values that an option
    does not take, too many or too few arguments. Words in capitals stand for what the reader fills in."""
    options = {o: p for p in command.params if isinstance(p, click.Option) for o in (*p.opts, *p.secondary_opts)}
    rest, given, plain = list(words), set(), []
    while rest:
        word = rest.pop(0)
        if word in ("-h", "--help"):
            return ""
        if word.startswith("-") and len(word) > 1:
            name, equals, value = word.partition("=")
            option = options.get(name)
            if option is None:
                return f"{command.name} has no option {name}"
            given.add(option.name)
            if option.is_flag or option.count:
                continue
            values = [value] if equals else rest[: option.nargs]
            rest = rest if equals else rest[option.nargs :]
            if len(values) < option.nargs:
                return f"{name} has no value"
            told = isinstance(option.type, click.Choice) and not _PLACE.fullmatch(values[0])
            if told and values[0] not in option.type.choices:  # type: ignore[attr-defined]  # a Choice, by `told`
                return f"{name} does not take {values[0]!r}"
        elif isinstance(command, click.Group):
            inner = command.get_command(click.Context(command), word)
            return wrong(inner, rest) if inner is not None else f"{command.name} has no command {word!r}"
        else:
            plain.append(word)
    if isinstance(command, click.Group):
        return "" if command.invoke_without_command else f"{command.name} is a group of commands"
    if absent := [p for p in options.values() if p.required and p.name not in given]:
        return f"{command.name} needs {absent[0].opts[0]}"
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    least = sum(p.nargs if p.nargs > 0 else 1 for p in arguments if p.required)
    most = None if any(p.nargs < 0 for p in arguments) else sum(p.nargs for p in arguments)
    if len(plain) < least:
        return f"{command.name} needs {least} arguments"
    return f"{command.name} takes {most} arguments" if most is not None and len(plain) > most else ""


def _program(words: Sequence[str]) -> tuple[str, list[str]]:
    if len(words) > 2 and words[0] == "python" and words[1] == "-m":
        return f"python -m {words[2]}", list(words[3:])
    return words[0], list(words[1:])
