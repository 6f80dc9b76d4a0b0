#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the statuswatch authors, https://github.com/statuswatch/statuswatch
"""Watch the status pages of your vendors and print a line the moment one breaks.

    statuswatch                            watch what providers.ini names, until Ctrl+C
    statuswatch https://status.acme.test   watch just this page
    statuswatch --once                     print what changed since the last run
    statuswatch --check-config             say what the configuration means

How data flows, which is also the order of this file:

    providers.ini -> [Provider] -> scheduler (the main thread)
        -> worker: poll(): conditional GET -> parse() -> observe() -> [Event]
        -> queue.Queue -> printer thread: write, flush, then commit the new state

Who owns what: the scheduler owns the schedule, the deadlines and the health of sources;
a worker owns the provider it polls while it polls; the printer the output and the state.

Words: a provider is a line of providers.ini, a page what it publishes, a source one
polled URL of it; validators are the ETag and Last-Modified last received; a mark is a
digest of an update's status and words; to seed is to read a source for the first time,
silently. `*_at` is a time of day, aware UTC or seconds since 1970; `now` and `due` are
monotonic seconds. R1 to R15 are the rules of detection; README.md explains them.
"""

from __future__ import annotations

import argparse
import base64
import codecs
import collections
import concurrent.futures
import configparser
import contextlib
import dataclasses
import email.utils
import fcntl
import hashlib
import heapq
import html.parser
import ipaddress
import itertools
import json
import logging
import os
import pathlib
import queue
import random
import re
import signal
import socket
import ssl
import sys
import threading
import time
import urllib.parse
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, Iterable, Mapping, NamedTuple, Sequence
from xml.etree.ElementTree import Element, ParseError as XMLError

import defusedxml.ElementTree
import requests
import requests.adapters
import tenacity
import urllib3

__version__ = "0.1.0"
__all__ = (
    "Component ConfigError Event FetchError Incident Page ParseError PollError Provider "
    "StatuswatchError Update load_config main parse"
).split()

log = logging.getLogger(__name__)
log.addHandler(logging.NullHandler())

# --- Constants: each with its unit and its reason. ---

USER_AGENT = (
    "statuswatch/%s (+https://github.com/statuswatch/statuswatch)" % __version__
)
INTERVAL = 30.0  # seconds between two polls; vendors' caches hold a page for about 10,
POLITE = 10.0  # so that polling more often than that shows nothing new
TIMEOUT = 20.0  # seconds for one source: attempts, redirects and addresses together
MAX_SIZE = 5_000_000  # bytes of a decoded body; the largest real page seen has 0.7 MB
MAX_NODES = 250_000  # XML elements or JSON containers: 0.5 s and 100 MB at worst
MAX_MARKUP = 20_000  # characters of one text; html.parser can need quadratic time
MAX_TEXT = 500  # characters of one text on a line
MAX_VALIDATOR = 1024  # characters; a 60 KB ETag sent back earns "400" for ever
MAX_HOPS = 5  # redirects of one request
MOVED = 5  # identical permanent redirects in a row, then the new address is kept
ATTEMPTS = 3  # requests for one read of a source
BACKOFF_CAP = 300.0  # seconds: longest pause after failures, longest max-age obeyed
RETRY_AFTER_CAP = 3600.0  # seconds: longest Retry-After obeyed
UNCONDITIONAL = 6 * 3600.0  # seconds; some servers say 304 for as long as they can
WORKERS = 16  # polls at once; as many again, times 4, of providers likely to be slow
SLOW = 0.5  # seconds: what takes longer is likely to be slow again
PATIENCE = 3  # polls in a row until a stale (R6) or foreign (R14) document is believed
EARLIER = 8  # bodies of a source that are recognised when they return (R6)
ABSENT, ABSENT_ELSEWHERE = 2, 10  # reads without an incident until it is over (R7)
MEMORY = 500  # incidents remembered at least, and components no longer listed (R8)
DETAILED = 10  # of the latest incidents more than digests is remembered
AWAY = 600.0  # seconds since the last read that make news old at a start (R15)
LINGER = 1.0  # seconds that polls, and then the printer, have to end
WAKE = 0.5  # seconds; a signal that comes just before a wait begins does not end it
REMEMBER = 60.0  # seconds between two states handed on without news
EX_TEMPFAIL = 75  # sysexits.h: another run holds the lock

NEW_INCIDENT, INCIDENT_UPDATE = "NEW_INCIDENT", "INCIDENT_UPDATE"
COMPONENT_STATUS_CHANGE = "COMPONENT_STATUS_CHANGE"
DONE = frozenset(("resolved", "postmortem", "completed"))
PLANNED = frozenset(("scheduled", "in_progress", "verifying", "completed"))
OPEN = frozenset(("investigating", "identified", "monitoring")) | PLANNED - DONE
IMPACTS = ("none", "minor", "major", "critical")
UTC = timezone.utc

# --- Errors: what is raised, and what it means for the program. ---
#
# StatuswatchError
#   ConfigError      a mistake in what we were given: exit 2
#   PollError        expected at run time: one WARNING when it starts (R12)
#     FetchError     no usable answer
#     ParseError     an answer that is no status page we know


class StatuswatchError(Exception):
    """The base of all errors of this module."""


class ConfigError(StatuswatchError):
    """The configuration cannot be used, or the state file must not be touched."""


class PollError(StatuswatchError):
    """A source could not be read this time."""


class FetchError(PollError):
    """There is no usable answer."""

    status = 0  # of HTTP, if there was one
    retry_after: float | None = None  # seconds that the server wants us to stay away
    passing = False  # may it be over in a moment?

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        vars(self).update(details)


class ParseError(PollError):
    """The document is not a status page in a format we know."""


# --- Data: what passes between the parts. Immutable. ---


class Provider(NamedTuple):
    """A line of providers.ini with its section."""

    name: str
    urls: tuple[str, ...]  # one page (empty path), or the sources themselves
    platform: str = ""  # a key of PLATFORMS; "" if not given
    product: str = ""  # what events call it; "" for the name
    components: tuple[str, ...] = ()  # names or ids, case-folded; () for all
    maintenance: bool = False
    min_impact: str = "none"
    interval: float = INTERVAL
    timeout: float = TIMEOUT


class Config(NamedTuple):
    """A whole configuration."""

    providers: tuple[Provider, ...]
    workers: int = WORKERS
    max_size: int = MAX_SIZE


class Update(NamedTuple):
    """A dated entry of an incident. id and status are "" where there is none."""

    id: str
    status: str
    body: str  # plain text
    at: datetime | None


class Incident(NamedTuple):
    """An incident or a maintenance."""

    id: str
    title: str
    status: str = ""
    updates: tuple[Update, ...] = ()  # oldest first
    components: tuple[str, ...] | None = None  # names; None if the source has none
    impact: str = ""
    maintenance: bool = False
    url: str = ""


class Component(NamedTuple):
    """A named part of a page; at is when its status last changed."""

    id: str
    name: str
    status: str
    at: datetime | None


class Page(NamedTuple):
    """What one document says."""

    platform: str
    id: str = ""  # tells one customer's page from another's
    url: str = ""
    at: datetime | None = None  # the document's own time
    components: tuple[Component, ...] = ()
    incidents: tuple[Incident, ...] = ()
    complete: bool = False  # does it list all unresolved incidents? (R7)


class Event(NamedTuple):
    """Something a user is told. The fields are the keys of --json, in order."""

    type: str
    provider: str
    product: str
    components: tuple[str, ...] = ()
    title: str | None = None
    status: str | None = None
    previous_status: str | None = None
    message: str | None = None
    impact: str | None = None
    maintenance: bool = False
    incident_id: str | None = None
    update_id: str | None = None
    component_id: str | None = None
    url: str | None = None
    occurred_at: datetime | None = None
    detected_at: datetime | None = None
    edited: bool = False
    inferred: bool = False
    while_away: bool = False
    source: str = ""  # URL without credentials and query


# --- Config: text -> Config. A mistake is one line: the file, the section, the key. ---


def load_config(path: str, interval: float | None = None) -> Config:
    """Return what a file says; *interval* is stronger than that of `[statuswatch]`.

    Raises ConfigError.
    """
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError("%s: %s" % (path, reason(exc))) from exc
    return parse_config(text, path, interval)


def parse_config(text: str, path: str, interval: float | None = None) -> Config:
    """Return what *text* says; *path* is its name in errors."""
    ini = configparser.ConfigParser(
        None, delimiters="=", inline_comment_prefixes=";", default_section="",
        allow_no_value=True, interpolation=None,
    )  # fmt: skip
    ini.optionxform = str  # type: ignore[assignment,method-assign] # keys keep their case
    values: dict[str, dict[str, Any]] = collections.defaultdict(dict)
    where = "[providers]"
    try:
        ini.read_string(text, path)
        for section in ini.sections():
            where = "[%s]" % section
            keys = OPTIONS if ini.has_option("providers", section) else ()
            keys = {"statuswatch": SETTINGS, "providers": ()}.get(section, keys)
            if not keys and section != "providers":
                raise ValueError("no provider has that name")
            for key, text in ini.items(section):
                where = "[%s] %s" % (section, key)
                if not keys:
                    values[section][key] = _parse_line(key, text or "")
                elif key not in keys:
                    raise ValueError("unknown key, known: %s" % ", ".join(keys))
                else:
                    values[section][key] = _parse_value(key, text or "")
        if not values["providers"]:
            raise ValueError(
                "no provider, such as `OpenAI = https://status.openai.com`"
            )
    except configparser.Error as exc:
        raise ConfigError(clean(str(exc))) from exc
    except ValueError as exc:
        raise ConfigError(clean("%s: %s: %s" % (path, where, exc))) from exc
    common = {**values["statuswatch"], **({"interval": interval} if interval else {})}
    shared = {key: common.pop(key) for key in SETTINGS[:2] if key in common}
    lines = values["providers"].items()
    providers = [Provider(n, *line, **{**shared, **values[n]}) for n, line in lines]
    return Config(tuple(providers), **common)


