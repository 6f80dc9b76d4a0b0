"""The rules of detection, R1 to R15, from their own words, and the laws behind them."""

from __future__ import annotations

import collections
import hashlib
import importlib.util
import json
import random
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

import statuswatch
from statuswatch import Component, Incident, Page, Provider, Update

START = datetime(2025, 2, 24, 14, 0, tzinfo=timezone.utc)
SAME = None  # a 304, or the last body once more

# --- The vocabulary: a page in a few words, and what is told in as few. ---


def at(minute):
    return None if minute is None else START + timedelta(minutes=minute)


def dated(text, number=0, key=""):
    """An update of "status: words", dated by its place."""
    status, _, words = text.partition(": ")
    return Update(key and "%s-%d" % (key, number), status, words, at(number))


def incident(key, *updates, **more):
    """An incident whose updates have ids, as in JSON, oldest first."""
    parts = tuple(dated(text, n, key) for n, text in enumerate(updates))
    status = parts[-1].status if parts else ""
    return Incident(key, **{"title": "On " + key, "status": status, **more})._replace(
        updates=parts
    )


def entry(key, *updates, **more):
    """An incident whose updates have no ids, as in feeds."""
    found = incident(key, *updates, **more)
    return found._replace(updates=tuple(u._replace(id="") for u in found.updates))


def component(key, status, minute=None):
    return Component(key, "The " + key, status, at(minute))


def page(*things, minute=0, **more):
    return Page(
        "statuspage",
        **{"id": "acme", "url": "https://status.acme.test", **more},
        at=at(minute),
        incidents=tuple(each for each in things if isinstance(each, Incident)),
        components=tuple(each for each in things if isinstance(each, Component)),
    )


def listing(*things, **more):
    """A page that lists all unresolved incidents."""
    return page(*things, complete=True, **more)


def brief(event):
    """An event in the terms of the oracle."""
    if event.type == "COMPONENT_STATUS_CHANGE":
        return "%s: %s, was %s" % (
            event.component_id,
            event.status,
            event.previous_status,
        )
    kind = "new" if event.type == "NEW_INCIDENT" else "update"
    kind = "end" if event.inferred else "edit" if event.edited else kind
    words = "" if event.inferred or not event.message else ": " + event.message
    return "%s %s %s%s" % (kind, event.incident_id, event.status, words)


class Scenario:
    """A provider over many polls. What it knows goes through the memory each time."""

    def __init__(self, **provider):
        self.provider = Provider("Acme", ("https://status.acme.test",), **provider)
        self.sources, self.memory, self.now = {}, "", START
        self.events, self.aside, self.missing = [], {}, []
        self.suppressed = collections.Counter()

    def source(self, name):
        url = "https://user:secret@status.acme.test/%s?token=secret" % name
        return self.sources.setdefault(name, statuswatch.Source(url))

    def poll(self, away=False, **shown):
        """Return what is told, in brief; a source that is not named is not read."""
        reads, self.aside = [], {}
        for name, each in shown.items():
            self.source(name).away = away
            reads += self.read(self.source(name), name, each)
        self.events = self.observe(reads)
        return [brief(event) for event in self.events]

    def read(self, source, name, shown):
        digest = hashlib.sha256(repr(shown).encode()).hexdigest()[:12]
        new = shown is not SAME and digest != source.digest
        if new:
            self.aside[name] = statuswatch.accept(source, shown, digest)
            if self.aside[name]:
                return []
        source.stale = source.foreign = 0
        return [(source, shown if new else None)]

    def observe(self, reads):
        self.now += timedelta(seconds=30)
        tracker = statuswatch.Tracker(self.provider, self.memory, self.now)
        needed = tracker.pending() or any(shown for _, shown in reads)
        before = tracker.memory()
        tracker.observe(reads)
        if not needed:  # then the program does not even ask
            assert (tracker.events, tracker.memory()) == ([], before)
            assert (tracker.suppressed, tracker.missing) == ({}, [])
        self.suppressed.update(tracker.suppressed)
        self.missing = tracker.missing
        self.memory = tracker.memory()
        again = statuswatch.Tracker(self.provider, self.memory, self.now)
        assert again.memory() == self.memory
        assert again.pending() == tracker.pending()
        for source, _ in reads:
            source.seeded, source.away = True, False
        return tracker.events

    def polls(self, *pages, name="json"):
        """Return what is told of a series of pages of one source, poll by poll."""
        return [self.poll(**{name: each}) for each in pages]


@pytest.fixture
def acme():
    return Scenario()


@pytest.fixture
def seeded():
    """A provider with a feed and a JSON document, both read before, and nothing on."""
    scenario = Scenario()
    assert scenario.poll(feed=page(), json=listing()) == []
    return scenario


LOOKING = "investigating: We look into it."
FOUND = "identified: We found it."
FIXED = "resolved: All is well."


def test_of_a_source_that_was_not_read_nothing_is_known():
    expected = {name: 0 for name in vars(statuswatch.Source("x"))}
    expected.update(dict.fromkeys(("etag", "modified", "digest", "page_id"), ""))
    expected.update(url="x", moved_to="", earlier=(), away=None)
    expected.update(host="", slot=statuswatch.digest("x", size=5))
    assert vars(statuswatch.Source("x")) == expected


def test_what_is_of_this_run_alone_is_not_stored():
    watch = statuswatch.Watch(Provider("Acme", ("https://status.acme.test/x",)))
    (source,) = watch.sources
    source.away, source.not_before, source.seeded = True, 7.0, True
    assert json.loads(watch.stored())["sources"] == {source.slot: {"seeded": True}}


# --- R1: the first successful read of each source is silent. ---


def test_r1_the_first_read_of_a_source_is_silent(acme):
    first = listing(incident("I", LOOKING, FOUND), component("api", "major_outage"))
    assert acme.poll(json=first) == []


def test_r1_what_comes_after_the_first_read_is_told(acme):
    assert acme.polls(
        listing(incident("I", LOOKING), component("api", "major_outage")),
        listing(incident("I", LOOKING, FOUND), component("api", "operational")),
    ) == [
        [],
        ["update I identified: We found it.", "api: operational, was major_outage"],
    ]


def test_r1_each_source_is_seeded_by_its_own_first_read(acme):
    assert acme.poll(feed=page(entry("I", LOOKING))) == []
    assert acme.poll(json=listing(incident("J", LOOKING))) == []
    assert acme.poll(feed=page(entry("K", LOOKING)), json=SAME) == [
        "new K investigating: We look into it."
    ]


def test_r1_a_source_that_failed_first_seeds_when_it_first_succeeds(seeded):
    many = [incident("I%d" % n, LOOKING, FOUND) for n in range(60)]
    seeded.poll(feed=page())
    assert seeded.poll(feed=page(), late=listing(*many)) == []
    assert seeded.poll(late=listing(*many, incident("J", LOOKING))) == [
        "new J investigating: We look into it."
    ]


def test_r1_an_incident_that_was_seeded_is_not_new_later(acme):
    acme.poll(feed=page(entry("I", LOOKING)))
    acme.poll(json=listing())
    assert acme.poll(json=listing(incident("I", LOOKING))) == []
    assert acme.poll(json=listing(incident("I", LOOKING, FOUND))) == [
        "update I identified: We found it."
    ]


@pytest.mark.parametrize("names", [("feed", "json"), ("json", "feed")])
def test_r1_a_source_that_seeds_does_not_silence_another(acme, names):
    acme.poll(feed=page())
    shown = {"feed": page(entry("I", LOOKING)), "json": listing(incident("I", LOOKING))}
    assert acme.poll(**{name: shown[name] for name in names}) == ["new I " + LOOKING]


# --- R2: an id never seen is a new incident, then come its updates, oldest first. ---


@pytest.mark.parametrize("make", [incident, entry])
def test_r2_a_new_incident_is_its_first_update_then_the_others_oldest_first(make):
    acme = Scenario()
    assert acme.polls(page(), page(make("I", LOOKING, FOUND, FIXED))) == [
        [],
        [
            "new I investigating: We look into it.",
            "update I identified: We found it.",
            "update I resolved: All is well.",
        ],
    ]


def test_r2_a_new_incident_without_updates_is_told_by_its_status(acme):
    bare = incident("I", status="investigating")
    assert acme.polls(listing(), listing(bare)) == [[], ["new I investigating"]]
    assert acme.events[0].message == "" or acme.events[0].message is None


def test_r2_a_new_incident_without_status_or_words_is_told_once(acme):
    bare = incident("I")
    assert acme.polls(page(), page(bare), page(bare, minute=1)) == [
        [],
        ["new I None"],
        [],
    ]


def test_r2_the_oldest_of_several_new_incidents_comes_first(acme):
    newest_first = page(entry("J", LOOKING), entry("I", LOOKING))
    assert [each[:5] for each in acme.polls(page(), newest_first)[1]] == [
        "new I",
        "new J",
    ]


def test_r2_the_incident_that_began_first_comes_first_however_long_it_lasts(acme):
    lasting = entry("I", LOOKING, FOUND, FIXED)
    later = entry("J", LOOKING)
    later = later._replace(updates=(later.updates[0]._replace(at=at(1)),))
    told = acme.polls(page(), page(lasting, later))[1]
    assert [line.split(" ")[1] for line in told] == ["I", "I", "I", "J"]


def test_r2_what_is_not_known_of_an_incident_is_none(acme):
    acme.polls(page(), page(entry("I", "")))
    (event,) = acme.events
    assert (event.status, event.impact, event.update_id, event.url) == (None,) * 4


def test_r2_an_event_has_all_that_is_known_of_its_incident(acme):
    story = incident(
        "I", LOOKING, title="Slow", impact="minor", url="https://s.test/incidents/I"
    )
    acme.polls(listing(), listing(story._replace(components=("API", "Web"))))
    assert acme.events == [
        statuswatch.Event(
            type="NEW_INCIDENT",
            provider="Acme",
            product="Acme",
            components=("API", "Web"),
            title="Slow",
            status="investigating",
            message="We look into it.",
            impact="minor",
            incident_id="I",
            update_id="I-0",
            url="https://s.test/incidents/I",
            occurred_at=START,
            detected_at=acme.now,
            source="https://status.acme.test/json",
        )
    ]


def test_r2_the_product_is_what_the_provider_calls_it():
    acme = Scenario(product="Acme API")
    acme.polls(listing(), listing(incident("I", LOOKING), component("api", "up")))
    acme.poll(json=listing(incident("I", FOUND), component("api", "down")))
    assert {event.product for event in acme.events} == {"Acme API"}
    assert {event.provider for event in acme.events} == {"Acme"}


# --- R3: an update not seen before gives one event. ---


@pytest.mark.parametrize("make", [incident, entry])
def test_r3_each_further_update_gives_one_event(make):
    acme = Scenario()
    assert acme.polls(
        page(make("I", LOOKING)),
        page(make("I", LOOKING, FOUND)),
        page(make("I", LOOKING, FOUND, FIXED)),
        page(make("I", LOOKING, FOUND, FIXED), minute=1),
    ) == [
        [],
        ["update I identified: We found it."],
        ["update I resolved: All is well."],
        [],
    ]


@pytest.mark.parametrize("make", [incident, entry])
def test_r3_several_updates_between_two_polls_give_several_events(make):
    acme = Scenario()
    acme.poll(json=page(make("I", LOOKING)))
    assert acme.poll(
        json=page(make("I", LOOKING, "identified: One.", FOUND, FIXED))
    ) == [
        "update I identified: One.",
        "update I identified: We found it.",
        "update I resolved: All is well.",
    ]


def test_r3_an_update_names_the_status_before_it(acme):
    acme.polls(page(), page(incident("I", LOOKING)))
    acme.poll(json=page(incident("I", LOOKING, FOUND, FIXED)))
    assert [(event.previous_status, event.status) for event in acme.events] == [
        ("investigating", "identified"),
        ("identified", "resolved"),
    ]


def test_r3_the_same_words_under_another_id_are_another_update(acme):
    again = "investigating: Still looking."
    assert (
        acme.polls(
            page(incident("I", LOOKING, again)),
            page(incident("I", LOOKING, again, again)),
            page(incident("I", LOOKING, again, again, again)),
        )[1:]
        == [["update I investigating: Still looking."]] * 2
    )


