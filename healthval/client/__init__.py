"""Client of the hub: access, predictions, submissions, models and reports.

The credential is a key pair that the site creates and keeps; the hub has the public half only. For a hub
on AWS it may be an IAM role instead.
"""

from healthval.client.asynchronous import AsyncClient
from healthval.client.calls import wire_bytes
from healthval.client.client import Client
from healthval.client.holder import ModelContract
from healthval.client.operator import SiteSubmission
from healthval.client_transport import published_keys
from healthval.credential import AnyCredential, Credential, RoleCredential, load_credential

__all__ = [
    "AnyCredential",
    "AsyncClient",
    "Client",
    "Credential",
    "ModelContract",
    "RoleCredential",
    "SiteSubmission",
    "load_credential",
    "published_keys",
    "wire_bytes",
]
