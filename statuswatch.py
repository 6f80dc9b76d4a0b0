#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the statuswatch authors. https://github.com/statuswatch/statuswatch
"""Watch the status pages of your vendors and print a line the moment one breaks.

    statuswatch                          watch what providers.ini names, until Ctrl+C
    statuswatch https://status.acme.test watch just this page
    statuswatch --once                   one pass: print what changed since the last run
    statuswatch --check-config           read the configuration and say what it means

How data flows, which is also the order of this file:

    providers.ini -> [Provider] -> scheduler (main thread)
        -> worker: poll: conditional GET -> parse (pure) -> observe (pure) -> [Event]
        -> queue.Queue -> printer thread: write, flush, then commit the new state

Who owns what: the scheduler's thread owns the schedule, the deadlines and the health of
sources; a worker owns the provider it polls for as long as it polls; the printer owns
stdout and the state file. Nothing else is shared.

Words: a provider is a line of providers.ini; a page is what it publishes; a source is
one polled URL of a page; validators are the ETag and Last-Modified last received; a
mark is a digest of one update's status and words; to seed is to read a source for the
first time, silently. `*_at` is a time of day: an aware UTC datetime, or seconds since
1970 where it is stored; `now` and `due` are monotonic seconds. R1 to R15 are the rules
of detection, explained in README.md.
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
import datetime
import difflib
import email.utils
import enum
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
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, NamedTuple
from typing import Optional, Sequence, TextIO, Tuple, Union
from xml.etree.ElementTree import Element, ParseError as XMLError

import defusedxml
import defusedxml.ElementTree
import requests
import requests.adapters
import tenacity
import urllib3

__version__ = "0.1.0"
__all__ = [
    "Component",
    "ConfigError",
    "Event",
    "EventType",
    "FetchError",
    "Incident",
    "Page",
    "ParseError",
    "PollError",
    "Provider",
    "StatuswatchError",
    "Update",
    "load_config",
    "main",
    "parse",
]

log = logging.getLogger(__name__)
log.addHandler(logging.NullHandler())

# --- Constants: each with its unit and its reason. ---

USER_AGENT = (
    "statuswatch/%s (+https://github.com/statuswatch/statuswatch)" % __version__
)
INTERVAL = 30.0  # seconds between polls; most vendors' caches hold a page for 10
POLITE_INTERVAL = 10.0  # seconds; polling faster shows nothing new and costs the vendor
TIMEOUT = 20.0  # seconds for one source, all attempts, redirects and addresses together
MAX_SIZE = 5_000_000  # bytes of one decoded body; the largest real page seen has 0.7 MB
MAX_NODES = 250_000  # XML elements or JSON containers: 0.5 s to parse, 100 MB at worst
MAX_MARKUP = 20_000  # characters of one text given to the (super-linear) HTML parser
MAX_TEXT = 500  # characters of one text shown on a line
MAX_VALIDATOR = 1024  # characters; a 60 KB ETag sent back earns "400" for ever
MAX_HOPS = 5  # redirects followed in one fetch
MOVED_AFTER = 5  # identical permanent redirects in a row before the new address is kept
ATTEMPTS = 3  # requests made for one read of one source
BACKOFF_CAP = 300.0  # seconds: longest pause after failures, longest max-age obeyed
RETRY_AFTER_CAP = 3600.0  # seconds: longest Retry-After obeyed
UNCONDITIONAL = 6 * 3600.0  # seconds; some servers answer 304 for ever if they may
WORKERS = 16  # polls at once, not counting slow ones
THREADS_PER_WORKER = 8  # room for slow polls beside the healthy ones
SLOW = 0.5  # seconds after which a poll gives up its place, though not its thread
PATIENCE = 3  # polls in a row until a stale (R6) or foreign (R14) document is believed
EARLIER = 8  # body digests remembered of a source (R6)
ABSENT = 2  # reads without an incident until it is over (R7)
ABSENT_ELSEWHERE = 10  # the same where another source still shows it unresolved (R7)
MEMORY = 500  # incidents, and components no longer listed, remembered at least (R8)
DETAILED = 10  # latest incidents whose title and components are kept after their end
AWAY = 600.0  # seconds without a read before a start that make news "while away" (R15)
LINGER = 1.0  # seconds given to running polls, and to the printer, at the end
SAVE_EVERY = 1.0  # seconds between two writes of the state file, at least
REMEMBER_EVERY = 60.0  # seconds between two states of a provider with nothing new
FORGET = 90 * 86400.0  # seconds a provider no longer configured stays in the state file
STATE_VERSION = 1
EX_TEMPFAIL = 75  # sysexits.h: another run holds the lock

DONE = frozenset(("resolved", "postmortem", "completed"))
MAINTENANCE = frozenset(("scheduled", "in_progress", "verifying", "completed"))
OPEN = frozenset(("investigating", "identified", "monitoring")) | MAINTENANCE - DONE
IMPACTS = ("none", "minor", "major", "critical")
UTC = datetime.timezone.utc

# --- Errors. ---
#
# StatuswatchError
#   ConfigError          a mistake in providers.ini or on the command line: exit 2
#   StateError           a state file that must not be touched: exit 2
#   PollError            expected at run time: one WARNING when it starts (R12)
#     FetchError         no usable answer
#     ParseError         an answer that is not a status page


class StatuswatchError(Exception):
    """The base of all errors of this module."""


class ConfigError(StatuswatchError):
    """The configuration cannot be used; one line for each mistake."""


class StateError(StatuswatchError):
    """The state file was written by a newer version, or cannot be opened."""


class PollError(StatuswatchError):
    """A source could not be read this time."""


class FetchError(PollError):
    """No usable answer.

    status is the HTTP status if there was one; retry_after the seconds to stay away.
    """

    def __init__(
        self,
        message: str,
        status: int = 0,
        retry_after: Optional[float] = None,
        passing: bool = False,
    ) -> None:
        super().__init__(message)
        self.status, self.retry_after = status, retry_after
        self.passing = passing  # may it be gone in a moment?


class ParseError(PollError):
    """The document is not a status page in a format we know."""


# --- Data: what passes between the parts. Immutable once parsed. ---


class EventType(enum.Enum):
    """What an event tells."""

    NEW_INCIDENT = "NEW_INCIDENT"
    INCIDENT_UPDATE = "INCIDENT_UPDATE"
    COMPONENT_STATUS_CHANGE = "COMPONENT_STATUS_CHANGE"


@dataclasses.dataclass(frozen=True)
class Provider:
    """One line of providers.ini with its section.

    urls is either one page (empty path) or the sources themselves.
    """

    name: str
    urls: Tuple[str, ...]
    platform: str = ""  # a key of PLATFORMS, "" where unknown
    product: str = ""  # as printed; the name where empty
    components: Tuple[str, ...] = ()  # names or ids, case-folded; all where empty
    maintenance: bool = False
    min_impact: str = "none"
    interval: float = INTERVAL
    timeout: float = TIMEOUT


@dataclasses.dataclass(frozen=True)
class Config:
    """A whole configuration."""

    providers: Tuple[Provider, ...]
    workers: int = WORKERS
    max_size: int = MAX_SIZE


class Update(NamedTuple):
    """One dated entry of an incident. id and status are "" where there is none."""

    id: str
    status: str
    body: str  # plain text
    at: Optional[datetime.datetime]


@dataclasses.dataclass(frozen=True)
class Incident:
    """An incident or maintenance; updates oldest first, components None if unknown."""

    id: str
    title: str
    status: str = ""
    updates: Tuple[Update, ...] = ()
    components: Optional[Tuple[str, ...]] = None
    impact: Optional[str] = None
    maintenance: bool = False
    url: Optional[str] = None


class Component(NamedTuple):
    """A named part of a page; at is when its status last changed."""

    id: str
    name: str
    status: str
    at: Optional[datetime.datetime]


@dataclasses.dataclass(frozen=True)
class Page:
    """What one document says.

    id tells one customer's page from another's; at is the document's own time;
    complete means that it lists all unresolved incidents there are (R7).
    """

    platform: str
    id: str = ""
    url: str = ""
    at: Optional[datetime.datetime] = None
    components: Tuple[Component, ...] = ()
    incidents: Tuple[Incident, ...] = ()
    complete: bool = False


@dataclasses.dataclass(frozen=True)
class Event:
    """Something a user is told. The fields are the keys of --json, in order."""

    type: EventType
    provider: str
    product: str
    components: Tuple[str, ...] = ()
    title: Optional[str] = None
    status: Optional[str] = None
    previous_status: Optional[str] = None
    message: Optional[str] = None
    impact: Optional[str] = None
    maintenance: bool = False
    incident_id: Optional[str] = None
    update_id: Optional[str] = None
    component_id: Optional[str] = None
    url: Optional[str] = None
    occurred_at: Optional[datetime.datetime] = None
    detected_at: Optional[datetime.datetime] = None
    edited: bool = False
    inferred: bool = False
    while_away: bool = False
    source: str = ""  # URL, without credentials or query


# --- Config: text -> Config. All mistakes are found, each is one line. ---


def load_config(path: str, interval: Optional[float] = None) -> Config:
    """Return what the file says. *interval* overrides its `[statuswatch]` interval.

    Raises ConfigError, one line a mistake, naming the file, the section and the key.
    """
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError("%s: %s" % (path, _reason(exc))) from exc
    return parse_config(text, path, interval)


def parse_config(text: str, path: str, interval: Optional[float] = None) -> Config:
    """Return the Config in *text*; *path* names it in errors."""
    ini = configparser.ConfigParser(
        delimiters=("=",),
        inline_comment_prefixes=(";",),
        default_section="",
        allow_no_value=True,
        interpolation=None,
    )
    ini.optionxform = str  # type: ignore[assignment,method-assign] # keys keep their case
    try:
        ini.read_string(text, path)
    except (
        configparser.DuplicateOptionError,
        configparser.DuplicateSectionError,
    ) as exc:
        key = getattr(exc, "option", None)
        where = "[%s]%s" % (exc.section, " %s" % key if key else "")
        message = "%s: %s: given twice (line %s)" % (path, where, exc.lineno)
        raise ConfigError(clean(message)) from exc
    except configparser.Error as exc:
        raise ConfigError(clean(str(exc).replace("\n", " "))) from exc
    mistakes: List[str] = []
    lines = ini["providers"] if ini.has_section("providers") else {}
    for section in ini.sections():
        if section not in ("providers", "statuswatch") and section not in lines:
            hint = _nearest(section, ("providers", "statuswatch", *lines))
            mistakes.append("[%s]: no such provider%s" % (section, hint))
    common = _options(ini, "statuswatch", SETTING_KEYS, mistakes)
    if interval is not None:
        common["interval"] = interval
    shared = {key: common.pop(key) for key in ("interval", "timeout") if key in common}
    providers = []
    for name, value in lines.items():
        try:
            urls, platform = _parse_line(name, value or "")
        except ValueError as exc:
            mistakes.append("[providers] %s: %s" % (name, exc))
            continue
        options = {**shared, **_options(ini, name, PROVIDER_KEYS, mistakes)}
        providers.append(Provider(name, urls, platform, **options))
    if not lines:
        mistakes.append("[providers]: no provider is named")
    if mistakes:
        raise ConfigError("\n".join(clean("%s: %s" % (path, m)) for m in mistakes))
    return Config(tuple(providers), **common)


def providers_of(urls: Iterable[str], interval: Optional[float]) -> Config:
    """Return a Config for addresses given on the command line, named by their host."""
    providers: Dict[str, Provider] = {}
    for url in urls:
        try:
            urls_, platform = _parse_line("", url)
        except ValueError as exc:
            raise ConfigError(clean("%s: %s" % (redact(url), exc))) from exc
        parts = urllib.parse.urlsplit(redact(url))
        name = parts.netloc if parts.netloc not in providers else redact(url)
        every = INTERVAL if interval is None else interval
        providers[name] = Provider(name, urls_, platform, interval=every)
    return Config(tuple(providers.values()))


def _parse_line(name: str, value: str) -> Tuple[Tuple[str, ...], str]:
    """Return the URLs and the platform in one line of `[providers]`."""
    words = value.split()
    urls = tuple(word for word in words if "/" in word or ":" in word)
    platforms = [word for word in words if word not in urls]
    if not urls:
        raise ValueError("no URL")
    if name in ("providers", "statuswatch"):
        raise ValueError("the name is taken by a section of that name")
    for url in urls:
        _check_url(url)
    for word in platforms:
        if word not in PLATFORMS:
            hint = _nearest(word, PLATFORMS)
            raise ValueError("unknown platform %r%s" % (word, hint))
    if len(platforms) > 1 or (platforms and (len(urls) > 1 or not is_page(urls[0]))):
        raise ValueError("one platform may follow one page, such as https://host")
    if len(urls) > 1 and any(is_page(url) for url in urls):
        raise ValueError("a page's sources are found by themselves: give one page")
    if len(set(urls)) < len(urls):
        raise ValueError("the same URL twice")
    return urls, platforms[0] if platforms else ""


def is_page(url: str) -> bool:
    """Return whether *url* names a page, whose sources are found, and not a source."""
    parts = urllib.parse.urlsplit(url)
    return parts.path in ("", "/") and not parts.query


def _check_url(url: str) -> None:
    problem = "bad URL %r" % redact(url)
    try:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https"):
            raise ValueError(
                "%s: it starts with neither http:// nor https://" % problem
            )
        if not parts.hostname or parts.port == 0 or url != clean(url):
            raise ValueError(problem)
        parts.hostname.encode("idna")  # refuses empty and overlong labels
    except UnicodeError as exc:
        raise ValueError(problem) from exc
    except ValueError as exc:
        raise exc if problem in str(exc) else ValueError(problem) from exc


def _options(
    ini: configparser.ConfigParser,
    section: str,
    keys: Mapping[str, Callable[[str], Any]],
    mistakes: List[str],
) -> Dict[str, Any]:
    """Return the values of one section; what is wrong is added to *mistakes*."""
    options = {}
    for key, value in ini[section].items() if ini.has_section(section) else ():
        try:
            if key not in keys:
                raise ValueError("unknown key%s" % _nearest(key, keys))
            options[key] = keys[key](value or "")
        except ValueError as exc:
            mistakes.append("[%s] %s: %s" % (section, key, exc))
    return options


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), 1)
    return " (did you mean %r?)" % near[0] if near else ""


def seconds(text: str) -> float:
    """Return a positive, finite number of seconds, or raise ValueError."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise ValueError("expected a number of seconds above 0, got %r" % text)
    return value


