import pytest

from relabel.data.images.root import open_root
from relabel.storage import clouds
from tests.data.images.answers import server

VARIABLES = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE")


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


PROFILES = """
[default]
aws_access_key_id = mine
aws_secret_access_key = secret
[work]
aws_access_key_id = ours
aws_secret_access_key = secret%
aws_session_token = session
[sso]
sso_session = elsewhere
"""


@pytest.mark.parametrize(
    ("profile", "keys"),
    [(None, ("mine", "secret", None)), ("work", ("ours", "secret%", "session")), ("sso", None), ("none", None)],
)
def test_keys_of_a_profile_are_found_where_no_others_are_set(environment, tmp_path, profile, keys):
    (tmp_path / "credentials").write_text(PROFILES)
    environment.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    environment.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    if profile:
        environment.setenv("AWS_PROFILE", profile)
    assert clouds.writable("s3://bucket/x").config.get("access_key_id") != "mine", "the environment goes first"
    environment.delenv("AWS_ACCESS_KEY_ID")
    environment.delenv("AWS_SECRET_ACCESS_KEY")
    config = clouds.writable("s3://bucket/x").config
    found = tuple(config.get(name) for name in ("access_key_id", "secret_access_key", "session_token"))
    assert found == (keys or (None, None, None))


@pytest.mark.parametrize("content", [b"no profile", b"\xff\xfe"])
def test_a_file_of_profiles_that_is_damaged_is_none(environment, tmp_path, content):
    (tmp_path / "credentials").write_bytes(content)
    environment.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    environment.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    environment.delenv("AWS_ACCESS_KEY_ID")
    environment.delenv("AWS_SECRET_ACCESS_KEY")
    assert "access_key_id" not in clouds.writable("s3://bucket/x").config


def test_objects_are_read_from_stores_and_web_servers(environment):
    environment.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert clouds.objects("s3://bucket/x").prefix == "x"
    assert type(clouds.objects("gcs://bucket/x")) is type(clouds.objects("gs://bucket/x"))
    assert clouds.objects("https://example.com/images").url == "https://example.com/images"


@pytest.fixture
def azure(environment):
    for name in ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT", "AZURE_STORAGE_ACCOUNT_NAME"):
        environment.delenv(name, raising=False)
    environment.setenv("AZURE_STORAGE_ACCOUNT_KEY", "c2VjcmV0")
    return environment


@pytest.mark.parametrize("scheme", ["az", "azure", "abfs", "abfss", "wasbs"])
def test_a_container_of_azure_is_named_by_the_environment_or_by_the_url(azure, scheme):
    by_url = clouds.objects(f"{scheme}://photos@mine.dfs.core.windows.net/in")
    assert (by_url.config["container_name"], by_url.config["account_name"]) == ("photos", "mine")
    assert by_url.config["endpoint"] == "https://mine.blob.core.windows.net"
    assert by_url.prefix == "in"
    azure.setenv("AZURE_STORAGE_ACCOUNT_NAME", "theirs")
    assert clouds.objects(f"{scheme}://photos/in").config["container_name"] == "photos"


def test_a_server_that_stands_in_for_azure_is_asked_for_containers(azure):
    with server({"a.png": (200, b"bytes")}) as url:
        azure.setenv("AZURE_STORAGE_ENDPOINT", url)
        azure.setenv("AZURE_STORAGE_ACCOUNT_NAME", "theirs")
        for root in ("az://photos/in", "abfss://photos@mine.dfs.core.windows.net/in"):
            assert open_root(root).read("x/a.png", 100) == b"bytes"
            assert open_root(root).read(f"{root}/a.png", 100) == b"bytes"


def test_other_names_of_a_store_are_the_same_store():
    names = ("s3a://b/x", "s3n://b/x", "gcs://b/x", "abfss://b/x", "https://b/x", "b/x")
    assert [clouds.canonical(name) for name in names] == [
        *("s3://b/x", "s3://b/x", "gs://b/x", "az://b/x", "https://b/x", "b/x")
    ]
