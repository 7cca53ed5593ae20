"""Routes of the dashboard: a static page that reads the API like any other caller."""

import mimetypes
from pathlib import Path

from fastapi import APIRouter, Response
from starlette.requests import Request

from healthval.hub.ports import Refusal

FOLDER = Path(__file__).parents[1] / "dashboard"
# Everything that the page loads is a file of this origin; nothing is written into it as markup.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# The name of an asset contains a hash of its content.
_FOREVER, _CHECKED = "public, max-age=31536000, immutable", "no-cache"


def routes() -> APIRouter:
    """Return the routes of the built page, read once from the package."""
    router = APIRouter(include_in_schema=False)
    page = (FOLDER / "index.html").read_bytes()
    assets = {path.name: path.read_bytes() for path in (FOLDER / "assets").iterdir()}

    @router.api_route("/", methods=["GET", "HEAD"])
    def index(request: Request) -> Response:
        """Return the page."""
        return _file(request, page, "text/html; charset=utf-8", _CHECKED)

    @router.api_route("/assets/{name}", methods=["GET", "HEAD"])
    def asset(name: str, request: Request) -> Response:
        """Return a script or a style sheet of the page."""
        if name not in assets:
            raise Refusal(404, "There is no such file here")
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return _file(request, assets[name], _TYPES.get(Path(name).suffix, kind), _FOREVER)

    return router


# The system's own list of types may name another one for scripts.
_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}


def _file(request: Request, data: bytes, kind: str, cache: str) -> Response:
    headers = {**_HEADERS, "Cache-Control": cache, "Content-Type": kind}
    if request.method == "HEAD":
        return Response(headers={**headers, "Content-Length": str(len(data))})
    return Response(data, headers=headers)
