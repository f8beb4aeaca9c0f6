"""All of AWS that bqx calls behind one address: SageMaker by our fake, everything else by moto's server.

The fake takes no request that botocore's service model does not allow, gives no answer it does not have, and lets
nothing through that the deployment's policy documents do not allow.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import RLock, Thread
from typing import Any
from urllib.parse import unquote, urlsplit

from fake_model import complaint, may_give, operation, shaped
from fake_sagemaker import Refused, Things
from fake_traffic import Traffic

from bqx.ops.cloud.permissions import BY_OPERATION, Need, needs
from bqx.ops.cloud.policy_check import allows
from s3_server import S3Server

REGION, ACCOUNT = "eu-west-1", "123456789" + "012"
Fault = Callable[[str, str, int], Any]
"""(service, operation, number of its call) -> None, "cut" (not done), "lost" (done, no answer), or an error's code."""


class FakeAws(ThreadingHTTPServer):
    """documents : policies; None lets everybody do everything. seen : (service, operation) as they came in."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, moto: S3Server, now: Callable[[], float]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.moto, self.lock = moto, RLock()
        self.endpoint = f"http://127.0.0.1:{self.server_port}"
        self.fault: Fault = lambda *_: None
        self.documents: list[Mapping[str, Any]] | None = None
        self.seen: list[tuple[str, str]] = []
        self.counts: dict[tuple[str, str], int] = {}
        self.broken: list[str] = []
        self.clear(now)
        Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def clear(self, now: Callable[[], float]) -> None:
        """Forget everything there is."""
        self.things = Things(REGION, ACCOUNT, now)
        self.things.on_done = self._job_done
        self.traffic = Traffic(self.things, self.has_object)
        self.bucket_policies: dict[str, bytes] = {}
        self.seen.clear()
        self.broken.clear()
        self.counts.clear()
        self.fault, self.documents = (lambda *_: None), None

    def has_object(self, url: str) -> bool:
        return self.moto.call("HEAD", urlsplit(url).path and f"/{url.removeprefix('s3://')}")[0] == 200

    def _job_done(self, noun: str, r: dict[str, Any]) -> None:
        """A job that is done has written what it writes."""
        if noun == "TrainingJob":
            url = r["ModelArtifacts"]["S3ModelArtifacts"]
            assert self.moto.call("PUT", f"/{url.removeprefix('s3://')}", b"a model")[0] == 200
        if noun == "ProcessingJob":
            home = r["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
            assert self.moto.call("PUT", f"/{home.removeprefix('s3://')}project/bqx.toml", b"[project]")[0] == 200

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that we cut off is no news."""

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeAws

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        service, name = _operation(self.headers, self.command, self.path, body)
        s = self.server
        with s.lock:
            key = (service, name)
            s.seen.append(key)
            s.counts[key] = s.counts.get(key, 0) + 1
            wrong = s.fault(service, name, s.counts[key])
        if wrong == "cut":
            return self._hang_up()
        if isinstance(wrong, tuple):
            return self._error(service, name, Refused(*wrong))
        if service.startswith("sagemaker"):
            return self._ours(service, name, body, lost=wrong == "lost")
        if (service, name) == ("cloudwatch", "GetMetricData"):
            try:
                with s.lock:
                    data = s.traffic.metric_data(body)
            except Exception as error:
                s.broken.append(f"{name}: {error!r}")
                raise
            return self._answer(200, data, {"Content-Type": "application/x-amz-json-1.0"})
        return self._relay(service, name, body, lost=wrong == "lost")

    def _ours(self, service: str, name: str, body: bytes, *, lost: bool) -> None:
        s, op = self.server, operation(service, name)
        params = _params(op, self.headers, self.path, body)
        try:
            with s.lock:
                if said := complaint(op, params):
                    raise Refused("ValidationException" if service == "sagemaker" else "ValidationError", said)
                self._allowed(service, name, params)
                if service == "sagemaker-runtime":
                    headers, data = s.traffic.invoke(params)
                    headers["Content-Type"] = "application/json"
                else:
                    data = json.dumps(shaped(op, s.things.do(name, params))).encode()
                    headers = {"Content-Type": "application/x-amz-json-1.1"}
        except Refused as error:
            if lost:
                return self._hang_up()
            return self._error(service, name, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, a test must see it
            s.broken.append(f"{name}: {type(error).__name__} {error}")
            return self._error(service, name, Refused("ValidationException", f"the fake is wrong: {error!r}"))
        return self._hang_up() if lost else self._answer(200, data, headers)

    def _allowed(self, service: str, name: str, params: dict[str, Any]) -> None:
        documents, things = self.server.documents, self.server.things
        if documents is None:
            return
        where = {"partition": "aws", "region": REGION, "account": ACCOUNT}
        for need in needs(BY_OPERATION[service, name], params, where):
            tags = {f"aws:ResourceTag/{k}": v for k, v in things.tags_of(need.resource).items()}
            if not allows(documents, Need(need.action, need.resource, {**need.context, **tags})):
                raise Refused("AccessDeniedException", f"not authorized to perform {need.action} on {need.resource}")

    def _relay(self, service: str, name: str, body: bytes, *, lost: bool) -> None:
        s = self.server
        if service == "application-autoscaling" and name in ("RegisterScalableTarget", "DeregisterScalableTarget"):
            target = json.loads(body)["ResourceId"]
            (s.things.scaled.add if name.startswith("R") else s.things.scaled.discard)(target)
        if service == "s3" and name.endswith(" policy"):
            return self._bucket_policy(body)
        con = http.client.HTTPConnection(s.moto.host, s.moto.port, timeout=60)
        headers = {k: v for k, v in self.headers.items() if k.lower() != "connection"}
        headers["Host"] = f"{s.moto.host}:{s.moto.port}"
        con.request(self.command, self.path, body, headers)
        answer = con.getresponse()
        data = answer.read()
        con.close()
        if lost:
            return self._hang_up()
        kept = {k: v for k, v in answer.getheaders()
                if k.lower() not in ("connection", "transfer-encoding", "content-length")}  # fmt: skip
        if self.command == "HEAD" and (size := answer.getheader("Content-Length")):
            kept["Content-Length"] = size
        return self._answer(answer.status, data, kept)

    def _bucket_policy(self, body: bytes) -> None:
        """Kept here: moto takes any condition of a Deny for fulfilled, and would refuse everything."""
        bucket, held = urlsplit(self.path).path, self.server.bucket_policies
        if self.command == "PUT":
            held[bucket] = body
            return self._answer(204, b"", {})
        if bucket not in held:
            return self._error("s3", "GetBucketPolicy", Refused("NoSuchBucketPolicy", "there is none", 404))
        return self._answer(200, held[bucket], {"Content-Type": "application/json"})

    def _error(self, service: str, name: str, error: Refused) -> None:
        if service.startswith("sagemaker"):
            may_give(operation(service, name), error.code)
        data = json.dumps({"__type": error.code, "message": error.said}).encode()
        if service == "s3":
            data = f"<Error><Code>{error.code}</Code><Message>{error.said}</Message></Error>".encode()
        elif service in ("sns", "sts", "iam"):
            inner = f"<Error><Type>Sender</Type><Code>{error.code}</Code><Message>{error.said}</Message></Error>"
            data = f"<ErrorResponse>{inner}</ErrorResponse>".encode()
        self._answer(error.status, data, {"Content-Type": "application/x-amz-json-1.1",
                                          "x-amzn-ErrorType": error.code})  # fmt: skip

    def _answer(self, status: int, data: bytes, headers: Mapping[str, str]) -> None:
        self.send_response_only(status)
        for key, value in headers.items():
            self.send_header(key, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


_NAMES = {"monitoring": "cloudwatch"}


def _operation(headers: Any, method: str, path: str, body: bytes) -> tuple[str, str]:
    """Service and operation of a request, from its signature and its form."""
    found = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/", headers.get("Authorization", ""))
    service = _NAMES.get(found[1], found[1]) if found else "s3"
    if target := headers.get("X-Amz-Target"):
        return service, target.rpartition(".")[2]
    if "/operation/" in path:
        return service, path.rpartition("/")[2]
    if service == "sagemaker":
        runtime = path.startswith("/endpoints/")
        return ("sagemaker-runtime", "InvokeEndpoint") if runtime else ("sagemaker-featurestore-runtime", "PutRecord")
    if action := re.search(rb"(?:^|&)Action=([A-Za-z]+)", body):
        return service, action[1].decode()
    return service, f"{method} {path.partition('?')[2].partition('=')[0]}"


def _params(op: Any, headers: Any, path: str, body: bytes) -> dict[str, Any]:
    if op.service_model.service_name == "sagemaker":
        return dict(json.loads(body or b"{}"))
    out: dict[str, Any] = {}
    template = re.escape(op.http["requestUri"]).replace(r"\{", "{").replace(r"\}", "}")
    pattern = re.sub(r"\{([A-Za-z]+)\}", r"(?P<\1>[^/]+)", template)
    found = re.fullmatch(pattern, urlsplit(path).path)
    assert found is not None, path
    for name, shape in op.input_shape.members.items():
        place, wire = shape.serialization.get("location"), shape.serialization.get("name", name)
        if place == "uri":
            out[name] = unquote(found[wire])
        elif place == "header" and headers.get(wire) is not None:
            out[name] = headers[wire]
    payload = op.input_shape.serialization.get("payload")
    return {**out, payload: body} if payload else {**out, **json.loads(body or b"{}")}
