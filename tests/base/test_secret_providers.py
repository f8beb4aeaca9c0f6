import copy
import json
import os
import pickle
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from bqx.base.config import load_config
from bqx.base.errors import SecretError
from bqx.base.redaction import redact
from bqx.base.secret_file import refusal
from bqx.base.secrets import AwsProvider, FileProvider, KeyringProvider, Secret, SecretProvider, provider_from

VALUE = "s3cr3t" + "-canary-value"


def private(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


class TestSecret:
    def test_shows_itself_to_nobody(self) -> None:
        secret = Secret(VALUE)
        shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", f"{secret:20}", "{}".format(secret)]  # noqa: UP032
        shown += [json.dumps({"x": secret}, default=str), repr([secret]), repr(dir(secret))]
        assert not any(VALUE in text for text in shown)
        assert secret.reveal() == VALUE

    def test_cannot_leave_the_process(self) -> None:
        for leave in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(SecretError):
                leave(Secret(VALUE))
        with pytest.raises(TypeError):
            json.dumps(Secret(VALUE))
        with pytest.raises(TypeError):
            hash(Secret(VALUE))
        with pytest.raises(AttributeError):
            Secret(VALUE).note = 1

    def test_equality_and_registration(self) -> None:
        fresh = "never-seen" + "-before"
        assert fresh in redact(f"see {fresh}")
        assert Secret(fresh) == Secret(fresh)
        assert Secret(fresh) != Secret(VALUE)
        assert Secret(fresh) != fresh
        assert fresh not in redact(f"see {fresh}")


class TestFiles:
    def test_a_folder_of_files(self, tmp_path: Path) -> None:
        private(tmp_path / "db-password", VALUE + "\n")
        provider = FileProvider(tmp_path)
        assert isinstance(provider, SecretProvider)
        assert provider.get("db-password").reveal() == VALUE
        assert "1 secrets" in provider.probe()

    def test_a_toml_file(self, tmp_path: Path) -> None:
        path = private(tmp_path / "s.toml", f'a = "{VALUE}"\nn = 3\nempty = ""\n')
        provider = FileProvider(path)
        assert provider.get("a").reveal() == VALUE
        for name, says in (("b", "no secret"), ("n", "not text"), ("empty", "empty")):
            with pytest.raises(SecretError, match=says):
                provider.get(name)

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o666, 0o601])
    def test_open_modes_are_refused_with_the_remedy(self, tmp_path: Path, mode: int) -> None:
        path = private(tmp_path / "s.toml", f'a = "{VALUE}"', mode)
        with pytest.raises(SecretError, match=f"mode {mode:04o}") as caught:
            FileProvider(path).get("a")
        assert caught.value.fix == f"chmod 600 {path}"
        assert VALUE not in str(caught.value)

    def test_names_cannot_climb(self, tmp_path: Path) -> None:
        private(tmp_path / "outside", VALUE)
        (tmp_path / "in").mkdir()
        for name in ("../outside", "/etc/passwd", "a/../../outside", "", "a b", ".hidden", "a\n"):
            with pytest.raises(SecretError, match="not a secret's name"):
                FileProvider(tmp_path / "in").get(name)

    def test_odd_files(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe", 0o600)
        private(tmp_path / "big", "x" * 70_000)
        private(tmp_path / "s.toml", f"a = {VALUE}")
        (tmp_path / "latin").write_bytes(b"\xe9")
        (tmp_path / "latin").chmod(0o600)
        for name, says in (("pipe", "regular"), ("big", "larger"), ("latin", "UTF-8"), ("gone", "No such file")):
            with pytest.raises(SecretError, match=says):
                FileProvider(tmp_path).get(name)
        with pytest.raises(SecretError, match="TOML") as caught:
            FileProvider(tmp_path / "s.toml").get("a")
        assert VALUE not in str(caught.value)

    def test_the_project_and_git_trees_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "repo" / ".git").mkdir(parents=True)
        path = private(tmp_path / "repo" / "s.toml", f'a = "{VALUE}"')
        with pytest.raises(SecretError, match="work tree"):
            FileProvider(path).get("a")
        (tmp_path / "project").mkdir()
        path = private(tmp_path / "project" / "s.toml", f'a = "{VALUE}"')
        with pytest.raises(SecretError, match="inside the project"):
            FileProvider(path, outside=tmp_path / "project").get("a")

    @pytest.mark.parametrize(
        ("mode", "owner", "read_only", "accepted"),
        [
            (0o600, 1000, False, True),
            (0o400, 1000, False, True),
            (0o600, 0, False, True),
            (0o600, 1001, False, False),
            (0o444, 0, True, True),  # an orchestrator's mount
            (0o644, 0, True, True),
            (0o444, 0, False, False),
            (0o444, 1000, True, False),
            (0o464, 0, True, False),
            (0o446, 0, True, False),
        ],
    )
    def test_the_rule_for_mounts(self, mode: int, owner: int, read_only: bool, accepted: bool) -> None:
        info = os.stat_result((stat.S_IFREG | mode, 0, 0, 1, owner, 0, 10, 0, 0, 0))
        assert (refusal(info, read_only=read_only, uid=1000) is None) is accepted