def count(text: str) -> int:
    """Return a whole number above 0, or raise ValueError."""
    if not re.fullmatch("[0-9]{1,9}", text) or int(text) == 0:
        raise ValueError("expected a whole number above 0, got %r" % text)
    return int(text)


def _names(text: str) -> Tuple[str, ...]:
    names = tuple(name.strip().casefold() for name in text.split(",") if name.strip())
    if not names:
        raise ValueError("expected names of components, separated by commas")
    return names


def _yes_no(text: str) -> bool:
    states = configparser.ConfigParser.BOOLEAN_STATES
    if text.lower() not in states:
        raise ValueError("expected yes or no, got %r" % text)
    return states[text.lower()]


def _impact(text: str) -> str:
    if text not in IMPACTS:
        raise ValueError("expected one of %s, got %r" % (", ".join(IMPACTS), text))
    return text


def _product(text: str) -> str:
    if not clean(text):
        raise ValueError("expected a name")
    return clean(text)


SETTING_KEYS: Dict[str, Callable[[str], Any]] = {
    "interval": seconds,
    "timeout": seconds,
    "workers": count,
    "max_size": count,
}
PROVIDER_KEYS: Dict[str, Callable[[str], Any]] = {
    "product": _product,
    "components": _names,
    "maintenance": _yes_no,
    "min_impact": _impact,
    "interval": seconds,
    "timeout": seconds,
}

# --- Text: all remote text is hostile. Pure. ---

# What could drive a terminal, reorder a line or break an encoder: C0, C1 and DEL but
# for white space, lone surrogates, bidi controls, invisible and tag characters. The
# joiners U+200C and U+200D stay: Persian and Hindi are spelled with them.
_HOSTILE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\ufdd0-\ufdef\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
_BLOCKS = frozenset(
    "address article aside blockquote br dd div dl dt figure footer form h1 h2 h3 h4 h5"
    " h6 header hr li main nav ol p pre section table tbody td tfoot th thead tr ul".split()
)
_SILENT = frozenset(("script", "style"))
# Tags that carry meaning in the feeds of status pages become control characters, which
# no remote text can contain once cleaned.
_MARKS = {"small": "\x01\x02", "strong": "\x03\x04", "b": "\x03\x04", "li": "\x05\x06"}


def clean(text: str) -> str:
    """Return *text* as one line that is safe on any terminal and in any encoding."""
    return " ".join(_HOSTILE.sub("", text).split())


def plain(markup: str) -> str:
    """Return the text of HTML *markup* (or of plain text), cleaned."""
    return clean(_marked(markup))


def shorten(text: str) -> str:
    """Return *text* cut to MAX_TEXT characters, the last an ellipsis."""
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1].rstrip() + "…"


def words_of(text: str) -> str:
    """Return what R4 compares: no case, white space, punctuation or Markdown links."""
    text = re.sub(r"\[([^\]\[]*)\]\([^()\s]*\)", r"\1", text)
    return re.sub(r"[\W_]+", " ", text).strip().casefold()


def redact(url: str) -> str:
    """Return *url* without user, password, query and fragment."""
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        return "?"
    host = parts.netloc.rpartition("@")[2]
    return clean(urllib.parse.urlunsplit((parts.scheme, host, parts.path, "", "")))


def digest(*texts: str, size: int = 6) -> str:
    """Return *size* characters (6 bits each) that stand for *texts*."""
    joined = "\0".join(texts).encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(hashlib.sha256(joined).digest())[:size].decode()


def _marked(markup: str) -> str:
    """Return the text of *markup* with tags turned to _MARKS and white space."""
    if "<" not in markup and "&" not in markup:
        return _HOSTILE.sub("", markup)
    markup = markup[:MAX_MARKUP]
    end = markup.rfind(">") + 1  # no tag ends after it: an unclosed "<" is just text
    parser = _MarkupParser()
    parser.feed(markup[:end])
    parser.close()
    return "".join(parser.parts) + _HOSTILE.sub("", html.unescape(markup[end:]))


class _MarkupParser(html.parser.HTMLParser):
    """Collects text in `parts`."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: List[str] = []
        self.silent = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in _BLOCKS:
            self.parts.append("\n")
        if tag in _MARKS:
            self.parts.append(_MARKS[tag][0])
        elif tag in _SILENT:
            self.silent = tag

    def handle_endtag(self, tag: str) -> None:
        if tag in _MARKS:
            self.parts.append(_MARKS[tag][1])
        if tag in _BLOCKS:
            self.parts.append("\n")
        if tag == self.silent:
            self.silent = ""

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.parts.append(_HOSTILE.sub("", data))


# --- Parsing: bytes -> Page. Pure: no clock, no network, no logging. ---

_CODECS = re.compile(  # not punycode and such, which are slow on purpose
    r"(?i)(utf|ucs|iso|8859|latin|windows|cp\d|koi8|big5|gb|euc|shift|sjis|us-?ascii|mac)"
)
_XML_DECLARATION = re.compile(r"""\s*<\?xml[^>]*?encoding\s*=\s*["']([\w.:-]+)["']""")
_ULID = re.compile("[0-7][0-9A-HJKMNP-TV-Z]{25}")  # github.com/ulid/spec
_INCIDENT_PATH = re.compile(r"/incidents/([^/?#\s]+)")
_STATUSPAGE_UPDATE = re.compile(
    "\x01([^\x01\x02]*)\x02\\s*\x03([^\x03\x04]*)\x04\\s*-?([^\x01]*)"
)
_STATUSPAGE_SCHEDULED = re.compile("\\s*\x03THIS IS A SCHEDULED EVENT")
_INCIDENTIO_UPDATE = re.compile("\\s*\x03([^\x03\x04:]*):([^\x03\x04]*)\x04")
_INCIDENTIO_COMPONENTS = re.compile(
    "\x03[^\x03\x04]*\x04\\s*((?:\x05[^\x05\x06]*\x06\\s*)+)$"
)
_INDICATORS = {  # statuspage.io: the words of status.json, as those of a component
    "none": "operational",
    "minor": "degraded_performance",
    "major": "partial_outage",
    "critical": "major_outage",
    "maintenance": "under_maintenance",
}


def parse(body: bytes, content_type: str = "") -> Page:
    """Return the Page in *body*, recognised by its own shape.

    Reads Statuspage v2 and incident.io JSON (summary, components, incidents,
    unresolved, scheduled-maintenances, status), the RSS and Atom feeds of both, and any
    other RSS or Atom feed as a list of incidents without a status. The encoding is that
    of the byte order mark, else of the XML declaration, else of *content_type*
    (a header's value), else UTF-8. Raises ParseError, and nothing else, for all else.
    """
    text = _decode(body, content_type)
    document: Any = _read_xml(text) if text.startswith("<") else _read_json(text)
    for recognise, read in FORMATS:
        if recognise(document):
            return read(document)
    if isinstance(document, Element):
        raise ParseError("neither RSS nor Atom: <%s>" % clean(document.tag)[:40])
    raise ParseError("JSON, but not of a status page we know")


def parse_time(
    text: Optional[str], near: Optional[datetime.datetime] = None
) -> Optional[datetime.datetime]:
    """Return the time of day in *text*, or None where there is none.

    Understands RFC 3339, RFC 822 with offsets or zone names, and Statuspage's
    "Sep 3, 14:49 UTC", whose year is the one that puts it last before *near*, and whose
    zone is that of *near* where it is unknown.
    """
    text = clean(text or "")
    with contextlib.suppress(ValueError, OverflowError, TypeError):
        iso = _ISO_TIME.match(text)
        if iso:
            zone = iso[3] or "Z"
            zone = "+00:00" if zone in "Zz" else zone[:3] + ":" + zone[-2:]
            at = "%sT%s%s" % (iso[1], iso[2] or "00:00:00", zone)
            return datetime.datetime.fromisoformat(at).astimezone(UTC)
        short = _SHORT_TIME.match(text)
        if short and near:
            month, day, clock, zone = short.groups()
            offset = _ZONES.get(zone.upper(), zone) or near.strftime("%z")
            latest = near + datetime.timedelta(days=1)
            for year in (latest.year, latest.year - 1):
                at = "%s %s %d %s %s" % (day, month, year, clock, offset)
                found = email.utils.parsedate_to_datetime(at)
                if found.tzinfo is None:
                    found = found.replace(tzinfo=near.tzinfo)
                if found <= latest:
                    return found.astimezone(UTC)
            return None
        head, _, zone = text.rpartition(" ")
        at = "%s %s" % (head, _ZONES.get(zone.upper(), zone))
        found = email.utils.parsedate_to_datetime(at)
        return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
    return None


_ISO_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d:\d\d)(?:[.,]\d+)?\s*([Zz]|[+-]\d\d:?\d\d)?)?$"
)
_SHORT_TIME = re.compile(r"([A-Z][a-z]{2})[a-z]* (\d{1,2}), ?(\d\d:\d\d)(?: (\S*))?$")
_ZONES = {  # names that email.utils does not know (it knows those of RFC 822)
    "WET": "+0000", "WEST": "+0100", "BST": "+0100", "CET": "+0100", "CEST": "+0200",
    "EET": "+0200", "EEST": "+0300", "MSK": "+0300", "IST": "+0530", "SGT": "+0800",
    "HKT": "+0800", "JST": "+0900", "KST": "+0900", "AEST": "+1000", "AEDT": "+1100",
    "NZST": "+1200", "NZDT": "+1300", "BRT": "-0300", "AKST": "-0900", "HST": "-1000",
}  # fmt: skip


