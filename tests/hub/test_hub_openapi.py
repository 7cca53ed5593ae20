"""The API's document is OpenAPI 3.1 with the wire shapes, and published as it is."""

import json
from pathlib import Path

import jsonschema
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from healthval.contracts.access import PublicKey
from healthval.disclosure import load_policy
from healthval.hub.api.documents import BODIES
from healthval.hub.app import Settings, openapi_text

PUBLISHED = Path(__file__).parents[2] / "schemas" / "openapi.json"


@pytest.fixture(scope="module")
def document():
    return json.loads(openapi_text())


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


def test_all_but_three_routes_are_signed_and_every_one_may_answer_with_a_problem(document):
    unsigned = set()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if operation.get("security") != [{"signed": []}]:
                unsigned.add((method, path))
            problem = operation["responses"]["default"]["content"]
            assert list(problem) == ["application/problem+json"]
    # the last one is signed inside its address
    assert unsigned == {
        ("get", "/v1/health"),
        ("get", "/.well-known/healthval-keys.json"),
        ("put", "/v1/uploads/{upload}"),
    }


def test_closed_shapes_stay_closed(document):
    for shape in BODIES:
        assert document["components"]["schemas"][shape.__name__]["additionalProperties"] is False


def test_the_published_document_is_current():
    text = PUBLISHED.read_text(encoding="utf-8")
    assert text == openapi_text(), (
        "renew it: python -c 'from healthval.hub.app import openapi_text as t;"
        ' open("schemas/openapi.json", "w").write(t())\''
    )


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_every_success_and_problem_has_its_type(document):
    for path, method, operation in operations(document):
        for status, answer in operation["responses"].items():
            content = answer.get("content", {})
            if status == "204":
                assert not content, path
            elif status.startswith("2"):
                (kind, body), *others = content.items()
                assert not others, path
                expected = {"application/json", "application/octet-stream"}
                assert kind in expected, (path, method, kind)
                assert "$ref" in body["schema"] or body["schema"]["format"] == "binary", path
            else:
                assert list(content) == ["application/problem+json"], (path, status)
        assert {"500", "503", "507", "default"} <= set(operation["responses"])


def test_a_post_has_an_idempotency_key_and_no_other_call_has(document):
    for path, method, operation in operations(document):
        names = {p["name"] for p in operation.get("parameters", ())}
        assert ("Idempotency-Key" in names) == (method == "post"), (path, method)


def test_every_list_has_a_limit_and_a_cursor(document):
    shapes = document["components"]["schemas"]
    paged = 0
    for path, method, operation in operations(document):
        content = operation["responses"].get("200", {}).get("content", {})
        reference = content.get("application/json", {}).get("schema", {}).get("$ref", "")
        if method == "get" and reference.endswith("List"):
            names = {p["name"] for p in operation["parameters"]}
            assert {"limit", "cursor"} <= names, path
            assert "next" in shapes[reference.rpartition("/")[2]]["properties"], path
            paged += 1
    assert paged == 7


def test_secrets_are_in_no_representation():
    settings = Settings(
        operator=PublicKey(x="A" * 43),
        audiences=(),
        upload_secret=b"secret",
        policy=load_policy(),
        signer=Ed25519PrivateKey.generate(),
    )
    assert "secret" not in repr(settings)
    assert "Ed25519PrivateKey" not in repr(settings)
