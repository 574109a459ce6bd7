"""Roots as a spec names them, the whole way to a store: an S3 server of ours."""

import boto3
import pytest

from relabel.errors import SourceUnreadable
from tests.data.images.decoding import RED, decode, encode, why


def test_images_in_a_bucket(s3_url):
    bucket, _, prefix = s3_url.removeprefix("s3://").partition("/")
    for key in ("sub/r.png", "a b%20ä.png"):
        boto3.client("s3").put_object(Bucket=bucket, Key=f"{prefix}/{key}", Body=encode(RED))
    for path in ("sub/r.png", "./sub/r.png", "sub/../sub/r.png", f"{s3_url}/sub/r.png", "a b%20ä.png"):
        assert decode(path, root=s3_url) == RED
        assert decode({"bytes": None, "path": path}, root=f"{s3_url}/") == RED
    assert why("lost.png", root=s3_url) == "image: missing"
    assert why("sub", root=s3_url) == "image: missing"
    assert why("sub//r.png", root=s3_url).startswith("image: a path with an empty component")
    assert why("k" * 2000, root=s3_url).startswith("image: ")
    assert why("sub/r.png", root=s3_url, max_bytes=5).endswith("over the limit of 5")


def test_a_bucket_that_is_not_there(s3):
    with pytest.raises(SourceUnreadable, match=r"the image root s3://none/in cannot be read: 404 Not Found \(NoSuchBu"):
        decode("secret.png", root="s3://none/in")
