import pytest

from relabel.data.storage import clouds

VARIABLES = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """No settings but those that a test makes, so that what AWS itself would say is not asked for a bucket of ours."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    return monkeypatch


@pytest.mark.parametrize(("variable", "region"), [("AWS_REGION", "eu-west-3"), (None, "us-east-1")])
def test_whoever_writes_and_whoever_reads_ask_the_same_server_in_the_same_region(environment, variable, region):
    environment.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    if variable:
        environment.setenv(variable, region)
    writing, reading = clouds.writable("s3://bucket/folder"), clouds.readable("s3", "bucket")
    assert (writing.config["endpoint"], writing.config["region"]) == ("http://127.0.0.1:9", region)
    assert reading.region == region
    assert writing.client_options["allow_http"] == "true"


def test_an_endpoint_of_s3_alone_goes_before_that_of_all_of_aws(environment):
    environment.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    environment.setenv("AWS_ENDPOINT_URL_S3", "https://127.0.0.1:8")
    store = clouds.writable("s3://bucket/folder")
    assert store.config["endpoint"] == "https://127.0.0.1:8"
    assert store.client_options["allow_http"] == "false"


def test_a_bucket_that_aws_does_not_know_is_where_the_environment_says(environment):
    environment.setenv("AWS_DEFAULT_REGION", "eu-west-3")
    assert clouds.writable("s3://no.such.bucket.of.anyones/x").config["region"] == "eu-west-3"
    assert clouds.readable("s3", "no.such.bucket.of.anyones").region == "eu-west-3"


def test_a_bucket_whose_region_nobody_knows_is_not_reached():
    for reach in (lambda: clouds.writable("s3://no.such.bucket.of.anyones/x"), lambda: clouds.readable("s3", "n_o")):
        with pytest.raises(OSError):
            reach()


@pytest.mark.parametrize("scheme", ["gs", "gcs"])
def test_buckets_of_google_are_read_by_either_name(scheme):
    assert clouds.readable(scheme, "bucket").type_name == "gcs"
