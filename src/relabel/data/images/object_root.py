"""An image root in an object store or on a web server, and what its answers mean: a fault of one key, or of the root.

What belongs to one key (it is missing, denied, archived, too long) costs its row. What belongs to the root (no bucket,
refused credentials, a busy server) costs the unit, which is tried again. Quotes no key.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError

from relabel.data.images.reference import MISSING, NO_PATH, key_of
from relabel.errors import RowRejected, SourceUnreadable
from relabel.rejected import Code

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_USER = re.compile(r"//[^/@]*@")
_STATUS = re.compile(r"status code: (\d{3})(?: ([A-Za-z ]+))?")
_CODE = re.compile(r"<Code>([A-Za-z0-9._-]+)</Code>")

_HEADER = re.compile(r"(Content-Length|Last-Modified|ETag) Header missing|Invalid (last modified)", re.IGNORECASE)

_ARCHIVED = {"InvalidObjectState", "BlobArchived", "BlobBeingRehydrated"}
_TOO_LONG = {"KeyTooLong", "KeyTooLongError"}
_OF_THE_ROOT = {
    "NoSuchBucket", "InvalidBucketName", "BucketNotFound", "ContainerNotFound", "ContainerBeingDeleted",
    "ContainerDisabled", "AllAccessDisabled", "PermanentRedirect", "TemporaryRedirect",
    "IllegalLocationConstraintException", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken",
    "InvalidToken", "ExpiredTokenException", "InvalidClientTokenId", "NoSuchAccessPoint",
    "TokenRefreshRequired", "InvalidSecurity", "RequestExpired", "RequestTimeTooSkewed",
    "AuthorizationHeaderMalformed", "MissingSecurityHeader", "AuthorizationQueryParametersError",
    "UnauthorizedAccess", "UnauthorizedAccessError", "AuthenticationRequired", "AccountProblem", "NotSignedUp",
    "AccountIsDisabled", "AuthenticationFailed", "AuthorizationFailure", "InvalidAuthenticationInfo",
    "NoAuthenticationInformation", "UserProjectMissing", "UserProjectAccountProblem", "UserProjectInvalid",
    "SlowDown", "RequestTimeout", "ServiceUnavailable", "InternalError", "ServerBusy",
}  # fmt: skip
"""Words of S3, Google and Azure that are true of every key, under whatever status they come."""
_PASSING = {401, 407, 408, 425, 429}
"""Refusals of whoever asks, and of the moment: of no key."""


class ObjectRoot:
    """Reads images by their keys below a URL."""

    def __init__(self, url: str, connect: Callable[[], ObjectStore]) -> None:
        self._url, self._connect = url, connect
        self._name = _USER.sub("//", url)
        self._store: ObjectStore | None = None
        self._denied = ""
        """How it last denied a key; empty where it denied none."""
        self._is_open = False
        """Whether it once answered in a way that only whoever may read there gets."""

    def read(self, reference: str, max_bytes: int) -> bytes:
        """Raises RowRejected (image) for a fault of the key, SourceUnreadable for one of the root."""
        key = key_of(reference, self._url)
        try:
            answer = obstore.get(self._opened(), key)
            if answer.meta["size"] > max_bytes:
                raise RowRejected(Code.IMAGE, f"{answer.meta['size']} bytes is over the limit of {max_bytes}")
            data = bytes(answer.bytes())
        except ValueError as error:
            raise RowRejected(Code.IMAGE, NO_PATH) from error
        except (BaseError, OSError) as error:
            raise self._meaning(str(error)) from error
        self._is_open = True
        return data

    def check(self) -> None:
        """Raise SourceUnreadable where it denied keys and never gave one: then it is not the keys that are at fault.

        A store without a right to list denies a missing key, too, so that one denied key says nothing.
        """
        if not self._denied or self._is_open:
            return
        try:
            next(iter(obstore.list(self._opened(), chunk_size=1)), None)
        except (BaseError, OSError) as error:
            why = f"it gives none of the images that were asked for ({self._denied}); check the credentials"
            raise self._failed(why) from error
        self._is_open = True

    def _opened(self) -> ObjectStore:
        if self._store is None:
            try:
                self._store = self._connect()
            except (BaseError, OSError, ValueError) as error:
                raise self._failed("it cannot be reached") from error
        return self._store

    def _meaning(self, text: str) -> RowRejected | SourceUnreadable:
        found, named = _STATUS.search(text), _CODE.search(text)
        status, code = int(found[1]) if found else 0, named[1] if named else ""
        head = text.partition("\n\nDebug source")[0].lower()
        if header := _HEADER.search(head):
            return self._denies(
                f"its answer has no {(header[1] or header[2]).title().replace(' ', '-')} that is needed"
            )
        if "error following redirect" in head or status in (302, 303):
            return self._denies("redirected, and not to a file")
        if code in _OF_THE_ROOT or status in _PASSING or not 400 <= status < 500:
            words = f"{found[1]} {found[2] or ''}".strip() if found else _broken_line(head)
            return self._failed(f"{words} ({code})" if code else words)
        if code in _ARCHIVED:
            self._is_open = True
            return RowRejected(Code.IMAGE, "archived by its store; restore it first")
        if code in _TOO_LONG or status == 414:
            return RowRejected(Code.IMAGE, NO_PATH)
        if status in (404, 410):
            self._is_open = True
            return RowRejected(Code.IMAGE, MISSING)
        return self._denies("not allowed to be read" if status == 403 else "refused by its store")

    def _denies(self, why: str) -> RowRejected:
        self._denied = why
        return RowRejected(Code.IMAGE, why)

    def _failed(self, why: str) -> SourceUnreadable:
        return SourceUnreadable(f"the image root {self._name} cannot be read: {why}")


def _broken_line(head: str) -> str:
    return "no answer in time" if "timed out" in head or "timeout" in head else "the connection failed"
