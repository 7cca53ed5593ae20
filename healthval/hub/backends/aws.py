"""The ports on AWS, billed per request: S3, one DynamoDB table on demand, SageMaker Serverless.

The caller makes the boto3 clients, so this module reads no region, key or environment.
The table has the keys ``pk`` and ``sk`` (text) and its time-to-live on ``expires``.
"""

import base64
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError

from healthval.contracts.base import canonical_json
from healthval.hub.ports import (
    Clock,
    Conflict,
    HostedModel,
    HostStatus,
    HostUnavailable,
    Item,
    ModelFailed,
    Offer,
    StoreUnavailable,
    Write,
    check_object_key,
    check_writes,
)

S3_CONFIG = Config(
    signature_version="s3v4",
    s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"},
    retries={"mode": "standard", "total_max_attempts": 4},
    connect_timeout=3,
    read_timeout=20,
)
# Folders of the object store whose objects are deleted within a day.
_DELETED = {"answers", "requests", "uploads"}
_LOST_RACE = {"ConditionalCheckFailed", "TransactionConflict"}
_ENDPOINT: dict[str, HostStatus] = {
    "InService": "serving",
    "Updating": "serving",
    "SystemUpdating": "serving",
    "RollingBack": "serving",
    "Creating": "starting",
    "Failed": "failed",
    "OutOfService": "failed",
    "Deleting": "stopped",
}
# Waits after a failed cold start.
COLD_PAUSES = (1.0, 4.0)
_BUSY = {429, 503}
# Failures of the model. All others (throttling, cold start, network) are temporary.
_MODEL_ERRORS = {"ModelError", "ValidationError"}


@contextmanager
def _reaching() -> Iterator[None]:
    """Replace boto's errors, whose messages contain keys and values, by one without them."""
    try:
        yield
    except (ClientError, BotoCoreError):
        raise StoreUnavailable from None


class S3Objects:
    """Object store in a bucket; `If-None-Match` decides which writer is first.

    Inputs and answers, which are deleted, are in a bucket without versions: a deleted object would
    remain in the other one as an old version.

    The client needs `S3_CONFIG`: otherwise boto3 signs addresses by an older scheme, which covers
    neither length nor checksum, or for a host that redirects.
    """

    def __init__(self, client: Any, bucket: str, inputs: str | None = None) -> None:
        self._s3, self._data, self._inputs = client, bucket, inputs or bucket

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write the bytes if the key is absent."""
        check_object_key(key)
        for attempt in range(5):
            with _reaching():
                status = self._put(key, data)
            if status != "ConditionalRequestConflict":
                return status == "written"
            time.sleep(0.05 * 2**attempt)
        raise StoreUnavailable

    def get(self, key: str) -> bytes:
        """Return the bytes."""
        check_object_key(key)
        with _reaching():
            try:
                data: bytes = self._s3.get_object(Bucket=self._bucket(key), Key=key)["Body"].read()
            except self._s3.exceptions.NoSuchKey:
                raise KeyError(key) from None
        return data

    def delete(self, key: str) -> None:
        """Delete the object if it is present."""
        check_object_key(key)
        with _reaching():
            self._s3.delete_object(Bucket=self._bucket(key), Key=key)

    def keys(self, prefix: str) -> list[str]:
        """List keys by prefix."""
        buckets = {self._bucket(prefix)} if "/" in prefix else {self._data, self._inputs}
        pages = self._s3.get_paginator("list_objects_v2")
        with _reaching():
            return sorted(
                entry["Key"]
                for bucket in buckets
                for page in pages.paginate(Bucket=bucket, Prefix=prefix)
                for entry in page.get("Contents", ())
            )

    def address(self, key: str) -> str:
        """Return the object's s3: address."""
        check_object_key(key)
        return f"s3://{self._bucket(key)}/{key}"

    def offer(self, key: str, size: int, sha256: str, seconds: int) -> Offer | None:
        """Sign a PUT; the signature covers length and checksum, so S3 refuses other bytes."""
        check_object_key(key)
        checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
        with _reaching():
            url: str = self._s3.generate_presigned_url(
                "put_object",
                Params={
                    "Bucket": self._bucket(key),
                    "Key": key,
                    "ContentLength": size,
                    "ChecksumSHA256": checksum,
                },
                ExpiresIn=seconds,
            )
        redirects = ".s3.amazonaws.com/" in url and self._s3.meta.region_name != "us-east-1"
        if "X-Amz-SignedHeaders" not in url or redirects:
            raise ValueError("the S3 client must have S3_CONFIG and the region of its buckets")
        return Offer(url, {"x-amz-checksum-sha256": checksum})

    def _bucket(self, key: str) -> str:
        return self._inputs if key.partition("/")[0] in _DELETED else self._data

    def _put(self, key: str, data: bytes) -> str:
        try:
            self._s3.put_object(
                Bucket=self._bucket(key),
                Key=key,
                Body=data,
                IfNoneMatch="*",
                ChecksumAlgorithm="SHA256",
                ServerSideEncryption="AES256",
            )
        except ClientError as error:
            code: str = error.response["Error"]["Code"]
            if code in {"PreconditionFailed", "ConditionalRequestConflict"}:
                return code
            raise
        return "written"


