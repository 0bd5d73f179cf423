"""A bucket of any server that speaks S3: its objects, and what the server says when it will not.

Promises: every call returns, or raises BucketError with the server's own words, within about
PATIENCE and one REQUEST; nothing of a key, a signature or a token is in these words, in a repr or
in a traceback. "No such bucket" is a BucketError and never a missing object. A key file that has
changed is read again when the server refuses the old key.
Limits: objects of at most PART octets go up in one request, larger ones in parts of that size,
PARTS_AT_ONCE in memory at a time; only the former can be create-only.
Cites: obstore's documentation; S3 API PutObject (If-None-Match), RFC 9110 section 13.1.2.
"""

import random
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from config.secret import AccessKey
from config.settings import Store as StoreSettings

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config

__all__ = ["PART", "BucketError", "Objects", "Patience"]

PART: Final = 5 << 20  # the least that S3 takes
PARTS_AT_ONCE: Final = 2
T = TypeVar("T")

# What is likely over soon. Codes of the S3 API, and RFC 9110 for servers without one.
_TEMPORARY = frozenset(
    "InternalError ServiceUnavailable SlowDown RequestTimeout OperationAborted Throttling"
    " ThrottlingException RequestLimitExceeded TooManyRequests BadDigest"
    " 408 425 429 500 502 503 504".split()
)
_DENIED = frozenset(
    "AccessDenied InvalidAccessKeyId SignatureDoesNotMatch ExpiredToken 401 403".split()
)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited, in seconds: for a connection, a whole request, and all tries of one."""

    connect: float = 5.0
    request: float = 60.0
    tries: float = 20.0


class BucketError(OSError):
    """The bucket cannot be used now. `code` is the server's own, "" if none has answered."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code

    @property
    def temporary(self) -> bool:
        return not self.code or self.code in _TEMPORARY

    @property
    def unconditional(self) -> bool:
        """The server knows no If-None-Match."""
        return self.code in ("NotImplemented", "501")

    @property
    def denied(self) -> bool:
        return self.code in _DENIED


class Objects:
    """The objects below a prefix of a bucket. Any number of threads."""

    def __init__(self, settings: StoreSettings, patience: Patience | None = None) -> None:
        self._settings = settings
        self._patience = patience or Patience()
        self._lock = threading.Lock()
        self._opened: S3Store | None = None

    def __repr__(self) -> str:
        return f"Objects({self._settings.blobs})"

    def create(self, key: str, data: bytes) -> bool:
        """A new object; False if there is one of this key.

        BucketError with `unconditional` from a server that cannot promise not to overwrite.
        """

        def put(store: S3Store) -> bool:
            try:
                obstore.put(store, key, data, mode="create", use_multipart=False)
            except AlreadyExistsError:
                return False
            return True

        return self._ask("write", put)

    def replace(self, key: str, data: bytes) -> None:
        self._ask("write", lambda store: obstore.put(store, key, data, use_multipart=False))

    def upload(self, key: str, file: IO[bytes]) -> None:
        """The content of a file, in parts; nothing is to be seen of it until all is there."""

        def put(store: S3Store) -> None:
            file.seek(0)
            obstore.put(store, key, file, chunk_size=PART, max_concurrency=PARTS_AT_ONCE)

        self._ask("write", put)

    def read(self, key: str, start: int, length: int) -> tuple[bytes, int] | None:
        """A piece of an object, and the size of the whole; None if there is no such object."""

        def get(store: S3Store) -> tuple[bytes, int]:
            result = obstore.get(store, key, options={"range": (start, start + length)})
            return bytes(result.bytes()), result.meta["size"]

        try:
            return self._ask("read", get)
        except BucketError as error:
            if error.code == "NoSuchKey":
                return None
            if error.code in ("InvalidRange", "416"):  # there is nothing in it
                return b"", 0
            raise

    def written(self, key: str) -> datetime:
        """When the server wrote an object, by its own clock."""
        return self._ask("read", lambda store: obstore.head(store, key)["last_modified"])

    def names(self, folder: str) -> list[str]:
        """The keys of all objects below a folder (the key may be allowed to list, or not)."""

        def listed(store: S3Store) -> list[str]:
            return [one["path"] for some in obstore.list(store, folder) for one in some]

        return self._ask("list", listed)

    def delete(self, keys: Sequence[str]) -> None:
        """Many in one request; those that are not there are no error."""
        if keys:
            self._ask("delete", lambda store: obstore.delete(store, keys))

    # Asking

    def _ask(self, doing: str, call: Callable[[S3Store], T]) -> T:
        give_up = time.monotonic() + self._patience.tries
        pause = 0.1
        while True:
            store = self._store()
            try:
                return call(store)
            except (BaseError, FileNotFoundError, ValueError, OSError) as error:
                trouble = _told(error, f"{doing} {self._settings.blobs}")
            # Outside of the handler, so that no traceback shows what the library said.
            if trouble.denied:
                self._forget(store)
            if not trouble.temporary or time.monotonic() + pause > give_up:
                raise trouble
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, 2.0)

    def _store(self) -> S3Store:
        with self._lock:
            if self._opened is None:
                self._opened = _open(self._settings, self._patience)
            return self._opened

    def _forget(self, store: S3Store) -> None:
        """The key may have been changed: read it anew the next time."""
        with self._lock:
            if self._opened is store:
                self._opened = None


