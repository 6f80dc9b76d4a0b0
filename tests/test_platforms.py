"""Platforms: recordings of all but Statuspage as a reader sees them, and series.

Each document is read a second time here, by the simplest means that do for it. The
fixtures of tests/data are compared with what they must become in test_parsing.py.
"""

from __future__ import annotations

import html
import json
import pathlib
import re
import xml.etree.ElementTree as ET
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, List, Tuple

import pytest

from statuswatch import (
    INCIDENT_UPDATE,
    NEW_INCIDENT,
    ParseError,
    Provider,
    Source,
    Tracker,
    accept,
    digest,
    parse,
)

ROOT = pathlib.Path(__file__).resolve().parents[1].parent / "shared" / "recordings"
DOCUMENTS, SERIES = ROOT / "documents", ROOT / "series"
recorded = pytest.mark.skipif(not ROOT.is_dir(), reason="no recordings beside us")


def load(name):
    """The page in a recording, and the document as the json module sees it."""
    body = (DOCUMENTS / name).read_bytes()
    text = body.decode("utf-16" if body[:2] == b"\xfe\xff" else "utf-8")
    return parse(body), json.loads(text) if text[0] in "[{" else text


def moment(text):
    """A time of JSON in whole seconds."""
    if str(text).isdigit():
        return datetime.fromtimestamp(int(text), timezone.utc)
    text = re.sub(r"\.\d+", "", text or "").replace("Z", "+00:00")
    return datetime.fromisoformat(text) if text else None


def words(text):
    text = re.sub(r"<[^<>]*>", " ", text or "")
    return re.sub(r"[\W_]+", " ", html.unescape(text)).strip().casefold()


def said(incident):
    return [words(update.body) for update in incident.updates]


# Documents, one platform after the other.


@recorded
def test_the_current_events_of_aws():
    page, rows = load("aws-currentevents/aws-1.json")
    assert (page.platform, page.complete, len(page.incidents)) == ("aws", True, 2)
    for incident, row in zip(page.incidents, rows):
        assert incident.title == row["summary"] and row["status"] != "0"
        assert incident.status == "investigating" and len(incident.id) <= 100
        assert said(incident) == [words(each["message"]) for each in row["event_log"]]
        times = [moment(each["timestamp"]) for each in row["event_log"]]
        assert [each.at for each in incident.updates] == times == sorted(times)
        served = [each["service_name"] for each in row["impacted_services"].values()]
        assert list(incident.components) == served and len(served) > 1
    page, rows = load("aws-currentevents/aws-3.json")
    assert [each.id for each in page.incidents] == [row["arn"] for row in rows]
    assert [each.components for each in page.incidents] == [
        ("Amazon EC2",),
        ("Amazon S3",),
    ]


@recorded
def test_the_older_document_of_aws():
    page, document = load("aws-data/aws-1.json")
    assert page.platform == "aws" and not document["current"]
    assert len(page.incidents) == len(document["archive"]) > 80
    for incident, row in zip(page.incidents, document["archive"]):
        assert incident.title == " ".join(row["summary"].split())
        assert incident.status == "resolved" == incident.updates[-1].status
        assert incident.components == (row["service_name"],)
        assert " ".join(filter(None, said(incident))) == words(row["description"])


@recorded
def test_the_feed_of_aws_has_an_item_for_each_update():
    page, text = load("aws-rss/aws-1.rss")
    items = ET.fromstring(text).findall("channel/item")
    titles = [item.findtext("title").partition(": ")[2] for item in items]
    assert page.platform == "aws" and not page.complete
    assert sorted({each.title for each in page.incidents}) == sorted(set(titles))
    assert sum(len(each.updates) for each in page.incidents) == len(items) == 3
    for incident in page.incidents:
        of_it = [i for i, title in zip(items, titles) if title == incident.title]
        assert sorted(said(incident)) == sorted(
            words(i.findtext("description")) for i in of_it
        )
        stamps = sorted(int(i.findtext("guid").rpartition("_")[2]) for i in of_it)
        assert [update.at.timestamp() for update in incident.updates] == stamps
        assert incident.status == "investigating"


