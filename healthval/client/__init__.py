"""Client of the hub: access, predictions, submissions, models and reports.

The credential is a key pair that the site creates and keeps; the hub has the public half only.
"""

from healthval.client.calls import wire_bytes
from healthval.client.holder import HolderCalls
from healthval.client.operator import OperatorCalls, SiteSubmission
from healthval.client.site import SiteCalls
from healthval.client_transport import published_keys
from healthval.credential import Credential

__all__ = ["Client", "Credential", "SiteSubmission", "published_keys", "wire_bytes"]


class Client(SiteCalls, OperatorCalls, HolderCalls):
    """Calls of one hub with one credential.

    Parameters
    ----------
    url : the hub's origin; https, or http on loopback
    storage : further origins to which the hub may direct uploads; Amazon S3 needs no entry
    """
