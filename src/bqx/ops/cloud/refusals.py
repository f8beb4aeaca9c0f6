"""What the provider's errors mean: absent, in the way, try again, or one of ours with what to do."""

from __future__ import annotations

import re
from typing import Literal

from bqx.base.errors import (
    CloudConflict,
    CloudCredentials,
    CloudDenied,
    CloudError,
    CloudQuota,
)


class CloudAbsent(CloudError):  # noqa: N818 - what there is not
    """There is no such thing; callers expect it."""


Sort = Literal["absent", "again", "conflict", "credentials", "denied", "quota", "other"]
_AGAIN = {
    "Throttling", "ThrottlingException", "ThrottledException", "TooManyRequestsException", "RequestLimitExceeded",
    "SlowDown", "RequestThrottled", "ProvisionedThroughputExceededException", "ServiceUnavailable",
    "ServiceUnavailableException", "InternalFailure", "InternalServerError", "InternalError", "InternalServiceError",
    "InternalErrorException", "ConcurrentUpdateException", "RequestTimeout", "OperationAborted", "503", "500", "502",
    "504",
}  # fmt: skip
_CREDENTIALS = {
    "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException",
    "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidSignatureException", "AuthFailure",
    "InvalidToken", "MissingAuthenticationToken",
    "NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError", "UnauthorizedSSOTokenError",
    "SSOTokenLoadError", "CredentialRetrievalError", "ProfileNotFound",
}  # fmt: skip
_DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation", "Forbidden", "403"}
_QUOTA = {
    "ResourceLimitExceeded", "LimitExceededException", "LimitExceeded", "ServiceQuotaExceededException",
    "ServiceLimitExceededException", "TopicLimitExceeded", "TooManyBuckets", "CreationLimitExceededException",
}  # fmt: skip
_ABSENT = {
    "ResourceNotFound", "ResourceNotFoundException", "NotFound", "NotFoundException", "NotFoundFault",
    "NoSuchEntity", "NoSuchBucket", "NoSuchKey", "NoSuchTagSet", "NoSuchBucketPolicy", "NoSuchLifecycleConfiguration",
    "NoSuchPublicAccessBlockConfiguration", "ServerSideEncryptionConfigurationNotFoundError",
    "ObjectNotFoundException", "404",
}  # fmt: skip
_CONFLICT = {
    "ResourceInUse", "ResourceInUseException", "ConflictException", "ResourceExistsException", "BucketAlreadyExists",
    "BucketAlreadyOwnedByYou", "BucketNotEmpty", "DuplicateRecordException", "EntityAlreadyExists",
    "InvalidRequestException", "409",
}  # fmt: skip
_SAYS_ABSENT = re.compile(r"could not find|does not exist|not found|no such|^no [a-z ]+ found", re.IGNORECASE)
_SAYS_CONFLICT = re.compile(r"already exist|cannot create already existing|in use|in progress|cannot update", re.I)


def sort(code: str, said: str) -> Sort:
    """SageMaker says ValidationException for much, so its words are read there."""
    if code in ("ValidationException", "ValidationError"):
        return "absent" if _SAYS_ABSENT.search(said) else "conflict" if _SAYS_CONFLICT.search(said) else "other"
    table: dict[Sort, set[str]] = {
        "again": _AGAIN, "credentials": _CREDENTIALS, "denied": _DENIED, "quota": _QUOTA, "absent": _ABSENT,
        "conflict": _CONFLICT,
    }  # fmt: skip
    return next((name for name, codes in table.items() if code in codes), "other")


def refusal(kind: Sort, code: str, said: str, doing: str) -> CloudError:
    """The error to raise. doing : service, operation and resource."""
    what = f"{code}: {said}" if said else code
    if kind == "absent":
        return CloudAbsent(what, where=doing)
    if kind == "conflict":
        return CloudConflict(what, where=doing)
    if kind == "credentials":
        return CloudCredentials(
            what, where=doing, fix="log in again or renew the keys, then run the same command again"
        )
    if kind == "denied":
        return CloudDenied(what, where=doing)
    if kind == "quota":
        return CloudQuota(what, where=doing)
    return CloudError(what, where=doing)
