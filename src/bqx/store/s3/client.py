"""One bucket over the S3 API: every request repeated with back-off, objects written only where there is none."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from bqx.base.aws_keys import aws_keys
from bqx.base.errors import ConfigError, ObjectError, Unsupported
from bqx.base.faults import fault
from bqx.base.secret import Secret

T = TypeVar("T")
TRIES = 7
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds; doubled from try to try, and taken at random between half and all of it."""
PART_BYTES = 16 << 20
"""Longer objects are sent in parts of this size; S3 takes none under 5 MiB but the last."""
HASH = "xxh3"
"""Name of the object's metadata that holds the xxh3-128 of its bytes."""
_AGAIN = {
    "SlowDown", "503", "500", "502", "504", "InternalError", "ServiceUnavailable", "RequestTimeout", "Throttling",
    "ThrottlingException", "RequestTimeTooSkewed", "ConditionalRequestConflict", "OperationAborted", "BadDigest",
    "IncompleteBody",
}  # fmt: skip
_KEYS = {"ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken"}


@dataclass(frozen=True, slots=True)
class Head:
    """An object as the storage describes it. modified : its clock, as `now` is, the answer's."""

    bytes: int
    digest: str
    etag: str
    modified: datetime
    now: datetime


class S3Client:
    """`keys` gives the secret with the credentials, asked again when they are refused; None takes the machine's own.

    The secret is JSON: {"access_key_id": ..., "secret_access_key": ...}, with "session_token" if there is one.
    Raises Unsupported without boto3, ObjectError when the storage refuses or stays away.
    """

    def __init__(
        self,
        bucket: str,
        *,
        endpoint: str | None = None,
        region: str | None = None,
        keys: Callable[[], Secret] | None = None,
        tries: int = TRIES,
        part_bytes: int = PART_BYTES,
        timeout: float = 30.0,
    ) -> None:
        self.bucket, self.where = bucket, f"{endpoint or 's3'}/{bucket}"
        self._endpoint, self._region, self._keys = endpoint, region, keys
        self._tries, self._part, self._timeout = tries, part_bytes, timeout
        self._made: Any = None
        self._guard = threading.Lock()

    def create(self, key: str, data: bytes, digest: str) -> bool:
        """Write an object where there is none; False where there is one. Absent or complete at any moment."""
        fault("before-put")
        if len(data) > self._part:
            made = self._in_parts(key, data, digest)
        else:
            md5 = _md5(data)
            made = self._unless_there(
                lambda s3: s3.put_object(
                    Bucket=self.bucket, Key=key, Body=data, ContentMD5=md5, IfNoneMatch="*", Metadata={HASH: digest}
                ),
                key,
            )
        fault("after-put")
        return made

    def head(self, key: str) -> Head | None:
        """None where there is no such object."""
        answer = self._ask(lambda s3: s3.head_object(Bucket=self.bucket, Key=key), key, absent=None)
        if answer is None:
            return None
        digest = answer.get("Metadata", {}).get(HASH, "")
        return Head(answer["ContentLength"], digest, answer["ETag"], answer["LastModified"], _now(answer))

    def read(self, key: str) -> bytes | None:
        """All of an object; None where there is none. A body that breaks off is asked for again."""

        def get(s3: Any) -> bytes:
            answer = s3.get_object(Bucket=self.bucket, Key=key)
            data: bytes = answer["Body"].read()
            return data

        return self._ask(get, key, absent=None)

    def touch(self, key: str, digest: str, etag: str) -> None:
        """Let an object be new again: copied over itself, in the storage."""
        source = {"Bucket": self.bucket, "Key": key}
        self._ask(
            lambda s3: s3.copy_object(
                Bucket=self.bucket, Key=key, CopySource=source, CopySourceIfMatch=etag, MetadataDirective="REPLACE",
                Metadata={HASH: digest},
            ),
            key,
        )  # fmt: skip

    def listed(self, prefix: str) -> Iterator[tuple[str, int, float]]:
        """(key, bytes, seconds since it was written) of the objects under a prefix, by key."""
        token: dict[str, str] = {}
        while True:
            answer = self._ask(partial(_list, self.bucket, prefix, token), prefix)
            now = _now(answer)
            for each in answer.get("Contents", ()):
                yield each["Key"], each["Size"], (now - each["LastModified"]).total_seconds()
            if not answer.get("IsTruncated"):
                return
            token = {"ContinuationToken": answer["NextContinuationToken"]}

    def delete(self, key: str) -> None:
        self._ask(lambda s3: s3.delete_object(Bucket=self.bucket, Key=key), key)

    def abort_uploads(self, prefix: str, min_age_s: float) -> int:
        """End uploads in parts that were begun longer ago and never ended; how many."""
        answer = self._ask(lambda s3: s3.list_multipart_uploads(Bucket=self.bucket, Prefix=prefix), prefix)
        now, count = _now(answer), 0
        for each in answer.get("Uploads", ()):
            if (now - each["Initiated"]).total_seconds() >= min_age_s:
                self._abort(each["Key"], each["UploadId"])
                count += 1
        return count

    def _in_parts(self, key: str, data: bytes, digest: str) -> bool:
        begun = self._ask(
            lambda s3: s3.create_multipart_upload(Bucket=self.bucket, Key=key, Metadata={HASH: digest}), key
        )
        upload = begun["UploadId"]
        try:
            parts = []
            for number, at in enumerate(range(0, len(data), self._part), start=1):
                part = data[at : at + self._part]
                answer = self._ask(partial(_send, self.bucket, key, upload, number, part), key)
                parts.append({"PartNumber": number, "ETag": answer["ETag"]})
                fault("after-part")
            made = self._unless_there(
                lambda s3: s3.complete_multipart_upload(
                    Bucket=self.bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*"
                ),
                key,
            )
        except BaseException:
            with contextlib.suppress(ObjectError):
                self._abort(key, upload)
            raise
        if not made:
            self._abort(key, upload)
        return made

    def _abort(self, key: str, upload: str) -> None:
        self._ask(
            lambda s3: s3.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload), key, absent=None
        )  # fmt: skip

    def _unless_there(self, call: Callable[[Any], Any], key: str) -> bool:
        """False when the object is there already; also when it came to be by a try whose answer was lost."""
        there = object()
        return self._ask(call, key, exists=there) is not there

    def _ask(self, call: Callable[[Any], T], key: str, **instead: Any) -> T:
        """What `call` gives, tried again while that can help. instead : `absent`, `exists` for 404, 412."""
        from botocore.exceptions import BotoCoreError, ClientError

        pause, renewed, said = FIRST_PAUSE, False, ""
        for _ in range(self._tries):
            try:
                return call(self._client())
            except ClientError as error:
                code = str(error.response.get("Error", {}).get("Code", ""))
                status = str(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
                if status == "404" and "absent" in instead and code != "NoSuchBucket":
                    return instead["absent"]  # type: ignore[no-any-return]
                if status == "412" and "exists" in instead:
                    return instead["exists"]  # type: ignore[no-any-return]
                said = f"{code or status} {error.response.get('Error', {}).get('Message', '')}".strip()
                if code in _KEYS and self._keys is not None and not renewed:
                    renewed, self._made = True, None  # a rotated key: the provider is asked again
                    continue
                if code not in _AGAIN and status not in _AGAIN:
                    raise ObjectError(f"it refused: {said}", where=f"{self.where} {key}") from error
            except (BotoCoreError, OSError) as error:  # no answer, a cut connection, a body that broke off
                said = f"{type(error).__name__}: {error}"
            except Exception as error:
                if not type(error).__module__.startswith("urllib3"):
                    raise
                said = f"{type(error).__name__}: {error}"
            time.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - spreads those who were told to slow down
            pause = min(2 * pause, LONGEST_PAUSE)
        raise ObjectError(f"no good answer in {self._tries} tries: {said}", where=f"{self.where} {key}")

    def _client(self) -> Any:
        with self._guard:
            if self._made is None:
                self._made = self._connect()
            return self._made

    def _connect(self) -> Any:
        try:
            import boto3
            from botocore.config import Config
        except ImportError as error:
            raise Unsupported("boto3 is not installed", fix="pip install 'bqx[aws]'") from error
        config = Config(
            connect_timeout=min(self._timeout, 10.0),
            read_timeout=self._timeout,
            retries={"total_max_attempts": 1},
            request_checksum_calculation="when_required",  # others' S3 knows Content-MD5, not the newer trailers
            response_checksum_validation="when_required",
            s3={"addressing_style": "path" if self._endpoint else "auto"},
            max_pool_connections=32,
        )
        return boto3.session.Session(**self._credentials()).client(
            "s3", endpoint_url=self._endpoint, region_name=self._region or ("us-east-1" if self._endpoint else None),
            config=config,
        )  # fmt: skip

    def _credentials(self) -> dict[str, str]:
        return {} if self._keys is None else aws_keys(self._keys(), "store.credentials", ConfigError)


def _list(bucket: str, prefix: str, token: dict[str, str], s3: Any) -> Any:
    return s3.list_objects_v2(Bucket=bucket, Prefix=prefix, **token)


def _send(bucket: str, key: str, upload: str, number: int, part: bytes, s3: Any) -> Any:
    return s3.upload_part(
        Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=part, ContentMD5=_md5(part)
    )  # fmt: skip


def _md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def _now(answer: Any) -> datetime:
    """The storage's clock, so that ages do not depend on ours."""
    from email.utils import parsedate_to_datetime

    said = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    return parsedate_to_datetime(said).astimezone(UTC) if said else datetime.now(UTC)
