"""The hub's worker as an AWS Lambda function: checks of submissions, reports, and rows for queries.

Every step may be repeated: rows are written once under the entry's own key, and an equal report is
published once. A record that fails again and again goes to the queue of failed messages, which has an
alarm.
"""

import json
import os
import secrets
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import boto3

from healthval.contracts.access import PublicKey
from healthval.files import write_durably
from healthval.hub.arrivals import gate_check
from healthval.hub.backends.aws import S3_CONFIG, DynamoIndex, S3Objects
from healthval.hub.backends.memory import NoModels
from healthval.hub.backends.parameters import own_key
from healthval.hub.backends.query_rows import write_row
from healthval.hub.ports import Backend, Refusal
from healthval.hub.report_orders import DUE, NotebookProcess, Reporter

LOOPBACK = "127.0.0.1"


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Check the submission in a call of the API, or take the records of a table's stream."""
    if "check" in event:
        return check(event["check"].encode())
    failed: list[str] = []
    for record in event["Records"]:
        try:
            _take(record["dynamodb"].get("NewImage") or {})
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


def _take(image: Mapping[str, Any]) -> None:
    if "item" not in image:
        return
    partition, key = image["pk"]["S"], image["sk"]["S"]
    if partition == DUE:
        _make_report(key)
    else:
        value = json.loads(image["item"]["S"])
        write_row(_backend().objects, partition=partition, key=key, value=value)


def _make_report(key: str) -> None:
    """Make a report that is due; a failure is written to its order, which makes it due again."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "reporter.key")
        credential = own_key(boto3.client("ssm"), os.environ["HEALTHVAL_REPORTER"])
        if credential is None:
            raise RuntimeError("this hub has no key for reports, so it makes none")
        write_durably(place, credential.pem)
        with _served(_backend(), credential.public_key) as url:
            notebook = NotebookProcess(url=url, key=place)
            Reporter(backend=_backend(), notebook=notebook).make(key)


@contextmanager
def _served(backend: Backend, reporter: PublicKey) -> Iterator[str]:
    """Serve this hub to the notebook, on loopback, and only to the reporter's key and the operator's."""
    import uvicorn

    from healthval.hub.app import Settings, create_app

    with socket.create_server((LOOPBACK, 0)) as listening:
        url = f"http://{LOOPBACK}:{listening.getsockname()[1]}"
        settings = Settings(
            operator=PublicKey(x=os.environ["HEALTHVAL_OPERATOR"]),
            audiences=(url,),
            upload_secret=secrets.token_bytes(32),
            reporter=reporter,
        )
        config = uvicorn.Config(
            create_app(backend, settings), lifespan="off", log_level="warning", access_log=False
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield url
        finally:
            server.should_exit = True
            thread.join()


@cache
def _backend() -> Backend:
    objects = S3Objects(boto3.client("s3", config=S3_CONFIG), os.environ["HEALTHVAL_BUCKET"])
    index = DynamoIndex(boto3.client("dynamodb"), os.environ["HEALTHVAL_TABLE"], time.time)
    return Backend(objects, index, NoModels(), time.time)