def test_r3_without_ids_the_same_words_are_counted(acme):
    again = "investigating: Still looking."
    assert acme.polls(
        page(entry("I", LOOKING, again)),
        page(entry("I", LOOKING, again, again)),
        page(entry("I", LOOKING, again, again, again, again)),
        page(entry("I", LOOKING, again)),
        page(entry("I", LOOKING, again, again)),
    )[1:] == [
        ["update I investigating: Still looking."],
        ["update I investigating: Still looking."] * 2,
        [],
        ["update I investigating: Still looking."],
    ]


def test_r3_without_ids_what_was_not_shown_at_the_last_read_is_told_again(acme):
    assert acme.polls(
        page(entry("I", LOOKING)),
        page(entry("I", FOUND)),
        page(entry("I", LOOKING)),
    ) == [
        [],
        ["update I identified: We found it."],
        ["update I investigating: We look into it."],
    ]


def test_r3_with_ids_an_update_that_is_hidden_and_shown_again_is_told_once(acme):
    assert acme.polls(
        page(incident("I", LOOKING, FOUND)),
        page(incident("I", LOOKING)),
        page(incident("I", LOOKING, FOUND)),
    ) == [[], [], []]


def test_r3_the_same_words_with_another_status_are_another_update(acme):
    assert acme.polls(
        page(entry("I", "investigating: We work on it.")),
        page(entry("I", "investigating: We work on it.", "identified: We work on it.")),
    )[1] == ["update I identified: We work on it."]


def test_r3_an_update_id_that_stands_twice_is_two_updates(acme):
    story = incident("I", LOOKING, FOUND)
    story = story._replace(updates=tuple(u._replace(id="u") for u in story.updates))
    assert acme.polls(page(), page(story), page(story, minute=1)) == [
        [],
        ["new I investigating: We look into it.", "update I identified: We found it."],
        [],
    ]


def test_r3_the_status_of_an_incident_without_updates_is_followed(acme):
    assert acme.polls(
        page(incident("I", status="investigating")),
        page(incident("I", status="investigating"), minute=1),
        page(incident("I", status="identified")),
        page(incident("I", status="identified"), minute=1),
        page(incident("I", status="investigating"), minute=2),
    ) == [[], [], ["update I identified"], [], ["update I investigating"]]


def test_r3_a_late_source_without_updates_does_not_turn_the_status_back(seeded):
    bare = incident("I", status="investigating")
    assert seeded.poll(json=listing(bare)) == ["new I investigating"]
    assert seeded.poll(json=listing(bare, minute=1)) == []
    assert seeded.poll(feed=page(entry("I", LOOKING, FOUND)), json=SAME) == [
        "update I investigating: We look into it.",
        "update I identified: We found it.",
    ]
    for minute in range(2, 5):
        assert seeded.poll(feed=SAME, json=listing(bare, minute=minute)) == []


def test_r3_updates_that_disappear_from_a_known_incident_are_no_news(acme):
    assert acme.polls(
        page(incident("I", LOOKING)),
        page(incident("I", status="investigating")),
        page(incident("I", LOOKING)),
    ) == [[], [], []]


# --- R4: changed words of a known update, or changed names, are an edit. ---


def test_r4_changed_words_of_a_known_update_are_an_edit(acme):
    assert acme.polls(
        page(incident("I", LOOKING)),
        page(incident("I", "investigating: We look into slow logins.")),
    )[1] == ["edit I investigating: We look into slow logins."]
    assert acme.events[0].type == "INCIDENT_UPDATE"
    assert acme.events[0].update_id == "I-0"


@pytest.mark.parametrize(
    "words",
    [
        "we look into it",
        "We  look\ninto it!",
        "WE LOOK (INTO) IT ...",
        "[We look](https://acme.test/x) into it.",
        "**We look** into _it_.",
    ],
)
@pytest.mark.parametrize("make", [incident, entry])
def test_r4_a_cosmetic_edit_gives_nothing(make, words):
    assert Scenario().polls(
        page(make("I", LOOKING)), page(make("I", "investigating: " + words))
    ) == [[], []]


@pytest.mark.parametrize(
    "before, after",
    [
        ("It is &amp; was <b>slow</b>.", "It is & was slow"),
        ("<p>One.</p><p>Two.</p>", "One.\n\nTwo."),
        ("caf\u00e9", "caf&eacute;"),
    ],
)
def test_r4_changed_markup_and_encoding_give_nothing(before, after):
    def summary(body):
        update = {"id": "u", "status": "investigating", "body": body}
        row = {"id": "I", "name": "n", "incident_updates": [update]}
        document = {"page": {"id": "acme"}, "incidents": [row]}
        return statuswatch.parse(json.dumps(document).encode())

    assert Scenario().polls(summary(before), summary(after)) == [[], []]


def test_r4_a_reverted_edit_is_an_edit_again(acme):
    other = "investigating: We look into slow logins."
    assert acme.polls(
        page(incident("I", LOOKING)),
        page(incident("I", other)),
        page(incident("I", LOOKING)),
        page(incident("I", other)),
    ) == [
        [],
        ["edit I " + other],
        ["edit I " + LOOKING],
        ["edit I " + other],
    ]


def test_r4_an_edit_of_an_older_update_does_not_turn_the_status_back(acme):
    acme.polls(page(), page(incident("I", LOOKING, FOUND)))
    assert acme.poll(json=page(incident("I", "investigating: Logins.", FOUND))) == [
        "edit I investigating: Logins."
    ]
    acme.poll(json=page(incident("I", "investigating: Logins.", FOUND, FIXED)))
    assert acme.events[0].previous_status == "identified"


def test_r4_an_edit_and_a_new_update_between_two_polls_are_both_told(acme):
    assert acme.polls(
        page(incident("I", LOOKING)),
        page(incident("I", "investigating: Logins.", FOUND)),
    )[1] == ["edit I investigating: Logins.", "update I identified: We found it."]


def test_r4_changed_names_without_a_new_update_are_an_edit(acme):
    story = incident("I", LOOKING, FOUND, components=("API",))
    assert acme.polls(
        page(story),
        page(story._replace(components=("API", "Web"))),
        page(story._replace(components=("Web", "API", "Web"))),
        page(story._replace(components=("Web",))),
    ) == [
        [],
        ["edit I identified: We found it."],
        [],
        ["edit I identified: We found it."],
    ]
    assert acme.events[0].components == ("Web",)
    assert acme.events[0].update_id is None


def test_r4_changed_names_with_a_new_update_are_just_the_update(acme):
    assert acme.polls(
        page(incident("I", LOOKING, components=("API",))),
        page(incident("I", LOOKING, FOUND, components=("API", "Web"))),
        page(incident("I", LOOKING, FOUND, components=("API", "Web")), minute=1),
    ) == [[], ["update I identified: We found it."], []]


def test_r4_names_that_are_no_more_are_an_edit_that_names_none(acme):
    story = incident("I", LOOKING, components=("API",))
    acme.poll(json=page(story))
    assert acme.poll(json=page(story._replace(components=()))) == ["edit I " + LOOKING]
    assert acme.events[0].components == ()


def test_r4_names_that_a_source_stops_giving_are_no_change(acme):
    story = incident("I", LOOKING, components=("API",))
    assert acme.polls(page(story), page(story._replace(components=None))) == [[], []]
    acme.poll(json=page(incident("I", LOOKING, FOUND)))
    assert acme.events[0].components == ("API",)


def test_r4_names_in_another_order_are_the_same_names(acme):
    names = tuple("Part %d" % n for n in range(200))
    story = incident("I", LOOKING, components=names)
    assert acme.polls(page(story), page(story._replace(components=names[::-1]))) == [
        [],
        [],
    ]


def test_r4_names_that_a_source_begins_to_give_are_no_change(acme):
    story = incident("I", LOOKING, components=("API",))
    assert acme.polls(page(story._replace(components=None)), page(story)) == [[], []]


def test_r4_names_of_an_incident_without_updates_may_change_too(acme):
    story = incident("I", status="investigating", components=("API",))
    assert acme.polls(page(story), page(story._replace(components=("Web",)))) == [
        [],
        ["edit I investigating"],
    ]


def test_r4_changed_names_that_two_sources_show_are_told_once(acme):
    story = incident("I", LOOKING, components=("API",))
    wider = story._replace(components=("API", "Web"))
    acme.poll(one=listing(story), two=listing(story))
    assert acme.poll(one=listing(wider), two=SAME) == ["edit I " + LOOKING]
    assert acme.poll(one=SAME, two=listing(wider)) == []


@pytest.mark.parametrize("field", ["title", "url", "impact"])
def test_r4_a_changed_title_address_or_impact_is_silent(acme, field):
    story = incident("I", LOOKING, **{field: "one"})
    changed = story._replace(**{field: "two"})
    assert acme.polls(page(story), page(changed)) == [[], []]
    acme.poll(json=page(changed._replace(updates=incident("I", FOUND).updates)))
    assert getattr(acme.events[0], field) == "two"


def test_r4_reordering_gives_nothing(acme):
    one, two, three = (incident(key, LOOKING, FOUND) for key in "IJK")
    parts = [component(key, "operational") for key in ("api", "web")]
    assert acme.polls(
        page(one, two, three, *parts), page(three, one, two, *reversed(parts))
    ) == [[], []]


def test_r4_without_ids_changed_words_are_an_update(acme):
    assert acme.polls(
        page(entry("I", LOOKING)), page(entry("I", "investigating: Logins."))
    ) == [[], ["update I investigating: Logins."]]


# --- R5: a component is known by its id; a change between two statuses is told. ---


def test_r5_a_change_of_status_is_told_with_both(acme):
    acme.poll(json=page(component("api", "operational", 1)))
    assert acme.poll(json=page(component("api", "partial_outage", 2))) == [
        "api: partial_outage, was operational"
    ]
    assert acme.events == [
        statuswatch.Event(
            type="COMPONENT_STATUS_CHANGE",
            provider="Acme",
            product="Acme",
            components=("The api",),
            status="partial_outage",
            previous_status="operational",
            component_id="api",
            url="https://status.acme.test",
            occurred_at=at(2),
            detected_at=acme.now,
            source="https://status.acme.test/json",
        )
    ]


def test_r5_a_page_without_an_address_gives_none(acme):
    acme.poll(json=page(component("api", "operational"), url=""))
    acme.poll(json=page(component("api", "partial_outage"), url=""))
    assert acme.events[0].url is None


def test_r5_a_component_first_seen_gives_nothing(acme):
    assert acme.polls(page(), page(component("api", "major_outage"))) == [[], []]


def test_r5_a_component_that_is_gone_gives_nothing(acme):
    assert acme.polls(page(component("api", "major_outage")), page()) == [[], []]


@pytest.mark.parametrize("minutes", [(None, None), (1, 2), (1, 1), (2, 1)])
def test_r5_a_component_that_returns_with_another_status_has_changed(minutes):
    before, after = minutes
    assert Scenario().polls(
        page(component("api", "operational", before)),
        page(),
        page(minute=1),
        page(component("api", "major_outage", after)),
    )[3] == ["api: major_outage, was operational"]


def test_r5_a_component_that_returns_with_the_same_status_has_not(acme):
    api = component("api", "operational")
    assert acme.polls(page(api), page(), page(api)) == [[], [], []]


def test_r5_a_component_is_known_by_its_id_not_by_its_name(acme):
    one, two = component("a", "operational"), component("b", "major_outage")
    assert acme.polls(
        page(one, two._replace(name=one.name)),
        page(one._replace(name="Renamed"), two._replace(name=one.name), minute=1),
    ) == [[], []]


def test_r5_unknown_status_words_are_kept_as_they_are(acme):
    assert acme.polls(
        page(component("api", "operational")),
        page(component("api", "on_fire")),
        page(component("api", "\u7a7a")),
    )[1:] == [["api: on_fire, was operational"], ["api: \u7a7a, was on_fire"]]


def test_r5_a_status_that_is_not_given_is_no_change(acme):
    assert acme.polls(
        page(component("api", "operational")),
        page(component("api", "")),
        page(component("api", "operational")),
        page(component("api", "")),
        page(component("api", "major_outage")),
    ) == [[], [], [], [], ["api: major_outage, was operational"]]


def test_r5_group_rows_are_not_components(acme):
    def summary(status):
        rows = [{"id": "g", "name": "All", "status": status, "group": True}]
        return statuswatch.parse(
            json.dumps({"page": {"id": "acme"}, "components": rows}).encode()
        )

    assert summary("operational").components == ()
    assert acme.polls(summary("operational"), summary("major_outage")) == [[], []]


