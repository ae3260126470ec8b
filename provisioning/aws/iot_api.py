"""A paced client of the AWS IoT control plane that turns each of its failures into one sentence and a next step.

Its own retries replace botocore's: a request that makes something new each time (a certificate) may be repeated only when AWS said that it
did not act, never because an answer was lost.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from typing import Any

from provisioning.aws.pace import Pace
from provisioning.aws.parallel import pause
from provisioning.errors import InputError, StationError, TwinrootError

CONNECT_TIMEOUT, READ_TIMEOUT = 5.0, 30.0  # seconds
_ATTEMPTS = 6  # with back-off: up to about 30 s
_BACKOFF = 0.5  # seconds before the second attempt; doubles, with jitter
_MAX_WAIT = 10.0
CONNECTIONS = 32  # to one host; more than anybody here has in flight

# Codes with which AWS says that it did not act and may later.
_THROTTLED = frozenset({"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded"})
_TRANSIENT = frozenset(
    {"ServiceUnavailableException", "InternalFailureException", "InternalException", "InternalError", "InternalServerException"}
)
_NOT_IMPLEMENTED = 501  # HTTP status: what answers lacks the operation, today and tomorrow

_PERMISSIONS = {"HeadObject": "GetObject"}  # where an operation's is not its own name


class Denied(StationError):
    """These credentials may not do that. S3 answers so, too, to who may read and not list, where there is no such object."""


_DENIED = (Denied, "no-permission", "these credentials may not do that", "Allow {service}:{action} in their IAM policy.")
_UNKNOWN = (StationError, "bad-credentials", "AWS does not know these credentials", "Check access key, region and partition.")
_WRONG_KEY = (StationError, "bad-credentials", "the secret key or this computer's clock is wrong", "Correct it and run again.")
_EXPIRED = (StationError, "expired-credentials", "the session has expired", "Sign in again (aws sso login).")
_INVALID = (InputError, "refused-by-aws", "AWS takes no such request", "Correct what AWS names.")
_EXISTS = (InputError, "exists-differently", "it exists already and differs", "Look at it in the AWS console.")
_QUOTA = (StationError, "quota", "a quota of the account is used up", "Ask AWS to raise it.")
_REFUSED = (InputError, "certificate-refused", "AWS refuses the certificate", "Correct what AWS names.")
_NO_BUCKET = (InputError, "no-bucket", "there is no such bucket", "Make it in the region of the devices, or correct --bucket.")
_ELSEWHERE = (InputError, "no-bucket", "the bucket is in another region", "AWS IoT reads from its own region: name a bucket there.")
_CODE = (InputError, "wrong-code", "the registration code is not this account's", "Run it again.")

# Error code of AWS -> (class, our code, what happened, next step).
_SENTENCES: dict[str, tuple[type[TwinrootError], str, str, str]] = {
    "AccessDeniedException": _DENIED,
    "UnauthorizedException": _DENIED,
    "ForbiddenException": _DENIED,
    "UnrecognizedClientException": _UNKNOWN,
    "InvalidClientTokenId": _UNKNOWN,
    "InvalidSignatureException": _WRONG_KEY,
    "SignatureDoesNotMatch": _WRONG_KEY,
    "ExpiredTokenException": _EXPIRED,
    "ExpiredToken": _EXPIRED,
    "InvalidRequestException": _INVALID,
    "MalformedPolicyException": _INVALID,
    "LimitExceededException": _QUOTA,
    "CertificateValidationException": _REFUSED,
    "CertificateConflictException": _REFUSED,
    "RegistrationCodeValidationException": _CODE,
    "ValidationException": _INVALID,
    "InvalidQueryException": _INVALID,
    "ServiceQuotaExceededException": _QUOTA,
    "IndexNotReadyException": (StationError, "index-not-ready", "the fleet index is being built", "Wait, and run it again."),
    "AccessDenied": _DENIED,
    "403": _DENIED,
    "InvalidAccessKeyId": _UNKNOWN,
    "NoSuchBucket": _NO_BUCKET,
    "PermanentRedirect": _ELSEWHERE,
    "301": _ELSEWHERE,
    "AuthorizationHeaderMalformed": _ELSEWHERE,
}
_ABSENT = frozenset({"ResourceNotFoundException", "404", "NoSuchKey", "NoSuchEntity"})
# What is there already. S3: the object of a conditional write.
_THERE = frozenset({"ResourceAlreadyExistsException", "ConflictException", "PreconditionFailed", "ConditionalRequestConflict"})


class Answer(dict[str, Any]):
    """An answer, or a part of one. A field that is asked for and not there is AWS's fault, or a proxy's: StationError."""

    operation = ""

    def __missing__(self, name: str) -> Any:
        raise _odd(self.operation, f"without {name}")


def _answer(value: Any, operation: str) -> Answer:
    if not isinstance(value, dict):
        raise _odd(operation, "that is none")
    found = Answer({name: _answer(each, operation) if isinstance(each, dict) else each for name, each in value.items()})
    found.operation = operation
    return found


def _odd(operation: str, what: str) -> StationError:
    return StationError("bad-answer", f"AWS's answer to {operation} is one {what}.", "Run it again; a proxy in between may change answers.")


def _no_other(service: str) -> Any:
    raise NotImplementedError(service)


class Aws:
    """One account in one region, for as many threads as ask. `requests` counts what was sent; `rate` is Pace's; `sleep` is for tests.
    `clients` makes the client of another service than IoT by boto3's name of it."""

    def __init__(
        self,
        iot: Any,
        region: str,
        rate: float | None = None,
        sleep: Callable[[float], None] = pause,
        clients: Callable[[str], Any] = _no_other,
    ) -> None:
        self._services: dict[str, Any] = {"iot": iot}
        self._clients = clients
        self.region = region
        self.requests = 0
        self._lock = threading.Lock()
        self._sleep = sleep
        self._pace = Pace(rate, sleep)

    def call(self, operation: str, *, repeatable: bool = True, service: str = "iot", **arguments: Any) -> dict[str, Any]:
        """Send one request; the answer. `operation` as boto3 spells it (create_thing), `service` too.

        Throttling is waited out with back-off. What else goes wrong is repeated only when the request is `repeatable`.
        Raises NotFound, Exists, StationError, InputError; LostAnswer when a request that is not repeatable may have been carried out.
        """
        from botocore import exceptions as boto

        send = getattr(self._client(service), operation)
        for attempt in range(1, _ATTEMPTS + 1):
            self._pace.wait(operation)
            pause(0)
            with self._lock:
                self.requests += 1
            try:
                answer: Any = send(**arguments)
            except boto.ClientError as e:
                code = str(e.response.get("Error", {}).get("Code", ""))
                status = int(e.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
                throttled = code in _THROTTLED or status == 429
                if status == _NOT_IMPLEMENTED:
                    raise _lacking(operation, code, e) from e
                lost = not throttled and (code in _TRANSIENT or status >= 500)
                if throttled:
                    self._pace.throttled(operation)
                if lost and not repeatable:
                    raise LostAnswer(operation, f"AWS answered {code or status}") from e
                if not (throttled or lost) or attempt == _ATTEMPTS:
                    raise _translated(service, operation, code, e, throttled or lost) from e
            except (boto.ReadTimeoutError, boto.ConnectionClosedError) as e:  # it was sent, the answer is missing
                if not repeatable:
                    raise LostAnswer(operation, "the connection broke before the answer") from e
                if attempt == _ATTEMPTS:
                    raise _no_network(self.region, e) from e
            except (boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.ProxyConnectionError, boto.SSLError) as e:
                raise _no_network(self.region, e) from e
            except (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError, boto.TokenRetrievalError) as e:
                raise _no_credentials(_sentence(e)) from e
            except boto.ParamValidationError as e:
                raise InputError("bad-value", f"AWS takes no such value for {operation}: {_sentence(e)}.", "Correct the value.") from e
            except boto.BotoCoreError as e:
                raise StationError(
                    "aws-failed", f"{_action(operation)} failed: {_sentence(e)}.", "Run it again; --debug shows more."
                ) from e
            else:
                self._pace.answered(operation)
                return _answer(answer, operation)
            self._sleep(min(_MAX_WAIT, _BACKOFF * 2 ** (attempt - 1)) * random.uniform(0.5, 1))
        raise AssertionError("the last attempt returns or raises")

    def pages(self, operation: str, field: str, **arguments: Any) -> Any:
        """The items of every page of a list operation, as they arrive. AWS IoT spells the token `marker` or `nextToken`."""
        token: dict[str, Any] = {}
        while True:
            answer = self.call(operation, **arguments, **token)
            yield from answer.get(field, ())
            if answer.get("nextMarker"):
                token = {"marker": answer["nextMarker"]}
            elif answer.get("nextToken"):
                token = {"nextToken": answer["nextToken"]}
            else:
                return

    def _client(self, service: str) -> Any:
        with self._lock:
            if service not in self._services:
                self._services[service] = self._clients(service)
            return self._services[service]


class CannotAsk(StationError):
    """Nothing here could ask AWS: boto3 is missing, or there are no credentials."""


class NoRegion(InputError):
    """It is not known which region to ask."""


class NotFound(InputError):
    """AWS has no such thing. Internal to this package: callers ask whether something exists."""


class Exists(InputError):
    """What was to be made is there already, and may differ. Internal to this package: callers compare."""


class LostAnswer(StationError):
    """A request that must not be repeated blindly got no answer: it may have been carried out."""

    def __init__(self, operation: str, reason: str) -> None:
        super().__init__("answer-lost", f"{_action(operation)}: {reason}.", "Run the same command again: it finds out what was done.")


def connect(region: str | None = None, profile: str | None = None, rate: float | None = None) -> Aws:
    """A client with the credentials that AWS's own tools would use. Needs no network. Raises StationError, InputError."""
    try:
        import boto3
        from botocore import exceptions as boto
        from botocore.config import Config
    except ImportError as e:
        raise CannotAsk(
            "no-boto3", "boto3 is not installed, and AWS is asked through it.", "Install it: pip install 'twinroot[aws]'"
        ) from e
    config = Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        retries={"total_max_attempts": 1},
        max_pool_connections=CONNECTIONS,
    )
    try:
        # AWS_REGION is what most of AWS's tools read; boto3 reads AWS_DEFAULT_REGION alone.
        session = boto3.Session(region_name=region or os.environ.get("AWS_REGION") or None, profile_name=profile)
        iot = session.client("iot", config=config)
    except boto.ProfileNotFound as e:
        raise InputError(
            "no-profile", f"AWS's configuration has no profile {profile!r}.", "`aws configure list-profiles` lists them."
        ) from e
    except boto.NoRegionError as e:
        raise NoRegion("no-region", "It is not known which AWS region to ask.", "Add --region, or set AWS_REGION.") from e
    except (boto.CredentialRetrievalError, boto.TokenRetrievalError) as e:
        raise _no_credentials(_sentence(e)) from e
    except (boto.BotoCoreError, ValueError) as e:
        raise InputError(
            "aws-configuration", f"AWS's configuration cannot be used: {_sentence(e)}.", "Check ~/.aws/config and AWS_… variables."
        ) from e
    if session.get_credentials() is None:  # said before anything is written; the client has looked for them by now
        raise _no_credentials("unable to locate credentials")
    return Aws(iot, str(iot.meta.region_name), rate, clients=lambda service: session.client(service, config=config))


