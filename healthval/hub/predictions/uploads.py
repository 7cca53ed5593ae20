"""Uploads: signed, short-lived addresses for one de-identified file each, deleted after scoring."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from healthval.contracts.base import digest
from healthval.contracts.prediction import (
    MAX_CASE_FILES,
    MAX_INLINE_BYTES,
    UploadRequest,
    UploadTicket,
)
from healthval.errors import counted
from healthval.hub import access, registry
from healthval.hub.access import Subject
from healthval.hub.ports import Backend, Conflict, Item, ModelFailed, Offer, Refusal, Write
from healthval.hub.predictions.tripwire import check_file

KEEP_SECONDS = 86_400
TICKET_SECONDS = 300
ROW_BYTES = 64 * 1024  # left for a case's row beside its files


@dataclass(frozen=True, slots=True)
class UploadPlace:
    """Object key and index entry for one file of known size and hash."""

    key: str
    entry: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Uploads:
    """Signs upload addresses and stores the files; `secret` stays in the hub."""

    backend: Backend
    secret: bytes = field(repr=False)

    def ticket(self, site: str, asked: UploadRequest, name: str | None = None) -> UploadTicket:
        """Sign an address for a file of exactly this size and hash.

        Parameters
        ----------
        name : the caller's Idempotency-Key: a repeated key has the same upload
        """
        subject = Subject(asked.model, asked.version, asked.plan_hash)
        grant = access.require(self.backend, site, subject)
        upload = f"upload-{digest(['upload', site, name or secrets.token_hex(16)])[:32]}"
        if self.backend.index.get("uploads", f"{site}#{upload}") is None:
            self._check_cases_left(site, subject, grant)
        end = self.backend.now + TICKET_SECONDS
        offer = self._offer(site, upload, asked, end)
        note = Write(
            partition="uploads",
            key=f"{site}#{upload}",
            value={"grant": grant.key},
            # an unused address counts until it expires
            expires=end if offer.url.startswith("/") else self.backend.now + KEEP_SECONDS,
        )
        with suppress(Conflict):  # a repetition: the file may be stored already
            self.backend.index.commit([note])
        return UploadTicket(
            id=upload,
            url=offer.url,
            headers=dict(offer.headers),
            not_after=datetime.fromtimestamp(end, UTC),
        )

    def _check_cases_left(self, site: str, subject: Subject, grant: Item) -> None:
        """Refuse an upload for which the grant has no case left; files wait for their scoring."""
        left = grant.value["max_cases"] - grant.value["used"]
        model = registry.model(self.backend, subject.model, subject.version)
        files = MAX_CASE_FILES if model.registration.inputs.kind == "combined" else 1
        found = self.backend.index.query("uploads", f"{site}#")
        waiting = sum(item.value.get("grant") == grant.key for item in found)
        if left <= 0:
            raise Refusal(403, "The limit of cases is reached", "ask the operator for more cases")
        if waiting >= left * files:
            title = "Files for all cases that are left wait for their scoring"
            raise Refusal(429, title, "send their cases first", retryable=True)

    def place(self, upload: str, terms: str, signature: str) -> UploadPlace:
        """Check an upload address before its file is read: signature and end."""
        if not hmac.compare_digest(self._sign(upload, terms).encode(), signature.encode()):
            raise Refusal(403, "The upload address is not signed by this hub")
        site, size, sha256, end = terms.split(".")
        if int(end) <= self.backend.now:
            raise Refusal(403, "The upload address has expired", "request a new one")
        return UploadPlace(_object_key(site, upload), f"{site}#{upload}", int(size), sha256)

    def store(self, place: UploadPlace, data: bytes) -> None:
        """Store a file; its size and hash must be those of the address."""
        if len(data) != place.size or hashlib.sha256(data).hexdigest() != place.sha256:
            title = "The file does not match the address"
            raise Refusal(422, title, "request an address for this file")
        check_file(data)
        self._keep(place)
        self.backend.objects.put_if_absent(place.key, data)
        try:
            self._check_open(place)
        except Refusal:  # scored meanwhile: a late repetition leaves nothing behind
            self.backend.objects.delete(place.key)
            raise

    def _keep(self, place: UploadPlace) -> None:
        """Keep a file for a day from its arrival; its address expires earlier."""
        item = self._check_open(place)
        end = self.backend.now + KEEP_SECONDS
        if item.expires is None or item.expires >= end:
            return
        with suppress(Conflict):  # a repetition is first, or the file is scored: checked again
            self.backend.index.commit([replace(item.updated(item.value), expires=end)])

    def _check_open(self, place: UploadPlace) -> Item:
        item = self.backend.index.get("uploads", place.entry)
        if item is None:
            raise Refusal(403, "The upload address was used before", "request a new one")
        return item

    def instance(self, site: str, uploads: Iterable[str]) -> dict[str, Any]:
        """Return the files of one instance: in base64 if they fit into a call, else by address."""
        keys = [_object_key(site, upload) for upload in uploads]
        files: list[bytes] = []
        size = 0
        for key in keys:
            data = self.backend.objects.get(key)
            _check_again(data)
            size += len(data)
            # A study may be large: files beyond the limit are checked one by one and not kept.
            files = [*files, data] if size <= MAX_INLINE_BYTES - ROW_BYTES else []
        if size > MAX_INLINE_BYTES - ROW_BYTES:
            return {"addresses": [self.backend.objects.address(key) for key in keys]}
        return {"files": [base64.b64encode(data).decode() for data in files]}

    def check_stored(self, site: str, uploads: Iterable[str]) -> None:
        """Refuse uploads that are not stored for this site."""
        stored = set(self.backend.objects.keys(f"uploads/{site}/"))
        lost = [i for i, upload in enumerate(uploads) if _object_key(site, upload) not in stored]
        if lost:
            title = f"{counted(len(lost), 'upload is', 'uploads are')} not stored here"
            raise Refusal(422, title, f"first at {lost[0]}; upload the files again")

    def delete(self, site: str, uploads: Iterable[str]) -> None:
        """Delete files that are scored, and close their addresses."""
        for upload in uploads:
            item = self.backend.index.get("uploads", f"{site}#{upload}")
            if item is not None:
                with suppress(Conflict):  # another process deletes it as well
                    self.backend.index.commit([item.updated(None)])
            self.backend.objects.delete(_object_key(site, upload))

    def _offer(self, site: str, upload: str, asked: UploadRequest, end: int) -> Offer:
        """Return a signed address of the object store, or of the hub if the store offers none."""
        offer = self.backend.objects.offer(
            _object_key(site, upload), asked.size, asked.sha256, TICKET_SECONDS
        )
        terms = f"{site}.{asked.size}.{asked.sha256}.{end}"
        signature = self._sign(upload, terms)
        return offer or Offer(f"/v1/uploads/{upload}?terms={terms}&signature={signature}", {})

    def _sign(self, upload: str, terms: str) -> str:
        return hmac.new(self.secret, f"{upload}?{terms}".encode(), hashlib.sha256).hexdigest()


def _check_again(data: bytes) -> None:
    """Keep a file from the model that an object store received without the hub."""
    try:
        check_file(data)
    except Refusal as refused:
        raise ModelFailed(refused.title) from None


def _object_key(site: str, upload: str) -> str:
    return f"uploads/{site}/{upload}.dcm"
