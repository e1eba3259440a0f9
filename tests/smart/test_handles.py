"""A handle opens only with our key, only as it was made, and only for a while; and only its own form."""

from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.errors import HandleError, WrongLaunchError
from cds_service.smart.handles import Binding, bound, handle, opened
from cds_service.smart.sealing import sealed, unsealed

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY = bytes(range(32))
ROW = "7f3a1c1e-9f43-4a9c-8a53-51b3f3a0a1b2"
BINDING = Binding("trust-a", "pat-1", "ServiceRequest/order-1", "https://cds.example/plans/hip|1.0")


def why(text: str, key: bytes = KEY, now: datetime = NOW) -> str:
    with pytest.raises(HandleError) as refused:
        opened(text, key, now)
    assert ROW not in str(refused.value)
    return refused.value.why


def test_a_handle_opens_to_its_row_until_its_last_second() -> None:
    made = handle(ROW, KEY, NOW, 900)

    assert opened(made, KEY, NOW) == ROW
    assert opened(made, KEY, NOW + timedelta(seconds=899)) == ROW
    assert why(made, now=NOW + timedelta(seconds=900)) == "expired"


def test_a_handle_is_short_says_nothing_and_needs_no_escaping_in_a_url() -> None:
    made = handle(ROW, KEY, NOW, 900)

    assert len(made) < 200
    assert quote(made, safe="") == made
    assert ROW not in made


def test_two_handles_of_a_row_differ() -> None:
    assert handle(ROW, KEY, NOW, 900) != handle(ROW, KEY, NOW, 900)


def test_no_handle_with_any_one_character_changed_left_out_or_doubled_opens() -> None:
    made = handle(ROW, KEY, NOW, 900)
    for place, character in enumerate(made):
        others = [each for each in (*string.ascii_letters, *string.digits, *"-_.=+/ ") if each != character]
        spoilt = [made[:place] + each + made[place + 1 :] for each in others]
        spoilt += [made[:place] + made[place + 1 :], made[:place] + character + made[place:]]
        for text in spoilt:
            # Of two equal neighbours, it does not matter which one is doubled or left out.
            assert text == made or why(text) == "tampered"


@given(st.text(max_size=400))
def test_no_text_of_a_stranger_opens(text: str) -> None:
    assert why(text) == "tampered"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "....",
        "eyJhbGciOiJub25lIn0.e30.",
        "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0....",
        "a" * 5_000,
        "ü" * 5,
        handle(ROW, bytes(32), NOW, 900),
        sealed({"id": ROW, "exp": 2**40}, KEY, "session"),
    ],
)
def test_what_is_no_handle_of_ours_is_tampered_with(text: str) -> None:
    assert why(text) == "tampered"


def test_what_is_sealed_for_one_purpose_is_nothing_for_another() -> None:
    made = sealed({"a": "b"}, KEY, "session")

    assert unsealed(made, KEY, "session") == {"a": "b"}
    assert unsealed(made, KEY, "handle") is None


def test_a_key_that_could_be_guessed_is_refused() -> None:
    with pytest.raises(ValueError, match="found a key of 31 bytes"):
        handle(ROW, KEY[:31], NOW, 900)


@pytest.mark.parametrize(
    "fhir_context", [(), ("ServiceRequest/order-1",), ("Coverage/1",), ("Task/1", "ServiceRequest/order-1")]
)
def test_a_launch_for_the_same_client_patient_and_order_is_bound(fhir_context: tuple[str, ...]) -> None:
    assert bound(BINDING, "trust-a", "pat-1", fhir_context) == BINDING


@pytest.mark.parametrize(
    ("client", "patient_id", "fhir_context", "differs"),
    [
        ("trust-b", "pat-1", (), "client"),
        (None, "pat-1", (), "client"),
        ("trust-a", "pat-2", (), "patient"),
        ("trust-a", "PAT-1", (), "patient"),
        ("trust-a", "pat-1", ("ServiceRequest/order-2",), "order"),
        ("trust-a", "pat-1", ("ServiceRequest/order-11", "Coverage/1"), "order"),
        ("trust-b", "pat-2", ("ServiceRequest/order-2",), "client"),
    ],
)
def test_a_launch_for_anything_else_is_refused_by_name_and_without_values(
    client: str | None, patient_id: str, fhir_context: tuple[str, ...], differs: str
) -> None:
    with pytest.raises(WrongLaunchError) as refused:
        bound(BINDING, client, patient_id, fhir_context)

    assert refused.value.binding == differs
    assert not [value for value in ("trust", "pat-", "PAT-", "order-") if value in str(refused.value)]
