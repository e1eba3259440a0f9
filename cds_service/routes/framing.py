"""EHRs that open the form in a frame of theirs: which may, and the cookies that work there."""

from __future__ import annotations

from fastapi import Response

from cds_service.settings import Settings

_POLICY = "Content-Security-Policy"
_NOBODY = "frame-ancestors 'none'"


def framed(reply: Response, settings: Settings) -> Response:
    """A page that the configured EHRs may show in a frame; nobody when none is configured."""
    if settings.frame_ancestors and _POLICY in reply.headers:
        allowed = f"frame-ancestors {' '.join(settings.frame_ancestors)}"
        reply.headers[_POLICY] = reply.headers[_POLICY].replace(_NOBODY, allowed)
    return reply


def set_cookie(reply: Response, settings: Settings, name: str, value: str, path: str, seconds: int) -> None:
    """A cookie that scripts cannot read; one that a frame is to get back has to say so (CHIPS)."""
    secure = settings.public_url.startswith("https://")
    in_frame = secure and bool(settings.frame_ancestors)
    reply.set_cookie(
        name,
        value,
        max_age=seconds,
        path=path,
        secure=secure,
        httponly=True,
        samesite="none" if in_frame else "lax",
    )
    if in_frame:
        # Python before 3.14 knows no such attribute.
        last = reply.raw_headers[-1]
        reply.raw_headers[-1] = (last[0], last[1] + b"; Partitioned")
