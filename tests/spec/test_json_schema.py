import pytest

from relabel.spec.json_schema import is_recursive, load_schema, make_validator, properties_of, resolved

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
    assert make_validator(schema).is_valid(1)
    assert not make_validator(schema).is_valid("1")


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
        ({"properties": {"a": {"$id": "other", "$ref": "#/$defs/b", "$defs": {"b": {}}}}}, r"has an \$id inside"),
        ({"properties": {"\ud800": {}}}, "a value that JSON does not have"),
        ({"type": "text"}, r"not valid at \$\.type"),
        ({"pattern": "("}, r"not valid at \$\.pattern"),
        ({"default": float("nan")}, "a value that JSON does not have"),
    ],
)
def test_a_schema_that_would_fail_on_rows_is_refused_at_once(schema, why):
    with pytest.raises(ValueError, match=why):
        load_schema(schema)


def test_a_schema_may_have_a_name_and_a_property_of_any_name():
    schema = load_schema({"$id": "https://example.com/a", "properties": {"$id": {"type": "string"}, "$ref": {}}})
    assert list(properties_of(schema)) == ["$id", "$ref"]


@pytest.mark.parametrize(
    ("format", "good", "bad"),
    [
        ("date", "2024-02-29", "2023-02-29"),
        ("time", "23:59:60.5+01:00", "10:00"),
        ("date-time", "2024-02-29T10:00:00Z", "2024-02-30T10:00:00Z"),
        ("date-time", "2024-02-29t10:00:00.123456789-05:30", "2024-02-29 10:00:00Z"),
        ("email", "a@b.example", "a"),
        ("ipv4", "127.0.0.1", "127.0.0.256"),
        ("ipv6", "::1", ":1"),
        ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123e4567"),
    ],
)
def test_common_formats_are_checked(format, good, bad):
    validator = make_validator({"type": ["string", "integer"], "format": format})
    assert validator.is_valid(good)
    assert not validator.is_valid(bad)
    assert validator.is_valid(1), "a format is of strings only"


@pytest.mark.parametrize("format", ["uri", "hostname", "duration", "idn-email", "iri", "binary", "whatever"])
def test_other_formats_are_not_checked_whatever_packages_are_installed(format):
    assert make_validator({"format": format}).is_valid("\n")
