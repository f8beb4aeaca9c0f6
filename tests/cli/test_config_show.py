import json
from pathlib import Path

import pytest

from bqx.cli.main import main


def test_json_and_text(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bqx.toml").write_text("[build]\nthreads = 2\n")
    monkeypatch.setenv("BQX_STORE_CODEC", "zstd")
    main(["-C", str(tmp_path), "config", "show", "--json"])
    data = json.loads(capsys.readouterr().out)
    rows = {row["key"]: row for row in data["settings"]}
    assert rows["build.threads"] == {"key": "build.threads", "value": 2, "origin": "file"}
    assert rows["store.codec"]["origin"] == "env"
    assert rows["log.level"]["origin"] == "default"
    main(["-C", str(tmp_path), "config", "show"])
    text = capsys.readouterr().out
    assert "build.threads           file     2" in text


def test_a_wrong_key_ends_with_exit_code_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bqx.toml").write_text("[build]\nthread = 2\n")
    with pytest.raises(SystemExit) as done:
        main(["-C", str(tmp_path), "config", "show"])
    assert done.value.code == 3
    err = capsys.readouterr().err
    assert "bqx.toml:2" in err
    assert "did you mean build.threads" in err
