"""The least that any service in this language does with a hook: read the body, parse the JSON, answer. ASGI.

What ``hook_latency`` sets the service beside: the rest is what deciding, tokens and durable rows cost.
"""

from __future__ import annotations

import orjson
from starlette.types import Receive, Scope, Send

_ANSWER = b'{"cards":[]}'
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(_ANSWER)).encode())]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer every request alike, once its JSON is parsed."""
    if scope["type"] != "http":
        return
    body, more = bytearray(), True
    while more:
        message = await receive()
        body += message["body"]
        more = message.get("more_body", False)
    if body:
        orjson.loads(body)
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _ANSWER})
