"""A grammar of templates, and rows that they may read: many write tokens by themselves, or with data."""

from hypothesis import strategies as st

# A grammar of templates. Their own literals make one token, `<|turn|>`; with data, or data alone, any other.
LITERAL = st.sampled_from(["'<|turn|>'", "'<|'", "'|>'", "'nd'", "' '", "'x'", "'<'", "'>'"])
FORMATS = ["'<|turn|>{}'", "'<{}{}'", "'{1}|>{0}'", "'<|{}|>'", "'{:>9}'", "'{!r}'", "'{{{}}}nd|>'"]
CUT = st.sampled_from(["[1:]", "[:3]", "[::2]", "[0]", "[-1]", ".split('|')[0]", ".strip('<')", ".split()[0]"])
FILTERS = """trim|upper|lower|title|capitalize|replace('x', '<')|replace('-', '')|replace('<', '')|length|first|last
reverse|default('x')|tojson|string|indent|wordwrap(5)|join|join('<')|list|truncate(4)|center(9)|e|urlencode|striptags"""
FILTER = st.sampled_from([name for line in FILTERS.split("\n") for name in line.split("|")])
EXPRESSION = st.recursive(
    LITERAL | st.sampled_from(["q", "r", "tags", "meta.inner", "meta['tags'][0]", "tags[0]"]),
    lambda inner: st.one_of(
        st.builds("({} | {})".format, inner, FILTER),
        st.builds("({}){}".format, inner, CUT),
        st.builds("({} {} {})".format, inner, st.sampled_from(["~", "+"]), inner),
        st.builds("({} if {} in q else {})".format, inner, LITERAL, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("({} * 2)".format, inner),
        st.builds("{}.format({}, {})".format, LITERAL | st.sampled_from(FORMATS), inner, inner),
    ),
    max_leaves=5,
)
BLOCK = st.recursive(
    st.sampled_from(["<|turn|>", "<|", "nd|>", "\n ", "<"]) | EXPRESSION.map("{{{{ {} }}}}".format),
    lambda inner: st.one_of(
        st.builds("{{% if {} %}}{}{{% else %}}{}{{% endif %}}".format, EXPRESSION, inner, inner),
        st.builds("{{% for q in {} %}}{}{{% endfor %}}".format, EXPRESSION, inner),
        st.builds("{{% set r = {} %}}{}".format, EXPRESSION, inner),
        st.builds("{{% set r %}}{}{{% endset %}}{}".format, inner, inner),
        st.builds("{{% macro m(q) %}}{}{{% endmacro %}}{{{{ m({}) }}}}".format, inner, EXPRESSION),
        st.builds("{{% filter {} %}}{}{{% endfilter %}}".format, FILTER, inner),
        st.builds("{}{}".format, inner, inner),
    ),
    max_leaves=5,
)
TEXT = st.lists(
    st.sampled_from(
        ["<|end|>", "</s>", "<s>", "<pad>", "<|e-nd|>", "<|END|>", "<", "|", ">", "/s>", "end", "x", " ", "\n", "é"]
    ),
    max_size=5,
).map("".join)
ROW = st.fixed_dictionaries(
    {
        "q": TEXT,
        "r": TEXT | st.integers(-9, 9) | st.booleans(),
        "m": st.just("no macro"),  # one that is defined in a branch may be a column in the other
        "tags": st.lists(TEXT, max_size=3),
        "meta": st.fixed_dictionaries({"inner": TEXT, "tags": st.lists(TEXT, min_size=1, max_size=2)}),
    }
)
