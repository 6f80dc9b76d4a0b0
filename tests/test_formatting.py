"""What a person reads, and what a program does: the two forms of an event."""

from __future__ import annotations

import json
import unicodedata
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuswatch import Event, format_json, format_text, span

AT = datetime(2025, 2, 24, 14, 32, tzinfo=timezone.utc)
LATER = AT + timedelta(seconds=30.25)
INCIDENT = Event(
    type="NEW_INCIDENT",
    provider="OpenAI",
    product="OpenAI API",
    components=("Chat Completions",),
    title="Elevated errors",
    status="investigating",
    message="Investigating upstream database connectivity issue",
    impact="minor",
    incident_id="I",
    update_id="u",
    url="https://status.openai.test/incidents/I",
    occurred_at=AT,
    detected_at=LATER,
    source="https://status.openai.test/feed.atom",
)
CHANGE = Event(
    type="COMPONENT_STATUS_CHANGE",
    provider="OpenAI",
    product="OpenAI API",
    components=("Embeddings API",),
    status="major_outage",
    previous_status="operational",
    component_id="e",
    occurred_at=datetime(2025, 2, 24, 15, 10, 33, tzinfo=timezone.utc),
    detected_at=LATER,
    source="https://status.openai.test/api/v2/components.json",
)


def text(**fields):
    return format_text(INCIDENT._replace(**fields))


def loaded(**fields):
    return json.loads(format_json(INCIDENT._replace(**fields)))


# --- Text: two lines and a blank one. ---


def test_an_incident_is_two_lines_and_a_blank_one():
    assert format_text(INCIDENT) == (
        "[2025-02-24 14:32:00] Product: OpenAI API - Chat Completions\n"
        "Status: Investigating \u2014 "
        "Investigating upstream database connectivity issue\n"
        "\n"
    )


def test_a_component_is_two_lines_and_a_blank_one():
    assert format_text(CHANGE) == (
        "[2025-02-24 15:10:33] Product: OpenAI API - Embeddings API\n"
        "Status: Major outage\n"
        "\n"
    )


def test_the_affected_components_are_joined():
    assert "Product: OpenAI API - Chat, Web\n" in text(components=("Chat", "Web"))


def test_the_title_stands_where_no_component_is_named():
    assert "Product: OpenAI API - Elevated errors\n" in text(components=())


@pytest.mark.parametrize("title", [None, "", " \u202e"])
def test_the_product_stands_alone_where_there_is_no_title_either(title):
    assert "] Product: OpenAI API\n" in text(components=(), title=title)


@pytest.mark.parametrize("message", [None, ""])
def test_the_title_is_the_message_where_there_is_none(message):
    assert "Status: Investigating \u2014 Elevated errors\n" in text(message=message)


def test_the_title_does_not_stand_twice():
    assert text(components=(), message="") == (
        "[2025-02-24 14:32:00] Product: OpenAI API - Elevated errors\n"
        "Status: Investigating\n"
        "\n"
    )


@pytest.mark.parametrize(
    "status, words",
    [
        ("under_maintenance", "Under maintenance"),
        ("in_progress", "In progress"),
        ("on_fire", "On fire"),
        (None, "Unknown"),
        ("", "Unknown"),
    ],
)
def test_the_status_is_in_plain_words(status, words):
    assert "\nStatus: %s \u2014 Inv" % words in text(status=status)


def test_what_happened_while_away_says_so_after_the_status():
    assert "Status: Investigating (while away) \u2014 Inv" in text(while_away=True)
    away = CHANGE._replace(while_away=True)
    assert "Status: Major outage (while away)\n" in format_text(away)