def test_cache_keeps_for_fifteen_minutes_at_most(tmp_path: Path) -> None:
    now = [0.0]
    path = private(tmp_path / "a", "first-value")
    provider = FileProvider(tmp_path, cache_seconds=10_000, clock=lambda: now[0])
    assert provider.get("a").reveal() == "first-value"
    private(path, "second-value")
    now[0] = 899.0
    assert provider.get("a").reveal() == "first-value"
    now[0] = 900.0
    assert provider.get("a").reveal() == "second-value"
    path.unlink()
    now[0] = 1800.0
    with pytest.raises(SecretError):  # an expired value is not a fallback
        provider.get("a")


@pytest.fixture
def moto_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for key in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    yield f"http://{host}:{port}"
    server.stop()


def test_aws(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3

    client = boto3.client("secretsmanager", region_name="eu-west-1", endpoint_url=moto_url)
    client.create_secret(Name="bqx/db", SecretString=VALUE)
    client.create_secret(Name="bqx/raw", SecretBinary=b"\x00\x01")
    provider = AwsProvider(region="eu-west-1", endpoint_url=moto_url)
    assert "eu-west-1" in provider.probe()
    assert provider.get("db").reveal() == VALUE
    with pytest.raises(SecretError, match="ResourceNotFoundException"):
        provider.get("absent")
    with pytest.raises(SecretError, match="binary"):
        provider.get("raw")
    with pytest.raises(SecretError, match="ResourceNotFoundException"):  # another prefix is another secret
        AwsProvider(region="eu-west-1", prefix="", endpoint_url=moto_url).get("db")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", moto_url)
    assert AwsProvider(region="eu-west-1").get("db").reveal() == VALUE
    with pytest.raises(SecretError, match="region"):
        AwsProvider().probe()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    with pytest.raises(SecretError, match="NoCredentialsError"):
        AwsProvider(region="eu-west-1").get("db")


def test_aws_unreachable(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(SecretError, match="EndpointConnectionError"):
        AwsProvider(region="eu-west-1", endpoint_url="http://127.0.0.1:9").probe()


def test_keyring() -> None:
    import keyring
    from keyring.backend import KeyringBackend
    from keyring.backends.fail import Keyring as NoKeyring
    from keyring.errors import KeyringLocked

    class InMemory(KeyringBackend):
        priority = 1  # type: ignore[assignment]

        def __init__(self) -> None:
            super().__init__()
            self.held: dict[tuple[str, str], str] = {}

        def get_password(self, service: str, username: str) -> str | None:
            if username == "locked":
                raise KeyringLocked("locked")
            return self.held.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            self.held[service, username] = password

        def delete_password(self, service: str, username: str) -> None:
            del self.held[service, username]

    before = keyring.get_keyring()
    try:
        keyring.set_keyring(InMemory())
        keyring.set_password("bqx", "db", VALUE)
        provider = KeyringProvider()
        assert "InMemory" in provider.probe()
        assert provider.get("db").reveal() == VALUE
        with pytest.raises(SecretError, match="no secret 'absent'") as caught:
            provider.get("absent")
        assert "keyring set bqx absent" in str(caught.value.fix)
        with pytest.raises(SecretError, match="KeyringLocked"):
            provider.get("locked")
        keyring.set_keyring(NoKeyring())
        with pytest.raises(SecretError, match="no keyring"):
            KeyringProvider().get("db")
    finally:
        keyring.set_keyring(before)


def test_the_configured_provider_and_no_other(tmp_path: Path) -> None:
    root, held = tmp_path / "project", tmp_path / "held"
    root.mkdir()
    held.mkdir()
    private(held / "db", VALUE)
    with pytest.raises(SecretError, match="no secrets provider"):
        provider_from(load_config(root))
    for path in (str(held), "../held"):
        config = load_config(root, {"secrets.provider": "file", "secrets.path": path})
        assert provider_from(config).get("db").reveal() == VALUE
    kinds = {"aws": AwsProvider, "keyring": KeyringProvider}
    for name, kind in kinds.items():
        assert isinstance(provider_from(load_config(root, {"secrets.provider": name})), kind)