def test_r5_a_time_that_did_not_change_is_not_that_of_the_change(acme):
    acme.polls(page(component("api", "up", 1)), page(component("api", "down", 1)))
    assert acme.events[0].occurred_at is None
    acme.polls(page(component("api", "up", 2)))
    assert acme.events[0].occurred_at == at(2)


def test_r5_each_change_is_told_once_whichever_source_shows_it_first(acme):
    up, down = component("api", "up", 1), component("api", "down", 2)
    back = component("api", "up", 3)
    acme.poll(one=page(up), two=page(up))
    assert acme.poll(one=SAME, two=page(down)) == ["api: down, was up"]
    assert acme.poll(one=page(down), two=SAME) == []
    assert acme.poll(one=page(back), two=SAME) == ["api: up, was down"]
    assert acme.poll(one=SAME, two=page(back)) == []


def test_r5_a_source_that_lags_behind_does_not_turn_a_status_back(acme):
    up, down = component("api", "up", 1), component("api", "down", 2)
    acme.poll(one=page(up), two=page(up))
    assert acme.poll(one=page(down), two=page(up, minute=1)) == ["api: down, was up"]
    for minute in range(2, 6):
        assert (
            acme.poll(one=page(down, minute=minute), two=page(up, minute=minute)) == []
        )
    assert acme.poll(one=SAME, two=page(down)) == []


def test_r5_without_times_a_component_is_followed_where_it_was_seen_first(acme):
    up, down = component("api", "up"), component("api", "down")
    acme.poll(one=page(up), two=page(up))
    assert acme.poll(one=SAME, two=page(down)) == []
    assert acme.poll(one=page(down), two=SAME) == ["api: down, was up"]


def test_r5_without_times_two_sources_that_differ_do_not_flap(acme):
    up, down = component("api", "up"), component("api", "down")
    acme.poll(one=page(up), two=page(up))
    for minute in range(1, 4):
        shown = {"one": page(up, minute=minute), "two": page(down, minute=minute)}
        assert acme.poll(**shown) == []


def test_r5_a_source_that_never_had_a_component_does_not_free_it(acme):
    up, down = component("api", "up"), component("api", "down")
    acme.poll(one=page(up), two=page(up), three=page())
    assert acme.poll(one=SAME, two=page(down), three=page(minute=1)) == []


def test_r5_without_times_another_source_follows_on_when_it_is_listed_no_more(acme):
    up, down = component("api", "up"), component("api", "down")
    acme.poll(one=page(up), two=page(up))
    assert acme.poll(one=page(), two=page(up, minute=1)) == []
    assert acme.poll(one=SAME, two=page(down)) == ["api: down, was up"]
    assert acme.poll(one=page(up), two=SAME) == []


def test_r5_a_source_without_times_follows_on_after_one_with_times(acme):
    up, down = component("api", "up"), component("api", "down")
    acme.poll(one=page(component("api", "up", 1)), two=page(up))
    assert acme.poll(one=SAME, two=page(down)) == []  # it is not the owner
    assert acme.poll(one=page(), two=page(up, minute=1)) == []
    assert acme.poll(one=SAME, two=page(down, minute=2)) == ["api: down, was up"]
    assert acme.events[0].occurred_at is None
    assert acme.poll(one=page(component("api", "up", 1)), two=SAME) == []
    late = page(component("api", "up", 2))
    assert acme.poll(one=late, two=SAME) == ["api: up, was down"]


def test_r5_a_component_without_a_name_is_known_by_its_id(acme):
    api = component("api", "up")._replace(name="")
    assert acme.polls(page(api), page(api._replace(status="down"))) == [
        [],
        ["api: down, was up"],
    ]


def test_r5_a_rotating_subset_of_components_is_no_news(acme):
    parts = [component("c%d" % n, "operational", 1) for n in range(32)]
    for turn in range(40):
        shown = [parts[(turn + n) % 32] for n in range(25)]
        assert acme.poll(json=page(*shown)) == []
    parts[3] = component("c3", "major_outage", 2)
    told = []
    for turn in range(40):
        told += acme.poll(json=page(*[parts[(turn + n) % 32] for n in range(25)]))
    assert told == ["c3: major_outage, was operational"]


def test_r5_a_rotating_subset_beside_the_whole_list_is_told_once(acme):
    parts = [component("c%d" % n, "operational", 1) for n in range(32)]
    told = []
    for turn in range(64):
        if turn == 20:
            parts[3] = component("c3", "major_outage", 2)
        shown = [parts[(turn + n) % 32] for n in range(25)]
        told += acme.poll(some=page(*shown), all=page(*parts))
    assert told == ["c3: major_outage, was operational"]


def test_r5_a_late_source_does_not_turn_back_what_a_rotating_one_hides(acme):
    up, down = component("api", "up", 1), component("api", "down", 2)
    acme.poll(some=page(up), all=page(up))
    assert acme.poll(some=page(down), all=SAME) == ["api: down, was up"]
    assert acme.poll(some=page(), all=page(up, minute=1)) == []
    assert acme.poll(some=page(down), all=page(down)) == []


@pytest.mark.parametrize("names", [("one", "two"), ("two", "one")])
def test_r5_what_is_listed_no_more_is_followed_elsewhere_at_once(acme, names):
    up, down = component("api", "up"), component("api", "down")
    acme.poll(one=page(up), two=page(up))
    shown = {"one": page(), "two": page(down)}
    assert acme.poll(**{name: shown[name] for name in names}) == ["api: down, was up"]


def test_r5_a_time_that_goes_back_lets_no_other_source_turn_a_status(acme):
    up, down = component("api", "up", 1), component("api", "down", 1)
    acme.poll(one=page(up), two=page())
    acme.poll(one=page(component("api", "up", 0)), two=page(down))
    for minute in range(1, 4):
        earlier = page(component("api", "up", 0), minute=minute)
        assert acme.poll(one=earlier, two=page(down, minute=minute)) == []


def test_r5_a_component_that_a_page_lists_twice_does_not_flap(acme):
    twice = component("api", "up"), component("api", "down")
    acme.poll(json=page(*twice))
    assert acme.poll(json=page(*twice, minute=1)) == acme.poll(json=page(*twice)) == []


# --- R6: a stale copy is set aside until its third poll in a row. ---


def stale_story(name="json"):
    """A source that has shown one, then two updates, and both pages."""
    scenario = Scenario()
    old = page(incident("I", LOOKING), component("api", "down"), minute=1)
    new = page(incident("I", LOOKING, FOUND), component("api", "up"), minute=2)
    scenario.poll(**{name: old})
    scenario.poll(**{name: new})
    return scenario, old, new


def test_r6_a_stale_copy_changes_nothing():
    scenario, old, new = stale_story()
    for _ in range(4):
        memory, source = scenario.memory, statuswatch.Source("")
        vars(source).update(vars(scenario.source("json")))
        assert scenario.poll(json=old) == scenario.poll(json=old) == []
        assert scenario.aside == {"json": "a stale copy"}
        assert scenario.memory == memory
        source.stale = 2
        assert scenario.source("json") == source
        assert scenario.poll(json=new) == []
        assert scenario.aside == {}


def test_r6_the_third_poll_in_a_row_is_believed():
    scenario, old, new = stale_story()
    assert [scenario.poll(json=old) for _ in range(4)] == [
        [],
        [],
        ["api: down, was up"],
        [],
    ]
    assert scenario.poll(json=new) == ["api: up, was down"]


def test_r6_a_copy_that_is_not_identical_is_news_however_old():
    scenario, old, new = stale_story()
    assert scenario.poll(json=old._replace(url="")) == ["api: down, was up"]


def test_r6_an_earlier_body_with_a_time_that_is_not_older_is_news(acme):
    up, down = page(component("api", "up")), page(component("api", "down"))
    assert acme.polls(up, down, up, down) == [
        [],
        ["api: down, was up"],
        ["api: up, was down"],
        ["api: down, was up"],
    ]


def test_r6_a_document_without_a_time_is_never_stale(acme):
    up, down = (page(component("api", word), minute=None) for word in ("up", "down"))
    assert acme.polls(up, down, up)[2] == ["api: up, was down"]


@pytest.mark.parametrize("back, stale", [(1, True), (8, True), (9, False)])
def test_r6_the_last_eight_earlier_bodies_are_recognised(back, stale):
    scenario = Scenario()
    bodies = [page(component("api", "s%d" % n), minute=n) for n in range(12)]
    scenario.polls(*bodies)
    scenario.poll(json=bodies[-1 - back])
    assert bool(scenario.aside["json"]) == stale


def test_r6_stale_copies_of_one_source_do_not_hold_up_another():
    scenario, old, new = stale_story()
    scenario.poll(feed=page())
    assert scenario.poll(feed=page(entry("J", LOOKING)), json=old) == [
        "new J investigating: We look into it."
    ]


def test_r6_a_copy_that_is_set_aside_counts_as_no_read(acme):
    old, story = listing(minute=1), incident("I", LOOKING)
    acme.polls(old, listing(story, minute=2))
    assert acme.polls(old, old, listing(story, minute=3)) == [[], [], []]
    assert acme.polls(listing(minute=4), old, old, listing(minute=4)) == [
        [],
        [],
        [],
        ["end I resolved"],
    ]


# --- R7: what a full list stops listing is over. ---


def test_r7_an_incident_is_over_on_the_second_read_without_it(acme):
    story = incident("I", LOOKING, title="Slow", components=("API",))
    assert acme.polls(listing(story), listing(), listing(minute=1)) == [
        [],
        [],
        ["end I resolved"],
    ]
    (event,) = acme.events
    assert event.type == "INCIDENT_UPDATE"
    assert (event.title, event.components) == ("Slow", ("API",))
    assert (event.previous_status, event.occurred_at) == ("investigating", None)
    assert (event.update_id, event.message) == (None, "no longer listed by the vendor")
    assert acme.polls(*[listing(minute=n) for n in range(2, 15)]) == [[]] * 13


def test_r7_a_304_counts(acme):
    acme.poll(json=listing(incident("I", LOOKING)))
    assert acme.polls(listing(), SAME, SAME, SAME) == [[], ["end I resolved"], [], []]


def test_r7_the_two_reads_are_in_a_row(acme):
    story = incident("I", LOOKING)
    assert (
        acme.polls(
            listing(story), listing(), listing(story), listing(), listing(story), SAME
        )
        == [[]] * 6
    )


def test_r7_a_failed_read_counts_neither_way(acme):
    acme.poll(json=listing(incident("I", LOOKING)), feed=page())
    assert acme.poll(json=listing(), feed=SAME) == []
    assert [acme.poll(feed=SAME) for _ in range(12)] == [[]] * 12
    assert acme.poll(json=SAME, feed=SAME) == ["end I resolved"]


def test_r7_the_tenth_read_counts_where_another_source_still_shows_it_open(seeded):
    seeded.poll(feed=page(entry("I", LOOKING)), json=listing(incident("I", LOOKING)))
    assert seeded.poll(feed=SAME, json=listing()) == []
    told = [seeded.poll(feed=SAME, json=SAME) for _ in range(12)]
    assert told == [[]] * 8 + [["end I resolved"]] + [[]] * 3


def test_r7_another_source_that_has_it_no_more_does_not_show_it_open(seeded):
    seeded.poll(feed=page(entry("I", LOOKING)), json=listing(incident("I", LOOKING)))
    seeded.poll(feed=page(minute=1), json=listing(minute=1))
    assert seeded.poll(feed=SAME, json=SAME) == ["end I resolved"]


@pytest.mark.parametrize("fixed", [FIXED, "completed: Done.", "postmortem: Report."])
def test_r7_not_if_another_source_already_said_so(seeded, fixed):
    seeded.poll(feed=page(entry("I", LOOKING)), json=listing(incident("I", LOOKING)))
    assert seeded.poll(feed=page(entry("I", LOOKING, fixed)), json=SAME) == [
        "update I " + fixed
    ]
    told = [seeded.poll(feed=SAME, json=each) for each in [listing()] + [SAME] * 12]
    assert told == [[]] * 13


def test_r7_not_if_another_source_says_so_in_time(seeded):
    seeded.poll(feed=page(entry("I", LOOKING)), json=listing(incident("I", LOOKING)))
    for _ in range(4):
        assert seeded.poll(feed=SAME, json=listing()) == []
    assert seeded.poll(feed=page(entry("I", LOOKING, FIXED)), json=SAME) == [
        "update I resolved: All is well."
    ]
    assert not statuswatch.Tracker(seeded.provider, seeded.memory, START).pending()
    assert [seeded.poll(feed=SAME, json=SAME) for _ in range(12)] == [[]] * 12