@pytest.mark.parametrize(
    "seconds, words",
    [
        (1, "1s"),
        (45, "45s"),
        (59, "59s"),
        (60, "1m"),
        (7 * 60 + 59, "7m 59s"),
        (3599, "59m 59s"),
        (3600, "1h"),
        (3605, "1h 5s"),
        (4980, "1h 23m"),
        (4999, "1h 23m"),
        (86399, "23h 59m"),
        (86400, "1d"),
        (86400 + 600, "1d 10m"),
        (2 * 86400 + 3 * 3600 + 59 * 60, "2d 3h"),
        (400 * 86400, "400d"),
    ],
)
def test_an_end_says_how_long_it_ran(seconds, words):
    line = text(status="resolved", duration_s=seconds).split("\n")[1]
    assert line.startswith("Status: Resolved after %s \u2014 Inv" % words)
    assert loaded(duration_s=seconds)["duration_s"] == seconds


@pytest.mark.parametrize("seconds, words", [(0, "0s"), (-99, "0s"), (59.9, "59s")])
def test_a_duration_is_in_whole_seconds_and_never_negative(seconds, words):
    assert span(seconds) == words


def test_how_long_it_ran_stands_before_that_it_is_old_news():
    found = text(status="resolved", duration_s=420, while_away=True, message="Over.")
    assert "Status: Resolved after 7m (while away) \u2014 Over.\n" in found


def test_the_time_of_detection_stands_where_the_vendor_gives_none():
    assert text(occurred_at=None).startswith("[2025-02-24 14:32:30] ")


@pytest.mark.parametrize("length", [1, 499, 500])
def test_500_characters_are_whole(length):
    assert text(message="x" * length).endswith("\u2014 %s\n\n" % ("x" * length))


@pytest.mark.parametrize("length", [501, 5000])
def test_more_than_500_characters_end_in_an_ellipsis(length):
    assert text(message="x" * length).endswith(" \u2014 %s\u2026\n\n" % ("x" * 499))
    titled = text(components=(), title="x" * length)
    assert "Product: OpenAI API - %s\u2026\n" % ("x" * 499) in titled
    assert "API - %s\u2026\n" % ("x" * 499) in text(components=("x" * length,))


def test_no_white_space_is_left_before_the_ellipsis():
    words = "x" * 498 + " " + "x" * 9
    assert text(message=words).endswith(" \u2014 %s\u2026\n\n" % ("x" * 498))


@pytest.mark.parametrize("field", ["product", "title", "status", "message"])
def test_whatever_the_vendor_wrote_stays_on_its_line(field):
    hostile = "a\r\n\nb\x1b[31m\u2028c\x85\x00\u202ed\ud800"
    lines = text(components=(), **{field: hostile}).split("\n")
    assert len(lines) == 4
    assert lines[2:] == ["", ""]
    assert "a b[31m c d" in lines[0 if field in ("product", "title") else 1].lower()


# --- JSON: one line, the same keys always. ---


def test_json_is_one_line_with_all_keys_in_order():
    line = format_json(INCIDENT)
    assert line.endswith("}\n")
    assert list(json.loads(line).items()) == [
        ("type", "NEW_INCIDENT"),
        ("provider", "OpenAI"),
        ("product", "OpenAI API"),
        ("components", ["Chat Completions"]),
        ("title", "Elevated errors"),
        ("status", "investigating"),
        ("previous_status", None),
        ("message", "Investigating upstream database connectivity issue"),
        ("impact", "minor"),
        ("maintenance", False),
        ("incident_id", "I"),
        ("update_id", "u"),
        ("component_id", None),
        ("url", "https://status.openai.test/incidents/I"),
        ("occurred_at", "2025-02-24T14:32:00Z"),
        ("detected_at", "2025-02-24T14:32:30Z"),
        ("edited", False),
        ("inferred", False),
        ("while_away", False),
        ("source", "https://status.openai.test/feed.atom"),
        ("duration_s", None),
    ]


