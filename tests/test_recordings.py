"""Recordings of real pages, where they are beside the project, as a reader sees them.

Each document is read a second time here, simply and independently of the module.
"""

from __future__ import annotations

import ast
import html
import json
import pathlib
import re
import time
import xml.etree.ElementTree as ET
from datetime import datetime

import pytest

from statuswatch import ParseError, clean, parse, parse_time

ROOT = pathlib.Path(__file__).resolve().parents[1].parent / "shared" / "recordings"
DOCUMENTS, CORPORA = ROOT / "documents", ROOT / "corpora"
WELLFORMED = CORPORA / "feedparser" / "tests" / "wellformed"
pytestmark = pytest.mark.skipif(not ROOT.is_dir(), reason="no recordings beside us")

ATOM = "{http://www.w3.org/2005/Atom}"
STATUSPAGE = (
    "statuspage-components statuspage-incidents statuspage-maintenances "
    "statuspage-status statuspage-summary incidentio"
).split()
NATIVE = ("incident-", "proxy-", "widget-")  # incident.io's own JSON: test_platforms.py
PLANNED = {"scheduled", "in_progress", "verifying", "completed"}
VALID_BUT_ANOTHERS = "-wrong-tenant"  # well-formed documents of another page (R14)


def files(folder, *patterns):
    """Files below a folder, as parameters (without any a test is skipped)."""
    found = sorted(path for pattern in patterns for path in folder.rglob(pattern))
    return [
        pytest.param(path, id=str(path.relative_to(folder)))
        for path in found
        if path.is_file() and path.name != "INDEX.tsv"
    ]


def is_native(path):
    return path.name.startswith("openai-") and any(part in path.name for part in NATIVE)


def shown(markup):
    """Markup as words, by means that are not the module's."""
    text = re.sub(r"(?s)<(script|style)\b.*?</\1>", "", markup)
    text = html.unescape(re.sub(r"<[^<>]*>", " ", text))
    return re.sub(r"[\W_]+", " ", text).strip()


def words(text):
    return re.sub(r"[\W_]+", " ", text).strip()


def moment(text):
    """A time in JSON, in whole seconds; None for None."""
    text = re.sub(r"\.\d+", "", text or "").replace("Z", "+00:00")
    return datetime.fromisoformat(text) if text else None


# Statuspage and incident.io, JSON.

JSON_DOCUMENTS = [
    each
    for folder in STATUSPAGE
    for each in files(DOCUMENTS / folder, "*.json")
    if not is_native(each.values[0])
]


@pytest.mark.parametrize("path", JSON_DOCUMENTS)
def test_a_json_document_says_what_a_reader_sees(path):
    body = path.read_bytes()
    page, document = parse(body), json.loads(body.decode("utf-8-sig"))
    envelope = document.get("page", {})
    assert page.id == envelope.get("id", "")
    assert page.platform == ("incident.io" if len(page.id) == 26 else "statuspage")
    assert page.at == moment(envelope.get("updated_at"))
    rows = [row for row in document.get("components", []) if not row.get("group")]
    assert [each.id for each in page.components] == [row["id"] for row in rows]
    for component, row in zip(page.components, rows):
        assert component.status == row["status"]
        assert component.name == " ".join(row["name"].split())
        assert component.at == moment(row.get("updated_at"))
    rows = document.get("incidents", []) + document.get("scheduled_maintenances", [])
    assert len(page.incidents) == len(rows)
    assert page.complete == (
        "summary" in path.parent.name
        and "handmade" not in path.name  # it lists one that is resolved
        or path.parent.name == "incidentio"
        or "unresolved" in path.name
        or "github-php" in path.name  # a summary that was filed as components
    )


@pytest.mark.parametrize("path", JSON_DOCUMENTS)
def test_incidents_of_a_json_document_say_what_a_reader_sees(path):
    body = path.read_bytes()
    document = json.loads(body.decode("utf-8-sig"))
    planned = document.get("scheduled_maintenances", [])
    rows = document.get("incidents", []) + planned
    for incident, row in zip(parse(body).incidents, rows):
        assert incident.id == row.get("id", incident.id)
        assert incident.title == " ".join(row["name"].split())
        assert incident.status == row["status"]
        assert incident.impact == row.get("impact", "")
        assert incident.maintenance == (row in planned or row["status"] in PLANNED)
        if "components" in row:
            names = [" ".join(each["name"].split()) for each in row["components"]]
            assert list(incident.components) == names
        else:
            assert incident.components is None
        updates = row.get("incident_updates") or []
        updates = sorted(reversed(updates), key=lambda each: when(each) or "")
        assert [each.status for each in incident.updates] == [
            each["status"] for each in updates
        ]
        for update, each in zip(incident.updates, updates):
            assert update.id == each.get("id", "")
            assert words(update.body) == shown(each["body"])
            assert update.at == moment(when(each))
        shown_at = [update.at for update in incident.updates if update.at]
        assert shown_at == sorted(shown_at)