def test_r7_not_if_the_source_itself_said_so(acme):
    story = incident("I", LOOKING, FIXED)
    assert acme.polls(listing(story), listing(), SAME, SAME) == [[]] * 4


def test_r7_an_incident_that_is_listed_again_and_gone_again_is_over_again(acme):
    story = incident("I", LOOKING)
    assert acme.polls(listing(story), listing(), SAME) == [[], [], ["end I resolved"]]
    assert acme.polls(listing(story), listing(), SAME) == [[], [], ["end I resolved"]]
    assert acme.polls(listing(incident("I", LOOKING, FOUND)), listing(), SAME) == [
        ["update I identified: We found it."],
        [],
        ["end I resolved"],
    ]


def test_r7_falling_out_of_the_window_of_a_feed_is_no_end(acme):
    acme.poll(feed=page(entry("I", LOOKING)))
    told = acme.polls(page(), *[page(minute=n) for n in range(12)], SAME, name="feed")
    assert told == [[]] * 14


def test_r7_a_maintenance_ends_as_completed():
    acme = Scenario(maintenance=True)
    story = incident("M", "in_progress: We move.", maintenance=True)
    assert acme.polls(listing(story), listing(), SAME)[2] == ["end M completed"]


def test_r7_a_list_that_once_was_not_whole_ends_what_it_lacks_now(acme):
    acme.poll(json=page(incident("I", LOOKING), incident("J", FIXED)))
    acme.poll(json=page(incident("J", FIXED)))
    assert acme.polls(listing(), SAME) == [[], ["end I resolved"]]


def test_r7_an_incident_whose_status_was_never_known_does_not_end(acme):
    assert acme.polls(listing(incident("I")), listing(), *[SAME] * 12) == [[]] * 14
    assert not statuswatch.Tracker(acme.provider, acme.memory, START).pending()


def test_r7_unchanged_reads_count_only_as_long_as_something_may_be_over(acme):
    def pending():
        return statuswatch.Tracker(acme.provider, acme.memory, START).pending()

    assert not pending()
    acme.poll(json=listing(incident("I", LOOKING)))
    assert not pending()
    acme.poll(json=listing())
    assert pending()
    acme.poll(json=SAME)
    assert not pending()


# --- R8: what disappears and returns is not new again, and memory has an end. ---


def test_r8_an_incident_that_disappears_and_returns_is_not_new(acme):
    story = entry("I", LOOKING)
    assert acme.polls(page(story), page(), page(minute=1), page(story)) == [[]] * 4


def test_r8_500_incidents_are_remembered_at_least(acme):
    many = [entry("I%d" % n, FIXED) for n in range(500)]
    acme.poll(json=page())
    for n in range(0, 500, 50):
        assert len(acme.poll(json=page(*many[n : n + 50]))) == 50
    acme.poll(json=page())
    for n in range(0, 500, 50):
        assert acme.poll(json=page(*many[n : n + 50], minute=1)) == []


def test_r8_an_incident_that_is_listed_is_remembered_whatever_comes(acme):
    lasting = incident("old", LOOKING)
    acme.poll(json=listing(lasting))
    for n in range(3):
        many = [incident("I%d-%d" % (n, k), LOOKING) for k in range(600)]
        acme.poll(json=listing(*many, lasting))
    assert acme.poll(json=listing(incident("old", LOOKING, FOUND)))[0] == (
        "update old identified: We found it."
    )


def test_r8_memory_is_bounded_however_many_incidents_come(acme):
    acme.poll(json=listing(), feed=page())
    sizes = []
    for turn in range(100):
        new = ["I%d" % n for n in range(100 * turn, 100 * turn + 100)]
        shown = [incident(key, LOOKING, FOUND) for key in new]
        parts = [component("c" + key, "operational") for key in new]
        told = acme.poll(
            json=listing(*shown, *parts), feed=page(*[entry(k, LOOKING) for k in new])
        )
        assert sum(line.startswith("new") for line in told) == 100
        sizes.append(len(acme.memory))
    assert max(sizes[50:]) < 1.2 * sizes[10] < 250_000


def test_r8_memory_is_bounded_however_often_an_incident_is_edited(acme):
    sizes = []
    for turn in range(1200):
        acme.poll(json=page(incident("I", "investigating: %d." % turn, FOUND)))
        sizes.append(len(acme.memory))
    assert sizes[-1] <= sizes[600]


def test_r8_memory_is_bounded_however_many_updates_an_incident_has(acme):
    sizes = []
    for turn in range(1400):
        update = Update("u%d" % turn, "investigating", "%d." % turn, None)
        acme.poll(json=page(incident("I", LOOKING)._replace(updates=(update,))))
        sizes.append(len(acme.memory))
    assert sizes[-1] <= sizes[1100]


def test_r8_memory_is_bounded_however_often_another_page_shows_up(acme):
    sizes = []
    for turn in range(20):
        rows = [incident("I%d-%d" % (turn, n), LOOKING) for n in range(60)]
        acme.polls(*[listing(*rows, id="p%d" % turn)] * 4)
        sizes.append(len(acme.memory))
    assert sizes[-1] < 1.2 * sizes[9]
    assert not statuswatch.Tracker(acme.provider, acme.memory, START).pending()


def test_r8_components_that_are_listed_are_all_remembered(acme):
    keys = ["c%d" % n for n in range(700)]
    acme.poll(json=page(*[component(key, "up") for key in keys]))
    told = acme.poll(json=page(*[component(key, "down") for key in keys]))
    assert told == ["%s: down, was up" % key for key in keys]


def test_r8_500_components_that_are_not_listed_are_remembered(acme):
    keys = ["c%d" % n for n in range(700)]
    acme.poll(json=page(*[component(key, "up") for key in keys]))
    acme.poll(json=page())
    told = acme.poll(json=page(*[component(key, "down") for key in keys]))
    assert told == ["%s: down, was up" % key for key in keys[200:]]


def test_r8_of_what_is_not_over_all_is_remembered(acme):
    rows = [incident("I%d" % n, LOOKING, components=("API",)) for n in range(30)]
    acme.polls(listing(*rows), listing())
    assert len(acme.poll(json=SAME)) == 30
    for event in acme.events:
        assert event.title == "On " + event.incident_id
        assert event.components == ("API",)


@pytest.mark.parametrize(
    "last", [FIXED, "completed: Done.", "postmortem: Why.", ": It"]
)
def test_r8_what_is_over_keeps_no_more_than_what_tells_it_again(acme, last):
    story = incident("I", LOOKING, last, title="T" * 500, impact="minor")
    stories = [story._replace(id="I%d" % n) for n in range(60)]
    acme.polls(page(*stories))
    assert len(acme.memory) < 60 * 120 + 10 * 600


# --- R9: a provider's sources are one picture. ---

STORY = [LOOKING, FOUND, "monitoring: We watch it.", FIXED]


def versions(make, latest_only=False):
    """The pages of a whole story, one for each update."""
    shown = [STORY[: n + 1] for n in range(len(STORY))]
    return [make("I", *(each[-1:] if latest_only else each)) for each in shown]


@pytest.mark.parametrize("latest_only", [False, True])
@pytest.mark.parametrize("lag", [0, 1, 2, 3])
@pytest.mark.parametrize("late", ["feed", "json"])
def test_r9_what_two_sources_show_is_told_once(seeded, late, lag, latest_only):
    feeds, documents = versions(entry, latest_only), versions(incident)
    told = []
    for turn in range(len(STORY) + lag):
        shown = {}
        for name, pages in (("feed", feeds), ("json", documents)):
            number = turn - (lag if name == late else 0)
            if number >= 0:
                wrap = page if name == "feed" else listing
                shown[name] = wrap(pages[min(number, len(pages) - 1)])
        told += seeded.poll(**shown)
    assert told == ["new I " + STORY[0]] + ["update I " + each for each in STORY[1:]]


@pytest.mark.parametrize("first, second", [("feed", "json"), ("json", "feed")])
def test_r9_the_second_source_to_show_an_incident_is_silent(seeded, first, second):
    pages = {
        "feed": page(entry("I", LOOKING, FOUND)),
        "json": page(incident("I", LOOKING, FOUND)),
    }
    assert len(seeded.poll(**{first: pages[first]})) == 2
    assert seeded.poll(**{second: pages[second]}) == []


def test_r9_what_one_source_shows_twice_is_told_twice(seeded):
    again = "investigating: Still looking."
    told = seeded.poll(feed=page(entry("I", LOOKING, again)))
    told += seeded.poll(json=page(incident("I", LOOKING, again)))
    told += seeded.poll(json=page(incident("I", LOOKING, again, again)))
    told += seeded.poll(feed=page(entry("I", LOOKING, again, again)))
    assert told == ["new I " + LOOKING] + ["update I " + again] * 2


def test_r9_an_edit_that_two_sources_show_is_told_once(seeded):
    edited = "investigating: Logins."
    seeded.poll(feed=page(entry("I", LOOKING)), json=page(incident("I", LOOKING)))
    assert seeded.poll(json=page(incident("I", edited))) == ["edit I " + edited]
    assert seeded.poll(feed=page(entry("I", edited))) == []


def test_r9_what_was_edited_before_another_source_shows_it_is_not_told_again(seeded):
    seeded.poll(json=page(incident("I", LOOKING)))
    assert len(seeded.poll(json=page(incident("I", "investigating: Logins.")))) == 1
    assert seeded.poll(feed=page(entry("I", LOOKING)), json=SAME) == []


def test_r9_an_edit_that_the_feed_shows_first_is_told_once(seeded):
    edited = "investigating: Logins."
    seeded.poll(feed=page(entry("I", LOOKING)), json=page(incident("I", LOOKING)))
    assert seeded.poll(feed=page(entry("I", edited))) == ["update I " + edited]
    assert seeded.poll(json=page(incident("I", edited))) == []


def test_r9_components_known_from_either_source_name_the_product(seeded):
    named = incident("I", LOOKING, components=("API",), impact="major")
    seeded.poll(feed=page(entry("I", LOOKING)), json=listing(named))
    assert [event.components for event in seeded.events] == [("API",)]
    seeded.poll(feed=page(entry("I", LOOKING, FOUND)), json=SAME)
    assert [(e.components, e.impact) for e in seeded.events] == [(("API",), "major")]


def test_r9_components_are_known_of_the_latest_incidents_when_these_are_over(seeded):
    old = [entry("old%d" % n, FIXED) for n in range(40)]
    named = incident("I", LOOKING, components=("API",))
    seeded.poll(feed=page(*old))
    seeded.poll(feed=page(entry("I", LOOKING), *old), json=listing(named))
    seeded.poll(feed=page(entry("I", LOOKING, FIXED), *old), json=listing())
    story = entry("I", LOOKING, FIXED, "postmortem: A report.")
    assert seeded.poll(feed=page(story, *old), json=SAME) == [
        "update I postmortem: A report."
    ]
    assert seeded.events[0].components == ("API",)


def test_r9_updates_without_words_are_told_with_those_of_the_feed(seeded):
    bare = incident("I", "investigating: ", "identified: ")
    assert seeded.poll(json=listing(bare), feed=page(entry("I", LOOKING, FOUND))) == [
        "new I " + LOOKING,
        "update I " + FOUND,
    ]
    assert seeded.poll(json=listing(bare, minute=1), feed=SAME) == []


def test_r9_updates_without_words_that_come_late_are_no_news(seeded):
    assert seeded.poll(feed=page(entry("I", LOOKING)), json=SAME) == [
        "new I " + LOOKING
    ]
    assert seeded.poll(feed=SAME, json=listing(incident("I", "investigating: "))) == []
    again = incident("I", "investigating: ", "investigating: ")
    assert seeded.poll(feed=SAME, json=listing(again)) == ["update I investigating"]


def test_r9_an_incident_without_updates_is_told_once_by_the_feed_too(seeded):
    bare = incident("I", status="investigating")
    assert seeded.poll(json=listing(bare), feed=page(entry("I", LOOKING))) == [
        "new I " + LOOKING
    ]
    assert seeded.poll(json=listing(bare, minute=1), feed=SAME) == []


def test_r9_an_incident_of_which_a_second_source_knows_nothing_is_told_once(seeded):
    assert seeded.poll(feed=page(entry("I", ": It broke."))) == [
        "new I None: It broke."
    ]
    assert seeded.poll(feed=SAME, json=listing(incident("I"))) == []
    assert seeded.poll(feed=SAME, json=listing(incident("I"), minute=1)) == []


