"""Whatever is wrong with a token, the answer is the same; and a good one is good once, over processes and restarts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from socket import socket
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from cds_service.app import create_app
from cds_service.settings import Settings
from tests.hook_requests import everything_read, hook_request
from tests.running_service import ROOT
from tests.trust.bad_tokens import REFUSED, bent, part
from tests.trust.tokens import (
    ISSUER,
    JWKS_URL,
    NOW,
    NOW_SECONDS,
    b64,
    bearer,
    claims,
    good,
    header,
    jwk,
    private_key,
)

HOOK = "/cds-services/procedure-funding"
PUBLIC = "https://cds.example"
# The key that signs, and by which algorithm.
KEYS = (("P-384", "ES384"), ("P-256", "ES256"), ("RSA-2048", "RS384"), ("RSA-2048", "RS256"))

Vector = tuple[str, Callable[[], str | None]]


def signed(kid: str, algorithm: str, **changes: object) -> str:
    """A token by one of our keys, with other claims."""
    return bearer(header(alg=algorithm, kid=kid), claims(**changes))


def with_signature(authorization: str, change: Callable[[bytes], bytes]) -> str:
    """The same with another signature."""
    content, _, signature = authorization.rpartition(".")
    return f"{content}.{b64(change(urlsafe_b64decode(signature + '==')))}"


def for_each_key(kid: str, algorithm: str) -> Iterator[Vector]:
    """What is wrong whichever key signs."""

    def token(**changes: object) -> str:
        return signed(kid, algorithm, **changes)

    yield "a signature of zeros", lambda: with_signature(token(), lambda each: bytes(len(each)))
    yield "a signature of ones", lambda: with_signature(token(), lambda each: b"\xff" * len(each))
    yield "a signature too short by one", lambda: with_signature(token(), lambda each: each[:-1])
    yield "a signature too long by one", lambda: with_signature(token(), lambda each: each + b"\0")
    yield "a signature backwards", lambda: with_signature(token(), lambda each: each[::-1])
    yield "a signature's half", lambda: with_signature(token(), lambda each: each[: len(each) // 2])
    yield "a header with one letter changed", lambda: bent(token(), 30)
    yield "claims with one letter changed", lambda: bent(token(), token().index(".") + 20)
    yield "claims of an earlier token", lambda: _mixed(token(jti="a"), token(jti="b"))
    yield "algorithm none", lambda: _mixed_header(token(), header(alg="none", kid=kid))
    yield "HS256", lambda: _mixed_header(token(), header(alg="HS256", kid=kid))
    yield "another kid", lambda: _mixed_header(token(), header(alg=algorithm, kid="RSA-2048/2"))
    yield (
        "a jku elsewhere",
        lambda: _mixed_header(token(), header(alg=algorithm, kid=kid, jku="https://x.example")),
    )
    yield "for another path", lambda: token(aud=f"{PUBLIC}/cds-services")
    yield "for another host", lambda: token(aud=f"https://evil.example{HOOK}")
    yield "by another issuer", lambda: token(iss="https://evil.example")
    yield "expired", lambda: token(iat=NOW_SECONDS - 400, exp=NOW_SECONDS - 61)
    yield "from the future", lambda: token(iat=NOW_SECONDS + 61, exp=NOW_SECONDS + 300)
    yield "good for a day", lambda: token(exp=NOW_SECONDS + 86_400)
    yield "without a jti", lambda: token(jti=None)


def _mixed(one: str, other: str) -> str:
    return f"Bearer {part(0, one)}.{part(1, other)}.{part(2, one)}"


def _mixed_header(authorization: str, head: dict[str, object]) -> str:
    return f"Bearer {b64(json.dumps(head).encode())}.{part(1, authorization)}.{part(2, authorization)}"


VECTORS: list[Vector] = [
    *((name, made) for name, _, made in REFUSED),
    *(
        (f"{algorithm}: {name}", made)
        for kid, algorithm in KEYS
        for name, made in for_each_key(kid, algorithm)
    ),
]


def clients_file(folder: Path, *kids: str) -> Path:
    """One client, with these keys."""
    client = {
        "name": "trust-a",
        "issuer": ISSUER,
        "algorithms": ["ES384", "RS384", "ES256", "RS256"],
        "jwks": {"keys": [jwk(kid, **({"alg": "RS384"} if "/" in kid else {})) for kid in kids]},
        "jwks_url": JWKS_URL,
    }
    file = folder / "clients.json"
    file.write_text(json.dumps({"clients": [client]}))
    return file


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The service, closed to all but one client."""
    folder = tmp_path_factory.mktemp("closed")
    settings = Settings(
        plans=(ROOT / "plans",),
        database_url=f"sqlite:///{folder / 'service.db'}",
        clients=clients_file(folder, "P-384", "P-256", "RSA-2048", "RSA-2048/2"),
        public_url=PUBLIC,
    )
    with TestClient(create_app(settings, clock=lambda: NOW)) as client:
        yield client


