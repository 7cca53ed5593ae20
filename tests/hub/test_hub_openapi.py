"""The API's document is OpenAPI 3.1 with the wire shapes."""

import json

import jsonschema
import pytest

from healthval.contracts.access import PublicKey
from healthval.disclosure import load_policy
from healthval.hub.app import Settings, create_app
from healthval.hub.backends.memory import MemoryIndex, MemoryObjects
from healthval.hub.ports import Backend
from healthval.hub.routes import BODIES


@pytest.fixture(scope="module")
def document():
    backend = Backend(MemoryObjects(), MemoryIndex(lambda: 0), None, lambda: 0)
    settings = Settings(
        PublicKey(x="A" * 43), ("https://hub.example.org",), b"secret", load_policy()
    )
    assert "secret" not in repr(settings)
    return create_app(backend, settings).openapi()


def references(node):
    if isinstance(node, dict):
        yield from ([node["$ref"]] if "$ref" in node else [])
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            yield from references(part)


def test_every_reference_leads_to_a_shape(document):
    assert document["openapi"].startswith("3.1")
    shapes = document["components"]["schemas"]
    for reference in references(document):
        assert reference.removeprefix("#/components/schemas/") in shapes
    assert {shape.__name__ for shape in BODIES} <= set(shapes)
    assert "HTTPValidationError" not in shapes
    for shape in shapes.values():
        jsonschema.Draft202012Validator.check_schema(shape)


def test_all_but_two_routes_are_signed_and_every_one_may_answer_with_a_problem(document):
    unsigned = set()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if operation.get("security") != [{"signed": []}]:
                unsigned.add((method, path))
            problem = operation["responses"]["default"]["content"]
            assert list(problem) == ["application/problem+json"]
    # the last one is signed inside its address
    assert unsigned == {("get", "/v1/health"), ("put", "/v1/uploads/{upload}")}


def test_closed_shapes_stay_closed(document):
    for shape in BODIES:
        assert document["components"]["schemas"][shape.__name__]["additionalProperties"] is False


def test_the_document_is_the_same_every_time(document):
    backend = Backend(MemoryObjects(), MemoryIndex(lambda: 0), None, lambda: 0)
    settings = Settings(PublicKey(x="A" * 43), ("https://hub.example.org",), b"s", load_policy())
    again = create_app(backend, settings).openapi()
    assert json.dumps(again) == json.dumps(document)
