"""The client for asyncio: bounded, and a failed batch beside the answers of the others."""

import asyncio
import threading

import pytest

from healthval.client import AsyncClient
from healthval.client.asynchronous import MAX_CONCURRENCY
from healthval.errors import HubError


def test_batches_are_answered_in_order_beside_a_failed_one(kit, hub, site):
    requests = [kit.batch(float(i), None) for i in range(1, 6)]
    requests[2] = kit.batch("text")  # the hub refuses it

    async def run():
        async with AsyncClient(hub.url, site.credential) as client:
            assert await client.call(client.sync.access_status, **kit.SUBJECT)
            return await client.predict_all(requests)

    found = asyncio.run(run())
    assert list(found.errors) == [2]
    assert isinstance(found.errors[2], HubError)
    scores = [answer and answer.predictions[0].score for answer in found.answers]
    assert scores == [min(1.0, i * 0.25) if i != 3 else None for i in range(1, 6)]
    assert found.reasons == {"model_declined": 4, "batch_failed": 1}


@pytest.mark.parametrize("asked", [0, 3, 50])
def test_no_more_calls_run_at_once_than_allowed(site, asked):
    most, running, lock = 0, 0, threading.Lock()
    allowed = max(1, min(asked, MAX_CONCURRENCY))
    full = threading.Barrier(allowed)

    def work():
        nonlocal most, running
        with lock:
            running += 1
            most = max(most, running)
        full.wait(300)
        with lock:
            running -= 1

    async def run():
        origin = site.transport.origin
        async with AsyncClient(origin, site.credential, concurrency=asked) as client:
            await asyncio.gather(*(client.call(work) for _ in range(4 * allowed)))

    asyncio.run(run())
    assert most == allowed
