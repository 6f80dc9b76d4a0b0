"""The right poll at the right time, and nothing lost on the way to the printer.

The schedule is tested in a time of its own: where the scheduler would wait, it jumps.
Pages are served for real, on loopback.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import datetime as datetime_
import heapq
import itertools
import json
import logging
import os
import queue
import random
import re
import resource
import socket
import threading
import time
import types

import pytest
import statuswatch
from fakes import load_script
from faults import TRICKS, FaultServer
from statuswatch import (
    MEMORY,
    RELOAD,
    SICK,
    SLOW,
    MOVED,
    STOP,
    TICK,
    Config,
    ConfigError,
    Fetcher,
    FetchError,
    ParseError,
    PollError,
    Provider,
    Watch,
    Watcher,
    poll,
)

FakePage = load_script("fakepage").FakePage
EPOCH = 1740355200.0  # 2025-02-24T00:00:00Z, when simulations begin
BOOTED = 1000.0  # what the monotonic clock says then
HOUR = 3600.0
SUMMARY = "/api/v2/summary.json"


@pytest.fixture(autouse=True)
def debug(caplog):
    caplog.set_level(logging.DEBUG, "statuswatch")


@pytest.fixture
def fetcher():
    fetcher = Fetcher(4)
    with contextlib.closing(fetcher._adapter):
        yield fetcher


@pytest.fixture
def fake():
    with FakePage() as fake:
        fake.do('component api "API" operational')
        yield fake


@pytest.fixture
def server():
    with FaultServer() as server:
        yield server


@pytest.fixture
def no_waits(monkeypatch):
    """No wait between attempts; the longest that jitter leaves between polls."""
    monkeypatch.setattr(random, "uniform", lambda low, high: high if low else 0)


@pytest.fixture
def watch(fake):
    return Watch(Provider("Acme", (fake.url,), "statuspage"))


@pytest.fixture
def summary(fake):
    """A watch of one source."""
    return Watch(Provider("Acme", (fake.url + SUMMARY,)))


def told(events):
    """What a reader sees: the incident's status and words, or the component's."""
    return [(e.components[0] if e.component_id else e.title, e.status) for e in events]


def read(result):
    """The sources that were read."""
    return [source for source, _ in result.reads]


def again(watch):
    """The watch as it is after a restart."""
    return Watch(watch.provider, watch.stored())


def messages(caplog, level=logging.WARNING):
    return [r.getMessage() for r in caplog.records if r.levelno == level]


# --- A poll. ---


def test_a_first_poll_is_silent_and_says_what_it_saw(watch, fake, fetcher, caplog):
    fake.do('incident db investigating "Errors" "We look."')
    result = poll(watch, fetcher)
    assert (result.events, result.failed) == ([], [])
    assert read(result) == watch.sources
    assert [request.path for request in fake.requests] == ["/history.atom", SUMMARY]
    assert messages(caplog, logging.INFO) == [
        "[Acme] Seeded — 1 incidents, 1 components"
    ]


def test_what_happens_then_is_told_once(watch, fake, fetcher):
    poll(watch, fetcher)
    fake.do('incident db investigating components=api "Errors" "We look."')
    fake.do("component api major_outage")
    fake.do('update db identified "Found."')
    events = poll(watch, fetcher).events
    assert told(events) == [
        ("Errors", "investigating"),
        ("Errors", "identified"),
        ("API", "major_outage"),
    ]
    assert all(event.source.startswith(fake.url) for event in events)
    assert poll(watch, fetcher).events == ()


def test_what_has_not_changed_is_not_parsed(watch, fake, fetcher, monkeypatch):
    """R10, for a 304 and for the same body again."""
    poll(watch, fetcher)
    watch.pending = False
    monkeypatch.setattr(statuswatch, "parse", lambda *_: pytest.fail("parsed"))
    monkeypatch.setattr(statuswatch, "Tracker", lambda *_: pytest.fail("observed"))
    unchanged = [(source, None) for source in watch.sources]
    assert poll(watch, fetcher) == ((), unchanged, [], {})
    assert [request.status for request in fake.requests[2:]] == [304, 304]
    for source in watch.sources:
        source.etag = source.modified = ""
    assert poll(watch, fetcher) == ((), unchanged, [], {})
    assert [request.status for request in fake.requests[4:]] == [200, 200]
    assert all(source.etag for source in watch.sources)


BROKEN_PAGES = [
    *("html", "empty", "cut", "drop"),
    *("500", "503", "404", "400", "403", "206", "204", "201", "300"),
]


@pytest.mark.parametrize("what", BROKEN_PAGES)
@pytest.mark.parametrize("path", ["", " path=" + SUMMARY])
def test_a_failed_read_changes_nothing(watch, fake, fetcher, no_waits, what, path):
    """R11"""
    poll(watch, fetcher)
    memory, stored = watch.memory, json.loads(watch.stored())
    fake.do('incident db investigating "Errors" "We look."')
    fake.do("fail %s 3600%s" % (what, path))
    if not path:
        with_errors = poll(watch, fetcher)
        assert with_errors.events == () and read(with_errors) == []
        assert [source for source, _ in with_errors.failed] == watch.sources
        assert all(isinstance(e, PollError) for _, e in with_errors.failed)
        assert watch.memory == memory
        before, after = stored["sources"], json.loads(watch.stored())["sources"]
        for slot, members in before.items():
            assert members["wait_until"] == pytest.approx(after[slot]["wait_until"], 1)
            after[slot]["wait_until"] = members["wait_until"]
        assert after == before
        fake.do("ok")
        assert told(poll(watch, fetcher).events) == [("Errors", "investigating")]
    else:
        partly = poll(watch, fetcher)
        assert [source.url for source, _ in partly.failed] == [fake.url + SUMMARY]
        assert told(partly.events) == [("Errors", "investigating")]
        fake.do("ok")
        assert poll(watch, fetcher).events == []


@pytest.mark.parametrize("path", ["", SUMMARY])
@pytest.mark.parametrize("what", ["cut", "html", "503", "drop"])
def test_what_is_kept_of_a_failure_holds_no_body(fake, fetcher, no_waits, what, path):
    """Its traceback and its causes would, and all that was made of it."""
    fake.do("fail %s 3600" % what)
    failed = poll(Watch(Provider("Acme", (fake.url + path,))), fetcher).failed
    assert failed
    for _, error in failed:
        assert error.__traceback__ is error.__cause__ is error.__context__ is None


def test_the_validators_of_a_broken_body_are_not_stored(server, fetcher, monkeypatch):
    """R11: a broken 200 followed by 304 would lose an update for ever."""

    def broken(exchange):
        body = exchange.page.snapshot()[1]
        exchange.respond(200, body[:-1], headers=[("ETag", '"v1"')])

    monkeypatch.setitem(TRICKS, "broken", broken)
    server.play("page", ["healthy", "broken", "healthy"])
    watch = Watch(Provider("Acme", (server.url("play/page"),)))
    poll(watch, fetcher)
    server.page("page").advance()
    assert isinstance(poll(watch, fetcher).failed[0][1], ParseError)
    assert watch.sources[0].etag == '"v0"'
    events = poll(watch, fetcher).events
    assert ("Incident 0 of page", "investigating") in told(events)
    asked = [request.header("If-None-Match") for request in server.requests]
    assert asked == [None, '"v0"', '"v0"']


def test_new_validators_of_an_unchanged_body_are_stored(server, fetcher):
    watch = Watch(Provider("Acme", (server.url("new_etag"),)))
    poll(watch, fetcher)
    first = watch.sources[0].etag
    poll(watch, fetcher)
    assert server.requests[1].header("If-None-Match") == first
    assert watch.sources[0].etag not in ("", first)


def test_a_stale_copy_is_set_aside_twice(server, fetcher, caplog):
    """R6: it changes nothing, counts as no read, and its validators are not stored."""
    url = server.url("healthy")
    watch = Watch(Provider("Acme", (url,)))
    source, page = watch.sources[0], server.page("page")
    poll(watch, fetcher)
    page.advance()
    assert poll(watch, fetcher).events
    page.version = 0
    for _ in range(2):
        result = poll(watch, fetcher)
        assert result[:3] in (((), [], []), ([], [], []))
        assert source.etag == '"v1"'
    assert messages(caplog, logging.DEBUG)[-1] == "%s: set aside: a stale copy" % url
    assert told(poll(watch, fetcher).events) == [("Component 0 of page", "operational")]
    assert source.etag == '"v0"'


def test_another_pages_document_seeds_afresh_the_third_time(fake, fetcher, caplog):
    """R14"""
    watch = Watch(Provider("Acme", (fake.url + SUMMARY,)))
    poll(watch, fetcher)
    fake.do('page "Other"')
    fake.do('incident db investigating "Errors" "We look."')
    for _ in range(2):
        assert read(poll(watch, fetcher)) == []
    assert messages(caplog) == []
    result = poll(watch, fetcher)
    assert (result.events, read(result)) == ([], watch.sources)
    url = fake.url + SUMMARY
    words = "%s is another page now: seeding afresh" % url
    assert messages(caplog) == [words]
    fake.do('update db identified "Found."')
    assert told(poll(watch, fetcher).events) == [("Errors", "identified")]


def test_polls_in_a_row_are_what_counts(fake, fetcher):
    """Another page's document now and then is never believed."""
    watch = Watch(Provider("Acme", (fake.url + SUMMARY,)))
    poll(watch, fetcher)
    for _ in range(3):
        fake.do('page "Other"')
        assert read(poll(watch, fetcher)) == []
        assert read(poll(watch, fetcher)) == []
        fake.do('page "Example"')
        assert read(poll(watch, fetcher)) == watch.sources


def test_an_unchanged_page_in_between_is_a_read_too(server, fetcher):
    """R14: its 304 shows that the others are not the page."""
    steps = ["wrong_tenant", "wrong_tenant", "healthy"]
    server.play("page", ["healthy", *steps * 3])
    watch = Watch(Provider("Acme", (server.url("play/page"),)))
    seen = [len(read(poll(watch, fetcher))) for _ in range(10)]
    assert seen == [1] + [0, 0, 1] * 3


