"""Canaries: made-up secrets, put together at run time, that the scan must find and must not show."""

import datetime as dt
import json
import subprocess
from pathlib import Path

import pytest

from bqx.base.errors import CheckError, ConfigError
from bqx.cli.main import main
from bqx.ops.secretscan import ScanResult, scan_repository

AIRTABLE = "pat" + "Zx9Yw8Vu7Ts6Rq" + "." + "9f8e7d6c5b4a3210" * 4
WORD = "Tr0ub4dor" + "&3x"
AWS_ID = "AKIA" + "QWERTYUIOP123456"
AWS_LONG = "wJalrXUtnFEM" + "IK7MDENGbPxR" + "fiCYabcdEFGH1234"
RANDOM = "q8Zr3Lk0Vn5Xw2Jt7Yb9" + "Mc4Hd6Gs1Pf"
HEXKEY = "3f9a1c7e5b2d8046" + "a1b2c3d4e5f60798"

CANARIES = {
    "airtable.py": (f'TOKEN = "{AIRTABLE}"', AIRTABLE),
    "airtable.md": (f"We used {AIRTABLE}.", AIRTABLE),
    "url.py": (f'connect("postgres://me:{WORD}@db.example/x")', WORD),
    "libpq.sh": (f"psql 'host=db user=me password={WORD} dbname=x'", WORD),
    "libpq2.sh": (f"psql 'password={WORD} host=db'", WORD),
    "ado.txt": (f"Server=db;Database=x;User Id=me;Pwd={WORD};", WORD),
    "jdbc.txt": (f"jdbc:postgresql://db/x?user=me&password={WORD}", WORD),
    "env.sh": (f"export PGPASSWORD={WORD}", WORD),
    "default.py": (f'pw = os.environ.get("DB_PASSWORD", "{WORD}")', WORD),
    "default2.py": (f'pw = get_secret("db/password", default="{WORD}")', WORD),
    "default.sh": (f"PW=${{DB_PASSWORD:-{WORD}}}", WORD),
    "assign.py": (f'db_password = "{WORD}"', WORD),
    "assign.yaml": (f"db_password: {WORD}", WORD),
    "aws.txt": (f"id {AWS_ID}", AWS_ID),
    "credentials": (f"aws_secret_access_key = {AWS_LONG}", AWS_LONG),
    "key.pem": ("-----BEGIN RSA " + "PRIVATE KEY-----", "RSA " + "PRIVATE KEY"),
    "key8.pem": ("-----BEGIN ENCRYPTED " + "PRIVATE KEY-----", "ENCRYPTED " + "PRIVATE KEY"),
    "entropy.py": (f'x = "{RANDOM}"', RANDOM),
    "hex.py": (f'api_setting = "{HEXKEY}"', HEXKEY),
    "requirements.txt": (f"--index-url https://me:{WORD}@index.example/simple", WORD),
    "some.lock": (f"token {AIRTABLE}", AIRTABLE),
    "long.json": ("x" * 10_000 + f' "{AIRTABLE}" ' + "y" * 10_000, AIRTABLE),
    "sub dir/mañana.txt": (f"{AIRTABLE}", AIRTABLE),
}
CLEAN = {
    "a.py": 'password = os.environ["DB_PASSWORD"]\ntoken = fetch("db/password")\n',
    "b.py": 'url = f"postgres://{user}:{password}@{host}/x"\nurl = "postgres://me:<password>@host/x"\n',
    "c.sh": "psql host=db user=me password=$PW dbname=x\n" + "export PGPASSWORD=${PW}" + "\n",
    "d.py": f'GOLDEN = "{HEXKEY}"\n',
    "uv.lock": f'hash = "sha256:{HEXKEY}{HEXKEY}"\nx = "{RANDOM}"\n',
    "e.md": "https://docs.example.org:8080/a@b and user@host, api_key: <yours>\n",
    "f.py": 'SECRETS_HELP = "Check the secrets provider."\n',
}


def git(repo: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(repo), *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    return folder


def put(repo: Path, name: str, text: str) -> None:
    path = repo / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def commit(repo: Path, message: str = "x") -> str:
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "--allow-empty", "-m", message)
    return git(repo, "rev-parse", "HEAD")


