import pytest

from relabel.data.prompts.columns import check_columns
from relabel.data.prompts.origin import own_of
from relabel.data.prompts.template import PromptTemplate
from relabel.errors import RowRejected, SpecError
from relabel.spec import Prompt

ROW = {"Product Name": "a red chair", "2nd": "wood", "id": 7, "gone": None}


def template(user, system=None):
    return PromptTemplate(Prompt(user=user, system=system))


@pytest.mark.parametrize(
    ("user", "columns", "text"),
    [
        ('{{ row["Product Name"] }}', {"Product Name"}, "a red chair"),
        ("{{ row['2nd'] | upper }} {{ id }}", {"2nd", "id"}, "WOOD 7"),
        ('{{ row.get("2nd", "none") }}', {"2nd"}, "wood"),
        ("{{ row.id }}", {"id"}, "7"),
        ('{% for row in row["2nd"] %}{{ row[0] }}.{% endfor %}', {"2nd"}, "w.o.o.d."),
        ("{% for row in id | string %}{{ row.title() }}{% endfor %}", {"id"}, "7"),
        ("{% macro f(row) %}{{ row[0] }}{% endmacro %}{{ f(row['2nd']) }}", {"2nd"}, "w"),
        ('{% if row["gone"] %}x{% else %}{{ row["gone"] | default("none") }}{% endif %}', {"gone"}, "none"),
    ],
)
def test_row_is_the_mapping_of_the_columns(user, columns, text):
    read = template(user)
    assert read.columns() == columns
    assert read.render({column: ROW[column] for column in columns}).user == text


def test_system_templates_have_it_too():
    read = template("{{ id }}", system='Of {{ row["Product Name"] }}.')
    assert read.columns() == {"id", "Product Name"}
    assert read.render(ROW).system == "Of a red chair."


def test_a_value_of_row_is_data_and_a_null_rejects_by_its_column():
    text = template('By {{ row["2nd"] }}').render(ROW).user
    assert own_of(text) == ((0, 3),)
    with pytest.raises(RowRejected, match="column 'gone' is null"):
        template('{{ row["gone"] }}').render(ROW)


@pytest.mark.parametrize(
    "user",
    [
        "{{ row }}",
        "{{ row[id] }}",
        "{{ row[0] }}",
        "{{ row.items() }}",
        "{{ row.get(id) }}",
        "{% for key in row %}{{ key }}{% endfor %}",
        "{{ 'id' in row }}",
        "{{ row | tojson }}",
        "{% set all = row %}{{ all.id }}",
    ],
)
def test_the_whole_row_is_refused_for_columns_are_read_by_name(user):
    columns = template(user).columns()
    with pytest.raises(SpecError, match=r'columns are read by name, as .* \{\{ row\["Product Name"\] \}\}'):
        check_columns(dict.fromkeys(columns, "prompt"), list(ROW))


@pytest.mark.parametrize("user", ["{{ row.title }}", '{{ row["title"] }}', "{{ row[key] }}", "{{ row.get('title') }}"])
def test_a_column_of_that_name_wins(user):
    columns = template(user).columns(has_row=True)
    row = {"row": {"title": "inside"}, "title": "outside", "key": "title"}
    assert columns - {"key"} == {"row"}
    assert template(user).render({column: row[column] for column in columns}).user == "inside"


@pytest.mark.parametrize(("asked", "name", "spelled"), [("Product_Name", "Product Name", '"Product Name"')])
def test_the_sentence_of_a_missing_column_has_the_spelling_that_reaches_it(asked, name, spelled):
    with pytest.raises(SpecError) as refused:
        check_columns({asked: "prompt"}, [name])
    assert f"in a template {{{{ row[{spelled}] }}}} reaches it" in str(refused.value)
    assert template(f"{{{{ row[{spelled}] }}}}").columns() == {name}