def _parse_line(name: str, value: str) -> tuple[tuple[str, ...], str]:
    """Return the URLs and the platform of a provider; ValueError for a mistake."""
    urls = tuple(word for word in value.split() if "/" in word or ":" in word)
    platforms = [word for word in value.split() if word not in urls]
    pages = [url for url in urls if is_page(url)]
    if name in ("providers", "statuswatch"):
        raise ValueError("a section has that name, call it something else")
    if not urls:
        raise ValueError("no URL")
    if not set(platforms) <= set(PLATFORMS):
        known = ", ".join(PLATFORMS)
        raise ValueError("unknown platform %r, known: %s" % (platforms[0], known))
    if len(platforms) > len(pages) or len(urls) > (1 if pages else len(set(urls))):
        raise ValueError("expected one page and its platform, or sources, each once")
    return urls, "".join(platforms)


def is_page(url: str) -> bool:
    """Return whether *url* is a page, whose sources are found; ValueError if no URL."""
    with contextlib.suppress(ValueError):
        parts = urllib.parse.urlsplit(url)
        (parts.hostname or "").encode("idna")  # refuses empty and overlong labels
        web = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        if web and url == clean(url):
            return parts.path in ("", "/") and not parts.query
    raise ValueError("bad URL %r, expected http:// or https://" % redact(url))


def _parse_value(key: str, text: str) -> Any:
    with contextlib.suppress(ValueError, KeyError):
        if key in ("interval", "timeout", "workers", "max_size"):
            number = float(text) if key in ("interval", "timeout") else int(text)
            if 0 < number < 1e9:
                return number
        elif key == "maintenance":
            return configparser.ConfigParser.BOOLEAN_STATES[text.lower()]
        elif key == "min_impact":
            return IMPACTS[IMPACTS.index(text)]
        elif text:
            names = tuple(name.strip().casefold() for name in text.split(","))
            return names if key == "components" else text
    raise ValueError("expected %s, got %r" % (EXPECTED.get(key, "a name"), text))


SETTINGS = ("interval", "timeout", "workers", "max_size")
OPTIONS = Provider._fields[3:]
EXPECTED = {
    "interval": "a number of seconds above 0",
    "timeout": "a number of seconds above 0",
    "workers": "a whole number above 0",
    "max_size": "a whole number of bytes above 0",
    "maintenance": "yes or no",
    "min_impact": "one of " + ", ".join(IMPACTS),
}

# --- Text: all remote text is hostile. Pure. ---

# What could drive a terminal, reorder a line or break an encoder: C0, C1 and DEL but
# white space, lone surrogates, bidi controls, invisible and tag characters. The joiners
# U+200C and U+200D stay: Persian and Hindi are spelled with them.
_HOSTILE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\ufdd0-\ufdef\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
_BLOCKS = frozenset(
    "address article aside blockquote br dd div dl dt figure footer form h1 h2 h3 h4 h5 "
    "h6 header hr li main nav ol p pre section table tbody td tfoot th thead tr ul".split()
)
# Tags that mean something in the feeds of status pages: they become control characters,
# of which the text itself has none.
_MARKS = {"small": "\x01\x02", "strong": "\x03\x04", "b": "\x03\x04", "li": "\x05\x06"}


def clean(text: str) -> str:
    """Return *text* as one line that is safe on any terminal and in any encoding."""
    return " ".join(_HOSTILE.sub("", text).split())


def words_of(text: str) -> str:
    """Return what R4 compares: no case, white space, punctuation, Markdown links."""
    text = re.sub(r"\[([^\]\[]*)\]\([^()\s]*\)", r"\1", text)
    return re.sub(r"[\W_]+", " ", text).strip().casefold()


def redact(url: str) -> str:
    """Return *url* without user, password, query and fragment."""
    with contextlib.suppress(ValueError):
        parts = urllib.parse.urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        return clean(parts._replace(netloc=host, query="", fragment="").geturl())
    return "?"


def digest(*texts: str, size: int = 6) -> str:
    """Return *size* characters, of 6 bits each, that stand for *texts*."""
    joined = "\0".join(texts).encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(hashlib.sha256(joined).digest())[:size].decode()


def marked(markup: str) -> str:
    """Return the text of HTML with its tags turned into _MARKS and white space."""
    if "<" not in markup and "&" not in markup:
        return _HOSTILE.sub("", markup)
    parser = _MarkupParser(convert_charrefs=True)
    parser.feed(markup[:MAX_MARKUP])
    parser.close()
    return "".join(parser.parts)


class _MarkupParser(html.parser.HTMLParser):
    def reset(self) -> None:
        super().reset()
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.parts += ["\n" * (tag in _BLOCKS), _MARKS.get(tag, "")[:1]]

    def handle_endtag(self, tag: str) -> None:
        self.parts += [_MARKS.get(tag, "")[1:], "\n" * (tag in _BLOCKS)]

    def handle_data(self, data: str) -> None:
        if self.cdata_elem is None:  # else within <script> or <style>
            self.parts.append(_HOSTILE.sub("", data))


# --- Parsing: bytes -> Page. Pure: no clock, no network, no logging. ---

_CODECS = re.compile(  # of text; Python has others, some slow on purpose (punycode)
    r"(?i)(utf|ucs|iso|8859|latin|windows|cp\d|koi8|big5|gb|euc|shift|sjis|ascii|us-)"
)
_ENCODING = re.compile(r"""\s*<\?xml[^>]*?encoding\s*=\s*["']([\w.:-]+)["']""")
_CHARSET = re.compile(r"""(?i)charset\s*=\s*["']?([\w.:-]+)""")
_FEED_SPACES = re.compile(
    r"(?i)/atom|purl\.org/(atom|rss|net/rss)|netscape\.com|rdf-syntax|userland|/rss"
)
_ULID = re.compile("[0-7][0-9A-HJKMNP-TV-Z]{25}")  # github.com/ulid/spec
_INCIDENT_PATH = re.compile(r"/incidents/([^/?#\s]+)")
_ISO_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d:\d\d)(?:[.,]\d+)?\s*([Zz]|[+-]\d\d:?\d\d)?)?$"
)
_SHORT_TIME = re.compile(r"([A-Z][a-z]{2})[a-z]* (\d{1,2}), ?(\d\d:\d\d) ?(\S*)$")
_ZONES = {  # names that email.utils does not know; it knows those of RFC 822
    "WET": "+0000", "WEST": "+0100", "BST": "+0100", "CET": "+0100", "CEST": "+0200",
    "EET": "+0200", "EEST": "+0300", "MSK": "+0300", "IST": "+0530", "SGT": "+0800",
    "HKT": "+0800", "JST": "+0900", "KST": "+0900", "AEST": "+1000", "AEDT": "+1100",
    "NZST": "+1200", "NZDT": "+1300", "BRT": "-0300", "AKST": "-0900", "HST": "-1000",
}  # fmt: skip


def parse(body: bytes, content_type: str = "") -> Page:
    """Return the Page in *body*, recognised by its own shape.

    Reads the JSON of Statuspage v2 and incident.io (summary, components, incidents,
    unresolved, scheduled-maintenances, status), the RSS and Atom feeds of both, and any
    other feed as a list of incidents without a status. The encoding is that of the byte
    order mark, else of the XML declaration, else of *content_type* (the header's
    value), else UTF-8. Raises ParseError, and nothing else, for everything else.
    """
    text = _decode(body, content_type)
    document = _read_xml(text) if text.startswith("<") else _read_json(text)
    for recognise, read in FORMATS:
        if recognise(document):
            return read(document)
    raise ParseError("well-formed, but not of a status page we know")


def parse_time(text: str, near: datetime | None = None) -> datetime | None:
    """Return the time of day in *text*, in UTC; None where there is none.

    Reads RFC 3339, RFC 822 with offsets or zone names and, if *near* is given,
    Statuspage's "Sep 3, 14:49 PDT", in the last year that is not after *near*.
    """
    text = clean(text)
    iso, short = _ISO_TIME.match(text), _SHORT_TIME.match(text)
    with contextlib.suppress(ValueError, OverflowError, TypeError, IndexError):
        if iso:
            zone = (iso[3] or "Z").upper().replace("Z", "+00:00")
            text = "%sT%s%s:%s" % (iso[1], iso[2] or "00:00:00", zone[:3], zone[-2:])
            return datetime.fromisoformat(text).astimezone(UTC)
        if short and near:
            latest, (month, day, clock, zone) = near + timedelta(days=1), short.groups()
            parts = "%s %s %%d %s:00 %s" % (day, month, clock, zone or "UTC")
            dates = [parse_time(parts % (latest.year - back)) for back in (0, 1)]
            return next((at for at in dates if at and at <= latest), None)
        start, _, zone = text.rpartition(" ")
        text = "%s %s" % (start, _ZONES.get(zone.upper(), zone))
        at = email.utils.parsedate_to_datetime(text)
        return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
    return None


def word(text: str) -> str:
    """Return a vendor's word for a status in snake_case, "" for none."""
    return re.sub(r"[\s_-]+", "_", clean(text).lower())[:60]