@recorded
def test_the_feed_of_azure_lists_what_is_open_and_only_that():
    page, text = load("azure-rss/azure-1.xml")
    (item,) = ET.fromstring(text).findall("channel/item")
    (incident,) = page.incidents
    assert (page.platform, page.complete) == ("azure", True)
    assert incident.id == item.findtext("guid") and incident.status == "investigating"
    assert list(incident.components) == [e.text for e in item.findall("category")]
    assert said(incident) == [words(item.findtext("description"))]
    assert incident.updates[0].at.isoformat() == "2026-07-23T16:29:09+00:00"
    quiet, _ = load("azure-rss/azure-3.xml")
    assert (quiet.platform, quiet.complete, quiet.incidents) == ("azure", True, ())
    assert quiet.id == page.id, "its hosts take turns"


@recorded
def test_the_page_of_better_stack():
    page, document = load("betterstack/huggingface-1.json")
    kinds: Dict[str, List[Any]] = {}
    for row in document["included"]:
        kinds.setdefault(row["type"], []).append((row["id"], row["attributes"], row))
    assert (page.platform, page.id) == ("betterstack", document["data"]["id"])
    parts = kinds["status_page_resource"]
    assert [(c.id, c.name) for c in page.components] == [
        (key, a["public_name"]) for key, a, _ in parts
    ]
    down = [each.name for each in page.components if each.status != "operational"]
    assert down == [a["public_name"] for _, a, _ in parts if a["status"] == "downtime"]
    texts = {key: a for key, a, _ in kinds["status_update"]}
    names = {key: a["public_name"] for key, a, _ in parts}
    for incident, (key, about, row) in zip(page.incidents, kinds["status_report"]):
        assert (incident.id, incident.title) == (key, about["title"])
        planned = about["report_type"] == "maintenance"
        assert incident.maintenance == (
            planned and about["aggregate_state"] != "resolved" or planned
        )
        updates = [
            texts[e["id"]] for e in row["relationships"]["status_updates"]["data"]
        ]
        updates.sort(key=lambda each: each["published_at"])
        assert said(incident) == [words(each["message"]) for each in updates]
        assert [e.at for e in incident.updates] == [
            moment(each["published_at"]) for each in updates
        ]
        over = about["aggregate_state"] == "resolved"
        assert incident.status == ("resolved" if over else "scheduled")
        assert list(incident.components) == [
            names[each["status_page_resource_id"]]
            for each in about["affected_resources"]
        ]
    assert len(page.incidents) == len(kinds["status_report"]) == 5
    page, _ = load("betterstack/huggingface-3.json")
    assert [each.name for each in page.components] == [
        "Huggingface Hub",
        "Inference API",
    ]
    assert len({each.id for each in page.components}) == 2
    assert [each.status for each in page.incidents] == ["resolved"]


@recorded
def test_the_components_of_cachet():
    page, document = load("cachet/yoti-1.json")
    assert page.platform == "cachet" and len(page.components) == 7
    for part, row in zip(page.components, document["data"]):
        assert (part.id, part.name) == (str(row["id"]), row["name"])
        assert part.status == word_of(row["status_name"])
        assert part.at == moment(row["updated_at"] + "Z")


def word_of(text):
    return text.lower().replace(" ", "_")


@recorded
@pytest.mark.parametrize(
    "name",
    ["gcp-incidents/gcp-2.json", "gcp-incidents/gcp-5.json"]
    + ["google-workspace/gworkspace-1.json"],
)
def test_the_incidents_of_google(name):
    page, rows = load(name)
    assert (page.platform, page.complete) == ("google", True)
    assert [each.id for each in page.incidents] == [row["id"] for row in rows]
    for incident, row in zip(page.incidents, rows):
        assert incident.title == " ".join(row["external_desc"].split())
        assert incident.status == ("resolved" if row.get("end") else "investigating")
        assert incident.updates[-1].status == incident.status
        assert list(incident.components) == [
            each["title"] for each in row["affected_products"]
        ]
        if "updates" in row:
            updates = sorted(row["updates"], key=lambda each: each["when"])
            assert said(incident) == [words(each["text"]) for each in updates]
            assert [each.at for each in incident.updates] == [
                moment(each["when"]) for each in updates
            ]
            assert len({each.id for each in incident.updates}) == len(updates)


