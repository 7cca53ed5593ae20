"""Responses of the API: JSON shapes, stored bytes, and batches that may be pending."""

from fastapi import Response
from pydantic import BaseModel

from healthval.contracts.prediction import PredictionAnswer


def json_response(shape: BaseModel, status: int = 200) -> Response:
    """Return a wire shape as JSON."""
    headers = {"Cache-Control": "no-store"}
    return Response(shape.model_dump_json(), status, headers, media_type="application/json")


def bytes_response(data: bytes) -> Response:
    """Return stored bytes."""
    # a browser must not render the bytes as a page of the hub's origin
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(data, 200, headers, media_type="application/octet-stream")


def prediction_response(answer: PredictionAnswer) -> Response:
    """Return a batch: 202 while it is pending."""
    response = json_response(answer, 202 if answer.status == "pending" else 200)
    if answer.status == "pending":
        response.headers["Retry-After"] = "1"
    return response