def called(client: TestClient, authorization: str | None) -> httpx.Response:
    headers = {} if authorization is None else {b"authorization": authorization.encode()}
    body = json.dumps(hook_request(**everything_read())).encode()
    answer: httpx.Response = client.post(HOOK, content=body, headers=headers)
    return answer


def test_there_are_180_bad_tokens() -> None:
    assert len(VECTORS) >= 180
    assert len({name for name, _ in VECTORS}) == len(VECTORS)


def test_every_bad_token_gets_one_identical_answer_and_none_uses_up_a_good_one(closed: TestClient) -> None:
    answers = Counter[Any]()
    for _, made in VECTORS:
        answer = called(closed, made())
        answers[answer.status_code, answer.content, tuple(sorted(answer.headers.items()))] += 1

    assert list(answers.values()) == [len(VECTORS)]
    assert next(iter(answers))[0] == 401
    for kid, algorithm in KEYS:
        assert called(closed, signed(kid, algorithm, jti=f"good-{algorithm}")).status_code == 200
    assert called(closed, good()).status_code == 200


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of ``cds-service serve`` in a process of its own, on this folder's database."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "CDS_PLANS": str(ROOT / "plans"),
        "CDS_DATABASE_URL": f"sqlite:///{folder / 'service.db'}",
        "CDS_CLIENTS": str(folder / "clients.json"),
        "CDS_PUBLIC_URL": PUBLIC,
    }
    command = [sys.executable, "-m", "cds_service.cli", "serve", "--port", str(port)]
    with subprocess.Popen(  # noqa: S603
        command, env=environment, cwd=ROOT, stderr=subprocess.DEVNULL
    ) as process:
        try:
            _wait_until_ready(f"http://127.0.0.1:{port}", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert process.poll() is None
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("not ready within a minute")


def test_a_token_is_accepted_once_over_two_processes_and_a_restart(tmp_path: Path) -> None:
    clients_file(tmp_path, "P-256")
    now = int(time.time())
    tokens = [
        bearer(
            header(alg="ES256", kid="P-256"),
            claims(aud=f"{PUBLIC}/cds-services", iat=now, exp=now + 600, jti=f"t{each}"),
            private_key("P-256"),
        )
        for each in range(30)
    ]

    with httpx.Client() as client, ThreadPoolExecutor(4) as callers:

        def answers(urls: list[str], token: str) -> list[int]:
            calls = [
                callers.submit(client.get, f"{url}/cds-services", headers={"Authorization": token})
                for url in urls * 2
            ]
            return sorted(call.result().status_code for call in calls)

        with served(tmp_path) as one, served(tmp_path) as other:
            first = [answers([one, other], token) for token in tokens]
        with served(tmp_path) as one:
            later = [answers([one], token) for token in tokens]

    assert first == [[200, 401, 401, 401]] * len(tokens)
    assert later == [[401, 401]] * len(tokens)