@recorded
@pytest.mark.parametrize(
    "name",
    ["openai-proxy-2", "openai-widget-v1-1", "openai-widget-v1-3"]
    + ["openai-incident-1"],
)
def test_what_the_pages_of_incident_io_are_made_of(name):
    page, document = load("incidentio/%s.json" % name)
    document = document.get("summary", document)
    rows = document.get("ongoing_incidents") or [document["incident"]]
    assert page.platform == "incident.io"
    parts = [(row["id"], row["name"]) for row in document.get("components", [])]
    assert [(c.id, c.name) for c in page.components] == parts
    assert {c.status for c in page.components} <= {"operational"}
    (incident,), (row,) = page.incidents, rows
    assert (incident.id, incident.title) == (row["id"], row["name"])
    assert incident.status == row["status"] and not incident.maintenance
    assert page.complete == (row["status"] != "resolved")
    assert said(incident) == [words(each["message_string"]) for each in row["updates"]]
    assert [u.id for u in incident.updates] == [each["id"] for each in row["updates"]]
    assert incident.updates[0].status == row["updates"][0]["to_status"]
    assert [u.at for u in incident.updates] == [
        moment(each["published_at"]) for each in row["updates"]
    ]
    named = (
        [dict(parts)[e["component_id"]] for e in row["affected_components"]]
        if parts
        else []
    )
    assert list(incident.components or ()) == named


@recorded
def test_the_summary_of_instatus():
    page, document = load("instatus/perplexity-1.json")
    (incident,), (row,) = page.incidents, document["activeIncidents"]
    assert (page.platform, page.complete) == ("instatus", True)
    assert page.url == document["page"]["url"]
    assert (incident.id, incident.title) == (row["id"], row["name"])
    assert incident.status == row["status"].lower() and incident.url == row["url"]
    assert [each.at for each in incident.updates] == [moment(row["updatedAt"])]


@recorded
def test_an_instance_of_salesforce():
    page, document = load("salesforce-trust/salesforce-1.json")
    assert page.platform == "salesforce"
    assert [(c.name, c.status) for c in page.components] == [
        (document["key"], "degraded_performance")
    ]
    incident, planned = page.incidents
    (row,), (work,) = document["Incidents"], document["Maintenances"]
    assert incident.id == str(row["id"]) and incident.status == "investigating"
    events = sorted(row["IncidentEvents"], key=lambda each: each["createdAt"])
    assert said(incident) == [words(each["message"]) for each in events]
    assert [u.id for u in incident.updates] == [str(each["id"]) for each in events]
    assert list(incident.components) == row["serviceKeys"]
    assert (planned.title, planned.maintenance) == (work["name"], True)
    assert planned.status == "scheduled"


@recorded
def test_the_current_incidents_of_slack():
    page, document = load("slack-current/slack-1.json")
    (incident,), (row,) = page.incidents, document["active_incidents"]
    assert (page.platform, page.complete) == ("slack", True)
    assert page.at == moment(document["date_updated"])
    assert (incident.id, incident.title) == (str(row["id"]), row["title"])
    assert said(incident) == [words(row["notes"][0]["body"])]
    assert incident.updates[0].at == moment(row["notes"][0]["date_created"])
    assert incident.url == row["url"] and incident.components == ()


