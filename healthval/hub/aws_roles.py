"""Calls that an IAM role signed by AWS Signature Version 4, and API Gateway has checked.

The identity comes from the context that API Gateway writes into a function's event, never from a header
or a body. A signature of AWS may be used again for five minutes, so the query, which it covers, has a
name that is valid once.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from healthval.contracts.aws_role import AwsRole, session_role
from healthval.hub.audit_chain import record
from healthval.hub.ports import Backend, Item, Refusal, Write

# Key of the ASGI scope, which the adapter of Lambda sets; a header or a body cannot.
IDENTITY = "healthval.aws_identity"
# API Gateway accepts a time of signing that is five minutes early or late.
USE_SECONDS = 900
USE = re.compile(r"[A-Za-z0-9_-]{16,64}")
_ROLE_ID = re.compile(r"[A-Z0-9]{16,128}")


@dataclass(frozen=True, slots=True)
class RoleSession:
    """Session of a role that signed a request.

    `role_id` is the id that AWS gives to one role and never again; `use` is valid once;
    `body_sha256` is the body's hash where a header states it.
    """

    role: AwsRole
    role_id: str
    use: str
    body_sha256: str | None = None


def role_session(
    identity: Mapping[str, Any], query: str, body_sha256: str | None
) -> tuple[RoleSession, str]:
    """Read the identity of a signed request; return it with the query as the caller meant it.

    Parameters
    ----------
    identity : `requestContext.authorizer.iam` of the event
    query : as sent
    body_sha256 : header X-Amz-Content-SHA256, which may state that the body is not signed

    Raises
    ------
    Refusal
        403 for a user or the root user; 401 for a signature in the query, which is valid for up to
        seven days, and for a query without one `jti`.
    """
    parts = query.split("&") if query else []
    if any(part.lower().startswith("x-amz-") for part in parts):
        raise Refusal(401, "The query is signed", "sign the headers of each request instead")
    uses = [part[4:] for part in parts if part.startswith("jti=")]
    if len(uses) != 1 or not USE.fullmatch(uses[0]):
        detail = "add jti=..., 16 to 64 letters, digits, - or _, a new one for each request"
        raise Refusal(401, "A request that a role signs has one jti in its query", detail)
    rest = "&".join(part for part in parts if not part.startswith("jti="))
    try:
        role = session_role(str(identity.get("userArn")))
    except ValueError:
        detail = "sign with the temporary credentials of a role"
        raise Refusal(403, "The caller is no role of AWS", detail) from None
    role_id = str(identity.get("userId")).partition(":")[0]
    if not _ROLE_ID.fullmatch(role_id):
        raise Refusal(403, "The caller is no role of AWS", "the role has no id")
    return RoleSession(role, role_id, uses[0], body_sha256), rest


def check_same_role(backend: Backend, item: Item, session: RoleSession) -> None:
    """Refuse a role that was made anew under the name of a known one; the first call binds the id."""
    known = item.value.get("role_id")
    if known is None:
        known = record(
            backend,
            lambda: _bound(backend, item, session),
            actor=item.key,
            action="role.bound",
            subject=item.key,
        )
    if known != session.role_id:
        title = "This role was deleted and made again under the same name"
        raise Refusal(401, title, "ask the operator to enrol a role with another name")


def _bound(backend: Backend, item: Item, session: RoleSession) -> tuple[str, list[Write]]:
    stored = backend.index.get(item.partition, item.key) or item
    if (known := stored.value.get("role_id")) is not None:
        return str(known), []
    return session.role_id, [stored.updated({**stored.value, "role_id": session.role_id})]
