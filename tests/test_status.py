"""What is not well now, and what is found at an address: for a look, not a watch."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import re
import signal
import sys
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import statuswatch
from fakes import load_script
from faults import FaultServer
from statuswatch import Component, Incident, Page, Provider, Source, Update, main

FakePage = load_script("fakepage").FakePage
SUMMARY = "/api/v2/summary.json"
NOW = datetime(2025, 2, 24, 14, tzinfo=timezone.utc)
BEFORE = NOW - timedelta(hours=2)
ACME = Provider("Acme", ("https://a.test/x",))


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    """A user who has nothing, in an empty folder."""
    for name in [name for name in os.environ if name.startswith("XDG_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("NO_COLOR", raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


@pytest.fixture
def fake():
    with FakePage() as fake:
        fake.do('component api "API" operational')
        fake.do('component web "Web" operational')
        yield fake


@pytest.fixture
def server():
    with FaultServer() as server:
        yield server


def configure(*lines):
    Path("providers.ini").write_text("[providers]\n" + "\n".join(lines) + "\n")


def run(capsys, *argv):
    """(exit status, output, log lines without their times) of main()."""
    capsys.readouterr()
    loggers = logging.root, logging.getLogger("urllib3")
    before = [(logger, logger.level, logger.handlers) for logger in loggers]
    logging.root.handlers = []
    try:
        code = main(argv)
    finally:
        for logger, level, handlers in before:
            logger.setLevel(level)
            logger.handlers = handlers
    out, err = capsys.readouterr()
    return code, out, [line[20:] for line in err.splitlines()]


# --- What is not well: the facts. ---


def troubles(*pages, **keys):
    """(what, status, since) by each of what is not well in pages just read."""
    reads = [(Source("https://a.test/%d" % n), page) for n, page in enumerate(pages)]
    for source, page in reads:
        source.seeded, source.complete = True, page.complete
    found = statuswatch.find_troubles(ACME._replace(**keys), reads, NOW)
    return [
        (e.components[0] if e.component_id else e.title, e.status, e.occurred_at)
        for e in found
    ]


def incident(*statuses, key="1", **fields):
    updates = [
        Update("", status, "Words %d." % n, BEFORE + timedelta(minutes=n))
        for n, status in enumerate(statuses)
    ]
    return Incident(key, "Title " + key, statuses[-1], tuple(updates), **fields)


def parts(**statuses):
    return tuple(Component(k, k.upper(), v, BEFORE) for k, v in statuses.items())


def test_what_is_well_is_no_trouble():
    page = Page("statuspage", components=parts(api="operational", web="operational"))
    assert troubles(page) == []


@pytest.mark.parametrize("status", ["major_outage", "under_maintenance", "quux"])
def test_a_component_that_is_not_operational_is_with_the_time_of_its_change(status):
    page = Page("statuspage", components=parts(api=status, web="operational"))
    assert troubles(page) == [("API", status, BEFORE)]


def test_a_component_without_a_time_or_a_status(capsys):
    rows = Component("a", "A", "major_outage", None), Component("b", "B", "", None)
    assert troubles(Page("statuspage", components=rows)) == [
        ("A", "major_outage", None)
    ]


def test_an_incident_is_as_its_last_update_says_since_its_first():
    page = Page("statuspage", incidents=(incident("investigating", "identified"),))
    assert troubles(page) == [("Title 1", "identified", BEFORE)]


@pytest.mark.parametrize("status", ["resolved", "postmortem", "completed", "scheduled"])
@pytest.mark.parametrize("complete", [True, False])
def test_what_is_over_or_has_not_begun_is_no_trouble(status, complete):
    incidents = (incident("investigating", status),)
    assert troubles(Page("statuspage", incidents=incidents, complete=complete)) == []


def test_an_entry_of_a_feed_without_a_status_is_no_trouble():
    assert troubles(Page("feed", incidents=(incident(""),))) == []


def test_an_incident_that_a_complete_list_leaves_out_is_over():
    feed = Page("statuspage", incidents=(incident("monitoring"),))
    others = (incident("identified", key="2"),)
    summary = Page("statuspage", incidents=others, complete=True)
    assert troubles(feed, summary) == [("Title 2", "identified", BEFORE)]
    assert troubles(feed) == [("Title 1", "monitoring", BEFORE)]


def test_a_complete_list_may_use_words_that_nobody_knows():
    page = Page("statuspage", incidents=(incident("quux"),), complete=True)
    assert troubles(page) == [("Title 1", "quux", BEFORE)]


def test_two_sources_of_one_incident_are_one_trouble():
    both = incident("investigating", "identified")
    one = incident("investigating")
    assert troubles(
        Page("statuspage", incidents=(one,)),
        Page("statuspage", incidents=(both,), complete=True),
    ) == [("Title 1", "identified", BEFORE)]


def test_an_incident_and_a_component_of_one_id_are_two_troubles():
    page = Page(
        "statuspage",
        components=parts(x="major_outage"),
        incidents=(incident("identified", key="x"),),
    )
    assert len(troubles(page)) == 2


def test_filters_are_respected_and_hold_is_not():
    down = parts(api="major_outage", web="major_outage")
    planned = incident("in_progress", maintenance=True)
    small = incident("identified", key="2", impact="minor")
    page = Page("statuspage", components=down, incidents=(planned, small))
    whats = [what for what, _, _ in troubles(page)]
    assert sorted(whats) == ["API", "Title 2", "WEB"]
    whats = [what for what, _, _ in troubles(page, components=("web",), hold=900.0)]
    assert sorted(whats) == ["Title 2", "WEB"]
    whats = [
        what
        for what, _, _ in troubles(page, maintenance=True, min_impact="major")
        if what.startswith("Title")
    ]
    assert whats == ["Title 1"]


def parsed(document):
    text = document if isinstance(document, str) else json.dumps(document)
    return statuswatch.parse(text.encode())


FEED = """<feed xmlns="http://www.w3.org/2005/Atom"><entry><title>Errors</title>
<link href="https://a.test/incident/1"/><updated>2025-02-24T12:00:00Z</updated><content
type="html">&lt;small>Feb 24, 12:00 UTC&lt;/small>&lt;b>Identified&lt;/b> - Found.%s
</content></entry></feed>"""
CACHET = {
    "meta": {"pagination": {}},
    "data": [
        {"id": 2, "name": "Errors", "message": "Found.", "status": 2},
        {"id": 1, "name": "Old", "message": "Over.", "status": 4},
    ],
}
SOLVED = "&lt;small>Feb 24, 12:30 UTC&lt;/small>&lt;b>Resolved&lt;/b> - Over."


@pytest.mark.parametrize("turned", [False, True])
def test_a_part_is_down_where_one_source_has_its_name_and_another_how_it_is(turned):
    parts = [{"id": 7, "name": "Web"}, {"id": 8, "name": "Mail"}]
    page = {"config": {"slug": "x"}, "publicGroupList": [{"monitorList": parts}]}
    beats = {"heartbeatList": {"7": [{"status": 0}], "8": [{"status": 1}]}}
    pages = [parsed(page), parsed(beats)]
    pages = pages[::-1] if turned else pages
    assert troubles(*pages) == [("Web", "major_outage", None)]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    "incidents, components",
    [
        (
            CACHET,
            {
                "meta": {"pagination": {}},
                "data": [{"id": 1, "name": "API", "status": 1}],
            },
        ),
        (
            CACHET,
            {"meta": {"pagination": {}}, "data": []},
        ),
        (
            FEED % "",
            {
                "components": [
                    {"id": "a", "name": "A", "status": "OPERATIONAL", "isParent": False}
                ]
            },
        ),
    ],
    ids=["cachet", "cachet-without-components", "instatus"],
)
def test_a_list_of_components_does_not_say_that_incidents_are_over(
    incidents, components, turned
):
    pages = [parsed(incidents), parsed(components)]
    found = troubles(*(pages[::-1] if turned else pages))
    assert [row[:2] for row in found] == [("Errors", "identified")]


def test_what_events_are_told_does_not_change_what_is_over():
    only = ("NEW_INCIDENT",)
    assert troubles(parsed(FEED % SOLVED), events=only) == []
    assert troubles(parsed(FEED % ""), events=only) == [
        ("Errors", "identified", BEFORE)
    ]


# --- The table. ---


def event(**fields):
    fields.setdefault("occurred_at", BEFORE)
    return statuswatch.Event("NEW_INCIDENT", "Acme", "Acme", **fields)


def test_the_table_says_what_and_since_when():
    rows = [
        event(components=("API",), component_id="a", status="major_outage"),
        event(title="Errors", status="identified", occurred_at=None),
    ]
    assert statuswatch.format_status(rows, ["Zed"], False).splitlines() == [
        "PROVIDER  WHAT      STATUS             SINCE (UTC)",
        "Acme      API       Major outage       2025-02-24 12:00",
        "Acme      Errors    Identified         unknown",
        "Zed       its page  Could not be read",
    ]


def test_only_what_is_not_well_is_coloured():
    plain = statuswatch.format_status([event(title="E", status="x")], [], False)
    coloured = statuswatch.format_status([event(title="E", status="x")], [], True)
    head, row = coloured.splitlines()
    assert "\x1b" not in head + plain and row.startswith("\x1b[31mAcme")
    assert re.sub(r"\x1b\[\d+m", "", coloured) == plain


def test_a_row_is_a_line_whatever_the_vendor_wrote():
    text = statuswatch.format_status(
        [event(title="a\nb\x1b[2J" + "c" * 999, status="x\ny" * 9)], ["Z\n"], False
    )
    assert len(text.splitlines()) == 3 and "\x1b" not in text
    assert max(map(len, text.splitlines())) < 200


# --- The program: status. ---


def test_all_is_well_is_0(capsys, fake):
    configure("Acme = " + fake.url + SUMMARY)
    assert run(capsys, "--status") == (0, "All is well.\n", [])
    assert run(capsys, "--status", "--json") == (0, "", [])
    assert list(Path().iterdir()) == [Path("providers.ini")]  # no state


def test_what_is_not_well_is_3(capsys, fake):
    configure("Acme = " + fake.url + SUMMARY)
    fake.do("component api major_outage")
    fake.do('incident db investigating "Errors" "We look."')
    fake.do('update db identified "Found."')
    code, out, err = run(capsys, "--status")
    assert (code, err) == (3, [])
    head, *rows = [re.split("  +", line) for line in out.splitlines()]
    assert head == ["PROVIDER", "WHAT", "STATUS", "SINCE (UTC)"]
    assert [row[:3] for row in rows] == [
        ["Acme", "Errors", "Identified"],
        ["Acme", "API", "Major outage"],
    ]
    code, out, err = run(capsys, "--status", "--json")
    assert (code, err) == (3, [])
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["status"] for line in lines] == ["identified", "major_outage"]
    assert list(lines[0]) == list(statuswatch.Event._fields)


def test_a_page_that_cannot_be_read_is_1_unless_another_is_not_well(
    capsys, fake, server
):
    refuse = server.url("refuse")
    configure("Acme = " + fake.url + SUMMARY, "Gone = " + refuse)
    code, out, err = run(capsys, "--status")
    assert code == 1 and err == ["WARNING  [Gone] %s: Connection refused" % refuse]
    assert "Gone      its page  Could not be read" in out and "well" not in out
    fake.do("component api major_outage")
    code, out, err = run(capsys, "--status")
    assert code == 3 and len(err) == 1
    assert "Gone" in out and "API" in out


def test_a_page_that_is_read_in_part_is_1_too(capsys, fake):
    configure("Acme = %s statuspage" % fake.url)
    fake.do("fail 403 3600 path=/history.atom")
    code, out, err = run(capsys, "--status")
    assert code == 1 and "Could not be read" in out and "403" in err[0]


def test_providers_are_named_in_any_case(capsys, fake, server):
    configure("Acme = " + fake.url + SUMMARY, "Big Co = " + server.url("healthy"))
    assert run(capsys, "--status", "acme") == (0, "All is well.\n", [])
    assert server.requests == []
    assert run(capsys, "--status", "BIG co", "Acme")[0] == 0
    assert len(server.requests) == 1


def test_a_name_that_is_not_there_is_2(capsys, fake):
    configure("Acme = " + fake.url + SUMMARY)
    code, out, err = run(capsys, "--status", "Acme", "Ecma", "B")
    assert (code, out) == (2, "")
    assert err == ["ERROR    providers.ini: no provider b, ecma"]
    assert fake.requests == []


def test_a_page_may_be_given_instead_of_a_name(capsys, fake):
    fake.do("component api major_outage")
    code, out, _ = run(capsys, "--status", fake.url)
    assert code == 3 and "Major outage" in out


@pytest.mark.parametrize(
    "terminal, variable, coloured",
    [(True, None, True), (True, "", True), (True, "1", False), (False, None, False)],
)
def test_colours_are_for_terminals(
    capsys, fake, monkeypatch, terminal, variable, coloured
):
    class Out(io.TextIOWrapper):
        def isatty(self):
            return terminal

    fake.do("component api major_outage")
    if variable is not None:
        monkeypatch.setenv("NO_COLOR", variable)
    out = Out(io.BytesIO(), encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        assert run(capsys, "--status", fake.url + SUMMARY)[0] == 3
    text = out.buffer.getvalue().decode()
    assert ("\x1b[31m" in text) is coloured and "Press Ctrl+C" not in text


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("option", ["--status", "--probe"])
def test_an_output_that_fails_is_1(capsys, fake, option, monkeypatch):
    with monkeypatch.context() as patch, open("/dev/full", "w") as full:
        patch.setattr(sys, "stdout", full)
        patch.setattr(os, "dup2", lambda *_: None)
        code, _, err = run(capsys, option, fake.url + SUMMARY)
        patch.undo()
        with contextlib.suppress(OSError):
            full.close()
    assert code == 1
    assert err[-1] == "ERROR    output failed: No space left on device"


def test_who_was_not_read_when_a_signal_came_is_not_well(capsys, server):
    configure("Acme = " + server.url("accept_and_hang"))

    def interrupt():
        while not server.requests:
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    code, out, _ = run(capsys, "--status")
    thread.join()
    assert code == 1 and "Could not be read" in out


# --- The program: probe. ---


def test_a_probe_says_what_is_there(capsys, fake):
    fake.do('component db "Data <b>base" operational')
    fake.do('component x "X" major_outage')
    fake.do('incident i investigating "Errors" "We look."')
    code, out, err = run(capsys, "--probe", fake.url)
    assert (code, err) == (0, [])
    name = fake.url.partition("://")[2].partition(".")[0]
    assert out.splitlines() == [
        fake.url,
        "  platform: statuspage",
        "  source: %s/history.atom (ETag and date)" % fake.url,
        "  source: %s/api/v2/summary.json (ETag and date)" % fake.url,
        "  components: 4, such as API, Web, Data <b>base",
        "  incidents: 1, 1 open",
        "%s = %s statuspage" % (name, fake.url),
    ]


def test_the_line_that_a_probe_prints_is_one_for_the_configuration(capsys, fake):
    line = run(capsys, "--probe", fake.url)[1].splitlines()[-1]
    (provider,) = statuswatch.parse_config("[providers]\n" + line, "x").providers
    assert provider.urls == (fake.url,) and provider.platform == "statuspage"


def test_a_source_is_probed_as_it_is(capsys, fake):
    code, out, _ = run(capsys, "--probe", fake.url + SUMMARY)
    assert code == 0
    assert out.splitlines()[-1].endswith(" = %s%s" % (fake.url, SUMMARY))


@pytest.mark.parametrize(
    "url, name",
    [
        ("http://[::1]:8080/x.rss", "::1"),
        ("https://status.acme.test", "Acme"),
        ("https://statuswatch/x.rss", "Statuswatch"),
        ("https://www.acmestatus.test", "Acme"),
        ("https://acme-status.test/", "Acme"),
        ("https://acme.statuspage.test", "Acme"),
        ("https://u:p@status.test/x?token=s", "Status"),
    ],
)
def test_a_name_is_proposed(url, name):
    reads = [(Source(url), Page("feed"))]
    text = statuswatch.format_probe(Provider("x", (url,)), reads, [])
    *_, count, incidents, line = text.splitlines()
    assert line.partition(" = ")[0] == name and "p@" not in text and "=s" not in text
    assert (count, incidents) == ("  components: 0", "  incidents: 0, 0 open")
    assert "(no validators)" in text
    (provider,) = statuswatch.parse_config("[providers]\n" + line, "x").providers
    assert provider.name == name


def test_a_scheme_may_be_left_out(capsys, monkeypatch):
    asked = []

    def fetch(self, url, *_, **__):
        asked.append(url)
        raise statuswatch.FetchError("no")

    monkeypatch.setattr(statuswatch.Fetcher, "fetch", fetch)
    code, out, err = run(capsys, "--probe", "status.acme.test", "http://b.test")
    assert (code, out) == (1, "")
    assert {url.split("/")[0] + "//" + url.split("/")[2] for url in asked} == {
        "https://status.acme.test",
        "http://b.test",
    }


def test_several_pages_are_probed_at_once_and_the_reason_given(capsys, fake, server):
    url = server.url("healthy")
    gone = server.url("not_found")
    code, out, err = run(capsys, "--probe", fake.url, gone, url)
    assert code == 1
    blocks = out.split("\n\n")
    assert sorted(block.split()[0] for block in blocks) == sorted([fake.url, url])
    assert len(err) == 1 and err[0].endswith("%s: HTTP status 404" % gone)


def test_a_page_that_is_none_is_1_with_the_reason(capsys, server):
    page = server.url("healthy").replace("/healthy", "")
    code, out, err = run(capsys, "--probe", page)
    assert (code, out, len(err)) == (1, "", 1)
    assert err[0].startswith("WARNING  [") and page in err[0]


def test_what_can_be_read_is_shown_though_a_source_fails(capsys, fake):
    """Nobody comes again, as a watch does."""
    fake.do("component api major_outage")
    fake.do("fail 503 3600 path=/history.atom")
    code, out, err = run(capsys, "--probe", fake.url)
    assert code == 0 and "/history.rss" in out and SUMMARY in out
    fake.do("fail 503 3600 path=/history.rss")
    configure("Acme = " + fake.url)
    code, out, err = run(capsys, "--status")
    assert code == 3 and "API" in out and err == []


def test_why_each_of_several_pages_cannot_be_reached_is_told(capsys, server):
    refuse = server.url("refuse")
    argv = "--probe", refuse + "/1", refuse + "/2"
    code, out, err = run(capsys, *argv)
    assert (code, out) == (1, "")
    assert sum("Connection refused" in line for line in err) == 2
    assert sum("our own network" in line for line in err) == 1 == len(err) - 2


@pytest.mark.parametrize("argv", [[], ["ftp://a.test"], ["a b"], ["https://"]])
def test_a_probe_of_no_address_is_2_and_one_line(capsys, argv):
    code, out, err = run(capsys, "--probe", *argv)
    assert (code, out, len(err)) == (2, "", 1)
