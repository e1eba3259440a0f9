"""What an authorization server's own error codes mean, in words for the person who launched."""

from __future__ import annotations

_OTHER = "the EHR refused, with an error of its own"
# RFC 6749, sections 4.1.2.1 and 5.2; OpenID Connect Core, section 3.1.2.6. Any other text is a stranger's: not shown.
_REFUSALS = {
    "access_denied": "the EHR or its user refused access (access_denied)",
    "invalid_request": "the EHR did not understand the request (invalid_request)",
    "invalid_client": "the EHR does not accept this app's identification (invalid_client)",
    "unauthorized_client": "the EHR does not allow this app such a launch (unauthorized_client)",
    "unsupported_response_type": "the EHR offers no authorization codes (unsupported_response_type)",
    "unsupported_grant_type": "the EHR offers no such grant (unsupported_grant_type)",
    "invalid_scope": "the EHR does not offer what was asked for (invalid_scope)",
    "invalid_grant": "the EHR no longer accepts this launch (invalid_grant)",
    "server_error": "the EHR's authorization server failed (server_error)",
    "temporarily_unavailable": "the EHR's authorization server is busy (temporarily_unavailable)",
    "login_required": "the EHR wants its user to log in first (login_required)",
    "consent_required": "the EHR wants its user's consent first (consent_required)",
    "interaction_required": "the EHR wants to ask its user something first (interaction_required)",
}


def server_refusal(code: object) -> str:
    """The words for an ``error`` of an authorization server."""
    return _REFUSALS.get(code, _OTHER) if isinstance(code, str) else _OTHER
