"""The hub's API as an AWS Lambda function behind API Gateway.

The function answers HTTP requests, and calls itself in the background to score a batch. It imports
no scientific stack: a worker checks submissions.
"""

import json
import os
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from mangum import Mangum
from starlette.types import ASGIApp, Receive, Scope, Send

from healthval.contracts.access import PublicKey
from healthval.contracts.submission import Submission
from healthval.hub.app import Elsewhere, Settings, create_app
from healthval.hub.arrivals import ArrivalCheck, parse
from healthval.hub.audit_chain import seal
from healthval.hub.backends.aws import S3_CONFIG, DynamoIndex, S3Objects, SageMakerHost
from healthval.hub.backends.parameters import own_key, published_key
from healthval.hub.ports import Backend, Conflict, HostedModel, Item, Refusal, StoreUnavailable
from healthval.hub.predictions.batches import QUICK_SECONDS, Predictions
from healthval.hub.predictions.leases import Leases

# Longer than the function's time-out: until then the batch belongs to the call in the background.
BATCH_SECONDS = 960
SCORE_SECONDS = 60
PAUSE_SECONDS = 0.1


def handler(event: Mapping[str, Any], context: Any) -> Any:
    """Answer an HTTP request, or score the batch that this function has sent to itself."""
    hub = _hub()
    if "score" in event:
        hub.predictions.finish(*event["score"])
        return seal(hub.predictions.backend)
    return hub.http(dict(event), context)


@dataclass(frozen=True, slots=True)
class _Hub:
    http: Callable[[dict[str, Any], Any], Any]
    predictions: Predictions


@cache
def _hub() -> _Hub:
    settings = os.environ
    lambda_client = Later("lambda", _config(read_timeout=28, attempts=1))
    backend = _backend(settings)
    leases = BackgroundCalls(
        backend=backend, client=lambda_client, function=settings["AWS_LAMBDA_FUNCTION_NAME"]
    )
    ssm = Later("ssm", _config(attempts=4))
    own = own_key(ssm, settings["HEALTHVAL_SIGNING_KEY"])
    app = create_app(
        backend,
        Settings(
            operator=PublicKey(x=settings["HEALTHVAL_OPERATOR"]),
            audiences=tuple(settings["HEALTHVAL_ORIGINS"].split(",")),
            upload_secret=secrets.token_bytes(32),  # unused: S3 signs its own addresses
            signer=own.private_key if own else None,
            reporter=published_key(ssm, settings["HEALTHVAL_REPORTER"]),
        ),
        elsewhere=Elsewhere(worker_check(lambda_client, settings["HEALTHVAL_WORKER"]), leases),
    )
    # The lifespan would end with every request, and the hub with it.
    with suppress(StoreUnavailable):  # then at the first use of a key
        app.state.keyring.list_current()
    return _Hub(_http(Mangum(RawPath(app), lifespan="off")), app.state.predictions)


def _backend(settings: Mapping[str, str]) -> Backend:
    objects = S3Objects(
        boto3.client("s3", config=S3_CONFIG),
        settings["HEALTHVAL_BUCKET"],
        settings["HEALTHVAL_INPUTS"],
    )
    dynamo = boto3.client("dynamodb", config=_config(attempts=4))
    index = DynamoIndex(dynamo, settings["HEALTHVAL_TABLE"], time.time)
    patient = _config(attempts=1, read_timeout=SCORE_SECONDS + 10)
    control, runtime = Later("sagemaker", _config(attempts=2)), Later("sagemaker-runtime", patient)
    host = SageMakerHost(control, runtime)
    return Backend(objects, index, host, time.time)


def _config(*, attempts: int, read_timeout: int = 20) -> Config:
    retries = {"mode": "standard", "total_max_attempts": attempts}
    return Config(connect_timeout=3, read_timeout=read_timeout, retries=retries)


class Later:
    """A boto3 client that is made at its first use: reading its model takes a tenth of a second."""

    def __init__(self, service: str, config: Config) -> None:
        self._make = cache(lambda: boto3.client(service, config=config))

    def __getattr__(self, name: str) -> Any:
        """Return the client's attribute."""
        return getattr(self._make(), name)


class RawPath:
    """Sets the raw path of a request, which Mangum leaves empty: tokens are bound to it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        event = scope.get("aws.event", {})
        raw = event.get("rawPath") or scope["path"]
        await self.app({**scope, "raw_path": raw.encode("ascii", "replace")}, receive, send)


def _http(mangum: Mangum) -> Callable[[dict[str, Any], Any], Any]:
    def answer(event: dict[str, Any], context: Any) -> Any:
        full = event.get("requestContext", {}).get("path")
        if event.get("version", "1.0") == "1.0" and full:
            event["path"] = full  # a REST API cuts off its stage, the first part of our paths
        return mangum(event, context)

    return answer


@dataclass(slots=True, kw_only=True)
class BackgroundCalls(Leases):
    """Scores each batch in an asynchronous call of this function; AWS repeats a failed call."""

    in_process: ClassVar[bool] = False
    client: Any
    function: str

    def take(self, item: Item, model: HostedModel, work: Callable[[], bytes]) -> None:
        """Call the function for a batch unless an earlier call may still run."""
        if item.value["lease"] <= self.backend.now:
            self._call(item)

    def begin(
        self,
        place: tuple[str, str],
        model: HostedModel,
        work: Callable[[], bytes],
        *,
        here: bool = False,
    ) -> Future[bytes] | None:
        """Call the function for a new batch."""
        if (item := self.backend.index.get(*place)) is not None:
            self._call(item)
        return self.running(place)

    def _call(self, item: Item) -> None:
        site, _, batch = item.key.partition("#")
        value = {**item.value, "lease": self.backend.now + BATCH_SECONDS}
        with suppress(Conflict):
            self.backend.index.commit([item.updated(value)])
            try:
                self.client.invoke(
                    FunctionName=self.function,
                    InvocationType="Event",
                    Payload=json.dumps({"score": [site, batch]}).encode(),
                )
            except (ClientError, BotoCoreError):
                raise StoreUnavailable from None

    def running(self, place: tuple[str, str]) -> Future[bytes] | None:
        """Return a wait for the end of a batch, at most as long as a quick answer takes."""
        waiting = ThreadPoolExecutor(1)
        done = waiting.submit(self._wait, place)
        waiting.shutdown(wait=False)
        return done

    def _wait(self, place: tuple[str, str]) -> bytes:
        end = time.monotonic() + QUICK_SECONDS
        while time.monotonic() < end:
            item = self.backend.index.get(*place)
            if item is None or item.value["status"] != "pending":
                break
            time.sleep(PAUSE_SECONDS)
        return b""  # the answer is in the store


def worker_check(client: Any, worker: str) -> ArrivalCheck:
    """Return the arrival check that a worker function does."""

    def check(payload: bytes) -> Submission:
        submission = parse(payload)
        sent = json.dumps({"check": payload.decode()}).encode()
        try:
            answer = client.invoke(FunctionName=worker, Payload=sent)
            result = json.loads(answer["Payload"].read())
        except (ClientError, BotoCoreError, ValueError):
            raise StoreUnavailable from None
        if answer.get("FunctionError") or not isinstance(result, dict):
            raise StoreUnavailable
        if "refused" in result:
            raise Refusal(422, result["refused"]["title"], result["refused"]["detail"])
        return submission

    return check
