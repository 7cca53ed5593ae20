"""Client: all calls of one hub with one credential."""

from healthval.client.holder import HolderCalls
from healthval.client.operator import OperatorCalls
from healthval.client.site import SiteCalls


class Client(SiteCalls, OperatorCalls, HolderCalls):
    """Calls of one hub with one credential.

    Parameters
    ----------
    url : the hub's origin; https, or http on loopback; for an AWS role, the API's own address
    storage : further origins to which the hub may direct uploads; Amazon S3 needs no entry
    """