def paths(result: ScanResult) -> set[str]:
    return {finding.path for finding in result.findings}


def test_every_canary_is_found_and_none_is_shown(repo: Path) -> None:
    for name, (text, _) in CANARIES.items():
        put(repo, name, f"first line\n{text}\n")
    for name, text in CLEAN.items():
        put(repo, f"clean/{name}", text)
    head = commit(repo)
    result = scan_repository(repo)
    assert paths(result) == set(CANARIES)
    assert {f.line for f in result.findings} == {2}
    assert {f.commit for f in result.findings} == {None, head}
    shown = result.text() + json.dumps(result.as_dict())
    assert not any(secret in shown for _, secret in CANARIES.values())


def test_what_was_removed_is_found_where_it_came_in(repo: Path) -> None:
    commit(repo, "first")
    put(repo, "a/b.py", f"\n\nTOKEN = '{AIRTABLE}'\n")
    guilty = commit(repo, "oops")
    put(repo, "a/b.py", f"\n\nTOKEN = '{AIRTABLE}'\n# more\n")
    commit(repo, "more")
    put(repo, "a/b.py", "clean\n")
    commit(repo, "removed")
    assert scan_repository(repo, history=False).findings == []
    (finding,) = scan_repository(repo).findings
    assert (finding.commit, finding.path, finding.line, finding.rule) == (guilty, "a/b.py", 3, "Airtable Token")


def test_branches_stashes_reflogs_messages_tags_and_merges(repo: Path) -> None:
    put(repo, "a.py", "clean\n")
    commit(repo)
    git(repo, "checkout", "-q", "-b", "side")
    put(repo, "side.py", f"x = '{AIRTABLE}'\n")
    commit(repo)
    git(repo, "checkout", "-q", "main")
    put(repo, "lost.py", f"x = '{AIRTABLE}'\n")
    commit(repo)
    git(repo, "reset", "-q", "--hard", "HEAD~1")  # in the reflog only
    put(repo, "a.py", f"x = '{AIRTABLE}'\n")
    git(repo, "stash")
    commit(repo, f"a message with {AIRTABLE}")
    git(repo, "tag", "-a", "v1", "-m", f"password is\n{AIRTABLE}")
    git(repo, "merge", "-q", "--no-ff", "--no-commit", "side")
    git(repo, "rm", "-q", "-f", "side.py")
    put(repo, "evil.py", f"x = '{AIRTABLE}'\n")  # comes in with the merge itself
    commit(repo, "merge")
    put(repo, "evil.py", "clean\n")
    commit(repo)
    result = scan_repository(repo)
    assert paths(result) == {"side.py", "lost.py", "a.py", "evil.py", "<commit message>", "<tag v1>"}


def test_untracked_staged_and_ignored(repo: Path) -> None:
    put(repo, ".gitignore", "ignored.py\n")
    put(repo, "staged.py", f"x = '{AIRTABLE}'\n")
    git(repo, "add", "-A")
    put(repo, "staged.py", "clean\n")  # the index still holds it
    put(repo, "untracked.py", f"x = '{AIRTABLE}'\n")
    put(repo, "ignored.py", f"x = '{AIRTABLE}'\n")
    (repo / "link").symlink_to(f"nowhere-{AIRTABLE}")
    (repo / "utf16.txt").write_bytes(f"x = '{AIRTABLE}'".encode("utf-16"))
    (repo / "binary").write_bytes(b"\0" + AIRTABLE.encode())
    result = scan_repository(repo, history=False)
    assert paths(result) == {"staged.py", "untracked.py", "link", "utf16.txt"}
    assert result.skipped_binary == 1


def test_large_files_are_counted(repo: Path) -> None:
    (repo / "big.txt").write_bytes(b"x\n" * 4_500_000)
    commit(repo)
    result = scan_repository(repo)
    assert result.skipped_large == ["big.txt", "big.txt"]  # work tree and history
    assert "too large" in result.text()


