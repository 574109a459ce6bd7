"""What a person is told where Ray cannot be reached."""

import socket

from ray.exceptions import AuthenticationError

from relabel.job.cluster.connect import _asks_for_a_token


def test_where_somebody_answers_and_ray_does_not_connect_it_may_be_for_want_of_a_token():
    """Ray 2.60 says `Failed to connect` to both."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        error = ConnectionError(f"Failed to connect to Ray cluster at 127.0.0.1:{server.getsockname()[1]}")
        assert _asks_for_a_token(error)
    assert not _asks_for_a_token(error), "nobody is there any more"
    assert not _asks_for_a_token(ConnectionError("Could not find any running Ray instance."))


def test_no_token_at_hand_is_told_as_such():
    assert _asks_for_a_token(AuthenticationError("Token authentication is enabled but no token was found"))