def when(update):
    return update.get("display_at") or update.get("created_at")


# Feeds.

STATUSPAGE_FEEDS = files(DOCUMENTS / "statuspage-atom", "*.atom") + files(
    DOCUMENTS / "statuspage-rss", "*.rss"
)
OTHER_FEEDS = files(DOCUMENTS, "xai-*.xml", "microsoft-*.rss")
INCIDENT_IO_FEEDS = files(DOCUMENTS / "incidentio", "*.atom", "*.rss")


def entries_of(path):
    """(id, title, address, text) of each entry, and the feed's own address."""
    root = ET.fromstring(path.read_text(encoding="utf-8-sig").strip())
    found = []
    if root.tag == "rss":
        for item in root.iter("item"):
            text = item.findtext("description") or ""
            link = (item.findtext("link") or "").strip()
            key = (item.findtext("guid") or "").strip()
            found.append((key or link, item.findtext("title") or "", link, text))
        return found
    for entry in root.iter(ATOM + "entry"):
        texts = [entry.findtext(ATOM + "content"), entry.findtext(ATOM + "summary")]
        link = entry.find(ATOM + "link").get("href")
        key, title = entry.findtext(ATOM + "id"), entry.findtext(ATOM + "title")
        found.append((key, title, link, max(filter(None, texts), key=len)))
    return found


def update_texts(text):
    """(label, words) of each update in an entry of Statuspage, newest first."""
    parts = re.split(r"<small>.*?</small>", text)[1:]
    pairs = [
        re.match(r"(?s)\s*(?:<br\s*/?>)?<strong>(.*?)</strong>(.*)", p) for p in parts
    ]
    return [(pair[1].lower().replace(" ", "_"), shown(pair[2])) for pair in pairs]


@pytest.mark.parametrize("path", STATUSPAGE_FEEDS)
def test_a_feed_of_statuspage_says_what_a_reader_sees(path):
    page, entries = parse(path.read_bytes()), entries_of(path)
    assert page.platform == "statuspage" and not page.complete and not page.components
    assert page.id in entries[0][2] and page.at
    assert len(page.incidents) == len(entries) > 0
    for incident, (_, title, link, text) in zip(page.incidents, entries):
        assert incident.id == link.rpartition("/incidents/")[2]
        assert incident.url == link
        assert words(incident.title) == shown(title)
        assert incident.components is None
        pairs = list(reversed(update_texts(text)))
        assert pairs, "an entry with updates"
        assert [words(each.body) for each in incident.updates] == [
            each for _, each in pairs
        ]
        status = ""
        for update, (label, _) in zip(incident.updates, pairs):
            status = status if label == "update" else label
            assert update.status == status
        assert incident.status == status
        assert incident.maintenance == (
            "THIS IS A SCHEDULED EVENT" in text
            or not PLANNED.isdisjoint(label for label, _ in pairs)
        )


@pytest.mark.parametrize("path", STATUSPAGE_FEEDS)
def test_updates_of_a_feed_of_statuspage_are_in_order_of_their_times(path):
    page = parse(path.read_bytes())
    for incident in page.incidents:
        assert all(update.at for update in incident.updates)
        began, ended = incident.updates[0].at, incident.updates[-1].at
        assert began <= ended, incident
        assert (ended - began).days < 100, incident  # no year was taken for another


def test_two_recordings_of_one_feed_agree_on_the_incidents_that_both_show():
    pages = [parse(path.values[0].read_bytes()) for path in STATUSPAGE_FEEDS]
    seen, both = {}, 0
    for page in pages:
        for incident in page.incidents:
            first = seen.setdefault((page.id, incident.id), incident)
            last = len(min(first.updates, incident.updates, key=len))
            both += first is not incident
            assert [each.at for each in first.updates[:last]] == [
                each.at for each in incident.updates[:last]
            ]
    assert both > 20


@pytest.mark.parametrize("path", INCIDENT_IO_FEEDS)
def test_a_feed_of_incident_io_says_what_a_reader_sees(path):
    page, entries = parse(path.read_bytes()), entries_of(path)
    assert page.platform == "incident.io"
    assert len(page.incidents) == len(entries) > 0
    for incident, (_, title, link, text) in zip(page.incidents, entries):
        assert incident.id == link.rpartition("/incidents/")[2]
        assert words(incident.title) == shown(title)
        label, _, rest = text.partition("</b>")
        assert incident.status == label.partition(": ")[2].lower().replace(" ", "_")
        (update,) = incident.updates
        assert update.status == incident.status and update.at
        said, _, listed = rest.partition("<b>")
        assert words(update.body) == shown(said)
        names = [
            name.rpartition(" (")[0] for name in re.findall("<li>(.*?)</li>", listed)
        ]
        assert list(incident.components or ()) == names