def _decode(body: bytes, content_type: str) -> str:
    found = _ENCODING.match(body[:256].decode("latin-1"))
    found = found or _CHARSET.search(content_type)
    encoding = found[1] if found and _CODECS.match(found[1]) else "utf-8"
    if body.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        encoding = "utf-32"
    elif body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif body.startswith(codecs.BOM_UTF8):
        encoding = "utf-8-sig"
    elif body[1:4:2] == b"\0\0" or body[:4:2] == b"\0\0":
        encoding = "utf-16-be" if body[:1] == b"\0" else "utf-16-le"
    with contextlib.suppress(LookupError, ValueError):
        return body.decode(encoding, "replace").strip()
    return body.decode("utf-8", "replace").strip()


def _read_xml(text: str) -> Element:
    """Return the root; the names of elements of feeds are bare and in lower case.

    The text is parsed whole: expat needs quadratic time for pieces (CVE-2023-52425).
    """
    if text.count("<") > MAX_NODES:
        raise ParseError("XML of over %d elements" % MAX_NODES)
    if re.match(r"(?i)<(!doctype )?html\b", text):
        raise ParseError("an HTML page, not a status document")
    try:
        root: Element = defusedxml.ElementTree.fromstring(text, forbid_dtd=True)
    except (XMLError, ValueError) as exc:  # DefusedXmlException is a ValueError
        raise ParseError("not well-formed XML: %s" % clean(str(exc))[:80]) from exc
    for element in root.iter():
        space, _, name = element.tag.rpartition("}")
        if not space or _FEED_SPACES.search(space) or name in ("encoded", "date"):
            element.tag = name.lower()
    return root


