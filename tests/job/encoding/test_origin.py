"""What the model reads is what the template computed: special tokens of data are text, whatever a template does."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from relabel.errors import RowRejected
from relabel.job.encoding.encode import Encoder
from relabel.job.encoding.prompts import TemplatePrompt
from relabel.job.encoding.row import RowEncoder
from relabel.job.encoding.tokenize import PromptTokenizer
from relabel.spec import Model, Prompt, make_spec
from tests.encoding import encode
from tests.job.encoding.templates import BLOCK, ROW, TEXT
from tests.tiny import make_tokenizer, save_model

TOKENIZER = make_tokenizer()
TURN, END, EOS = (TOKENIZER.convert_tokens_to_ids(token) for token in ("<|turn|>", "<|end|>", "</s>"))
SPECIAL = set(TOKENIZER.all_special_ids)


def encoder_of(model, /, **prompt):
    fields = {"source": {"path": "x", "format": "parquet"}, "output": {"path": "out"}, "prompt": prompt}
    return RowEncoder(make_spec({**fields, "model": {"path": str(model), "max_prompt_tokens": 100_000}}), None)


_kept = {}


def read(model, template, row):
    """What a model reads of a row, as it is rendered; the tokenizer is kept, because loading it takes longest."""
    if model not in _kept:
        _kept[model] = PromptTokenizer(Model(path=str(model)), Prompt(user="x", chat="never"))
    source = TemplatePrompt(Prompt(user=template, chat="never"))
    return Encoder(source, _kept[model], "", 100_000, None).encode(row, lambda values: [], {})


def specials(encoded):
    return [id for id in encoded.prompt_ids if id in SPECIAL]


ALT = "</s>\nWhat is it?"
TAGS = ["Café & <b>", "l'été", "</s>"]
COMPUTED = [
    ("{{ q | replace('</s>', '') | trim }}", "What is it?"),
    ("{{ q.split('>')[-1] }}", "\nWhat is it?"),
    ("{% if '</s>' in q %}yes{% else %}no{% endif %}", "yes"),
    ("{{ q | length }}", str(len(ALT))),
    ("{{ q[:4] }}{{ q[0] }}", "</s><"),
    ("{{ 'begins' if q.startswith('</s>') }}", "begins"),
    ("{{ q | upper }}", ALT.upper()),
    ("{{ tags | tojson }}", json.dumps(TAGS, ensure_ascii=False)),
    ("{{ {'a': tags[2:]} | tojson(indent=1) }}", '{\n "a": [\n  "</s>"\n ]\n}'),
    ("{{ meta.inner.q }}{{ meta['inner'].tags | first }}", "</s>"),
    ("{{ q | indent(2) }}", ALT.replace("\n", "\n  ")),
    ("{% for word in q.split() %}{{ loop.index }}{{ word }}{% endfor %}", "1</s>2What3is4it?"),
    ("{{ '<{a[inner][q]}'.format_map({'a': meta}) }}", "<</"),
    ("{% filter trim %} {{ q }} {% endfilter %}", ALT),
    ("{% macro m(x) %}[{{ x }}]{% endmacro %}{{ m(q) }}", f"[{ALT}]"),
]


@pytest.mark.parametrize(("template", "text"), COMPUTED)
def test_filters_and_tests_see_the_value_itself(model, template, text):
    row = {"q": ALT, "tags": TAGS, "meta": {"inner": {"q": "</", "tags": ["s>", "x"]}}}
    encoded = read(model, template, row)
    assert encoded.text == TOKENIZER.decode(encoded.prompt_ids) == text
    assert specials(encoded) == []


OWN = [
    ("<|turn|>{{ q }}<|end|>", [TURN, END]),
    ("{{ '<|turn|>' + q ~ '<|end|>' }}", [TURN, END]),
    ("{{ ('<|turn|>' + q) | trim }}", [TURN]),
    ("{% set x %}<|turn|>{{ q }}{% endset %}{{ x.strip() }}", [TURN]),
    ("{{ ['<|turn|>', q, '<|end|>'] | join('') }}", [TURN, END]),
    ("{{ '%s<|end|>' | format(q) }}", [END]),
    ("{{ '<|turn|>{}<|end|>'.format(q) }}", [TURN, END]),
    ("{{ '<|turn|>{1}{x}{0.b}<|end|>'.format({'b': q}, q, x=q) }}", [TURN, END]),
    ("{{ '{{}}<|turn|>{}{}'.format('<|end|>', q) }}", [TURN, END]),
    ("{{ {'a': '<|turn|>'}[key] }}{{ q }}", [TURN]),
    ("{{ [['<|turn|>'], 1.5, (), ('x',)][0][0] }}{{ q }}", [TURN]),
    ("{{ q | replace('circle', '<|end|>') }}", [END]),
    ("{{ '<|' ~ 'turn' ~ '|>' }}", [TURN]),
]


@pytest.mark.parametrize(("template", "ids"), OWN)
def test_a_token_that_the_template_spells_out_is_one_whatever_it_does_with_it(model, template, ids):
    for q in ("circle", "circle <|end|></s>"):
        assert specials(read(model, template, {"q": q, "key": "a"})) == ids


@pytest.mark.parametrize(
    "template",
    [
        "<|{{ q }}|>",
        "{{ '<|' ~ q ~ '|>' }}",
        "{{ '<|%s|>' | format(q) }}",
        "{{ '<|{}|>'.format(q) }}",
        "{{ '{:s}'.format('<|' ~ q ~ '|>') }}",
        "{{ ('<|{}|' ~ '>').format(q) }}",
    ],
)
def test_a_token_that_the_template_and_data_make_together_is_text(model, template):
    encoded = read(model, template, {"q": "end"})
    assert specials(encoded) == []
    assert TOKENIZER.decode(encoded.prompt_ids) == "<|end|>"


def test_a_null_is_decided_on_by_the_template(model):
    row = {"alt": None, "meta": {"title": None}}
    for template, text in [
        ("{% if alt %}{{ alt }}{% else %}nothing{% endif %}", "nothing"),
        ("{{ alt | default('nothing') }}{{ meta.title | d('at all') }}", "nothingat all"),
        ("{{ alt or 'nothing' }}", "nothing"),
        ("{% if alt is none and alt == none and alt is defined %}nothing{% endif %}", "nothing"),
        ("{{ [alt, 'x'] | select | join(' ') }}", "x"),
        ("{{ meta | tojson }}", '{"title": null}'),
    ]:
        assert read(model, template, row).text == text


@pytest.mark.parametrize("template", ["{{ alt }}", "{{ alt | trim }}", "{{ 'a' ~ alt }}", "{{ [alt] | join }}"])
def test_a_null_that_is_written_rejects_the_row_by_its_column(model, template):
    with pytest.raises(RowRejected, match="prompt: column 'alt' is null"):
        read(model, template, {"alt": None})


def test_a_null_inside_a_column_that_is_written_rejects_the_row(model):
    with pytest.raises(RowRejected, match="prompt: the template writes a null inside column 'meta'"):
        read(model, "{{ meta.title }}", {"meta": {"title": None}})


def reference(template, row):
    """What Jinja itself writes, which knows nothing of origins."""
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment.from_string(template).render(row)


def outcome(call):
    try:
        return call()
    except Exception:  # noqa: BLE001  what Jinja raises here, any filter may
        return None


@settings(max_examples=150, deadline=None)
@given(BLOCK, ROW)
def test_the_model_reads_what_jinja_writes_and_no_special_token_of_data(model, template, row):
    expected = outcome(lambda: reference(template, row))
    encoded = outcome(lambda: read(model, template, row))
    if expected is None or encoded is None:
        assert expected is encoded
        return
    assert encoded.text == expected
    assert set(specials(encoded)) <= {TURN}
    assert TOKENIZER.decode(encoded.prompt_ids) == expected


MESSAGE = st.builds(lambda role, text: {"role": role, "content": text}, st.sampled_from(["system", "user"]), TEXT)
IN_A_CHAT = st.sampled_from(
    [
        "m.content",
        "m['content'] | trim",
        "m.content.split('>')[-1]",
        "m.content.split('</s>')[0] + 'x'",
        "m.role",
        "'<|' + m.role + '|>'",
        "m | tojson",
        "m.content | replace('<', '<|') | upper",
        "m.content.lstrip('<')",
        "'yes' if '</s>' in m.content else m.content",
        "bos_token + m.content",
        "loop.index",
        "m.content[::-1]",
    ]
)
WRITTEN = IN_A_CHAT.map("{{{{ {} }}}}".format) | st.sampled_from(["<|turn|>", "<|", "d|>", "\n"])


@settings(max_examples=40, deadline=None)
@given(st.lists(WRITTEN, min_size=1, max_size=4).map("".join), st.lists(MESSAGE, min_size=1, max_size=3))
def test_what_a_chat_template_writes_of_a_message_is_data(chats, written, messages):
    template = f"{{% for m in messages %}}{written}{{% endfor %}}"
    expected = outcome(lambda: make_tokenizer(template).apply_chat_template(messages, tokenize=False))
    encoded = chats(template, messages)
    assert encoded.text == expected
    assert set(specials(encoded)) <= {TOKENIZER.bos_token_id, TURN}
    assert specials(encoded).count(TOKENIZER.bos_token_id) == written.count("bos_token") * len(messages)
    assert TOKENIZER.decode(encoded.prompt_ids) == expected


@pytest.fixture(scope="module")
def chats(tmp_path_factory):
    """Encodes messages by a chat template; models are kept, because a folder takes longer than all else."""
    folder = save_model(tmp_path_factory.mktemp("chats"))

    def read_chat(template, messages):
        (folder / "chat_template.jinja").write_text(template)
        return encode(encoder_of(folder, messages="chat"), {"chat": messages})

    return read_chat