@pytest.mark.parametrize("path", OTHER_FEEDS)
def test_any_other_feed_is_a_list_of_incidents_without_status(path):
    page, entries = parse(path.read_bytes()), entries_of(path)
    assert page.platform == "feed"
    assert [each.id for each in page.incidents] == list(
        dict.fromkeys(key.strip() for key, *_ in entries)
    )
    for incident in page.incidents:
        (title, text), *_ = [(t, d) for key, t, _, d in entries if key == incident.id]
        assert words(incident.title) == shown(title)
        assert incident.status == "" and all(each.at for each in incident.updates)
        assert shown(text) in [words(each.body) for each in incident.updates]


# What must be refused.

OTHER_JSON = files(DOCUMENTS, "*.html") + [
    each
    for folder in ("statuspage-apiv1", "statuspage-webhook")
    for each in files(DOCUMENTS / folder, "*.json")
]
BROKEN = [
    each
    for each in files(DOCUMENTS / "broken", "*")
    if VALID_BUT_ANOTHERS not in each.values[0].name
]


@pytest.mark.parametrize(
    "path",
    OTHER_JSON
    + BROKEN
    + files(CORPORA / "jsontestsuite", "n_*")
    + files(CORPORA / "defusedxml", "*.xml", "*.xsd", "*.xsl"),
)
def test_what_is_no_status_page_is_a_parse_error(path):
    for content_type in ("", "application/json", "text/xml; charset=utf-16"):
        with pytest.raises(ParseError) as caught:
            parse(path.read_bytes(), content_type)
        assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "path",
    files(CORPORA / "jsontestsuite", "[yi]_*", "string_*", "number_*", "object_*")
    + files(CORPORA / "feedparser" / "tests" / "illformed", "*.xml")
    + files(CORPORA / "feedparser" / "tests" / "entities", "*.xml")
    + files(CORPORA / "feedparser" / "tests" / "encoding", "*.xml"),
)
def test_anything_else_is_a_page_or_a_parse_error(path):
    try:
        page = parse(path.read_bytes())
    except ParseError:
        return
    for incident in page.incidents:
        assert clean(incident.title) == incident.title


def test_naughty_strings_are_shown_safely():
    path = CORPORA / "blns" / "blns.json"
    strings = json.loads(path.read_text(encoding="utf-8"))
    rows = [
        {
            "id": str(n),
            "name": text,
            "incident_updates": [{"body": text, "status": text}],
        }
        for n, text in enumerate(strings)
    ]
    page = parse(json.dumps({"page": {"id": "a"}, "incidents": rows}).encode())
    assert len(page.incidents) == len(strings) > 500
    for incident in page.incidents:
        for text in (incident.title, *incident.updates[0][1:3]):
            assert clean(text) == text and text.encode("utf-8") is not None


def test_terminal_escapes_are_taken_apart():
    for path in sorted((CORPORA / "xtermjs-escapes").glob("*.in")):
        text = path.read_bytes().decode("utf-8", "replace")
        row = {"id": "i", "name": text, "incident_updates": []}
        body = json.dumps({"page": {"id": "a"}, "incidents": [row]}).encode()
        title = parse(body).incidents[0].title
        assert not re.search("[\x00-\x1f\x7f-\x9f]", title), path


# feedparser's feeds state themselves what the first entry is.

# What parse() is not told: the address of the document.
RELATIVE = {
    "base/http_%s_%s.xml" % (what, whose)
    for what in ("item_link_base", "entry_id_base", "entry_title_base64_base")
    for whose in ("content_location", "docuri")
}