def _open(settings: StoreSettings, patience: Patience) -> S3Store:
    config: S3Config = {"conditional_put": "etag"}
    if settings.blobs_endpoint is not None:
        # By this name, because the environment's AWS_ENDPOINT_URL_S3 would win over "endpoint".
        config["aws_endpoint_url_s3"] = str(settings.blobs_endpoint)
    if settings.blobs_region:
        config["region"] = settings.blobs_region
    key = _key(settings)
    if key is not None:
        config["access_key_id"] = key.id
        config["secret_access_key"] = key.secret.reveal()
    client: ClientConfig = {
        "allow_http": settings.blobs_endpoint is not None
        and settings.blobs_endpoint.scheme == "http",
        "connect_timeout": timedelta(seconds=patience.connect),
        "timeout": timedelta(seconds=patience.request),
        "user_agent": "mailweir",
    }
    if settings.blobs_ca is not None:
        client["root_certificate"] = _read(settings.blobs_ca)
    # Tried again by _ask(), which knows that all we do may be done twice.
    retry: RetryConfig = {"max_retries": 0, "retry_timeout": timedelta(seconds=patience.tries)}
    try:
        return S3Store(
            settings.blobs.bucket,
            prefix=settings.blobs.prefix or None,
            config=config,
            client_options=client,
            retry_config=retry,
        )
    except (BaseError, ValueError) as error:
        trouble = _told(error, f"open {settings.blobs}")
    raise trouble


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror
    raise BucketError(f"{path}: {reason}", "certificate")


def _key(settings: StoreSettings) -> AccessKey | None:
    try:
        return settings.blobs_credentials
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
    raise BucketError(f"{settings.blobs_credentials_file}: {reason}", "key")


# What the server said

_STATUS = re.compile(r"non-2xx status code: ([0-9]{3})")
_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,80})</Code>")
_MESSAGE = re.compile(r"<Message>([^<]{1,300})</Message>")
# 200 to DeleteObjects, and in it what became of each.
_ONE_OF_MANY = re.compile(r"failed for key \S+: ([^<]{1,300}) \(code: ([A-Za-z0-9.]{1,80})\)")
# Where the library asks the machine for its role in AWS.
_ROLE = re.compile(r"/latest/(?:api/token|meta-data)|[Cc]redential")
# Below a failed connection, in the library's own description: the system's words, or those of TLS.
_SYSTEM = re.compile(r'(?:message|error): "([^"]{1,200})"')
_TLS = re.compile(r"(InvalidCertificate|InvalidMessage|AlertReceived)\(\s*(\w+)")


def _told(error: Exception, doing: str) -> BucketError:
    """What the library raised, as ours."""
    words, code = _words(str(error), type(error).__name__)
    words = "".join(c if c.isprintable() else " " for c in words)
    return BucketError(f"{doing}: {words}", code)


def _words(said: str, kind: str) -> tuple[str, str]:
    """Code and message of an S3 answer, or why there was none; and the code alone.

    Nothing else is taken over: answers can quote the signed request and its token, the library
    the address that it asked.
    """
    head, _, detail = said.partition("\n\n")
    if code := _CODE.search(said):
        message = _MESSAGE.search(said)
        return f"{code[1]}: {' '.join(message[1].split())}" if message else code[1], code[1]
    if one := _ONE_OF_MANY.search(head):
        return f"{one[2]}: {one[1]}", one[2]
    if "BadScheme" in detail:
        return "http:// is not allowed here, but AWS_ENDPOINT_URL asks for it", "http"
    if _ROLE.search(head):
        return "no key: set blobs_credentials_file, or AWS_ACCESS_KEY_ID and its secret", "key"
    if status := _STATUS.search(head):
        return f"the server says {status[1]}", status[1]
    if system := _SYSTEM.search(detail):
        return system[1], ""
    if tls := _TLS.search(detail):
        return f"TLS: {tls[1]} {tls[2]}", ""
    if "TimedOut" in detail:
        return "no answer in time", ""
    return head.rpartition(" - ")[2] if " - " in head else kind, ""