@recorded
@pytest.mark.parametrize("name", ["gitlab-3", "gitlab-5"])
def test_the_status_of_status_io(name):
    page, document = load("statusio/%s.json" % name)
    result = document["result"]
    codes = {100: "operational", 200: "under_maintenance", 300: "degraded_performance"}
    assert (page.platform, page.complete) == ("status.io", True)
    assert page.at == moment(result["status_overall"]["updated"])
    assert [(c.id, c.name, c.status, c.at) for c in page.components] == [
        (row["id"], row["name"], codes[row["status_code"]], moment(row["updated"]))
        for row in result.get("status", [])
    ]
    (planned,), (row,) = page.incidents, result["maintenance"]["upcoming"]
    assert (planned.id, planned.title) == (row["_id"], row["name"])
    assert (planned.status, planned.maintenance) == ("scheduled", True)
    assert said(planned) == [words(each["details"]) for each in row["messages"]]
    assert list(planned.components) == [e["name"] for e in row["components_affected"]]


@recorded
@pytest.mark.parametrize(
    "name, reason",
    [
        ("statusio/docker-1.html", 'an HTML page, titled "Docker system status'),
        ("broken/netlify-status-1.json", "Internal Server Error"),
        ("broken/slack-current-empty.json", "an empty body"),
        ("broken/vultr-status-regions-list.json", "service_alerts, regions"),
        ("checkly/mistral-1.json", "know: incidents"),
        ("checkly/mistral-3.json", "know: incidents"),
        ("yandexcloud/yandexcloud-incidents-1.json", "know: items"),
        ("statuspage-webhook/zulip-incident-created-1.json", "meta, page, incident"),
        ("statuspage-apiv1/dasnixon-incidents-1.json", "know: list"),
    ],
)
def test_what_is_no_status_page_is_refused_with_the_reason(name, reason):
    with pytest.raises(ParseError, match=re.escape(reason)):
        load(name)


def test_utf_16_is_read_with_and_without_a_byte_order_mark():
    body = (pathlib.Path(__file__).parent / "data/aws/currentevents.json").read_text()
    for encoding in ("utf-16", "utf-16-be", "utf-16-le"):
        assert parse(body.encode(encoding)) == parse(body.encode())


# What is told of documents beside each other, and one after the other.


def observed(*reads, seeded=True, memory=""):
    """(type, id, status, words) of each event of a poll, and the memory after it.

    Each read is (name of the source, its document).
    """
    pages = []
    for name, document in reads:
        text = document if isinstance(document, str) else json.dumps(document)
        source = Source("https://acme.test/" + name)
        source.seeded = seeded
        pages.append((source, parse(text.encode())))
    now = datetime(2025, 3, 4, 12, tzinfo=timezone.utc)
    tracker = Tracker(Provider("Acme", ("https://acme.test",)), memory, now)
    tracker.observe(pages)
    events = [
        (e.type, e.incident_id, e.status, words(e.message)) for e in tracker.events
    ]
    return events, tracker.memory()


def feed_of(link, updates):
    """A feed of one incident, whose updates are (status, markup), newest first."""
    parts = "".join(
        "<p><small>Mar 4, 1%d:00 UTC</small><br><strong>%s</strong> - %s</p>"
        % (len(updates) - number, *update)
        for number, update in enumerate(updates)
    )
    return (
        '<feed xmlns="http://www.w3.org/2005/Atom"><entry><title>Slow</title>'
        '<link href="%s"/><updated>2025-03-04T12:00:00Z</updated>'
        '<content type="html">%s</content></entry></feed>' % (link, html.escape(parts))
    )


@pytest.mark.parametrize("turned", [False, True])
def test_an_incident_of_instatus_without_id_is_told_once(turned):
    link = "https://status.acme.test/incident/cka1"
    row = {
        "name": "Slow",
        "started": "2025-03-04T11:00:00Z",
        "status": "INVESTIGATING",
        "impact": "MAJOROUTAGE",
        "url": link,
    }
    head = {"name": "Acme", "url": "https://status.acme.test", "status": "HASISSUES"}
    reads = [
        ("history.atom", feed_of(link, [("Investigating", "We look.")])),
        ("summary.json", {"page": head, "activeIncidents": [row]}),
    ]
    events, _ = observed(*(reads[::-1] if turned else reads))
    assert events == [(NEW_INCIDENT, "cka1", "investigating", "we look")]