class DynamoIndex:
    """Index in one table.

    Every commit is a transaction, also of one write: only a transaction carries a token that
    distinguishes a repeated request (after a lost answer) from a second writer.
    """

    def __init__(self, client: Any, table: str, clock: Clock) -> None:
        self._dynamo, self._table, self._clock = client, table, clock

    def get(self, partition: str, key: str) -> Item | None:
        """Return the entry unless it has expired; DynamoDB deletes expired entries within days."""
        with _reaching():
            answer = self._dynamo.get_item(
                TableName=self._table, Key=_place(partition, key), ConsistentRead=True
            )
        item = _item(answer["Item"]) if "Item" in answer else None
        return None if item is None or self._is_over(item) else item

    def query(
        self, partition: str, prefix: str = "", *, after: str = "", limit: int | None = None
    ) -> list[Item]:
        """Return a partition's entries, sorted by key."""
        condition, values = "pk = :pk", {":pk": {"S": partition}}
        if prefix:
            condition, values = (
                condition + " AND begins_with(sk, :sk)",
                values | {":sk": {"S": prefix}},
            )
        start = {"ExclusiveStartKey": _place(partition, after)} if after else {}
        pages = self._dynamo.get_paginator("query")
        with _reaching():
            found = (
                _item(entry)
                for page in pages.paginate(
                    TableName=self._table,
                    KeyConditionExpression=condition,
                    ExpressionAttributeValues=values,
                    ConsistentRead=True,
                    **start,
                )
                for entry in page["Items"]
            )
            return list(islice((item for item in found if not self._is_over(item)), limit))

    def flush(self) -> None:
        """Do nothing: every answered transaction is durable."""

    def commit(self, writes: Sequence[Write], *, durable: bool = True) -> None:
        """Check and write in one transaction, which is always durable."""
        check_writes(writes)
        if not writes:
            return
        actions = [self._action(write) for write in writes]
        with _reaching():
            try:
                self._dynamo.transact_write_items(TransactItems=actions)
            except self._dynamo.exceptions.TransactionCanceledException as error:
                reasons = error.response.get("CancellationReasons", ())
                if _LOST_RACE.isdisjoint(reason.get("Code") for reason in reasons):
                    raise
                raise Conflict from None

    def _action(self, write: Write) -> dict[str, Any]:
        condition, values = self._condition(write.version)
        about = {
            "TableName": self._table,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": values,
        }
        if write.value is None:
            return {"Delete": {"Key": _place(write.partition, write.key), **about}}
        entry = _place(write.partition, write.key) | {
            "item": {"S": canonical_json(write.value).decode()},
            "version": {"N": str(write.version + 1)},
        }
        if write.expires is not None:
            entry["expires"] = {"N": str(write.expires)}
        return {"Put": {"Item": entry, **about}}

    def _condition(self, version: int) -> tuple[str, dict[str, Any]]:
        now = {":now": {"N": str(int(self._clock()))}}
        if version == 0:
            return "attribute_not_exists(pk) OR expires <= :now", now
        condition = "version = :version AND (attribute_not_exists(expires) OR expires > :now)"
        # `value` and `partition` are reserved words of DynamoDB; `version` is not
        return condition, now | {":version": {"N": str(version)}}

    def _is_over(self, item: Item) -> bool:
        return item.expires is not None and item.expires <= int(self._clock())