def test_shallow_clones_are_refused(repo: Path, tmp_path: Path) -> None:
    commit(repo)
    commit(repo)
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repo}", "shallow")
    with pytest.raises(CheckError, match="shallow"):
        scan_repository(tmp_path / "shallow")
    assert scan_repository(tmp_path / "shallow", history=False).findings == []


def test_plain_folders_and_files(tmp_path: Path) -> None:
    put(tmp_path, "a/x.py", f"x = '{AIRTABLE}'\n")
    assert paths(scan_repository(tmp_path)) == {"a/x.py"}
    assert paths(scan_repository(tmp_path / "a" / "x.py")) == {"x.py"}


def test_part_of_a_repository(repo: Path) -> None:
    put(repo, "a/x.py", f"x = '{AIRTABLE}'\n")
    put(repo, "b/x.py", f"x = '{AIRTABLE}'\n")
    commit(repo)
    assert paths(scan_repository(repo / "a")) == {"a/x.py"}


def allow(repo: Path, **entry: str) -> None:
    lines = "\n".join(f"{k} = {v if k == 'expires' else json.dumps(v)}" for k, v in entry.items())
    put(repo, ".secrets-allow.toml", f'salt = "s"\n[[allow]]\n{lines}\n')


def test_excuses_end(repo: Path) -> None:
    put(repo, "x.py", f"x = '{AIRTABLE}'\n")
    allow(repo, rule="none", path="y", reason="other", expires="2026-06-30")
    (finding,) = scan_repository(repo, today=dt.date(2026, 1, 1)).findings
    allow(repo, fingerprint=finding.fingerprint, reason="a canary", expires="2026-06-30")
    fine = scan_repository(repo, today=dt.date(2026, 6, 30))
    assert (len(fine.findings), len(fine.excused), fine.unused) == (0, 1, [])
    late = scan_repository(repo, today=dt.date(2026, 7, 1))
    assert late.findings[0].expired == "2026-06-30"
    put(repo, "x.py", "clean\n")
    assert scan_repository(repo, today=dt.date(2026, 6, 30)).unused == ["a canary"]


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"fingerprint": "a", "expires": "2026-06-30"}, "without a reason"),
        ({"fingerprint": "a", "reason": " ", "expires": "2026-06-30"}, "must be text"),
        ({"fingerprint": "a", "reason": "r"}, "without an expiry"),
        ({"fingerprint": "a", "reason": "r", "expires": "2027-06-30"}, "more than a year"),
        ({"path": "*", "reason": "r", "expires": "2026-06-30"}, "too wide"),
        ({"paths": "*", "reason": "r", "expires": "2026-06-30"}, "unknown keys"),
    ],
)
def test_wrong_excuses(repo: Path, entry: dict[str, str], says: str) -> None:
    allow(repo, **entry)
    with pytest.raises(ConfigError, match=says):
        scan_repository(repo, today=dt.date(2026, 1, 1))


def test_fingerprints_depend_on_salt_rule_and_value(repo: Path) -> None:
    put(repo, "x.py", f"x = '{AIRTABLE}'\n")
    put(repo, "y.py", f"zz = '{AIRTABLE}' # again\n")
    one = {f.fingerprint for f in scan_repository(repo).findings}
    assert len(one) == 1
    put(repo, ".secrets-allow.toml", 'salt = "other"\n')
    assert one.isdisjoint({f.fingerprint for f in scan_repository(repo).findings})


def test_command_and_exit_code(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(repo, "x.py", "clean\n")
    commit(repo)
    main(["secrets", "scan", str(repo)])
    assert "0 findings" in capsys.readouterr().out
    put(repo, "x.py", f"x = '{AIRTABLE}'\n")
    for extra in ([], ["--json"], ["--no-history"]):
        with pytest.raises(SystemExit) as done:
            main(["secrets", "scan", str(repo), *extra])
        assert done.value.code == 5
        out, err = capsys.readouterr()
        assert AIRTABLE not in out + err
        if extra == ["--json"]:
            assert json.loads(out)["findings"][0]["path"] == "x.py"
            assert json.loads(err)["error"]["code"] == "BQX602"


def test_this_repository_is_clean() -> None:
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        pytest.skip("not a Git work tree")
    result = scan_repository(root, history=False)
    assert result.findings == [], result.text()
