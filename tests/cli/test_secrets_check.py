import json
from pathlib import Path

import pytest

from bqx.cli.main import main

VALUE = "cli" + "-canary-value"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    held = tmp_path / "held"
    held.mkdir()
    (held / "db").write_text(VALUE)
    (held / "db").chmod(0o600)
    root = tmp_path / "project"
    root.mkdir()
    (root / "bqx.toml").write_text(f'[secrets]\nprovider = "file"\npath = "{held}"\n')
    return root


def test_present(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["-C", str(project), "secrets", "check", "db", "--json"])
    out, err = capsys.readouterr()
    assert json.loads(out)["secrets"] == [{"name": "db", "present": True, "why": None}]
    assert VALUE not in out + err


def test_missing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["-C", str(project), "secrets", "check", "db", "absent"])
    assert done.value.code == 10
    out, err = capsys.readouterr()
    assert "ok      db" in out
    assert "MISSING absent" in out
    assert "BQX601" in err
    assert VALUE not in out + err


def test_unreachable_and_unset(project: Path, tmp_path: Path) -> None:
    (project / "bqx.toml").write_text('[secrets]\nprovider = "file"\npath = "/nonexistent/x"\n')
    for root in (project, tmp_path / "none"):
        with pytest.raises(SystemExit) as done:
            main(["-C", str(root), "secrets", "check"])
        assert done.value.code == 10
