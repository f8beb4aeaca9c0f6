import tomllib
from pathlib import Path

import pytest

from bqx.base.config import default_toml, load_config
from bqx.base.errors import ConfigError
from bqx.base.settings import ALL_PAIRS, known_keys
from bqx.base.toml_lines import key_lines
from bqx.market.pairs import PAIRS


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for section, keys in known_keys().items():
        for key in keys:
            monkeypatch.delenv(f"BQX_{section}_{key}".upper(), raising=False)


def project(folder: Path, text: str) -> Path:
    (folder / "bqx.toml").write_text(text)
    return folder


def test_base_and_market_agree_on_the_pairs() -> None:
    assert ALL_PAIRS == PAIRS


def test_the_template_is_valid_and_names_every_default(tmp_path: Path) -> None:
    config = load_config(project(tmp_path, default_toml()))
    assert config.model_dump() == load_config(tmp_path / "absent").model_dump()
    given = {row["key"] for row in config.origins() if row["origin"] == "file"}
    absent = {
        "project.pairs",
        "features.schedule",
        "secrets.path",
        "secrets.region",
        "store.server",
        "store.bucket",
        "store.endpoint",
        "store.region",
        "store.credentials",
        "tracker.mapping",
        "tracker.endpoint",
    }  # shown as comments
    assert given | absent == {row["key"] for row in config.origins()}


def test_template_values(tmp_path: Path) -> None:
    config = load_config(project(tmp_path, default_toml("mine", t0="seed", pairs=("eurusd", "gbpusd"))))
    assert config.project.name == "mine"
    assert config.project.pairs == ("eurusd", "gbpusd")
    assert config.project.t0_minute == 28_663_200  # 2024-07-01T00:00Z: 19,905 days x 1,440


def test_origins_and_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project(tmp_path, "[build]\nthreads = 2\nretries = 3\n[store]\ncodec = 'zstd'\n")
    monkeypatch.setenv("BQX_BUILD_RETRIES", "4")
    monkeypatch.setenv("BQX_STORE_CODEC", "uncompressed")
    monkeypatch.setenv("BQX_PROJECT_PAIRS", "EURUSD, gbp/usd")
    monkeypatch.setenv("BQX_TEST_DSN", "belongs to others")
    config = load_config(tmp_path, {"store.codec": "lz4"})
    rows = {row["key"]: (row["value"], row["origin"]) for row in config.origins()}
    assert rows["build.threads"] == (2, "file")
    assert rows["build.retries"] == (4, "env")
    assert rows["store.codec"] == ("lz4", "flag")
    assert rows["build.memory_gb"] == (5.0, "default")
    assert rows["project.pairs"] == (["eurusd", "gbpusd"], "env")


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("[project]\nname='x'\n\n[store]\ncodecs = 'lz4'\n", 5, "store.codec"),
        ("[stor]\ncodec = 'lz4'\n", 1, "store"),
        ("[project]\nsources = ['a']\n", 2, "project.sources"),
        ("# c\nstore = 3\n", 2, "must be a section"),
        ("[store]\n\ncodec = 'snappy'\n", 3, "store.codec is 'snappy'"),
        ("[build]\nthreads = 'x'\n", 2, "build.threads"),
        ("[build]\nthreads = -1\n", 2, "greater than or equal to 0"),
        ("[build]\nmemory_gb = nan\n", 2, "build.memory_gb"),
        ("[project]\npairs = [\n 'eurusd',\n 'eurusx',\n]\n", 2, "did you mean eurusd"),
        ("[project]\npairs = ['eurusd', 'EUR/USD']\n", 2, "named twice"),
        ("[project]\npairs = []\n", 2, "project.pairs"),
        ("[project]\nt0 = '2024-07-01'\n", 2, "with its offset"),
        ("[project]\nt0 = 'soon'\n", 2, "ISO time"),
        ("[secrets]\nprovider = 'file'\n", 2, "secrets.path is not set"),
        ("build.threads = 1.5\n", 1, "build.threads"),
        ("build = { threads = 2,\n", 1, "not valid TOML"),
        ("[build]\nthreads = 2\nthreads = 3\n", 3, "not valid TOML"),
    ],
)
def test_errors_name_file_line_and_key(tmp_path: Path, text: str, line: int, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(project(tmp_path, text))
    assert f"bqx.toml:{line}" in str(caught.value.where)
    assert says in str(caught.value)
    assert caught.value.exit_code == 3


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "bqx.toml").write_bytes(b"\xff\xfe[")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_config(tmp_path)


def test_unknown_variables_and_flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"did you mean build\.threads"):
        load_config(tmp_path, {"build.thread": "2"})
    monkeypatch.setenv("BQX_BUILD_THREAD", "2")
    with pytest.raises(ConfigError, match="did you mean BQX_BUILD_THREADS"):
        load_config(tmp_path)


def test_a_wrong_variable_is_named_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BQX_BUILD_THREADS", "many")
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path)
    assert caught.value.where == "environment, BQX_BUILD_THREADS"


def test_key_lines_of_all_forms() -> None:
    text = (
        'a = """\n[not]\nb = 1\n"""\n'  # 1-4
        "c.d = 1\n"  # 5
        "[e]\nf = [\n1,\n]\n"  # 6-9
        "g = { h = 1 }\n"  # 10
        '[ e . "i" ] # note\nj = 1\n'  # 11-12
    )
    tomllib.loads(text)
    lines = key_lines(text)
    assert lines["a"] == 1
    assert lines["c.d"] == 5
    assert (lines["e"], lines["e.f"], lines["e.g"], lines["e.g.h"]) == (6, 7, 10, 10)
    assert (lines["e.i"], lines["e.i.j"]) == (11, 12)
    assert "b" not in lines
    assert "not" not in lines
