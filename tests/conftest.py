import os
import uuid

import pytest


@pytest.fixture(scope="session")
def s3():
    """A moto S3 server with the bucket `relabel`; obstore, s3fs and pyarrow find it through the environment."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }
    with pytest.MonkeyPatch.context() as environment:
        for name, value in settings.items():
            environment.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket="relabel")
        yield settings["AWS_ENDPOINT_URL"]
    server.stop()


@pytest.fixture
def s3_url(s3):
    """The URL of an empty folder in the bucket."""
    return f"s3://relabel/{uuid.uuid4().hex}"
