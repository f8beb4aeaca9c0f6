"""TLS with a certificate authority made for the test: verify-full or nothing, for a server that is not this machine."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from store_engines import TABLES, open_postgres

from bqx.base.errors import ConfigError, ServerError
from bqx.base.redaction import redact
from bqx.base.secret import Secret
from bqx.store.pg.connect import connect
from postgres_database import prepare
from postgres_server import WANTED, Server

HOST = "fx-db.example"
NOW = datetime.datetime.now(datetime.UTC)


def certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: x509.Name, signer: ec.EllipticCurvePrivateKey, *, ca: bool
) -> x509.Certificate:
    names = [x509.DNSName(name)] if not name.startswith("127.") else [x509.IPAddress(ipaddress.ip_address(name))]
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - datetime.timedelta(days=1))
        .not_valid_after(NOW + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(signer, hashes.SHA256())
    )


def write_ca(folder: Path, name: str) -> tuple[Path, ec.EllipticCurvePrivateKey, x509.Name]:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    path = folder / f"{name}.pem"
    path.write_bytes(certificate(name, key, issuer, key, ca=True).public_bytes(serialization.Encoding.PEM))
    return path, key, issuer


@pytest.fixture(scope="module", params=WANTED)
def tls(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """A server that takes TLS and a password only, as `HOST`; and the authority's certificate."""
    folder = tmp_path_factory.mktemp("ca")
    ca, signer, issuer = write_ca(folder, "authority")
    write_ca(folder, "stranger")
    server = Server(request.param, {"ssl": "on"})
    try:
        key = ec.generate_private_key(ec.SECP256R1())
        cert = certificate(HOST, key, issuer, signer, ca=False).public_bytes(serialization.Encoding.PEM)
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        for name, data in (("server.crt", cert), ("server.key", secret)):
            path = server.data / name
            path.write_bytes(data)
            path.chmod(0o600)
            server.give(path)
        try:
            server.start()
        except RuntimeError:
            if "SSL is not supported by this build" in server.log():
                pytest.skip(f"this build of PostgreSQL {request.param} has no TLS (the wheel's has not, Debian's has)")
            raise
        with connect(server.dsn()) as con:
            con.execute("CREATE ROLE remote LOGIN PASSWORD 'correct-horse-battery'")
            con.execute("CREATE DATABASE fx OWNER remote")
        hba = server.data / "pg_hba.conf"
        rules = f"local all {server.superuser} trust\nhostssl all remote 127.0.0.1/32 scram-sha-256\n"
        hba.write_text(rules)
        server.restart()
        yield server, ca
    finally:
        server.remove()


def dsn(server: Server, ca: Path, *, host: str = HOST, password: str = "correct-horse-battery", more: str = "") -> str:
    where = f"host={host} hostaddr=127.0.0.1 port={server.port} dbname=fx user=remote password={password}"
    return f"{where} sslrootcert={ca} {more}"


def test_the_server_is_known_by_its_authority_and_its_name(tls: tuple[Server, Path], tmp_path: Path) -> None:
    server, ca = tls
    with connect(Secret(dsn(server, ca))) as con:
        assert con.pgconn.ssl_in_use
        assert con.info.get_parameters()["sslmode"] == "verify-full"  # nobody asked for it
    for wrong in (dsn(server, ca.with_name("stranger.pem")), dsn(server, ca, host="other.example")):
        with pytest.raises(ServerError, match="no connection") as caught:
            connect(Secret(wrong))
        assert "certificate" in str(caught.value)


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require", "verify-ca"])
def test_weaker_modes_are_refused_before_anything_is_sent(tls: tuple[Server, Path], mode: str) -> None:
    server, ca = tls
    with pytest.raises(ConfigError, match=f"sslmode={mode} does not check that {HOST}"):
        connect(Secret(dsn(server, ca, more=f"sslmode={mode}")))


def test_a_password_is_in_no_message(tls: tuple[Server, Path]) -> None:
    server, ca = tls
    secret = "-".join(("not", "the", "right", "one"))
    for wrong in (dsn(server, ca, password=secret), "".join(("postgresql://u:", secret, "@[::1:bad/fx"))):
        with pytest.raises((ServerError, ConfigError)) as caught:
            connect(Secret(wrong))
        shown = str(caught.value) + repr(caught.value.__cause__)
        assert secret not in shown
        assert secret not in redact(f"it was {wrong}")


def test_a_store_works_through_it(tls: tuple[Server, Path], tmp_path: Path) -> None:
    server, ca = tls
    prepare(dsn(server, ca), TABLES)
    store = open_postgres(tmp_path, dsn(server, ca))
    store.put(("returns_raw_rate", "eurusd", "2024_07"))
    assert store.features.verify(deep=True) == []
    store.manifest.close()