def test_a_page_whose_first_read_failed_seeds_when_it_succeeds(
    watch, fake, fetcher, no_waits
):
    """R1"""
    fake.do('incident db investigating "Errors" "We look."')
    fake.do("fail 503 3600")
    assert len(poll(watch, fetcher).failed) == 2
    fake.do("ok")
    fake.do("fail 403 3600 path=" + SUMMARY)
    assert poll(watch, fetcher).events == []
    fake.do("ok")
    assert not poll(watch, fetcher).events
    fake.do('update db identified "Found."')
    assert told(poll(watch, fetcher).events) == [("Errors", "identified")]


# --- A restart. ---


def test_a_watch_is_stored_and_made_again(watch, fake, fetcher):
    poll(watch, fetcher)
    stored = json.loads(watch.stored())
    known = {"page", "found", "sources", "events", "polls", "pending", "memory"}
    assert set(stored) == known
    text = json.dumps([stored["found"], stored["sources"]])
    assert fake.url not in text and "not_before" not in text and "away" not in text
    made = again(watch)
    assert [source.url for source in made.sources] == [s.url for s in watch.sources]
    for one, other in zip(watch.sources, made.sources):
        assert other.away is None and one.away is False
        assert (one.etag, one.digest, one.read_at) == (
            other.etag,
            other.digest,
            other.read_at,
        )
    assert not poll(made, fetcher).events
    assert [request.status for request in fake.requests[2:]] == [304, 304]


def test_what_happened_while_stopped_is_told(watch, fake, fetcher):
    """R15"""
    poll(watch, fetcher)
    fake.do('incident db investigating "Errors" "We look."')
    made = again(watch)
    (event,) = poll(made, fetcher).events
    assert (event.status, event.while_away) == ("investigating", False)
    assert not poll(again(made), fetcher).events


@pytest.mark.parametrize("seconds, away", [(590, False), (610, True), (9e6, True)])
def test_what_happened_long_ago_says_so_once(watch, fake, fetcher, seconds, away):
    """R15"""
    poll(watch, fetcher)
    fake.do('incident db investigating "Errors" "We look."')
    for source in watch.sources:
        source.read_at -= seconds
    made = again(watch)
    assert [event.while_away for event in poll(made, fetcher).events] == [away]
    fake.do('update db identified "Found."')
    for source in made.sources:
        source.read_at -= seconds
    assert [event.while_away for event in poll(made, fetcher).events] == [False]


def test_a_wait_that_a_server_asked_for_outlasts_a_restart(
    monkeypatch, no_waits, server
):
    sim = Sim(monkeypatch)
    provider = Provider("Acme", (server.url("retry_after?form=seconds&seconds=1000"),))
    stored = sim.run(10, provider, state=Memory())[-1].stored
    for now, requests in ((500, 1), (990, 1), (1010, 2), (2000, 3)):
        sim = Sim(monkeypatch)
        sim.now = float(now)
        sim.run(now + 1, provider, state=Memory(Acme=stored))
        assert len(server.requests) == requests


@pytest.mark.parametrize("days", [-10, 10])
def test_a_clock_that_was_set_holds_nobody_back(monkeypatch, no_waits, server, days):
    sim = Sim(monkeypatch)
    provider = Provider("Acme", (server.url("retry_after?form=seconds&seconds=1000"),))
    stored = sim.run(10, provider, state=Memory())[-1].stored
    sim = Sim(monkeypatch)
    sim.set_by = days * 86400.0
    sim.run(1, provider, state=Memory(Acme=stored))
    assert len(server.requests) == 2


@pytest.mark.parametrize("days", [-10, 10])
def test_a_clock_that_is_set_while_we_run_changes_no_poll(
    sim, server, requests_at, days
):
    def set_clock():
        sim.set_by = days * 86400.0

    sim.at(100, set_clock)
    sim.run(300, Provider("Acme", (server.url("healthy"),)))
    assert {round(gap) for gap in sim.gaps()[1:]} == {30}
    assert len(requests_at) == len(sim.polls)


def test_a_pause_of_our_own_does_not_outlast_a_restart(monkeypatch, no_waits, server):
    provider = Provider("Acme", (server.url("status?code=403"),))
    for requests in (1, 2, 3):
        sim = Sim(monkeypatch)
        batches = sim.run(1, provider, state=Memory())
        assert batches and len(server.requests) == requests


def test_after_a_restart_what_has_not_changed_is_not_observed(
    watch, fake, fetcher, monkeypatch
):
    for _ in range(2):
        poll(watch, fetcher)
    made = again(watch)
    monkeypatch.setattr(statuswatch, "Tracker", lambda *_: pytest.fail("observed"))
    assert poll(made, fetcher) == ((), [(each, None) for each in made.sources], [], {})


def test_after_a_restart_what_may_be_over_is_observed(watch, fake, fetcher):
    """R7"""
    fake.do('incident db investigating "Errors" "We look."')
    poll(watch, fetcher)
    fake.do("remove db")
    assert not poll(watch, fetcher).events
    (event,) = poll(again(watch), fetcher).events
    assert (event.status, event.inferred) == ("resolved", True)


# --- A page whose platform nobody knows. ---


@pytest.mark.parametrize(
    "flavour, paths",
    [
        ("statuspage", ["/history.atom", SUMMARY]),
        ("incidentio", ["/feed.atom", "/api/v2/components.json"]),
    ],
)
def test_a_page_of_unknown_platform_is_looked_at(fetcher, flavour, paths):
    with FakePage(flavour) as fake:
        fake.do('component api "API" operational')
        watch = Watch(Provider("Acme", (fake.url,)))
        assert poll(watch, fetcher).events == []
        assert [source.url for source in watch.sources] == [fake.url + p for p in paths]
        fake.do('incident db investigating "Errors" "We look."')
        assert told(poll(watch, fetcher).events) == [("Errors", "investigating")]
        fake.requests.clear()
        fake.do('update db resolved "Over."')
        made = again(watch)  # what was found is remembered
        assert told(poll(made, fetcher).events) == [("Errors", "resolved")]
        assert [request.path for request in fake.requests] == paths


@pytest.mark.parametrize("what", ["404", "html", "empty"])
def test_of_two_feeds_the_second_will_do(fake, fetcher, what):
    fake.do("fail %s 3600 path=/history.atom" % what)
    watch = Watch(Provider("Acme", (fake.url,)))
    poll(watch, fetcher)
    urls = [source.url for source in watch.sources]
    assert urls == [fake.url + "/history.rss", fake.url + SUMMARY]


def test_a_page_of_no_platform_that_we_know_is_a_failure(server, fetcher):
    url = server.url("healthy").replace("/healthy", "")
    watch = Watch(Provider("Acme", (url,)))
    for _ in range(2):
        result = poll(watch, fetcher)
        assert not result.events and not read(result)
        ((source, error),) = result.failed
        assert source.url == url and isinstance(error, PollError)
    paths = {request.path for request in server.requests}
    assert "/history.atom" in paths and "/feed.atom" in paths


def test_a_page_that_wants_us_away_is_not_searched_on(fake, fetcher):
    fake.do("fail 429 3600 retry-after=60")
    watch = Watch(Provider("Acme", (fake.url,)))
    ((_, error),) = poll(watch, fetcher).failed
    assert error.retry_after == 60
    assert len(fake.requests) == 1


def test_a_page_that_wants_us_away_is_not_asked_at_the_next_start(fake, fetcher):
    fake.do("fail 429 3600 retry-after=60")
    watch = Watch(Provider("Acme", (fake.url,)))
    ((source, _),) = poll(watch, fetcher).failed
    source.wait_until = time.time() + 60  # as its failure is taken in
    result = poll(again(watch), fetcher)
    assert len(fake.requests) == 1 and not result.failed


def test_what_happened_while_a_page_was_away_is_told(fake, fetcher):
    """What is found again is not seeded afresh: the same sources go on."""
    watch = Watch(Provider("Acme", (fake.url,)))
    poll(watch, fetcher)
    fake.do('incident db investigating "Errors" "We look."')
    before = list(watch.sources)
    for source in before:
        source.failures = statuswatch.GONE + 1
    assert told(poll(watch, fetcher).events) == [("Errors", "investigating")]
    assert watch.sources == before


def test_sources_that_no_longer_work_are_looked_for_again(fake, fetcher, no_waits):
    watch = Watch(Provider("Acme", (fake.url,)))
    poll(watch, fetcher)
    before = list(watch.sources)
    for source in before:
        source.failures = statuswatch.GONE
    fake.do("fail 404 3600 path=/history.atom")
    poll(watch, fetcher)
    assert watch.sources == before
    for source in before:
        source.failures = statuswatch.GONE + 1
    poll(watch, fetcher)
    urls = [source.url for source in watch.sources]
    assert urls == [fake.url + "/history.rss", fake.url + SUMMARY]


def test_a_source_that_fails_while_a_page_is_searched_is_not_lost(
    fake, fetcher, no_waits
):
    fake.do("fail 503 3600 path=" + SUMMARY)
    watch = Watch(Provider("Acme", (fake.url,)))
    ((source, error),) = poll(watch, fetcher).failed
    assert (source.url, error.status) == (fake.url, 503)
    watch = again(watch)
    fake.do("ok")
    assert not poll(watch, fetcher).failed
    urls = [source.url for source in watch.sources]
    assert urls == [fake.url + "/history.atom", fake.url + SUMMARY]


def test_of_a_source_that_fails_the_alternative_is_taken(fake, fetcher, no_waits):
    fake.do("fail 503 3600 path=/history.atom")
    watch = Watch(Provider("Acme", (fake.url,)))
    assert not poll(watch, fetcher).failed
    urls = [source.url for source in watch.sources]
    assert urls == [fake.url + "/history.rss", fake.url + SUMMARY]


def test_a_source_that_keeps_failing_is_done_without(sim, fake, caplog):
    fake.do("fail 503 99999 path=" + SUMMARY)
    sim.at(590, lambda: fake.do('incident db investigating "Errors" "We look."'))
    batches = sim.run(630, Provider("Acme", (fake.url,)))
    watch = sim.made.watches["Acme"]
    assert [source.url for source in watch.sources] == [fake.url + "/history.atom"]
    assert watch.polls["failed"] == statuswatch.PATIENCE
    (warning,) = messages(caplog)
    assert warning.endswith(": HTTP status 503")
    assert [told(batch.events) for batch in batches] == [[("Errors", "investigating")]]


