"""The whole service killed under load, again and again: no decision that a client got is lost, none is there twice.

``KILLS`` says how often (default 3); 100 take some ten minutes.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import httpx

from tests.operations.processes import served

KILLS = int(os.environ.get("KILLS", "3"))
CLIENTS = 4
ROOT = Path(__file__).parents[2]
REQUEST = json.loads((ROOT / "fhir_fixtures" / "hooks" / "derby-not-normally-funded.json").read_text())


class Load:
    """Clients that order without pause, and remember what they were answered."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self.answered: dict[str, str] = {}
        self._threads = [threading.Thread(target=self._orders, daemon=True) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _orders(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30) as client:
            while not self._stop.is_set():
                instance = str(uuid4())
                try:
                    reply = client.post(
                        "/cds-services/procedure-funding", json={**REQUEST, "hookInstance": instance}
                    )
                except httpx.TransportError:
                    return
                if reply.status_code == 200:
                    self.answered[instance] = reply.json()["cards"][0]["uuid"]

    def ended(self) -> dict[str, str]:
        """Hook instance → card, of every answer that came."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return self.answered


def test_no_decision_that_a_client_got_is_lost_or_doubled(tmp_path: Path) -> None:
    moments = random.Random(20261122)  # noqa: S311 - any moment will do
    answered: dict[str, str] = {}
    restarts: list[float] = []
    for _ in range(KILLS):
        began = time.monotonic()
        with served(tmp_path) as service:
            restarts.append(time.monotonic() - began)
            load = Load(service.url)
            give_up = time.monotonic() + 30
            while len(load.answered) < 5 and time.monotonic() < give_up:
                time.sleep(0.01)
            time.sleep(moments.uniform(0, 0.5))
            service.process.kill()
            answered |= load.ended()
    print(
        f"{KILLS} kills, {len(answered)} decisions; ready again after {min(restarts):.1f} to {max(restarts):.1f} s"
    )

    with closing(sqlite3.connect(tmp_path / "x.db")) as database:
        cards = dict(database.execute("SELECT card_id, decision_id FROM cards").fetchall())
        decisions = database.execute(
            "SELECT hook_instance, count(*) FROM decisions GROUP BY hook_instance"
        ).fetchall()
        sound = database.execute("PRAGMA integrity_check").fetchone()[0]
    assert len(answered) >= 5 * KILLS
    assert [card for card in answered.values() if card not in cards] == []
    assert [instance for instance, count in decisions if count > 1] == []
    assert sound == "ok"