def test_json_has_null_where_nothing_is_known():
    found = json.loads(format_json(CHANGE._replace(occurred_at=None)))
    assert {key for key, value in found.items() if value is None} == {
        "title",
        "message",
        "impact",
        "incident_id",
        "update_id",
        "url",
        "occurred_at",
        "duration_s",
    }
    assert found["previous_status"] == "operational"
    assert found["component_id"] == "e"


def test_json_says_what_kind_of_news_it_is():
    found = loaded(edited=True, inferred=True, while_away=True, maintenance=True)
    for key in ("edited", "inferred", "while_away", "maintenance"):
        assert found[key] is True


def test_json_has_the_whole_message():
    assert loaded(message="x" * 5000)["message"] == "x" * 5000


def test_json_is_ascii():
    line = format_json(INCIDENT._replace(title="\u7a7a \u2014 \U0001f525"))
    assert line.isascii()
    assert json.loads(line)["title"] == "\u7a7a \u2014 \U0001f525"


@pytest.mark.parametrize("year", [1, 999, 9999])
def test_the_year_has_four_digits(year):
    at = datetime(year, 2, 3, 4, 5, 6, tzinfo=timezone.utc)
    assert loaded(occurred_at=at)["occurred_at"] == "%04d-02-03T04:05:06Z" % year
    assert text(occurred_at=at).startswith("[%04d-02-03 04:05:06] " % year)


# --- Laws. ---

TEXTS = st.one_of(
    st.text(),
    st.text(
        st.sampled_from("a \n\r\t\v\x1b\x85\u2028\u2029\u202e\u200f\ud800\x7f\x1c")
    ),
    st.text(max_size=30).map(lambda text: text * 40),
)
MAYBE = st.one_of(st.none(), TEXTS)
TIMES = st.datetimes(timezones=st.just(timezone.utc))
EVENTS = st.builds(
    Event,
    type=st.sampled_from(
        ["NEW_INCIDENT", "INCIDENT_UPDATE", "COMPONENT_STATUS_CHANGE"]
    ),
    provider=TEXTS,
    product=TEXTS,
    components=st.lists(TEXTS, max_size=3).map(tuple),
    title=MAYBE,
    status=MAYBE,
    previous_status=MAYBE,
    message=MAYBE,
    impact=MAYBE,
    maintenance=st.booleans(),
    incident_id=MAYBE,
    update_id=MAYBE,
    component_id=MAYBE,
    url=MAYBE,
    occurred_at=st.one_of(st.none(), TIMES),
    detected_at=TIMES,
    edited=st.booleans(),
    inferred=st.booleans(),
    while_away=st.booleans(),
    source=TEXTS,
    duration_s=st.one_of(st.none(), st.integers(min_value=1)),
)


@given(EVENTS)
def test_an_event_is_always_two_printable_lines_and_a_blank_one(event):
    lines = format_text(event).splitlines(keepends=True)
    assert len(lines) == 3 and lines[2] == "\n"
    assert lines[0].startswith("[") and "] Product: " in lines[0]
    assert lines[1].startswith("Status: ")
    for line in lines[:2]:
        assert line.endswith("\n")
        assert not {"Cc", "Cs", "Zl", "Zp"} & set(map(unicodedata.category, line[:-1]))
        assert not set("\u061c\u200e\u200f\u202a\u202e\u2066\u2069") & set(line)
        line.encode("utf-8")


@given(EVENTS)
def test_json_is_always_one_ascii_line_that_loads_back(event):
    line = format_json(event)
    assert line.isascii() and line.count("\n") == 1 and line.endswith("\n")
    found = json.loads(line)
    assert tuple(found) == Event._fields
    for key in ("occurred_at", "detected_at"):
        before, after = getattr(event, key), found.pop(key)
        if before:
            found_at = datetime.strptime(after, "%Y-%m-%dT%H:%M:%SZ")
            assert found_at == before.replace(microsecond=0, tzinfo=None)
        else:
            assert after is None
    for key, value in found.items():
        before = getattr(event, key)
        assert json.dumps(value) == json.dumps(before)
