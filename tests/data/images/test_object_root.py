"""What belongs to one key costs its row, what belongs to the root costs the unit; neither quotes the key."""

import json
from urllib.parse import quote

import pytest
from obstore.store import AzureStore, GCSStore, HTTPStore, S3Store

from relabel.data.images.object_root import ObjectRoot
from relabel.errors import RowRejected, SourceUnreadable
from tests.data.images.answers import HANG_UP, fault, server

KEYS = {
    "missing": (fault(404, "NoSuchKey"), "missing"),
    "gone": (fault(410), "missing"),
    "denied": (fault(403, "AccessDenied"), "not allowed to be read"),
    "archived": (fault(403, "InvalidObjectState"), "archived by its store; restore it first"),
    "too long": (fault(400, "KeyTooLongError"), "a path that no file can have"),
    "too long for a web server": (fault(414), "a path that no file can have"),
    "coming back from the archive": (fault(409, "BlobBeingRehydrated"), "archived by its store; restore it first"),
    "without its length": (
        (200, b"x", {"Content-Length": "", "Connection": "close"}),
        "its answer has no Content-Length that is needed",
    ),
    "of an unreadable day": (
        (200, b"x", {"Last-Modified": "yesterday"}),
        "its answer has no Last-Modified that is needed",
    ),
    "elsewhere": ((302, b"", {"Location": "elsewhere.png"}), "redirected, and not to a file"),
    "elsewhere in an unreadable way": ((302, b"", {"Location": "a b"}), "redirected, and not to a file"),
    "encrypted by a key that is off": (fault(400, "KMS.DisabledException"), "refused by its store"),
    "deleted, with its marker asked for": (fault(405, "MethodNotAllowed"), "refused by its store"),
}
ROOTS = {
    "no bucket": (fault(404, "NoSuchBucket"), "404 Not Found (NoSuchBucket)"),
    "no container": (fault(404, "ContainerNotFound"), "404 Not Found (ContainerNotFound)"),
    "a key of nobody": (fault(403, "InvalidAccessKeyId"), "403 Forbidden (InvalidAccessKeyId)"),
    "a wrong secret": (fault(403, "SignatureDoesNotMatch"), "403 Forbidden (SignatureDoesNotMatch)"),
    "an expired session": (fault(400, "ExpiredToken"), "400 Bad Request (ExpiredToken)"),
    "nobody": (fault(401), "401 Unauthorized"),
    "busy": (fault(503, "SlowDown"), "503 Service Unavailable (SlowDown)"),
    "too many": (fault(429), "429 Too Many Requests"),
    "broken": (fault(500, "InternalError"), "500 Internal Server Error (InternalError)"),
    "a proxy": ((502, b"<html>Bad Gateway</html>"), "502 Bad Gateway"),
    "hangs up": (HANG_UP, "the connection failed"),
}


def s3(url):
    config = {"endpoint": url, "region": "us-east-1", "access_key_id": "x", "secret_access_key": "x"}
    return S3Store("bucket", config=config, prefix="in", client_options=OPTIONS, retry_config=ONCE)