@pytest.mark.parametrize("turned", [False, True])
def test_an_update_with_small_print_is_told_once_though_two_sources_have_it(turned):
    body = "We <small>(the night shift)</small> look. <small>See below.</small>"
    updates = [("Identified", "Found."), ("Investigating", body)]
    rows = [
        {
            "id": "u%d" % number,
            "status": status.lower(),
            "body": text,
            "created_at": "2025-03-04T1%d:00:00Z" % (2 - number),
        }
        for number, (status, text) in enumerate(updates)
    ]
    incident = {"id": "i", "name": "Slow", "status": "identified"}
    summary = {
        "page": {"id": "acme"},
        "status": {"indicator": "minor"},
        "components": [],
        "incidents": [{**incident, "incident_updates": rows}],
    }
    feed = feed_of("https://acme.test/incidents/i", updates)
    reads = [("history.atom", feed), ("summary.json", summary)]
    events, _ = observed(*(reads[::-1] if turned else reads))
    assert events == [
        (NEW_INCIDENT, "i", "investigating", "we the night shift look see below"),
        (INCIDENT_UPDATE, "i", "identified", "found"),
    ]


def test_an_incident_is_new_though_a_maintenance_has_its_number():
    page = {
        "config": {"slug": "acme"},
        "publicGroupList": [],
        "maintenanceList": [{"id": 1, "title": "Disks", "status": "under-maintenance"}],
    }
    events, memory = observed(("page", page), seeded=False)
    assert events == []
    page["incident"] = {"id": 1, "title": "Down", "content": "We look."}
    events, _ = observed(("page", page), memory=memory)
    assert events == [(NEW_INCIDENT, "1", "investigating", "we look")]


# Series: what is told of an incident is its beginning, each update and its end, once.


def replay(bodies, edited=False) -> List[Tuple[str, str, str, bool]]:
    """(type, id, words, is it the end?) of each event, of versions read twice each.

    Without ids only changed names are edits (R4); these are told apart by *edited*.
    """
    source, memory, told = Source("https://acme.test/x"), "", []
    now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    for body in bodies:
        for turn in range(2):
            try:
                page = parse(body)
            except ParseError:
                continue
            if turn == 0 and accept(source, page, digest(str(body))):
                continue
            now += timedelta(seconds=30)
            provider = Provider("Acme", ("https://acme.test/x",), maintenance=True)
            tracker = Tracker(provider, memory, now)
            tracker.observe([(source, None if turn else page)])
            source.seeded, source.stale, memory = True, 0, tracker.memory()
            for event in [each for each in tracker.events if each.edited == edited]:
                over = event.status in ("resolved", "completed")
                key = str(event.incident_id)
                told.append((event.type, key, words(event.message), over))
    return told


def versions(name, pattern="*.json"):
    return [path.read_bytes() for path in sorted((SERIES / name).glob(pattern))]


def compare(told, wanted):
    """Fail where it is not the same, whatever the order of what comes together."""
    assert Counter(told) - Counter(wanted) == Counter(), "told too much"
    assert Counter(wanted) - Counter(told) == Counter(), "told too little"


def expected(pages, gone="no longer listed by the vendor"):
    """What must be told of *pages*: each {id: (its words in order, is it over?)}.

    A page lists all that is open where *gone* is what is said of what it drops.
    """
    told: Dict[str, Counter] = {}
    over: Dict[str, bool] = {}
    wanted, before, first = [], {}, True
    for page in pages:
        for key, (texts, ended) in page.items():
            kind = INCIDENT_UPDATE if key in told else NEW_INCIDENT
            old = Counter(before[key][0]) if key in before else told.get(key, Counter())
            fresh = []
            for text in texts:  # without ids updates are known by their words, counted
                old[text] -= 1
                fresh += [text] if old[text] < 0 else []
            fresh = fresh or texts[-1:] * (ended and not over.get(key, False))
            for text in fresh:
                wanted += (
                    [] if first else [(kind, key, text, ended and text == texts[-1])]
                )
                kind = INCIDENT_UPDATE
            told[key] = told.get(key, Counter()) | Counter(texts)
            over[key] = ended
        for key in set(before) - set(page):
            if gone and not over[key]:
                wanted.append((INCIDENT_UPDATE, key, gone, True))
        before, first = page, False
    return wanted