def test_r9_a_new_incident_begins_with_its_oldest_update_in_any_source(seeded):
    latest_only = page(entry("I", FOUND))
    assert seeded.poll(
        feed=latest_only, json=listing(incident("I", LOOKING, FOUND))
    ) == [
        "new I " + LOOKING,
        "update I " + FOUND,
    ]


def test_r9_sources_are_told_apart_without_keeping_their_secrets(seeded):
    seeded.poll(feed=page(entry("I", LOOKING)))
    assert "secret" not in seeded.memory
    assert "secret" not in repr(seeded.events)


# --- R10, R11 and R12, as far as they are decided here. ---


def test_r10_an_unchanged_document_changes_nothing(seeded):
    seeded.poll(feed=page(entry("I", LOOKING)), json=listing(incident("I", LOOKING)))
    memory = seeded.memory
    assert seeded.poll(feed=SAME, json=SAME) == []
    assert seeded.poll(feed=page(entry("I", LOOKING)), json=SAME) == []
    assert seeded.memory == memory


def test_r11_a_poll_in_which_nothing_could_be_read_changes_nothing(seeded):
    seeded.poll(json=listing(incident("I", LOOKING), component("api", "up")))
    memory = seeded.memory
    assert [seeded.poll() for _ in range(12)] == [[]] * 12
    assert seeded.memory == memory


def test_r11_an_update_that_a_failed_read_missed_is_told_at_the_next(seeded):
    seeded.poll(json=listing(incident("I", LOOKING)))
    seeded.poll()
    assert seeded.poll(json=listing(incident("I", LOOKING, FOUND, FIXED))) == [
        "update I " + FOUND,
        "update I " + FIXED,
    ]


def test_r12_a_source_that_is_away_gives_no_events(seeded):
    seeded.poll(
        feed=page(entry("I", LOOKING)),
        json=listing(incident("I", LOOKING), component("api", "up")),
    )
    for minute in range(1, 13):
        assert seeded.poll(feed=page(entry("I", LOOKING), minute=minute)) == []
    back = listing(incident("I", LOOKING), component("api", "down"))
    assert seeded.poll(feed=SAME, json=back) == ["api: down, was up"]


# --- R13: scheduled maintenances are told where they are wanted. ---


@pytest.mark.parametrize("wanted", [False, True])
def test_r13_maintenances_are_told_only_where_they_are_wanted(wanted):
    acme = Scenario(maintenance=wanted)
    planned = ["scheduled: We will move.", "in_progress: We move.", "completed: Moved."]
    told = acme.polls(
        listing(),
        *[
            listing(incident("M", *planned[:n], maintenance=True))
            for n in range(1, len(planned) + 1)
        ],
    )
    expected = ["new M " + planned[0]] + ["update M " + each for each in planned[1:]]
    assert sum(told, []) == (expected if wanted else [])
    assert all(event.maintenance for event in acme.events)


def test_r13_a_maintenance_that_one_source_knows_as_such_is_one(seeded):
    story = "in_progress: We move."
    planned = incident("M", story, maintenance=True)
    assert seeded.poll(feed=page(entry("M", story)), json=listing(planned)) == []
    assert seeded.poll(feed=page(entry("M", story, FIXED)), json=SAME) == []


def test_r13_a_component_under_maintenance_is_told_like_any_other(acme):
    assert acme.polls(
        page(component("api", "operational")),
        page(component("api", "under_maintenance")),
    )[1] == ["api: under_maintenance, was operational"]


def test_r13_what_is_filtered_out_is_not_told_later():
    acme = Scenario(min_impact="major")
    story = incident("I", LOOKING, impact="minor")
    worse = incident("I", LOOKING, FOUND, impact="critical")
    assert acme.polls(listing(), listing(story), listing(worse)) == [
        [],
        [],
        ["update I " + FOUND],
    ]


INCIDENT = statuswatch.Event("NEW_INCIDENT", "Acme", "Acme")
NAMED = INCIDENT._replace(components=("Chat API", "Web"))
CHANGE = statuswatch.Event(
    "COMPONENT_STATUS_CHANGE", "Acme", "Acme", ("Chat API",), component_id="k1"
)


@pytest.mark.parametrize(
    "options, event, key",
    [
        ({}, INCIDENT, ""),
        ({}, INCIDENT._replace(maintenance=True), "maintenance"),
        ({"maintenance": True}, INCIDENT._replace(maintenance=True), ""),
        ({}, CHANGE._replace(status="under_maintenance"), ""),
        ({}, INCIDENT._replace(impact="none"), ""),
        ({"min_impact": "minor"}, INCIDENT._replace(impact="none"), "min_impact"),
        ({"min_impact": "minor"}, INCIDENT._replace(impact="minor"), ""),
        ({"min_impact": "critical"}, INCIDENT._replace(impact="major"), "min_impact"),
        ({"min_impact": "critical"}, INCIDENT._replace(impact="critical"), ""),
        ({"min_impact": "critical"}, INCIDENT._replace(impact="odd"), ""),
        ({"min_impact": "critical"}, INCIDENT, ""),
        ({"min_impact": "critical"}, CHANGE, ""),
        ({"components": ("web",)}, NAMED, ""),
        ({"components": ("mail", "chat api")}, NAMED, ""),
        ({"components": ("chat",)}, NAMED, "components"),
        ({"components": ("mail",)}, INCIDENT, ""),
        ({"components": ("mail",), "untagged": "hide"}, INCIDENT, "untagged"),
        ({"components": ("*",), "untagged": "hide"}, INCIDENT, "untagged"),
        ({"components": ("*",), "untagged": "hide"}, NAMED, ""),
        ({"untagged": "hide"}, INCIDENT, ""),
        ({"components": ("chat api",)}, CHANGE, ""),
        ({"components": ("k1",)}, CHANGE, ""),
        ({"components": ("k2", "web")}, CHANGE, "components"),
        ({"components": ("chat *",)}, NAMED, ""),
        ({"components": ("*api",)}, CHANGE, ""),
        ({"components": ("k*",)}, CHANGE, ""),
        ({"components": ("chat*x",)}, CHANGE, "components"),
        ({"events": ("NEW_INCIDENT",)}, INCIDENT, ""),
        ({"events": ("INCIDENT_UPDATE",)}, INCIDENT, "events"),
        ({"events": ("NEW_INCIDENT", "INCIDENT_UPDATE")}, CHANGE, "events"),
        ({"events": ("COMPONENT_STATUS_CHANGE",)}, CHANGE, ""),
    ],
)
def test_r13_and_the_other_filters_let_pass_what_is_wanted(options, event, key):
    provider = Provider("Acme", ("https://status.acme.test",), **options)
    assert statuswatch.Tracker(provider, "", START).filter_of(event) == key


@pytest.mark.parametrize(
    "pattern, name, found",
    [
        ("a*", "API", True),
        ("*", "", True),
        ("a", "API", False),
        ("*p*", "API", True),
        ("p*", "API", False),
        ("a[p]i", "API", False),
        ("a[p]i", "A[p]I", True),
        ("[*", "[EU] API", True),
        ("a?i", "API", False),
        ("a?i", "A?I", True),
        ("a[!x]i", "API", False),
        ("a]*", "A]B", True),
        ("a.i", "API", False),
        ("a\\*", "A\\b", True),
        ("stra\u00dfe".casefold(), "STRASSE", True),
        ("a*b", "a\nb", True),
    ],
)
def test_in_a_pattern_only_the_asterisk_is_special(pattern, name, found):
    assert statuswatch.matches(pattern, name) is found
    assert statuswatch.matches(pattern, "another", name) is found
    assert not statuswatch.matches(pattern)


def test_a_pattern_is_matched_in_no_time_whatever_the_name():
    began = time.perf_counter()
    assert not statuswatch.matches("*a*a*b", "a" * 5_000_000)
    assert time.perf_counter() - began < 5


# --- Filters, over the life of an incident. ---


def test_what_was_told_is_told_to_its_end_when_its_components_are_dropped():
    acme = Scenario(components=("api",), untagged="hide")
    named = incident("I", LOOKING, components=("API",))
    assert acme.polls(
        listing(),
        listing(named),
        listing(incident("I", LOOKING, FOUND, components=())),
        listing(incident("I", LOOKING, FOUND, FIXED, components=("Web",))),
    ) == [[], ["new I " + LOOKING], ["update I " + FOUND], ["update I " + FIXED]]
    assert acme.suppressed == {}


def test_what_was_told_is_told_to_its_end_when_it_becomes_minor_or_planned():
    acme = Scenario(min_impact="major")
    story = incident("I", LOOKING, impact="major")
    acme.polls(listing(), listing(story))
    minor = incident("I", LOOKING, FOUND, impact="minor", maintenance=True)
    assert acme.poll(json=listing(minor)) == ["update I " + FOUND]
    assert acme.polls(listing(), SAME) == [[], ["end I completed"]]


def test_what_was_held_back_is_told_from_when_it_matters():
    acme = Scenario(min_impact="major")
    assert acme.polls(
        listing(),
        listing(incident("I", LOOKING, impact="minor")),
        listing(incident("I", LOOKING, FOUND, impact="major")),
        listing(incident("I", LOOKING, FOUND, FIXED, impact="minor")),
    ) == [[], [], ["update I " + FOUND], ["update I " + FIXED]]
    assert acme.suppressed == {"min_impact": 1}


def test_the_types_that_are_not_wanted_stay_so_to_the_end():
    acme = Scenario(events=("NEW_INCIDENT",))
    assert acme.polls(
        listing(component("api", "up")),
        listing(incident("I", LOOKING), component("api", "down")),
        listing(incident("I", LOOKING, FIXED), component("api", "down")),
    ) == [[], ["new I " + LOOKING], []]
    assert acme.suppressed == {"events": 2}


@pytest.mark.parametrize("number", [1, 2])
def test_what_is_held_back_for_want_of_names_is_told_once_these_are_known(number):
    """The feed has it first, without names; the JSON behind it has these (R9)."""
    acme = Scenario(components=("api",), untagged="hide")
    words = (LOOKING, FOUND)[:number]
    named = listing(incident("I", *words, components=("API",)))
    assert acme.poll(feed=page(), json=listing()) == []
    assert acme.poll(feed=page(entry("I", *words)), json=SAME) == []
    assert acme.poll(feed=SAME, json=named) == ["new I " + words[-1]]
    assert acme.events[0].occurred_at == at(number - 1)
    assert acme.poll(feed=SAME, json=named) == []
    over = listing(incident("I", *words, FIXED, components=("API",)))
    assert acme.poll(feed=page(entry("I", *words, FIXED)), json=over) == [
        "update I " + FIXED
    ]
    assert acme.suppressed == {"untagged": number}


@pytest.mark.parametrize("names", [("Web",), ()])
def test_what_is_held_back_stays_so_where_its_names_are_not_asked_for(names):
    acme = Scenario(components=("api",), untagged="hide")
    acme.poll(feed=page(), json=listing())
    acme.poll(feed=page(entry("I", LOOKING)), json=SAME)
    shown = listing(incident("I", LOOKING, components=names))
    assert acme.poll(feed=SAME, json=shown) == acme.poll(feed=SAME, json=shown) == []


def test_what_was_seeded_is_not_told_as_its_names_are_known():
    acme = Scenario(components=("api",), untagged="hide")
    acme.poll(feed=page(entry("I", LOOKING)), json=listing())
    named = listing(incident("I", LOOKING, components=("API",)))
    assert acme.poll(feed=SAME, json=named) == []


def test_what_was_only_seeded_was_not_told():
    acme = Scenario(components=("api",), untagged="hide")
    acme.poll(json=listing(incident("I", LOOKING, components=("API",))))
    acme.poll(json=listing(incident("I", LOOKING, FOUND, components=())))
    assert (acme.events, acme.suppressed) == ([], {"untagged": 1})


def test_seeds_are_not_counted_as_held_back():
    acme = Scenario(components=("api",), min_impact="major")
    other = incident("I", LOOKING, components=("Web",))
    acme.poll(json=listing(other, incident("J", LOOKING, impact="minor")))
    assert acme.suppressed == {}