def _read_json(text: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a key stands twice")
        return dict(pairs)

    if text.count("{") + text.count("[") > MAX_NODES:
        raise ParseError("JSON of over %d values" % MAX_NODES)
    try:  # int refuses NaN and Infinity, which are no JSON
        return json.loads(text, parse_constant=int, object_pairs_hook=unique)
    except (ValueError, RecursionError) as exc:
        why = clean(str(exc))[:80] if text else "an empty body"
        raise ParseError("neither JSON nor XML: %s" % why) from exc


# Statuspage v2 and incident.io JSON (metastatuspage.com/api). incident.io leaves out
# arrays that are empty, and gives no components to incidents.


def is_statuspage(document: Any) -> bool:
    """Return whether *document* has the shape of Statuspage's public API."""
    if not isinstance(document, dict):
        return False
    page, status = document.get("page"), document.get("status")
    rows = document.get("incidents") or [None]
    if not isinstance(page, dict):  # no envelope: incidents are known by their updates
        return isinstance(rows, list) and "incident_updates" in (rows[0] or ())
    if isinstance(status, dict):
        return "indicator" in status
    lists = {"components", "incidents", "scheduled_maintenances"}
    return bool(page.get("id") and document.keys() & lists)


def parse_statuspage(document: dict[str, Any]) -> Page:
    """Return the Page; ParseError where a part has another shape than it should."""
    page = document.get("page") or {}
    key, url = _get(page, "id"), redact(_get(page, "url"))
    components = []
    for row in _get(document, "components", list):
        name, status = clean(_get(row, "name")), word(_get(row, "status"))
        if row.get("group") is not True:
            at = parse_time(_get(row, "updated_at"))
            components.append(Component(_id(row), name, status, at))
    incidents = [_incident(row, url) for row in _get(document, "incidents", list)]
    ongoing = all(each.status not in DONE for each in incidents) and len(incidents) < 50
    planned = _get(document, "scheduled_maintenances", list)
    incidents += [_incident(row, url)._replace(maintenance=True) for row in planned]
    return Page(
        "incident.io" if _ULID.fullmatch(key) else "statuspage",
        id=key,
        url=url if url.startswith("http") else "",
        at=parse_time(_get(page, "updated_at")),
        components=tuple(components),
        incidents=tuple(incidents),
        # summary.json lists all that is unresolved, unresolved.json nothing else;
        # incidents.json has the latest 50, resolved or not.
        complete={"status", "components"} <= document.keys()
        or ("incidents" in document and ongoing),
    )


def _incident(row: dict[str, Any], page_url: str) -> Incident:
    updates = []
    for part in reversed(_get(row, "incident_updates", list)):
        body, status = clean(marked(_get(part, "body"))), word(_get(part, "status"))
        at = parse_time(_get(part, "display_at") or _get(part, "created_at"))
        updates.append(Update(_get(part, "id"), status, body, at))
    key, status = _id(row), word(_get(row, "status"))
    url = _get(row, "shortlink") or "%s/incidents/%s" % (page_url.rstrip("/"), key)
    names = tuple(clean(_get(part, "name")) for part in _get(row, "components", list))
    return Incident(
        key,
        clean(_get(row, "name")),
        status,
        tuple(sorted(updates, key=_when)),
        names if "components" in row else None,
        word(_get(row, "impact")),
        status in PLANNED,
        redact(url) if url.startswith("http") else "",
    )


def _when(update: Update) -> float:
    return update.at.timestamp() if update.at else 0.0


def _get(row: Mapping[str, Any], key: str, kind: Any = str) -> Any:
    """Return the text, or the list of objects, at *key*; ParseError for anything else."""
    value = row.get(key)
    if value is None:
        return kind()
    if kind is str and isinstance(value, (str, int)):
        return str(value)
    if kind is list and isinstance(value, list) and {dict} >= set(map(type, value)):
        return value
    raise ParseError("JSON, but %s is not what it should be" % key)


def _id(row: Mapping[str, Any]) -> str:
    """Return the row's id (else its name's digest), bounded and still unique."""
    key = clean(_get(row, "id")) or digest(_get(row, "name"), size=12)
    return key if len(key) <= 100 else "%s~%s" % (key[:80], digest(key, size=10))


# RSS and Atom (rssboard.org/rss-specification, RFC 4287), as Statuspage writes them (all
# updates of an incident in one entry), as incident.io does (the latest, and a list of
# affected components), or as anybody does.

_STATUSPAGE_UPDATE = re.compile(
    "\x01([^\x01\x02]*)\x02\\s*\x03([^\x03\x04]*)\x04\\s*-?([^\x01]*)"
)
_STATUSPAGE_PLANNED = re.compile("\\s*\x03THIS IS A SCHEDULED EVENT")
_INCIDENTIO_STATUS = re.compile("\\s*\x03([^\x03\x04:]*):([^\x03\x04]*)\x04")
_INCIDENTIO_NAMES = re.compile("\x03[^\x03\x04]*\x04\\s*((\x05[^\x05\x06]*\x06\\s*)+)$")


def is_feed(document: Any) -> bool:
    """Return whether *document* is the root of an RSS, RDF or Atom feed."""
    return isinstance(document, Element) and document.tag in ("rss", "rdf", "feed")


def parse_feed(root: Element) -> Page:
    """Return the Page. Entries of one id are one incident with more updates."""
    channel = root.find("channel")
    head = root if channel is None else channel
    incidents: dict[str, Incident] = {}
    platforms, times = set(), [_first(head, "updated", "lastbuilddate", "pubdate")]
    for entry in (*head, *(() if head is root else root)):
        if entry.tag in ("item", "entry"):
            platform, incident = _entry(entry, _first(head, "generator"))
            known = incidents.get(incident.id, incident)
            if known is not incident:
                updates = sorted((*incident.updates, *known.updates), key=_when)
                known = known._replace(updates=tuple(updates))
            incidents[incident.id] = known
            platforms.add(platform)
            times.append(_first(entry, "updated", "pubdate"))
    platform = platforms.pop() if len(platforms) == 1 else "feed"
    link = _link(head)
    host = re.search(r"(?:://|^tag:)([\w.-]+)", link or _first(head, "id"))
    return Page(
        platform,
        id=host[1].lower() if host and platform != "feed" else "",
        url=redact(link) if link.startswith("http") else "",
        at=max(filter(None, map(parse_time, times)), default=None),
        incidents=tuple(incidents.values()),
    )


def _entry(entry: Element, generator: str) -> tuple[str, Incident]:
    """Return the incident in *entry*, and whose form it has: "feed" for anybody's."""
    link, key = _link(entry), _first(entry, "guid", "id")
    at = parse_time(_first(entry, "updated", "pubdate", "date", "published"))
    bodies = ("description", "summary", "content", "encoded")
    texts = [_construct(part) for part in entry if part.tag in bodies]
    title = clean(" ".join(map(_construct, entry.findall("title")[:1])))
    platform, names, status = "feed", None, ""
    updates = [Update("", "", clean(max(texts, key=len, default="")), at)]
    for text in texts:
        parts, state = _STATUSPAGE_UPDATE.findall(text), _INCIDENTIO_STATUS.match(text)
        if parts:
            platform, updates = "statuspage", []
            for date, label, body in reversed(parts):  # Update: as the one before (R3)
                status = status if word(label) == "update" else word(label)
                when = parse_time(date, at) or at
                updates.append(Update("", status, clean(body), when))
        elif state and (generator == "incident.io" or word(state[1]) == "status"):
            platform, listed = "incident.io", _INCIDENTIO_NAMES.search(text)
            if listed:  # each is "Name (Its status)"
                items = map(clean, re.findall("\x05([^\x06]*)\x06", listed[1]))
                names = tuple(item.rpartition(" (")[0] or item for item in items)
            body = text[state.end() : listed.start() if listed else None]
            updates = [Update("", word(state[2]), clean(body), at)]
    planned = any(_STATUSPAGE_PLANNED.match(text) for text in texts)
    path = _INCIDENT_PATH.search(link or key)
    return platform, Incident(
        _id({"id": path[1] if path else key or link or digest(title, str(at))}),
        title,
        updates[-1].status,
        tuple(updates),
        names,
        maintenance=planned or any(update.status in PLANNED for update in updates),
        url=redact(link) if link.startswith(("http://", "https://")) else "",
    )


def _first(element: Element, *names: str) -> str:
    """Return the text of the first of the named children that has one."""
    texts = ((element.findtext(name) or "").strip() for name in names)
    return next(filter(None, texts), "")


def _construct(element: Element) -> str:
    """Return the marked text of a text construct: plain text, HTML or XHTML."""
    text = "".join(element.itertext())
    plain = len(element) or element.get("type") == "text"
    return _HOSTILE.sub("", text) if plain else marked(text)


def _link(element: Element) -> str:
    """Return the address of the web page that an entry, or a feed, is about."""
    for link in element.findall("link"):
        text = (link.get("href") or link.text or "").strip()
        if link.get("rel", "alternate") == "alternate" and text:
            return text
    return ""


FORMATS: tuple[tuple[Callable[[Any], bool], Callable[[Any], Page]], ...] = (
    (is_statuspage, parse_statuspage),
    (is_feed, parse_feed),
)
PLATFORMS = {  # where the sources of a page are; of alternatives, the first that reads
    "incident.io": (("/feed.atom", "/feed.rss"), ("/api/v2/components.json",)),
    "statuspage": (("/history.atom", "/history.rss"), ("/api/v2/summary.json",)),
}
# --- Tracking: Pages -> Events, by the rules R1 to R15. Pure: no clock, no logging. ---


@dataclasses.dataclass
class Source:
    """A polled URL and what is remembered of it, in the state file too: all but *url*.

    Owned by the worker that polls the provider, between polls by the scheduler.
    """

    url: str
    seeded: bool = False
    etag: str = ""
    modified: str = ""
    digest: str = ""  # of the body last accepted,
    earlier: Sequence[str] = ()  # and of those before it
    page_id: str = ""
    newest: float = 0.0  # the newest time of a document accepted
    complete: bool = False  # of the page last accepted
    stale: int = 0  # polls in a row that brought a stale document (R6)
    foreign: int = 0  # polls in a row that brought another page's (R14)
    read_at: float = 0.0  # last good read,
    full_at: float = 0.0  # and last one that was not a 304
    failures: int = 0  # in a row,
    failed_at: float = 0.0  # since when,
    warned: bool = False  # and has that been said?
    wait_until: float = 0.0  # neither back-off nor politeness allow to ask before
    moved_to: str = ""  # where it was permanently redirected to,
    moved: int = 0  # and how often in a row
    first: bool = True  # not read yet since the start (R15); not stored, and neither is
    not_before: float = 0.0  # wait_until in monotonic seconds

    def slot(self) -> str:
        """Return its name in memory and state file, which have no secrets of URLs."""
        return digest(self.url, size=5)


class Read(NamedTuple):
    """A good read of a source; page is None where nothing has changed."""

    source: Source
    page: Page | None
    seeded: bool = True  # has it been read before?
    away: bool = False  # is what is new old news? (R15)


def accept(source: Source, page: Page, body: str) -> str:
    """Note in *source* that it showed *page*, a body with the digest *body*.

    Returns why, if the page is to be set aside: it is another's (R14), or stale (R6).
    """
    if page.id and source.page_id and page.id != source.page_id:  # R14
        source.foreign += 1
        if source.foreign < PATIENCE:
            return "another page's document"
        source.seeded, source.digest, source.earlier, source.newest = False, "", (), 0.0
    source.foreign, at = 0, page.at.timestamp() if page.at else 0.0
    if body in source.earlier and at < source.newest:  # R6
        source.stale += 1
        if source.stale < PATIENCE:
            return "a stale copy"
        source.newest = at
    if source.digest not in ("", body):
        source.earlier = (*source.earlier, source.digest)[-EARLIER:]
    source.stale, source.newest = 0, max(source.newest, at)
    source.page_id, source.digest = page.id or source.page_id, body
    source.complete = page.complete
    return ""


@dataclasses.dataclass
class View:
    """What one source has shown of one incident.

    shown has a key for each update: its id's digest, with the mark as value; or the
    mark itself (the second time with a "'" behind it), with no value, where it has no
    id. gone has the marks that were shown and are no more, as often as they went.
    absent counts the reads in a row without the incident (R7), and is -1 where a
    source that does not list all incidents no longer lists it.
    """

    shown: dict[str, str] = dataclasses.field(default_factory=dict)
    status: str = ""
    names: str = ""  # digest of the affected components' names
    absent: int = 0
    gone: list[str] = dataclasses.field(default_factory=list)

    def count(self, mark: str) -> int:
        """Return how often the source newly showed a mark that starts so."""
        marks = itertools.chain((v or k for k, v in self.shown.items()), self.gone)
        return sum(each.startswith(mark) for each in marks)

    def pending(self) -> bool:
        """Return whether the incident may be over without a word (R7)."""
        return self.absent > 0 and self.status not in DONE


@dataclasses.dataclass
class Story:
    """What is known of one incident from all sources together (R9)."""

    views: dict[str, View] = dataclasses.field(default_factory=dict)
    status: str = ""
    title: str = ""
    url: str = ""
    components: Sequence[str] = ()
    impact: str = ""
    maintenance: bool = False


class Tracker:
    """One observation: made from the memory (JSON), and made into it again."""

    def __init__(self, provider: Provider, memory: str, now: datetime) -> None:
        self.provider, self.now = provider, now
        self.events: list[Event] = []
        self.stories: dict[str, Story] = {}
        self.components: dict[str, Sequence[Any]] = {}  # id -> status, its time, slot
        stories, self.components = json.loads(memory or "[{},{}]")
        for key, (views, *rest) in stories.items():
            views = {slot: View(*values) for slot, values in views.items()}
            self.stories[key] = Story(views, *rest)

    def observe(self, reads: Sequence[Read]) -> None:
        """Add the events of a poll; *reads* are all its good reads.

        The first read of a source is silent (R1), and so is the same read again.
        Events come source by source, and those of an incident oldest first.
        """
        for read in reads:
            if not read.seeded:
                self._forget(read.source.slot())
            for incident in read.page.incidents if read.page else ():  # merge them (R9)
                story = self.stories.pop(incident.id, None) or Story()
                self.stories[incident.id] = story  # the latest last
                for name in ("title", "url", "components", "impact", "maintenance"):
                    vars(story)[name] = getattr(incident, name) or vars(story)[name]
        # Updates without words may be told by another source in full: those come last.
        for read in sorted(reads, key=lambda read: not _has_words(read.page)):
            for incident in reversed(read.page.incidents if read.page else ()):
                self._see_incident(read, incident)
            if read.page:
                self._see_components(read, read.page)
        for read in reads:
            self._see_absences(read)

    def _forget(self, slot: str) -> None:
        """Forget what a source shows, but not what was told: it seeds (R1, R14)."""
        for view in [s.views[slot] for s in self.stories.values() if slot in s.views]:
            view.gone += [mark or key[:7] for key, mark in view.shown.items()]
            view.shown, view.status, view.names, view.absent = {}, "", "", 0
        for key in [key for key, part in self.components.items() if part[2] == slot]:
            del self.components[key]

    def _see_incident(self, read: Read, incident: Incident) -> None:
        """Tell the updates of an incident that are not told yet (R2, R3, R4, R9)."""
        story = self.stories[incident.id]
        view = story.views.setdefault(read.source.slot(), View())
        known = any(each.shown or each.gone for each in story.views.values())
        fresh, shown = False, set()
        updates = incident.updates
        if not updates and (incident.status != story.status or not known):
            updates = (Update("", incident.status, "", None),)
        for update in updates:
            words = words_of(update.body)
            mark = digest(update.status, size=2) + digest(update.status, words, size=5)
            key, value = (digest(update.id), mark) if update.id else (mark, "")
            while key in shown:
                key += "'"
            shown.add(key)
            before = view.shown.get(key)
            if before != value:
                # Without words it may be what another source has in full.
                counted = mark if words else mark[:2]
                told = max(each.count(counted) for each in story.views.values())
                view.gone += [before] if before else []
                view.shown[key], fresh = value, True
                if view.count(counted) > told:  # R9
                    kind = INCIDENT_UPDATE if known else NEW_INCIDENT
                    self._tell(read, kind, incident.id, update, edited=bool(before))
                known = True
        for key in [k for k, mark in view.shown.items() if not mark and k not in shown]:
            del view.shown[key]  # it has no id, so that it is new if it returns (R3)
            view.gone.append(key[:7])
        if incident.components is not None:
            names = digest(*sorted(set(incident.components)))
            if view.names not in ("", names) and not fresh:  # R4
                body = incident.updates[-1].body if incident.updates else ""
                update = Update("", incident.status, body, None)
                self._tell(read, INCIDENT_UPDATE, incident.id, update, edited=True)
            view.names = names
        view.status, view.absent, view.gone = incident.status, 0, view.gone[-MEMORY:]

    def _see_components(self, read: Read, page: Page) -> None:
        """Tell which components changed (R5).

        A component belongs to the source that showed its status last. Another, which may
        lag behind, takes it over with a newer time, or once its owner lists it no more.
        """
        slot, listed = read.source.slot(), {
            component.id for component in page.components
        }
        for key, (status, at, owner) in self.components.items():
            if owner == slot and key not in listed:
                self.components[key] = (status, at, "")
        for component in page.components:
            status, at, owner = self.components.pop(component.id, ("", 0.0, ""))
            since = component.at.timestamp() if component.at else 0.0
            self.components[component.id] = (status, at, owner)
            if component.status and (owner in ("", slot) or since > at):
                self.components[component.id] = (component.status, since, slot)
                if status not in ("", component.status):
                    # A time that did not change with the status is not that of the change.
                    when = component.at if since > at else None
                    update = Update("", component.status, status, when)
                    self._tell(
                        read,
                        COMPONENT_STATUS_CHANGE,
                        component.id,
                        update,
                        component.name,
                    )

    def _see_absences(self, read: Read) -> None:
        """Tell which incidents a source that lists all unresolved ones dropped (R7)."""
        slot, page = read.source.slot(), read.page
        listed = {incident.id for incident in page.incidents} if page else ()
        for key, story in self.stories.items():
            view = story.views.get(slot)
            if view is None or key in listed or not (page or view.pending()):
                continue
            view.absent = view.absent + 1 if read.source.complete else -1
            others = [each for name, each in story.views.items() if name != slot]
            unresolved = any(each.status in OPEN and not each.absent for each in others)
            if not view.status or not view.pending():
                continue
            if any(each.status in DONE for each in others):
                view.status = "resolved"
            elif view.absent >= (ABSENT_ELSEWHERE if unresolved else ABSENT):
                view.status = "completed" if story.maintenance else "resolved"
                update = Update("", view.status, "no longer listed by the vendor", None)
                self._tell(read, INCIDENT_UPDATE, key, update, inferred=True)

    def _tell(
        self,
        read: Read,
        kind: str,
        key: str,
        update: Update,
        name: str = "",
        **more: Any,
    ) -> None:
        """Add an event, unless the source is being seeded (R1) or nobody wants it."""
        event = Event(
            kind,
            self.provider.name,
            self.provider.product or self.provider.name,
            status=update.status or None,
            occurred_at=update.at,
            detected_at=self.now,
            while_away=read.away,  # R15
            source=redact(read.source.url),
            **more,
        )
        if name:
            url = read.page and read.page.url or None
            event = event._replace(components=(name,), component_id=key, url=url)
            event = event._replace(previous_status=update.body)
        else:
            story = self.stories[key]
            event = event._replace(
                components=tuple(story.components),
                title=story.title,
                previous_status=story.status or None,
                message=update.body,
                impact=story.impact or None,
                maintenance=story.maintenance,
                incident_id=key,
                update_id=update.id or None,
                url=story.url or None,
            )
            story.status = (
                story.status if event.edited else update.status or story.status
            )
        if read.seeded and is_wanted(self.provider, event):
            self.events.append(event)

    def pending(self) -> bool:
        """Return whether an incident may be over, so that unchanged reads count (R7)."""
        return any(v.pending() for s in self.stories.values() for v in s.views.values())

    def memory(self) -> str:
        """Return all as JSON, without the oldest of what is no longer listed (R8)."""
        stories: dict[str, list[Any]] = {}
        for number, (key, story) in enumerate(reversed(self.stories.items())):
            if number < MEMORY or any(
                v.pending() or not v.absent for v in story.views.values()
            ):
                if number >= DETAILED and (story.status in DONE or not story.status):
                    story = Story(story.views, story.status)
                views = {slot: _packed(view) for slot, view in story.views.items()}
                stories[key] = [views, *_packed(story)[1:]]
        unlisted = [key for key, part in self.components.items() if not part[2]]
        for key in unlisted[:-MEMORY]:
            del self.components[key]
        stories = dict(reversed(stories.items()))
        return json.dumps([stories, self.components], separators=(",", ":"))


def _packed(record: Any) -> list[Any]:
    """Return the values of a dataclass, without the empty ones at the end."""
    values = list(vars(record).values())
    while not values[-1] and len(values) > 1:
        values.pop()
    return values


def _has_words(page: Page | None) -> bool:
    return (
        any(update.body for each in page.incidents for update in each.updates)
        if page
        else False
    )


def is_wanted(provider: Provider, event: Event) -> bool:
    """Return whether the provider's filters let *event* through (R13)."""
    if event.maintenance and not provider.maintenance:
        return False
    if event.impact in IMPACTS[: IMPACTS.index(provider.min_impact)]:
        return False
    names = {name.casefold() for name in (*event.components, event.component_id or "")}
    return not (
        provider.components
        and event.components
        and names.isdisjoint(provider.components)
    )


# --- Formatting: Event -> text. Pure. ---


def format_text(event: Event) -> str:
    """Return the two lines, and the blank one, that a person reads."""

    def short(text: str) -> str:
        text = clean(text)
        return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1].rstrip() + "…"

    affected = ", ".join(event.components) or event.title or ""
    product = " - ".join(filter(None, (event.product, short(affected))))
    status = (event.status or "unknown").replace("_", " ").capitalize()
    status += " (while away)" if event.while_away else ""
    message = event.message or (event.title if event.components else "")
    status += " — " + short(message) if message else ""
    at = str(event.occurred_at or event.detected_at)[:19]
    return "[%s] Product: %s\nStatus: %s\n\n" % (at, clean(product), clean(status))


