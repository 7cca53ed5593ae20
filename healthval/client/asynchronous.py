"""Client for asyncio: the calls of `Client` in a bounded number of threads."""

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import ParamSpec, Self, TypeVar

from healthval.client.client import Client
from healthval.contracts.prediction import PredictionAnswer, PredictionRequest
from healthval.credential import AnyCredential
from healthval.errors import HubError, PredictionError

MAX_CONCURRENCY = 8
Given = ParamSpec("Given")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAnswers:
    """Answers of several batches, in their order; None for a batch that failed.

    Attributes
    ----------
    errors : position of a failed batch -> its error
    first_seconds : time of the first answer, which a cold start of the model makes longer
    seconds : median time of the batches that were sent after it; None where there are none
    """

    answers: tuple[PredictionAnswer | None, ...]
    errors: dict[int, Exception] = field(default_factory=dict)
    first_seconds: float | None = None
    seconds: float | None = None

    @property
    def reasons(self) -> Counter[str]:
        """Number of cases without a score, by reason; `batch_failed` counts batches."""
        answered = [answer for answer in self.answers if answer is not None]
        found = Counter(p.reason for answer in answered for p in answer.predictions)
        del found["none"]
        return found + Counter({"batch_failed": len(self.errors)})


class AsyncClient:
    """Calls of one hub with one credential, for asyncio.

    Parameters
    ----------
    url, credential, storage : as for `Client`
    concurrency : calls at once; at most 8

    Examples
    --------
    ::

        async with AsyncClient(url, credential) as client:
            models = await client.call(client.sync.models)
            found = await client.predict_all(requests)
    """

    def __init__(
        self,
        url: str,
        credential: AnyCredential,
        *,
        storage: Iterable[str] = (),
        concurrency: int = MAX_CONCURRENCY,
    ) -> None:
        self.sync = Client(url, credential, storage=storage)
        self._pool = ThreadPoolExecutor(max(1, min(concurrency, MAX_CONCURRENCY)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Finish the calls under way and close the connections; others are not begun."""
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)
        self.sync.close()

    async def call(
        self, method: Callable[Given, Answer], *given: Given.args, **named: Given.kwargs
    ) -> Answer:
        """Call a method of `sync`, such as ``client.sync.submit``, without blocking the loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: method(*given, **named))

    async def predict(
        self, request: PredictionRequest, *, seconds: float = 600
    ) -> PredictionAnswer:
        """Send a batch for scoring and wait for the answer; see `Client.predict`."""
        return await self.call(self.sync.predict, request, seconds=seconds)

    async def predict_all(self, requests: Sequence[PredictionRequest]) -> BatchAnswers:
        """Send batches, several at once; a failed batch does not stop the others.

        Of each model, no more batches at once than its `max_concurrency`.
        """
        places = await self._places(requests)
        times: list[tuple[float, float]] = []  # when a batch was sent, and when it was answered

        async def predicted(request: PredictionRequest) -> PredictionAnswer:
            async with places[request.model, request.version]:
                began = time.monotonic()
                answer = await self.predict(request)
                times.append((began, time.monotonic()))
                return answer

        found = await asyncio.gather(*map(predicted, requests), return_exceptions=True)
        errors: dict[int, Exception] = {}
        answers: list[PredictionAnswer | None] = []
        for i, one in enumerate(found):
            if isinstance(one, PredictionAnswer):
                answers.append(one)
                continue
            if not isinstance(one, HubError | PredictionError):
                raise one
            errors[i] = one
            answers.append(None)
        first_seconds, seconds = _apart(times)
        return BatchAnswers(
            answers=tuple(answers), errors=errors, first_seconds=first_seconds, seconds=seconds
        )

    async def _places(
        self, requests: Sequence[PredictionRequest]
    ) -> dict[tuple[str, str], asyncio.Semaphore]:
        models = {(request.model, request.version) for request in requests}
        places = {}
        for name, version in models:
            record = await self.call(self.sync.model, name, version)
            most = min(record.registration.max_concurrency, MAX_CONCURRENCY)
            places[name, version] = asyncio.Semaphore(most)
        return places


def _apart(times: list[tuple[float, float]]) -> tuple[float | None, float | None]:
    """Return the seconds of the first answer, and the median of the batches sent after it."""
    if not times:
        return None, None
    began, answered = times[0]
    later = [end - start for start, end in times if start >= answered]
    return answered - began, statistics.median(later) if later else None
