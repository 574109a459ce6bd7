import pytest

from relabel.spec.schemas.json_schema import compiled, is_recursive, load_schema, properties_of, resolved

NODE = {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/node"}}}}


def test_a_reference_is_replaced_and_what_stands_beside_it_stays():
    schema = {"$defs": {"size": {"type": "integer", "title": "Size"}}}
    assert resolved(schema, {"$ref": "#/$defs/size", "title": "Width"}) == {"type": "integer", "title": "Width"}


def test_an_all_of_one_is_that_one():
    schema = {"$defs": {"size": {"type": "integer"}}}
    assert resolved(schema, {"allOf": [{"$ref": "#/$defs/size"}], "default": 1}) == {"type": "integer", "default": 1}


def test_an_object_that_extends_another_has_the_properties_of_both():
    schema = {
        "$defs": {"thing": {"type": "object", "properties": {"name": {"type": "string"}}}},
        "allOf": [{"$ref": "#/$defs/thing"}],
        "properties": {"size": {"type": "integer"}},
    }
    assert list(properties_of(load_schema(schema))) == ["name", "size"]


def test_a_place_is_found_by_its_escaped_name():
    schema = load_schema({"$defs": {"a b/c~d": {"type": "integer"}}, "$ref": "#/$defs/a%20b~1c~0d"})
    assert resolved(schema, schema)["type"] == "integer"


def test_what_holds_itself_is_recursive_and_what_holds_that_is_not():
    schema = load_schema({"$defs": {"node": NODE}, "properties": {"tree": {"$ref": "#/$defs/node"}}})
    assert is_recursive(schema, {"$ref": "#/$defs/node"})
    assert is_recursive(schema, {"allOf": [{"$ref": "#/$defs/node"}]})
    assert not is_recursive(schema, {"type": "array", "items": {"$ref": "#/$defs/node"}})
    assert not is_recursive(schema, schema)
    assert not is_recursive(schema, True)


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"$ref": "https://example.com/schema"}, "copy that into its own"),
        ({"$ref": "#/$defs/size"}, "does not have"),
        ({"$ref": "#size", "$defs": {"size": {"$anchor": "size"}}}, "the anchor '#size'"),
        ({"$dynamicRef": "#size"}, "the anchor '#size'"),
        ({"$ref": "#"}, "nothing but itself"),
        ({"properties": {"a": {"$ref": "#/properties/a"}}}, "nothing but itself"),
        ({"properties": {"a": {"$id": "other", "$ref": "#/$defs/b", "$defs": {"b": {}}}}}, r"has \$id inside"),
        ({"$defs": {"a": {"$schema": "http://json-schema.org/draft-07/schema#"}}}, r"has \$schema inside"),
        ({"properties": {"\ud800": {}}}, "a value that JSON does not have"),
        ({"type": "text"}, r"not valid at \$\.type"),
        ({"pattern": "("}, r"not valid at \$\.pattern"),
        ({"pattern": r"a\Z"}, r"not valid at \$\.pattern"),  # Python's re would take it
        ({"patternProperties": {"a)": {}}}, r"not valid at"),
        ({"items": {"prefixItems": [{"type": "text"}]}}, r"not valid at \$\.items\.prefixItems\[0\]\.type"),
        ({"$schema": "https://example.com/schema"}, "https://example.com/schema"),
        ({"default": float("nan")}, "a value that JSON does not have"),
    ],
)
def test_a_schema_that_would_fail_on_rows_is_refused_at_once(schema, why):
    with pytest.raises(ValueError, match=why):
        load_schema(schema)


def test_a_schema_may_have_a_name_and_a_property_of_any_name():
    schema = load_schema({"$id": "https://example.com/a", "properties": {"$id": {"type": "string"}, "$ref": {}}})
    assert list(properties_of(schema)) == ["$id", "$ref"]


def test_a_schema_is_compiled_without_the_network_and_the_disk():
    with pytest.raises(ValueError, match=r"file:///etc/hostname is another document"):
        compiled({"$ref": "file:///etc/hostname"})