def format_json(event: Event) -> str:
    """Return a line of JSON, in ASCII, which any encoding has."""
    members = event._asdict()
    for key in ("occurred_at", "detected_at"):
        members[key] = members[key] and members[key].strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps(members) + "\n"


# --- Fetching: URL -> Response. The network, and only here. Called by workers. ---

NETWORK_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)
_current = threading.local()  # .attempt is the Attempt that this worker makes


class Response(NamedTuple):
    """A usable answer: body is None for 304, moved_to where permanent redirects led."""

    body: bytes | None
    content_type: str
    etag: str
    modified: str
    fresh_for: float  # seconds, from max-age
    moved_to: str


class Attempt:
    """A fetch under a deadline, at which the scheduler's thread cuts it.

    It has a duplicate of the socket in use. Shutting that ends any connect, handshake or
    read, whatever has been wrapped around the socket meanwhile.
    """

    def __init__(self, due: float, proxied: bool) -> None:
        self.due, self.proxied, self.over = due, proxied, False
        self.private = True  # may it go to a private address? The configured page may.
        self.peer = ""
        self._line: socket.socket | None = None
        self._lock = threading.Lock()  # held while _line is replaced or shut

    def attach(self, line: socket.socket | None, peer: str = "") -> None:
        """Make *line*, which leads to *peer*, what cut() cuts; None for nothing."""
        if line and not (self.private or self.proxied or _is_public(peer)):
            raise FetchError("redirect from a public page to a private address")
        with self._lock:
            if self._line:
                self._line.close()
            self._line = line and socket.socket(fileno=os.dup(line.fileno()))
        self.peer = peer
        if self.over:
            self.cut()

    def cut(self) -> None:
        """End the fetch now."""
        self.over = True
        with self._lock, contextlib.suppress(OSError):
            if self._line:
                self._line.shutdown(socket.SHUT_RDWR)

    def left(self) -> float:
        """Return the seconds that are left, or raise FetchError."""
        if self.over or self.due <= time.monotonic():
            raise FetchError("took too long")
        return self.due - time.monotonic()


class _Connection(urllib3.connection.HTTPConnection):
    def _new_conn(self) -> socket.socket:
        """Connect: all addresses of the host share what is left of the deadline."""
        attempt: Attempt = _current.attempt
        host = getattr(self, "_dns_host", self.host)
        found = socket.getaddrinfo(host, self.port, 0, socket.SOCK_STREAM)
        for number, (family, kind, protocol, _, address) in enumerate(found):
            line = socket.socket(family, kind, protocol)
            try:
                line.settimeout(attempt.left() / (len(found) - number))
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                attempt.attach(line, str(address[0]))
                line.connect(address)
                return line
            except (OSError, FetchError) as exc:
                line.close()
                error = exc
        raise error

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock:  # kept alive since an earlier attempt
            _current.attempt.attach(self.sock, str(self.sock.getpeername()[0]))
        super().request(*args, **kwargs)


class _SecureConnection(_Connection, urllib3.connection.HTTPSConnection):
    pass


_POOLS = {
    "http": type("Pool", (urllib3.HTTPConnectionPool,), {"ConnectionCls": _Connection}),
    "https": type(
        "Pool", (urllib3.HTTPSConnectionPool,), {"ConnectionCls": _SecureConnection}
    ),
}


