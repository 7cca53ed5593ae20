"""Shared properties of the SAM transform (`Globals`), put into the resources that they are for."""

from collections.abc import Iterator
from typing import Any

from healthval.cloud.audit.lines import Resource
from healthval.cloud.audit.values import Scope

PREFIX = "AWS::Serverless::"


def with_globals(template: dict[str, Any]) -> dict[str, Any]:
    """Return a template whose SAM resources have the shared properties; a resource's own win.

    A property that both have as a mapping is merged. Properties that are an expression become
    unknown, because what they have is not certain.
    """
    shared = template.get("Globals")
    if not isinstance(shared, dict):
        return template
    resources = {name: _merged(body, shared) for name, body in template["Resources"].items()}
    return {**template, "Resources": resources}


def _merged(body: Any, shared: dict[str, Any]) -> Any:
    if not isinstance(body, dict) or not str(body.get("Type")).startswith(PREFIX):
        return body
    given = shared.get(str(body["Type"]).removeprefix(PREFIX))
    if not isinstance(given, dict):
        return body
    own = body.get("Properties", {})
    if not isinstance(own, dict) or _is_expression(own) or _is_expression(given):
        return {**body, "Properties": {"Fn::Globals": [given, own]}}  # an unknown value
    return {**body, "Properties": _joined(given, own)}


def _is_expression(node: dict[str, Any]) -> bool:
    return any(str(key).startswith("Fn::") or key == "Ref" for key in node)


def _joined(given: Any, own: Any) -> Any:
    if not isinstance(given, dict) or not isinstance(own, dict):
        return own
    if _is_expression(given) or _is_expression(own):
        return own
    both = {key: _joined(given[key], own[key]) for key in given if key in own}
    return {**given, **own, **both}


def global_resources(template: dict[str, Any], file: str, scope: Scope) -> Iterator[Resource]:
    """Return the shared properties as one more resource of each kind: an API may be implicit."""
    shared = template.get("Globals")
    for kind, properties in shared.items() if isinstance(shared, dict) else ():
        type_ = f"{PREFIX}{kind}"
        body = {"Type": type_, "Properties": properties}
        yield Resource(file=file, name="Globals", type=type_, body=body, scope=scope)