def word(text: Optional[str]) -> str:
    """Return a status in snake_case, whatever the vendor calls it; "" for none."""
    return re.sub(r"[\s_-]+", "_", clean(text or "").lower())[:60]


def _decode(body: bytes, content_type: str) -> str:
    encoding = ""
    for mark, name in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            encoding, body = name, body[len(mark) :]
            break
    else:
        declared = _XML_DECLARATION.match(body[:256].decode("latin-1"))
        named = re.search(r"(?i)charset\s*=\s*[\"']?([\w.:-]+)", content_type)
        encoding = (declared or named or [""] * 2)[1]
        if body[:4:2] == b"\0\0" or body[1:4:2] == b"\0\0":
            encoding = "utf-16-be" if body[:1] == b"\0" else "utf-16-le"
    try:
        encoding = codecs.lookup(encoding).name if _CODECS.match(encoding) else "utf-8"
        return body.decode(encoding, "replace").strip()
    except (LookupError, ValueError):
        return body.decode("utf-8", "replace").strip()


_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def _read_xml(text: str) -> Element:
    """Return the root element. The body is parsed whole: expat slows down on pieces."""
    if text.count("<") > MAX_NODES:
        raise ParseError("XML of over %d elements" % MAX_NODES)
    if re.match(r"(?i)<(!doctype html|html)\b", text):
        raise ParseError("an HTML page, not a status document")
    try:
        return defusedxml.ElementTree.fromstring(text, forbid_dtd=True)
    except (XMLError, defusedxml.DefusedXmlException, ValueError) as exc:
        raise ParseError(clean("not well-formed XML: %s" % exc)[:200]) from exc


