"""Client of the hub: access, predictions, submissions, models and reports.

The credential is a key pair that the site creates and keeps; the hub has the public half only.
"""

from healthval.client.asynchronous import AsyncClient
from healthval.client.calls import wire_bytes
from healthval.client.client import Client
from healthval.client.holder import ModelContract
from healthval.client.operator import SiteSubmission
from healthval.client_transport import published_keys
from healthval.credential import Credential

__all__ = [
    "AsyncClient",
    "Client",
    "Credential",
    "ModelContract",
    "SiteSubmission",
    "published_keys",
    "wire_bytes",
]
