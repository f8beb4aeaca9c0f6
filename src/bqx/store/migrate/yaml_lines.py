"""YAML read safely: plain data only, no duplicate keys, and the line every value stands at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from bqx.base.errors import MigrationSpecError, Unsupported

if TYPE_CHECKING:
    from yaml import Node  # type: ignore[import-untyped]

Path = tuple[str | int, ...]
MAX_BYTES = 1 << 20
MAX_NODES = 100_000


def load_yaml(text: str, where: str) -> tuple[Any, dict[Path, int]]:
    """Data of one document and, by path, the line of each key or item. MigrationSpecError names the line.

    Tags, anchors and aliases are refused: a specification has no use for them, and aliases can blow up.
    """
    try:
        import yaml
    except ImportError as error:  # pragma: no cover - a core dependency
        raise Unsupported("PyYAML is not installed", fix="pip install pyyaml") from error
    if len(text) > MAX_BYTES:
        raise MigrationSpecError(f"{len(text):,} characters are no specification", where=where, fix="at most 1 MB")
    try:
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            if isinstance(token, yaml.AnchorToken | yaml.AliasToken | yaml.TagToken):
                kind = type(token).__name__.removesuffix("Token").lower()
                _refuse(f"a YAML {kind} is not allowed here", where, token.start_mark.line + 1, "write the value out")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = (error.problem_mark or error.context_mark).line + 1
        raise MigrationSpecError(f"not valid YAML: {error.problem}", where=f"{where}:{line}", fix="mend it") from error
    except yaml.YAMLError as error:
        raise MigrationSpecError(f"not valid YAML: {error}", where=where, fix="mend it") from error
    lines: dict[Path, int] = {}
    if root is None:
        raise MigrationSpecError("the specification is empty", where=f"{where}:1", fix="see docs/migrate.md")
    return _plain(root, (), lines, where), lines


def line_of(lines: dict[Path, int], path: Path) -> int:
    """Line of `path`, or of the nearest thing around it."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _plain(node: Node, path: Path, lines: dict[Path, int], where: str) -> Any:
    import yaml

    lines.setdefault(path, node.start_mark.line + 1)
    if len(lines) > MAX_NODES:
        _refuse("more than 100,000 values are no specification", where, node.start_mark.line + 1, "shorten it")
    if isinstance(node, yaml.MappingNode):
        out: dict[str, Any] = {}
        for key, value in node.value:
            name, line = getattr(key, "value", None), key.start_mark.line + 1
            if not isinstance(name, str):
                _refuse("a key must be text", where, line, "write `key: value`")
            if name in out:
                _refuse(f"the key {name!r} stands here twice", where, line, "keep one of them")
            lines[(*path, name)] = line
            out[name] = _plain(value, (*path, name), lines, where)
        return out
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, i), lines, where) for i, item in enumerate(node.value)]
    constructor = yaml.constructor.SafeConstructor()
    try:
        return constructor.construct_object(node)
    except (ValueError, yaml.YAMLError) as error:
        raise MigrationSpecError(f"{error}", where=f"{where}:{node.start_mark.line + 1}", fix="mend it") from error


def _refuse(what: str, where: str, line: int, fix: str) -> NoReturn:
    raise MigrationSpecError(what, where=f"{where}:{line}", fix=fix)
