"""Client for asyncio: the calls of `Client` in a bounded number of threads."""

import asyncio
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
    """

    answers: tuple[PredictionAnswer | None, ...]
    errors: dict[int, Exception] = field(default_factory=dict)

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
    concurrency : calls at once; at most 8, and no more than the model's `max_concurrency` is of use

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
        """Send batches, several at once; a failed batch does not stop the others."""
        found = await asyncio.gather(*map(self.predict, requests), return_exceptions=True)
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
        return BatchAnswers(answers=tuple(answers), errors=errors)