def _no_credentials(why: str) -> StationError:
    hint = "Sign in (aws configure, aws sso login), or set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
    return CannotAsk("no-credentials", f"AWS cannot be asked: {why}.", hint)


def _action(operation: str) -> str:
    return "".join(word.capitalize() for word in operation.split("_"))


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")[:300]


def _translated(service: str, operation: str, code: str, error: Any, patience_is_over: bool) -> TwinrootError:
    said = str(error.response.get("Error", {}).get("Message", "")).strip().rstrip(".")[:300]
    action = _action(operation)
    if code in _ABSENT:
        return NotFound("not-found", f"{action}: AWS has no such thing: {said or code}.", "Check the name and the region.")
    if code in _THERE:
        return Exists("exists-already", f"{action}: it exists already: {said or code}.", "Look at it in the AWS console.")
    if patience_is_over:
        return StationError(
            "throttled",
            f"{action}: AWS still answers {code or 'that it is busy'} after {_ATTEMPTS} attempts with back-off.",
            "Run it again later, or with a lower --rate; it goes on where it stopped.",
        )
    cls, ours, happened, hint = _SENTENCES.get(
        code, (StationError, "aws-failed", f"AWS answered {code or 'an error'}", "Run it again; --debug shows more.")
    )
    return cls(
        ours, f"{action}: {happened}{f': {said}' if said else ''}.", hint.format(action=_PERMISSIONS.get(action, action), service=service)
    )


def _lacking(operation: str, code: str, error: Any) -> StationError:
    said = str(error.response.get("Error", {}).get("Message", "")).strip().rstrip(".")[:300]
    return StationError(
        "not-at-endpoint",
        f"{_action(operation)}: what answers here for AWS does not have it: {said or code or _NOT_IMPLEMENTED}.",
        "Use an account of AWS. The cloud stand-in (AWS_ENDPOINT_URL leads to it) has what docs/cloud.md lists.",
    )


def _no_network(region: str, error: Exception) -> StationError:
    return StationError(
        "no-network", f"AWS IoT in {region} cannot be reached: {_sentence(error)}.", "Check network, proxy and region, then run it again."
    )
