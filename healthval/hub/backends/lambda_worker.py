"""The hub's worker as an AWS Lambda function: checks of submissions, and rows for queries.

Every step may be repeated: rows are written once, under the entry's own key. A record that fails
again and again goes to the queue of failed messages, which has an alarm.
"""

import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3

from healthval.contracts.base import canonical_json
from healthval.hub.arrivals import gate_check
from healthval.hub.audit_chain import AUDIT
from healthval.hub.backends.aws import S3_CONFIG, S3Objects
from healthval.hub.ports import ObjectStore, Refusal


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Check the submission in a call of the API, or write the rows of a table's stream."""
    if "check" in event:
        return check(event["check"].encode())
    failed: list[str] = []
    for record in event["Records"]:
        try:
            write_row(_objects(), record["dynamodb"].get("NewImage") or {})
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


def write_row(objects: ObjectStore, image: Mapping[str, Any]) -> None:
    """Write the row of a submission or an audit entry; other entries have none."""
    for table, name, row in _rows(image):
        seconds = row["received" if table == "submissions" else "at"]
        day = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
        key = f"analytics/{table}/day={day}/{name}.json"
        objects.put_if_absent(key, canonical_json(row) + b"\n")


def _rows(image: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    if "item" not in image:
        return
    partition, key = image["pk"]["S"], image["sk"]["S"]
    value = json.loads(image["item"]["S"])
    if partition.startswith("results#"):
        _, model, version, plan_hash = partition.split("#")
        row = {"site": key, "model": model, "version": version, "plan_hash": plan_hash} | value
        yield "submissions", f"{key}-{value['sha256']}", row
    elif partition == AUDIT and key.startswith("entry#"):
        names = ("number", "at", "actor", "action", "subject")
        yield AUDIT, key.replace("#", "-"), {name: value[name] for name in names}


@cache
def _objects() -> S3Objects:
    return S3Objects(boto3.client("s3", config=S3_CONFIG), os.environ["HEALTHVAL_BUCKET"])