@recorded
def test_the_series_of_slack():
    pages, before, renamed, newest, stale = [], {}, [], "", 0
    bodies = list(filter(None, map(bytes.strip, versions("slack-current-2023-24"))))
    for number, body in enumerate(bodies):
        at = moment(json.loads(body.decode("utf-8"))["date_updated"]).isoformat()
        at = str(datetime.fromisoformat(at).astimezone(timezone.utc))
        if body in bodies[max(0, number - 8) : number - 1] and at < newest:  # R6
            stale += 1
            continue
        page, affected, newest = {}, {}, max(at, newest)
        for row in json.loads(body.decode("utf-8"))["active_incidents"]:
            key, texts = str(row["id"]), [words(note["body"]) for note in row["notes"]]
            page[key] = (texts[::-1], False)
            affected[key] = sorted(texts), set(row["services"])
            same = key in before and before[key][0] == affected[key][0]
            renamed += [key] if same and before[key][1] != affected[key][1] else []
        pages.append(page)
        before = affected
    told = replay(versions("slack-current-2023-24"))
    edits = replay(versions("slack-current-2023-24"), edited=True)
    assert [key for _, key, _, _ in edits] == renamed and len(renamed) == 5
    compare(told, expected(pages))
    begun = [key for kind, key, _, _ in told if kind == NEW_INCIDENT]
    assert len(begun) == len(set(begun)) == 87 and stale


def parts_of(row):
    """The updates in a row of AWS' older document, oldest first."""
    return [words(part) for part in row["description"].split("</div>") if part.strip()]


@recorded
def test_the_series_of_aws():
    pages = []
    for body in versions("aws-data-2023-02"):
        document, page = json.loads(body.decode("utf-8")), {}
        for row in document["archive"] + document["current"]:
            over = row in document["archive"] or str(row["status"]) == "0"
            key = "%s %s" % (row["service"], int(row["date"]) // 60)
            page[key] = (parts_of(row), over)
        pages.append(page)
    told = replay(versions("aws-data-2023-02"))
    # An update that comes with the end, and what it was before it, by words alone.
    wanted = [(kind, text, over) for kind, _, text, over in expected(pages, gone="")]
    compare([(kind, text, over) for kind, _, text, over in told], wanted)
    begun = [key for kind, key, _, _ in told if kind == NEW_INCIDENT]
    ended = [key for _, key, _, over in told if over]
    assert sorted(begun) == sorted(set(begun)) and len(begun) == 2
    # A text that is edited is another: this document has no ids of updates.
    assert sorted(ended) == sorted([*set(ended), begun[1]]) and len(set(ended)) == 3


@recorded
def test_the_series_of_a_feed_of_statuspage():
    """Entries change their titles, times and texts after the fact."""
    atom, pages = "{http://www.w3.org/2005/Atom}", []
    for body in versions("github-atom-2026-08", "*.atom"):
        page = {}
        for entry in ET.fromstring(body).iter(atom + "entry"):
            parts = re.split("<small>.*?</small>", entry.findtext(atom + "content"))
            found = [
                re.match(r"(?s)\s*<br ?/?>\s*<strong>(.*?)</strong>(.*)", p)
                for p in parts
            ]
            pairs = [(m[1], words(m[2])) for m in found[::-1] if m]
            key = entry.find(atom + "link").get("href").rpartition("/")[2]
            page[key] = ([text for _, text in pairs], pairs[-1][0] == "Resolved")
        pages.append(page)
    told = replay(versions("github-atom-2026-08", "*.atom"))
    compare(told, expected(pages, gone=""))
    begun = [key for kind, key, _, _ in told if kind == NEW_INCIDENT]
    assert len(begun) == len(set(begun)) > 5