def google(url):
    account = {"gcs_base_url": url, "disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}
    config = {"service_account_key": json.dumps(account)}
    return GCSStore("bucket", prefix="in", config=config, client_options=OPTIONS, retry_config=ONCE)


def azure(url):
    config = {"endpoint": url, "account_name": "account", "account_key": "c2VjcmV0"}
    return AzureStore("bucket", config=config, prefix="in", client_options=OPTIONS, retry_config=ONCE)


def web(url):
    return HTTPStore(f"{url}/in", client_options=OPTIONS, retry_config=ONCE)


OPTIONS = {"allow_http": True, "timeout": "5s"}
ONCE = {"max_retries": 0}
STORES = {"s3": s3, "google": google, "azure": azure, "web": web}
pytestmark = pytest.mark.parametrize("store", STORES)


def root_at(store, url):
    return ObjectRoot(f"{store}://bucket/in", lambda: STORES[store](url))


def refused(root, key, kind=RowRejected):
    with pytest.raises(kind) as caught:
        root.read(key, 100)
    assert key not in str(caught.value)
    return str(caught.value)


def test_a_fault_of_one_key_costs_its_row(store):
    answers = {f"{name}.png": answer for name, (answer, _) in KEYS.items()}
    with server(answers | {"a.png": (200, b"bytes")}) as url:
        root = root_at(store, url)
        for name, (_, reason) in KEYS.items():
            assert refused(root, f"{name}.png") == f"image: {reason}"
        assert root.read("a.png", 100) == b"bytes"
        root.check()


def test_a_fault_of_the_root_costs_the_unit(store):
    answers = {f"{name}.png": answer for name, (answer, _) in ROOTS.items()}
    with server(answers) as url:
        root = root_at(store, url)
        for name, (_, why) in ROOTS.items():
            message = refused(root, f"{name}.png", SourceUnreadable)
            assert message == f"the image root {store}://bucket/in cannot be read: {why}"


def test_a_server_that_is_not_there(store):
    assert refused(root_at(store, "http://127.0.0.1:9"), "k.png", SourceUnreadable).endswith("the connection failed")


def test_a_root_that_denies_every_key_is_at_fault_itself(store):
    with server({"b.png": fault(403, "AccessDenied")}, listing=fault(403, "AccessDenied")) as url:
        root = root_at(store, url)
        assert refused(root, "b.png") == "image: not allowed to be read"
        with pytest.raises(
            SourceUnreadable,
            match="it gives none of the images that were asked for \\(not allowed to be read\\); check the credentials",
        ):
            root.check()


@pytest.mark.parametrize("answer", [(200, b"x"), fault(404, "NoSuchKey"), fault(403, "InvalidObjectState")])
def test_a_root_that_once_answered_denies_single_keys(store, answer):
    """As one whose policy lets get and not list: it denies a missing key, too."""
    with server({"a.png": answer, "b.png": fault(403)}, listing=fault(403, "AccessDenied")) as url:
        root = root_at(store, url)
        assert refused(root, "b.png") == "image: not allowed to be read"
        if answer[0] == 200:
            root.read("a.png", 100)
        else:
            refused(root, "a.png")
        root.check()


def test_keys_are_taken_as_they_are_written(store):
    names = ["a b.png", "a%20b.png", "a?b.png", "a#b.png", "ä.png", "a\\b.png", "k" * 1000]
    with server({name: (200, name.encode()) for name in names}) as url:
        root = root_at(store, url)
        assert [root.read(name, 10**4).decode() for name in names] == names


def test_what_can_be_no_key_is_never_asked_for(store):
    with server({"a.png": (200, b"x")}) as url:
        root = root_at(store, url)
        for key in ("a.png", "./a.png", "x/../a.png", "x/./../a.png", f"{store}://bucket/in/a.png"):
            assert root.read(key, 100) == b"x"
        for key in (
            "x//b.png",
            "b.png/",
            "..",
            "../b.png",
            "x/../../b.png",
            "/b.png",
            "..\\b.png",
            "b\0.png",
            "\ud800",
        ):
            assert refused(root, key).startswith("image: a path ")
        for key in (".", "x/.."):
            assert refused(root, key) == "image: missing"
        for key in (f"{store}://other/in/a.png", f"{store}://bucket/out/a.png", "//bucket/in/a.png"):
            assert refused(root, key) == "image: a URL, which is never fetched"


def test_an_object_over_the_limit_of_bytes_and_an_empty_one(store):
    with server({"large.png": (200, b"x" * 101), "empty.png": (200, b"")}) as url:
        root = root_at(store, url)
        assert refused(root, "large.png") == "image: 101 bytes is over the limit of 100"
        assert root.read("empty.png", 100) == b""


def test_credentials_in_a_url_are_not_shown(store):
    with server({"a.png": fault(500)}) as url:
        root = ObjectRoot("https://me:secret@host/in", lambda: STORES[store](url))
        assert "secret" not in refused(root, "a.png", SourceUnreadable)


@pytest.mark.parametrize("key", ["a b.png", "ünï.png", "a+b.png", "100%.png"])
def test_a_url_under_a_root_of_the_web_is_spelled_as_urls_are(store, key):
    with server({key: (200, b"x")}) as url:
        root = root_at(store, url)
        reference = f"{store}://bucket/in/sub/{key}"
        if store == "web":
            root = ObjectRoot(f"{url}/in", lambda: web(url))
            reference = f"{url}/in/sub/{quote(key)}"
            for other in (f"{reference}?size=1", f"{reference}#top"):
                assert refused(root, other) == "image: a URL with a query, which is not asked for"
        assert root.read(reference, 100) == b"x"