def test_the_sources_of_a_page_are_not_those_of_another(fake, fetcher):
    """Neither the paths nor the whole addresses."""
    watch = Watch(Provider("Acme", (fake.url,)))
    poll(watch, fetcher)
    elsewhere = "https://api.status.io/1.0/status/0123456789abcdef01234567"
    watch.sources.append(statuswatch.Source(elsewhere))
    assert len(again(watch).sources) == 3
    # A state that does not say whose they are is from before it did.
    stored = json.loads(watch.stored())
    del stored["page"]
    assert len(Watch(watch.provider, statuswatch.dumps(stored)).sources) == 3
    # With a password, or a slash, it is the same page.
    same = fake.url.replace("//", "//user:secret@") + "/"
    watch.provider = watch.provider._replace(urls=(same,))
    assert len(again(watch).sources) == 3
    watch.provider = watch.provider._replace(urls=("http://127.0.0.1:1",))
    assert [source.url for source in again(watch).sources] == ["http://127.0.0.1:1"]


def test_a_page_that_was_never_read_is_searched_with_its_password_again(
    fake, fetcher, no_waits
):
    fake.do("fail 503 3600")
    url = fake.url.replace("//", "//user:secret@")
    watch = Watch(Provider("Acme", (url,)))
    assert poll(watch, fetcher).failed
    assert json.loads(watch.stored())["found"] == []
    watch = again(watch)
    fake.do("ok")
    assert not poll(watch, fetcher).failed
    urls = [source.url for source in watch.sources]
    assert urls == [url + "/history.atom", url + SUMMARY]
    assert "secret" not in watch.stored()


def test_sources_at_other_addresses_are_the_same_page(server, fetcher):
    """Components go on, also where the page gives no times of their changes."""
    row = {"id": "c", "name": "API", "description": "", "isParent": False}

    def publish(status):
        body = json.dumps({"components": [{**row, "status": status}]}).encode()
        server.documents["page"] = (body, "application/json")

    publish("OPERATIONAL")
    before, after = server.url("document/page?1"), server.url("document/page?2")
    watch = Watch(Provider("Acme", (before,)))
    poll(watch, fetcher)
    watch.provider = watch.provider._replace(urls=(after,))
    watch, seen = again(watch), []
    for status in ("OPERATIONAL", "MAJOROUTAGE", "OPERATIONAL"):
        publish(status)
        seen.append(told(poll(watch, fetcher).events))
    assert seen == [[], [("API", "major_outage")], [("API", "operational")]]


def test_a_source_that_is_polled_no_more_does_not_hold_up_an_end(fake, fetcher):
    """R7: without it the list alone says what is over, by its second read."""
    watch = Watch(Provider("Acme", (fake.url,), "statuspage"))
    fake.do('incident db investigating "Errors" "We look."')
    poll(watch, fetcher)
    watch.provider = Provider("Acme", (fake.url + SUMMARY,))
    watch = again(watch)
    fake.do("remove db")
    assert not poll(watch, fetcher).events
    (event,) = poll(watch, fetcher).events
    assert (event.status, event.inferred) == ("resolved", True)


class Memory:
    """A state that is only asked what it has."""

    def __init__(self, **providers):
        self.providers = providers


# --- What is asked, and when. ---


def test_a_source_that_must_wait_is_not_asked(watch, fake, fetcher):
    watch.sources[0].not_before = time.monotonic() + 100
    assert read(poll(watch, fetcher)) == watch.sources[1:]
    assert [request.path for request in fake.requests] == [SUMMARY]


def test_a_page_that_is_fresh_is_not_asked_again(server, fetcher):
    watch = Watch(Provider("Acme", (server.url("max_age?seconds=50"),)))
    now = time.monotonic()
    poll(watch, fetcher)
    assert watch.sources[0].not_before == pytest.approx(now + 50, abs=5)
    assert read(poll(watch, fetcher)) == []
    assert len(server.requests) == 1


def test_a_host_that_wants_us_away_is_not_asked_for_another_source(
    watch, fake, fetcher
):
    fake.do("fail 503 3600 retry-after=60")
    ((source, error),) = poll(watch, fetcher).failed
    assert source is watch.sources[0] and error.retry_after == 60
    assert len(fake.requests) == 1


def test_validators_are_left_out_every_six_hours(server, fetcher):
    """Some servers say 304 for as long as they can."""
    watch = Watch(Provider("Acme", (server.url("always_304"),)))
    source, utc = watch.sources[0], statuswatch.UTC
    start = datetime_.datetime(2025, 2, 24, tzinfo=utc)

    def asks(hours):
        at = (start + datetime_.timedelta(hours=hours)).timestamp()
        ((read, _),) = statuswatch.read_source(source, fetcher, 20, at, None)
        assert read is source
        return server.requests[-1].header("If-None-Match")

    assert [asks(hours) for hours in (0, 0.01, 4.4)] == [None, '"stuck"', '"stuck"']
    assert source.full_at == start.timestamp()
    assert [asks(hours) for hours in (6, 6.1, 10.4)] == [None, '"stuck"', '"stuck"']
    assert asks(-1) is None  # the clock was set back
    assert asks(200) is None


def test_a_page_that_moved_for_good_is_asked_there_after_five_polls(server, fetcher):
    watch = Watch(Provider("Acme", (server.url("moved"),)))
    for _ in range(7):
        assert read(poll(watch, fetcher))
    paths = [request.path for request in server.requests]
    assert paths == ["/moved", "/healthy/page"] * 5 + ["/healthy/page"] * 2
    made = again(watch)
    poll(made, fetcher)
    assert server.requests[-1].path == "/healthy/page"
    assert len(server.requests) == 13


def test_five_different_places_are_no_move(server, fetcher):
    steps = ["redirect?code=301&to=/healthy%%3Fn=%d" % n for n in range(9)]
    server.play("page", steps)
    watch = Watch(Provider("Acme", (server.url("play/page"),)))
    for _ in range(7):
        assert read(poll(watch, fetcher))
    assert [r.path for r in server.requests[::2]] == ["/play/page"] * 7


def test_an_address_with_what_may_be_a_secret_is_not_kept(server, fetcher):
    url = server.url("redirect?code=301&to=/healthy%3Ftoken=secret")
    watch = Watch(Provider("Acme", (url,)))
    for _ in range(7):
        assert read(poll(watch, fetcher))
    assert [r.path for r in server.requests] == ["/redirect", "/healthy"] * 7
    assert "secret" not in watch.stored()


def test_a_redirect_that_is_gone_meanwhile_begins_anew(server, fetcher):
    move = "redirect?code=301&to=/healthy/page"
    server.play("page", [move] * 4 + ["healthy"] + [move])
    watch = Watch(Provider("Acme", (server.url("play/page"),)))
    for _ in range(9):
        assert read(poll(watch, fetcher))
    assert len(server.requests_of("play")) == 9


# --- A time of its own. ---


class Inline(concurrent.futures.Executor):
    """Polls at once; a poll lasts what `lasts` says of its provider's name."""

    def __init__(self, sim):
        self.sim = sim

    def submit(self, function, watch, fetcher):
        future, name = concurrent.futures.Future(), watch.provider.name
        began = self.sim.now
        room = "slow" if watch.sick else "poll"
        self.sim.polls.append((round(began, 3), name, room))
        flying = [each.provider.name for each in self.sim.made._flying.values()]
        assert name not in flying, "it is polled twice at once"
        self.sim.flying.append(1 + len(flying))

        def finish():
            try:
                future.set_result(function(watch, fetcher))
            except Exception as exc:
                future.set_exception(exc)

        lasts = self.sim.lasts.get(name, 0.0)
        self.sim.after(lasts, finish) if lasts else finish()
        return future

    def shutdown(self, wait=True):
        pass


class Sim:
    """A watcher in a time that passes only where the scheduler waits.

    It is the watcher's inbox too: in `get`, what was asked for with `after` and `at`
    happens at its time. `now` are the seconds since the beginning.
    """

    def __init__(self, monkeypatch):
        self.now, self.lasts, self.polls, self.outbox = 0.0, {}, [], queue.Queue()
        self.workers, self.flying = 0, []  # given; how many polls there were at once
        self._items, self._actions = [], []
        self.set_by = 0.0  # seconds by which somebody has set the time of day
        self._number = itertools.count()
        clocks = types.SimpleNamespace(
            monotonic=lambda: BOOTED + self.now, time=self.time
        )
        monkeypatch.setattr(statuswatch, "time", clocks)
        sim = self

        class Now(datetime_.datetime):
            @classmethod
            def now(cls, tz=None):
                return datetime_.datetime.fromtimestamp(sim.time(), tz)

        monkeypatch.setattr(statuswatch, "datetime", Now)

    def time(self):
        return EPOCH + self.now + self.set_by

    def at(self, when, action):
        heapq.heappush(self._actions, (when, next(self._number), action))

    def after(self, seconds, action):
        self.at(self.now + seconds, action)

    def put(self, item):
        self._items.append(item)

    def get(self, timeout):
        end = self.now + timeout
        while not self._items and self._actions and self._actions[0][0] <= end:
            self.now, _, action = heapq.heappop(self._actions)
            action()
        if self._items:
            return self._items.pop(0)
        self.now = end
        raise queue.Empty

    def watcher(self, *providers, state=None):
        self.made = Watcher(Config(providers, self.workers), self.outbox, state)
        self.made.inbox = self
        self.made._pool = Inline(self)
        self.made._new_pool = lambda: Inline(self)
        return self.made

    def run(self, seconds, *providers, once=False, reload=None, state=None):
        """Run for so long; return the batches."""
        watcher = self.watcher(*providers, state=state)
        self.at(seconds, lambda: self.put(STOP))
        watcher.once, watcher.notify = once, statuswatch.notify
        watcher.reload = reload or watcher.reload
        try:
            watcher.run()
        finally:
            watcher.fetcher._adapter.close()
        return list(self.outbox.queue)

    def times(self, name="Acme"):
        """When a provider was polled."""
        return [at for at, polled, _ in self.polls if polled == name]

    def gaps(self, name="Acme"):
        times = self.times(name)
        return [later - sooner for sooner, later in zip(times, times[1:])]


@pytest.fixture
def sim(monkeypatch, no_waits):
    return Sim(monkeypatch)


@pytest.fixture
def requests_at(sim, monkeypatch):
    """When which URL was fetched."""
    asked, fetch = [], Fetcher.fetch

    def noted(self, url, *args, **kwargs):
        asked.append((sim.now, url))
        return fetch(self, url, *args, **kwargs)

    monkeypatch.setattr(Fetcher, "fetch", noted)
    return asked