def test_what_is_held_back_is_counted_by_the_key_that_does_it():
    acme = Scenario(components=("api",), untagged="hide", min_impact="major")
    acme.poll(json=listing(component("api", "up"), component("web", "up")))
    rows = [
        incident("I", LOOKING, FOUND, components=("Web",)),
        incident("J", LOOKING),
        incident("K", LOOKING, impact="minor"),
        incident("M", LOOKING, maintenance=True),
    ]
    acme.poll(json=listing(*rows, component("api", "up"), component("web", "down")))
    assert acme.events == []
    expected = {"components": 3, "untagged": 1, "min_impact": 1, "maintenance": 1}
    assert acme.suppressed == expected


@pytest.mark.parametrize("pattern", ["k1", "k*"])
def test_an_incident_that_names_a_component_is_found_by_the_components_id(pattern):
    acme = Scenario(components=(pattern,))
    parts = Component("K1", "Chat API", "up", None), Component("w", "Web", "up", None)
    story = incident("I", LOOKING, components=("Chat API", "Mail"))
    other = incident("J", LOOKING, components=("Web",))
    acme.poll(json=listing(*parts), feed=page())
    assert acme.poll(feed=page(story, other), json=SAME) == ["new I " + LOOKING]


def test_of_two_components_with_one_name_the_id_tells_which():
    acme = Scenario(components=("k1",))
    acme.poll(json=page(*[Component(id, "API", "up", None) for id in ("k1", "k2")]))
    shown = page(*[Component(id, "API", "down", None) for id in ("k1", "k2")])
    assert acme.poll(json=shown) == ["k1: down, was up"]


def test_each_incident_is_judged_without_a_look_at_all_components(monkeypatch):
    looks = collections.Counter()

    class Standing(statuswatch.Standing):
        def __getattribute__(self, name):
            looks[name] += 1
            return super().__getattribute__(name)

    monkeypatch.setattr(statuswatch, "Standing", Standing)
    parts = [component("c%d" % n, "up") for n in range(50)]

    def looked(count):
        acme = Scenario(components=("k", "c7"))
        many = [
            incident("I%d" % n, LOOKING, components=("The c%d" % n, "Other"))
            for n in range(count)
        ]
        acme.poll(json=listing(*parts))
        looks.clear()
        events = acme.poll(json=listing(*parts, *many))
        assert events == (["new I7 " + LOOKING] if count > 7 else [])
        assert acme.suppressed == {"components": count - len(events)}
        return looks["row"]

    assert looked(40) == looked(1) > 0


@pytest.mark.parametrize("options", [{"components": ("api",)}, {"min_impact": "major"}])
def test_what_a_filter_needs_of_an_old_incident_is_remembered(options):
    acme = Scenario(**options)
    old = incident("old", FIXED, components=("Web",), impact="minor")
    many = [incident("I%d" % n, FIXED, components=("API",)) for n in range(40)]
    acme.poll(json=listing(old), feed=page())
    acme.poll(json=listing(*many), feed=page(minute=1))
    late = entry("old", FIXED, "postmortem: Report.")
    assert acme.poll(feed=page(late), json=SAME) == []
    assert sum(acme.suppressed.values()) == 1


# --- Patterns of components that mean nothing. ---


def test_a_filtered_component_that_disappears_is_missing_once():
    acme = Scenario(components=("the api",))
    api, gate = component("api", "up"), Component("g", "The API Gate", "up", None)
    assert acme.polls(page(api), page(gate)) == [[], []]
    assert acme.missing == ["the api, but The API Gate"]
    for minute in range(1, 4):
        acme.poll(json=page(gate, minute=minute))
        assert acme.missing == []
    acme.poll(json=page(api, gate))
    assert acme.missing == []
    acme.poll(json=page(gate, minute=9))
    assert acme.missing == ["the api, but The API Gate"]


def test_a_pattern_that_never_meant_anything_is_missing_too():
    acme = Scenario(components=("the abi", "the w*", "zzz"))
    acme.poll(json=page(component("api", "up"), component("web", "up")))
    assert acme.missing == ["the abi, but The api", "zzz"]


def test_without_a_list_of_components_nothing_is_missing():
    acme = Scenario(components=("api",))
    acme.polls(page(incident("I", LOOKING, components=("Web",))), SAME)
    assert acme.missing == []
    acme.poll(late=page(component("web", "up")))
    assert acme.missing == ["api"]


def test_what_another_source_lists_is_not_missing():
    acme = Scenario(components=("the api",))
    acme.poll(one=page(component("api", "up")), two=page(component("web", "up")))
    assert acme.missing == []
    acme.poll(one=SAME, two=page(component("web", "up"), minute=1))
    assert acme.missing == []


def test_a_name_that_only_an_incident_lists_exists():
    acme = Scenario(components=("group",))
    story = incident("I", LOOKING, components=("Group",))
    acme.poll(feed=page(story), json=page(component("api", "up")))
    acme.poll(feed=SAME, json=page(component("api", "up"), minute=1))
    assert acme.missing == []
    acme.poll(feed=page(), json=page(component("api", "up"), minute=2))
    assert acme.missing == ["group"]


def test_the_address_of_a_page_is_no_name():
    acme = Scenario(components=("http*",))
    acme.poll(json=page(component("api", "up")))
    assert acme.missing == ["http*"]


def test_an_id_exists_as_a_name_does():
    acme = Scenario(components=("api",))
    acme.polls(page(component("API", "up")), page(component("API", "up"), minute=1))
    assert acme.missing == []


def test_a_component_whose_status_is_not_given_is_not_missing():
    acme = Scenario(components=("the api",))
    acme.polls(page(component("api", "")), page(component("api", ""), minute=1))
    assert acme.missing == []


def test_incidentios_summary_which_lists_some_components_misses_none():
    acme = Scenario(components=("the api",))
    for key in ("api", "web", "api", "web"):
        shown = listing(component(key, "up"))._replace(platform="incident.io")
        acme.poll(json=shown)
        assert acme.missing == []
    acme.poll(all=page(component("web", "up"))._replace(platform="incident.io"))
    assert acme.missing == ["the api"]


def test_a_filter_that_is_new_to_the_memory_is_judged_by_the_next_list(acme):
    acme.poll(json=page(component("api", "up"), component("web", "up")))
    for _ in range(3):
        old = [incident("I%d" % n, FIXED, components=("Old",)) for n in range(9)]
        acme.poll(feed=page(*old))
    acme.provider = acme.provider._replace(components=("the api", "old", "odd"))
    acme.poll(json=page(component("api", "up"), component("web", "up"), minute=1))
    assert acme.missing == ["odd"]


# --- Hold: a component's change is told once it has stood for so long. ---

UP, DOWN, BAD = (component("api", status) for status in ("up", "down", "bad"))


def held(parts=(UP, DOWN), **options):
    """A provider with hold, where a component has just changed."""
    acme = Scenario(hold=60, **options)
    acme.polls(*[page(part, minute=n) for n, part in enumerate(parts)])
    return acme


def test_a_change_is_told_once_it_has_stood_for_the_hold():
    acme = held()
    assert acme.events == []
    assert acme.poll(json=SAME) == []
    assert acme.poll(json=SAME) == ["api: down, was up"]
    assert acme.polls(SAME, page(DOWN, minute=9), SAME, SAME) == [[]] * 4
    assert acme.suppressed == {}


def test_a_held_change_is_told_with_the_vendors_time():
    acme = Scenario(hold=60)
    acme.polls(page(component("api", "up", 1)), page(component("api", "down", 2)))
    acme.polls(SAME, SAME)
    (event,) = acme.events
    assert event == statuswatch.Event(
        type="COMPONENT_STATUS_CHANGE",
        provider="Acme",
        product="Acme",
        components=("The api",),
        status="down",
        previous_status="up",
        component_id="api",
        url="https://status.acme.test",
        occurred_at=at(2),
        detected_at=acme.now,
        source="https://status.acme.test/json",
    )


def test_what_is_not_held_has_a_time_of_its_own_again():
    acme = Scenario(hold=60)
    acme.polls(page(component("api", "up", 1)), page(component("api", "down", 2)))
    acme.polls(SAME, SAME, page(component("api", "up", 2)), SAME, SAME)
    assert [(event.status, event.occurred_at) for event in acme.events] == [
        ("up", None)
    ]


def test_a_change_that_goes_back_within_the_hold_is_counted_and_not_told():
    acme = held(parts=(UP, DOWN, UP))
    assert acme.polls(*[SAME] * 5) == [[]] * 5
    assert acme.suppressed == {"hold": 2}
    assert acme.polls(page(DOWN, minute=9), SAME, SAME)[2] == ["api: down, was up"]


def test_the_hold_runs_from_when_the_status_that_was_told_was_left():
    acme = held(parts=(UP, DOWN, BAD))
    assert acme.poll(json=SAME) == ["api: bad, was up"]
    assert acme.suppressed == {"hold": 1}


def test_an_outage_that_flaps_between_two_statuses_is_told_in_time():
    acme = held(parts=(UP, DOWN, BAD))
    assert acme.poll(json=page(DOWN, minute=8)) == ["api: down, was up"]
    assert acme.polls(page(BAD, minute=9), SAME) == [[], []]
    assert acme.polls(SAME) == [["api: bad, was down"]]
    assert acme.suppressed == {"hold": 2}


def test_the_hold_does_not_run_from_when_the_component_was_first_seen():
    acme = held(parts=())
    assert acme.polls(page(), page(UP), *[SAME] * 4) == [[]] * 6
    assert acme.polls(page(DOWN, minute=9), SAME) == [[], []]
    assert acme.poll(json=SAME) == ["api: down, was up"]


def test_a_hold_that_goes_back_begins_anew():
    acme = held(parts=(UP, DOWN, UP, DOWN))
    assert acme.polls(SAME, SAME) == [[], ["api: down, was up"]]


def test_held_changes_make_unchanged_reads_matter():
    acme = held()
    assert statuswatch.Tracker(acme.provider, acme.memory, START).pending()
    acme.polls(SAME, SAME)
    assert not statuswatch.Tracker(acme.provider, acme.memory, START).pending()


def test_only_a_read_of_the_source_that_shows_it_tells_a_held_change():
    acme = held()
    acme.poll(feed=page())
    assert [acme.poll(feed=SAME) for _ in range(5)] == [[]] * 5
    assert acme.poll(feed=SAME, json=SAME) == ["api: down, was up"]


def test_a_held_change_of_a_component_that_is_gone_waits_until_it_is_back():
    acme = held()
    assert acme.polls(page(), SAME, SAME, SAME) == [[]] * 4
    assert not statuswatch.Tracker(acme.provider, acme.memory, START).pending()
    assert acme.poll(json=page(DOWN, minute=9)) == ["api: down, was up"]


def test_a_held_change_that_goes_back_unseen_is_not_told():
    acme = held()
    assert acme.polls(page(), SAME, SAME, page(UP, minute=9), SAME, SAME) == [[]] * 6


def test_a_held_change_is_told_by_the_source_that_follows_on():
    acme = held()
    newer = component("api", "down", 5)
    assert acme.poll(other=page(newer), json=SAME) == []
    assert acme.poll(json=SAME) == []
    assert acme.poll(other=SAME) == ["api: down, was up"]
    assert acme.events[0].source == "https://status.acme.test/other"


def test_a_source_that_seeds_tells_nothing_that_was_held():
    acme = held()
    acme.poll(json=SAME)
    assert acme.poll(other=page(component("api", "down", 5))) == []
    assert acme.poll(other=SAME) == ["api: down, was up"]
    acme = held()
    acme.polls(SAME, SAME)
    assert acme.poll(third=page(component("api", "bad", 6))) == []
    assert [acme.poll(third=SAME) for _ in range(4)] == [[]] * 4


def test_a_held_change_is_told_as_a_source_that_seeds_meanwhile_shows_it():
    acme = held()
    assert acme.poll(other=page(component("api", "bad", 5))) == []
    assert acme.polls(SAME, SAME, name="other") == [["api: bad, was up"], []]
    acme = held()
    assert acme.poll(other=page(component("api", "up", 5))) == []
    assert acme.polls(SAME, SAME, SAME, name="other") == [[]] * 3
    assert acme.suppressed == {"hold": 1}


def test_a_change_that_is_over_leaves_nothing_in_the_memory():
    acme, plain = held(), Scenario()
    plain.poll(json=page(DOWN))
    assert len(acme.memory) > len(plain.memory)
    acme.polls(SAME, SAME)
    assert acme.memory == plain.memory


def test_another_page_is_told_nothing_that_was_held():
    acme = held()
    theirs = page(component("api", "odd"), id="other")
    assert acme.polls(*[theirs] * 3, *[SAME] * 4) == [[]] * 7