def feeds():
    """(name, page or ParseError, what it states of its first entry) of each feed."""
    for path in sorted(WELLFORMED.rglob("*.xml")):
        body = path.read_bytes()
        text = body.decode(
            "utf-16" if body[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1"
        )
        header = re.search(r"(?im)^\s*(?:Header:\s*)?Content-type:\s*(.*)$", text)
        try:
            page = parse(body, header[1].strip() if header else "")
        except ParseError as exc:
            page = exc
        expected = re.search(r"Expect:\s*(.*)", body.decode("utf-8", "replace"))
        yield path.relative_to(WELLFORMED).as_posix(), page, stated(expected)


def stated(expected):
    """What a line says of the first entry: `not bozo and entries[0]['id'] == 'x'`."""
    line = expected[1].strip() if expected else "0"
    try:
        tree = ast.parse(line, mode="eval").body
    except SyntaxError:
        return {}
    found = {}
    for part in tree.values if isinstance(tree, ast.BoolOp) else [tree]:
        match = re.match(
            r"entries\[0\](?:\['|\.)(title|link|id|guid)(?:'\])? == ",
            ast.get_source_segment(line, part) or "",
        )
        if match and isinstance(part.comparators[0], ast.Constant):
            found[match[1]] = part.comparators[0].value
    return {key: value for key, value in found.items() if isinstance(value, str)}


def as_text(markup):
    """Markup, escaped once or twice, as the text in it without white space."""
    for _ in range(2):
        markup = html.unescape(re.sub(r"<[^<>]*>", " ", markup))
    return "".join(markup.split())


@pytest.fixture(scope="module")
def read_feeds():
    return list(feeds())


def test_nearly_all_of_feedparsers_feeds_are_read(read_feeds):
    refused = [name for name, page, _ in read_feeds if isinstance(page, ParseError)]
    assert len(read_feeds) > 1700
    assert len(refused) <= 0.02 * len(read_feeds), refused
    others = [
        name
        for name in refused
        if not re.match("cdf/|base/cdf_|atom/atom_namespace_", name)  # no RSS, no Atom
        and "doctype" not in name  # a DTD is refused on purpose
        and name != "rss/rss_version_091_netscape.xml"
    ]
    assert others == []


def test_title_link_and_id_of_feedparsers_feeds_are_as_stated(read_feeds):
    agree, differ = 0, []
    for name, page, stated in read_feeds:
        if isinstance(page, ParseError) or name in RELATIVE:
            continue
        for key, value in stated.items():
            incident = page.incidents[0]
            got = {"title": incident.title, "link": incident.url}.get(key, incident.id)
            if as_text(got) == as_text(value):
                agree += 1
            else:
                differ.append((name, key, got, value))
    assert differ == []
    assert agree >= 90


def test_what_is_excused_is_still_there(read_feeds):
    assert RELATIVE <= {name for name, _, _ in read_feeds}


# Series.


@pytest.mark.parametrize("path", files(ROOT / "series", "github-atom-*/*.atom"))
def test_a_series_is_of_one_page(path):
    page = parse(path.read_bytes())
    assert page.id == "www.githubstatus.com" and len(page.incidents) > 10


FOLDERS = {  # the platform of the documents in a folder, where it is not its own name
    "aws-currentevents": "aws", "aws-data": "aws", "aws-rss": "aws",
    "azure-rss": "azure", "gcp-incidents": "google", "google-workspace": "google",
    "salesforce-trust": "salesforce", "slack-current": "slack", "statusio": "status.io",
    "incidentio": "incident.io", "xai-rss": "feed", "microsoft-admin": "feed",
}  # fmt: skip


def test_every_document_is_recognised_as_what_it_is_or_refused():
    read = refused = 0
    for (path,) in (each.values for each in files(DOCUMENTS, "*.*")):
        folder = path.parent.name
        other = ("broken", "statuspage-webhook", "statuspage-apiv1")
        other += ("checkly", "yandexcloud")
        try:
            platform = parse(path.read_bytes()).platform
            read += 1
        except ParseError as exc:
            assert folder in other or path.suffix == ".html", exc
            refused += 1
            continue
        if folder == "broken":
            assert VALID_BUT_ANOTHERS in path.name
        elif folder.startswith("statuspage-"):
            assert platform == "statuspage", path
        else:
            assert platform == FOLDERS.get(folder, folder), path
    assert (read, refused) == (98, 13)


def test_documents_are_read_quickly():
    bodies = [path.values[0].read_bytes() for path in JSON_DOCUMENTS + STATUSPAGE_FEEDS]
    began = time.process_time()
    for body in bodies:
        parse(body)
    assert time.process_time() - began < 10  # seconds; it needs 0.5


def test_times_of_documents_are_all_read():
    """No date in any document is one that we cannot read."""
    texts = set()
    for path in JSON_DOCUMENTS:
        texts |= set(re.findall(rb'_at": ?"([^"]+)"', path.values[0].read_bytes()))
    dated = files(DOCUMENTS, "azure-*.xml", "aws-*.rss")
    for path in STATUSPAGE_FEEDS + OTHER_FEEDS + INCIDENT_IO_FEEDS + dated:
        body = path.values[0].read_bytes()
        texts |= set(re.findall(rb"<(?:pubDate|updated|published)>([^<]+)<", body))
    assert len(texts) > 1000
    assert [text for text in texts if parse_time(text.decode()) is None] == []