def test_a_provider_is_polled_every_interval_at_a_time_of_its_own(sim, server):
    providers = [
        Provider("P%d" % n, (server.url("healthy/p%d" % n),)) for n in range(20)
    ]
    sim.run(301, *providers)
    phases = []
    for provider in providers:
        first, *rest = sim.times(provider.name)
        assert first in (0, TICK) and 9 <= len(rest) <= 11  # 16 begin at once
        assert 15 < rest[0] <= 45.001
        gaps = {round(b - a, 2) for a, b in zip(rest, rest[1:])}
        assert gaps == {30.0}
        phases.append(rest[0] % 30)
    assert len({int(phase / 6) for phase in phases}) == 5
    polls, sim.polls = sim.polls, []
    assert len(polls) > 200


def test_the_times_are_the_same_after_a_restart(monkeypatch, no_waits, server):
    provider = Provider("Acme", (server.url("healthy"),))
    runs = []
    for _ in range(2):
        sim = Sim(monkeypatch)
        sim.run(100, provider)
        runs.append(sim.times())
    assert runs[0] == runs[1]


def test_a_turn_missed_by_a_slow_poll_is_skipped(sim, server):
    sim.lasts["Acme"] = 40.0
    sim.run(400, Provider("Acme", (server.url("healthy"),)))
    assert all(round(gap % 30, 2) in (0, 30) for gap in sim.gaps()[1:])
    assert set(map(round, sim.gaps()[1:])) == {60}


def test_the_unknown_the_slow_and_the_sick_have_room_of_their_own(sim, server):
    server.play("sick", ["healthy", "status?code=403", "healthy"])
    sim.lasts["Slow"] = 0.6
    providers = [Provider("Well", (server.url("healthy"),), interval=10)]
    providers += [Provider("Slow", (server.url("healthy"),), interval=10)]
    providers += [Provider("Sick", (server.url("play/sick"),), interval=10)]
    sim.run(60, *providers)
    pools = {
        name: [pool for _, polled, pool in sim.polls if polled == name][:4]
        for name in ("Well", "Slow", "Sick")
    }
    assert pools["Well"] == ["slow", "poll", "poll", "poll"]
    assert pools["Slow"] == ["slow"] * 4
    assert pools["Sick"] == ["slow", "poll", "slow", "poll"]


def many_of(server, prefix, count, interval=30.0):
    """Providers with healthy pages of their own."""
    names = ["%s%d" % (prefix, n) for n in range(count)]
    return [
        Provider(n, (server.url("healthy/" + n),), interval=interval) for n in names
    ]


TURN = 34.95  # where all have their second turn whose names are spread to 0.5


def test_pages_that_fall_sick_together_do_not_delay_the_healthy(
    sim, server, monkeypatch
):
    """At the worst moment: all are due at once, and those that fall sick come first."""
    monkeypatch.setattr(statuswatch, "spread", lambda name: 0.5)
    sick, well = many_of(server, "A", 32), many_of(server, "B", 16)
    sim.at(50, lambda: sim.lasts.update((each.name, 20.0) for each in sick))
    sim.run(200, *sick, *well)
    for each in well:
        first, *times = sim.times(each.name)
        late = [at - TURN - 30 * n for n, at in enumerate(times)]
        assert len(times) == 6 and min(late) > -0.001
        assert max(late) <= 2 * SLOW + 4 * TICK
        assert max(late[2:]) <= TICK + 0.001  # by now they are known to be sick


def test_a_poll_that_takes_long_gives_up_its_place(sim, server, monkeypatch):
    monkeypatch.setattr(statuswatch, "spread", lambda name: 0.5)
    sim.workers = 1
    sim.at(5, lambda: sim.lasts.update(A0=9.0))
    sim.run(40, *many_of(server, "A", 1), *many_of(server, "B", 1))
    assert sim.times("A0")[1] == pytest.approx(TURN)
    assert SLOW < sim.times("B0")[1] - TURN <= SLOW + 2 * TICK


def test_no_more_is_under_way_than_there_are_threads(sim, server):
    sim.workers = 2
    well, sick = many_of(server, "A", 9, 10), many_of(server, "B", 30, 10)
    sim.at(30, lambda: sim.lasts.update((each.name, 9.0) for each in sick))
    sim.run(200, *well, *sick)
    assert max(sim.flying) == (1 + SICK) * 2
    assert {name for at, name, _ in sim.polls if at > 100} == {
        each.name for each in well + sick
    }