def test_a_clock_that_is_set_back_does_not_hold_for_longer():
    acme = held()
    acme.now -= timedelta(days=1)
    assert acme.poll(json=SAME) == ["api: down, was up"]


def test_the_hold_is_the_providers_of_now():
    acme = held()
    acme.provider = acme.provider._replace(hold=0)
    assert acme.poll(json=SAME) == ["api: down, was up"]


def test_incidents_are_never_held():
    acme = Scenario(hold=60)
    assert acme.polls(listing(), listing(incident("I", LOOKING)), listing(), SAME) == [
        [],
        ["new I " + LOOKING],
        [],
        ["end I resolved"],
    ]


def test_flaps_of_what_is_not_wanted_are_counted_where_they_are_unwanted():
    acme = held(parts=(UP, DOWN, UP), components=("web",))
    acme.polls(SAME, SAME, SAME)
    assert (acme.events, acme.suppressed) == ([], {"components": 2})


def test_a_held_change_after_a_long_pause_is_old_news():
    acme = held()
    assert acme.poll(away=True, json=page(DOWN, minute=9)) == []
    assert acme.poll(away=True, json=SAME) == ["api: down, was up"]
    assert acme.events[0].while_away


# --- Durations: the end of an incident says how long it ran. ---


def durations(*pages, name="json", **options):
    """What is told of the pages, each with how long the incident ran."""
    acme, told = Scenario(**options), []
    for shown in pages:
        acme.poll(**{name: shown})
        told += [(event.status, event.duration_s) for event in acme.events]
    return told


@pytest.mark.parametrize("make", [incident, entry])
def test_an_end_runs_from_the_first_update(make):
    stages = [make("I", *[LOOKING, FOUND, FIXED][:n]) for n in (1, 2, 3)]
    assert durations(listing(), *map(listing, stages)) == [
        ("investigating", None),
        ("identified", None),
        ("resolved", 120),
    ]


def test_only_the_first_of_an_incidents_ends_says_how_long_it_ran():
    parts = [LOOKING, FIXED, "resolved: Really.", "postmortem: A report."]
    told = durations(listing(), *[listing(incident("I", *parts[:n])) for n in (2, 4)])
    assert [duration for _, duration in told] == [None, 60, None, None]


def test_a_postmortem_is_no_end():
    told = durations(listing(), listing(incident("I", LOOKING, "postmortem: Report.")))
    assert told == [("investigating", None), ("postmortem", None)]


def test_an_edit_is_no_end():
    before, after = incident("I", LOOKING, FOUND), incident("I", LOOKING, FIXED)
    assert durations(listing(before), listing(after)) == [("resolved", None)]


def test_an_incident_that_goes_on_ends_again():
    parts = [LOOKING, FIXED, LOOKING, FIXED]
    told = durations(listing(), *[listing(incident("I", *parts[:n])) for n in (2, 4)])
    assert [duration for _, duration in told] == [None, 60, None, 180]


def test_an_incident_that_was_over_when_it_was_first_shown_has_no_duration():
    assert durations(listing(), listing(incident("I", FIXED))) == [("resolved", None)]


def test_an_end_before_the_beginning_has_no_duration():
    story = incident("I", LOOKING, FIXED)
    first, last = story.updates
    swapped = (first._replace(at=last.at), last._replace(at=first.at))
    shown = listing(story._replace(updates=swapped))
    assert [duration for _, duration in durations(listing(), shown)] == [None, None]


def test_a_beginning_that_is_not_known_gives_no_duration():
    bare = listing(incident("I", status="investigating"))
    over = listing(incident("I", status="resolved"))
    assert [each for _, each in durations(listing(), bare, over)] == [None, None]
    assert [each for _, each in durations(bare, listing(), SAME)] == [None]


def test_an_inferred_end_runs_until_it_is_detected(acme):
    acme.now = at(10)
    acme.polls(listing(incident("I", LOOKING)), listing(), SAME)
    assert [(e.inferred, e.duration_s) for e in acme.events] == [(True, 690)]


def test_an_end_without_a_time_runs_until_it_is_detected(acme):
    acme.now = at(10)
    story = incident("I", LOOKING, FIXED)
    story = story._replace(
        updates=(story.updates[0], story.updates[1]._replace(at=None))
    )
    acme.polls(listing(), listing(story))
    assert [event.duration_s for event in acme.events] == [None, 660]


def test_a_feed_that_shows_only_the_latest_update_remembers_the_beginning():
    parts = [dated(each, n) for n, each in enumerate([LOOKING, FOUND, FIXED])]
    shown = [
        page(Incident("I", "It", u.status, (u,)), minute=n) for n, u in enumerate(parts)
    ]
    told = durations(page(), *shown, name="feed")
    assert told[-1] == ("resolved", 120)


def test_the_beginning_is_the_earliest_that_any_source_knows(seeded):
    late = entry("I", LOOKING)._replace(updates=(dated(LOOKING, 5), dated(FIXED, 9)))
    early = incident("I", "investigating: ", FOUND)
    seeded.poll(feed=page(late), json=listing(early))
    assert [e.duration_s for e in seeded.events if e.status == "resolved"] == [540]


def test_a_maintenance_runs_from_when_it_begins():
    parts = [
        "scheduled: Soon.",
        "in_progress: Now.",
        "verifying: ...",
        "completed: Done.",
    ]
    story = listing(incident("M", *parts, maintenance=True))
    assert durations(listing(), story, maintenance=True)[-1] == ("completed", 120)


def test_a_duration_is_in_whole_seconds(acme):
    story = incident("I", LOOKING, FIXED)
    last = story.updates[1]._replace(at=START + timedelta(seconds=59.9))
    acme.polls(listing(), listing(story._replace(updates=(story.updates[0], last))))
    assert repr(acme.events[1].duration_s) == "59"


# --- R14: another page's document is set aside, and seeds afresh if it persists. ---


def test_r14_another_pages_document_changes_nothing(acme):
    ours = listing(incident("I", LOOKING), component("api", "up"))
    theirs = listing(incident("X", LOOKING), component("api", "down"), id="other")
    acme.poll(json=ours)
    memory = acme.memory
    for _ in range(3):
        assert acme.polls(theirs, theirs) == [[], []]
        assert acme.aside == {"json": "another page's document"}
        assert acme.memory == memory
        assert acme.poll(json=ours) == []
    assert acme.source("json").page_id == "acme"


def test_r14_at_the_third_poll_in_a_row_the_source_seeds_afresh(acme):
    theirs = listing(incident("X", LOOKING), component("api", "down"), id="other")
    acme.poll(json=listing(incident("I", LOOKING), component("api", "up")))
    assert acme.polls(theirs, theirs, theirs, SAME, SAME) == [[]] * 5
    assert acme.source("json").page_id == "other"
    more = listing(incident("X", LOOKING, FOUND), component("api", "up"), id="other")
    assert acme.poll(json=more) == ["update X " + FOUND, "api: up, was down"]


def test_r14_what_the_first_page_listed_does_not_end(acme):
    theirs = listing(id="other")
    acme.poll(json=listing(incident("I", LOOKING)))
    told = acme.polls(theirs, theirs, theirs, *[SAME] * 12)
    assert told + acme.polls(*[theirs._replace(at=at(n)) for n in range(9, 20)]) == (
        [[]] * 26
    )


@pytest.mark.parametrize("make", [incident, entry])
def test_r14_what_the_first_page_told_is_not_told_by_another_source(seeded, make):
    assert seeded.poll(json=page(make("I", LOOKING))) == ["new I " + LOOKING]
    assert seeded.polls(*[page(id="other")] * 3) == [[], [], []]
    assert seeded.poll(feed=page(entry("I", LOOKING))) == []


def test_r14_components_of_the_first_page_are_forgotten(acme):
    up, theirs = component("api", "up"), page(id="other")
    acme.polls(page(up), page(), theirs, theirs, theirs)
    assert acme.poll(json=page(component("api", "down"), id="other")) == []


def test_r14_a_page_that_comes_back_seeds_afresh_too(acme):
    ours, theirs = listing(incident("I", LOOKING)), listing(id="other")
    acme.polls(ours, theirs, theirs, theirs)
    assert acme.polls(ours, ours, ours) == [[], [], []]
    assert acme.poll(json=listing(incident("I", LOOKING, FOUND))) == [
        "update I " + FOUND
    ]


def test_r14_changing_bodies_of_another_page_count_together(acme):
    acme.poll(json=listing())
    for minute in range(3):
        acme.poll(json=listing(incident("X", LOOKING), id="other", minute=minute))
    assert acme.source("json").page_id == "other"


def test_r14_an_old_body_of_the_page_left_is_not_stale(acme):
    up, down = component("api", "up"), component("api", "down")
    ours = [page(up, minute=5), page(down, minute=6)]
    acme.polls(*ours, *[page(id="other", minute=1)] * 3)
    assert acme.polls(ours[0], ours[0], ours[0]) == [[]] * 3
    assert acme.aside == {"json": ""}


def test_r14_a_document_without_an_id_is_anybodys(acme):
    acme.poll(json=page(id="acme"))
    assert acme.poll(json=page(entry("I", LOOKING), id="")) == ["new I " + LOOKING]
    acme.poll(json=page(id="other"))
    assert acme.aside == {"json": "another page's document"}


def test_r14_the_other_sources_go_on(seeded):
    theirs = listing(incident("X", LOOKING), id="other")
    seeded.poll(feed=page(entry("I", LOOKING)), json=listing(incident("I", LOOKING)))
    for _ in range(3):
        assert seeded.poll(feed=SAME, json=theirs) == []
    assert seeded.poll(feed=page(entry("I", LOOKING, FIXED)), json=SAME) == [
        "update I " + FIXED
    ]


# --- R15: what happened while the program was stopped is told with a flag. ---


def test_r15_what_happened_while_stopped_is_told_as_such(acme):
    acme.poll(json=listing(incident("I", LOOKING), component("api", "up")))
    assert acme.poll(
        away=True, json=listing(incident("I", LOOKING, FOUND), component("api", "down"))
    ) == ["update I " + FOUND, "api: down, was up"]
    assert [event.while_away for event in acme.events] == [True, True]
    acme.poll(json=listing(incident("I", LOOKING, FOUND, FIXED)))
    assert [event.while_away for event in acme.events] == [False]


def test_r15_an_end_while_stopped_is_told_as_such(acme):
    acme.polls(listing(incident("I", LOOKING)), listing())
    assert acme.poll(away=True, json=SAME) == ["end I resolved"]
    assert acme.events[0].while_away


def test_r15_the_flag_is_that_of_the_source(acme):
    acme.poll(one=page(), two=page())
    acme.source("one").away = True
    reads = [
        (acme.source("one"), page(entry("I", LOOKING))),
        (acme.source("two"), page(entry("J", LOOKING))),
    ]
    flags = {each.incident_id: each.while_away for each in acme.observe(reads)}
    assert flags == {"I": True, "J": False}


# --- Size: what is remembered of a usual page is small. ---


def stored_size(watch, scenario):
    watch.memory = scenario.memory
    watch.sources = list(scenario.sources.values())
    for source in watch.sources:
        source.etag = 'W/"%s"' % hashlib.md5(source.url.encode()).hexdigest()
        source.modified = "Mon, 24 Feb 2025 14:00:00 GMT"
        source.read_at = source.full_at = 1740405600.123456
        source.earlier = tuple("/+%010d" % n for n in range(8))
    return len(watch.stored())


@pytest.mark.parametrize("flavour", ["statuspage", "incident.io"])
def test_a_usual_page_is_remembered_in_six_kilobytes(flavour):
    ids = random.Random(1)
    letters = "0123456789abcdefghjkmnpqrstvwxyz"
    length = 12 if flavour == "statuspage" else 26
    if flavour == "incident.io":
        letters = letters.upper()

    def new_id():
        return ("01" + "".join(ids.choices(letters, k=length)))[:length]

    names = ["The part number %d of the product" % n for n in range(25)]
    parts = [Component(new_id(), name, "operational", at(1)) for name in names]
    scenario, stories = Scenario(), []
    for n in range(60):
        words = [
            "%s: %s of %d." % (status, "We tell you more " * 20, n)
            for status in ("investigating", "identified", "resolved")
        ]
        shown = words if flavour == "statuspage" else words[-1:]
        more = {"url": "https://status.acme.test/incidents/abcdefghijkl"}
        if flavour == "incident.io":
            more["components"] = tuple(ids.sample(names, 3))
        stories.append(entry(new_id(), *shown, **more))
    current = incident(stories[0].id, LOOKING, FOUND, components=tuple(names[:3]))
    scenario.poll(feed=page(*stories), json=listing(current, *parts))
    assert len(scenario.memory) <= 6_000
    watch = statuswatch.Watch(scenario.provider)
    assert stored_size(watch, scenario) < 7_000


