"""Expiry of upload addresses and files; signatures of S3; bodies of unknown callers."""

import asyncio
import base64
import hashlib
import time
import urllib.parse
from types import SimpleNamespace

import pytest
import requests

from healthval.client import Credential
from healthval.disclosure import load_policy
from healthval.hub.app import Settings, create_app
from healthval.hub.backends.memory import MemoryIndex, MemoryObjects
from healthval.hub.ports import Backend, Refusal, Write
from healthval.hub.predictions.batches import Predictions
from healthval.hub.predictions.uploads import KEEP_SECONDS, TICKET_SECONDS, Uploads

FILE = (b"\0" * 128 + b"DICM").ljust(200, b"\1")


def test_a_place_expires(kit):
    clock = SimpleNamespace(now=1_700_000_000)
    backend = Backend(MemoryObjects(), MemoryIndex(lambda: clock.now), None, lambda: clock.now)
    uploads, data = Uploads(backend, b"secret"), kit.dicom(400)
    sha256, upload = hashlib.sha256(data).hexdigest(), "upload-" + "0" * 32
    end = clock.now + TICKET_SECONDS
    terms = f"site-aaaaaaaa.{len(data)}.{sha256}.{end}"
    entry = Write(partition="uploads", key=f"site-aaaaaaaa#{upload}", value={})
    backend.index.commit([entry])
    signature = uploads._sign(upload, terms)
    for now, taken in ((end - 1, True), (end, False), (end + 1, False)):
        clock.now = now
        if taken:
            uploads.store(uploads.place(upload, terms, signature), data)
        else:
            with pytest.raises(Refusal, match="expired"):
                uploads.store(uploads.place(upload, terms, signature), data)


def test_a_file_sent_again_after_scoring_is_not_stored(kit):
    data = kit.dicom(400)
    backend = Backend(MemoryObjects(), MemoryIndex(lambda: 0), None, lambda: 0)
    uploads, sha256 = Uploads(backend, b"secret"), hashlib.sha256(data).hexdigest()
    upload = "upload-" + "0" * 32
    terms = f"site-aaaaaaaa.{len(data)}.{sha256}.9"
    place = uploads.place(upload, terms, uploads._sign(upload, terms))
    backend.index.commit([Write(partition="uploads", key=place.entry, value={})])
    uploads.store(place, data)
    uploads.store(place, data)  # a repetition before scoring is not an error
    uploads.delete("site-aaaaaaaa", [upload])
    with pytest.raises(Refusal, match="used before"):
        uploads.store(place, data)
    assert backend.objects.entries == {}


def test_unread_answers_and_uploads_are_deleted_after_a_day():
    clock = SimpleNamespace(now=0)
    objects, index = MemoryObjects(), MemoryIndex(lambda: clock.now)
    backend = Backend(objects, index, None, lambda: clock.now)
    predictions = Predictions(backend=backend, uploads=Uploads(backend, b"secret"))
    upload, batch = "upload-" + "0" * 32, "prediction-" + "0" * 32
    index.commit(
        [
            Write(
                partition=partition,
                key=f"site-aaaaaaaa#{name}",
                value={"status": "done"},
                expires=KEEP_SECONDS,
            )
            for partition, name in (("uploads", upload), ("predictions", batch))
        ]
    )
    for key in (f"uploads/site-aaaaaaaa/{upload}.dcm", f"answers/site-aaaaaaaa/{batch}.json"):
        objects.put_if_absent(key, b"")
    objects.put_if_absent("objects/kept.bin", b"")
    for now, left in ((KEEP_SECONDS - 1, 3), (KEEP_SECONDS, 1), (KEEP_SECONDS + 1, 1)):
        clock.now = now
        predictions.sweep()
        assert len(objects.entries) == left
    predictions.close()


def test_s3_signs_length_and_checksum_so_that_it_takes_no_other_bytes(aws):
    store, data = aws.bucket(), FILE
    key = "uploads/site-aaaaaaaa/one.dcm"
    sha256 = hashlib.sha256(data)
    offer = store.offer(key, len(data), sha256.hexdigest(), 300)
    signed = urllib.parse.parse_qs(urllib.parse.urlsplit(offer.url).query)["X-Amz-SignedHeaders"][0]
    assert {"content-length", "host", "x-amz-checksum-sha256"} <= set(signed.split(";"))
    assert offer.headers == {"x-amz-checksum-sha256": base64.b64encode(sha256.digest()).decode()}
    assert requests.put(offer.url, data, headers=offer.headers, timeout=300).status_code == 200
    assert store.get(key) == data
    assert store.address(key).startswith("s3://bucket-")


def test_a_client_that_would_sign_by_the_old_scheme_is_refused(aws):
    import boto3

    from healthval.hub.backends.aws import S3Objects

    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    store = S3Objects(boto3.client("s3", region_name="us-east-1", **keys), "bucket")
    with pytest.raises(ValueError, match="S3_CONFIG"):
        store.offer("uploads/site-aaaaaaaa/one.dcm", 1, "0" * 64, 300)


def test_the_hub_reads_no_body_of_an_unknown_caller(tmp_path):
    operator, stranger = (Credential.create(tmp_path / name) for name in ("boss", "stranger"))
    index = MemoryIndex(time.time)
    backend = Backend(MemoryObjects(), index, None, time.time)
    origin = "https://hub.example.org"
    app = create_app(
        backend,
        Settings(
            operator=operator.public_key,
            audiences=(origin,),
            upload_secret=b"s",
            policy=load_policy(),
        ),
    )
    stored, uploaded = f"/v1/objects/{'0' * 64}", f"/v1/uploads/upload-{'0' * 32}"

    def put(path, word, query=b""):
        read, sent = [], []

        async def receive():
            read.append(1)
            return {"type": "http.request", "body": b"x", "more_body": False}

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "PUT",
            "scheme": "https",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "headers": [(b"authorization", b"Bearer " + word.encode())],
            "server": ("hub.example.org", 443),
            "client": ("127.0.0.1", 1),
            "root_path": "",
        }
        asyncio.run(app(scope, receive, send))
        return sent[0]["status"], bool(read)

    assert put(stored, "x") == (401, False)
    assert put(stored, stranger.sign("PUT", origin, stored, b"x")) == (401, False)
    assert put(stored, operator.sign("PUT", origin, "/v1/other", b"x")) == (401, False)
    assert put(stored, operator.sign("PUT", origin, stored, b"y")) == (401, True)
    assert put(uploaded, "x", b"terms=x&signature=y") == (403, False)