class _Adapter(requests.adapters.HTTPAdapter):
    """A transport with one TLS context; requests alone makes one for each host."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        bundle = os.environ.get("REQUESTS_CA_BUNDLE") or requests.certs.where()
        place = "capath" if os.path.isdir(bundle) else "cafile"
        self.context = ssl.create_default_context(**{place: bundle})
        super().init_poolmanager(*args, ssl_context=self.context, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, ssl_context=self.context, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def cert_verify(self, conn: Any, *args: Any, **kwargs: Any) -> None:
        conn.cert_reqs = "CERT_REQUIRED"  # the context has the certificates already


class Fetcher:
    """Owns the connections. fetch() is for workers, the rest for the scheduler."""

    def __init__(self, hosts: int, workers: int, max_size: int = MAX_SIZE) -> None:
        self.max_size, self.stopping = max_size, threading.Event()
        self._adapter = _Adapter(pool_connections=hosts, pool_maxsize=workers)
        self._attempts: set[Attempt] = set()
        self._proxies: dict[str, Any] = {}  # by URL: the environment is asked once
        self._retry = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=tenacity.wait_random_exponential(multiplier=0.25, max=1),
            retry=tenacity.retry_if_exception(lambda e: getattr(e, "passing", False)),
            sleep=tenacity.sleep_using_event(self.stopping),
            reraise=True,
        )

    def fetch(
        self, url: str, etag: str = "", modified: str = "", timeout: float = TIMEOUT
    ) -> Response:
        """Return the answer to a GET, conditional where a validator is given.

        Attempts, redirects and addresses share *timeout* seconds. Raises FetchError.
        """
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip", "Accept": "*/*"}
        if etag.endswith('-gzip"'):  # Apache's: it does not know it again by itself
            etag = '%s, %s"' % (etag, etag[:-6])  # (bz.apache.org, bug 45023)
        headers.update({"If-None-Match": etag} if etag else {})
        headers.update({"If-Modified-Since": modified} if modified else {})
        if url not in self._proxies:
            self._proxies[url] = requests.utils.get_environ_proxies(url)
        attempt = Attempt(time.monotonic() + timeout, bool(self._proxies[url]))
        self._attempts.add(attempt)
        _current.attempt = attempt
        try:
            return self._retry(self._follow, attempt, url, headers)
        except FetchError as exc:
            late = attempt.over and not self.stopping.is_set()
            raise FetchError("took longer than %g s" % timeout) if late else exc
        finally:
            self._attempts.discard(attempt)
            attempt.attach(None)

    def cut(self, now: float) -> float:
        """End what is past its deadline; return when the next deadline is."""
        attempts = list(self._attempts)
        for attempt in attempts:
            if attempt.due <= now:
                attempt.cut()
        return min((each.due for each in attempts if not each.over), default=now + WAKE)

    def stop(self) -> None:
        """End everything: nothing can be fetched any more."""
        self.stopping.set()
        self.cut(float("inf"))

    def _follow(self, attempt: Attempt, url: str, headers: dict[str, str]) -> Response:
        """Return the answer at the end of at most MAX_HOPS redirects."""
        attempt.private, permanent, moved_to = True, True, ""
        try:
            for _ in range(MAX_HOPS + 1):
                if self.stopping.is_set():
                    raise FetchError("stopped")
                proxies = self._proxies.get(url)
                if proxies is None:
                    proxies = requests.utils.get_environ_proxies(url)
                request = requests.Request("GET", url, headers).prepare()
                answer = self._adapter.send(
                    request, True, attempt.left(), proxies=proxies
                )
                with contextlib.closing(answer):
                    target = answer.headers.get("Location")
                    if not target or answer.status_code not in REDIRECTS:
                        return self._read(attempt, answer, moved_to)
                    url = _hop(url, target)
                    permanent = permanent and answer.status_code in (301, 308)
                    moved_to = url if permanent else moved_to
                    attempt.private = attempt.private and not _is_public(attempt.peer)
        except (requests.exceptions.SSLError, ValueError) as exc:  # will not pass
            raise FetchError(reason(exc)) from exc
        except NETWORK_ERRORS as exc:
            raise FetchError(reason(exc), passing=not attempt.over) from exc
        raise FetchError("more than %d redirects" % MAX_HOPS)

    def _read(
        self, attempt: Attempt, answer: requests.Response, moved_to: str
    ) -> Response:
        """Return what *answer* is good for: only 200, and 304 if asked for, are."""
        status, headers, body = answer.status_code, answer.headers, bytearray()
        asked = {"If-None-Match", "If-Modified-Since"} & set(answer.request.headers)
        if status != 200 and not (status == 304 and asked):
            wait = parse_retry_after(
                headers.get("Retry-After", ""), headers.get("Date", "")
            )
            passing = wait is None and (status == 429 or status >= 500)
            details = {"status": status, "retry_after": wait, "passing": passing}
            raise FetchError("HTTP status %d" % status, **details)
        for chunk in answer.iter_content(65536):
            body += chunk
            attempt.left()
            if len(body) > self.max_size:
                raise FetchError("a body of over %d bytes" % self.max_size)
        attempt.left()  # what was cut can look complete
        validators = [headers.get(name, "") for name in ("ETag", "Last-Modified")]
        validators = [
            v if len(v) <= MAX_VALIDATOR and v.isprintable() else "" for v in validators
        ]
        fresh_for = parse_max_age(
            headers.get("Cache-Control", ""), headers.get("Age", "")
        )
        kind = headers.get("Content-Type", "")
        return Response(
            bytes(body) if status == 200 else None,
            kind,
            *validators,
            fresh_for,
            moved_to,
        )


REDIRECTS = frozenset((301, 302, 303, 307, 308))


def _is_public(address: str) -> bool:
    return bool(address) and ipaddress.ip_address(address.partition("%")[0]).is_global


def _hop(url: str, target: str) -> str:
    """Return where a redirect leads; FetchError if it is not to be followed."""
    parts = urllib.parse.urlsplit(urllib.parse.urljoin(url, target))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise FetchError("redirect to what is not http(s)")
    if url.startswith("https:") and parts.scheme == "http":
        raise FetchError("redirect from https to http")
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()


def parse_max_age(cache_control: str, age: str) -> float:
    """Return for how many seconds an answer is fresh (RFC 9111), at most BACKOFF_CAP."""
    found = re.search(r"(?i)(?:^|[\s,])max-age\s*=\s*\"?([0-9]{1,9})\b", cache_control)
    if not found or re.search("(?i)no-cache|no-store", cache_control):
        return 0.0
    spent = int(age) if re.fullmatch("[0-9]{1,9}", age) else 0
    return max(0.0, min(float(found[1]) - spent, BACKOFF_CAP))


def parse_retry_after(value: str, date: str) -> float | None:
    """Return the seconds to stay away, at most RETRY_AFTER_CAP; None if not given.

    A date counts from the answer's own *date*, since clocks differ (RFC 9110, 10.2.3).
    """
    if re.fullmatch("[0-9]+", value):
        return min(float(value[:9]), RETRY_AFTER_CAP)
    until, since = parse_time(value), parse_time(date) or datetime.now(UTC)
    return until and max(0.0, min((until - since).total_seconds(), RETRY_AFTER_CAP))


def reason(exc: BaseException) -> str:
    """Return what went wrong in a few words, those of the innermost error. No URL."""
    inner: Any = exc
    while inner is not None:
        exc = inner
        causes = getattr(exc, "reason", None), *exc.args, exc.__cause__, exc.__context__
        inner = next((each for each in causes if isinstance(each, BaseException)), None)
    words = getattr(exc, "verify_message", "") or getattr(exc, "strerror", "")
    words = "timed out" if isinstance(exc, socket.timeout) else words
    return clean(words or re.sub("(?<=[a-z])(?=[A-Z])", " ", type(exc).__name__))[:100]


# --- State: what outlives the program. The printer's, but for lock() and load(). ---


class StateFile:
    """A JSON file for one configuration, and a lock beside it.

    `{"version": 1, "sha256": "...", "providers": {name: {"sources", "memory"}}}`, where
    the checksum is that of the bytes between the version and itself left out.
    """

    VERSION = 1

    def __init__(self, path: str) -> None:
        self.path = pathlib.Path(path)
        self.providers: dict[str, Any] = {}
        self.due: float | None = None  # monotonic: when to save; None for no need
        self._failing = False

    def lock(self) -> bool:
        """Return whether no other run has the lock. It ends with the process."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = open("%s.lock" % self.path, "a")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as exc:
            log.warning("%s.lock: %s: running without a lock", self.path, reason(exc))
        return True

    def load(self) -> None:
        """Read the file. What is no state of ours is kept aside, and we start anew."""
        try:
            body = self.path.read_bytes()
            stored = json.loads(body)
            self.providers = stored["providers"]
            if self._encoded() != body or self.path.stat().st_uid != os.geteuid():
                if type(stored["version"]) is int and stored["version"] > self.VERSION:
                    raise ConfigError("%s: a newer version wrote it" % self.path)
                raise ValueError
        except FileNotFoundError:
            pass
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as exc:
            self.providers, aside = {}, "%s.corrupt-%d" % (self.path, time.time())
            with contextlib.suppress(OSError):
                os.replace(self.path, aside)
            why = reason(exc) if isinstance(exc, OSError) else "damaged, or not ours"
            log.warning("%s: %s: kept as %s, starting anew", self.path, why, aside)

    def _encoded(self) -> bytes:
        text = json.dumps(self.providers, separators=(",", ":"))
        check = hashlib.sha256(text.encode()).hexdigest()
        head = '{"version":%d,"sha256":"%s","providers":' % (self.VERSION, check)
        return (head + text + "}\n").encode()

    def save(self) -> None:
        """Write the file, all of it or nothing."""
        began, temporary = time.monotonic(), "%s.tmp-%d" % (self.path, os.getpid())
        self.due = None
        try:
            with open(
                temporary, "wb", opener=lambda p, f: os.open(p, f, 0o600)
            ) as file:
                file.write(self._encoded())
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path)
            directory = os.open(self.path.parent, os.O_RDONLY)
            os.fsync(directory)
            os.close(directory)
        except OSError as exc:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            level = logging.DEBUG if self._failing else logging.WARNING
            log.log(level, "%s: cannot be written: %s", self.path, reason(exc))
            self._failing = True
            self.due = time.monotonic() + 1.0
        else:
            if self._failing:
                log.info("%s: can be written again", self.path)
            self._failing = False


# --- Watching: the scheduler's thread, and the workers it hands providers to. ---


