"""Chat templates that are hostile or fail: refused before any row, or they cost the rows that they fail on."""

import pytest

from relabel.errors import RowRejected
from tests.encoding import encode
from tests.faults.model_folder import encoder_of, refused
from tests.tiny import CHAT_TEMPLATE

pytestmark = pytest.mark.fault


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ raise_exception.__globals__.x }}",
        "{{ messages.append(1) }}",
        "{{ raise_exception('no') }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}{{ os.system('false') }}",
        "{% for %}",
        "{{ 1 / 0 }}",
        "{{ messages.x.y }}",
        "{{ messages[7].role }}",
        "{% for a in range(10**9) %}x{% endfor %}",
        "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{{ 'x' * 10**15 }}",
        "{{ 'x' * 5000000 }}",
    ],
)
def test_a_hostile_chat_template_is_refused_before_any_row(folder, template):
    (folder / "chat_template.jinja").write_text(template)
    assert f"{folder} cannot take such a prompt" in refused(lambda: encoder_of(folder))


@pytest.mark.parametrize(
    "template",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% set n = 9 %}{{ (n ** (n ** n)) % 7 }}",
    ],
)
def test_a_chat_template_without_an_end_is_ended(folder, template):
    (folder / "chat_template.jinja").write_text(template)
    assert "does not come to an end within 0.5 seconds" in refused(lambda: encoder_of(folder, probe_seconds=0.5))


@pytest.mark.parametrize(
    "trap",
    [
        "{{ raise_exception(messages[0].content) }}",
        "{{ 1 / 0 }}",
        "{{ messages[0].content.__class__.__mro__ }}",
        "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{% for a in range(10**9) %}x{% endfor %}",
    ],
)
def test_a_chat_template_that_fails_on_some_rows_costs_those_and_quotes_none(folder, trap):
    template = f"{{% if 'secret' in messages[0].content %}}{trap}{{% endif %}}{CHAT_TEMPLATE}"
    (folder / "chat_template.jinja").write_text(template)
    encoder = encoder_of(folder)
    assert encode(encoder, {"alt": "a circle"}).prompt_ids
    with pytest.raises(RowRejected) as rejected:
        encode(encoder, {"alt": "a secret"})
    assert str(rejected.value) == "prompt: the model's chat template does not take such messages"
    assert encoder.prompt_texts({"alt": "a secret"}) == [None]


def test_a_chat_template_that_multiplies_a_row_makes_it_too_long(folder):
    (folder / "chat_template.jinja").write_text(
        "{% if messages[0].content|length > 9 %}{{ messages[0].content * 100000 }}{% endif %}x"
    )
    with pytest.raises(RowRejected, match="prompt_too_long: 6000001 characters"):
        encode(encoder_of(folder), {"alt": "x" * 60})
