"""The client for asyncio: bounded, and a failed batch beside the answers of the others."""

import asyncio
import threading
import time

import pytest

from healthval.client import AsyncClient
from healthval.client.asynchronous import MAX_CONCURRENCY, _apart
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


def test_a_model_gets_no_more_batches_at_once_than_it_has_places(kit, hub, site, model):
    requests = [kit.batch(float(i)) for i in range(1, 13)]
    most, running, lock = 0, 0, threading.Lock()

    async def run():
        async with AsyncClient(hub.url, site.credential) as client:
            predict = client.sync.predict

            def counted(request, **options):
                nonlocal most, running
                with lock:
                    running += 1
                    most = max(most, running)
                time.sleep(0.05)
                try:
                    return predict(request, **options)
                finally:
                    with lock:
                        running -= 1

            client.sync.predict = counted
            return await client.predict_all(requests)

    found = asyncio.run(run())
    assert found.errors == {}
    assert most == model.registration.max_concurrency


@pytest.mark.parametrize(
    ("times", "apart"),
    [
        ([], (None, None)),
        ([(0.0, 9.0)], (9.0, None)),
        ([(0.0, 9.0), (1.0, 9.5)], (9.0, None)),
        ([(0.0, 9.0), (1.0, 9.5), (9.0, 10.0), (9.5, 11.5), (10.0, 12.0)], (9.0, 2.0)),
    ],
)
def test_a_cold_start_is_told_apart_from_the_other_batches(times, apart):
    assert _apart(times) == apart


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