class Watch:
    """A provider while the program runs; owned by one thread at a time."""

    def __init__(self, provider: Provider, stored: Mapping[str, Any]) -> None:
        self.provider, self.memory = provider, stored.get("memory", "")
        self.pending = True  # let the first poll find out
        self.sick = True  # a poll is likely to be slow, as far as we know
        self.handed_at = 0.0
        urls: Sequence[str] = provider.urls
        if is_page(urls[0]):
            paths = PLATFORMS[provider.platform or "statuspage"]
            urls = [urllib.parse.urljoin(urls[0], path[0]) for path in paths]
        self.sources = [Source(url) for url in urls]
        for source in self.sources:
            vars(source).update(stored.get("sources", {}).get(source.slot(), {}))
            wait = min(source.wait_until - time.time(), RETRY_AFTER_CAP)
            source.not_before = time.monotonic() + wait

    def stored(self) -> dict[str, Any]:
        """Return the JSON that makes the same Watch again."""
        sources, ahead = {}, time.time() - time.monotonic()
        for source in self.sources:
            source.wait_until = source.not_before + ahead
            members = dataclasses.asdict(source)
            for key in ("url", "first", "not_before"):
                del members[key]
            sources[source.slot()] = {k: v for k, v in members.items() if v}
        return {"sources": sources, "memory": self.memory}


class Poll(NamedTuple):
    """What came of a poll."""

    events: Sequence[Event] = ()
    read: Sequence[Source] = ()
    failed: Sequence[tuple[Source, PollError]] = ()
    changed: bool = False


def poll(watch: Watch, fetcher: Fetcher) -> Poll:
    """Return what a provider has to tell. Called by a worker, which owns *watch*."""
    tracker = None
    now, reads, failed, blocked = datetime.now(UTC), [], [], set()
    for source in watch.sources:
        host = urllib.parse.urlsplit(source.url).netloc
        if source.not_before <= time.monotonic() and host not in blocked:
            try:
                reads += read(source, fetcher, watch.provider.timeout, now)
            except PollError as exc:
                failed.append((source, exc))
                if getattr(exc, "retry_after", None) is not None:
                    blocked.add(host)
    if watch.pending or any(each.page for each in reads):
        tracker = Tracker(watch.provider, watch.memory, now)
        tracker.observe(reads)
        watch.memory, watch.pending = tracker.memory(), tracker.pending()
        if not all(each.seeded for each in reads):
            counts = len(tracker.stories), len(tracker.components)
            words = "[%s] Seeded — %d incidents, %d components"
            log.info(words, watch.provider.name, *counts)
    read_ = [each.source for each in reads]
    return Poll(tracker.events if tracker else (), read_, failed, bool(tracker))


def read(source: Source, fetcher: Fetcher, timeout: float, now: datetime) -> list[Read]:
    """Return what could be read of a source: nothing if it is to be set aside.

    Validators are kept only with a body that parsed (R11). Raises PollError.
    """
    at, seeded = now.timestamp(), source.seeded
    away = source.first and 0 < source.read_at < at - AWAY  # R15
    # Spread over a quarter of the time: all sources were read first at the same moment.
    full = 0 <= at - source.full_at < UNCONDITIONAL * (1 - ord(source.slot()[0]) / 512)
    validators = (source.etag, source.modified) if full else ("", "")
    url = source.moved_to if source.moved >= MOVED else source.url
    response = fetcher.fetch(url, *validators, timeout=timeout)
    source.not_before = time.monotonic() + response.fresh_for
    page = None
    if response.body is not None:
        body = base64.b64encode(hashlib.sha256(response.body).digest())[:12].decode()
        if body != source.digest:  # R10
            page = parse(response.body, response.content_type)
            aside = accept(source, page, body)
            if aside:
                log.debug("%s: set aside: %s", redact(url), aside)
                return []
            if seeded and not source.seeded:
                log.warning("%s is another page now: seeding afresh", redact(url))
        source.etag, source.modified = response.etag, response.modified
        source.full_at = at
    if url == source.url:
        again = response.moved_to and response.moved_to == source.moved_to
        source.moved, source.moved_to = (
            source.moved + 1 if again else 1
        ), response.moved_to
    source.stale = source.foreign = 0
    seeded, source.seeded, source.first, source.read_at = source.seeded, True, False, at
    return [Read(source, page, seeded, away)]


class Batch(NamedTuple):
    """Events, and the state of their provider in which they are told (None for none)."""

    provider: str
    events: Sequence[Event]
    stored: dict[str, Any] | None


STOP, RELOAD, BROKEN = "stop", "reload", "broken"  # messages to the scheduler
DETECTED = {
    NEW_INCIDENT: "[%s] detected %d new incident(s)",
    INCIDENT_UPDATE: "[%s] detected %d update(s)",
    COMPONENT_STATUS_CHANGE: "[%s] detected %d component change(s)",
}


