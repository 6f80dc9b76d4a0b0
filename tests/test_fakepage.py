"""scripts/fakepage behaves as real pages do, and says what is wrong in a script."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from xml.etree import ElementTree

import pytest

from fakes import SCRIPTS, load_script

fakepage = load_script("fakepage")

ATOM = "{http://www.w3.org/2005/Atom}"
NOON = datetime(2025, 9, 3, 12, 0, 0, 250000, timezone.utc)
INCIDENT = 'incident db investigating impact=major components=api "Slow" "We look."'
SHARED = Path(__file__).resolve().parents[2] / "shared" / "recordings" / "documents"


class Clock:
    """A clock that tests move."""

    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now

    def pass_seconds(self, count):
        self.now += timedelta(seconds=count)


@pytest.fixture
def clock():
    return Clock()


@contextlib.contextmanager
def served(flavour, clock, **options):
    with fakepage.FakePage(flavour, clock=clock, **options) as fake:
        fake.do('component api "API" operational')
        fake.do('component web "Dashboard" operational')
        yield fake


@pytest.fixture(params=["statuspage", "incidentio"])
def fake(request, clock):
    with served(request.param, clock) as fake:
        yield fake


@pytest.fixture
def statuspage(clock):
    with served("statuspage", clock) as fake:
        yield fake


@pytest.fixture
def incidentio(clock):
    with served("incidentio", clock) as fake:
        yield fake


def connect(fake):
    host = fake.url.partition("//")[2]
    return contextlib.closing(http.client.HTTPConnection(host, timeout=10))


def get(fake, path, headers=(), method="GET"):
    """(status, headers, body) of one request on a connection of its own."""
    with connect(fake) as connection:
        connection.request(method, path, headers=dict(headers))
        response = connection.getresponse()
        return response.status, response.headers, response.read()


def read_json(fake, name):
    return json.loads(get(fake, f"/api/v2/{name}.json")[2])


def read_entries(fake, path):
    root = ElementTree.fromstring(get(fake, path)[2])
    return root.findall(f"{ATOM}entry") or root.findall("channel/item")


def feed_path(fake, suffix=".atom"):
    return ("/history" if fake.page.flavour == "statuspage" else "/feed") + suffix


# --- HTTP ---


@pytest.mark.parametrize(
    "etag, form", [("weak", 'W/"[0-9a-f]+"'), ("strong", '"[0-9a-f]+"')]
)
def test_a_known_etag_is_answered_304_with_that_etag(clock, etag, form):
    with served("statuspage", clock, etag=etag) as fake:
        _, first, body = get(fake, "/history.atom")
        assert body and re.fullmatch(form, first["ETag"])
        known = {"If-None-Match": first["ETag"]}
        status, again, body = get(fake, "/history.atom", known)
        assert (status, again["ETag"], body) == (304, first["ETag"], b"")
        assert "Content-Type" not in again
        fake.do("component api major_outage")
        fake.do('incident db investigating "Down" "We look."')
        status, changed, _ = get(fake, "/history.atom", known)
        assert status == 200 and changed["ETag"] != first["ETag"]


def test_an_etag_is_found_in_a_list_and_compared_weakly(fake):
    etag = get(fake, feed_path(fake))[1]["ETag"]
    opaque = etag[len("W/") :]
    for known in (f'"other", {etag}', opaque, f'W/"a, b" ,{opaque}', "*", " * "):
        assert get(fake, feed_path(fake), {"If-None-Match": known})[0] == 304
    for unknown in ('"other"', 'W/"other"', opaque.strip('"'), ""):
        assert get(fake, feed_path(fake), {"If-None-Match": unknown})[0] == 200


def test_a_strong_etag_differs_between_encodings_and_a_weak_one_does_not(clock):
    zipped = {"Accept-Encoding": "gzip"}
    for etag, same in (("strong", False), ("weak", True)):
        with served("statuspage", clock, etag=etag) as fake:
            tags = [get(fake, "/history.rss", h)[1]["ETag"] for h in ({}, zipped)]
            assert (tags[0] == tags[1]) is same


def test_if_modified_since_counts_only_without_if_none_match(fake, clock):
    path = feed_path(fake)
    since = {"If-Modified-Since": get(fake, path)[1]["Last-Modified"]}
    assert since == {"If-Modified-Since": "Wed, 03 Sep 2025 12:00:00 GMT"}
    assert get(fake, path, since)[0] == 304
    assert get(fake, path, {**since, "If-None-Match": '"other"'})[0] == 200
    clock.pass_seconds(1)
    fake.do("component api major_outage")
    assert get(fake, path, since)[0] == 200
    assert get(fake, path, {"If-Modified-Since": "yesterday"})[0] == 200
    assert (
        get(fake, path, {"If-Modified-Since": "Thu, 04 Sep 2025 12:00:00 -0000"})[0]
        == 304
    )


def test_without_etags_only_the_date_validates(clock):
    with served("incidentio", clock, etag="none") as fake:
        _, headers, _ = get(fake, "/feed.atom")
        assert "ETag" not in headers
        assert get(fake, "/feed.atom", {"If-None-Match": '"any"'})[0] == 200
        since = {"If-Modified-Since": headers["Last-Modified"]}
        assert get(fake, "/feed.atom", since)[0] == 304


def test_gzip_is_sent_to_those_who_accept_it(fake):
    path = "/api/v2/components.json"
    plain = get(fake, path)[2]
    for accepted in ("gzip", "deflate, GZIP;q=0.5", "*"):
        _, headers, body = get(fake, path, {"Accept-Encoding": accepted})
        assert headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(body) == plain
    for refused in ("identity", "br", "gzip;q=0", "gzip; q=0.0"):
        _, headers, body = get(fake, path, {"Accept-Encoding": refused})
        assert "Content-Encoding" not in headers and body == plain


def test_head_has_the_headers_of_get_and_no_body(fake):
    _, whole, body = get(fake, feed_path(fake))
    status, headers, nothing = get(fake, feed_path(fake), method="HEAD")
    assert (status, nothing) == (200, b"")
    assert headers["Content-Length"] == str(len(body))
    assert headers["ETag"] == whole["ETag"]
    assert headers["Cache-Control"] == "max-age=0"


def test_one_connection_serves_many_requests(fake):
    with connect(fake) as connection:
        for path in (feed_path(fake), "/nothing", "/", "/api/v2/summary.json"):
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            assert response.version == 11 and not response.will_close
            assert len(fake._server._open) == 1


def test_requests_are_recorded(fake):
    get(fake, "/nothing?page=2", {"X-Test": "yes"})
    get(fake, feed_path(fake), {"If-None-Match": "*"})
    (path, headers, status), known = fake.requests
    assert (path, headers["x-test"], status) == ("/nothing?page=2", "yes", 404)
    assert known.status == 304


def test_anything_else_is_an_html_404(fake):
    status, headers, body = get(fake, "/api/v2/nothing.json")
    assert status == 404
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert body.startswith(b"<!DOCTYPE html>")


def test_the_front_page_links_the_feeds(fake):
    status, headers, body = get(fake, "/")
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    for suffix, kind in ((".atom", "atom"), (".rss", "rss")):
        link = '<link rel="alternate" type="application/{}+xml" href="{}">'
        assert link.format(kind, feed_path(fake, suffix)) in body.decode()


def test_no_thread_is_left_when_a_client_keeps_its_connection():
    fake = fakepage.FakePage()
    with connect(fake) as connection:
        with fake:
            connection.request("GET", "/")
            connection.getresponse().read()
            assert "fakepage" in [thread.name for thread in threading.enumerate()]
            before = threading.active_count()
        assert threading.active_count() == before - 2
        assert connection.sock.recv(1) == b""


# --- Statuspage ---


def test_a_statuspage_summary_has_what_the_real_one_has(statuspage, clock):
    statuspage.do(INCIDENT)
    statuspage.do('maintenance m1 scheduled components=web "Work" "Planned."')
    summary = read_json(statuspage, "summary")
    assert summary["page"] == {
        "id": statuspage.page.id,
        "name": "Example",
        "url": statuspage.url,
        "time_zone": "Etc/UTC",
        "updated_at": "2025-09-03T12:00:00.250Z",
    }
    assert [c["name"] for c in summary["components"]] == ["API", "Dashboard"]
    (incident,) = summary["incidents"]
    (update,) = incident["incident_updates"]
    assert re.fullmatch("[0-9a-z]{12}", incident["id"])
    assert (incident["status"], incident["impact"]) == ("investigating", "major")
    assert update["incident_id"] == incident["id"]
    assert [c["name"] for c in incident["components"]] == ["API"]
    (maintenance,) = summary["scheduled_maintenances"]
    assert maintenance["impact"] == "maintenance"
    assert maintenance["scheduled_for"] < maintenance["scheduled_until"]
    assert summary["status"]["indicator"] == "none"


@pytest.mark.skipif(not SHARED.exists(), reason="the recordings are not here")
def test_statuspage_documents_have_the_keys_of_a_recorded_one(statuspage):
    statuspage.do(INCIDENT)
    statuspage.do('maintenance m1 scheduled components=web "Work" "Planned."')
    recorded = SHARED / "statuspage-summary" / "cloudflare-1.json"
    real, ours = json.loads(recorded.read_text("utf-8")), read_json(
        statuspage, "summary"
    )
    assert set(ours) == set(real)
    assert set(ours["page"]) == set(real["page"])
    for part in ("components", "incidents", "scheduled_maintenances"):
        assert set(ours[part][0]) - set(real[part][0]) <= {"reminder_intervals"}
        assert set(real[part][0]) <= set(ours[part][0])
    updates = [d["incidents"][0]["incident_updates"][0] for d in (real, ours)]
    affected = [update["affected_components"][0] for update in updates]
    assert set(updates[0]) == set(updates[1])
    assert set(affected[0]) == set(affected[1])


def test_statuspage_lists_each_incident_where_it_belongs(statuspage):
    statuspage.do(INCIDENT)
    statuspage.do('incident old resolved "Old" "It was over at once."')
    statuspage.do('maintenance m1 completed "Work" "Done."')
    statuspage.do('maintenance m2 in_progress "More work" "At it."')

    def names(document, part):
        return [incident["name"] for incident in read_json(statuspage, document)[part]]

    assert names("incidents", "incidents") == ["Old", "Slow"]
    assert names("incidents/unresolved", "incidents") == ["Slow"]
    assert names("summary", "incidents") == ["Slow"]
    assert names("summary", "scheduled_maintenances") == ["More work"]
    works = names("scheduled-maintenances", "scheduled_maintenances")
    assert works == ["More work", "Work"]
    assert len(read_entries(statuspage, "/history.atom")) == 4


def test_a_statuspage_entry_holds_all_updates_newest_first(statuspage, clock):
    statuspage.do(INCIDENT)
    clock.pass_seconds(60)
    statuspage.do('update db "Still looking,\nand R&D too."')
    clock.pass_seconds(60 * 60)
    statuspage.do('update db resolved "Fixed."')
    (entry,) = read_entries(statuspage, "/history.atom")
    small = (
        "<p><small>Sep <var data-var='date'> 3</var>,"
        " <var data-var='time'>{}</var> UTC</small><br><strong>{}</strong> - {}</p>"
    )
    assert entry.findtext(f"{ATOM}content") == (
        small.format("13:01", "Resolved", "Fixed.")
        + small.format("12:01", "Update", "Still looking,<br />and R&D too.")
        + small.format("12:00", "Investigating", "We look.")
    )
    assert entry.findtext(f"{ATOM}id") == "tag:127.0.0.1,2005:Incident/1003"
    assert entry.findtext(f"{ATOM}updated") == "2025-09-03T13:01:00Z"
    known = read_json(statuspage, "incidents")["incidents"][0]["id"]
    link = f"{statuspage.url}/incidents/{known}"
    assert entry.find(f"{ATOM}link").get("href") == link
    (item,) = read_entries(statuspage, "/history.rss")
    assert item.findtext("link") == item.findtext("guid") == link
    assert item.findtext("pubDate") == "Wed, 03 Sep 2025 13:01:00 +0000"
    text = item.findtext("description").strip()
    assert text == entry.findtext(f"{ATOM}content")


def test_a_statuspage_feed_has_a_window(statuspage, clock):
    for number in range(30):
        statuspage.do(f'incident i{number} resolved "No {number}" "Over."')
        clock.pass_seconds(1)
    titles = [
        e.findtext(f"{ATOM}title") for e in read_entries(statuspage, "/history.atom")
    ]
    assert titles == [f"No {number}" for number in range(29, 4, -1)]


# --- incident.io ---


def test_incidentio_leaves_out_what_is_empty(incidentio):
    assert set(read_json(incidentio, "summary")) == {"page", "components", "status"}
    assert set(read_json(incidentio, "incidents")) == {"page"}
    assert get(incidentio, "/api/v2/incidents/unresolved.json")[0] == 404


def test_an_incidentio_incident_names_no_component(incidentio):
    incidentio.do(INCIDENT)
    (incident,) = read_json(incidentio, "summary")["incidents"]
    assert "components" not in incident
    ulid = "[0-9A-HJKMNP-TV-Z]{26}"
    assert re.fullmatch(ulid, incident["id"])
    assert re.fullmatch(ulid, incident["incident_updates"][0]["id"])
    assert incident["created_at"] == "2025-09-03T12:00:00Z"
    component, _ = read_json(incidentio, "components")["components"]
    assert "group" not in component and re.fullmatch(ulid, component["id"])


@pytest.mark.skipif(not SHARED.exists(), reason="the recordings are not here")
def test_incidentio_documents_have_the_keys_of_a_recorded_one(incidentio):
    incidentio.do(INCIDENT)
    recorded = SHARED / "incidentio" / "openai-1.json"
    real, ours = json.loads(recorded.read_text("utf-8")), read_json(
        incidentio, "summary"
    )
    assert set(ours) == set(real)
    assert set(ours["page"]) == set(real["page"])
    for part in ("components", "incidents"):
        assert set(ours[part][0]) == set(real[part][0])
    updates = [d["incidents"][0]["incident_updates"][0] for d in (real, ours)]
    assert set(updates[0]) == set(updates[1])


def test_an_incidentio_entry_holds_the_latest_update_and_the_components(
    incidentio, clock
):
    incidentio.do(INCIDENT)
    incidentio.do("component api degraded_performance")
    clock.pass_seconds(60)
    incidentio.do('update db identified "Found ]]> it."')
    (entry,) = read_entries(incidentio, "/feed.atom")
    text = (
        "<b>Status: Identified</b><br/><br/>Found ]]> it.<br/><br/>"
        "<b>Affected components</b><ul><li>API (Degraded performance)</li></ul>"
    )
    assert entry.findtext(f"{ATOM}summary") == entry.findtext(f"{ATOM}content") == text
    assert entry.find(f"{ATOM}published") is None
    assert entry.findtext(f"{ATOM}updated") == "2025-09-03T12:01:00.250Z"
    known = read_json(incidentio, "incidents")["incidents"][0]["id"]
    link = f"{incidentio.url}//incidents/{known}"
    assert entry.findtext(f"{ATOM}id") == entry.find(f"{ATOM}link").get("href") == link
    (item,) = read_entries(incidentio, "/feed.rss")
    assert (item.findtext("guid"), item.findtext("description")) == (link, text)


def test_incidentio_answers_under_both_names_of_its_feeds(incidentio):
    incidentio.do(INCIDENT)
    for suffix in (".atom", ".rss"):
        feeds = [get(incidentio, path + suffix)[2] for path in ("/feed", "/history")]
        assert feeds[0] == feeds[1]


def test_an_incidentio_summary_shows_a_changing_choice_of_components(incidentio, clock):
    for number in range(30):
        incidentio.do(f"component c{number} operational")

    def shown(document):
        return {c["id"] for c in read_json(incidentio, document)["components"]}

    before = shown("summary")
    assert len(before) == 25 and before < shown("components")
    clock.pass_seconds(60)
    incidentio.do("component api partial_outage")
    assert len(shown("summary")) == 25 and shown("summary") != before
    assert len(shown("components")) == 32


# --- All flavours ---


def played(flavour, clock):
    """A page of the flavour on which much has happened and some is still going on."""
    fake = fakepage.FakePage(flavour, clock=clock)
    for step in fakepage.parse_script(fakepage.EXAMPLE, "example"):
        clock.pass_seconds(60)
        fake.do(step.line)
    fake.do("component api major_outage")
    fake.do('incident new identified impact=critical components=api "R&D" "A < B."')
    fake.do('maintenance m2 in_progress components=api "More work" "At it."')
    return fake


@pytest.mark.parametrize("flavour", fakepage.DOCUMENTS)
def test_every_document_of_every_flavour_is_what_its_content_type_says(flavour, clock):
    read = {
        "json": json.loads,
        "xml": ElementTree.fromstring,
        "html": lambda body: re.match(b"(?s)<!DOCTYPE html>\n<html>.*</html>\n", body)[
            0
        ],
    }
    with played(flavour, clock) as fake:
        for path in fakepage.DOCUMENTS[flavour]:
            status, headers, body = get(fake, path)
            assert status in (200, 301, 302)
            kind = re.split("[;/+]", headers["Content-Type"])
            read[next(name for name in read if name in kind)](body)
            assert status == 200 or headers["Location"].startswith(fake.url + "/")


@pytest.mark.parametrize("flavour", fakepage.DOCUMENTS)
def test_no_document_changes_while_nothing_happens(flavour, clock):
    with played(flavour, clock) as fake:
        paths = list(fakepage.DOCUMENTS[flavour])
        before = [get(fake, path)[2] for path in paths]
        clock.pass_seconds(3600)
        assert [get(fake, path)[2] for path in paths] == before


def test_aws_serves_utf_16_with_a_byte_order_mark_and_says_so(clock):
    with played("aws", clock) as fake:
        _, headers, body = get(fake, "/public/currentevents")
    assert headers["Content-Type"] == "application/json;charset=utf-16"
    assert body.startswith(b"\xfe\xff\0[\0{")
    statuses = [event["status"] for event in json.loads(body.decode("utf-16"))]
    assert statuses == ["3", "0"]


def test_status_io_says_the_id_of_its_page_in_a_header(clock):
    with played("statusio", clock) as fake:
        assert get(fake, "/")[1]["X-Status-Page-Id"] == fakepage.PAGE_ID


def test_better_stack_pairs_went_down_and_recovered_under_one_guid(clock):
    with served("betterstack", clock) as fake:
        for status in ("major_outage", "operational", "degraded_performance"):
            clock.pass_seconds(60)
            fake.do(f"component api {status}")
        items = read_entries(fake, "/feed.rss")
    titles = [item.findtext("title") for item in items]
    assert titles == ["API went down", "API recovered", "API went down"]
    third, second, first = [item.findtext("guid") for item in items]
    assert first == second != third


def test_what_looks_like_a_page_and_is_none_answers_on_every_path(clock):
    for flavour, path in (("spa", "/any.json"), ("marketing", "/history.atom")):
        with served(flavour, clock) as fake:
            status, headers, _ = get(fake, path)
            assert (status, headers["Content-Type"]) == (200, fakepage.HTML)
    with served("login", clock) as fake:
        status, headers, _ = get(fake, "/any")
        assert (status, headers["Location"]) == (302, fake.url + "/login")
    with served("moved", clock) as fake:
        status, headers, _ = get(fake, "/api/v2/summary.json")
        assert (status, headers["Location"]) == (301, fake.url + "/")
        fake.do("fail 503 60 path=/api/v2/summary.json")
        assert get(fake, "/api/v2/summary.json")[0] == 503


def test_fail_can_lead_somewhere_else(statuspage):
    statuspage.do("fail 301 60 path=/history.rss location=http://127.0.0.1:1/new")
    status, headers, _ = get(statuspage, "/history.rss")
    assert (status, headers["Location"]) == (301, "http://127.0.0.1:1/new")


NAMED = ("impacted_services",)  # objects whose keys are names and not words


def shape(value, path=""):
    """The paths of all keys in a JSON document, items of a list taken together."""
    if value in ([], None):
        return {path + "?"}  # what would be in it is not known
    if isinstance(value, list):
        return set().union(*(shape(item, path + "[]") for item in value))
    if not isinstance(value, dict):
        return set()
    named = path.endswith(NAMED)
    paths = [
        (path + "/" + ("*" if named else key), part) for key, part in value.items()
    ]
    return set().union(*({path} | shape(part, path) for path, part in paths))


@pytest.mark.skipif(not SHARED.exists(), reason="the recordings are not here")
@pytest.mark.parametrize(
    "flavour, path, recorded, own",
    [
        ("instatus", "/summary.json", "instatus/perplexity-1.json", "Maintenances"),
        ("betterstack", "/index.json", "betterstack/huggingface-1.json", ""),
        ("statusio", f"/1.0/status/{fakepage.PAGE_ID}", "statusio/gitlab-3.json", ""),
        ("google", "/incidents.json", "gcp-incidents/gcp-2.json", ""),
        ("aws", "/public/currentevents", "aws-currentevents/aws-1.json", ""),
        ("slack", "/api/v2.0.0/current", "slack-current/slack-1.json", ""),
        (
            "salesforce",
            "/v1/instances/NA1/status",
            "salesforce-trust/salesforce-1.json",
            "",
        ),
        ("cachet", "/api/v1/components", "cachet/yoti-1.json", ""),
        (
            "incidentio",
            "/proxy/127.0.0.1",
            "incidentio/openai-proxy-2.json",
            "/structure/items../component",
        ),
    ],
)
def test_documents_have_only_keys_of_recorded_ones(flavour, path, recorded, own, clock):
    """Own: the keys that other documents of the platform have."""
    with played(flavour, clock) as fake:
        ours = shape(json.loads(get(fake, path)[2]))
    real = shape(json.loads((SHARED / recorded).read_bytes()))
    unknown = tuple(key[:-1] for key in real if key.endswith("?"))
    ours = {
        key for key in ours if not key.endswith("?") and not key.startswith(unknown)
    }
    assert {key for key in ours - real if not own or not re.search(own, key)} == set()


# --- Steps ---


def test_a_component_step_changes_the_component_and_the_indicator(fake, clock):
    clock.pass_seconds(60)
    fake.do("component api major_outage")
    summary = read_json(fake, "summary")
    api, web = summary["components"]
    assert (api["status"], web["status"]) == ("major_outage", "operational")
    assert api["updated_at"] > web["updated_at"]
    assert summary["status"]["indicator"] == "critical"


def test_a_status_after_an_exclamation_mark_may_be_any_word(fake):
    fake.do("component api !on_fire")
    fake.do('incident db !Resolvido "Slow" "Acabou."')
    summary = read_json(fake, "summary")
    assert summary["components"][0]["status"] == "on_fire"
    assert summary["incidents"][0]["status"] == "Resolvido"


def test_an_edit_changes_the_words_and_neither_id_nor_date(fake, clock):
    fake.do(INCIDENT)
    (before,) = read_json(fake, "incidents")["incidents"][0]["incident_updates"]
    clock.pass_seconds(60)
    fake.do('edit db "We look closer."')
    (after,) = read_json(fake, "incidents")["incidents"][0]["incident_updates"]
    assert after["body"] == "We look closer."
    assert [after[k] for k in ("id", "status", "created_at")] == [
        before[k] for k in ("id", "status", "created_at")
    ]
    assert after["updated_at"] > before["updated_at"]


def test_affects_and_rename_change_an_incident_without_an_update(statuspage):
    statuspage.do(INCIDENT)
    statuspage.do("affects db web,api")
    statuspage.do('rename db "Slower"')
    statuspage.do('rename web "Web"')
    (incident,) = read_json(statuspage, "summary")["incidents"]
    assert [c["name"] for c in incident["components"]] == ["Web", "API"]
    assert incident["name"] == "Slower" and len(incident["incident_updates"]) == 1
    statuspage.do("affects db")
    assert read_json(statuspage, "summary")["incidents"][0]["components"] == []


def test_what_is_removed_is_gone_everywhere_and_comes_back_as_it_was(fake):
    fake.do(INCIDENT)
    before = read_json(fake, "summary")
    fake.do("remove db")
    fake.do("remove api")
    assert read_entries(fake, feed_path(fake)) == []
    assert not read_json(fake, "incidents").get("incidents")
    assert len(read_json(fake, "components")["components"]) == 1
    fake.do("restore db")
    fake.do("restore api")
    assert read_json(fake, "summary") == before


def test_an_incident_may_affect_a_component_that_was_removed(fake):
    fake.do(INCIDENT)
    fake.do("remove api")
    fake.do('update db "Still there."')
    assert "API" not in get(fake, feed_path(fake))[2].decode()
    assert "API" not in get(fake, "/api/v2/incidents.json")[2].decode()


def test_a_page_step_makes_it_another_page(fake):
    before = read_json(fake, "summary")["page"]
    fake.do('page "Another"')
    after = read_json(fake, "summary")["page"]
    assert after["name"] == "Another" and after["id"] != before["id"]


def test_documents_do_not_change_while_nothing_happens(fake, clock):
    fake.do(INCIDENT)
    paths = list(fakepage.DOCUMENTS[fake.page.flavour])
    before = [get(fake, path)[2] for path in paths]
    clock.pass_seconds(3600)
    assert [get(fake, path)[2] for path in paths] == before


def test_fail_answers_an_error_until_its_time_is_over(fake, clock):
    fake.do("fail 503 4 retry-after=2")
    status, headers, body = get(fake, feed_path(fake))
    assert (status, headers["Retry-After"]) == (503, "2")
    assert "ETag" not in headers and b"503 Service Unavailable" in body
    clock.pass_seconds(3.9)
    assert get(fake, feed_path(fake))[0] == 503
    clock.pass_seconds(0.1)
    assert get(fake, feed_path(fake))[0] == 200


def test_fail_can_be_of_one_path_and_ok_ends_it(fake):
    fake.do(f"fail 500 60 path={feed_path(fake)}")
    assert get(fake, feed_path(fake))[0] == 500
    assert get(fake, "/api/v2/summary.json")[0] == 200
    fake.do("ok")
    assert get(fake, feed_path(fake))[0] == 200


@pytest.mark.parametrize("what", ["html", "empty", "cut"])
def test_a_broken_200_carries_the_validators_of_the_good_one(fake, what):
    path = "/api/v2/components.json"
    _, headers, good = get(fake, path)
    fake.do(f"fail {what} 60")
    status, broken, body = get(fake, path, {"If-None-Match": headers["ETag"]})
    assert status == 200 and broken["ETag"] == headers["ETag"]
    with pytest.raises(ValueError):
        json.loads(body)
    assert {"html": b"<html>" in body, "empty": not body, "cut": good[:9] in body}[what]


def test_fail_drop_hangs_up_without_an_answer(fake):
    fake.do("fail drop 60")
    with pytest.raises(http.client.RemoteDisconnected):
        get(fake, feed_path(fake))
    assert fake.requests[-1].status == 0


def test_204_and_304_have_no_body_to_wait_for(fake):
    for status in ("204", "304"):
        fake.do(f"fail {status} 60")
        with connect(fake) as connection:
            for _ in range(2):
                connection.request("GET", "/")
                response = connection.getresponse()
                assert (response.status, response.read()) == (int(status), b"")


# --- Scripts ---


def test_the_example_of_the_help_can_be_played_on_both_flavours(fake):
    fake.do("remove api")
    steps = fakepage.parse_script(fakepage.EXAMPLE, "example")
    with fakepage.FakePage(fake.page.flavour) as fresh:
        for step in steps:
            fresh.do(step.line)
        (incident,) = read_json(fresh, "incidents")["incidents"]
    assert [u["status"] for u in incident["incident_updates"]] == [
        "resolved",
        "identified",
        "investigating",
    ]
    assert [step.at for step in steps] == [0, 0, 3, 6, 9, 12, 15, 18, 21]


def test_words_of_a_script_are_split_as_in_a_shell():
    text = "# nothing\n\n0.5 component api 'Bob''s \"API\"' operational # now\n"
    (step,) = fakepage.parse_script(text, "story")
    page = fakepage.Page("statuspage", "Example", NOON)
    page.do(fakepage.split(step.line), NOON)
    assert step.at == 0.5 and page.components["api"].name == 'Bobs "API"'


@pytest.mark.parametrize(
    "line, problem",
    [
        ("later component api operational", "not a number of seconds: 'later'"),
        ("-1 component api operational", "not a number of seconds: '-1'"),
        ("0 component api operational", "0 is before the step above it"),
        ("9", "unknown step ''"),
        ("9 explode api", "unknown step 'explode', expected component, incident, "),
        ("9 component api", 'wrong words, expected: component KEY ["NAME"] STATUS'),
        (
            "9 component api fine",
            "unknown component status 'fine', expected operational",
        ),
        (
            "9 incident new scheduled Slow Text",
            "unknown status 'scheduled', expected inv",
        ),
        ("9 incident new resolved impact=huge Slow Text", "unknown impact 'huge'"),
        (
            "9 incident new resolved impct=none Slow Text",
            "wrong words, expected: incid",
        ),
        (
            "9 incident new resolved components=x Slow Text",
            "no component is called 'x'",
        ),
        ("9 incident db resolved Slow Text", "'db' is there already"),
        ("9 component db operational", "'db' is no component"),
        (
            "9 maintenance m resolved Work Text",
            "unknown status 'resolved', expected sch",
        ),
        ("9 update db scheduled Text", "unknown status 'scheduled'"),
        ("9 update api Text", "'api' is no incident"),
        ("9 edit nothing Text", "nothing is called 'nothing'"),
        ("9 restore db", "nothing removed is called 'db'"),
        (
            "9 fail sometimes 3",
            "unknown failure 'sometimes', expected a status or html,",
        ),
        ("9 fail 503 soon", "not a number of seconds: 'soon'"),
        ("9 ok then", "wrong words, expected: ok"),
        ('9 edit db "Text', "no closing quotation"),
    ],
)
def test_a_bad_line_is_one_line_of_error_that_names_file_and_line(line, problem):
    text = f"1 component api operational\n# a comment\n2 {INCIDENT}\n{line}\n"
    with pytest.raises(fakepage.StepError) as caught:
        fakepage.parse_script(text, "story.txt")
    assert str(caught.value).startswith(f"story.txt:4: {problem}")
    assert "\n" not in str(caught.value)


def test_a_step_that_cannot_be_done_changes_nothing(fake):
    before = get(fake, "/api/v2/summary.json")[2]
    for line in ("component new fine", "incident db fine T T", "component 'open", ""):
        with pytest.raises(fakepage.StepError):
            fake.do(line)
    assert get(fake, "/api/v2/summary.json")[2] == before


# --- The program ---


@contextlib.contextmanager
def run(*args):
    command = [sys.executable, str(SCRIPTS / "fakepage"), *args]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, encoding="utf-8") as child:
        try:
            yield child
        finally:
            child.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_its_address_first_and_ends_cleanly_on_a_signal(number):
    with run("--flavour", "incidentio", "--speed", "0.001") as child:
        url = child.stdout.readline()
        assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+\n", url)
        child.send_signal(number)
        out, err = child.communicate(timeout=10)
        assert (child.returncode, out, "Traceback" in err) == (0, "", False)


def test_once_through_ends_after_the_last_step(tmp_path):
    script = tmp_path / "story"
    script.write_text("0 component api operational\n2 remove api\n", encoding="utf-8")
    with run("--script", str(script), "--speed", "1000", "--once-through") as child:
        _, err = child.communicate(timeout=10)
        assert child.returncode == 0
        assert err == "component api operational\nremove api\n"


def test_a_bad_script_or_a_missing_one_is_one_line_and_exit_2(tmp_path):
    script = tmp_path / "story"
    script.write_text("0 component api operational\n1 explode\n", encoding="utf-8")
    for path, problem in (
        (str(script), f"{script}:2: unknown"),
        ("none", "No such file"),
    ):
        with run("--script", path) as child:
            out, err = child.communicate(timeout=10)
            assert (child.returncode, out, err.count("\n")) == (2, "", 1)
            assert err.startswith("fakepage: ") and problem in err


def test_loading_it_writes_nothing_beside_it():
    assert not (SCRIPTS / "__pycache__").exists()
    assert os.access(SCRIPTS / "fakepage", os.X_OK)
