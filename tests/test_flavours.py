"""One incident, told by a page of every platform: it begins, goes on and ends once."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

import pytest
from fakes import load_script

import statuswatch

fakepage = load_script("fakepage")

TITLE = "Errors on all roads"
WORDS = ("We look into it.", "A bad deploy was found.", "The old version is back.")
OPENED = "incident db investigating impact=critical components=api"
STORY = (
    ("component api major_outage",),
    (f'{OPENED} "{TITLE}" "{WORDS[0]}"',),
    (f'update db identified "{WORDS[1]}"',),
    (f'update db resolved "{WORDS[2]}"', "component api operational"),
)
POLLS_UNTIL_OVER = 2  # of a page that stops listing an incident (R7)


class Told(NamedTuple):
    """What a flavour can tell of the story."""

    sources: str
    words: tuple[str, ...] = WORDS  # what it says of the incident
    component: str = "API"  # what goes down and comes back; "" if it does not say that
    names: tuple[str, ...] = ("API",)  # what it says is affected
    ends: bool = True
    title: str = TITLE


FLAVOURS = {
    "statuspage": Told("/history.atom /api/v2/summary.json"),
    "statuspage feed": Told("/history.rss", component="", names=()),
    "incidentio": Told("/feed.atom /api/v2/components.json"),
    "incidentio proxy": Told("/proxy/127.0.0.1", WORDS[:2]),
    "incidentio proxy incidents": Told(
        "/proxy/127.0.0.1/incidents", component="", names=()
    ),
    "instatus": Told("/summary.json /v2/components.json", (), names=()),
    "instatus feed": Told("/history.atom", component="", names=()),
    "betterstack": Told("/index.json"),
    "statusio": Told("/1.0/status/" + fakepage.PAGE_ID, WORDS[:2]),
    "statusio feed": Told(
        f"/pages/{fakepage.PAGE_ID}/rss", component="", names=(), ends=False
    ),
    "google feed": Told("/en/feed.atom", component="", names=(), ends=False),
    "google": Told("/incidents.json", component=""),
    "aws": Told("/public/currentevents", component=""),
    "aws feed": Told(
        "/rss/all.rss", component="", names=("multipleservices-us-east-1",)
    ),
    "azure": Told("/en-us/status/feed/", WORDS[:2], component=""),
    "slack": Told("/api/v2.0.0/current", WORDS[:2], component=""),
    "salesforce": Told("/v1/instances/NA1/status", component="NA1", title=""),
    "salesforce preview": Told(
        "/v1/instances/status/preview", component="NA1", title=""
    ),
    "cachet": Told("/api/v1/components /api/v1/incidents", names=()),
    "uptimekuma": Told(
        "/api/status-page/default /api/status-page/heartbeat/default",
        WORDS[:2],
        names=(),
    ),
    "rss": Told("/status.rss", ends=False, component="", names=()),
    "atom": Told("/status.atom", ends=False, component="", names=()),
}
LOOK_ALIKES = {
    "marketing": "/api/v2/summary.json /history.atom",
    "login": "/api/v2/summary.json /feed.atom",
    "spa": "/summary.json /index.json /history.rss",
    "otherschema": "/api/v2/summary.json",
    "moved": "/api/v2/components.json /history.atom",
    "betterstack": "/history.atom /api/v2/summary.json",  # 301 to a page of HTML
}
PROBED = {  # flavour -> what its address is found to be
    "statuspage": "statuspage",
    "incidentio": "incident.io",
    "instatus": "instatus",
    "betterstack": "betterstack",
    "cachet": "cachet",
    "uptimekuma": "uptime-kuma",
    "rss": "feed",
    "atom": "feed",
}
PROBED_SOURCES = {  # those of one vendor, or whose documents have a host of their own
    "google": "google",
    "aws": "aws",
    "azure": "azure",
    "slack": "slack",
    "salesforce": "salesforce",
    "statusio": "status.io",
    "incidentio proxy": "incident.io",
}
PROBES = 8  # requests at most to find out what an address is


class Clock:
    """A clock that the story moves, not far behind the real one."""

    def __init__(self):
        self.now = datetime.now(timezone.utc) - timedelta(minutes=30)

    def __call__(self):
        return self.now


@pytest.fixture
def once(tmp_path, capsys):
    """Returns a function: run the program once on sources; its status and events."""
    ini, state = tmp_path / "providers.ini", tmp_path / "state.json"

    def run(fake, paths):
        urls = " ".join(fake.url + path for path in paths.split())
        ini.write_text("[providers]\nAcme = %s\n" % urls, encoding="utf-8")
        args = ["--once", "--json", "--state", str(state), "--config", str(ini), "-qq"]
        status = statuswatch.main(args)
        lines = capsys.readouterr().out.splitlines()
        return status, [json.loads(line) for line in lines]

    return run


TOLD = {}


def play(flavour, once):
    """Returns what the program tells of the story when it is run after every step."""
    if flavour not in TOLD:
        TOLD[flavour] = play_anew(flavour, once)
    return TOLD[flavour]


def play_anew(flavour, once):
    clock, events = Clock(), []
    with fakepage.FakePage(flavour.split()[0], clock=clock) as fake:
        for line in ('api "API" operational', 'web "Dashboard" operational'):
            fake.do("component " + line)
        fake.do('incident old resolved components=web "Slow" "It was over at once."')
        polls = [(), *STORY, *[()] * POLLS_UNTIL_OVER]
        for steps in polls:
            clock.now += timedelta(minutes=1)
            for step in steps:
                fake.do(step)
            status, told = once(fake, FLAVOURS[flavour].sources)
            assert status == 0
            assert steps or not events or all(event["inferred"] for event in told)
            events += told
    return events


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_an_incident_is_told_from_its_beginning_to_its_end_once(flavour, once):
    can = FLAVOURS[flavour]
    told = play(flavour, once)
    incident = [e for e in told if e["type"] != statuswatch.COMPONENT_STATUS_CHANGE]
    types = [event["type"] for event in incident]
    if flavour == "rss":  # an item is a post of its own there
        assert types == [statuswatch.NEW_INCIDENT] * len(WORDS)
    else:
        assert types[0] == statuswatch.NEW_INCIDENT
        assert set(types[1:]) == {statuswatch.INCIDENT_UPDATE}
    assert all(can.title in event["title"] for event in incident)
    said = [event["message"] for event in incident if event["message"]]
    said = [re.sub("^(Investigating|Identified|Resolved) ", "", text) for text in said]
    assert said[: len(can.words)] == list(can.words)
    ends = [e["status"] for e in incident if e["status"] in statuswatch.DONE]
    assert ends == ["resolved"] * can.ends
    assert not can.ends or incident[-1]["status"] == "resolved"
    if can.names:
        assert incident[0]["components"] == list(can.names)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_component_that_goes_down_and_comes_back_is_told_both_times(flavour, once):
    told = play(flavour, once)
    changes = [
        (event["components"], event["previous_status"], event["status"])
        for event in told
        if event["type"] == statuswatch.COMPONENT_STATUS_CHANGE
    ]
    name = FLAVOURS[flavour].component
    down = ([name], "operational", "major_outage")
    up = ([name], "major_outage", "operational")
    assert changes == ([down, up] if name else [])


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_first_incident_of_a_page_that_had_none_is_told(flavour, once):
    clock = Clock()
    with fakepage.FakePage(flavour.split()[0], clock=clock) as fake:
        fake.do('component api "API" operational')
        assert once(fake, FLAVOURS[flavour].sources) == (0, [])
        clock.now += timedelta(minutes=1)
        fake.do(STORY[1][0])
        status, told = once(fake, FLAVOURS[flavour].sources)
    assert status == 0
    types = [event["type"] for event in told if event["incident_id"]]
    assert types == [statuswatch.NEW_INCIDENT]


def test_a_monitor_that_goes_down_and_recovers_is_one_incident(once):
    clock, told = Clock(), []
    with fakepage.FakePage("betterstack", clock=clock) as fake:
        for status in ("operational", "major_outage", "operational", "major_outage"):
            clock.now += timedelta(minutes=1)
            fake.do("component API " + status)
            told += once(fake, "/feed.rss")[1]
    new, update = statuswatch.NEW_INCIDENT, statuswatch.INCIDENT_UPDATE
    shown = [(event["type"], event["status"]) for event in told]
    down = (new, "investigating")
    assert shown == [down, (update, "resolved"), down]
    ids = [event["incident_id"] for event in told]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_nothing_is_told_of_a_page_on_which_nothing_happens(flavour, once):
    with fakepage.FakePage(flavour.split()[0], clock=Clock()) as fake:
        fake.do('component api "API" operational')
        fake.do(f'incident old resolved components=api "{TITLE}" "{WORDS[2]}"')
        for _ in range(3):
            assert once(fake, FLAVOURS[flavour].sources) == (0, [])


@pytest.mark.parametrize("flavour", LOOK_ALIKES)
def test_a_look_alike_is_not_read(flavour, once):
    with fakepage.FakePage(flavour) as fake:
        fake.do('component api "API" operational')
        for path in LOOK_ALIKES[flavour].split():
            status, told = once(fake, path)
            assert (status, told) == (1, []), path


@pytest.mark.parametrize(
    "flavour, paths",
    [(name.split()[0], told.sources.split()) for name, told in FLAVOURS.items()],
    ids=list(FLAVOURS),
)
def test_a_document_that_has_not_changed_is_answered_304(flavour, paths):
    fetcher = statuswatch.Fetcher(1)
    with fakepage.FakePage(flavour) as fake:
        fake.do('component api "API" operational')
        for path in paths:
            first = fetcher.fetch(fake.url + path)
            assert first.body
            assert fetcher.fetch(fake.url + path, first.etag).body is None
    fetcher._adapter.close()


def probe(url, capsys, caplog):
    """The exit status and all that --probe says of an address."""
    status = statuswatch.main(["--probe", url])
    return status, capsys.readouterr().out + caplog.text


def check_probe(said, platform, line):
    """It names the platform, and ends with the line for providers.ini."""
    assert re.search(r"\b%s\b" % re.escape(platform), said)
    assert re.search(" = %s$" % line, said.splitlines()[-1])


@pytest.mark.parametrize("flavour", PROBED)
def test_a_bare_address_is_found_to_be_what_it_is(flavour, capsys, caplog):
    with fakepage.FakePage(flavour) as fake:
        fake.do('component api "API" operational')
        fake.do(f'{OPENED} "{TITLE}" "{WORDS[0]}"')
        status, said = probe(fake.url, capsys, caplog)
    platform = PROBED[flavour]
    assert status == 0, said
    rest = r"(/status\.\w+)?" if platform == "feed" else " " + platform
    check_probe(said, platform, fake.url + rest)


@pytest.mark.parametrize("flavour", PROBED_SOURCES)
def test_the_address_of_a_document_is_found_to_be_what_it_is(flavour, capsys, caplog):
    with fakepage.FakePage(flavour.split()[0]) as fake:
        fake.do('component api "API" operational')
        fake.do(f'{OPENED} "{TITLE}" "{WORDS[0]}"')
        url = fake.url + FLAVOURS[flavour].sources
        status, said = probe(url, capsys, caplog)
    assert status == 0, said
    check_probe(said, PROBED_SOURCES[flavour], url)


@pytest.mark.parametrize("flavour", [f for f in LOOK_ALIKES if f != "betterstack"])
def test_the_address_of_a_look_alike_is_refused_soon(flavour, capsys, caplog):
    with fakepage.FakePage(flavour) as fake:
        fake.do('component api "API" operational')
        status, said = probe(fake.url, capsys, caplog)
    assert status == 1
    assert fake.url in said and " = " not in said
    asked = [request for request in fake.requests if request.status == 200]
    assert 1 <= len(asked) <= PROBES
