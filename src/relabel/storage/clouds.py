"""How object stores are reached, by whoever writes to them and whoever reads from them: endpoint, region, patience.

Credentials are found by obstore and pyarrow themselves, each in the environment and the files of the cloud's own
tools. Knows buckets and no names in them.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

import configparser
import functools
import os
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pyarrow.fs as pafs
from obstore.store import AzureStore, GCSStore, HTTPStore, S3Store

if TYPE_CHECKING:
    from obstore.store import AzureConfig, ClientConfig, RetryConfig, S3Config

# A store that is busy (503 SlowDown) or is restarted comes back within seconds, and one that is gone should end the
# run. With obstore's own base of 2 most requests are given up after 2 to 7 s: the next wait is drawn between
# `init_backoff` and `base` times the last one, and so hardly grows (docs.rs/object_store, BackoffConfig). With these
# figures 10 more tries are spread over some 12 to 25 s. `retry_timeout` is obstore's own: longer than `timeout`, so
# that a read that hangs that long is tried once more.
_RETRIES: RetryConfig = {
    "max_retries": 10,
    "backoff": {"init_backoff": timedelta(seconds=0.1), "base": 10, "max_backoff": timedelta(seconds=3)},
    "retry_timeout": timedelta(minutes=3),
}
# obstore gives up a request after 30 s, too short for a part with kept images on a slow line.
_CLIENT: ClientConfig = {"timeout": "120s"}

_SAME = {"gcs": "gs", "s3a": "s3", "s3n": "s3", **dict.fromkeys(("azure", "abfs", "abfss", "wasb", "wasbs"), "az")}
"""Other names for the same store: of Hadoop, and of fsspec."""
SCHEMES = frozenset(("s3", "gs", "az", "http", "https", *_SAME))
"""Of the URLs that `objects` takes."""

_OTHER_KEYS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)

_READ_TRIES = 5
"""Of one request for a source file: pyarrow's own 3 are over within a second (measured), these take 4 to 12 s."""
_SILENT_SECONDS = 20.0
"""Without a byte, after which a request for a source file is tried again."""


def writable(url: str) -> S3Store | GCSStore | AzureStore:
    """The folder behind an s3://, gs:// or az:// URL. Raises ValueError for any other, OSError without a region."""
    # Not obstore's from_url: it takes `#` and `?` in a folder's name for the end of the path.
    scheme, _, path = url.partition("://")
    bucket, _, prefix = path.partition("/")
    if scheme not in ("s3", "gs", "az") or not bucket:
        raise ValueError(
            "an output is a local folder, or s3://BUCKET/FOLDER, gs://BUCKET/FOLDER or az://CONTAINER/FOLDER"
        )
    if scheme == "gs":
        return GCSStore(bucket, prefix=prefix or None, client_options=_CLIENT, retry_config=_RETRIES)
    if scheme == "az":
        return _azure(bucket, prefix)
    config: S3Config = {"region": _s3_region(bucket), **_s3_profile()}
    if endpoint := _s3_endpoint():
        config["endpoint"] = endpoint
    client: ClientConfig = {**_CLIENT, "allow_http": urlsplit(endpoint or "").scheme == "http"}
    return S3Store(bucket, config=config, prefix=prefix or None, client_options=client, retry_config=_RETRIES)


def objects(url: str) -> S3Store | GCSStore | AzureStore | HTTPStore:
    """The folder behind a URL of SCHEMES, to read single objects from. Raises ValueError or OSError as `writable`."""
    scheme = url.partition("://")[0]
    if scheme in ("http", "https"):
        client: ClientConfig = {**_CLIENT, "allow_http": scheme == "http"}
        return HTTPStore(url, client_options=client, retry_config=_RETRIES)
    return writable(canonical(url))


def canonical(url: str) -> str:
    """The same URL by the first of its names."""
    scheme, mark, rest = url.partition("://")
    return f"{_SAME[scheme]}{mark}{rest}" if mark and scheme in _SAME else url


def readable(scheme: str, bucket: str) -> pafs.FileSystem:
    """The filesystem in which a bucket of s3:// or gs:// is a folder. Raises OSError without a region."""
    if scheme != "s3":
        return pafs.FileSystem.from_uri(f"{scheme}://{bucket}")[0]
    return pafs.S3FileSystem(
        endpoint_override=_s3_endpoint(),  # pyarrow 26 does not read the variables itself
        region=_s3_region(bucket),
        retry_strategy=pafs.AwsStandardS3RetryStrategy(max_attempts=_READ_TRIES),
        request_timeout=_SILENT_SECONDS,
    )


def _azure(place: str, prefix: str) -> AzureStore:
    """A folder of `CONTAINER`, whose account the environment names, or of `CONTAINER@ACCOUNT.dfs.core.windows.net`."""
    container, _, host = place.partition("@")
    endpoint = os.environ.get("AZURE_STORAGE_ENDPOINT") or os.environ.get("AZURE_ENDPOINT")
    config: AzureConfig = {}
    if host:
        config["account_name"] = host.partition(".")[0]
        config["endpoint"] = endpoint or f"https://{host.replace('.dfs.', '.blob.', 1)}"
    client: ClientConfig = {**_CLIENT, "allow_http": urlsplit(endpoint or "").scheme == "http"}
    return AzureStore(container, config=config, prefix=prefix or None, client_options=client, retry_config=_RETRIES)


def _s3_endpoint() -> str | None:
    """The server that stands in for AWS, if any."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


def _s3_profile() -> S3Config:
    """The keys in AWS's file of profiles, where no others are set: pyarrow reads it by itself, obstore does not."""
    if any(os.environ.get(name) for name in _OTHER_KEYS):
        return {}
    path = os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or os.path.expanduser("~/.aws/credentials")
    profiles = configparser.RawConfigParser(strict=False)
    try:
        profiles.read(path, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError):
        return {}
    name = os.environ.get("AWS_PROFILE") or "default"
    keys = dict(profiles[name]) if profiles.has_section(name) else {}
    config: S3Config = {}
    if "aws_access_key_id" in keys and "aws_secret_access_key" in keys:
        config["access_key_id"] = keys["aws_access_key_id"]
        config["secret_access_key"] = keys["aws_secret_access_key"]
        if "aws_session_token" in keys:
            config["session_token"] = keys["aws_session_token"]
    return config


def _s3_region(bucket: str) -> str:
    """Where the bucket is: as the environment says, else as AWS tells anybody who asks."""
    named = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if named or _s3_endpoint():
        return named or "us-east-1"
    return _asked_region(bucket)


@functools.lru_cache(maxsize=64)
def _asked_region(bucket: str) -> str:
    """Asked once in a process: where there is no network it takes 6 s to fail."""
    return pafs.resolve_s3_region(bucket)