class Watcher:
    """Polls providers on time. All but inbox belongs to the thread that calls run().

    A provider whose poll failed or was slow is polled by threads that are there for such,
    so that nobody waits for the sick; so is one not polled yet.
    """

    def __init__(
        self, config: Config, outbox: queue.Queue[Batch | None], state: StateFile | None
    ) -> None:
        self.inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        hosts = 2 * len(config.providers) + 10
        self.fetcher = Fetcher(hosts, config.workers, config.max_size)
        self.failed = False  # could any source not be read?
        self.watches: dict[str, Watch] = {}
        self._outbox, self._remember = outbox, state is not None
        executor = concurrent.futures.ThreadPoolExecutor
        self._pools = executor(config.workers, "poll"), executor(
            4 * config.workers, "slow"
        )
        self._flying: dict[concurrent.futures.Future[Poll], tuple[Watch, float]] = {}
        self._due: list[tuple[float, int, Watch]] = []  # a heap
        self._number = itertools.count()
        self._offline, self._unreachable = False, set()
        self._unsaid: list[tuple[Watch, Source, PollError]] = []
        self.adopt(config.providers, state.providers if state else {})

    def adopt(self, providers: Iterable[Provider], stored: Mapping[str, Any]) -> None:
        """Watch *providers* and nothing else; what is watched already goes on."""
        before, self.watches = self.watches, {}
        for provider in providers:
            watch = before.get(provider.name)
            if watch is None or watch.provider != provider:
                known = watch.stored() if watch else stored.get(provider.name, {})
                watch = Watch(provider, known)
                heapq.heappush(self._due, (0.0, next(self._number), watch))
            self.watches[provider.name] = watch

    def run(self, once: bool, reload: Callable[[], Config]) -> str:
        """Poll until STOP or BROKEN comes, or all *once*; return which, or ""."""
        notify("READY=1")
        message, pinged = "", 0.0
        period = float(os.environ.get("WATCHDOG_USEC") or 0) / 2e6
        while message not in (STOP, BROKEN) and (self._flying or self._due):
            now = time.monotonic()
            while self._due and self._due[0][0] <= now:
                watch = heapq.heappop(self._due)[2]
                if self.watches.get(watch.provider.name) is watch:
                    future = self._pools[watch.sick].submit(poll, watch, self.fetcher)
                    self._flying[future] = (watch, now)
                    future.add_done_callback(self.inbox.put)
            if (
                period
                and now - pinged >= period
                and not (self._due and self._due[0][0] < now - period)
            ):
                notify("WATCHDOG=1")
                pinged = now
            wake = min(
                [
                    self.fetcher.cut(now),
                    now + WAKE,
                    *[due for due, _, _ in self._due[:1]],
                ]
            )
            message = ""
            with contextlib.suppress(queue.Empty):
                message = self.inbox.get(timeout=max(0.0, wake - now))
            if isinstance(message, concurrent.futures.Future):
                self._finish(message, once)
            elif message == RELOAD:
                notify("RELOADING=1")
                try:
                    self.adopt(reload().providers, {})
                    log.info(
                        "configuration reloaded: %d provider(s)", len(self.watches)
                    )
                except ConfigError as exc:
                    log.error("configuration not reloaded: %s", exc)
                notify("READY=1")
        notify("STOPPING=1")
        self.fetcher.stop()
        for future in concurrent.futures.wait(list(self._flying), LINGER).done:
            self._finish(future, True)
        self._say_failures()
        for pool in self._pools:
            pool.shutdown(wait=False)
        return message

    def _finish(self, future: concurrent.futures.Future[Poll], once: bool) -> None:
        """Take in what a poll brought, hand it on, and arm the next one."""
        watch, began = self._flying.pop(future)
        now, name = time.monotonic(), watch.provider.name
        if self.watches.get(name) is not watch:
            return
        try:
            result = future.result()
        except (
            Exception
        ):  # ours: the other providers go on, and this one is polled again
            log.exception("[%s] unexpected failure", name)
            error = PollError("unexpected failure")
            result = Poll(failed=[(source, error) for source in watch.sources])
        watch.sick = now - began > SLOW or bool(result.failed and not result.read)
        changed = self._note_health(watch, result, now) or result.changed
        for kind, words in DETECTED.items():
            found = sum(event.type == kind for event in result.events)
            if found:
                log.info(words, name, found)
        changed = changed or once or now - watch.handed_at > REMEMBER
        stored = watch.stored() if changed and self._remember else None
        if result.events or stored:
            self._outbox.put(Batch(name, result.events, stored))
        if not once:
            # Turns are spread over the interval by the name, and missed ones are skipped.
            interval = watch.provider.interval
            phase = (
                int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)
                / 2**32
                * interval
            )
            earliest = now if watch.handed_at else now + interval / 2
            turn = phase + ((earliest - phase) // interval + 1) * interval
            turn = max(turn, min(source.not_before for source in watch.sources))
            heapq.heappush(self._due, (turn, next(self._number), watch))
        watch.handed_at = now if changed else watch.handed_at

    def _note_health(self, watch: Watch, result: Poll, now: float) -> bool:
        """Note which sources can be read (R12); return whether that has changed."""
        changed, name = False, watch.provider.name
        for source in result.read:
            self._unsaid = [each for each in self._unsaid if each[1] is not source]
            if source.failures:
                words, gone = "[%s] %s: readable again after %s", ago(source.failed_at)
                level = logging.INFO if source.warned else logging.DEBUG
                log.log(level, words, name, redact(source.url), gone)
                source.failures, source.warned, changed = 0, False, True
        for source, error in result.failed:
            self.failed = True
            source.failures += 1
            if source.failures > 1:
                log.debug("[%s] %s: %s", name, redact(source.url), error)
            else:
                source.failed_at, changed = time.time(), True
                self._unsaid.append((watch, source, error))
            self._back_off(watch, source, error, now)
        reached = [
            e for _, e in result.failed if not isinstance(e, FetchError) or e.status
        ]
        if result.read or reached:
            if self._offline:
                log.info("the network is back")
            self._offline, self._unreachable = False, set()
        elif result.failed:
            self._unreachable.add(name)
        if len(self._unreachable) == len(self.watches) > 1:
            if self._unsaid and not self._offline:
                log.warning(
                    "no page can be reached: is it our own network? %s", NO_NETWORK
                )
                self._unsaid.clear()
            self._offline = True
        elif not self._unreachable or len(self.watches) == 1:
            self._say_failures()
        return changed

    def _say_failures(self) -> None:
        for watch, source, error in self._unsaid:
            log.warning("[%s] %s: %s", watch.provider.name, redact(source.url), error)
            source.warned = True
        self._unsaid.clear()

    def _back_off(
        self, watch: Watch, source: Source, error: PollError, now: float
    ) -> None:
        """Put off the next poll: ever longer up to a cap, or as long as the server says."""
        status, wait = getattr(error, "status", 0), getattr(error, "retry_after", None)
        interval, cap = watch.provider.interval, max(
            watch.provider.interval, BACKOFF_CAP
        )
        pause = min(cap, interval * 2.0 ** min(source.failures - 1, 20))
        pause = interval if self._offline else cap if status in (404, 410) else pause
        source.not_before = now + pause * random.uniform(0.8, 1.0)
        source.moved = 0  # ask the configured address again
        if status in (400, 412, 431):  # it may be our validators that it refuses
            source.etag = source.modified = ""
        if wait is not None or status == 429:  # for the whole host
            host = urllib.parse.urlsplit(source.url).netloc
            for other in itertools.chain(
                *(each.sources for each in self.watches.values())
            ):
                if urllib.parse.urlsplit(other.url).netloc == host:
                    other.not_before = max(other.not_before, now + (wait or pause))


NO_NETWORK = "(scripts/demo shows an incident without any)"


def ago(at: float) -> str:
    """Return how long ago *at* was, such as "2 h 5 min"."""
    minutes, rest = divmod(max(0, int(time.time() - at)), 60)
    parts = (minutes // 60, "h"), (minutes % 60, "min"), (rest, "s")
    return " ".join(["%d %s" % part for part in parts if part[0]][:2]) or "0 s"


def notify(message: str) -> None:
    """Tell systemd how we are (sd_notify(3)), if it is there."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with contextlib.suppress(OSError):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
                line.sendto(message.encode(), re.sub("^@", "\0", address))


# --- Printing: the one thread that owns the output and the state file. ---


class Printer(threading.Thread):
    """Writes events, and commits the state in which they are told after they are out.

    So a crash repeats one batch at most. Once the output has failed nothing more is
    committed: what was not told stays untold.
    """

    def __init__(self, form: Callable[[Event], str], state: StateFile | None) -> None:
        super().__init__(name="printer", daemon=True)
        self.inbox: queue.Queue[Batch | None] = queue.Queue()
        self.failure, self.on_failure = "", lambda: None
        self._form, self._state = form, state

    def run(self) -> None:
        """Print until None comes."""
        batch: Batch | None = Batch("", (), None)
        while batch:
            due = self._state.due if self._state else None
            wait = None if due is None else max(0.0, due - time.monotonic())
            try:
                batch = self.inbox.get(timeout=wait)
                if batch and not self.failure:
                    self._print(batch)
            except queue.Empty:
                pass
            due = self._state.due if self._state else None
            if (
                self._state
                and due is not None
                and (not batch or due <= time.monotonic())
            ):
                self._state.save()

    def _print(self, batch: Batch) -> None:
        try:
            sys.stdout.write("".join(map(self._form, batch.events)))
            sys.stdout.flush()
        except (OSError, ValueError) as exc:
            self.failure = reason(exc)
            self.on_failure()
        else:
            if batch.stored and self._state:
                self._state.providers[batch.provider] = batch.stored
                self._state.due = self._state.due or time.monotonic() + 1.0


# --- Command line. ---

EXAMPLES = """\
examples:
  statuswatch                               watch everything in providers.ini
  statuswatch https://status.openai.com     watch one page
  statuswatch --once --json                 for cron: what changed since the last run
  statuswatch --check-config --config FILE  check a configuration
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit status: 0, 1, 2 or 75 (README.md has them)."""
    options = build_parser().parse_args(argv)
    levels = (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG)
    logging.basicConfig(
        level=levels[max(0, min(2 + options.verbose - options.quiet, 3))],
        format="%(asctime)s %(levelname)-8s %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S",
    )
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    try:
        config = read_config(options)
        if not options.check_config:
            return run(config, options)
        for provider in config.providers:
            urls = " ".join(
                redact(source.url) for source in Watch(provider, {}).sources
            )
            print(clean("%s: %s every %g s" % (provider.name, urls, provider.interval)))
    except ConfigError as exc:
        log.error("%s", exc)
        return 2
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="statuswatch",
        description="Watch the status pages of the vendors you depend on.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add, yes = parser.add_argument, "store_true"

    def number(key: str) -> Callable[[str], Any]:
        return lambda text: _parse_value(key, text)

    add("urls", nargs="*", metavar="URL", help="watch just these pages")
    add("--config", metavar="FILE", help="instead of the first providers.ini found")
    add("--interval", metavar="SEC", type=number("interval"), help="default: 30")
    add("--once", action=yes, help="print what changed since the last run, exit")
    add("--state", metavar="FILE", help="remember across restarts (--once always does)")
    add("--json", action=yes, help="print one JSON object per line")
    add("--check-config", action=yes, help="print one line per provider, exit")
    add("--workers", metavar="N", type=number("workers"), help="default: 16")
    add("-v", "--verbose", action="count", default=0, help="more log lines")
    add("-q", "--quiet", action="count", default=0, help="fewer log lines")
    add("--version", action="version", version="%(prog)s " + __version__)
    return parser


def read_config(options: argparse.Namespace) -> Config:
    """Return the configuration that the command line asks for."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    here, share = os.path.dirname(os.path.realpath(__file__)), os.path.join(
        sys.prefix, "share"
    )
    places = [os.path.join(place, "statuswatch") for place in (home, "/etc", share)]
    found = [os.path.join(place, "providers.ini") for place in ("", here, *places)]
    path = options.config or next(filter(os.path.exists, found), "")
    if options.urls:
        lines = {urllib.parse.urlsplit(redact(url)).netloc: url for url in options.urls}
        text = "".join("%s = %s\n" % line for line in lines.items())
        config = parse_config("[providers]\n" + text, "command line", options.interval)
    elif path:
        config = load_config(path, options.interval)
    else:
        raise ConfigError("no providers.ini, looked for %s" % ", ".join(found))
    return config._replace(workers=options.workers or config.workers)


def run(config: Config, options: argparse.Namespace) -> int:
    """Watch until a signal or, with --once, until all is read; return the exit status."""
    home = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    default = os.path.join(home, "statuswatch", "state.json") if options.once else ""
    state = StateFile(options.state or default) if options.state or default else None
    if state and not state.lock():
        log.error("%s: another run holds the lock", state.path)
        return EX_TEMPFAIL
    if state:
        state.load()
    if sys.stdout is None:
        log.error("output failed: it is closed")
        return 1
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    printer = Printer(format_json if options.json else format_text, state)
    watcher = Watcher(config, printer.inbox, state)
    printer.on_failure = lambda: watcher.inbox.put(BROKEN)
    printer.start()
    announce(config, watcher, options.once)
    stopped: list[int] = []

    def stop(number: int, frame: object) -> None:  # may do no more: locks can deadlock
        if stopped:
            os._exit(128 + number)
        stopped.append(number)
        watcher.inbox.put(STOP)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, lambda *_: watcher.inbox.put(RELOAD))
    watcher.run(options.once, lambda: read_config(options))
    printer.inbox.put(None)
    printer.join(LINGER)
    broken = printer.failure or ("nobody reads it" if printer.is_alive() else "")
    if broken:
        log.error("output failed: %s", broken)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter fails again
    status = 1 if broken or (options.once and watcher.failed) else 0
    if any(each.name.startswith(("poll", "slow")) for each in threading.enumerate()):
        os._exit(status)  # a worker that hangs, in a name look-up say, would hold us
    return status


def announce(config: Config, watcher: Watcher, once: bool) -> None:
    """Say what is watched: by a banner on a terminal, else by a log line."""
    pages, every = len(config.providers), min(
        each.interval for each in config.providers
    )
    sources = [
        source.url for watch in watcher.watches.values() for source in watch.sources
    ]
    local = all(re.match(r"\w+://(127\.|localhost|\[::1)", url) for url in sources)
    if every < POLITE and not local and not once:
        log.warning("polling more often than every %g s shows nothing new", POLITE)
    if sys.stdout.isatty() and not once:
        rule = "-" * 40
        print(rule, "Monitoring %d status page(s)" % pages, sep="\n")
        print(
            "Poll interval: %gs" % every,
            "Press Ctrl+C to stop",
            rule,
            sep="\n",
            flush=True,
        )
    elif not once:
        words = "Watching %d provider(s) — %d sources (poll every %gs)"
        log.info(words, pages, len(sources), every)


if __name__ == "__main__":
    raise SystemExit(main())
