"""Values that go into an engine and come out of it."""

from relabel.engine.api.request import cut_at_stop


def test_a_text_ends_before_the_first_stop_string():
    assert cut_at_stop("one two three", ["three", " two"]) == "one"
    assert cut_at_stop("one", ["x"]) == "one"
    assert cut_at_stop("one", []) == "one"
