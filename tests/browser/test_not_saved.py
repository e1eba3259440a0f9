"""An EHR that does not take the answers: they are kept, and can be sent again."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
from playwright.sync_api import Browser, expect
from starlette.responses import Response

from tests.browser.conftest import Look
from tests.browser.walking import DERBY, EARLIER_OPERATIONS, OPPOSITE_BREAST, PURPOSE, answered, submitted
from tests.chromium import DESK
from tests.running_service import NOON, ROOT, running_service
from tests.smart.authorization_server import CLIENT_ID, authorization_server

CREATE = "POST /fhir/QuestionnaireResponse"


def test_answers_that_the_ehr_refuses_are_kept_and_sent_again(
    chromium: Browser, tmp_path: Path, look: Look
) -> None:
    order = json.loads((ROOT / "fhir_fixtures" / "hooks" / f"{DERBY['order']}.json").read_text())
    listed = tmp_path / "smart-servers.json"
    with authorization_server() as server:
        ehr = server.ehr(int(NOON.timestamp()))
        ehr.token = {
            "patient": DERBY["patient"],
            "fhirContext": [{"reference": "ServiceRequest/mastopexy-1"}],
        }
        ehr.instead[CREATE] = Response(status_code=503)
        known = {
            "issuer": ehr.issuer,
            "client": "ehr",
            "client_id": CLIENT_ID,
            "authentication": {"method": "none"},
        }
        listed.write_text(json.dumps({"servers": [known]}))
        with running_service(tmp_path / "service.db", smart_servers=listed) as url:
            answer = httpx.post(f"{url}/cds-services/procedure-funding", json=order).raise_for_status()
            (link,) = answer.json()["cards"][0]["links"]
            page = chromium.new_context(viewport=DESK).new_page()
            page.goto(str(httpx.URL(link["url"]).copy_merge_params({"iss": ehr.issuer, "launch": "l1"})))

            answered(page, "Has this patient had breast cancer", "Yes")
            answered(page, PURPOSE, OPPOSITE_BREAST)
            answered(page, EARLIER_OPERATIONS, "0")
            submitted(page)
            expect(page.get_by_role("heading", level=1)).to_contain_text("not in the patient's record yet")
            look(page, "not-saved")
            del ehr.instead[CREATE]
            page.get_by_role("button", name="Send again").click()

            expect(page.get_by_role("heading", level=1)).to_have_text("Answers sent")
            expect(page.locator("main")).to_contain_text("Your answers are in the patient's record.")
            page.context.close()
    assert [form["status"] for form in ehr.forms.values()] == ["completed"]