def _place(partition: str, key: str) -> dict[str, dict[str, str]]:
    return {"pk": {"S": partition}, "sk": {"S": key}}


def _item(entry: dict[str, Any]) -> Item:
    expires = int(entry["expires"]["N"]) if "expires" in entry else None
    return Item(
        partition=entry["pk"]["S"],
        key=entry["sk"]["S"],
        value=json.loads(entry["item"]["S"]),
        version=int(entry["version"]["N"]),
        expires=expires,
    )


class SageMakerHost:
    """Model host of serverless endpoints that the model's stack has deployed.

    The hub's role may describe and invoke endpoints only. An unused endpoint costs nothing, so
    `stop` leaves it: the hub does not invoke a model that is stopped in the registry.
    """

    def __init__(self, control: Any, runtime: Any) -> None:
        self._control, self._runtime = control, runtime

    def start(self, model: HostedModel) -> None:
        """Check that the endpoint is in service."""
        status = self.status(model)
        if status == "starting":
            raise HostUnavailable
        if status != "serving":
            raise ModelFailed(f"its endpoint is {status}; deploy the model's stack first")

    def stop(self, model: HostedModel) -> None:
        """Leave the endpoint as it is."""

    def status(self, model: HostedModel) -> HostStatus:
        """Return the endpoint's status in SageMaker."""
        try:
            answer = self._control.describe_endpoint(EndpointName=model.endpoint)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ValidationException":
                return "stopped"  # the code by which SageMaker reports an unknown endpoint
            raise HostUnavailable from None
        except BotoCoreError:
            raise HostUnavailable from None
        return _ENDPOINT.get(answer["EndpointStatus"], "failed")

    def invoke(self, model: HostedModel, body: bytes) -> bytes:
        """Invoke the endpoint; a cold start that failed is repeated a few times.

        A call without an answer within the client's time-out is the model's failure: it was
        billed, and each repetition would be billed again.
        """
        for pause in COLD_PAUSES:
            with suppress(_ColdStart):
                return self._invoke(model, body)
            time.sleep(pause)
        try:
            return self._invoke(model, body)
        except _ColdStart:
            raise ModelFailed("the model's container does not start") from None

    def _invoke(self, model: HostedModel, body: bytes) -> bytes:
        try:
            answer = self._runtime.invoke_endpoint(
                EndpointName=model.endpoint,
                ContentType="application/json",
                Accept="application/json",
                Body=body,
            )
            scores: bytes = answer["Body"].read()
        except ClientError as error:
            raise _model_error(error.response) from None
        except ReadTimeoutError:
            raise ModelFailed("the model did not answer in time") from None
        except BotoCoreError:
            raise HostUnavailable from None
        return scores


class _ColdStart(Exception):
    """The container ended or did not start before it answered."""


def _model_error(response: dict[str, Any]) -> Exception:
    """Return the error of a port for an error answer of the SageMaker runtime.

    `ModelError` covers three cases: the server of the model was busy, it reported a failure (its
    answer is ours, JSON with `error`), or the container gave no answer.
    """
    code = response["Error"]["Code"]
    if code not in _MODEL_ERRORS:
        return HostUnavailable()
    if code == "ModelError" and response.get("OriginalStatusCode") in _BUSY:
        return HostUnavailable()
    message = str(response.get("OriginalMessage", '{"error": ""}'))
    if code == "ModelError" and '"error"' not in message:
        return _ColdStart()
    return ModelFailed("the model endpoint refused or failed")