def _read_json(text: str) -> Any:
    if text.count("{") + text.count("[") > MAX_NODES:
        raise ParseError("JSON of over %d values" % MAX_NODES)
    if not text:
        raise ParseError("an empty body")
    try:
        return json.loads(text, parse_constant=_refuse, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as exc:
        raise ParseError(clean("neither JSON nor XML: %s" % exc)[:200]) from exc


def _refuse(constant: str) -> None:
    raise ValueError("%s is not JSON" % constant)


def _unique(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key is given twice")
    return members


# Statuspage v2 and incident.io JSON (developer.statuspage.io, "Public status API").


def is_statuspage(document: Any) -> bool:
    """Return whether *document* has the envelope of Statuspage's public API."""
    if not isinstance(document, dict) or not isinstance(document.get("page"), dict):
        return False
    lists = ("components", "incidents", "scheduled_maintenances", "status")
    return bool(document["page"].get("id")) and any(key in document for key in lists)


def parse_statuspage(document: Dict[str, Any]) -> Page:
    """Return the Page. incident.io leaves out empty arrays: absent means empty."""
    page, status = document["page"], document.get("status")
    page_id = _text(page, "id")
    url = _text(page, "url") if _text(page, "url").startswith("http") else ""
    components = [
        Component(
            _id(row),
            clean(_text(row, "name")),
            word(_text(row, "status")),
            parse_time(_text(row, "updated_at")),
        )
        for row in _rows(document, "components")
        if row.get("group") is not True
    ]
    incidents = [_statuspage_incident(row, url) for row in _rows(document, "incidents")]
    unresolved = all(incident.status not in DONE for incident in incidents)
    incidents += [
        dataclasses.replace(_statuspage_incident(row, url), maintenance=True)
        for row in _rows(document, "scheduled_maintenances")
    ]
    if set(document) <= {"page", "status"}:  # status.json: one word about the page
        if not isinstance(status, dict) or status.get("indicator") not in _INDICATORS:
            raise ParseError("JSON with a page but neither components nor incidents")
        name = clean(_text(page, "name"))
        components = [Component(page_id, name, _INDICATORS[status["indicator"]], None)]
    return Page(
        platform="incident.io" if _ULID.fullmatch(page_id) else "statuspage",
        id=page_id,
        url=redact(url),
        at=parse_time(_text(page, "updated_at")),
        components=tuple(components),
        incidents=tuple(incidents),
        # summary.json lists all that is unresolved, and so does unresolved.json;
        # incidents.json lists the latest 50, resolved or not.
        complete=isinstance(status, dict)
        or ("incidents" in document and unresolved and len(incidents) < 50),
    )


def _statuspage_incident(row: Dict[str, Any], page_url: str) -> Incident:
    updates = [
        Update(
            _text(update, "id"),
            word(_text(update, "status")),
            plain(_text(update, "body")),
            parse_time(_text(update, "display_at") or _text(update, "created_at")),
        )
        for update in reversed(_rows(row, "incident_updates"))
    ]
    names = None
    if "components" in row:
        names = tuple(clean(_text(part, "name")) for part in _rows(row, "components"))
    key = _id(row)
    url = _text(row, "shortlink") or "%s/incidents/%s" % (page_url.rstrip("/"), key)
    status = word(_text(row, "status"))
    return Incident(
        id=key,
        title=clean(_text(row, "name")),
        status=status,
        updates=tuple(_oldest_first(updates)),
        components=names,
        impact=word(_text(row, "impact")) or None,
        maintenance=status in MAINTENANCE,
        url=redact(url) if url.startswith("http") else None,
    )


def _oldest_first(updates: List[Update]) -> List[Update]:
    """Return *updates* by time; those without one stay where they are."""
    if any(update.at is None for update in updates):
        return updates
    return sorted(updates, key=lambda update: update.at)  # type: ignore[arg-type,return-value]


def _text(row: Mapping[str, Any], key: str) -> str:
    """Return the text at *key*: "" if absent or null, ParseError if not a scalar."""
    value = row.get(key)
    if value is None:
        return ""
    if not isinstance(value, (str, int)):
        raise ParseError("%r is not text" % clean(key))
    return str(value)


def _rows(row: Mapping[str, Any], key: str) -> List[Dict[str, Any]]:
    """Return the objects at *key*: none if absent or null, ParseError if no array."""
    rows = row.get(key)
    if rows is None:
        return []
    if not isinstance(rows, list) or not all(isinstance(part, dict) for part in rows):
        raise ParseError("%r is not an array of objects" % clean(key))
    return rows


def _id(row: Mapping[str, Any]) -> str:
    """Return the row's id; one of unusual length is cut and stays unique."""
    key = clean(_text(row, "id"))
    if not key:
        raise ParseError("a row has no id")
    return key if len(key) <= 100 else "%s~%s" % (key[:80], digest(key, size=10))


# RSS and Atom (RFC 4287; rssboard.org/rss-specification).


def is_feed(document: Any) -> bool:
    """Return whether *document* is the root of an RSS, RDF or Atom feed."""
    return isinstance(document, Element) and _local(document) in ("rss", "rdf", "feed")


def parse_feed(root: Element) -> Page:
    """Return the Page. Entries that share an id are one incident with more updates."""
    channel = next((e for e in root if _local(e) == "channel"), root)
    parts = itertools.chain(channel, root if root is not channel else ())
    entries = [element for element in parts if _local(element) in ("item", "entry")]
    generator = _field(channel, "generator") == "incident.io"
    incidents: Dict[str, Incident] = {}
    platforms = set()
    newest = parse_time(_field(channel, "updated", "lastBuildDate", "pubDate"))
    for entry in entries:
        platform, incident = _entry(entry, generator)
        platforms.add(platform)
        known = incidents.get(incident.id)
        if known:
            updates = _oldest_first([*incident.updates, *known.updates])
            incident = dataclasses.replace(known, updates=tuple(updates))
        incidents[incident.id] = incident
        at = parse_time(_field(entry, "updated", "pubDate"))
        newest = max(filter(None, (newest, at)), default=None)
    platform = platforms.pop() if len(platforms) == 1 else "feed"
    link = _link(channel) or _field(channel, "id")
    host = re.search(r"(?:://|tag:)([\w.-]+)", link)
    return Page(
        platform="incident.io" if generator else platform,
        id=host[1].lower() if host and platform != "feed" else "",
        url=redact(link) if link.startswith("http") else "",
        at=newest,
        incidents=tuple(incidents.values()),
    )


def _entry(entry: Element, generator: bool) -> Tuple[str, Incident]:
    """Return the platform whose form an entry has, "feed" for any, and the incident."""
    link, guid = _link(entry), _field(entry, "guid", "id")
    at = parse_time(_field(entry, "updated", "pubDate", "date", "published", "issued"))
    texts = [_markup(e) for e in entry if _local(e) in _BODIES]
    title = _title(entry)
    path = _INCIDENT_PATH.search(link or guid)
    key = path[1] if path else guid or link or digest(title, str(at), size=12)
    platform, components = "feed", None
    updates = [Update("", "", clean(max(texts, key=len, default="")), at)]
    for text in texts:
        found = _statuspage_updates(text, at)
        status = _INCIDENTIO_UPDATE.match(text)
        if found:
            platform, updates = "statuspage", found
        elif status and (generator or word(status[1]) == "status"):
            platform = "incident.io"
            listed = _INCIDENTIO_COMPONENTS.search(text, status.end())
            if listed:
                components = tuple(
                    clean(name).rpartition(" (")[0] or clean(name)
                    for name in re.findall("\x05([^\x06]*)\x06", listed[1])
                )
            body = text[status.end() : listed.start() if listed else None]
            updates = [Update("", word(status[2]), clean(body), at)]
    planned = any(_STATUSPAGE_SCHEDULED.match(text) for text in texts)
    return platform, Incident(
        id=_id({"id": key}),
        title=title,
        status=updates[-1].status,
        updates=tuple(updates),
        components=components,
        maintenance=planned or any(u.status in MAINTENANCE for u in updates),
        url=redact(link) if link.startswith(("http://", "https://")) else None,
    )


def _statuspage_updates(text: str, near: Optional[datetime.datetime]) -> List[Update]:
    """Return the updates in one entry's marked text, oldest first; none if not so.

    `Update` says that the status did not change: it is that of the update before.
    """
    updates: List[Update] = []
    status = ""
    for date, label, body in reversed(_STATUSPAGE_UPDATE.findall(text)):
        status = status if word(label) == "update" else word(label)
        updates.append(Update("", status, clean(body), parse_time(date, near) or near))
    return updates


_BODIES = ("description", "summary", "content", "encoded")


def _local(element: Element) -> str:
    """Return the tag without its namespace, in lower case."""
    return str(element.tag).rpartition("}")[2].lower()


def _field(element: Element, *names: str) -> str:
    """Return the text of the first of *names* that is not empty, in any namespace.

    An element of the parent's own namespace comes before foreign ones (media:title).
    """
    space = str(element.tag).rpartition("}")[0]
    children = sorted(element, key=lambda e: not str(e.tag).startswith(space))
    for name in names:
        for child in children:
            if _local(child) == name.lower() and (child.text or "").strip():
                return (child.text or "").strip()
    return ""


def _title(entry: Element) -> str:
    space = str(entry.tag).rpartition("}")[0]
    for child in entry:
        if _local(child) == "title" and str(child.tag).rpartition("}")[0] == space:
            return clean(_markup(child))
    return ""


def _markup(element: Element) -> str:
    """Return the marked text of a text construct: HTML, XHTML or plain."""
    if len(element):
        return " ".join(element.itertext())
    if element.get("type") in ("text", "text/plain"):
        return _HOSTILE.sub("", element.text or "")
    return _marked(element.text or "")


def _link(element: Element) -> str:
    """Return the address of the web page an entry or a feed is about."""
    for child in element:
        if _local(child) == "link":
            if child.get("rel", "alternate") == "alternate" and child.get("href"):
                return (child.get("href") or "").strip()
            if (child.text or "").strip():
                return (child.text or "").strip()
    return ""


FORMATS: Tuple[Tuple[Callable[[Any], bool], Callable[[Any], Page]], ...] = (
    (is_statuspage, parse_statuspage),
    (is_feed, parse_feed),
)
# Where the sources of a page are; of alternatives, the first that can be read.
PLATFORMS: Dict[str, Tuple[Tuple[str, ...], ...]] = {
    "incident.io": (("/feed.atom", "/feed.rss"), ("/api/v2/components.json",)),
    "statuspage": (("/history.atom", "/history.rss"), ("/api/v2/summary.json",)),
}

# --- Tracking: Pages -> Events, by the rules R1 to R15. Pure: no clock, no logging. ---


@dataclasses.dataclass
class SourceState:
    """What is remembered of one source. Goes into the state file as it is.

    Written by the worker that polls the provider, and between two polls by the
    scheduler. Times are seconds since 1970.
    """

    seeded: bool = False
    etag: str = ""
    modified: str = ""
    digest: str = ""  # of the body last accepted
    earlier: Tuple[str, ...] = ()  # of the bodies before it, latest last
    page_id: str = ""
    newest: float = 0.0  # the newest document time accepted
    complete: bool = False
    stale: int = 0  # polls in a row that showed a stale body (R6)
    foreign: int = 0  # polls in a row that showed another page (R14)
    read_at: float = 0.0  # last good read
    full_at: float = 0.0  # last good read that was not a 304
    failed_at: float = 0.0  # start of the present run of failures, 0 if there is none
    warned: bool = False  # has that been said?
    wait_until: float = 0.0  # not to be asked before, for politeness
    moved_to: str = ""  # where it was last permanently redirected to
    moved: int = 0  # how often in a row


class Read(NamedTuple):
    """One good read of a source, as observe() takes it; page is None if unchanged."""

    slot: str  # names the source in the memory
    url: str
    page: Optional[Page]
    seeded: bool
    complete: bool
    away: bool


class Observation(NamedTuple):
    """What observe() returns. memory is the JSON text to give to it next time.

    pending: an incident may be over, so that unchanged reads must be observed too (R7).
    """

    memory: str
    events: Tuple[Event, ...]
    pending: bool
    incidents: int
    components: int


def accept(state: SourceState, page: Page, body_digest: str) -> Tuple[SourceState, str]:
    """Return the source's new state and, if the page is to be set aside, why.

    Decides R6 (stale copies) and R14 (another customer's page). What is set aside
    changes nothing but the count of its polls in a row.
    """
    if page.id and state.page_id and page.id != state.page_id:  # R14
        if state.foreign + 1 < PATIENCE:
            state = dataclasses.replace(state, foreign=state.foreign + 1)
            return state, "another page's document"
        state = SourceState(failed_at=state.failed_at)
    at = page.at.timestamp() if page.at else 0.0
    newest = max(state.newest, at)
    if body_digest in state.earlier and at < state.newest:  # R6
        if state.stale + 1 < PATIENCE:
            state = dataclasses.replace(state, foreign=0, stale=state.stale + 1)
            return state, "a stale copy"
        newest = at
    earlier = state.earlier
    if state.digest and state.digest != body_digest:
        earlier = (*earlier, state.digest)[-EARLIER:]
    state = dataclasses.replace(
        state,
        digest=body_digest,
        earlier=earlier,
        page_id=page.id or state.page_id,
        newest=newest,
        complete=page.complete,
        stale=0,
        foreign=0,
    )
    return state, ""


def observe(
    provider: Provider, memory: str, reads: Sequence[Read], now: datetime.datetime
) -> Observation:
    """Return the events that *reads*, all good reads of one poll, bring.

    Events are in order: of a source by source, of an incident oldest first. The first
    read of a source is silent (R1). Observing the same again is silent.
    """
    tracker = _Tracker(provider, memory, now)
    pages = [(read, read.page) for read in reads if read.page is not None]
    for read, page in pages:
        if not read.seeded:
            tracker.forget_source(read.slot)
        tracker.describe(page)
    # An update without words is silent if another source has the words: it comes last.
    pages.sort(
        key=lambda pair: not any(u.body for i in pair[1].incidents for u in i.updates)
    )
    for read, page in pages:
        tracker.read = read
        for incident in sorted(reversed(page.incidents), key=_began):
            tracker.see_incident(incident)
        tracker.see_components(page)
    for read in reads:
        tracker.read = read
        tracker.see_absences()
    return tracker.observation()


def _mark(update: Update) -> str:
    """Return the mark of an update: two characters of its status, five of its words."""
    words = words_of(update.body)
    return digest(update.status, size=2) + digest(update.status, words, size=5)


def _began(incident: Incident) -> float:
    """Return when an incident was first heard of, to tell the oldest first."""
    times = [update.at.timestamp() for update in incident.updates if update.at]
    return min(times, default=0.0)


@dataclasses.dataclass
class _View:
    """What one source has shown of one incident.

    shown maps the key of each update it shows (its id, else its mark and a number) to
    its mark; gone has the marks it has shown and shows no more, each time they went.
    absent counts the good reads in a row without the incident (R7); it is -1 where the
    source lists only some incidents, so that its absence says nothing.
    """

    status: str = ""
    names: str = ""  # digest of the affected components' names, "" if it has none
    absent: int = 0
    shown: Dict[str, str] = dataclasses.field(default_factory=dict)
    gone: List[str] = dataclasses.field(default_factory=list)

    def count(self, mark: str) -> int:
        """Return how often the source has newly shown marks that start so."""
        marks = itertools.chain(self.shown.values(), self.gone)
        return sum(1 for each in marks if each.startswith(mark))

    def pending(self) -> bool:
        """Return whether the incident may be over without a word (R7)."""
        return self.absent > 0 and self.status not in DONE


@dataclasses.dataclass
class _Story:
    """What is known of one incident from all sources together (R9)."""

    status: str = ""
    title: str = ""
    url: Optional[str] = None
    names: Tuple[str, ...] = ()
    impact: Optional[str] = None
    maintenance: bool = False
    views: Dict[str, "_View"] = dataclasses.field(default_factory=dict)

    def told(self, mark: str) -> int:
        """Return how often *mark* was told: as often as any source has shown it."""
        return max((view.count(mark) for view in self.views.values()), default=0)

    def heard(self) -> bool:
        """Return whether any update was ever shown."""
        return any(view.shown or view.gone for view in self.views.values())

    def needed(self) -> bool:
        """Return whether a source lists it, or its end is still to come."""
        return any(view.absent == 0 or view.pending() for view in self.views.values())


_Components = Dict[str, Tuple[str, float, str]]  # id -> status, its time, source


class _Tracker:
    """One observation in progress: made from the memory, and made into it again."""

    def __init__(self, provider: Provider, memory: str, now: datetime.datetime) -> None:
        self.provider, self.now = provider, now
        self.read = Read("", "", None, True, False, False)
        self.events: List[Event] = []
        self.stories, self.components = _decode_memory(memory)

    def forget_source(self, slot: str) -> None:
        """Forget what a source shows, not what was told: it seeds (R1, R14)."""
        for story in self.stories.values():
            view = story.views.get(slot)
            if view:
                gone = view.gone + list(view.shown.values())
                story.views[slot] = _View(gone=gone)
        for key, (_, _, owner) in list(self.components.items()):
            if owner == slot:
                del self.components[key]

    def describe(self, page: Page) -> None:
        """Merge what is said about incidents, before anything is told (R9)."""
        for incident in page.incidents:
            story = self.stories.pop(incident.id, None) or _Story()
            self.stories[incident.id] = story  # the latest last
            story.title = incident.title or story.title
            story.url = incident.url or story.url
            story.names = incident.components or story.names
            story.impact = incident.impact or story.impact
            story.maintenance = story.maintenance or incident.maintenance

    def see_incident(self, incident: Incident) -> None:
        """Tell the updates of one incident that were not told (R2, R3, R4, R9)."""
        story = self.stories[incident.id]
        view = story.views.setdefault(self.read.slot, _View())
        fresh, shown = False, set()
        numbers: Dict[str, int] = collections.Counter()
        updates = incident.updates
        if not updates and (incident.status != story.status or not story.heard()):
            updates = (Update("", incident.status, "", None),)
        for update in updates:
            mark = _mark(update)
            numbers[mark] += 1
            key = digest(update.id) if update.id else "%s#%d" % (mark, numbers[mark])
            shown.add(key)
            if view.shown.get(key) != mark:
                fresh = True
                self._show(incident.id, story, view, (key, mark), update)
        for key in [key for key in view.shown if "#" in key and key not in shown]:
            view.gone.append(view.shown.pop(key))  # has no id: new if it returns (R3)
        names = ""
        if incident.components is not None:
            names = digest("names", *sorted(set(incident.components)))
        if names and view.names and names != view.names and not fresh:  # R4
            latest = incident.updates[-1] if incident.updates else None
            body, at = (latest.body, None) if latest else ("", None)
            update = Update("", incident.status, body, at)
            self._tell(
                incident.id, story, EventType.INCIDENT_UPDATE, update, edited=True
            )
        view.names = names or view.names
        view.status, view.absent = incident.status, 0
        view.gone = view.gone[-MEMORY:]

    def _show(
        self,
        incident_id: str,
        story: _Story,
        view: _View,
        shown: Tuple[str, str],
        update: Update,
    ) -> None:
        """Count a (key, mark) newly shown by a source; tell it unless told (R9)."""
        key, mark = shown
        # Without words it may be what another source has in full: the status decides.
        counted = mark if words_of(update.body) else mark[:2]
        new, told, edited = not story.heard(), story.told(counted), key in view.shown
        if edited:
            view.gone.append(view.shown[key])
        view.shown[key] = mark
        if view.count(counted) > told:
            kind = EventType.NEW_INCIDENT if new else EventType.INCIDENT_UPDATE
            self._tell(incident_id, story, kind, update, edited=edited)

    def _tell(
        self,
        key: str,
        story: _Story,
        kind: EventType,
        update: Update,
        edited: bool = False,
        inferred: bool = False,
    ) -> None:
        previous = story.status or None
        if not edited:
            story.status = update.status or story.status
        self._add(
            kind,
            components=story.names,
            title=story.title,
            status=update.status or None,
            previous_status=previous,
            message=update.body,
            impact=story.impact,
            maintenance=story.maintenance,
            incident_id=key,
            update_id=update.id or None,
            url=story.url,
            occurred_at=update.at,
            edited=edited,
            inferred=inferred,
        )

    def see_components(self, page: Page) -> None:
        """Tell the components whose status changed (R5).

        A component belongs to the source that showed its status last. Another source
        of the provider, which may lag, takes it over with a newer time, or with one
        that is not older where its owner no longer lists it.
        """
        slot = self.read.slot
        listed = {component.id for component in page.components}
        for key, (status, at, owner) in list(self.components.items()):
            if owner == slot and key not in listed:
                self.components[key] = (status, at, "")
        for component in page.components:
            at = component.at.timestamp() if component.at else 0.0
            before, changed, owner = self.components.pop(component.id, ("", 0.0, slot))
            late = owner != slot and (at < changed or (owner != "" and at == changed))
            if late or not component.status:
                self.components[component.id] = (before, changed, owner)
                continue
            self.components[component.id] = (component.status, at, slot)
            if before and before != component.status:
                self._add(
                    EventType.COMPONENT_STATUS_CHANGE,
                    components=(component.name,),
                    status=component.status,
                    previous_status=before,
                    component_id=component.id,
                    url=page.url or None,
                    # A time that did not change with the status is not the change's.
                    occurred_at=component.at if at > changed else None,
                )

    def see_absences(self) -> None:
        """Tell the incidents that a complete source stopped listing (R7)."""
        slot, page = self.read.slot, self.read.page
        listed = {incident.id for incident in page.incidents} if page else set()
        for key, story in self.stories.items():
            view = story.views.get(slot)
            if view is None or key in listed or (page is None and not view.pending()):
                continue
            view.absent = view.absent + 1 if self.read.complete else -1
            if not view.status or not view.pending():
                continue
            others = [v for name, v in story.views.items() if name != slot]
            unresolved = any(v.status in OPEN and not v.absent for v in others)
            if any(v.status in DONE for v in others):
                view.status = "resolved"
            elif view.absent >= (ABSENT_ELSEWHERE if unresolved else ABSENT):
                view.status = "completed" if story.maintenance else "resolved"
                update = Update("", view.status, "no longer listed by the vendor", None)
                self._tell(key, story, EventType.INCIDENT_UPDATE, update, inferred=True)

    def _add(self, kind: EventType, **fields: Any) -> None:
        """Add an event, unless the source is being seeded (R1)."""
        if not self.read.seeded:
            return
        event = Event(
            type=kind,
            provider=self.provider.name,
            product=self.provider.product or self.provider.name,
            detected_at=self.now,
            while_away=self.read.away,  # R15
            source=redact(self.read.url),
            **fields,
        )
        if is_wanted(self.provider, event):
            self.events.append(event)

    def observation(self) -> Observation:
        """Return the result; forget the oldest of what is no longer listed (R8)."""
        unlisted = [key for key, story in self.stories.items() if not story.needed()]
        for key in unlisted[: max(0, len(self.stories) - MEMORY)]:
            del self.stories[key]
        unlisted = [key for key, part in self.components.items() if not part[2]]
        listed = len(self.components) - len(unlisted)
        for key in unlisted[: max(0, len(unlisted) - MEMORY)]:
            del self.components[key]
        views = [
            view for story in self.stories.values() for view in story.views.values()
        ]
        return Observation(
            _encode_memory(self.stories, self.components),
            tuple(self.events),
            any(view.pending() for view in views),
            len(self.stories),
            listed,
        )


def _encode_memory(stories: Dict[str, _Story], components: _Components) -> str:
    """Return the memory as compact JSON: digests, and texts only while needed."""
    incidents: Dict[str, Any] = {}
    latest = set(list(stories)[-DETAILED:])
    for key, story in stories.items():
        views = {}
        for slot, view in story.views.items():
            pairs = view.shown.items()
            shown = " ".join(m if "#" in k else "%s=%s" % (k, m) for k, m in pairs)
            views[slot] = [view.status, view.names, view.absent, shown]
            views[slot] += [" ".join(view.gone)] if view.gone else []
        incidents[key] = [story.status, views]
        if key in latest or (story.status and story.status not in DONE):
            details = (story.title, story.url, story.names, story.impact)
            incidents[key] += [*details, story.maintenance]
    memory = {"incidents": incidents, "components": components}
    return json.dumps(memory, separators=(",", ":"))


def _decode_memory(memory: str) -> Tuple[Dict[str, _Story], _Components]:
    """Return what _encode_memory() was given; nothing for an empty text."""
    stored = json.loads(memory or '{"incidents":{},"components":{}}')
    stories = {}
    for key, (status, views, *details) in stored["incidents"].items():
        story = stories[key] = _Story(status, *details)
        story.names = tuple(story.names)
        for slot, (view_status, names, absent, shown, *gone) in views.items():
            view = story.views[slot] = _View(view_status, names, absent)
            view.gone = gone[0].split() if gone else []
            numbers: Dict[str, int] = collections.Counter()
            for item in shown.split():
                update, _, mark = item.rpartition("=")
                numbers[mark] += 1
                view.shown[update or "%s#%d" % (mark, numbers[mark])] = mark
    return stories, {key: tuple(value) for key, value in stored["components"].items()}


def is_wanted(provider: Provider, event: Event) -> bool:
    """Return whether the provider's filters let *event* through."""
    if event.maintenance and not provider.maintenance:  # R13
        return False
    if event.impact in IMPACTS:
        if IMPACTS.index(event.impact) < IMPACTS.index(provider.min_impact):
            return False
    names = {name.casefold() for name in event.components}
    names.add((event.component_id or "").casefold())
    return not (provider.components and event.components) or any(
        name in names for name in provider.components
    )


# --- Formatting: Event -> text. Pure. ---


def format_text(event: Event) -> str:
    """Return the two lines, and the blank one, that a person reads."""
    at = event.occurred_at or event.detected_at
    stamp = at.strftime("%Y-%m-%d %H:%M:%S") if at else ""
    affected = ", ".join(event.components) or event.title or ""
    product = " - ".join(filter(None, (event.product, shorten(clean(affected)))))
    status = sentence(event.status) + (" (while away)" if event.while_away else "")
    if event.type is not EventType.COMPONENT_STATUS_CHANGE:
        untold = (event.title or "") if event.components else ""
        message = shorten(clean(event.message or untold))
        status += " — " + message if message else ""
    return "[%s] Product: %s\nStatus: %s\n\n" % (stamp, product, status)


def format_json(event: Event) -> str:
    """Return one line of JSON, in ASCII so that it survives any encoding."""
    members = dict(vars(event), type=event.type.value)
    for key in ("occurred_at", "detected_at"):
        at = members[key]
        members[key] = at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else None
    return json.dumps(members) + "\n"


def sentence(status: Optional[str]) -> str:
    """Return a status in plain words, such as "Degraded performance"."""
    return ((status or "unknown").replace("_", " ")).capitalize()


def ago(duration: float) -> str:
    """Return a duration in seconds in words, such as "2 h 5 min"."""
    minutes, rest = divmod(int(duration), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours // 24, "d"), (hours % 24, "h"), (minutes, "min"), (rest, "s"))
    return " ".join(["%d %s" % part for part in parts if part[0]][:2]) or "0 s"


# --- Fetching: URL -> Response. The network, and only here. Called by workers. ---


class Response(NamedTuple):
    """A usable answer; body is None for 304. fresh_for is max-age, in seconds."""

    body: Optional[bytes]
    content_type: str
    etag: str
    modified: str
    fresh_for: float
    moved_to: str  # where a permanent redirect led, else ""


class Attempt:
    """One fetch under its deadline. The scheduler's thread may cut it at any time.

    It holds a duplicate of the socket in use: shutting that ends any read, TLS
    handshake or connect of the worker's, whatever has wrapped the socket meanwhile.
    """

    def __init__(self, due: float, proxied: bool) -> None:
        self.due, self.proxied = due, proxied
        self.private = True  # may it go to private addresses? A configured page may
        self.peer = ""  # address of the server last spoken to
        self.over = False
        self._socket: Optional[socket.socket] = None
        self._lock = threading.Lock()  # held while replacing or shutting _socket

    def attach(self, line: socket.socket) -> None:
        """Make *line* the socket that cut() shuts."""
        with self._lock:
            self._drop()
            self._socket = socket.socket(fileno=os.dup(line.fileno()))
        if self.over:
            self.cut()

    def cut(self) -> None:
        """End the attempt now."""
        self.over = True
        with self._lock, contextlib.suppress(OSError):
            if self._socket:
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give back the duplicate. The connection itself may live on."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        if self._socket:
            self._socket.close()
        self._socket = None

    def left(self) -> float:
        """Return the seconds left, or raise FetchError if there are none."""
        left = self.due - time.monotonic()
        if self.over or left <= 0:
            raise FetchError("took too long")
        return left

    def check_address(self, address: str) -> None:
        """Refuse a private address to which a public page redirects us."""
        if not self.private and not self.proxied and not _is_public(address):
            raise FetchError("redirect from a public page to a private address")

    def leave(self) -> None:
        """Note what a redirect may lead to: once public, never private again."""
        self.private = self.private and not _is_public(self.peer)


_current = threading.local()  # .attempt: the Attempt this worker is making


class _Connection(urllib3.connection.HTTPConnection):
    """A connection whose socket the present Attempt can cut."""

    def _new_conn(self) -> socket.socket:
        """Connect. All addresses of the host share what is left of the deadline."""
        attempt: Attempt = _current.attempt
        error: OSError = OSError("no address")
        host = getattr(self, "_dns_host", self.host)
        found = socket.getaddrinfo(host, self.port, 0, socket.SOCK_STREAM)
        for number, (family, kind, protocol, _, address) in enumerate(found):
            attempt.check_address(str(address[0]))
            line = socket.socket(family, kind, protocol)
            try:
                for option in self.socket_options or ():
                    line.setsockopt(*option)
                line.settimeout(attempt.left() / (len(found) - number))
                attempt.attach(line)
                line.connect(address)
                attempt.peer = str(address[0])
                return line
            except OSError as exc:
                line.close()
                error = exc
            except FetchError:
                line.close()
                raise
        raise error

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send a request, possibly over a connection made for an earlier attempt."""
        if self.sock:
            self._reuse(self.sock)
        super().request(*args, **kwargs)

    def _reuse(self, line: socket.socket) -> None:
        attempt: Attempt = _current.attempt
        attempt.peer = str(line.getpeername()[0])
        attempt.check_address(attempt.peer)
        attempt.attach(line)


class _SecureConnection(_Connection, urllib3.connection.HTTPSConnection):
    """The same over TLS."""


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection  # type: ignore[assignment]


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection  # type: ignore[assignment]


class _Adapter(requests.adapters.HTTPAdapter):
    """Transport with one TLS context for all hosts; requests makes one for each."""

    def __init__(self, hosts: int, connections: int) -> None:
        self.context = ssl.create_default_context()
        bundle = os.environ.get("REQUESTS_CA_BUNDLE") or requests.certs.where()
        if os.path.isdir(bundle):
            self.context.load_verify_locations(capath=bundle)
        else:
            self.context.load_verify_locations(cafile=bundle)
        super().__init__(pool_connections=hosts, pool_maxsize=connections)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self.context, **kwargs)
        self._watch(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, ssl_context=self.context, **kwargs)
        self._watch(manager)
        return manager

    def cert_verify(self, conn: Any, *args: Any, **kwargs: Any) -> None:
        """Leave certificates to the context; do not load them again for each host."""
        conn.cert_reqs = "CERT_REQUIRED"

    def _watch(self, manager: Any) -> None:
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


NETWORK_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)
REDIRECTS = frozenset((301, 302, 303, 307, 308))


class Fetcher:
    """Owns the connections. Workers call fetch(), the scheduler cut() and close()."""

    def __init__(self, hosts: int, workers: int, max_size: int = MAX_SIZE) -> None:
        self.max_size = max_size
        self.stopping = threading.Event()
        self._adapter = _Adapter(hosts, workers)
        self._attempts: Dict[int, Attempt] = {}  # by id; one for each busy worker
        self._proxies: Dict[str, Dict[str, str]] = {}  # by URL
        self._retry = tenacity.Retrying(
            stop=tenacity.stop_any(
                tenacity.stop_after_attempt(ATTEMPTS),
                tenacity.stop_when_event_set(self.stopping),
            ),
            wait=tenacity.wait_random_exponential(multiplier=0.25, max=2),
            retry=tenacity.retry_if_exception(_is_passing),
            sleep=tenacity.sleep_using_event(self.stopping),
            reraise=True,
        )

    def fetch(
        self, url: str, etag: str = "", modified: str = "", timeout: float = TIMEOUT
    ) -> Response:
        """Return the answer to a GET of *url*, conditional if a validator is given.

        All attempts, redirects and addresses share *timeout* seconds. Raises FetchError.
        """
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip", "Accept": "*/*"}
        if etag:
            headers["If-None-Match"] = _tags(etag)
        if modified:
            headers["If-Modified-Since"] = modified
        proxies = self._proxies[url] = self._proxies_for(url)
        attempt = Attempt(time.monotonic() + timeout, bool(proxies))
        self._attempts[id(attempt)] = _current.attempt = attempt
        try:
            return self._retry(self._follow, attempt, url, headers)
        except FetchError as exc:
            if attempt.over and not self.stopping.is_set():
                raise FetchError("took longer than %g s" % timeout) from exc
            raise
        finally:
            del self._attempts[id(attempt)]
            attempt.close()

    def cut(self, now: float) -> float:
        """End the attempts that are past their deadline; return when the next is due."""
        due = now + 3600.0
        for attempt in list(self._attempts.values()):
            if attempt.due <= now:
                attempt.cut()
            else:
                due = min(due, attempt.due)
        return due

    def stop(self) -> None:
        """End all attempts and all waiting; nothing can be fetched any more."""
        self.stopping.set()
        self.cut(float("inf"))

    def close(self) -> None:
        """Close all connections."""
        self._adapter.close()

    def _follow(self, attempt: Attempt, url: str, headers: Dict[str, str]) -> Response:
        """Return the answer at the end of at most MAX_HOPS redirects."""
        attempt.private, permanent, moved_to = True, True, ""
        for _ in range(MAX_HOPS + 1):
            response = self._send(attempt, url, headers)
            try:
                target = response.headers.get("Location", "")
                if response.status_code not in REDIRECTS or not target:
                    return self._answer(attempt, response, headers, moved_to)
                url = _hop(url, target)
                permanent = permanent and response.status_code in (301, 308)
                moved_to = url if permanent else moved_to
                attempt.leave()
                with contextlib.suppress(
                    Exception
                ):  # a short body: keep the connection
                    response.raw.read(MAX_MARKUP, decode_content=False)
            finally:
                response.close()
        raise FetchError("more than %d redirects" % MAX_HOPS)

    def _send(
        self, attempt: Attempt, url: str, headers: Dict[str, str]
    ) -> requests.Response:
        if self.stopping.is_set():
            raise FetchError("stopped")
        try:
            return self._adapter.send(
                requests.Request("GET", url, headers).prepare(),
                stream=True,
                timeout=attempt.left(),
                proxies=self._proxies_for(url),
            )
        except (requests.exceptions.SSLError, ValueError) as exc:  # stays as it is
            raise FetchError(_reason(exc)) from exc
        except NETWORK_ERRORS as exc:
            raise FetchError(_reason(exc), passing=not attempt.over) from exc

    def _answer(
        self,
        attempt: Attempt,
        response: requests.Response,
        sent: Mapping[str, str],
        moved_to: str,
    ) -> Response:
        """Return what *response* is good for; only 200 and an asked-for 304 are."""
        status, headers = response.status_code, response.headers
        asked = "If-None-Match" in sent or "If-Modified-Since" in sent
        body = None
        if status == 200:
            body = self._body(attempt, response)
        elif status != 304 or not asked:
            wait = parse_retry_after(headers.get("Retry-After"), headers.get("Date"))
            passing = wait is None and (status == 429 or status >= 500)
            raise FetchError("HTTP status %d" % status, status, wait, passing)
        else:
            response.raw.read()  # nothing, but it gives the connection back
        return Response(
            body,
            headers.get("Content-Type", ""),
            _validator(headers.get("ETag")),
            _validator(headers.get("Last-Modified")),
            parse_max_age(headers.get("Cache-Control", ""), headers.get("Age", "")),
            moved_to,
        )

    def _body(self, attempt: Attempt, response: requests.Response) -> bytes:
        """Return the decoded body, read under the deadline and the size cap."""
        chunks, size = [], 0
        try:
            for chunk in response.iter_content(65536):
                chunks.append(chunk)
                size += len(chunk)
                if size > self.max_size:
                    raise FetchError("a body of over %d bytes" % self.max_size)
                attempt.left()
        except NETWORK_ERRORS as exc:
            raise FetchError(_reason(exc), passing=not attempt.over) from exc
        attempt.left()  # a cut connection can look like a complete body
        return b"".join(chunks)

    def _proxies_for(self, url: str) -> Dict[str, str]:
        """Return what the environment says of *url*; once for all where it is ours."""
        known = self._proxies.get(url)
        return requests.utils.get_environ_proxies(url) if known is None else known


def _is_public(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_global


def _is_passing(exc: BaseException) -> bool:
    return isinstance(exc, FetchError) and exc.passing


def _hop(url: str, target: str) -> str:
    """Return where a redirect leads; FetchError if that must not be followed."""
    try:
        parts = urllib.parse.urlsplit(urllib.parse.urljoin(url, target))
        host = parts.hostname
        parts = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="")
    except ValueError as exc:
        raise FetchError("redirect to a bad URL") from exc
    if parts.scheme not in ("http", "https") or not host:
        raise FetchError("redirect to something that is not http(s)")
    if url.startswith("https:") and parts.scheme == "http":
        raise FetchError("redirect from https to http")
    return urllib.parse.urlunsplit(parts)


def _tags(etag: str) -> str:
    """Return the If-None-Match for *etag*.

    Apache's mod_deflate makes `"x"` into `"x-gzip"` and then does not know it again
    (bz.apache.org/bugzilla/show_bug.cgi?id=45023): it gets both.
    """
    return '%s, %s"' % (etag, etag[:-6]) if etag.endswith('-gzip"') else etag


def _validator(value: Optional[str]) -> str:
    """Return a validator as received; "" for one that would do harm sent back."""
    harmless = value and len(value) <= MAX_VALIDATOR and value.isprintable()
    return (value or "") if harmless else ""


def parse_max_age(cache_control: str, age: str) -> float:
    """Return how many seconds an answer stays fresh, at most BACKOFF_CAP (RFC 9111)."""
    found = re.search(r"(?i)(?:^|[\s,])max-age\s*=\s*([0-9]{1,9})\b", cache_control)
    if not found or re.search("(?i)no-cache|no-store", cache_control):
        return 0.0
    spent = int(age) if re.fullmatch("[0-9]{1,9}", age) else 0
    return max(0.0, min(float(int(found[1]) - spent), BACKOFF_CAP))


def parse_retry_after(value: Optional[str], date: Optional[str]) -> Optional[float]:
    """Return the seconds to stay away, at most RETRY_AFTER_CAP; None for none given.

    A date is taken relative to the answer's own *date*, for clocks differ (RFC 9110,
    10.2.3). What is past is 0; what is no number and no date is not given.
    """
    if re.fullmatch("[0-9]+", value or "", re.ASCII):
        return min(float(value or 0), RETRY_AFTER_CAP)
    until = parse_time(value)
    if until is None:
        return None
    since = parse_time(date) or datetime.datetime.now(UTC)
    return min(max(0.0, (until - since).total_seconds()), RETRY_AFTER_CAP)


def _reason(exc: BaseException) -> str:
    """Return what went wrong in a few words: those of the innermost error, no URL."""
    for _ in range(10):
        nested = [arg for arg in exc.args if isinstance(arg, BaseException)]
        inner = getattr(exc, "reason", None) or (nested or [exc.__context__])[0]
        if not isinstance(inner, BaseException):
            break
        exc = inner
    if isinstance(exc, socket.timeout):
        return "timed out"
    if isinstance(exc, UnicodeDecodeError):
        return "not UTF-8"
    words = getattr(exc, "verify_message", "") or getattr(exc, "strerror", "")
    return clean(words or re.sub("(?<=[a-z])(?=[A-Z])", " ", type(exc).__name__))[:100]


# --- State: what is remembered across restarts. The printer's, but for load(). ---


class StateFile:
    """One JSON file for one configuration, and the lock beside it.

    `{"version": 1, "sha256": ..., "providers": {name: {"at", "sources", "memory"}}}`;
    the checksum is of the bytes of `providers`, so that no flipped bit is believed.
    """

    def __init__(self, path: str) -> None:
        self.path = pathlib.Path(path)
        self.providers: Dict[str, str] = {}  # name -> JSON text
        self._lock: Optional[TextIO] = None
        self._due = 0.0
        self._dirty = self._failing = False

    def lock(self) -> bool:
        """Return whether the lock could be had. It ends with the process, always."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = open("%s.lock" % self.path, "a")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as exc:
            log.warning("%s.lock: %s; running without it", self.path, _reason(exc))
        return True

    def load(self) -> None:
        """Read the file. What is no state of ours is kept aside, for a start anew.

        Raises StateError if a newer version wrote it.
        """
        try:
            body = self.path.read_bytes()
            if self.path.stat().st_uid != os.geteuid():
                raise ValueError("it belongs to another user")
            self.providers = _decode_state(body)
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
            aside = "%s.corrupt-%d" % (self.path, time.time())
            with contextlib.suppress(OSError):
                os.replace(self.path, aside)
            why = str(exc) if type(exc) is ValueError else _reason(exc)
            log.warning("%s: %s: kept as %s, starting anew", self.path, why, aside)

    def commit(self, name: str, stored: str) -> None:
        """Take over a provider's new state, to be saved soon."""
        self.providers[name] = stored
        self._dirty = True

    def wait(self) -> Optional[float]:
        """Return the seconds until save() has something to do; None for never."""
        return max(0.0, self._due - time.monotonic()) if self._dirty else None

    def save(self) -> bool:
        """Write the file whole or not at all; return whether that went well."""
        began = time.monotonic()
        joined = ",".join(
            "%s:%s" % (json.dumps(n), p) for n, p in self.providers.items()
        )
        body = _encode_state("{%s}" % joined)
        temporary = "%s.tmp-%d" % (self.path, os.getpid())
        try:
            with open(temporary, "wb", opener=_private) as file:
                file.write(body)
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
            log.log(level, "%s: cannot be written: %s", self.path, _reason(exc))
            self._failing = True
        else:
            if self._failing:
                log.info("%s: can be written again", self.path)
            self._dirty = self._failing = False
        # Never more than a tenth of the time, however large the file.
        self._due = time.monotonic() + max(SAVE_EVERY, 9 * (time.monotonic() - began))
        return not self._failing


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _encode_state(providers: str) -> bytes:
    check = hashlib.sha256(b"%d%s" % (STATE_VERSION, providers.encode())).hexdigest()
    head = '{"version": %d, "sha256": "%s", "providers": ' % (STATE_VERSION, check)
    return (head + providers + "}\n").encode()


def _decode_state(body: bytes) -> Dict[str, str]:
    """Return the JSON text of each provider; ValueError if it is no state of ours."""
    text = body.decode()
    stored = json.loads(text)
    version, providers = stored["version"], text.partition('"providers": ')[2][:-2]
    if _encode_state(providers) != body:
        if isinstance(version, int) and version > STATE_VERSION:
            raise StateError(
                "it was written by a newer version; use that, or remove it"
            )
        raise ValueError("it is damaged")
    oldest = time.time() - FORGET
    return {
        name: json.dumps(state, separators=(",", ":"))
        for name, state in stored["providers"].items()
        if state["at"] > oldest
    }


# --- Watching: the scheduler's thread, and the workers it hands providers to. ---


@dataclasses.dataclass
class Source:
    """A source while the program runs."""

    url: str
    state: SourceState
    first: bool = True  # not yet read since the start (R15)
    failures: int = 0  # in a row
    not_before: float = 0.0  # monotonic: neither back-off nor politeness allow it

    @property
    def slot(self) -> str:
        """Its name in the memory and the state file, which holds no credentials."""
        return digest(self.url, size=5)

    def label(self) -> str:
        """Return what log lines call it."""
        return redact(self.url)


class Watch:
    """A provider while the program runs: owned by one thread at a time."""

    def __init__(self, provider: Provider, stored: str = "") -> None:
        before = json.loads(stored) if stored else {"sources": {}, "memory": None}
        self.provider = provider
        self.memory = json.dumps(before["memory"]) if before["memory"] else ""
        self.pending = True  # unknown: let the first poll find out
        self.sick = False  # is it likely to block a worker?
        self.due = self.handed_at = 0.0
        urls: Sequence[str] = provider.urls
        if is_page(urls[0]):
            paths = PLATFORMS.get(provider.platform, ())
            urls = [urllib.parse.urljoin(urls[0], path[0]) for path in paths]
            urls = urls or before.get("found", [])
        self.sources = [Source(url, SourceState()) for url in urls]
        for source in self.sources:
            for key, value in before["sources"].get(source.slot, {}).items():
                setattr(source.state, key, value)
            wait = min(source.state.wait_until - time.time(), RETRY_AFTER_CAP)
            source.not_before = time.monotonic() + wait

    def stored(self) -> str:
        """Return the JSON text that makes the same Watch again."""
        now, sources = time.time(), {}
        for source in self.sources:
            source.state.wait_until = now + source.not_before - time.monotonic()
            members = dataclasses.asdict(source.state)
            nothing = dataclasses.asdict(SourceState())
            sources[source.slot] = {k: v for k, v in members.items() if v != nothing[k]}
        head = json.dumps({"at": now, "sources": sources}, separators=(",", ":"))
        return '%s,"memory":%s}' % (head[:-1], self.memory or "null")


class Poll(NamedTuple):
    """What came of one poll."""

    events: Tuple[Event, ...] = ()
    read: Tuple[Source, ...] = ()
    failed: Tuple[Tuple[Source, PollError], ...] = ()
    changed: bool = False


def poll(watch: Watch, fetcher: Fetcher) -> Poll:
    """Return what a provider has to tell. Called by a worker, which owns *watch*."""
    now, provider = datetime.datetime.now(UTC), watch.provider
    failed: List[Tuple[Source, PollError]] = []
    states: List[Tuple[Source, SourceState, Optional[Read]]] = []
    blocked = set()
    for source in watch.sources:
        host = urllib.parse.urlsplit(source.url).netloc
        if source.not_before > time.monotonic() or host in blocked:
            continue
        try:
            states.append(
                (source, *read_source(source, fetcher, provider.timeout, now))
            )
        except PollError as exc:
            failed.append((source, exc))
            if isinstance(exc, FetchError) and exc.retry_after is not None:
                blocked.add(host)
    reads = [read for _, _, read in states if read]
    events: Tuple[Event, ...] = ()
    changed = any(read.page for read in reads)
    if changed or watch.pending:
        seen = observe(provider, watch.memory, reads, now)
        changed = changed or seen.memory != watch.memory
        watch.memory, watch.pending, events = seen.memory, seen.pending, seen.events
        if not all(read.seeded for read in reads):
            log.info(
                "[%s] Seeded — %d incidents, %d components",
                provider.name, seen.incidents, seen.components,
            )  # fmt: skip
    for source, state, read in states:
        source.state = state
        source.first = source.first and read is None
    return Poll(
        events, tuple(s for s, _, read in states if read), tuple(failed), changed
    )


def read_source(
    source: Source, fetcher: Fetcher, timeout: float, now: datetime.datetime
) -> Tuple[SourceState, Optional[Read]]:
    """Return the source's new state and what was read, None if that is set aside.

    Validators are kept only with a body that parsed (R11). Raises PollError.
    """
    old, at = source.state, now.timestamp()
    validators = (old.etag, old.modified)
    # Spread by the slot, for all sources were first read at the same time.
    spread = 0.75 + int.from_bytes(source.slot.encode()[:2], "big") % 256 / 1024
    if not 0 <= at - old.full_at < UNCONDITIONAL * spread:
        validators = ("", "")
    url = old.moved_to if old.moved >= MOVED_AFTER else source.url
    response = fetcher.fetch(url, *validators, timeout=timeout)
    source.not_before = time.monotonic() + response.fresh_for
    new, page, aside = dataclasses.replace(old, stale=0, foreign=0), None, ""
    if response.body is not None:
        body_digest = _body_digest(response.body)
        if body_digest != old.digest:  # R10
            page = parse(response.body, response.content_type)
            new, aside = accept(old, page, body_digest)
            if aside:
                log.debug("%s: set aside: %s", source.label(), aside)
                return new, None
        new.etag, new.modified, new.full_at = response.etag, response.modified, at
    if old.page_id != new.page_id and old.seeded:
        log.warning("%s is the page of another: seeding afresh", source.label())
    seeded, new.seeded, new.read_at = new.seeded, True, at
    if url == source.url:
        same = response.moved_to and response.moved_to == old.moved_to
        new.moved_to, new.moved = response.moved_to, old.moved + 1 if same else 1
    away = source.first and old.read_at > 0 and at - old.read_at > AWAY  # R15
    return new, Read(source.slot, source.url, page, seeded, new.complete, away)


def _body_digest(body: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(body).digest())[:12].decode()


class Batch(NamedTuple):
    """What the scheduler hands to the printer: events, then the state that has them."""

    provider: str
    events: Tuple[Event, ...]
    stored: str  # "" if there is nothing to remember


STOP, RELOAD, BROKEN = "stop", "reload", "broken"  # what may stand in the inbox


class Watcher:
    """Polls providers on time, until it is told to stop.

    All but the constructor and put() belongs to the thread that calls run().
    """

    def __init__(
        self,
        config: Config,
        outbox: "queue.Queue[Optional[Batch]]",
        stored: Mapping[str, str],
        remember: bool,
    ) -> None:
        hosts = sum(len(p.urls) + 1 for p in config.providers)
        self.fetcher = Fetcher(hosts, config.workers, config.max_size)
        self.inbox: "queue.SimpleQueue[Any]" = queue.SimpleQueue()
        self.unread = False  # has any source not been read?
        self._outbox, self._workers, self._remember = outbox, config.workers, remember
        self._threads = config.workers * THREADS_PER_WORKER
        self._pool = concurrent.futures.ThreadPoolExecutor(self._threads, "poll")
        self._flying: Dict["concurrent.futures.Future[Poll]", Tuple[Watch, float]] = {}
        self._healthy: List[Tuple[float, int, Watch]] = []  # heaps of due times
        self._sick: List[Tuple[float, int, Watch]] = []
        self._order = itertools.count()
        self._offline = False
        self._unsaid: Dict[str, Tuple[Watch, Source, PollError]] = {}
        self._unreachable: Dict[str, bool] = {}
        self.watches: Dict[str, Watch] = {}
        self._by_host: Dict[str, List[Source]] = {}
        for provider in config.providers:
            self._add(Watch(provider, stored.get(provider.name, "")))

    def _add(self, watch: Watch) -> None:
        self.watches[watch.provider.name] = watch
        for source in watch.sources:
            host = urllib.parse.urlsplit(source.url).netloc
            self._by_host.setdefault(host, []).append(source)
        self._arm(watch, time.monotonic())

    def _arm(self, watch: Watch, due: float) -> None:
        watch.due = due
        heap = self._sick if watch.sick else self._healthy
        heapq.heappush(heap, (due, next(self._order), watch))

    def run(
        self, once: bool = False, reload: Optional[Callable[[], Config]] = None
    ) -> str:
        """Poll until STOP or BROKEN is put, or *once* all; return which, or ""."""
        sources = sum(len(watch.sources) for watch in self.watches.values())
        ended = ""
        notifier = Notifier()
        notifier.say("READY=1")
        while not ended:
            now = time.monotonic()
            wake = min(
                self._start(now),
                self.fetcher.cut(now),
                notifier.ping(now, self._late(now)),
            )
            if once and not (self._healthy or self._sick or self._flying):
                break
            try:
                message = self.inbox.get(timeout=max(0.0, wake - time.monotonic()))
            except queue.Empty:
                continue
            if message == RELOAD:
                notifier.say("RELOADING=1")
                self._reload(reload)
                notifier.say("READY=1")
            elif isinstance(message, str):
                ended = message
            else:
                self._finish(message, once)
        notifier.say("STOPPING=1")
        self._say_unsaid()
        self._end(once)
        return ended

    def _late(self, now: float) -> float:
        return now - min(
            [heap[0][0] for heap in (self._healthy, self._sick) if heap], default=now
        )

    def _start(self, now: float) -> float:
        """Start the polls that are due; return when to look again.

        A slow poll gives up its place, so that nobody waits for the sick; those likely
        to be slow never get all threads.
        """
        quick = sum(1 for _, began in self._flying.values() if now - began < SLOW)
        sick = sum(1 for watch, _ in self._flying.values() if watch.sick)
        room = min(self._workers - quick, self._threads - len(self._flying))
        for heap, room in (
            (self._healthy, room),
            (self._sick, min(room, self._threads // 2 - sick)),
        ):
            while heap and heap[0][0] <= now and room > 0:
                watch = heapq.heappop(heap)[2]
                if watch is not self.watches.get(watch.provider.name):
                    continue  # no longer configured so
                future = self._pool.submit(poll, watch, self.fetcher)
                self._flying[future] = (watch, now)
                future.add_done_callback(self.inbox.put)
                room -= 1
        due = [heap[0][0] for heap in (self._healthy, self._sick) if heap]
        if due and min(due) <= now:  # no room: until a poll ends, or turns slow
            return now + SLOW
        return min(due, default=now + 3600.0)

    def _finish(self, future: "concurrent.futures.Future[Poll]", once: bool) -> None:
        """Take in what a poll brought, hand it on, and arm the next one."""
        watch, began = self._flying.pop(future)
        now, name = time.monotonic(), watch.provider.name
        try:
            result = future.result()
        except Exception:  # a bug, or a full disk or memory: the others go on
            log.exception("[%s] unexpected failure", name)
            bug = PollError("unexpected failure")
            result = Poll(failed=tuple((source, bug) for source in watch.sources))
        if watch is not self.watches.get(name):
            return
        watch.sick = now - began > SLOW or bool(result.failed and not result.read)
        changed = self._note_health(watch, result, now) or result.changed
        counts = collections.Counter(event.type for event in result.events)
        for kind, text in DETECTED.items():
            if counts[kind]:
                log.info("[%s] detected %d %s", name, counts[kind], text)
        stored = ""
        if self._remember and (
            changed or once or now - watch.handed_at > REMEMBER_EVERY
        ):
            stored, watch.handed_at = watch.stored(), now
        if result.events or stored:
            self._outbox.put(Batch(name, result.events, stored))
        if not once:
            self._arm(watch, self._next_due(watch, now))

    def _next_due(self, watch: Watch, now: float) -> float:
        """Return the provider's next turn: turns are spread by a hash of the name."""
        interval = watch.provider.interval
        phase = int(hashlib.sha256(watch.provider.name.encode()).hexdigest()[:8], 16)
        phase = phase / 2**32 * interval
        first = not watch.handed_at
        earliest = now + (interval / 2 if first else 0.0)
        turn = phase + ((earliest - phase) // interval + 1) * interval
        return max(
            turn, min((source.not_before for source in watch.sources), default=turn)
        )

    # R12: the first failure of a source is told, and its return; nothing in between.

    def _note_health(self, watch: Watch, result: Poll, now: float) -> bool:
        """Note which sources could be read; return whether that has changed."""
        changed = False
        for source in result.read:
            source.failures = 0
            self._unsaid.pop(source.url, None)
            if source.state.failed_at:
                changed = True
                gone = ago(time.time() - source.state.failed_at)
                if source.state.warned:
                    log.info(
                        "[%s] %s: readable again after %s",
                        watch.provider.name,
                        source.label(),
                        gone,
                    )
                source.state.failed_at, source.state.warned = 0.0, False
        for source, error in result.failed:
            self.unread = True
            source.failures += 1
            self._back_off(watch, source, error, now)
            if source.state.failed_at:
                log.debug("[%s] %s: %s", watch.provider.name, source.label(), error)
                continue
            changed = True
            source.state.failed_at = time.time()
            self._unsaid[source.url] = (watch, source, error)
        self._look_at_network(watch, result)
        return changed

    def _look_at_network(self, watch: Watch, result: Poll) -> None:
        """Say new failures, unless nothing at all can be reached: that is our own fault."""
        errors = [error for _, error in result.failed]
        reached = result.read or any(
            not isinstance(e, FetchError) or e.status for e in errors
        )
        if reached:
            self._unreachable.clear()
            if self._offline:
                log.info("the network is back")
            self._offline = False
        elif errors:
            self._unreachable[watch.provider.name] = True
        if len(self._unreachable) == len(self.watches) > 1:
            if not self._offline and self._unsaid:
                log.warning(
                    "none of %d providers can be reached: is it our own network? (scripts/demo needs none)",
                    len(self.watches),
                )
            self._offline = True
            self._unsaid.clear()
            for other in self.watches.values():
                for source in other.sources:
                    source.failures = 0
        elif reached or len(self.watches) == 1:
            self._say_unsaid()

    def _say_unsaid(self) -> None:
        for watch, source, error in self._unsaid.values():
            log.warning("[%s] %s: %s", watch.provider.name, source.label(), error)
            source.state.warned = True
        self._unsaid.clear()

    def _back_off(
        self, watch: Watch, source: Source, error: PollError, now: float
    ) -> None:
        """Put off the next poll: doubling up to a cap, or as long as the server says."""
        interval = watch.provider.interval
        cap = max(interval, BACKOFF_CAP)
        pause = min(cap, interval * 2.0 ** min(source.failures - 1, 20))
        status = error.status if isinstance(error, FetchError) else 0
        if status in (404, 410):
            pause = cap
        if status in (400, 412, 431):  # our validators may be what it refuses
            source.state.etag = source.state.modified = ""
        source.state.moved = 0
        if self._offline:
            pause = interval
        source.not_before = now + pause * random.uniform(0.8, 1.0)
        wait = error.retry_after if isinstance(error, FetchError) else None
        if wait is not None or status == 429:
            host = urllib.parse.urlsplit(source.url).netloc
            for other in self._by_host.get(host, ()):
                other.not_before = max(other.not_before, now + (wait or pause))

    def _reload(self, reload: Optional[Callable[[], Config]]) -> None:
        """Take over a changed configuration; a broken one changes nothing."""
        try:
            config = reload() if reload else None
        except ConfigError as exc:
            log.error("configuration not reloaded: %s", exc)
            return
        if config is None:
            return
        old, self.watches, self._by_host = self.watches, {}, {}
        for provider in config.providers:
            watch = old.get(provider.name)
            if watch is None or watch.provider != provider:
                watch = Watch(provider, watch.stored() if watch else "")
                self._add(watch)
            self.watches[provider.name] = watch
        log.info("configuration reloaded: %d provider(s)", len(self.watches))

    def _end(self, once: bool) -> None:
        """Give running polls a moment to end; hand on what they bring, and all states."""
        self.fetcher.stop()
        done, _ = concurrent.futures.wait(list(self._flying), LINGER)
        for future in done:
            self._finish(future, True)
        flying = [watch for watch, _ in self._flying.values()]
        for watch in self.watches.values():
            if self._remember and not once and watch not in flying:
                self._outbox.put(Batch(watch.provider.name, (), watch.stored()))
        self._pool.shutdown(wait=False)
        self.fetcher.close()


DETECTED = {
    EventType.NEW_INCIDENT: "new incident(s)",
    EventType.INCIDENT_UPDATE: "update(s)",
    EventType.COMPONENT_STATUS_CHANGE: "component change(s)",
}


class Notifier:
    """Tells systemd how we are (sd_notify(3)); silent anywhere else."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        period = os.environ.get("WATCHDOG_USEC", "")
        self._period = int(period) / 2e6 if period.isdigit() else 3600.0
        self._due = 0.0

    def say(self, text: str) -> None:
        """Send one message."""
        if self._address:
            name = (
                self._address.replace("@", "\0", 1)
                if self._address[0] == "@"
                else self._address
            )
            with contextlib.suppress(OSError), socket.socket(
                socket.AF_UNIX, socket.SOCK_DGRAM
            ) as line:
                line.sendto(text.encode(), name)

    def ping(self, now: float, late: float) -> float:
        """Ping the watchdog if it is time and polls start on time; return when next."""
        if now >= self._due:
            self._due = now + self._period
            if late < self._period:
                self.say("WATCHDOG=1")
        return self._due


# --- Printing: the one thread that owns the output and the state file. ---


class Printer(threading.Thread):
    """Writes events, and commits the state that has them only when they are out.

    So a crash repeats at most one batch (at least once). When the output fails nothing
    more is committed: what was not told stays untold in the state.
    """

    def __init__(
        self,
        stream: TextIO,
        form: Callable[[Event], str],
        state: Optional[StateFile],
        on_failure: Callable[[str], None],
    ) -> None:
        super().__init__(name="printer", daemon=True)
        self.inbox: "queue.Queue[Optional[Batch]]" = queue.Queue()
        self.failure = ""
        self._stream, self._form, self._state = stream, form, state
        self._on_failure = on_failure

    def run(self) -> None:
        """Print until None comes."""
        while True:
            try:
                batch = self.inbox.get(
                    timeout=self._state.wait() if self._state else None
                )
            except queue.Empty:
                self._save()
                continue
            if batch is None:
                break
            if not self.failure:
                self._print(batch)
        if self._state and self._state.wait() is not None:
            self._save()

    def _print(self, batch: Batch) -> None:
        try:
            if batch.events:
                self._stream.write("".join(map(self._form, batch.events)))
                self._stream.flush()
        except (OSError, ValueError) as exc:
            self.failure = _reason(exc)
            self._on_failure(BROKEN)
            return
        if batch.stored and self._state:
            self._state.commit(batch.provider, batch.stored)
            if self._state.wait() == 0.0:
                self._save()

    def _save(self) -> None:
        if self._state:
            self._state.save()


# --- Command line. ---

EXAMPLES = """\
examples:
  statuswatch                                   watch everything in providers.ini
  statuswatch https://status.openai.com         watch one page
  statuswatch --once --json                     for cron: what changed since the last run
  statuswatch --check-config --config FILE      check a configuration
"""


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the program and return its exit status (0, 1, 2 or 75, see README.md)."""
    options = build_parser().parse_args(argv)
    configure_logging(options.verbose - options.quiet)
    try:
        config = read_config(options)
        if options.check_config:
            for provider in config.providers:
                print(describe(provider))
            return 0
        if sys.stdout is None:
            raise StatuswatchError("there is no output to print to")
        return watch(config, options)
    except ConfigError as exc:
        for line in str(exc).splitlines():
            log.error("%s", line)
        return 2
    except StateError as exc:
        log.error("%s: %s", options.state, exc)
        return 2
    except StatuswatchError as exc:
        log.error("%s", exc)
        return 1


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="statuswatch",
        description="Watch the status pages of the vendors you depend on.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("urls", nargs="*", metavar="URL", help="watch just these pages")
    add(
        "--config",
        metavar="FILE",
        help="default: providers.ini here, beside the program or in the usual places",
    )
    add(
        "--interval",
        metavar="SEC",
        type=_argument(seconds),
        help="seconds between polls (default: 30)",
    )
    add(
        "--once",
        action="store_true",
        help="poll every provider once, print what changed since the last run, exit",
    )
    add(
        "--state",
        metavar="FILE",
        help="remember across restarts (default with --once: $XDG_STATE_HOME/statuswatch/state.json)",
    )
    add("--json", action="store_true", help="print one JSON object per line")
    add(
        "--check-config",
        action="store_true",
        help="read the configuration, print one line per provider, exit",
    )
    add(
        "--workers",
        metavar="N",
        type=_argument(count),
        help="polls at once (default: 16)",
    )
    add("-v", "--verbose", action="count", default=0, help="more log lines")
    add("-q", "--quiet", action="count", default=0, help="fewer log lines")
    add("--version", action="version", version="%(prog)s " + __version__)
    return parser


def _argument(convert: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return *convert* with its ValueError as argparse wants it."""

    def argument(text: str) -> Any:
        try:
            return convert(text)
        except ValueError as exc:
            raise argparse.ArgumentTypeError(str(exc)) from exc

    return argument


def configure_logging(verbosity: int) -> None:
    """Send log lines to stderr. Does nothing where a handler is already at work."""
    levels = (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG)
    logging.basicConfig(
        level=levels[max(0, min(2 + verbosity, 3))],
        format="%(asctime)s %(levelname)-8s %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S",
    )
    logging.getLogger("urllib3").setLevel(logging.ERROR)


def read_config(options: argparse.Namespace) -> Config:
    """Return the configuration that the command line asks for."""
    if options.urls:
        config = providers_of(options.urls, options.interval)
    else:
        path = options.config or find_config()
        config = load_config(path, options.interval)
    if options.workers:
        config = dataclasses.replace(config, workers=options.workers)
    return config


def find_config() -> str:
    """Return the first providers.ini of the usual places, or raise ConfigError."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    places = [
        pathlib.Path("providers.ini"),
        pathlib.Path(__file__).resolve().parent / "providers.ini",
        pathlib.Path(home) / "statuswatch" / "providers.ini",
        pathlib.Path("/etc/statuswatch/providers.ini"),
        pathlib.Path(sys.prefix) / "share" / "statuswatch" / "providers.ini",
    ]
    for place in places:
        if place.exists():
            return str(place)
    raise ConfigError("no providers.ini: looked at %s" % ", ".join(map(str, places)))


def default_state() -> str:
    """Return where --once keeps its state (XDG Base Directory Specification)."""
    home = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(home, "statuswatch", "state.json")


def describe(provider: Provider) -> str:
    """Return one line that says how a provider is watched."""
    watch = Watch(provider)
    urls = [source.label() for source in watch.sources] or [redact(provider.urls[0])]
    kind = provider.platform or (
        "platform to be found" if is_page(provider.urls[0]) else "sources as given"
    )
    return clean(
        "%s: %s (%s), every %g s"
        % (provider.name, " ".join(urls), kind, provider.interval)
    )


def watch(config: Config, options: argparse.Namespace) -> int:
    """Watch until a signal or, with --once, until all are read; return the exit status."""
    if options.once and not options.state:
        options.state = default_state()
    state = StateFile(options.state) if options.state else None
    if state:
        if not state.lock():
            log.error("%s: another run holds the lock", options.state)
            return EX_TEMPFAIL
        state.load()
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    form = format_json if options.json else format_text
    outbox: "queue.Queue[Optional[Batch]]" = queue.Queue()
    watcher = Watcher(config, outbox, state.providers if state else {}, bool(state))
    printer = Printer(sys.stdout, form, state, watcher.inbox.put)
    printer.inbox = outbox
    printer.start()
    with handled_signals(watcher.inbox.put):
        announce(config, options)
        ended = watcher.run(options.once, lambda: read_config(options))
        outbox.put(None)
        printer.join(LINGER)
    status = 0
    if printer.failure or printer.is_alive():
        log.error("output failed: %s", printer.failure or "nobody reads it")
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    elif options.once and not ended and watcher.unread:
        status = 1
    if printer.is_alive() or any(
        t.name.startswith("poll") for t in threading.enumerate() if t.is_alive()
    ):
        pass
    return status


def announce(config: Config, options: argparse.Namespace) -> None:
    """Say what is watched: on a terminal by a banner, else by a log line."""
    names = len(config.providers)
    intervals = sorted({provider.interval for provider in config.providers})
    every = (
        "%g" % intervals[0]
        if len(intervals) == 1
        else "%g-%g" % (intervals[0], intervals[-1])
    )
    hosts = {
        urllib.parse.urlsplit(url).hostname or ""
        for p in config.providers
        for url in p.urls
    }
    local = all(
        host == "localhost" or host.startswith("127.") or host == "::1"
        for host in hosts
    )
    if intervals[0] < POLITE_INTERVAL and not local and not options.once:
        log.warning(
            "polling more often than every %g s shows nothing new", POLITE_INTERVAL
        )
    if options.once:
        return
    if sys.stdout.isatty():
        rule = "-" * 60
        lines = (
            rule,
            "Monitoring %d status page(s)" % names,
            "Poll interval: %ss" % every,
            "Press Ctrl+C to stop",
            rule,
        )
        print("\n".join(lines), flush=True)
    sources = sum(max(1, len(Watch(p).sources)) for p in config.providers)
    log.info(
        "Watching %d provider(s) — %d sources (poll every %ss)", names, sources, every
    )


@contextlib.contextmanager
def handled_signals(put: Callable[[str], None]) -> Iterator[None]:
    """Turn signals into messages. A handler may do no more than that: locks deadlock."""
    stopped = []

    def stop(number: int, frame: object) -> None:
        if stopped:
            os._exit(128 + number)
        stopped.append(number)
        put(STOP)

    wanted = {
        signal.SIGINT: stop,
        signal.SIGTERM: stop,
        signal.SIGHUP: lambda *_: put(RELOAD),
    }
    before = {
        number: signal.signal(number, handler) for number, handler in wanted.items()
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    raise SystemExit(main())