# --- Laws. ---

FEW = settings(max_examples=60, deadline=None)
WORDS = st.sampled_from(["", "One.", "one", "Two two.", "[Three](https://x.test)"])
STATUSES = st.sampled_from(
    ["", "investigating", "identified", "resolved", "scheduled", "completed", "odd"]
)
MINUTES = st.one_of(st.none(), st.integers(0, 9))


def pages(keys=st.sampled_from("IJKL"), unique=True):
    updates = st.builds(
        Update,
        st.sampled_from(["", "u", "v", "w"]),
        STATUSES,
        WORDS,
        st.builds(at, MINUTES),
    )
    names = st.lists(st.sampled_from(["API", "Web", "\u7a7a"]), max_size=2)
    incidents = st.builds(
        Incident,
        id=keys,
        title=WORDS,
        status=STATUSES,
        updates=st.lists(updates, max_size=3).map(tuple),
        components=st.one_of(st.none(), names.map(tuple)),
        impact=st.sampled_from(["", "none", "major"]),
        maintenance=st.booleans(),
    )
    states = st.sampled_from(["", "up", "down"])
    parts = st.builds(Component, keys, WORDS, states, st.builds(at, MINUTES))
    by = (lambda each: each.id) if unique else None
    return st.builds(
        Page,
        platform=st.just("statuspage"),
        id=st.sampled_from(["", "acme", "acme", "acme", "other"]),
        at=st.builds(at, MINUTES),
        incidents=st.lists(incidents, max_size=4, unique_by=by).map(tuple),
        components=st.lists(parts, max_size=4, unique_by=by).map(tuple),
        complete=st.booleans(),
    )


def polls_of(each):
    """Polls of two sources: a page, SAME, or "" where the read failed."""
    shown = st.one_of(st.just(""), st.just(SAME), each, each, each)
    return st.lists(st.tuples(shown, shown), max_size=8)


def play(scenario, polls):
    """Let *scenario* see the polls; return all events."""
    events = []
    for shown in polls:
        named = zip(("feed", "json"), shown)
        scenario.poll(**{name: each for name, each in named if each != ""})
        events += scenario.events
    return events


@FEW
@given(polls_of(pages(unique=False)))
def test_no_series_of_pages_raises(polls):
    play(Scenario(maintenance=True), polls)


@FEW
@given(polls_of(pages()), pages(), pages())
def test_the_same_reads_again_are_silent(polls, feed, document):
    scenario = Scenario(maintenance=True)
    play(scenario, polls)
    reads = [(scenario.source("feed"), feed), (scenario.source("json"), document)]
    scenario.observe(reads)
    again = scenario.observe(reads)
    # Two reads without an incident may end it (R7); nothing else is news.
    assert [brief(event) for event in again if not event.inferred] == []


@FEW
@given(polls_of(pages()))
def test_an_incident_is_new_at_most_once_and_before_all_else(polls):
    kinds = {}
    for event in play(Scenario(maintenance=True), polls):
        kinds.setdefault(event.incident_id, []).append(event.type)
    assert not any("NEW_INCIDENT" in each[1:] for each in kinds.values())


def counted(events):
    return sorted(repr(event._replace(detected_at=None)) for event in events)


@FEW
@given(polls_of(pages()), st.randoms(use_true_random=False))
def test_the_order_of_a_page_changes_nothing_but_that_of_events(polls, shuffled):
    def shuffle(each):
        if not isinstance(each, Page):
            return each
        kinds = {"incidents": each.incidents, "components": each.components}
        kinds = {k: tuple(shuffled.sample(v, len(v))) for k, v in kinds.items()}
        return each._replace(**kinds)

    one, two = Scenario(maintenance=True), Scenario(maintenance=True)
    seen = {}

    def same_shuffle(each):  # a page that returns must be recognised (R6)
        return seen.setdefault(repr(each), shuffle(each))

    events = play(one, polls)
    others = play(two, [tuple(map(same_shuffle, shown)) for shown in polls])
    assert counted(events) == counted(others)
    assert json.loads(one.memory or "0") == json.loads(two.memory or "0")


# --- An oracle: the rules once more, by somebody else. ---

REPLAY = Path(__file__).resolve().parents[2] / "shared" / "accept" / "replay.py"


def load_replay():
    spec = importlib.util.spec_from_file_location("replay", str(REPLAY))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def new_ones(events):
    return sorted(event[1] for event in events if event[0] == "new")


def without_new(events):
    return [("update", *each[1:]) if each[0] == "new" else each for each in events]


class Site(RuleBasedStateMachine):
    """A page that changes at random, shown by one or two sources, one of them late.

    After each poll the oracle must expect what the tracker tells. What the oracle does
    not model is left out: updates without words, which a feed tells in full, and a feed
    that shows an older copy of itself.
    """

    flavour = "summary"
    replay = None

    def __init__(self):
        super().__init__()
        self.oracle, self.scenario = self.replay.Oracle(self.flavour), Scenario()
        self.minute, self.number, self.rows, self.left = 0, 0, [], []
        self.parts = {"c%d" % n: "operational" for n in range(3)}
        self.bodies, self.truth, self.shown = [], [], {"json": 0, "feed": 0}
        self.publish()
        self.poll(json_lag=0, feed_lag=0)

    def stamp(self):
        self.minute += 1
        return at(self.minute).strftime("%Y-%m-%dT%H:%M:%S.000Z")

    def document(self, key="acme"):
        rows = [
            {"id": k, "name": "The " + k, "status": v, "updated_at": self.stamp()}
            for k, v in self.parts.items()
        ]
        rows.append(dict(rows[0], id="g", status="s%d" % self.minute, group=True))
        head = {"id": key, "name": "Acme", "updated_at": self.stamp()}
        head["url"] = "https://status.example.test"
        return {
            "page": head,
            "status": {"indicator": "none", "description": ""},
            "components": rows,
            "incidents": self.rows,
            "scheduled_maintenances": [],
        }

    def publish(self, body=None):
        """Show the page, or in JSON something else, about which a feed is silent."""
        true = (
            self.truth[-1] if body is not None else json.dumps(self.document()).encode()
        )
        self.truth.append(true)
        self.bodies.append(true if body is None else body)

    def update(self, row, status, body):
        self.number += 1
        update = {"id": "u%d" % self.number, "status": status, "body": body}
        update["created_at"] = update["display_at"] = self.stamp()
        row["incident_updates"].insert(0, update)  # the latest first
        row["status"] = status

    words = st.sampled_from(["One.", "one", "Two & two!", "three - 3", "(One)\nmore"])
    states = st.sampled_from(["investigating", "identified", "monitoring", "resolved"])

    @rule(status=states, body=words, names=st.sampled_from([[], ["API"]]))
    def open_an_incident(self, status, body, names):
        self.number += 1
        row = {"id": "i%d" % self.number, "name": "It", "impact": "minor"}
        row.update(incident_updates=[], components=[{"name": each} for each in names])
        self.update(row, status, body)
        self.rows = [row, *self.rows]
        self.publish()

    def pick(self, rows, number):
        row = rows[number % len(rows)]
        fresh = json.loads(json.dumps(row))
        rows[rows.index(row)] = fresh
        return fresh

    @precondition(lambda self: self.rows)
    @rule(which=st.integers(0, 3), parts=st.lists(st.tuples(states, words), max_size=3))
    def add_updates(self, which, parts):
        row = self.pick(self.rows, which)
        for part in parts:
            self.update(row, *part)
        self.publish()

    @precondition(lambda self: self.rows)
    @rule(which=st.integers(0, 3), part=st.integers(0, 3), body=words)
    def edit(self, which, part, body):
        updates = self.pick(self.rows, which)["incident_updates"]
        updates[part % len(updates)]["body"] = body
        self.publish()

    @precondition(lambda self: self.rows and self.flavour != "incidentio")
    @rule(which=st.integers(0, 3), names=st.lists(st.sampled_from("AB"), max_size=3))
    def name_components(self, which, names):
        row = self.pick(self.rows, which)
        row["components"] = [{"name": each} for each in names]
        self.publish()

    @precondition(lambda self: self.rows)
    @rule(which=st.integers(0, 3))
    def drop(self, which):
        row = self.rows[which % len(self.rows)]
        self.rows = [each for each in self.rows if each is not row]
        self.left.append(row)
        self.publish()

    @precondition(lambda self: self.left)
    @rule(which=st.integers(0, 3), part=st.tuples(states, words))
    def list_again(self, which, part):
        if self.flavour == "statuspage":  # both sources must have had it end before
            self.publish()
            self.poll(json_lag=0, feed_lag=0)
        row = self.pick(self.left, which)
        self.left.remove(row)
        self.rows = [row, *self.rows]
        self.update(row, *part)
        self.publish()
        if self.flavour == "statuspage":
            self.poll(json_lag=0, feed_lag=0)

    @precondition(lambda self: self.left and self.flavour == "summary")
    @rule(which=st.integers(0, 3))
    def list_again_as_it_was(self, which):
        self.rows = [self.left.pop(which % len(self.left)), *self.rows]
        self.publish()

    @rule(
        key=st.sampled_from(["c0", "c1", "c2", "c3"]),
        status=st.sampled_from(["operational", "major_outage", "odd", None]),
    )
    def change_a_component(self, key, status):
        self.parts[key] = status
        if status is None:
            del self.parts[key]
        if not self.parts:
            self.parts["c0"] = "operational"
        self.publish()

    @rule()
    def reorder(self):
        self.rows = self.rows[::-1]
        self.publish()

    @precondition(lambda self: self.flavour != "statuspage")
    @rule()
    def show_another_page(self):
        self.publish(json.dumps(self.document("other")).encode())

    @rule()
    def break_down(self):
        self.publish(b"")

    @rule(back=st.integers(1, 10), times=st.integers(1, 4))
    def show_a_stale_copy(self, back, times):
        for _ in range(times):
            self.publish(self.bodies[-1 - back % len(self.bodies)])
            self.poll(json_lag=0, feed_lag=0)

    @rule(times=st.sampled_from([1, 1, 1, 2, 2, 3, 11]))
    def poll_again(self, times):
        for _ in range(times):
            self.poll(json_lag=9, feed_lag=9)

    @rule(lag=st.integers(0, 3), late=st.sampled_from(["json", "feed"]))
    def poll_late(self, lag, late):
        self.poll(**{"json_lag": 0, "feed_lag": 0, late + "_lag": lag})

    @rule()
    def poll_all(self):
        self.poll(json_lag=0, feed_lag=0)

    def poll(self, **lags):
        last = len(self.bodies) - 1
        for name in self.shown:  # never back, that is another rule's
            self.shown[name] = max(self.shown[name], last - lags[name + "_lag"])
        body = self.bodies[self.shown["json"]]
        history = self.replay.histories(self.truth[: self.shown["feed"] + 1])[-1]
        shown = {}
        if self.flavour != "summary":
            feed = self.replay.atom(self.flavour, history)
            shown["feed"] = statuswatch.parse(feed, "application/atom+xml")
        try:
            text = body
            if self.flavour == "incidentio":
                text = self.replay.components_only(body)
            shown["json"] = statuswatch.parse(text)
        except statuswatch.ParseError:
            assert body == b""
        self.scenario.poll(**shown)
        lines = map(statuswatch.format_json, self.scenario.events)
        got = [self.replay.observed(line) for line in lines]
        expected = self.oracle.poll(body, history)
        assert new_ones(got) == new_ones(expected)
        feed = self.flavour != "summary"
        if feed:  # which of its updates is the new incident, the sources' order says
            got, expected = map(without_new, (got, expected))
        assert self.replay.differences(expected, got, feed) == ([], [])

    def teardown(self):
        self.poll(json_lag=0, feed_lag=0)


@pytest.mark.skipif(not REPLAY.exists(), reason="no oracle beside us")
@pytest.mark.parametrize("flavour", ["summary", "statuspage", "incidentio"])
def test_the_oracle_expects_what_is_told(flavour):
    members = {"flavour": flavour, "replay": load_replay()}
    machine = type("Site", (Site,), members)
    few = settings(max_examples=60, stateful_step_count=25, deadline=None)
    run_state_machine_as_test(machine, settings=few)
