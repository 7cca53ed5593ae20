"""The hub's worker as an AWS Lambda function: checks of submissions, and rows for queries.

Every step may be repeated: rows are written once, under the entry's own key. A record that fails
again and again goes to the queue of failed messages, which has an alarm.
"""

import json
import os
from collections.abc import Mapping
from functools import cache
from typing import Any

import boto3

from healthval.hub.arrivals import gate_check
from healthval.hub.backends.aws import S3_CONFIG, S3Objects
from healthval.hub.backends.query_rows import write_row
from healthval.hub.ports import Refusal


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Check the submission in a call of the API, or write the rows of a table's stream."""
    if "check" in event:
        return check(event["check"].encode())
    failed: list[str] = []
    for record in event["Records"]:
        try:
            _write(record["dynamodb"].get("NewImage") or {})
        except Exception:
            failed.append(record["dynamodb"]["SequenceNumber"])
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}


def check(payload: bytes) -> dict[str, Any]:
    """Repeat the checks of the site's gate; the answer has the refusal, if there is one."""
    try:
        gate_check()(payload)
    except Refusal as refused:
        return {"refused": {"title": refused.title, "detail": refused.detail}}
    return {"checked": True}


def _write(image: Mapping[str, Any]) -> None:
    if "item" in image:
        write_row(
            _objects(),
            partition=image["pk"]["S"],
            key=image["sk"]["S"],
            value=json.loads(image["item"]["S"]),
        )


@cache
def _objects() -> S3Objects:
    return S3Objects(boto3.client("s3", config=S3_CONFIG), os.environ["HEALTHVAL_BUCKET"])