def test_the_healthy_that_wait_are_few_at_once(sim, server, monkeypatch):
    monkeypatch.setattr(statuswatch, "spread", lambda name: 0.5)
    sim.workers = 2
    sim.run(50, *many_of(server, "A", 9))
    later = [at for at, _, room in sim.polls if room == "poll"]
    assert later[:9] == pytest.approx([TURN + n // 2 * TICK for n in range(9)])


def test_who_waits_for_room_can_be_removed_and_changed(sim, server):
    sim.workers = 1
    sick, (gone, changed) = many_of(server, "A", SICK), many_of(server, "B", 2)
    sim.lasts.update((each.name, 40.0) for each in sick)
    new = changed._replace(product="New")
    sim.at(3, lambda: sim.put(RELOAD))
    sim.run(60, *sick, gone, changed, reload=lambda: Config((*sick, new)))
    assert sim.times(gone.name) == [] and gone.name not in sim.made.watches
    assert sim.times(new.name)[0] == pytest.approx(40, abs=3 * TICK)
    assert sim.made.watches[new.name].provider is new


def test_of_new_pages_as_many_begin_at_once_as_there_are_workers(sim, server):
    """They may be slow; if they are not, few threads do, and each costs memory."""
    new, sim.workers = many_of(server, "A", 30), 4
    sim.lasts.update((each.name, 0.2) for each in new)
    sim.run(2.5, *new)
    began = sorted(at for at, _, _ in sim.polls)[:30]
    alone = [sum(0 <= at - each < 0.2 for each in began) for at in began]
    assert max(alone) == 4 and len(began) == 30


def test_who_is_changed_again_and_again_is_polled_once_at_a_time(sim, server):
    acme = Provider("Acme", (server.url("healthy"),))
    sim.lasts["Acme"] = 4.0
    for at in range(1, 60):
        sim.at(at, lambda: sim.put(RELOAD))
    sim.run(60, acme, reload=lambda: Config((acme._replace(product=str(sim.now)),)))
    assert 10 <= len(sim.polls) <= 15


def test_polls_that_ended_are_looked_for_with_each_tick(sim, server):
    """A wake-up for each would cost as much as the poll."""
    sim.lasts.update(A0=0.12, A1=0.13)
    sim.run(999, *many_of(server, "A", 2), once=True)
    assert sim.now == pytest.approx(3 * TICK)


def test_deadlines_are_looked_at_when_they_are_due(sim, server, monkeypatch):
    looked, due = [], 7.777

    def cut(fetcher, now):
        looked.append(now - BOOTED)
        return BOOTED + due if looked[-1] < due else float("inf")

    monkeypatch.setattr(Fetcher, "cut", cut)
    sim.lasts["A0"] = 5
    sim.run(20, *many_of(server, "A", 1, interval=900))
    looked.pop()  # by the stop
    gaps = [(at, later - at) for at, later in zip(looked, looked[1:])]
    assert any(at == pytest.approx(due) for at in looked)
    assert max(gap for _, gap in gaps) <= statuswatch.WAKE + 0.001
    assert max(gap for at, gap in gaps if at < 5) <= TICK + 0.001


def test_a_page_that_is_read_in_part_is_not_sick(sim, server):
    urls = server.url("healthy"), server.url("status?code=403")
    sim.run(60, Provider("Acme", urls, interval=10))
    assert [pool for _, _, pool in sim.polls][1:4] == ["poll"] * 3


def test_failures_are_one_warning_and_the_return_one_line(sim, fake, caplog):
    """R12"""
    provider = Provider("Acme", (fake.url + SUMMARY,))
    sim.at(50, lambda: fake.do("fail 403 99999"))
    sim.at(800, lambda: fake.do("ok"))
    sim.run(1500, provider)
    url = fake.url + SUMMARY
    assert messages(caplog) == ["[Acme] %s: HTTP status 403" % url]
    found = [m for m in messages(caplog, logging.INFO) if "readable" in m]
    (line,) = found
    assert line.startswith("[Acme] %s: readable again after 1" % url)
    assert re.search(r" 1\dm( \d+s)?$", line)
    words = "[Acme] %s: HTTP status 403" % url
    assert messages(caplog, logging.DEBUG).count(words) >= 4


def test_each_source_has_a_health_of_its_own(sim, fake, caplog):
    sim.at(50, lambda: fake.do("fail html 99999 path=" + SUMMARY))
    sim.run(200, Provider("Acme", (fake.url,), "statuspage"))
    (warning,) = messages(caplog)
    assert warning.startswith("[Acme] %s%s: " % (fake.url, SUMMARY))


def test_polls_after_failures_are_ever_further_apart(sim, server, requests_at):
    sim.run(3000, Provider("Acme", (server.url("status?code=403"),)))
    gaps = [b - a for (a, _), (b, _) in zip(requests_at, requests_at[1:])]
    for gap, pause in zip(gaps, [30, 60, 120, 240, 300, 300, 300]):
        assert pause * 0.8 <= gap <= pause + 30
    assert len(gaps) >= 8


def test_a_pause_is_shortened_by_chance(sim, server, requests_at, monkeypatch):
    """So that what failed together does not come back together."""
    chances = []

    def chance(low, high):
        chances.append((low, high))
        return low

    monkeypatch.setattr(random, "uniform", chance)
    sim.run(2000, Provider("Acme", (server.url("status?code=403"),)))
    assert set(chances) == {(0.8, 1.0)}
    gaps = [b - a for (a, _), (b, _) in zip(requests_at, requests_at[1:])]
    assert gaps[-1] <= 300 * 0.8 + 30


def test_an_interval_above_the_cap_is_the_cap(sim, server, requests_at):
    sim.run(9000, Provider("Acme", (server.url("status?code=403"),), interval=900))
    gaps = [b - a for (a, _), (b, _) in zip(requests_at[1:], requests_at[2:])]
    assert gaps and all(900 * 0.8 <= gap <= 1800 for gap in gaps)


def test_success_ends_the_back_off(sim, server, requests_at):
    server.play("page", ["status?code=403"] * 3 + ["healthy"])
    sim.run(600, Provider("Acme", (server.url("play/page"),)))
    gaps = [b - a for (a, _), (b, _) in zip(requests_at, requests_at[1:])]
    assert {round(gap) for gap in gaps[-5:]} == {30}


@pytest.mark.parametrize("code", [404, 410])
def test_a_page_that_is_not_there_is_asked_for_every_five_minutes(
    sim, server, requests_at, code
):
    sim.run(1000, Provider("Acme", (server.url("status?code=%d" % code),)))
    gaps = [b - a for (a, _), (b, _) in zip(requests_at, requests_at[1:])]
    assert len(gaps) == 3 and all(300 * 0.8 <= gap <= 330 for gap in gaps)
    assert len(sim.polls) == len(requests_at)  # no worker is troubled in between


def test_retry_after_holds_for_the_whole_host(sim, server, requests_at):
    server.play("busy", ["retry_after?form=seconds&seconds=1000", "healthy"])
    there = Provider("There", (server.url("healthy/there"),))
    elsewhere = Provider("Elsewhere", (server.url("healthy/e", host="127.0.0.2"),))
    busy = Provider("Busy", (server.url("play/busy"),))
    sim.run(2000, there, elsewhere, busy)
    gap = {}
    for provider in (there, elsewhere, busy):
        times = [at for at, url in requests_at if url == provider.urls[0]]
        gap[provider.name] = max(b - a for a, b in zip(times, times[1:]))
    assert 1000 <= gap["There"] <= 1060 and 1000 <= gap["Busy"] <= 1060
    assert gap["Elsewhere"] <= 45.001


def test_too_many_requests_hold_the_whole_host_back_as_long_as_the_one(
    sim, server, requests_at
):
    server.play("busy", ["status?code=429"] * 9 + ["healthy"])
    there = Provider("There", (server.url("healthy/there"),))
    busy = Provider("Busy", (server.url("play/busy"),))
    sim.run(400, there, busy)
    first_429 = next(at for at, url in requests_at if "busy" in url)
    later = [at for at, _ in requests_at if at > first_429]
    assert later[0] >= first_429 + 30 * 0.8
    seconds = [at for at, url in requests_at if "busy" in url]
    there_at = [at for at, url in requests_at if url == there.urls[0]]
    assert not [at for at in there_at if seconds[1] < at < seconds[1] + 60 * 0.8]


def test_a_shorter_retry_after_does_not_end_a_longer_one(sim, server, requests_at):
    server.play("long", ["retry_after?form=seconds&seconds=1000", "healthy"])
    server.play("short", ["retry_after?form=seconds&seconds=10", "healthy"])
    long = Provider("Long", (server.url("play/long"),))
    sim.run(900, long, Provider("Short", (server.url("play/short"),)))
    assert [at for at, url in requests_at if url == long.urls[0]] == [0]
    (source,) = sim.made.watches["Long"].sources
    assert source.wait_until >= EPOCH + 1000  # which a restart keeps to


def test_retry_after_of_nothing_is_no_reason_to_hurry(sim, server, requests_at):
    sim.run(200, Provider("A", (server.url("retry_after?form=seconds&seconds=0"),)))
    gaps = [b - a for (a, _), (b, _) in zip(requests_at, requests_at[1:])]
    assert gaps and min(gaps) >= 30 * 0.8


@pytest.mark.parametrize("code", [400, 412, 431])
def test_validators_that_a_server_refuses_are_not_sent_again(sim, server, code):
    sim.run(150, Provider("Acme", (server.url("picky?code=%d" % code),)))
    asked = [bool(r.header("If-None-Match")) for r in server.requests]
    assert asked[:3] == [False, True, False]


def test_a_page_that_moved_and_fails_there_is_asked_for_at_home(sim, server):
    server.play("new", ["healthy"] * 6 + ["status?code=403", "healthy"])
    server.play("old", ["redirect?code=301&to=/play/new"])
    sim.run(400, Provider("Acme", (server.url("play/old"),)))
    paths = [request.path for request in server.requests]
    assert paths[10:14] == ["/play/new", "/play/new", "/play/old", "/play/new"]


# --- Our own network. ---


def test_a_network_that_is_down_is_one_line_for_all(sim, server, caplog, requests_at):
    refuse = server.url("refuse")
    names = ["A", "B", "C"]
    providers = [Provider(name, (refuse + "/" + name,)) for name in names]
    sim.run(1000, *providers)
    words = "no page can be reached: is it our own network? "
    assert [line[: len(words)] for line in messages(caplog)] == [words]
    assert "scripts/demo" in messages(caplog)[0]
    for name in names:  # nobody is backed off
        assert len(sim.times(name)) > 15


def test_a_network_that_comes_back_is_one_line_too(sim, fake, caplog):
    first = Provider("A", (fake.url + SUMMARY,))
    second = Provider("B", (fake.url + "/api/v2/components.json",))
    sim.at(50, lambda: fake.do("fail drop 99999"))
    sim.at(500, lambda: fake.do("ok"))
    sim.run(700, first, second)
    assert len(messages(caplog)) == 1
    infos = messages(caplog, logging.INFO)
    assert infos.count("the network is back") == 1
    assert not [line for line in infos if "readable" in line]
    assert len([m for m in messages(caplog, logging.DEBUG) if "readable" in m]) == 2


def test_most_of_all_are_not_all(sim, fake, server, caplog, monkeypatch):
    """Three of five fail in a row: the others are asked before anything is said."""
    turns = {"A": 0.1, "B": 0.2, "C": 0.3, "D": 0.6, "E": 0.7}
    monkeypatch.setattr(statuswatch, "spread", turns.get)
    paths = SUMMARY, "/api/v2/components.json", "/history.atom"
    providers = [Provider(n, (fake.url + path,)) for n, path in zip("ABC", paths)]
    providers += [Provider(n, (server.url("healthy/" + n),)) for n in "DE"]
    sim.at(60, lambda: fake.do("fail drop 99999"))
    sim.run(100, *providers)
    assert [line[:3] for line in messages(caplog)] == ["[A]", "[B]", "[C]"]


def test_one_that_fails_alone_is_named(sim, server, caplog):
    refuse, fine = server.url("refuse"), server.url("healthy")
    sim.run(100, Provider("Fine", (fine,)), Provider("Acme", (refuse,)))
    assert messages(caplog) == ["[Acme] %s: Connection refused" % refuse]


def test_what_is_over_before_it_is_said_is_not_said(sim, fake, server, caplog):
    """Whether it is our own network is not known until the second was asked."""
    fake.do("fail drop 3600")
    sim.at(5, lambda: fake.do("ok"))
    sim.lasts["Slow"] = 200
    first = Provider("Acme", (fake.url + SUMMARY,))
    sim.run(300, first, Provider("Slow", (server.url("healthy"),)))
    assert messages(caplog) == []


def test_an_only_provider_is_named(sim, server, caplog):
    refuse = server.url("refuse")
    sim.run(100, Provider("Acme", (refuse,)))
    assert messages(caplog) == ["[Acme] %s: Connection refused" % refuse]


def test_an_error_status_is_no_sign_of_a_network_that_is_down(sim, server, caplog):
    urls = server.url("refuse"), server.url("not_found")
    sim.run(100, *[Provider("P%d" % n, (url,)) for n, url in enumerate(urls)])
    assert sorted(messages(caplog)) == [
        "[P0] %s: Connection refused" % urls[0],
        "[P1] %s: HTTP status 404" % urls[1],
    ]


def test_a_provider_that_is_gone_is_no_sign_either(sim, server, caplog):
    refuse, fine = server.url("refuse"), server.url("healthy")
    gone, acme = Provider("Gone", (refuse + "/1",)), Provider("Acme", (refuse + "/2",))
    new = Provider("New", (fine,))
    sim.lasts.update(Acme=5, New=9)
    sim.at(3, lambda: sim.put(RELOAD))
    sim.run(20, gone, acme, reload=lambda: Config((acme, new)))
    assert not [line for line in messages(caplog) if "our own network" in line]


def test_a_stop_before_any_page_was_reached_is_one_line(sim, server, caplog):
    """The name server hangs: at the stop fewer than half are known to be away."""
    refuse = server.url("refuse")
    providers = [Provider("P%d" % n, ("%s/%d" % (refuse, n),)) for n in range(8)]
    sim.lasts.update(("P%d" % n, 50) for n in range(3, 8))
    sim.run(20, *providers)
    assert ["our own network" in line for line in messages(caplog)] == [True]


def test_a_stop_names_who_is_away_where_anybody_was_reached(sim, server, caplog):
    refuse, fine = server.url("refuse"), Provider("Fine", (server.url("healthy"),))
    providers = [Provider("P%d" % n, ("%s/%d" % (refuse, n),)) for n in range(8)]
    sim.lasts.update(("P%d" % n, 50) for n in range(3, 8))
    sim.run(20, fine, *providers)
    said = sorted(line.partition("]")[0] for line in messages(caplog))
    assert said == ["[P0", "[P1", "[P2"]


def test_the_failures_of_many_together_cost_little(sim, monkeypatch, no_waits):
    """Each is judged by numbers, and not by going through all the others."""
    error = FetchError("no")

    def failing(watch, fetcher):
        return statuswatch.Poll(failed=[(watch.sources[0], error)])

    class Names(dict):
        def __iter__(self):
            pytest.fail("all providers were gone through")

    monkeypatch.setattr(statuswatch, "poll", failing)
    providers = [Provider("P%d" % n, ("http://127.0.0.1/%d" % n,)) for n in range(50)]
    working = Watcher._note_network

    def note(watcher, result):
        watcher._providers = Names(watcher._providers)
        working(watcher, result)

    monkeypatch.setattr(Watcher, "_note_network", note)
    sim.run(100, *providers)
    assert sim.made._online is False


@pytest.mark.parametrize("stop", [1, None])
def test_an_end_before_it_is_sure_is_one_line_too(sim, server, caplog, stop):
    """Nothing was ever reached, and not everybody was asked."""
    refuse = server.url("refuse")
    providers = [Provider("P%d" % n, ("%s/%d" % (refuse, n),)) for n in range(5)]
    sim.lasts.update({"P%d" % n: 9.0 for n in range(2, 5)})
    sim.run(stop or 4, *providers)
    assert ["our own network" in line for line in messages(caplog)] == [True]
    debug = [line for line in messages(caplog, logging.DEBUG) if "refused" in line]
    assert len(debug) == 2


def test_an_end_after_one_was_reached_names_who_was_not(sim, server, caplog):
    refuse, fine = server.url("refuse"), server.url("healthy")
    providers = [Provider("P%d" % n, ("%s/%d" % (refuse, n),)) for n in range(2)]
    sim.lasts.update(P0=2, P1=3, Slow=99)
    sim.run(4, Provider("Fine", (fine,)), Provider("Slow", (fine,)), *providers)
    assert sorted(messages(caplog)) == [
        "[P%d] %s/%d: Connection refused" % (n, refuse, n) for n in range(2)
    ]


def test_an_end_after_a_single_failure_names_it(sim, server, caplog):
    refuse = server.url("refuse")
    sim.lasts.update(Slow=99)
    acme = Provider("Acme", (refuse,))
    sim.run(4, acme, Provider("Slow", (server.url("healthy"),)))
    assert messages(caplog) == ["[Acme] %s: Connection refused" % refuse]


def test_a_network_that_is_still_down_at_the_end_is_not_told_again(
    sim, fake, caplog, server
):
    first = Provider("A", (fake.url + SUMMARY,))
    second = Provider("B", (fake.url + "/api/v2/components.json",))
    sim.at(50, lambda: fake.do("fail drop 99999"))
    sim.run(200, first, second)
    assert ["our own network" in line for line in messages(caplog)] == [True]


def test_a_network_that_was_down_the_last_time_too_is_not_told_again(
    monkeypatch, no_waits, server, caplog
):
    """For cron: a line when it goes, not one a minute."""
    refuse = server.url("refuse")
    providers = [Provider("P%d" % n, ("%s/%d" % (refuse, n),)) for n in range(3)]
    memory = Memory()
    for _ in range(3):
        batches = Sim(monkeypatch).run(99, *providers, once=True, state=memory)
        memory = Memory(**{batch.provider: batch.stored for batch in batches})
    assert ["our own network" in line for line in messages(caplog)] == [True]


# --- News of many at once. ---


def storms(caplog):
    return [line for line in messages(caplog) if "do they share it" in line]


@pytest.fixture
def many(server):
    return [
        Provider("P%d" % n, (server.url("healthy/p%d" % n),), interval=10)
        for n in range(7)
    ]


@pytest.mark.parametrize(
    "count, gap, told", [(4, 0, 0), (5, 0, 1), (5, 80, 0), (7, 20, 1)]
)
def test_five_with_news_within_five_minutes_are_a_storm(
    sim, server, many, caplog, count, gap, told
):
    for n in range(count):
        sim.at(50 + gap * n, server.page("p%d" % n).advance)
    sim.run(900, *many)
    lines = storms(caplog)
    assert len(lines) == told
    for line in lines:
        assert line.startswith("5 providers report something within 5 minutes; ")
        named = line.rpartition("? ")[2].split(", ")
        assert sorted(named) == ["P0", "P1", "P2", "P3", "P4"] or not gap


def test_each_storm_is_told_once(sim, server, many, caplog):
    for at in (50, 100, 2000):
        for n in range(7):
            sim.at(at, server.page("p%d" % n).advance)
    sim.at(1000, server.page("p0").advance)
    sim.run(3000, *many)
    assert len(storms(caplog)) == 2


def test_news_of_one_again_and_again_is_no_storm(sim, server, many, caplog):
    for n in range(20):
        sim.at(50 + 12 * n, server.page("p0").advance)
    sim.run(400, *many)
    assert storms(caplog) == []


def test_what_happened_while_we_were_away_is_no_storm(
    monkeypatch, no_waits, server, many, caplog
):
    batches = Sim(monkeypatch).run(20, *many, state=Memory())
    state = Memory(**{batch.provider: batch.stored for batch in batches})
    for n in range(7):
        server.page("p%d" % n).advance()
    later = Sim(monkeypatch)
    later.set_by = HOUR
    events = [e for batch in later.run(20, *many, state=state) for e in batch.events]
    assert len({event.provider for event in events if event.while_away}) == 7
    assert storms(caplog) == []


# --- What the filters hold back. ---


def held_back(caplog):
    return [m for m in messages(caplog, logging.INFO) if "not told" in m]


def test_what_is_not_told_is_counted_once_an_hour_and_at_the_end(
    sim, caplog, monkeypatch, server
):
    """So that silence can be audited."""
    counts = {50.0: {"components": 2}, 90.0: {"components": 1, "maintenance": 1}}
    counts[4000.0] = {"min_impact": 3}
    working = statuswatch.poll

    def polled(watch, fetcher):
        due = [at for at in counts if at <= sim.now and watch.provider.name == "A"]
        suppressed = counts.pop(due[0]) if due else {}
        return working(watch, fetcher)._replace(suppressed=suppressed)

    monkeypatch.setattr(statuswatch, "poll", polled)
    url = server.url("healthy")
    sim.at(3599, lambda: held_back(caplog) == [] or pytest.fail("too early"))
    sim.at(3602, lambda: len(held_back(caplog)) == 1 or pytest.fail("too late"))
    sim.run(5000, Provider("A", (url + "/a",)), Provider("B", (url + "/b",)))
    assert held_back(caplog) == [
        "[A] not told: 3 by components, 1 by maintenance",
        "[A] not told: 3 by min_impact",
    ]


def test_a_filter_that_held_back_nothing_is_not_told(sim, server, caplog):
    sim.run(5000, Provider("A", (server.url("healthy"),)))
    assert held_back(caplog) == []


def test_a_poll_counts_what_the_tracker_held_back(
    summary, fetcher, monkeypatch, caplog
):
    class Tracker(statuswatch.Tracker):
        def observe(self, reads):
            super().observe(reads)
            self.suppressed["components"] = 2
            self.missing = ["apy, but API", "quux"]

    monkeypatch.setattr(statuswatch, "Tracker", Tracker)
    assert dict(poll(summary, fetcher).suppressed) == {"components": 2}
    assert messages(caplog) == [
        "[Acme] components: nothing is called apy, but API",
        "[Acme] components: nothing is called quux",
    ]


@pytest.mark.parametrize("more", [0, 7])
def test_of_a_flood_the_last_events_are_told(
    summary, fetcher, monkeypatch, caplog, more
):
    count = MEMORY + more

    class Tracker(statuswatch.Tracker):
        def observe(self, reads):
            event = statuswatch.Event("NEW_INCIDENT", "Acme", "Acme")
            self.events = [event._replace(title=str(n)) for n in range(count)]

    monkeypatch.setattr(statuswatch, "Tracker", Tracker)
    titles = [event.title for event in poll(summary, fetcher).events]
    assert titles == [str(n) for n in range(more, count)]
    words = "[Acme] a flood: the last %d events of %d are told" % (MEMORY, count)
    assert messages(caplog) == [words] * bool(more)


# --- Counters. ---


def test_polls_and_events_are_counted_in_the_state(monkeypatch, no_waits, fake):
    provider = Provider("Acme", (fake.url + SUMMARY,))
    sim = Sim(monkeypatch)
    sim.at(50, lambda: fake.do("component api major_outage"))
    sim.at(50, lambda: fake.do('incident db investigating "Errors" "We look."'))
    sim.at(100, lambda: fake.do("fail 403 99999"))
    sim.run(150, provider)
    counts = sim.made.watches["Acme"].polls
    assert counts["changed"] == 2 and counts["failed"] == 2
    assert sum(counts.values()) == len(sim.times())
    stored = json.loads(sim.made.watches["Acme"].stored())
    assert (stored["events"], stored["polls"]) == (2, counts)
    fake.do("ok")
    fake.do("component api operational")
    before = dict(counts)
    sim = Sim(monkeypatch)
    sim.now = 200.0
    batches = sim.run(
        999, provider, once=True, state=Memory(Acme=statuswatch.dumps(stored))
    )
    stored = json.loads(batches[-1].stored)
    assert told(batches[-1].events) == [("API", "operational")]
    assert stored["events"] == 3
    assert stored["polls"] == {**before, "changed": before["changed"] + 1}


def test_a_poll_that_asked_nothing_or_was_cut_is_not_counted(server):
    urls = server.url("healthy"), server.url("accept_and_hang")
    later, hang = [Provider(url[-4:], (url,)) for url in urls]
    watcher = Watcher(Config((later, hang)), queue.Queue(), None)
    watcher.watches[later.name].sources[0].not_before = time.monotonic() + 100
    polls = []
    watcher.on_poll = lambda watch, result: polls.append(watch.provider.name)
    with running(watcher):
        wait_for(lambda: server.requests and polls)
    assert polls == [later.name, hang.name] and len(server.requests) == 1
    assert [watch.polls for watch in watcher.watches.values()] == [{}, {}]


# --- Workers. ---


@pytest.mark.parametrize(
    "count, interval, given, workers",
    [
        (1, 30, 0, 16),
        (1600, 30, 0, 16),
        (3000, 30, 0, 30),
        (20000, 30, 0, 128),
        (3000, 30, 5, 5),
        (3000, 300, 0, 16),
        (400, 3, 0, 40),
    ],
)
def test_there_are_as_many_workers_as_it_takes(
    monkeypatch, count, interval, given, workers
):
    monkeypatch.setattr(Watcher, "adopt", lambda *_: None)
    acme = Provider("A", ("http://127.0.0.1/x",), interval=interval)
    watcher = Watcher(Config((acme,) * count, given), queue.Queue(), None)
    assert watcher._pool._max_workers == 5 * workers
    watcher.fetcher.close()


# --- Supervision. ---


@pytest.mark.parametrize("count, kept", [(1, 1008), (50, 1400)])
def test_hosts_that_redirects_lead_to_are_not_all_remembered(monkeypatch, count, kept):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (-1, -1))
    many = [Provider("P%d" % n, ("http://127.0.0.1:1/x",)) for n in range(count)]
    watcher = Watcher(Config(tuple(many)), queue.Queue(), None)
    with contextlib.closing(watcher.fetcher._adapter) as adapter:
        for number in range(1500):
            adapter.poolmanager.connection_from_url("http://host%d.test" % number)
        assert len(adapter.poolmanager.pools) == kept


def test_an_unexpected_failure_is_logged_and_the_provider_polled_again(
    sim, server, caplog, monkeypatch
):
    working, broken = statuswatch.poll, []

    def breaking(watch, fetcher):
        if watch.provider.name == "Acme" and sim.now < 50:
            broken.append(sim.now)
            raise RuntimeError("a bug")
        return working(watch, fetcher)

    monkeypatch.setattr(statuswatch, "poll", breaking)
    urls = server.url("healthy/a"), server.url("healthy/b")
    batches = sim.run(
        300, Provider("Acme", urls[:1]), Provider("Other", urls[1:]), state=None
    )
    assert broken and len(sim.times()) > len(broken) and len(sim.times("Other")) >= 9
    errors = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert [r.getMessage() for r in errors] == ["[Acme] unexpected failure"] * len(
        broken
    )
    assert errors[0].exc_info[0] is RuntimeError
    assert messages(caplog) == ["[Acme] %s: unexpected failure" % urls[0]]
    assert batches == []


def test_what_was_read_before_an_unexpected_failure_is_told(sim, fake, monkeypatch):
    working = statuswatch.Tracker.observe

    def breaking(tracker, reads):
        if 20 < sim.now < 100:
            raise RuntimeError("a bug")
        return working(tracker, reads)

    monkeypatch.setattr(statuswatch.Tracker, "observe", breaking)
    sim.at(20, lambda: fake.do("component api major_outage"))
    batches = sim.run(400, Provider("Acme", (fake.url + SUMMARY,)), state=None)
    assert [told(batch.events) for batch in batches] == [[("API", "major_outage")]]


def test_news_is_handed_on_with_the_state_in_which_it_is_told(sim, fake, caplog):
    sim.at(20, lambda: fake.do('incident db investigating "Errors" "We look."'))
    sim.at(20, lambda: fake.do("component api major_outage"))
    sim.at(90, lambda: fake.do('update db identified "Found."'))
    provider = Provider("Acme", (fake.url + SUMMARY,))
    batches = sim.run(300, provider, state=Memory())
    news = [batch for batch in batches if batch.events]
    assert [told(batch.events) for batch in news] == [
        [("Errors", "investigating"), ("API", "major_outage")],
        [("Errors", "identified")],
    ]
    assert {batch.provider for batch in batches} == {"Acme"}
    assert all(batch.stored for batch in batches)
    infos = messages(caplog, logging.INFO)
    assert [line for line in infos if "detected" in line] == [
        "[Acme] detected 1 new incident(s)",
        "[Acme] detected 1 component change(s)",
        "[Acme] detected 1 update(s)",
    ]


def test_without_a_state_only_news_is_handed_on(sim, fake):
    sim.at(20, lambda: fake.do('incident db investigating "Errors" "We look."'))
    (batch,) = sim.run(300, Provider("Acme", (fake.url + SUMMARY,)))
    assert batch.stored is None and len(batch.events) == 1


def test_a_state_without_news_is_handed_on_once_a_minute(sim, fake):
    batches = sim.run(601, Provider("Acme", (fake.url + SUMMARY,)), state=Memory())
    assert 7 <= len(batches) <= 11
    assert len(sim.times()) >= 20


def test_the_end_of_an_incident_is_handed_on_with_its_state(sim, fake):
    """R7: it is told after a poll that found nothing changed."""
    provider = Provider("Acme", (fake.url + SUMMARY,), interval=10)
    fake.do('incident db investigating "Errors" "We look."')
    sim.at(25, lambda: fake.do("remove db"))
    batches = sim.run(60, provider, state=Memory())
    (told_in,) = [batch for batch in batches if batch.events]
    assert told(told_in.events) == [("Errors", "resolved")]
    assert told_in.stored and "resolved" in told_in.stored
    assert sim.made.watches["Acme"].polls["changed"] == 2


def test_a_failure_and_its_end_are_handed_on_at_once(sim, fake):
    """So that a program that is started anew does not say them again."""
    provider = Provider("Acme", (fake.url + SUMMARY,), interval=10)
    handed = []

    def failing():
        return "failures" in list(sim.outbox.queue)[-1].stored

    sim.at(25, lambda: fake.do("fail 403 99999"))
    for at in (24, 36, 70):
        sim.at(at, lambda: handed.append(failing()))
    sim.at(37, lambda: fake.do("ok"))
    sim.run(80, provider, state=Memory())
    assert handed == [False, True, False]
    assert sim.outbox.qsize() == 3


def test_the_stored_state_is_taken_up_again(monkeypatch, no_waits, fake):
    provider = Provider("Acme", (fake.url + SUMMARY,))
    first = Sim(monkeypatch).run(10, provider, state=Memory())
    fake.do('incident db investigating "Errors" "We look."')
    state = Memory(Acme=first[-1].stored)
    batch, *_ = Sim(monkeypatch).run(10, provider, state=state)
    assert told(batch.events) == [("Errors", "investigating")]


def test_once_polls_everybody_once(sim, server, fake):
    urls = fake.url + SUMMARY, server.url("healthy")
    providers = [Provider("P%d" % n, (url,)) for n, url in enumerate(urls)]
    batches = sim.run(999, *providers, once=True, state=Memory())
    assert sorted(sim.polls) == [(0.0, "P0", "slow"), (0.0, "P1", "slow")]
    assert sorted(batch.provider for batch in batches) == ["P0", "P1"]
    assert (sim.made.failed, sim.made.hung, sim.now) == (
        False,
        False,
        pytest.approx(TICK),
    )


def test_once_says_whether_somebody_could_not_be_read(sim, server, caplog):
    urls = server.url("refuse"), server.url("healthy")
    sim.run(999, *[Provider("P%d" % n, (u,)) for n, u in enumerate(urls)], once=True)
    assert sim.made.failed
    assert len(messages(caplog)) == 1


def test_once_counts_who_is_not_asked_after_a_failure_as_not_read(
    monkeypatch, no_waits, server
):
    """Exit status 0 says that every provider was read."""
    provider = Provider("Acme", (server.url("not_found"),))
    first = Sim(monkeypatch)
    batches = first.run(999, provider, once=True, state=Memory())
    second = Sim(monkeypatch)
    second.now = 60.0
    second.run(999, provider, once=True, state=Memory(Acme=batches[-1].stored))
    assert len(server.requests) == 1  # it is backed off
    assert first.made.failed and second.made.failed


def test_a_stop_in_the_middle_of_a_poll_is_no_failure(server, caplog):
    """R12: nobody is warned of a source that we left, and nothing says it failed."""
    outbox = queue.Queue()
    provider = Provider("Acme", (server.url("accept_and_hang"),))
    watcher = Watcher(Config((provider,)), outbox, Memory())
    server.play("hang", [])
    with running(watcher) as thread:
        wait_for(lambda: server.requests)
    assert not thread.is_alive()
    assert messages(caplog) == []
    assert not watcher.failed
    assert all("failures" not in str(batch.stored) for batch in outbox.queue)


# --- Messages to the scheduler. ---


def test_a_configuration_is_reloaded(sim, server, caplog):
    a, b, c = [
        Provider(name, (server.url("healthy/" + name),)) for name in ("A", "B", "C")
    ]
    changed = b._replace(interval=5.0)
    sim.at(40, lambda: sim.put(RELOAD))
    sim.run(200, a, b, reload=lambda: Config((changed, c)))
    assert max(sim.times("A")) <= 40
    assert min(sim.times("C")) == 40
    assert 25 < len([at for at in sim.times("B") if at > 40]) < 35
    assert "configuration reloaded: 2 providers" in messages(caplog, logging.INFO)
    seeds = [m for m in messages(caplog, logging.INFO) if m.startswith("[B] Seeded")]
    assert len(seeds) == 1  # what is known of B goes on


def test_a_broken_configuration_keeps_the_old_one(sim, server, caplog):
    def broken():
        raise ConfigError("providers.ini: [X]: no")

    sim.at(40, lambda: sim.put(RELOAD))
    sim.run(200, Provider("A", (server.url("healthy"),)), reload=broken)
    assert messages(caplog, logging.ERROR) == [
        "configuration not reloaded: providers.ini: [X]: no"
    ]
    assert len(sim.times("A")) > 5


def test_who_is_removed_during_its_poll_is_not_polled_again(sim, server):
    a, b = [Provider(name, (server.url("healthy/" + name),)) for name in "AB"]
    sim.lasts["A"] = 10
    sim.at(5, lambda: sim.put(RELOAD))
    sim.run(100, a, b, reload=lambda: Config((b,)))
    assert sim.times("A") == [0]
    assert set(sim.made.watches) == {"B"}


def test_who_comes_back_goes_on(sim, server, caplog):
    a, b = [Provider(name, (server.url("healthy/" + name),)) for name in "AB"]
    configs = [Config((b,)), Config((a, b))]
    sim.at(5, lambda: sim.put(RELOAD))
    sim.at(6, lambda: sim.put(RELOAD))
    sim.run(100, a, b, reload=lambda: configs.pop(0))
    assert len(sim.times("A")) >= 3
    seeds = [m for m in messages(caplog, logging.INFO) if m.startswith("[A] Seeded")]
    assert len(seeds) == 1


def test_who_comes_back_goes_on_from_the_state(monkeypatch, no_waits, fake, server):
    """Its line was missing in one configuration: it may have been half written."""
    acme = Provider("Acme", (fake.url + SUMMARY,))
    other = Provider("Other", (server.url("healthy"),))
    first = Sim(monkeypatch).run(10, acme, state=Memory())
    sim, configs = Sim(monkeypatch), [Config((other,)), Config((acme, other))]
    sim.at(5, lambda: sim.put(RELOAD))
    sim.at(100, lambda: fake.do('incident db investigating "Errors" "We look."'))
    sim.at(100, lambda: gone.append("Acme" not in sim.made.watches))
    sim.at(101, lambda: sim.put(RELOAD))
    gone, state = [], Memory(Acme=first[-1].stored)
    batches = sim.run(200, acme, other, reload=lambda: configs.pop(0), state=state)
    events = [event for batch in batches for event in batch.events]
    assert gone == [True] and told(events) == [("Errors", "investigating")]


def test_a_reload_does_not_make_news_old(sim, fake):
    """R15: nobody was away, however long the interval."""
    provider = Provider("Acme", (fake.url + SUMMARY,), interval=3000.0)
    sim.at(690, lambda: fake.do("component api major_outage"))
    sim.at(700, lambda: sim.put(RELOAD))
    reloaded = Config((provider._replace(product="Acme Cloud"),))
    (batch,) = sim.run(710, provider, reload=lambda: reloaded)
    assert sim.times() == [0, 700]
    (event,) = batch.events
    assert (event.product, event.while_away) == ("Acme Cloud", False)


def test_a_reload_does_not_end_a_back_off(sim, server, requests_at):
    provider = Provider("Acme", (server.url("status?code=403"),))
    sim.at(200, lambda: sim.put(RELOAD))
    reloaded = Config((provider._replace(product="Acme Cloud"),))
    sim.run(400, provider, reload=lambda: reloaded)
    assert 200 in sim.times()
    gaps = [b - a for (a, _), (b, _) in zip(requests_at, requests_at[1:])]
    assert gaps[:3] == sorted(gaps[:3]) and gaps[2] >= 120
    assert sim.made.watches["Acme"].provider.product == "Acme Cloud"


@pytest.mark.parametrize("moment", [5, 9.9, 10])
def test_a_reload_during_a_poll_loses_no_event(sim, fake, moment):
    """What the poll finds is told, by it or by the next one, and once.

    At the last moment the poll is through and the scheduler has not heard of it.
    """
    provider = Provider("Acme", (fake.url + SUMMARY,), interval=100)
    sim.at(30, lambda: fake.do('incident db investigating "Errors" "We look."'))
    sim.at(30, lambda: sim.lasts.update(Acme=10))

    def second_poll():
        if len(sim.polls) < 2:
            return sim.after(0.1, second_poll)
        sim.lasts.clear()
        sim.at(sim.polls[1][0] + moment, lambda: sim._items.insert(0, RELOAD))

    sim.at(31, second_poll)
    reloaded = Config((provider._replace(product="Acme Cloud"),))
    batches = sim.run(500, provider, reload=lambda: reloaded, state=Memory())
    events = [event for batch in batches for event in batch.events]
    assert told(events) == [("Errors", "investigating")]
    assert sim.made.watches["Acme"].provider.product == "Acme Cloud"


def test_the_scheduler_ends_when_told_to(sim, server):
    sim.at(3, lambda: sim.put(STOP))
    sim.run(99, Provider("A", (server.url("healthy"),)))
    assert sim.now == 3


@pytest.fixture
def systemd(monkeypatch, tmp_path):
    """What systemd would hear."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        monkeypatch.chdir(tmp_path)
        line.bind("notify")
        line.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", "notify")

        def heard():
            with contextlib.suppress(BlockingIOError):
                while True:
                    yield line.recv(999).decode()

        yield heard


def test_systemd_hears_how_we_are(sim, server, systemd):
    provider = Provider("A", (server.url("healthy"),))
    sim.at(40, lambda: sim.put(RELOAD))
    sim.run(100, provider, reload=lambda: Config((provider,)))
    wanted = ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]
    assert list(systemd()) == wanted


def test_the_watchdog_hears_of_us_twice_in_its_time(sim, server, systemd, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "20000000")
    sim.run(60, Provider("A", (server.url("healthy"),)))
    assert list(systemd()).count("WATCHDOG=1") in (6, 7)


@pytest.mark.parametrize("junk", ["", "0", "soon", "-1", "nan"])
def test_a_watchdog_without_a_time_hears_nothing(
    sim, server, systemd, monkeypatch, junk
):
    monkeypatch.setenv("WATCHDOG_USEC", junk)
    sim.run(60, Provider("A", (server.url("healthy"),)))
    assert list(systemd()) == ["READY=1", "STOPPING=1"]


def test_nobody_is_told_where_there_is_no_systemd(monkeypatch, tmp_path):
    statuswatch.notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    statuswatch.notify("READY=1")


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs AF_UNIX")
def test_systemd_may_have_an_abstract_address(monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        name = "statuswatch-test-%d" % os.getpid()
        try:
            line.bind("\0" + name)
        except OSError:
            pytest.skip("no abstract addresses here")
        line.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        statuswatch.notify("READY=1")
        assert line.recv(99) == b"READY=1"


# --- Real threads. ---


def wait_for(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.005)


@contextlib.contextmanager
def running(watcher, once=False):
    """The watcher runs in a thread, until the block ends or it is through."""
    watcher.once = once
    thread = threading.Thread(target=watcher.run)
    thread.start()
    try:
        yield thread
    finally:
        watcher.inbox.put(STOP)
        thread.join(10)
        watcher.fetcher._adapter.close()


def test_the_sick_do_not_hold_up_the_healthy(server):
    hang = [
        Provider("H%d" % n, (server.url("accept_and_hang/%d" % n),)) for n in (1, 2, 3)
    ]
    well = Provider("Well", (server.url("healthy"),), interval=0.05)
    watcher = Watcher(Config((*hang, well), workers=1), queue.Queue(), None)
    with running(watcher):
        wait_for(lambda: len(server.requests_of("healthy")) > 5)
        assert len(server.requests_of("accept_and_hang")) == 3


def test_the_scheduler_ends_what_takes_too_long(server, caplog):
    provider = Provider("Acme", (server.url("drip_headers"),), timeout=0.3)
    watcher = Watcher(Config((provider,)), queue.Queue(), None)
    with running(watcher, once=True) as thread:
        thread.join(10)
    (warning,) = messages(caplog)
    assert "took " in warning


def test_it_ends_with_the_program_that_it_is_part_of(server, caplog):
    """Where nobody said stop, threads take no more work once the program ends."""
    provider = Provider("Acme", (server.url("healthy"),))
    watcher = Watcher(Config((provider,)), queue.Queue(), None)
    watcher._pool.shutdown()
    watcher.run()
    assert server.requests == [] and messages(caplog) == []


def test_a_stop_does_not_wait_for_dead_servers(server):
    providers = [
        Provider("P%d" % n, (server.url("accept_and_hang/%d" % n),)) for n in range(16)
    ]
    watcher = Watcher(Config(tuple(providers)), queue.Queue(), None)
    with running(watcher) as thread:
        wait_for(lambda: len(server.requests) == 16)
        began = time.monotonic()
        watcher.inbox.put(STOP)
        thread.join(10)
        assert time.monotonic() - began < 2


def test_threads_that_are_idle_end(server, monkeypatch, caplog):
    """Those of a busy time would hold their memory for ever; who polls goes on."""
    monkeypatch.setattr(statuswatch, "RENEW", 0.2)
    urls = [server.url("healthy/%d" % n) for n in range(12)]
    providers = [Provider("P%d" % n, (url,)) for n, url in enumerate(urls)]
    hang = Provider("Hang", (server.url("accept_and_hang"),), timeout=1.0)
    before, given_back = set(threading.enumerate()), []

    def polling():
        new = set(threading.enumerate()) - before
        return [thread for thread in new if thread.name.startswith("poll")]

    watcher = Watcher(Config((*providers, hang)), queue.Queue(), None)
    watcher.trim = lambda: given_back.append(len(polling()))
    with running(watcher):
        wait_for(lambda: len(given_back) > 1 and len(polling()) == 1)
        assert given_back[0] > 1
        wait_for(lambda: watcher.watches["Hang"].sources[0].failures)
        wait_for(lambda: not polling())
    assert len(server.requests) >= 13
    assert "took longer than 1 s" in messages(caplog)[0]


@pytest.mark.parametrize("workers", [1, 16])
def test_the_number_of_workers_changes_no_event(workers):
    outbox = queue.Queue()
    with contextlib.ExitStack() as stack:
        fakes = [stack.enter_context(FakePage(name="P%d" % n)) for n in range(5)]
        for fake in fakes:
            fake.do('component api "API" operational')
        providers = [
            Provider(fake.page.name, (fake.url,), "statuspage", interval=0.1)
            for fake in fakes
        ]
        watcher = Watcher(Config(tuple(providers), workers=workers), outbox, None)
        stack.enter_context(running(watcher))

        def read_twice():
            return all(len(fake.requests) >= seen + 4 for fake, seen in zip(fakes, was))

        was = [0] * 5
        wait_for(read_twice)
        for step in (
            'incident db investigating "E" "One."',
            'update db resolved "Two."',
        ):
            for fake in fakes:
                fake.do(step)
            was = [len(fake.requests) for fake in fakes]
            wait_for(read_twice)
    events = [event for batch in outbox.queue for event in batch.events]
    for provider in providers:
        own = [event for event in events if event.provider == provider.name]
        assert told(own) == [("E", "investigating"), ("E", "resolved")]


# --- Words. ---


def test_an_error_of_a_fetch_has_its_details():
    error = FetchError("no", status=500, retry_after=3.0)
    assert (error.status, error.retry_after, error.passing) == (500, 3.0, False)
    assert FetchError("no").retry_after is None


def test_our_own_network_is_told_while_a_few_look_ups_still_hang(sim, server, caplog):
    """More than half are known not to be reachable, and nobody is known to be."""
    refuse = server.url("refuse")
    providers = [Provider("P%d" % n, ("%s/%d" % (refuse, n),)) for n in range(4)]
    sim.lasts.update(P3=50)
    sim.run(20, *providers)
    assert ["our own network" in line for line in messages(caplog)] == [True]


def test_who_is_still_away_when_the_network_is_back_is_told(sim, server, caplog):
    refuse, fine = server.url("refuse"), server.url("healthy")
    away = Provider("Away", (refuse,)), Provider("Gone", (refuse + "/2",))
    sim.lasts.update(Late=9)
    sim.run(200, *away, Provider("Late", (fine,)))
    said = [line for line in messages(caplog) if "Connection refused" in line]
    assert [line.partition("]")[0] for line in sorted(said)] == ["[Away", "[Gone"]
    assert "the network is back" in messages(caplog, logging.INFO)


def test_a_page_moved_by_a_public_host_is_not_asked_at_a_private_one(server, fetcher):
    watch = Watch(Provider("Acme", ("http://status.acme.test/x",)))
    (source,) = watch.sources
    source.moved, source.moved_to = MOVED, server.url("healthy")
    assert not poll(watch, fetcher).failed
    source.moved_public = True
    ((_, error),) = poll(watch, fetcher).failed
    assert "private address" in str(error) and len(server.requests) == 1
