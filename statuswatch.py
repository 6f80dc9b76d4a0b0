#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the statuswatch authors, https://github.com/statuswatch/statuswatch
"""Watch the status pages of your vendors and print a line the moment one breaks.

    statuswatch                            watch what providers.ini names, until Ctrl+C
    statuswatch https://status.acme.test   watch just this page
    statuswatch --once                     print what changed since the last run

How data flows, which is also the order of this file, and who owns what meanwhile:

    providers.ini -> [Provider]
        -> scheduler (the thread of run()): owns the schedule and the health of sources
        -> worker: owns the provider it polls: GET -> parse() -> observe() -> [Event]
        -> queue.Queue -> printer thread: owns the output, then the state file

A provider is a line of providers.ini, a page what it publishes, a source one polled URL
of it; validators are the ETag and Last-Modified last received; a mark is a digest of an
update's status and words; to seed is to read a source for the first time, silently.
`*_at` is a time of day, aware UTC or seconds since 1970; `now` and `due` are monotonic
seconds. R1 to R15 are the rules of detection; README.md explains them.
"""

from __future__ import annotations

import argparse
import base64
import collections
import concurrent.futures
import configparser
import contextlib
import ctypes
import dataclasses
import email.utils
import fcntl
import fnmatch
import functools
import gc
import hashlib
import heapq
import html
import ipaddress
import itertools
import json
import logging
import math
import os
import pathlib
import queue
import random
import re
import resource
import shlex
import shutil
import signal
import socket
import sys
import threading
import time
import weakref
import zlib
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, Iterable, Iterator, Mapping, NamedTuple, Sequence
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies
from xml.etree.ElementTree import Element

import defusedxml.ElementTree
import requests
import tenacity
import urllib3

__version__ = "0.1.0"
__all__ = """Component ConfigError Event FetchError Incident Monitor OutputError Page
ParseError PollError Provider StateLocked StatuswatchError Update load_config main
parse""".split()
log = logging.getLogger(__name__)
log.addHandler(logging.NullHandler())

# --- Constants: each with its unit and its reason. ---

USER_AGENT = f"statuswatch/{__version__} (+https://github.com/statuswatch/statuswatch)"
INTERVAL, POLITE = 30.0, 10.0  # seconds between polls; caches hold a page for about 10
TIMEOUT = 20.0  # seconds for one source: attempts, redirects and addresses together
MAX_SIZE = 5_000_000  # bytes of a decoded body; the largest real page seen has 1.4 MB
MAX_NODES = 60_000  # XML tags and attributes, or JSON values; 29,000 are real
MAX_PARTS = 200  # updates and names of an incident, the latest; 36 are real
LARGE, MAX_LARGE = 500_000, 4  # bytes of a body of which so many are in memory at once
MAX_TEXT, MAX_VALIDATOR = 500, 1024  # characters; an ETag of 60 KB earns "400" for ever
ATTEMPTS, MAX_HOPS = 3, 5  # requests for one read of a source, redirects of each
MOVED = 5  # identical permanent redirects in a row, then the new address is kept
BACKOFF_CAP = 300.0  # seconds: longest pause after failures, longest max-age obeyed
RETRY_AFTER_CAP = 3600.0  # seconds: longest Retry-After obeyed
UNCONDITIONAL = 6 * 3600.0  # seconds; some servers say 304 for as long as they can
WORKERS, SICK = 16, 4  # polls at once, and how many times as many that are slow
SLOW = 0.5  # seconds; what takes longer is likely to be slow again
RENEW = 30.0  # seconds until threads that are idle end; each holds 0.15 MB
PATIENCE, EARLIER = 3, 8  # polls until one of the 8 bodies before is believed (R6, R14)
ABSENT, ABSENT_ELSEWHERE = 2, 10  # reads without an incident until it is over (R7)
MEMORY, DETAILED = 500, 5  # incidents remembered at least (R8), those with their texts
AWAY = 600.0  # seconds since the last read that make news old at a start (R15)
LINGER = 1.0  # seconds that polls, and then the printer for each event, have to end
SAVING = 60.0  # seconds that the last write of the state may take
TICK = 0.05  # seconds; turns are on it: a wake-up for each costs as much as the poll
WAKE = 0.5  # seconds; a signal that comes just before a wait begins does not end it
MAX_SEARCH = 8  # requests to find the sources of a page
GONE = 5  # failures in a row after which sources that were found are looked for anew
SUPPRESSED = 3600.0  # seconds between two lines on what the filters held back
STORM, STORM_SIZE = 300.0, 5  # seconds in which so many providers have news
EXEC_TIMEOUT = 10.0  # seconds that a command has for an event,
EXEC_LINGER = 20.0  # and at the end for all events that wait for it
FORGET = 90 * 86400.0  # seconds without a read until a provider leaves the state file
REMEMBER = 60.0  # seconds between two states handed on without news
EX_TEMPFAIL = 75  # sysexits.h: another run holds the lock

NEW_INCIDENT, INCIDENT_UPDATE = "NEW_INCIDENT", "INCIDENT_UPDATE"
COMPONENT_STATUS_CHANGE = "COMPONENT_STATUS_CHANGE"
TYPES = (NEW_INCIDENT, INCIDENT_UPDATE, COMPONENT_STATUS_CHANGE)
ENDS = {"resolved", "completed"}
DONE = ENDS | {"postmortem"}
PLANNED = {"scheduled", "in_progress", "verifying", "completed"}
OPEN = {"investigating", "identified", "monitoring"} | PLANNED - DONE
IMPACTS = ("none", "minor", "major", "critical")
LISTS = {"[]", "list"}  # stand for the ids of pages that are bare lists of JSON
UTC = timezone.utc

# --- Errors: a tree. PollError and what is below it are expected. ---
#
#     StatuswatchError
#      +-- ConfigError
#      +-- StateLocked
#      +-- OutputError
#      +-- PollError
#           +-- FetchError
#           +-- ParseError


class StatuswatchError(Exception):
    """The base of all errors of this module."""


class ConfigError(StatuswatchError):
    """A mistake in the configuration, or a state file not to be touched: exit 2."""


class StateLocked(StatuswatchError):
    """Another run has the state file: exit 75."""


class OutputError(StatuswatchError):
    """Events cannot be told any more: exit 1."""


class PollError(StatuswatchError):
    """A source could not be read: one WARNING (R12)."""

    status = 200  # of HTTP; 0 if there was no answer
    retry_after: float | None = None  # seconds to stay away
    passing = False  # may be over in a moment

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        vars(self).update(details)

    def bare(self) -> PollError:
        """Return itself without its traceback, which holds the body and more."""
        self.__cause__ = self.__context__ = None
        return self.with_traceback(None)


class FetchError(PollError):
    """There is no usable answer."""

    status = 0


class ParseError(PollError):
    """The document is not a status page in a format we know."""


# --- Data: what passes between the parts. Immutable. ---


class Provider(NamedTuple):
    """A line of providers.ini with its section."""

    name: str
    urls: tuple[str, ...]  # one page (empty path), or the sources themselves
    platform: str = ""  # a key of PLATFORMS; "" if not given
    product: str = ""  # what events call it; "" for the name
    components: tuple[str, ...] = ()  # patterns, case-folded; () for all
    untagged: str = "show"  # or "hide": incidents that name no component
    maintenance: bool = False
    min_impact: str = "none"
    events: tuple[str, ...] = TYPES
    hold: float = 0.0  # seconds that a component's change must stand to be told
    interval: float = INTERVAL
    timeout: float = TIMEOUT


class Config(NamedTuple):  # a whole configuration
    providers: tuple[Provider, ...]
    workers: int = 0  # 0: as many as it takes
    max_size: int = MAX_SIZE


class Update(NamedTuple):
    """A dated entry of an incident."""

    id: str  # "" if it has none, and so for all texts below
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
    """A named part of a page."""

    id: str
    name: str
    status: str
    at: datetime | None  # when the status last changed


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
    """Something a user is told: the keys of --json, in order."""

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
    duration_s: int | None = None  # of an incident, told by its end


# --- Config: text -> Config. A mistake is one line: the file, the section, the key. ---

SECTIONS = ("providers", "statuswatch")
SETTINGS = ("interval", "timeout", "workers", "max_size")
CHOICES = {"min_impact": IMPACTS, "untagged": ("show", "hide")}


def load_config(path: str, interval: float | None = None) -> Config:
    """Return what a file says, but for a stronger *interval*, or raise ConfigError."""
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError("%s: %s" % (path, reason(exc))) from exc
    return parse_config(text, path, interval)


def parse_config(text: str, path: str, interval: float | None = None) -> Config:
    """Return what *text* says; *path* is its name in errors."""
    ini = configparser.RawConfigParser(
        delimiters="=", inline_comment_prefixes=";", default_section="",
        allow_no_value=True,
    )  # fmt: skip
    vars(ini)["optionxform"] = str  # keys keep their case
    ini.read_dict({section: {} for section in SECTIONS})
    values: dict[str, dict[str, Any]] = {}
    where = "[providers]"
    try:
        ini.read_string(text, path)
        if not ini.options("providers"):
            raise ValueError("no provider, expected lines of NAME = URL")
        for section in ini.sections():
            where, values[section] = "[%s]" % section, {}
            keys = SETTINGS if section == "statuswatch" else Provider._fields[3:]
            if section not in (*SECTIONS, *values["providers"]):
                raise ValueError("no provider has that name")
            for key, value in ini.items(section):
                where = "[%s] %s" % (section, key)
                if section != "providers" and key not in keys:
                    raise ValueError("unknown key, known: %s" % ", ".join(keys))
                convert = parse_line if section == "providers" else parse_value
                values[section][key] = convert(key, value or "")
    except AttributeError as exc:  # of configparser before Python 3.13
        words = "%s: a line without = has an indented line below it"
        raise ConfigError(words % path) from exc
    except (configparser.Error, ValueError) as exc:
        place = "%s: %s: " % (path, where) if isinstance(exc, ValueError) else ""
        line = re.sub(r"://\S+", "://...", place + str(exc))  # URLs may have secrets
        raise ConfigError(clean(line)) from exc
    common = {**values["statuswatch"], **({"interval": interval} if interval else {})}
    shared = {key: common.pop(key) for key in SETTINGS[:2] if key in common}
    lines = values["providers"].items()
    each = [Provider(n, *line, **{**shared, **values.get(n, {})}) for n, line in lines]
    return Config(tuple(each), **common)


def parse_line(name: str, value: str) -> tuple[tuple[str, ...], str]:
    """Return the URLs and the platform of a provider; ValueError for a mistake."""
    urls = tuple(word for word in value.split() if "/" in word or ":" in word)
    platforms = [word for word in value.split() if word not in urls]
    pages = [url for url in urls if is_page(url)]
    if not urls or name in SECTIONS:
        raise ValueError("a section has that name" if urls else "no URL: https://...")
    if not set(platforms) <= set(PLATFORMS):
        words = " ".join(platforms), ", ".join(PLATFORMS)
        raise ValueError("unknown platform %s, known: %s" % words)
    if len(platforms) > len(pages) or len(urls) > (1 if pages else len(set(urls))):
        raise ValueError("expected one page and its platform, or sources, each once")
    return urls, "".join(platforms)


def parse_value(key: str, text: str) -> Any:
    """Return the value of a key; ValueError says what was expected."""
    names = [name for name in map(clean, text.split(",")) if name]
    expected = "a name"
    with contextlib.suppress(ValueError, KeyError):
        if key in (*SETTINGS, "hold"):
            whole, hold = key in SETTINGS[2:], key == "hold"
            expected = "a whole number above 0" if whole else "a number above 0"
            expected = "a number, 0 or above" if hold else expected
            number = int(text) if whole else float(text)
            if 0 < number < 1e9 or number == 0 and hold:
                return number
        elif key == "maintenance":
            expected = "yes or no"
            return configparser.ConfigParser.BOOLEAN_STATES[text.lower()]
        elif key in CHOICES:
            expected = "one of " + ", ".join(CHOICES[key])
            return CHOICES[key][CHOICES[key].index(text)]
        elif key == "events":
            expected = "some of " + ", ".join(TYPES).lower()
            return tuple(TYPES[TYPES.index(name.upper())] for name in names or [""])
        elif names:
            return tuple(map(str.casefold, names)) if key == "components" else text
    raise ValueError("expected %s, got %r" % (expected, text))


def is_page(url: str) -> bool:
    """Return whether *url* is a page, whose sources are found; ValueError if no URL."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")  # refuses empty and overlong labels
        usable = parts.scheme in ("http", "https") and parts.hostname
        if usable and parts.port != 0 and url == clean(url):
            return parts.path in ("", "/") and not parts.query
    raise ValueError("bad URL, expected http or https, and a host")


# --- Text: all remote text is hostile. Pure. ---

# What could drive a terminal, reorder a line or break an encoder: controls but white
# space, lone surrogates, bidi controls, invisible and tag characters. The joiners
# U+200C and U+200D stay: Persian and Hindi are spelled with them.
_HOSTILE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\ufdd0-\ufdef\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
# What tags become: white space, or if they mean something in feeds control characters,
# as the text itself has none.
_BLOCKS = """address article aside blockquote br dd div dl dt figure footer form h1 h2
    h3 h4 h5 h6 header hr li main nav ol p pre section table td tfoot th thead tr ul
""".split()
_GAPS = dict.fromkeys(_BLOCKS + ["/" + tag for tag in _BLOCKS], "\n")
_GAPS.update({"small": "\x01", "/small": "\x02", "li": "\n\x05\n", "/li": "\n\x06\n"})
_GAPS.update({"strong": "\x03", "/strong": "\x04", "b": "\x03", "/b": "\x04"})
_PLAIN_URL = re.compile(r"https?://[A-Za-z0-9.-]+/[A-Za-z0-9/._-]+")
# What has no text, and a tag. Linear: each alternative ends at the next "<" or runs to
# the end once. html.parser needs seconds for 20 KB of "<a ", and raises on "<![<".
_SKIPPED = r"(?is)<!--.*?(?:-->|\Z)|<(script|style)\b.*?(?:</\1\s*>|\Z)|<[!?][^<>]*>"
_TAG = re.compile(r"<(/?[A-Za-z][A-Za-z0-9]*)(?![A-Za-z0-9])[^<>]*>")
dumps = functools.partial(json.dumps, separators=(",", ":"))


def harmless(text: str) -> str:
    """Return *text* without what is hostile."""
    plain = text.replace("\n", " ").isprintable()  # most is, and this is quickly said
    return text if plain else _HOSTILE.sub("", text)


def clean(text: str) -> str:
    """Return *text* as one line that is safe on any terminal and in any encoding."""
    return " ".join(harmless(text).split())


def words_of(text: str) -> str:
    """Return what R4 compares: no case, white space, punctuation, Markdown links."""
    text = re.sub(r"\[([^\]\[]*)\]\([^()\s]*\)", r"\1", text)
    return re.sub(r"[\W_]+", " ", text).strip().casefold()


def redact(url: str) -> str:
    """Return *url* without user, password, query and fragment."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        return clean(parts._replace(netloc=host, query="", fragment="").geturl())
    return "?"


def web(url: str) -> str:
    """Return *url* redacted; "" if it is not of the web."""
    if len(url) > MAX_VALIDATOR or not re.match(r"https?://[^/?#]", url):
        return ""
    return url if _PLAIN_URL.fullmatch(url) else redact(url)


def digest(*texts: str, size: int = 6) -> str:
    """Return *size* characters, of 6 bits each, that stand for *texts*."""
    joined = "\0".join(texts).encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(hashlib.sha256(joined).digest())[:size].decode()


def spread(name: str) -> float:
    """Return a number from 0 to below 1 that is always the same for *name*."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32


def reason(exc: BaseException) -> str:
    """Return what went wrong in a few words, those of the innermost error. No URL."""
    for inner in (getattr(exc, "reason", None), *exc.args, exc.__cause__):
        if isinstance(inner, BaseException):
            return reason(inner)
    words = getattr(exc, "verify_message", "") or getattr(exc, "strerror", "")
    words = "timed out" if isinstance(exc, socket.timeout) else words
    return clean(words or re.sub("(?<=[a-z])(?=[A-Z])", " ", type(exc).__name__))[:100]


def marked(markup: str) -> str:
    """Return HTML as text, yet to be cleaned, with its tags as _GAPS has them."""
    cut = _TAG.split(re.sub(_SKIPPED, "", harmless(markup)))  # text, tag, text, ...
    cut[1::2] = map(_GAPS.get, map(str.lower, cut[1::2]), itertools.repeat(""))
    # Nothing that unescape() makes looks like a tag's; int() refuses long numbers.
    text = "".join(cut)
    return html.unescape(re.sub(r"&#\d{8,};?", "", text)) if "&" in text else text


# --- Parsing: bytes -> Page. Pure: no clock, no network, no logging. ---

_UNKNOWN = "well-formed, but not of a status page we know: %s"
# Codecs of text; Python has others, some slow on purpose (punycode). Of UTF-16 and
# UTF-32 the first bytes tell; what is declared so is often UTF-8.
_CODEC = (
    r"(?i)utf(?!.?16|.?32)|iso|8859|latin|win|cp\d|koi8|big5|gb|euc|shift|sjis|"
    r"ascii|us-"
)
_ENCODING = re.compile(r"""(?i)(?:encoding|charset)\s*=\s*["']?([\w.:-]+)""")
# XML namespaces of what feeds are made of, and those that are too long to be any.
_SPACES = re.compile("(?i)/atom|/rss|netscape.com|rdf-syntax|userland|1999/xhtml")
_LONG_SPACE = r"""(?s)xmlns(?<=\sxmlns)[^\s="'<>/]*\s*=\s*(["'])(?:(?!\1).){500}"""
# Linear: what "(?=(...))\1" has matched is not tried in other ways.
_HTML = re.compile(r"(?is)(?:(?=(<\?xml[^>]*>|<!--.*?-->|\s+))\1)*<(!doctype )?html\b")
_SALES = "pricing|free trial|sign up|get started|book a demo|request a demo|customers"
_ABOUT = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}about"
_ULID = re.compile("[0-7][0-9A-HJKMNP-TV-Z]{25}")  # github.com/ulid/spec
_ISO_TIME = re.compile(
    r"(?i)(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:[.,]\d+)?"
    r"\s*(?:Z|UTC|([+-]\d\d):?(\d\d)?)?)?$"
)
_ZONE = re.compile(r"(?:GMT|UTC)?([+-])(\d{1,2}):?(\d\d)?$")
_SHORT_TIME = re.compile(
    r"([A-Z][a-z]{2})[a-z]* (\d{1,2}), ?([01]\d|2[0-3]):([0-5]\d)(?::\d\d)?"
    r" ?(\S{0,9})$"
)
_ZONES = """WET+0000 WEST+0100 BST+0100 CET+0100 CEST+0200 EET+0200 EEST+0300 MSK+0300
    IST+0530 SGT+0800 HKT+0800 JST+0900 KST+0900 AEST+1000 AEDT+1100 NZST+1200 NZDT+1300
    BRT-0300 AKST-0900 HST-1000"""  # email.utils knows those of RFC 822
_OFFSETS = {zone[:-5]: zone[-5:] for zone in _ZONES.split()}
# In marked text: Statuspage's update, incident.io's status and list of components.
_UPDATE = re.compile(
    r"\x01([^\x01\x02]*)\x02\s*\x03([^\x03\x04]*)\x04\s*-?"
    r"((?:[^\x01]+|\x01(?![^\x01\x02]*\x02\s*\x03))*)"
)
_STATUS = re.compile(r"\s*\x03([^\x03\x04:]*):([^\x03\x04]*)\x04")
_PLAN = "\x03THIS IS A SCHEDULED EVENT"
_NAMES = re.compile(r"\x03[^\x03\x04]*\x04\s*((\x05[^\x05\x06]*\x06\s*)+)$")
# The id of an incident in its address; behind that of the page on Status.io.
_PATH = r"/(incidents|pages/incident/[^/]+|incident|maintenance)/([^/?#\s]+)"
# Of feeds with an entry for each update: an id of AWS, which is of a service and a
# second; in titles how it stands, and that with what is not the incident's.
_AWS_ID = re.compile(r"status\.aws\.amazon\.com/#([\w-]+)_\d+$")
_FLAP = r" (?:went down|recovered)$"
_OVER = r"(?i)\[resolved\]|recovered|operating normally"
_EDGE = r"(?i)^(?:service [a-z ]+|informational message): |\[resolved\]|" + _FLAP


def parse(body: bytes | bytearray, content_type: str | None = "") -> Page:
    """Return the Page in *body*, recognised by its own shape; else raise ParseError.

    Reads JSON that has a Form, feeds of several platforms, and any other RSS or Atom as
    incidents without a status. The encoding is that of the byte order mark, else of the
    XML declaration, else of *content_type* (a header), else UTF-8.
    """
    start = body[:256].decode("latin-1").lstrip()
    start = start.partition("?>")[0] if start.startswith("<?xml") else ""
    found = _ENCODING.search("%s %s" % (start, content_type))
    declared = found[1] if found and re.match(_CODEC, found[1]) else "utf-8"
    plain = json.detect_encoding(body[:4])  # by the first bytes, which XML has alike
    for encoding in (declared if plain == "utf-8" else plain, "utf-8"):
        with contextlib.suppress(LookupError, ValueError):
            text = body.decode(encoding).strip()
            break
    else:
        raise ParseError("neither text in %s nor in UTF-8" % declared[:20])
    document = _read(text)
    return (parse_feed if isinstance(document, Element) else parse_json)(document)


def _html_kind(text: str) -> str:
    """Return what an HTML page is, as far as that can be told."""
    seen, title = clean(marked(text)), re.search("(?i)<title[^<>]*>([^<]+)", text)
    if re.search(r"(?i)type\s*=\s*[\"']?password", text):
        return "a login page"
    if len(seen) < 200 and re.search("(?i)<script", text):
        return "a single-page app, which only a browser can read"
    if len(set(re.findall(_SALES, seen.lower()))) > 2:
        return "a marketing page"
    return 'titled "%s"' % clean(title[1])[:50] if title else "without a title"


def parse_time(text: str, near: datetime | None = None) -> datetime | None:
    """Return the time of day in *text* (RFC 3339, RFC 822), in UTC; None for none.

    It may be in seconds since 1970. With *near* also Statuspage's "Sep 3, 14:49 PDT",
    the last not long after *near*.
    """
    text = clean(text)
    short = near and _SHORT_TIME.match(text)
    iso = not short and _ISO_TIME.match(text)
    try:
        if short and near:
            month, day, hour, minute, zone = short.groups()
            after = timedelta(hours=int(hour), minutes=int(minute))
            latest = near + timedelta(31)
            for year in (latest.year, latest.year - 1):
                midnight = _day("%s %s %d 00:00 %s" % (day, month, year, zone))
                if midnight and midnight + after <= latest:
                    return midnight + after
            return None
        if iso:
            date, clock, hours, minutes = iso.groups()
            parts = date, clock or "00:00", hours or "+00", minutes or "00"
            return datetime.fromisoformat("%sT%s%s:%s" % parts).astimezone(UTC)
        if len(text) in (10, 13) and text.isdecimal():  # seconds, or milliseconds
            return datetime.fromtimestamp(int(text[:10]), UTC)
        start, _, zone = text.rpartition(" ")
        offset = _ZONE.match(zone.upper())
        if offset:
            zone = "%s%02d%s" % (offset[1], int(offset[2]), offset[3] or "00")
        text = "%s %s" % (start, _OFFSETS.get(zone.upper(), zone))
        at = email.utils.parsedate_to_datetime(text)
        return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


_day = functools.lru_cache(500)(parse_time)  # a feed has many times of one day


def word(text: str) -> str:
    """Return a vendor's word for a status in snake_case, "" for none."""
    plain = harmless(text).lower().replace("-", " ").replace("_", " ")
    return "_".join(plain.split())[:60]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _read(text: str) -> Any:
    """Return JSON's value or XML's root, with feeds' names bare and in lower case."""
    kind, nodes = ("XML", "<=") if text.startswith("<") else ("JSON", "{[,")
    try:
        if sum(map(text.count, nodes)) > MAX_NODES:
            raise ValueError("too large")
        if kind == "JSON":  # int refuses NaN and Infinity, which are no JSON
            return json.loads(text, parse_constant=int, object_pairs_hook=_unique)
        if _HTML.match(text):
            raise ValueError("an HTML page, %s" % _html_kind(text[:300_000]))
        if re.search(_LONG_SPACE, text):  # it would be written out for each element
            raise ValueError("an overlong namespace")
        # Whole, as expat needs quadratic time for pieces (CVE-2023-52425).
        root: Element = defusedxml.ElementTree.fromstring(text, forbid_dtd=True)
    except (defusedxml.ElementTree.ParseError, ValueError, RecursionError) as exc:
        why = clean(str(exc))[:80] if text else "an empty body"
        raise ParseError("no usable %s: %s" % (kind, why)) from exc
    known = functools.lru_cache(100)(_SPACES.search)
    for element in root.iter():
        space, _, name = element.tag.rpartition("}")
        if not space or known(space) or name in ("encoded", "date"):
            element.tag = name.lower()
    return root


def _words(table: str) -> dict[str, str]:
    """Return {word: status} of "status=word,word status=word"."""
    rows = (row.partition("=") for row in table.split())
    return {word: status for status, _, words in rows for word in words.split(",")}


class Form(NamedTuple):
    """How the JSON of a platform is recognised, where things stand, what words mean.

    A path has "." between keys and leads through lists; "*" is any key, and an empty
    key makes a list of one thing. What stands alike on most platforms is below.
    """

    platform: str
    signs: str  # paths of what must be there or, with "!", not; "|" between choices
    lists: str  # paths of incidents, "=" their status if they tell none, "" to keep it
    components: str = "-"
    page: str = "-"  # path of what has its id, address and time
    complete: str = ""  # signs that all unresolved incidents are listed (R7), which
    window: int = 0  # a list of so many, or with some that are over, does not show
    end: str = ""  # path of what no open incident has


# fmt: off
FORMS = (
    Form("uptime-kuma", "config publicGroupList|heartbeatList",
         "incident. incidents maintenanceList=scheduled",
         "publicGroupList.monitorList|beats", "config", "config"),
    # metastatuspage.com/api: summary.json and status.json, then its other documents.
    Form("statuspage", "page status.indicator", "incidents= scheduled_maintenances=",
         "components", "page", "components"),
    Form("statuspage", "page.id components !status|page.id incidents !status|"
         "page.id scheduled_maintenances !status|incidents.incident_updates !page",
         "incidents= scheduled_maintenances=", "components", "page",
         "page.id incidents", 50),
    # incident.io shows these, too; the next is what its own pages are made of.
    Form("incident.io", "public_url name|ongoing_incidents scheduled_maintenances|"
         "incident.status_page_id|incidents.status_page_id !page|"
         "incidents.updates.to_status !page", "incident. incidents ongoing_incidents "
         "scheduled_maintenances=scheduled in_progress_maintenances=in_progress",
         "components", complete="public_url|ongoing_incidents"),
    # instatus.com/help/api/public-data
    Form("instatus", "page.status page.url !page.id|"
         "components.status components.description !page !status|"
         "components.status components.isParent !page !status",
         "activeIncidents activeMaintenances=scheduled", "components", "page", "page"),
    # An empty list may be of incidents or of components: none says what is over.
    Form("cachet", "meta.pagination data.message", "data", complete="-"),
    Form("cachet", "meta.pagination data.status", "", "data", complete="-"),
    Form("betterstack", "data.attributes.aggregate_state", "status_report",
         "status_page_resource", "data"),
    Form("status.io", "result.status_overall", "result.incidents "
         "result.maintenance.active=in_progress result.maintenance.upcoming=scheduled",
         "result.status", "result.status_overall"),
    Form("aws", "list.arn|current archive", "list current archive"),
    Form("google", "list.external_desc", "list", end="end"),
    Form("slack", "active_incidents|list.notes", "active_incidents list", window=500),
    Form("salesforce", "list.isActive list.key", "list.Incidents "
         "list.Maintenances=scheduled", "list", end="IncidentImpacts.endTime"),
)
# Where the same stands on different platforms, in the order in which to look.
_ID, _URL = "id|_id|arn|slug|key", "shortlink|url|public_url|page_url"
_NAME = "name|public_name|title|external_desc|summary|key|IncidentImpacts.type"
_CHANGED = "updated_at|updated|date_updated|attributes.updated_at"
_STANDING = "explicit_status|status_code|status|aggregate_state"
_UPDATES = ("incident_updates|updates|messages|event_log|notes|IncidentEvents|"
            "MaintenanceEvents|most_recent_update.")
_STATE = "to_status|state|status|type|affected_resources.status"
_BODY = ("body|message_string|details|message|last_update_message|text|content|"
         "description")
_AT = ("display_at|published_at|when|datetime|date_created|createdAt|created_at|"
       "timestamp|last_update_at|updatedAt|updated_at|started|start|starts_at|begin|"
       "date|createdDate")
_IMPACT = "impact|severity|IncidentImpacts.severity"
_AFFECTED = ("components.name|affected_components.name|affected_products.title|"
             "services|components_affected.name|serviceKeys|"
             "impacted_services.*.service_name|service_name.")
_AFFECTED_IDS = ("affected_components.component_id|"
                 "affected_resources.status_page_resource_id")
# Their words for the same, in Statuspage's; numbers stand behind their platform.
_CODES = _words(
    "operational=operational,ok,informational,status.io100,cachet1,uptime-kuma1 "
    "degraded_performance=degraded,degradedperformance,minor_incident_core,"
    "minor_incident_noncore,status.io300,cachet2 partial_outage=minoroutage,"
    "partialoutage,major_incident_noncore,status.io400,cachet3 major_outage="
    "majoroutage,full_outage,downtime,major_incident_core,status.io500,status.io600,"
    "cachet4,uptime-kuma0 =not_monitored,uptime-kuma2 under_maintenance=maintenance,"
    "undermaintenance,maintenance_core,maintenance_noncore,status.io200,uptime-kuma3")
_STATES = _words(
    "investigating=active,open,degraded,downtime,service_outage,service_disruption,"
    "service_information,status.io100,cachet1,aws1,aws2,aws3 identified=status.io200,"
    "cachet2 monitoring=status.io300,cachet3 resolved=available,status.io400,cachet4,"
    "aws0 =update scheduled=notstartedyet,maintenance,maintenance_scheduled,cachet0 "
    "completed=ended,canceled,maintenance_complete in_progress=inprogress,"
    "under_maintenance,maintenance_in_progress")
_IMPACTS = _words(
    "minor=low,degradedperformance,minoroutage major=medium,partialoutage critical="
    "high,majoroutage")
# fmt: on


def parse_json(document: Any) -> Page:
    """Return the Page in JSON of a platform that has a Form."""
    document = _joined(document)
    form = next((each for each in FORMS if _fits(document, each.signs)), None)
    if not form:  # tell what it says, or what there is
        said = document.get("error") or document.get("message") or ", ".join(document)
        raise ParseError(_UNKNOWN % clean(str(said))[:60])
    head = _get(document, form.page, dict) or document
    key, url = clean(_get(head, _ID))[:MAX_TEXT], web(_get(head, _URL))
    platform = "incident.io" if _ULID.fullmatch(key) else form.platform
    components, incidents = [], []
    for row in _get(document, form.components, list):
        if row.get("group") is not True:
            said, since = _get(row, _STANDING), parse_time(_get(row, _CHANGED))
            said = said if said in _CODES else word(said)
            status = _CODES.get(form.platform + said, _CODES.get(said, said))
            name = clean(_get(row, _NAME))[:MAX_TEXT]
            components.append(Component(_id(row), name, status, since))
    names = {component.id: component.name for component in components}
    for path, sign, state in (part.partition("=") for part in form.lists.split()):
        state = state if sign else "investigating"  # what is just listed is open
        for row in _get(document, path, list):
            incident = _incident(row, form, state, names)
            link = incident.url or "%s/incidents/%s" % (url.rstrip("/"), incident.id)
            listed = "aintenance" in path
            if listed and form.platform != "statuspage" and incident.id.isdecimal():
                # It may be an incident's, too.
                incident = incident._replace(id="maintenance-" + incident.id)
            planned = incident.maintenance or listed
            incidents.append(incident._replace(maintenance=planned, url=web(link)))
    alone = next(iter(document.values())) if len(document) == 1 else None
    # An empty list tells nothing of whose it is, beside an error, say.
    if head is document and form.page == "page" and not (components or incidents):
        if alone != []:
            raise ParseError(_UNKNOWN % clean(", ".join(document))[:60])
    over = len(incidents) >= form.window or any(e.status in DONE for e in incidents)
    complete = _fits(document, form.complete) and not (form.window and over)
    if alone == []:  # of whichever platform
        key = "[]"
    elif form.platform != "statuspage":  # one that has no id is known by what it is
        kind = "list" if isinstance(alone, list) else platform
        key = key or urlsplit(url).netloc or kind
    at = parse_time(_get(head, _CHANGED))
    return Page(platform, key, url, at, tuple(components), _merged(incidents), complete)


def _incident(row: Any, form: Form, state: str, names: Mapping[str, str]) -> Incident:
    """Return an incident; *state* is its status where it has none, "" to keep that."""

    def status_of(each: dict[str, Any], path: str) -> str:
        status = word(_get(each, path))
        status = _STATES.get(form.platform + status, _STATES.get(status, status))
        return state if state in PLANNED and status in OPEN - PLANNED else status

    def update_of(each: dict[str, Any]) -> Update:
        key, status = _get(each, "id|created"), status_of(each, _STATE)
        # Salesforce's incidents have an object there.
        odd = form.platform == "salesforce" and isinstance(each.get("message"), dict)
        body, at = "" if odd else _get(each, _BODY), parse_time(_get(each, _AT))
        return Update(clean(key)[:MAX_TEXT], status, clean(marked(body)), at)

    updates = sorted(map(update_of, _get(row, _UPDATES, list)[::-1]), key=_when)
    status = status_of(row, _STANDING) or (updates[-1].status if updates else "")
    if form.end and state not in PLANNED:
        status = "resolved" if _get(row, form.end) else status if status in OPEN else ""
    status = status or state
    if state:  # then an update may have no status, and the last has the incident's
        updates, said = updates or [update_of(row)._replace(id="", status="")], state
        for number, update in enumerate(updates):
            said = update.status or said
            updates[number] = update._replace(status=said)
        updates[-1] = updates[-1]._replace(status=status)
    impact = word(_get(row, _IMPACT))
    planned = status in PLANNED or _get(row, "type|report_type") == "maintenance"
    affected = None if _at(row, _AFFECTED) is None else _get(row, _AFFECTED, tuple)
    if affected is None:
        ids = _get(row, _AFFECTED_IDS, tuple)
        affected = tuple(names[key] for key in ids if key in names) or None
    about = affected, _IMPACTS.get(impact, impact), planned, _get(row, _URL)
    link = re.search(_PATH, _get(row, _URL))  # R9
    key = _id({"id": link[2]} if link else row)
    return Incident(key, clean(_get(row, _NAME)), status, tuple(updates), *about)


def _merged(incidents: Iterable[Incident]) -> tuple[Incident, ...]:
    """Return *incidents*, bounded, those of one id as one with the updates of all."""
    merged: dict[str, Incident] = {}
    for each in incidents:
        updates, names, known = each.updates, each.components, merged.get(each.id)
        if known:
            updates = tuple(sorted(dict.fromkeys(known.updates + updates), key=_when))
            names = tuple(dict.fromkeys([*(known.components or ()), *(names or ())]))
            names = names or known.components
            each = known._replace(status=updates[-1].status if updates else "")
        names = names and tuple(clean(name)[:MAX_TEXT] for name in names[:MAX_PARTS])
        title, updates = each.title[:MAX_TEXT], updates[-MAX_PARTS:]
        merged[each.id] = each._replace(title=title, updates=updates, components=names)
    return tuple(merged.values())


def _joined(document: Any) -> dict[str, Any]:
    """Return a document with what is in pieces in one place, as no path can tell it."""
    if not isinstance(document, dict):
        return {type(document).__name__: document}
    if "isActive" in document:  # one instance of Salesforce's many
        return {"list": [document]}
    if isinstance(document.get("summary"), dict):  # incident.io's /proxy/<host>
        page: dict[str, Any] = document["summary"]
        said = {}
        for row in _get(page, "affected_components", list):
            said[_get(row, "component_id")] = _get(row, "current_status|status")
        for row in _get(page, "components", list):  # if not affected operational
            row.setdefault("status", said.get(_get(row, "id")) or "operational")
        return page
    found: dict[str, Any] = {}
    rows = _get(document, "included", list)  # of Better Stack (jsonapi.org)
    parts = [{**_get(row, "attributes", dict), "id": row.get("id")} for row in rows]
    updates = (p for r, p in zip(rows, parts) if r.get("type") == "status_update")
    by_id = {_get(part, "id"): part for part in updates}
    for row, part in zip(rows, parts):
        ids = _get(row, "relationships.status_updates.data.id", tuple)
        # Each is one report's, and once: else a few bytes would be many texts.
        part["updates"] = [by_id.pop(key) for key in ids if key in by_id]
        found.setdefault(_get(row, "type"), []).append(part)
    for key in _get(document, "heartbeatList", dict):  # of Uptime Kuma, the latest last
        beats = _get(document["heartbeatList"], key, list)[-1:]
        found.setdefault("beats", []).extend({**row, "id": key} for row in beats)
    for row in _get(document, "archive", list):
        row["status"] = 0  # has how bad it was
    for row in _get(document, "archive", list) + _get(document, "current", list):
        # An incident of AWS is that of a service and a minute: seconds changed. Its
        # text has all its updates, the oldest first.
        minute = str(parse_time(_get(row, "date")))[:16]
        texts = _get(row, "description").rsplit("<div>", MAX_PARTS)[:0:-1]
        key, messages = _get(row, "service"), [{"details": text} for text in texts]
        row.update(id="%s %s" % (key, minute), messages=messages)
    return {**document, **found}


def _fits(document: Any, signs: str) -> bool:
    """Return whether any of the choices that *signs* has is true of a document."""

    def stands(sign: str) -> bool:
        return (_at(document, sign.lstrip("!")) is None) == sign.startswith("!")

    return any(all(map(stands, choice.split())) for choice in signs.split("|"))


def _at(value: Any, paths: str) -> Any:
    """Return what stands at the first of *paths* where anything does, else None."""
    for path in paths.split("|"):
        if "." in path:
            found = functools.reduce(_step, path.split("."), value)
        else:
            found = value.get(path)
        if found is not None and found != "":
            return found
    return None


def _step(value: Any, key: str) -> Any:
    """Return what *key* leads to: in a list, what it does in all objects, as a list."""
    if not key:
        return value and [value]
    if isinstance(value, dict):
        return list(value.values()) if key == "*" else value.get(key)
    if not isinstance(value, list):
        return None
    found = [row.get(key) for row in _get({"a list": value}, "a list", list)]
    lists = (part if isinstance(part, list) else [part] for part in found)
    parts = [part for each in lists for part in each if part is not None]
    return parts if parts or not value else None


def _get(row: dict[str, Any], paths: str, kind: Any = str) -> Any:
    """Return the text, list of objects, object or texts at *paths*; else ParseError."""
    value = _at(row, paths)
    if value is None:
        return kind()
    if kind is str and "." in paths and isinstance(value, list):
        value = value[0] if value else ""
    if type(value) is kind is not list or (kind is str and type(value) is int):
        return kind(value)
    types = set(map(type, value if isinstance(value, list) else [None]))
    if (kind is list and types <= {dict}) or (kind is tuple and types <= {str}):
        return kind(value)
    raise ParseError("JSON, but %s is not what it should be" % paths.partition("|")[0])


def _when(update: Update) -> float:
    return update.at.timestamp() if update.at else 0.0


def _id(row: Any) -> str:
    """Return the row's id (else its name's digest), bounded and still unique."""
    key = clean(_get(row, _ID)) or digest(_get(row, _NAME), size=12)
    return key if len(key) <= 100 else "%s~%s" % (key[:80], digest(key, size=10))


def parse_feed(root: Element) -> Page:
    """Return the Page in RSS or Atom (rssboard.org/rss-specification, RFC 4287)."""
    if root.tag not in ("rss", "rdf", "feed"):
        raise ParseError(_UNKNOWN % clean("<%s>" % root.tag)[:60])
    head = next(root.iterfind("channel"), root)
    azure = _first(head, "title") == "Azure Status"  # lists what is open, and no more
    whose = "azure" if azure else _first(head, "generator")
    entries = [_entry(e, whose) for tag in ("item", "entry") for e in root.iter(tag)]
    platforms = {"azure"} if azure else {platform for platform, _, _ in entries}
    platform, link = platforms.pop() if len(platforms) == 1 else "feed", _link(head)
    host = re.search(r"(?:://|^tag:)([\w.-]{1,253})", link or _first(head, "id"))
    key = host[1].lower() if host and platform != "feed" else ""
    key = "azure" if azure else key  # its hosts take turns
    times = [parse_time(_first(head, "updated", "lastbuilddate", "pubdate"))]
    at = max(filter(None, times + [at for _, _, at in entries]), default=None)
    incidents = _merged(incident for _, incident, _ in entries)
    return Page(platform, key, web(link), at, (), incidents, azure)


def _entry(entry: Element, whose: str) -> tuple[str, Incident, datetime | None]:
    """Return whose form an entry has ("feed" for anybody's), its incident, its time."""
    link, key = _link(entry), _first(entry, "guid", "id") or entry.get(_ABOUT, "")
    at = parse_time(_first(entry, "updated", "pubdate", "date", "published"))
    bodies = ("description", "summary", "content", "encoded")
    text = max((_construct(e) for e in entry if e.tag in bodies), key=len, default="")
    titles = entry.findall("title") or entry.findall("{*}title")
    title = clean(next(map(_construct, titles), ""))
    path, aws = re.search(_PATH, link or key), _AWS_ID.search(key)
    key = path[2] if path else key or link or digest(title, str(at))
    platform, names, status, state = "feed", None, "", _STATUS.match(text)
    planned, updates = text.lstrip().startswith(_PLAN), _history(text, at)
    if updates:
        platform = "instatus" if path and path[1] != "incidents" else "statuspage"
    elif state and (whose == "incident.io" or word(state[1]) == "status"):
        platform, status, listed = "incident.io", word(state[2]), _NAMES.search(text)
        text = text[state.end() : listed and listed.start()]
        if listed:  # each is "Name (Its status)"
            items = map(clean, re.findall("\x05([^\x06]*)\x06", listed[1]))
            names = tuple(item.rpartition(" (")[0] or item for item in items)
    elif whose == "azure":
        platform, status = whose, "investigating"
        names = tuple(clean(each.text or "") for each in entry.findall("category"))
    elif aws or re.search(_FLAP, title):
        platform = "aws" if aws else "betterstack"
        status = "resolved" if re.search(_OVER, title) else "investigating"
        title = clean(re.sub(_EDGE, "", title))
        names = (aws[1] if aws else title,)
        key = "%s %s" % (aws[1], title) if aws else key
    updates = updates or [Update("", status, clean(text), at)]
    planned = planned or any(update.status in PLANNED for update in updates)
    about = updates[-1].status, tuple(updates), names, "", planned, web(link)
    return platform, Incident(_id({"id": key}), title, *about), at


def _history(text: str, at: datetime | None) -> list[Update]:
    """Return the updates in marked text that has all of them, the newest first."""
    updates, status = [], ""
    for date, label, body in _UPDATE.findall(text)[::-1]:
        label = word(label)
        status = status if label == "update" else label  # as the one before (R3)
        updates.append(Update("", status, clean(body), parse_time(date, at) or at))
    return sorted(updates, key=_when)


def _first(element: Element, *names: str) -> str:
    """Return the text of the first of the named children that has one."""
    texts = ((element.findtext(name) or "").strip() for name in names)
    return next(filter(None, texts), "")


def _construct(element: Element) -> str:
    """Return the marked text of a text construct: plain text, HTML or XHTML."""
    if len(element) or element.get("type") == "text":
        for part in element.iter():  # write it, or XHTML, as HTML
            tag = part.tag.rpartition("}")[2]
            part.text = "<%s>%s" % (tag, html.escape(part.text or ""))
            part.tail = "</%s>%s" % (tag, html.escape(part.tail or ""))
    text, kind = "".join(element.itertext()), element.get("type")
    if element.get("mode") == "base64" or kind == "application/octet-stream":
        with contextlib.suppress(ValueError):
            text = base64.b64decode(text).decode()
    return marked(text)


def _link(element: Element) -> str:
    """Return the address of the web page that an entry, or a feed, is about."""
    for link in element.findall("link") + element.findall("guid"):
        text, kind = (link.get("href") or link.text or "").strip(), link.get("rel")
        if text and kind in (None, "alternate") and link.get("isPermaLink") != "false":
            return text
    return ""


# --- Tracking: Pages -> Events, by the rules R1 to R15. Pure: no clock, no logging. ---

ABOUT = ("title", "url", "components", "impact", "maintenance")  # in all its events
_key = functools.partial(digest, size=8)  # of an id, which may be long
RUNTIME = ("url", "host", "slot", "away", "not_before")  # of a Source: is not stored


@dataclasses.dataclass
class Source:
    """A polled URL and what is remembered of it. The provider's worker owns it."""

    url: str
    host: str = ""  # of the URL, with the port
    slot: str = ""  # its name in memory and state file, which have no secrets of URLs
    away: bool | None = None  # is news old news? (R15) None before the first read
    not_before: float = 0.0  # monotonic: back-off or the server forbid to ask earlier
    wait_until: float = 0.0  # as a time of day, as far as the server said so
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
    moved_to: str = ""  # where it was permanently redirected to,
    moved: int = 0  # and how often in a row,
    moved_public: bool = False  # and whether by a public host

    def __post_init__(self) -> None:
        self.host, self.slot = urlsplit(self.url).netloc, digest(self.url, size=5)


def accept(source: Source, page: Page, body: str) -> str:
    """Return why *page*, with the digest *body*, is set aside, or "" and note it."""
    ids = {page.id, source.page_id}
    if "" not in ids and len(ids) > 1 and not ids <= LISTS:  # R14
        source.foreign += page.id != "[]"  # which is nobody's: it may be an error, too
        if source.foreign < PATIENCE and source.page_id != "[]":
            return "another page's document"
        source.seeded, source.earlier, source.newest = False, (), 0.0
    source.foreign, at = 0, page.at.timestamp() if page.at else 0.0
    if body in source.earlier and at < source.newest:  # R6
        source.stale += 1
        if source.stale < PATIENCE:
            return "a stale copy"
        source.newest = at
    source.earlier = (*source.earlier, source.digest)[-EARLIER:]
    source.newest, source.digest = max(source.newest, at), body
    source.page_id = max(ids) if ids <= LISTS else page.id or source.page_id
    source.complete = page.complete
    return ""


@dataclasses.dataclass
class View:
    """What one source has shown of one incident."""

    # Digest of an update's id -> its mark. Where it has no id: its mark, with a "'"
    # behind it if it is there twice, -> "".
    shown: dict[str, str] = dataclasses.field(default_factory=dict)
    status: str = ""
    names: str = ""  # digest of the affected components' names
    absent: int = 0  # reads in a row without it (R7); -1: the source lists not all
    gone: list[str] = dataclasses.field(default_factory=list)  # marks shown no more

    def count(self, mark: str) -> int:
        """Return how often the source newly showed a mark that starts so."""
        marks = itertools.chain((v or k for k, v in self.shown.items()), self.gone)
        return sum(each.startswith(mark) for each in marks)

    def pending(self) -> bool:  # may it be over without a word? (R7)
        return self.absent > 0 and self.status not in ("", *DONE)


@dataclasses.dataclass
class Story:
    """What is known of one incident from all sources together (R9)."""

    views: dict[str, View] = dataclasses.field(default_factory=dict)
    status: str = ""  # told last
    began: int = 0  # the earliest time known of it
    told: int = 0  # 1: a user has been told of it; -1: all of it was held back
    about: dict[str, Any] = dataclasses.field(default_factory=dict)  # fields of events


@dataclasses.dataclass
class Standing:
    """How a component stands (R5)."""

    owner: str  # slot of the source that shows it; after a "!" if it did once
    status: str = ""
    since: int = 0
    row: Sequence[str] = ()  # name, id, URL; remembered for filters and while held
    was: str = ""  # told last, if a change from it is held,
    held_at: float = 0.0  # since when,
    changed_at: int = 0  # and when the vendor says that it was
    name: str = ""  # as told by a source without statuses


class Tracker:
    """One observation: made from the memory (JSON), and made into it again."""

    def __init__(self, provider: Provider, memory: str, now: datetime) -> None:
        self.provider, self.now = provider, now
        self.events: list[Event] = []
        self.suppressed: collections.Counter[str] = collections.Counter()  # by key
        self.missing: list[str] = []  # patterns, each with a name like it
        self.ids: dict[str, list[str]] = {}  # of components, by their names
        # By digests of their ids; and the patterns that are missing, as has been said.
        stories, components, self.gone = json.loads(memory or "[{},{},[]]")
        self.components = {key: Standing(*each) for key, each in components.items()}
        self.stories: dict[str, Story] = {}
        for key, (views, *rest) in stories.items():
            self.stories[key] = Story({s: View(*v) for s, v in views.items()}, *rest)
            for view in self.stories[key].views.values():
                marks = [each.partition(":") for each in str(view.shown).split()]
                view.shown = {key: mark for key, _, mark in marks}

    def observe(self, reads: Sequence[tuple[Source, Page | None]]) -> None:
        """Add the events of a poll: *reads* are the good ones, None is unchanged."""
        pages = [(source, page) for source, page in reads if page]
        self.ids = {}
        for name, id, _ in (part.row for part in self.components.values() if part.row):
            self.ids[name] = [*self.ids.get(name, ()), id][:MAX_PARTS]
        for source, page in pages:
            slot, listed = source.slot, {_key(each.id) for each in page.components}
            if not source.seeded:  # forget what it showed, not what was told (R1, R14)
                for view in (s.views.get(slot, View()) for s in self.stories.values()):
                    view.gone += [mark or key for key, mark in view.shown.items()]
                    view.shown, view.status = {}, ""
                parts = self.components.items()
                self.components = {k: p for k, p in parts if slot not in p.owner}
            for key, part in self.components.items():
                if part.owner == slot and key not in listed:
                    part.owner = "!" + slot
            for incident in reversed(page.incidents):  # merge what is known of it (R9)
                key, known = _key(incident.id), incident._asdict().items()
                story = self.stories[key] = self.stories.pop(key, Story())  # the last
                facts = {k: v for k, v in known if k in ABOUT and (v or v == ())}
                story.about.update(facts, incident_id=incident.id)
                # A maintenance runs from when it begins, not from when it is announced.
                times = [_when(u) for u in incident.updates if u.status != "scheduled"]
                story.began = int(min(filter(None, [story.began, *times]), default=0))
        pairs = [(source, each) for source, page in pages for each in page.incidents]
        for source, incident in sorted(reversed(pairs), key=_order):
            self._see_incident(source, incident)
        for read in reads:
            self._see_components(*read)
            self._see_absences(*read)
        self._see_patterns(pages)

    def keep(self, slots: set[str]) -> None:
        """Note that no source but those with these *slots* shows anything any more."""
        for part in self.components.values():
            if part.owner.lstrip("!") not in slots:
                part.owner = "!"
        for story in self.stories.values():
            for slot in story.views.keys() - slots:
                story.views[slot].absent = -1

    def _see_incident(self, source: Source, incident: Incident) -> None:
        """Tell the updates of an incident that are not told yet (R2, R3, R4, R9)."""
        story = self.stories[_key(incident.id)]
        view = story.views.setdefault(source.slot, View())
        known = any(each.shown or each.gone for each in story.views.values())
        fresh, shown, updates = False, set(), incident.updates
        # Was it held back for want of names? Then it is news once these are known.
        held = story.told < 0 and not any(v.names for v in story.views.values())
        if not updates and (incident.status != view.status or not known):
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
                    self._tell(source, story, update, type=kind, edited=bool(before))
                known = True
        for key in [key for key in view.shown if key not in shown]:
            # Without an id it is new if it returns (R3); with one it is remembered.
            if not view.shown[key] or len(view.shown) > MEMORY:
                view.gone.append(view.shown.pop(key) or key)
        if incident.components is not None:
            names = digest(*sorted(set(incident.components)))
            told = any(each.names == names for each in story.views.values())
            if held or (view.names and not fresh and not told):  # R4
                *_, last = (Update("", "", "", None), *updates)
                at = last.at if held else None
                update = Update("", incident.status, last.body, at)
                kind = NEW_INCIDENT if held else INCIDENT_UPDATE
                self._tell(source, story, update, type=kind, edited=not held)
            view.names = names
        view.status, view.absent, view.gone = incident.status, 0, view.gone[-MEMORY:]

    def _see_components(self, source: Source, page: Page | None) -> None:
        """Tell which components changed (R5), once the change has stood for `hold`.

        That is since it left the status told last: flaps of an outage do not delay it.
        """
        # A component belongs to the source that showed its status last. Another, which
        # may lag behind, takes it over with a newer time, or once its owner drops it.
        slot, now, hold = source.slot, self.now.timestamp(), self.provider.hold
        rows = {each.id: each for each in page.components} if page else {}
        for id, name, status, at in rows.values():
            part = self.components.pop(_key(id), Standing(slot))
            self.components[_key(id)] = part
            # Uptime Kuma's heartbeats have no names, and what has these no statuses.
            part.name = part.name if status else name
            part.row = name or part.name, id, page and page.url or ""
            since = int(at.timestamp()) if at else part.since
            owned = part.owner.lstrip("!")
            late = since < part.since or (since == part.since and owned == part.owner)
            if not status or (part.status and late and owned != slot):
                continue
            before, part.status, part.owner = part.status, status, slot
            if source.seeded and before not in ("", status):  # R1
                if part.was:  # the change before this did not stand
                    self._tell_change(source, part, "hold")
                part.was, part.held_at = part.was or before, part.held_at or now
                # A time that did not change with the status is not the change's.
                part.changed_at = since if since > part.since else 0
            part.since = max(since, part.since)
        for part in self.components.values():
            back, early = part.was == part.status, 0 <= now - part.held_at < hold
            held = part.was and part.owner == slot and source.seeded
            if held and (back or not early):
                self._tell_change(source, part, "hold" if back else "")
                part.was, part.held_at, part.changed_at = "", 0.0, 0

    def _tell_change(self, source: Source, part: Standing, key: str) -> None:
        name, id, url = part.row
        at = datetime.fromtimestamp(part.changed_at, UTC) if part.changed_at else None
        self._add(
            source, key, type=COMPONENT_STATUS_CHANGE, components=(name,),
            status=part.status, previous_status=part.was, component_id=id,
            url=url or None, occurred_at=at,
        )  # fmt: skip

    def _see_absences(self, source: Source, page: Page | None) -> None:
        """Tell which incidents a source that lists all unresolved ones dropped (R7)."""
        slot = source.slot
        listed = {_key(incident.id) for incident in page.incidents} if page else ()
        for key, story in self.stories.items():
            view = story.views.get(slot)
            if view is None or key in listed or not (page or view.pending()):
                continue
            view.absent = max(view.absent, 0) + 1 if source.complete else -1
            views = story.views.values()
            unresolved = any(each.status in OPEN and not each.absent for each in views)
            limit = ABSENT_ELSEWHERE if unresolved else ABSENT
            if view.pending() and any(each.status in DONE for each in views):
                view.status = "resolved"
            elif view.pending() and view.absent >= limit:
                planned = "maintenance" in story.about
                view.status = "completed" if planned else "resolved"
                update = Update("", view.status, "no longer listed by the vendor", None)
                self._tell(source, story, update, inferred=True)

    def _see_patterns(self, pages: Sequence[tuple[Source, Page]]) -> None:
        """Note which patterns of `components` mean nothing any more."""
        # incident.io's summary lists 25 components, now these, now those.
        whole = [p for _, p in pages if p.platform != "incident.io" or not p.complete]
        names = {c.name.casefold(): c.name for page in whole for c in page.components}
        parts = [part for part in self.components.values() if part.owner[0] != "!"]
        tags = [*itertools.chain(*(part.row[:2] for part in parts))]
        for story in self.stories.values():
            if any(view.names and not view.absent for view in story.views.values()):
                tags += story.about.get("components", ())
        for pattern in self.provider.components:
            if matches(pattern, *tags):
                self.gone = [each for each in self.gone if each != pattern]
            elif names and pattern not in self.gone:
                import difflib  # here: 0.2 MB that most never need

                near = difflib.get_close_matches(pattern, names, 1)
                self.missing.append(", but ".join([pattern, *(names[n] for n in near)]))
                self.gone.append(pattern)

    def _tell(self, source: Source, story: Story, update: Update, **more: Any) -> None:
        before = story.status or max(view.status for view in story.views.values())
        if update.status in ENDS and before not in DONE and not more.get("edited"):
            ran = (update.at or self.now).timestamp() - (story.began or math.inf)
            more["duration_s"] = int(max(0.0, ran)) or None
        told = self._add(
            source, status=update.status or None,
            previous_status=before or None, message=update.body,
            update_id=update.id or None, occurred_at=update.at, **story.about, **more,
        )  # fmt: skip
        story.told = max(story.told, told) or min(story.told, told)
        if not more.get("edited"):
            story.status = update.status or before

    def _add(self, source: Source, key: str = "", **fields: Any) -> int:
        """Return 1 if an event is told, -1 if held back, and counted, 0 for a seed."""
        name, product = self.provider.name, self.provider.product
        fields["components"] = tuple(fields.get("components", ()))
        fields.update(detected_at=self.now, while_away=bool(source.away))  # R15
        fields.update(provider=name, product=product or name, source=redact(source.url))
        event = Event(**{"type": INCIDENT_UPDATE, **fields})
        key = self.filter_of(event) or key
        self.suppressed.update([key] if key and source.seeded else [])
        self.events += [event] if source.seeded and not key else []  # R1
        return (-1 if key else 1) if source.seeded else 0

    def filter_of(self, event: Event) -> str:
        """Return the key of the filter that keeps *event* back (R13), "" for none."""
        provider, story = self.provider, self.stories.get(_key(event.incident_id or ""))
        if event.type not in provider.events:
            return "events"
        if story and story.told > 0:  # to its end, whatever becomes of it
            return ""
        if event.maintenance and not provider.maintenance:
            return "maintenance"
        if event.impact in IMPACTS[: IMPACTS.index(provider.min_impact)]:
            return "min_impact"
        if not event.components or not provider.components:
            hidden = provider.components and provider.untagged == "hide"
            return "untagged" if hidden else ""
        ids = [id for name in event.components for id in self.ids.get(name, ())]
        ids = [event.component_id] if event.component_id else ids
        found = any(matches(p, *event.components, *ids) for p in provider.components)
        return "" if found else "components"

    def pending(self) -> bool:
        """Return whether unchanged reads matter: for an end (R7), or for `hold`."""
        held = (p.was and p.owner[0] != "!" for p in self.components.values())
        views = (v for story in self.stories.values() for v in story.views.values())
        return any(held) or any(view.pending() for view in views)

    def memory(self) -> str:
        """Return all as JSON, without the oldest of what is no longer listed (R8)."""
        filters = self.provider.components or self.provider.min_impact != IMPACTS[0]
        for number, (key, story) in enumerate(reversed(list(self.stories.items()))):
            views = story.views.values()
            if number >= MEMORY and all(v.absent and not v.pending() for v in views):
                del self.stories[key]
            elif number >= DETAILED and {v.status for v in views} <= {"", *DONE}:
                self.stories[key] = story if filters else Story(story.views)
        unlisted = [k for k, part in self.components.items() if part.owner[0] == "!"]
        for key in unlisted[:-MEMORY]:
            del self.components[key]
        for part in self.components.values():
            part.row = part.row if part.was or self.provider.components else ()
        return dumps([self.stories, self.components, self.gone], default=_packed)


def _packed(record: Any) -> list[Any]:
    """Return the values of a record, without the empty ones at the end."""
    values = list(vars(record).values())
    if isinstance(record, View):
        marks = record.shown.items()
        values[0] = " ".join(("%s:%s" % each).rstrip(":") for each in marks)
    while not values[-1] and len(values) > 1:
        values.pop()
    return values


def _order(pair: tuple[Source, Incident]) -> tuple[bool, bool, bool, float]:
    """Return a sort key: seeded sources, then words, then ids, then oldest, first."""
    source, updates = pair[0], pair[1].updates
    words, ids = any(u.body for u in updates), any(u.id for u in updates)
    return not source.seeded, not words, not ids, min(map(_when, updates), default=0.0)


def matches(pattern: str, *names: str) -> bool:
    """Return whether *pattern*, in which only "*" is special, means one of *names*."""
    pattern = re.sub(r"([\[?])", r"[\1]", pattern)
    short = (name[:MAX_TEXT].casefold() for name in names)
    return any(fnmatch.fnmatchcase(name, pattern) for name in short)


def find_troubles(
    provider: Provider, reads: Sequence[tuple[Source, Page]], now: datetime
) -> list[Event]:
    """Return what is not well: an event for each, dated to when that began."""
    tracker = Tracker(provider._replace(hold=0.0, events=TYPES), "", now)
    for source, page in reads:  # as if all had been well until now
        well = (
            row._replace(status=row.status and "operational", at=None)
            for row in page.components  # without a status it may tell another's name
        )
        tracker.observe([(source, Page("", components=tuple(well)))])
    tracker.observe(reads)
    latest: dict[tuple[str | None, str | None], Event] = {}
    for event in tracker.events:
        key = event.component_id, event.incident_id
        latest[key] = event._replace(occurred_at=latest.get(key, event).occurred_at)
    complete = [page for _, page in reads if page.complete]
    listed = {incident.id for page in complete for incident in page.incidents}
    return [
        event
        for event in latest.values()
        if event.component_id
        or event.status not in ("scheduled", *DONE)
        and (event.incident_id in listed if complete else event.status in OPEN)
    ]


# --- Formatting: Event -> text. Pure. ---


def format_text(event: Event) -> str:
    """Return the two lines, and the blank one, that a person reads."""
    affected = ", ".join(event.components) or event.title or ""
    message = shorten(event.message or (event.title if event.components else "") or "")
    product = " - ".join(filter(None, (clean(event.product), shorten(affected))))
    status = clean(event.status or "unknown").replace("_", " ").capitalize()
    status += " after " + span(event.duration_s) if event.duration_s else ""
    status += " (while away)" if event.while_away else ""
    status += " — " + message if message else ""
    at = str(event.occurred_at or event.detected_at)[:19]
    return "[%s] Product: %s\nStatus: %s\n\n" % (at, product, status)


def shorten(text: str, most: int = MAX_TEXT) -> str:
    text = clean(text)
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def span(seconds: float) -> str:
    """Return a duration in words, two at most, such as "1h 23m" or "45s"."""
    seconds = max(0, int(seconds))
    parts = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60, seconds % 60
    words = ["%d%s" % part for part in zip(parts, "dhms") if part[0]]
    return " ".join(words[:2]) or "0s"


def format_json(event: Event) -> str:
    """Return a line of JSON, in ASCII, which any encoding has."""
    line = json.dumps(event._asdict(), default=lambda at: at.isoformat()[:19] + "Z")
    return line + "\n"


def format_status(events: Sequence[Event], unread: Iterable[str], colour: bool) -> str:
    """Return a table of what is not well, and of the providers that were not read."""
    rows = [("PROVIDER", "WHAT", "STATUS", "SINCE (UTC)")]
    for event in events:
        what = event.components[0] if event.component_id else event.title or ""
        status = clean(event.status or "").replace("_", " ").capitalize()
        since = str(event.occurred_at or "unknown")[:16]
        rows.append((clean(event.provider), shorten(what, 60), status, since))
    rows += [(clean(name), "its page", "Could not be read", "") for name in unread]
    if len(rows) == 1:
        return "All is well.\n"
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    red = "\x1b[31m%s\x1b[0m" if colour else "%s"
    return "\n".join([lines[0], *(red % line for line in lines[1:])]) + "\n"


def format_probe(
    provider: Provider, reads: Sequence[tuple[Source, Page]], troubles: Sequence[Event]
) -> str:
    """Return what was found at an address, and its line for providers.ini."""
    url, kinds = redact(provider.urls[0]), [page.platform for _, page in reads]
    platform = next((kind for kind in kinds if kind in PLATFORMS), kinds[0])
    lines = [url, "platform: " + platform]
    for source, page in reads:
        kept = filter(None, [source.etag and "ETag", source.modified and "date"])
        said = redact(source.url), " and ".join(kept) or "no validators"
        lines.append("source: %s (%s)" % said)
    parts = {part.id: part.name for _, page in reads for part in page.components}
    some = [name for name in parts.values() if name][:3]
    names = ", such as " + ", ".join(some) if some else ""
    lines.append("components: %d%s" % (len(parts), names))
    known = {incident.id for _, page in reads for incident in page.incidents}
    count = sum(event.incident_id is not None for event in troubles)
    lines.append("incidents: %d, %d open" % (len(known), count))
    host = re.sub(r"^(www|status)\.(?=.*\.)", "", urlsplit(url).hostname or "")
    name = re.sub("(?<=.)-?status$", "", host.split(".")[0]).capitalize()
    urls = [redact(source.url) for source, _ in reads]
    usual = is_page(url) and platform in PLATFORMS
    if usual and list(map(redact, sources_of(url, platform))) in ([], urls):
        urls = [url, platform]
    line = clean("%s = %s" % (name, " ".join(urls)))
    return "%s\n%s\n" % ("\n  ".join(map(clean, lines)), line)


# --- Fetching: URL -> Response. The network, and only here. Called by workers. ---

HEADERS = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip", "Accept": "*/*"}
_current = threading.local()  # .attempt is the Attempt that this worker makes


class Body(bytearray):
    """What is read: unlike its base, it can be waited for to be freed."""


class Response(NamedTuple):
    """A usable answer: body is None for 304, moved_to where permanent redirects led."""

    body: bytearray | None
    content_type: str
    etag: str
    modified: str
    fresh_for: float  # seconds, from max-age
    moved_to: str = ""
    public: bool = False  # was a public host among those that led here?


class Attempt:
    """A fetch under a deadline, at which the scheduler's thread cuts it."""

    def __init__(self, due: float) -> None:
        self.due = due  # -inf once it is cut
        self.peer, self.public = "", False  # public pages must not lead to private ones
        # A duplicate: shutting it ends any handshake or read, whatever wraps the other,
        # and its number is nobody else's when the other is closed meanwhile.
        self._line = -1
        self._lock = threading.Lock()  # held while _line is replaced or shut

    def attach(self, line: socket.socket | None, peer: str = "") -> None:
        """Make *line*, which leads to *peer*, what cut() cuts; None for nothing."""
        if line and self.public and not _is_public(peer):
            raise FetchError("redirect from a public page to a private address")
        with self._lock:
            old, self._line = self._line, os.dup(line.fileno()) if line else -1
            if old >= 0:
                os.close(old)
        self.peer = peer
        if self.due < 0:
            self.cut()

    def cut(self) -> None:
        """End the fetch now."""
        self.due = -math.inf
        with self._lock, contextlib.suppress(OSError):
            if self._line >= 0:
                with socket.socket(fileno=self._line) as line:  # closes it, too
                    self._line = -1
                    line.shutdown(socket.SHUT_RDWR)

    def left(self) -> float:
        """Return the seconds that are left, or raise FetchError."""
        left = self.due - time.monotonic()
        if left <= 0:
            raise FetchError("took too long")
        return left


class _Connection(urllib3.connection.HTTPConnection):
    peer = ""  # the address it leads to

    def _new_conn(self) -> socket.socket:
        """Connect: all addresses of the host share what is left of the deadline."""
        attempt: Attempt = _current.attempt
        error: Exception = OSError("no address")
        host = getattr(self, "_dns_host", self.host)
        family = urllib3.util.connection.allowed_gai_family()  # IPv6 may be off
        found = socket.getaddrinfo(host, self.port, family, socket.SOCK_STREAM)
        for number, (family, kind, protocol, _, address) in enumerate(found):
            line, self.peer = socket.socket(family, kind, protocol), str(address[0])
            try:
                line.settimeout(attempt.left() / (len(found) - number))
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                attempt.attach(line, self.peer)
                line.connect(address)
                return line
            except (FetchError, OSError) as exc:
                line.close()
                if isinstance(exc, FetchError):
                    raise
                error = exc
        # Raw, urllib3 would take a broken pipe for an answer that comes all the same.
        raise FetchError(reason(error), passing=attempt.due > 0) from error

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock:  # kept alive since an earlier attempt
            _current.attempt.attach(self.sock, self.peer)
        super().request(*args, **kwargs)


class _SecureConnection(_Connection, urllib3.connection.HTTPSConnection):
    pass


class _Adapter(requests.adapters.HTTPAdapter):
    """A transport with one TLS context; requests alone makes one for each host."""

    def __init__(self, **kwargs: Any) -> None:
        default = requests.utils.DEFAULT_CA_BUNDLE_PATH
        bundle = os.environ.get("REQUESTS_CA_BUNDLE") or default
        where = {"capath" if os.path.isdir(bundle) else "cafile": bundle}
        try:
            self.context = urllib3.util.ssl_.create_urllib3_context()
            self.context.load_verify_locations(**where)
            # urllib3 sets it for each connection, and frees what others then copy.
            self.context.set_alpn_protocols(["http/1.1"])
            vars(self.context)["set_alpn_protocols"] = lambda protocols: None
        except OSError as exc:
            raise ConfigError("%s: %s" % (bundle, reason(exc))) from exc
        super().__init__(**kwargs)

    def cert_verify(self, conn: Any, *args: Any, **kwargs: Any) -> None:
        """Prepare *conn*, a pool: requests does so before it opens a connection."""
        secure = conn.scheme == "https"
        if not issubclass(conn.ConnectionCls, _Connection):
            conn.ConnectionCls = _SecureConnection if secure else _Connection
            conn.conn_kw.update({"ssl_context": self.context} if secure else {})
            conn.cert_reqs = "CERT_REQUIRED"  # the context has the certificates already
            # Nobody waits for a connection: one Condition will do; each has 1 KB.
            conn.pool.not_full = conn.pool.all_tasks_done = conn.pool.not_empty

    def build_response(self, req: Any, resp: Any) -> Any:
        return resp  # as urllib3 has it: without cookies, and for less


class Fetcher:
    """Owns the connections. fetch() is for workers, the rest for the scheduler."""

    def __init__(self, workers: int, max_size: int = MAX_SIZE, pages: int = 0) -> None:
        self.max_size, self.stopping = max_size, threading.Event()
        self.parsing = threading.Lock()  # threads parse no faster together
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0] % 2**31  # -1 is none
        # What is not kept: three for each thread, and some for files. Redirects can
        # lead to ever new hosts.
        hosts = min(max(workers, limit - 15 * workers - 50), 1000 + 8 * pages)
        # No maxsize: as many connections to a host as there were at once.
        self._adapter = _Adapter(pool_connections=hosts, pool_maxsize=0)
        # Not a Semaphore: what is freed may be so while this thread has its lock.
        self._large: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(MAX_LARGE):
            self._large.put(None)
        self._attempts: set[Attempt] = set()
        # To look through the environment for each host takes longer than to poll it.
        prepare_any = functools.partial(prepare, proxied=bool(getproxies()))
        self._prepare = functools.lru_cache(4 * hosts)(prepare_any)
        self._retry = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=tenacity.wait_random_exponential(multiplier=0.25, max=1),
            retry=tenacity.retry_if_exception(lambda e: getattr(e, "passing", False)),
            sleep=tenacity.sleep_using_event(self.stopping),
            reraise=True,
        )

    def fetch(
        self, url: str, etag: str = "", modified: str = "", timeout: float = TIMEOUT,
        retry: bool = True, public: bool = False,
    ) -> Response:  # fmt: skip
        """Return the answer to a GET, within *timeout* seconds. Raises FetchError."""
        if etag.endswith('-gzip"'):  # Apache's: it does not know it again by itself
            etag = '%s, %s"' % (etag, etag[:-6])  # (bz.apache.org, bug 45023)
        validators = {"If-None-Match": etag} if etag else {}
        validators.update({"If-Modified-Since": modified} if modified else {})
        attempt = _current.attempt = Attempt(time.monotonic() + timeout)
        self._attempts.add(attempt)
        follow = functools.partial(self._follow, url, validators, public)
        try:
            return self._retry(follow) if retry else follow()
        except FetchError as exc:
            exc.bare()  # or it is in a cycle with the body, which is freed too late
            late = attempt.due <= time.monotonic() and not self.stopping.is_set()
            raise FetchError("took longer than %g s" % timeout) if late else exc
        finally:
            self._attempts.discard(attempt)
            attempt.attach(None)

    def cut(self, now: float) -> float:
        """End what is past its deadline; return when the next deadline is."""
        attempts = list(self._attempts)
        for attempt in (each for each in attempts if each.due <= now):
            attempt.cut()
        return min((each.due for each in attempts if each.due > 0), default=now + WAKE)

    def stop(self) -> None:
        """End everything: nothing can be fetched any more."""
        self.stopping.set()
        self.cut(math.inf)

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._adapter.close()

    def _follow(self, url: str, validators: Any, public: bool) -> Response:
        """Return the answer at the end of at most MAX_HOPS redirects."""
        attempt: Attempt = _current.attempt
        permanent, moved_to, attempt.public = True, "", public
        try:
            for hop in range(MAX_HOPS + 1):
                if self.stopping.is_set():
                    raise FetchError("stopped")
                request: Any = requests.PreparedRequest()
                # Only what is configured is remembered: targets may be ever new.
                prepare = self._prepare.__wrapped__ if hop else self._prepare
                request.url, headers, proxies = prepare(url)
                request.method, request.headers = "GET", {**headers, **validators}
                left = attempt.left()
                answer: Any = self._adapter.send(request, True, left, proxies=proxies)
                with contextlib.closing(answer):
                    attempt.public = attempt.public or _is_public(attempt.peer)
                    target = answer.get_redirect_location()
                    if not target:
                        read = self._read(attempt, answer, bool(validators))
                        return read._replace(moved_to=moved_to, public=attempt.public)
                    # Its bytes may be UTF-8, but http.client reads them as Latin-1.
                    url = _hop(url, target.encode("latin-1").decode())
                    permanent = permanent and answer.status in (301, 308)
                    moved_to = url if permanent else moved_to
        except (urllib3.exceptions.HTTPError, OSError, ValueError, zlib.error) as exc:
            lasting = requests.exceptions.SSLError, ValueError, zlib.error
            passing = attempt.due > 0 and not isinstance(exc, lasting)
            raise FetchError(reason(exc), passing=passing) from exc
        raise FetchError("more than %d redirects" % MAX_HOPS)

    def _read(self, attempt: Attempt, answer: Any, asked: bool) -> Response:
        """Return what *answer* is good for: only 200, and 304 if asked for, are."""
        header, status, body = answer.headers.get, answer.status, Body()
        if status != 200 and not (status == 304 and asked):
            wait = parse_retry_after(header("Retry-After", ""), header("Date", ""))
            passing = not wait and (status == 429 or status >= 500)
            details = dict(status=status, retry_after=wait or None, passing=passing)
            raise FetchError("HTTP status %d" % status, **details)
        coding, large = header("Content-Encoding", "").strip().lower(), False
        # Not by urllib3: before 2.6, the last for Python 3.9, it decodes without bound.
        unpack = zlib.decompressobj(47) if coding in ("gzip", "x-gzip") else None
        if not unpack and coding not in ("", "identity"):
            raise FetchError("an encoding that nobody asked for")
        answer.enforce_content_length = True  # urllib3 1.26 would not
        # Not stream(): before 2.7, urllib3 then reads a chunk's size without bound.
        read = functools.partial(answer.read, 65536, decode_content=False)
        for chunk in iter(read, b""):
            room = self.max_size + 1 - len(body)
            body += unpack.decompress(chunk, room) if unpack else chunk
            left = attempt.left()
            if len(body) > self.max_size:
                raise FetchError("a body of over %d bytes" % self.max_size)
            if len(body) > LARGE and not large:
                with contextlib.suppress(queue.Empty):
                    self._large.get(timeout=left)
                    large = bool(weakref.finalize(body, self._large.put, None))
            if unpack and unpack.unused_data:
                break  # what comes after its end is copied again and again
        attempt.left()  # what was cut can look complete
        if status == 200 and unpack and not unpack.eof:
            raise FetchError("a body that ends too early")
        # Its connection keeps it until the next: 2 KB.
        vars(answer._original_response).update(headers=None, msg=None)
        raw = header("ETag", ""), header("Last-Modified", "")
        fit = [len(v) <= MAX_VALIDATOR and v.isprintable() and v != "*" for v in raw]
        etag, modified = (v if good else "" for v, good in zip(raw, fit))
        fresh_for = parse_max_age(header("Cache-Control", ""), header("Age", ""))
        new, content_type = body if status == 200 else None, header("Content-Type", "")
        return Response(new, content_type, etag, modified, fresh_for)


def prepare(url: str, proxied: bool) -> tuple[str, dict[str, str], dict[str, str]]:
    """Return the URL, headers and proxies of a request: all that is slow to find."""
    request: Any = requests.PreparedRequest()
    request.method, request.headers = "GET", HEADERS.copy()
    request.prepare_url(url, None)
    request.prepare_auth(None)  # of the URL
    proxies = requests.utils.get_environ_proxies(url) if proxied else {}
    return request.url, request.headers, proxies


def _is_public(address: str) -> bool:
    return bool(address) and ipaddress.ip_address(address.partition("%")[0]).is_global


def _hop(url: str, target: str) -> str:
    """Return where a redirect leads; FetchError if it is not to be followed."""
    parts = urlsplit(urljoin(url, target))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise FetchError("redirect to what is not http(s)")
    if url.startswith("https:") and parts.scheme == "http":
        raise FetchError("redirect from https to http")
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()


def parse_max_age(cache_control: str, age: str) -> float:
    """Return how many seconds an answer stays fresh (RFC 9111), up to BACKOFF_CAP."""
    found = re.search(r"(?i)(?:^|[\s,])max-age\s*=\s*\"?([0-9]+)", cache_control)
    if not found or re.search("(?i)no-cache|no-store", cache_control):
        return 0.0
    spent = float(age) if re.fullmatch("[0-9]+", age) else 0.0
    return max(0.0, min(float(found[1]) - spent, BACKOFF_CAP))


def parse_retry_after(value: str, date: str) -> float | None:
    """Return the seconds to stay away, at most RETRY_AFTER_CAP; None if not given."""
    # A date counts from the answer's own, since clocks differ (RFC 9110, 10.2.3).
    until, since = parse_time(value), parse_time(date) or datetime.now(UTC)
    wait = (until - since).total_seconds() if until else None
    wait = float(value) if re.fullmatch("[0-9]+", value) else wait
    return wait if wait is None else max(0.0, min(wait, RETRY_AFTER_CAP))


# --- State: what outlives the program. The printer's, from load() to unlock(). ---


class StateFile:
    """A JSON file for one configuration, and a lock beside it; nothing without a path.

    `{"version": 2, "sha256": ..., "providers": {name: what Watch.stored() returns}}`
    with the checksum of the version and the text of `providers`.
    """

    VERSION = 2

    def __init__(self, path: str) -> None:
        self.path = pathlib.Path(os.path.realpath(path)) if path else None
        self.providers: dict[str, str] = {}  # JSON, which is small and fast to save
        self.failing, self._lock = False, -1

    def lock(self) -> None:
        """Take the lock, which ends with the process; StateLocked if another has it."""
        if self.path:
            name = "%s.lock" % self.path
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._lock = os.open(name, os.O_CREAT | os.O_RDWR, 0o600)
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                self.unlock()
                raise StateLocked("%s: another run holds the lock" % self.path) from exc
            except OSError as exc:
                log.debug("%s: %s: running without a lock", name, reason(exc))

    def unlock(self) -> None:
        lock, self._lock = self._lock, -1
        if lock >= 0:
            with contextlib.suppress(OSError):  # a forked process would keep it else
                fcntl.flock(lock, fcntl.LOCK_UN)
            os.close(lock)

    def load(self) -> None:
        """Read the file, or put it aside; ConfigError where that would do harm."""
        if not self.path:
            return
        self.providers = {}
        try:
            if self.path.exists() and not (self.path.is_file() or self.path.is_dir()):
                raise ConfigError("%s: not a file" % self.path)
            body = self.path.read_bytes()
            text = body.partition(b'"providers":')[2][:-2].decode()  # but "}" and "\n"
            if self._sealed(text) != body or self.path.stat().st_uid != os.geteuid():
                version = json.loads(body).get("version")
                if type(version) is int and version > self.VERSION:
                    raise ConfigError("%s: a newer version wrote it" % self.path)
                raise ValueError
            self.providers = _members(text)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except (OSError, ValueError, IndexError, AttributeError, RecursionError) as exc:
            aside = "%s.corrupt-%d" % (self.path, time.time())
            why = reason(exc) if isinstance(exc, OSError) else "damaged, or not ours"
            try:
                os.replace(self.path, aside)
            except OSError as failure:
                aside = "it is, for it cannot be moved: %s" % reason(failure)
            log.warning("%s: %s: kept as %s; starting anew", self.path, why, aside)

    def _sealed(self, text: str) -> bytes:
        check = hashlib.sha256(b"%d%s" % (self.VERSION, text.encode())).hexdigest()
        head = '{"version":%d,"sha256":"%s","providers":' % (self.VERSION, check)
        return (head + text + "}\n").encode()

    def save(self) -> None:
        """Write the file, all of it or nothing."""
        if not self.path:
            return
        temporary = "%s.tmp" % self.path
        private = functools.partial(os.open, mode=0o600)
        members = [dumps(name) + ":" + text for name, text in self.providers.items()]
        try:
            with open(temporary, "wb", opener=private) as file:
                file.write(self._sealed("{" + ",".join(members) + "}"))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path)
            with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
                directory = os.open(self.path.parent, os.O_RDONLY)
                stack.callback(os.close, directory)
                os.fsync(directory)  # not all file systems can
        except OSError as exc:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            level = logging.DEBUG if self.failing else logging.WARNING
            log.log(level, "%s: cannot be written: %s", self.path, reason(exc))
            self.failing = True
            return
        if self.failing:
            log.info("%s: can be written again", self.path)
        self.failing = False


def _members(text: str) -> dict[str, str]:
    """Return the providers in what save() has written, but those not asked for long."""
    providers, asked = {}, {}
    read, end = json.JSONDecoder().raw_decode, 0 if text != "{}" else 1
    while text[end] != "}":
        name, start = read(text, end + 1)  # behind "{" or ","
        each, end = read(text, start + 1)
        sources = each.get("sources", {}).values()
        times = (s.get(at, 0.0) for s in sources for at in ("read_at", "failed_at"))
        providers[name], asked[name] = text[start + 1 : end], max(times, default=0.0)
    # The least, as our clock can be wrong, or was.
    latest = min(max(asked.values(), default=0.0), time.time())
    return {k: each for k, each in providers.items() if latest - asked[k] <= FORGET}


# --- Watching: the scheduler's thread, and the workers it hands providers to. ---


class Watch:
    """A provider while the program runs; owned by one thread at a time."""

    def __init__(self, provider: Provider, text: str = "") -> None:
        """Make a Watch, from the *text* that stored() returned if there is one."""
        head, _, memory = text.partition(',"memory":')  # strings have \" for "
        stored = json.loads(head + "}") if head else {}
        self.provider, self.memory = provider, "" if memory == "null}" else memory[:-1]
        self.polls: dict[str, int] = stored.get("polls", {})  # by what came of it
        self.told: int = stored.get("events", 0)
        self.patient = True  # is it better to come again than to miss a source?
        self.pending: bool = stored.get("pending", True)  # do unchanged reads matter?
        self.sick = True  # a poll is likely to be slow, as far as we know
        self.due = math.inf  # monotonic: when it is polled next; so while it is
        self.began = 0.0  # monotonic: when its poll was begun
        self.handed_at = -math.inf  # monotonic: when its state was; do so if -inf
        url = provider.urls[0]
        urls = sources_of(url, provider.platform) if is_page(url) else provider.urls
        self.page = "" if urls else url  # stands for its sources until they are found
        self.home = digest(urlsplit(redact(self.page)).netloc)
        # Else they are another page's.
        mine = stored.get("page", self.home) == self.home
        known = [urljoin(url, path) for path in stored.get("found", ()) if mine]
        self.sources = [Source(each) for each in urls or known or [url]]
        for source in self.sources:
            vars(source).update(stored.get("sources", {}).get(source.slot, {}))
            wait = source.wait_until - time.time()
            if 0 < wait <= RETRY_AFTER_CAP:  # else the clock was set back
                source.not_before = time.monotonic() + wait

    def stored(self) -> str:
        """Return what makes the same Watch again, as JSON."""
        sources, found, home = {}, [], urljoin(self.page, "/")[:-1]
        for source in self.sources:
            kept = {k: v for k, v in vars(source).items() if v and k not in RUNTIME}
            sources[source.slot] = kept
            if self.page and source.url != self.page:
                below = source.url.startswith(home + "/")
                found.append(source.url[len(home) :] if below else source.url)
        stored = dict(page=self.home, found=found, sources=sources)
        counts = dict(events=self.told, polls=self.polls, pending=self.pending)
        text = dumps({**stored, **counts})[:-1]
        return '%s,"memory":%s}' % (text, self.memory or "null")


class Poll(NamedTuple):
    """What came of a poll."""

    events: Sequence[Event] = ()
    reads: Sequence[tuple[Source, Page | None]] = ()  # None if unchanged
    failed: Sequence[tuple[Source, PollError]] = ()
    suppressed: Mapping[str, int] = {}  # how much which filter held back


def poll(watch: Watch, fetcher: Fetcher) -> Poll:
    """Return what a provider has to tell. Called by a worker, which owns *watch*."""
    reads: list[tuple[Source, Page | None]] = []
    failed: list[tuple[Source, PollError]] = []
    known: dict[str, Response] = {}
    provider, at = watch.provider, time.time()
    lost = (each.url == watch.page or each.failures > GONE for each in watch.sources)
    due = min(source.not_before for source in watch.sources) <= time.monotonic()
    if watch.page and due and all(lost):
        try:
            patient = watch.patient and watch.sources[0].failures < PATIENCE
            _, found = find_sources(watch.page, fetcher, provider.timeout, patient)
            kept = {source.url: source for source in watch.sources}
            watch.sources = [kept.get(r.url) or Source(r.url) for r in found]
            known = {each.url: each.response for each in found if each.response.body}
        except PollError as exc:
            return Poll(failed=[(source, exc.bare()) for source in watch.sources])
    for source in watch.sources:
        blocked = [each.host for each, e in failed if e.retry_after is not None]
        if source.not_before <= time.monotonic() and source.host not in blocked:
            try:
                answer = known.get(source.url)
                reads += read_source(source, fetcher, provider.timeout, at, answer)
            except PollError as exc:
                failed.append((source, exc.bare()))
    result = Poll((), reads, failed)
    if watch.pending or any(page for _, page in reads):
        tracker = Tracker(provider, watch.memory, datetime.fromtimestamp(at, UTC))
        tracker.keep({source.slot for source in watch.sources})
        tracker.observe(reads)
        watch.memory, watch.pending = tracker.memory(), tracker.pending()
        events = tracker.events[-MEMORY:]
        if len(events) < len(tracker.events):
            log.warning(FLOOD, provider.name, MEMORY, len(tracker.events))
        result = Poll(events, reads, failed, tracker.suppressed)
        if not all(source.seeded for source, _ in reads):
            counts = len(tracker.stories), len(tracker.components)
            log.info(SEEDED, provider.name, *counts)
        for words in tracker.missing:
            log.warning(MISSING, provider.name, words)
    for source, _ in reads:
        source.seeded, source.away, source.read_at = True, False, at
    return result


# fmt: off
PLATFORMS = {  # where the sources of a page are; of alternatives, the first that reads
    "incident.io": (("/feed.atom", "/feed.rss", "/api/v2/summary.json"),
                    ("/api/v2/components.json",)),
    "statuspage": (("/history.atom", "/history.rss"), ("/api/v2/summary.json",)),
    "instatus": (("/history.atom", "/history.rss"),
                 ("/summary.json", "/v3/summary.json"), ("/v2/components.json",)),
    "betterstack": (("/index.json", "/feed.rss", "/feed.atom"),),
    "cachet": (("/api/v1/incidents?sort=id&order=desc",), ("/api/v1/components",)),
    # %s stands for the name of the page, which its HTML tells.
    "status.io": (("https://api.status.io/1.0/status/%s",
                   "https://status-api.hostedstatus.com/1.0/status/%s"),),
    "uptime-kuma": (("/api/status-page/%s",), ("/api/status-page/heartbeat/%s",)),
    # These have hosts of their own.
    "google": (("/incidents.json",),),
    "aws": (("https://health.aws.amazon.com/public/currentevents",),),
    "azure": (("https://rssfeed.azure.status.microsoft/en-us/status/feed/",),),
    "slack": (("/api/v2.0.0/current",),),
    "salesforce": (("https://api.status.salesforce.com/v1/instances/status/preview",),),
}
HINTS = {  # what gives a platform away: its address, or HTML with the page's name
    "status.io": r"/pages/([0-9a-f]{24})\b",
    "uptime-kuma": r"/(?:api/status-page|status)/([\w-]+)/(?:manifest\.json|rss)\b",
    "google": r"^https?://()[\w.]+\.google\.com/?$",
    "aws": r"^https?://()[\w.]+\.aws\.amazon\.com/?$",
    "azure": r"^https?://()(?:azure\.status\.microsoft|status\.azure\.com)/?$",
    "slack": r"^https?://()(?:slack-status|status\.slack)\.com/?$",
    "salesforce": r"^https?://()(?:status|trust)\.(?:salesforce|heroku)\.com/?$",
}
# fmt: on


def sources_of(page: str, platform: str) -> list[str]:
    """Return the URLs that a page of a platform has; none if they must be found."""
    paths = [path for path, *_ in PLATFORMS.get(platform, ())]
    return [urljoin(page, path) for path in paths if "%s" not in paths[0]]


class Read(NamedTuple):
    """A source, and what was read of it."""

    url: str
    response: Response
    page: Page


class Search:
    """Reads what an unknown page may have: MAX_SEARCH requests with one deadline."""

    def __init__(self, page: str, fetcher: Fetcher, due: float, patient: bool) -> None:
        self.page, self.fetcher, self.due, self.patient = page, fetcher, due, patient
        self.front = self.why = ""  # the page's HTML; what is wrong with it
        self.public = False  # was a public host asked? Then no private one will be
        self.tried: dict[str, Read | None] = {}
        self.passing: dict[str, PollError] = {}  # what may be over in a moment

    def read(self, path: str) -> Read | None:
        """Return what can be read at *path*; PollError if nothing can be anywhere."""
        url = urljoin(self.page, path)
        if url in self.tried or len(self.tried) >= MAX_SEARCH:
            return self.tried.get(url)
        self.tried[url], moved = None, ""
        try:
            fetch, left = self.fetcher.fetch, max(0.1, self.due - time.monotonic())
            response = fetch(url, timeout=left, retry=False, public=self.public)
            self.public = response.public
            host, new = (urlsplit(each).netloc for each in (url, response.moved_to))
            moved = " (it moved to %s)" % new if new not in ("", host) else ""
            body = response.body or bytearray()
            if path == "/":
                self.why, self.front = "", body.decode("utf-8", "replace")
            with self.fetcher.parsing:
                page = parse(body, response.content_type)
            if len(body) > LARGE:  # others wait for it to be freed
                response = response._replace(body=None)
            self.tried[url] = Read(url, response, page)
        except PollError as exc:
            if not exc.status or exc.retry_after is not None:
                raise  # it is not a matter of the path
            self.why = self.why or str(exc) + moved
            self.passing.update({url: exc} if exc.passing and self.patient else {})
        return self.tried[url]

    def take(self, platform: str, name: str = "") -> list[Read]:
        """Return the sources that *platform* has on this page."""
        reads = []
        for group in PLATFORMS.get(platform, ()):
            paths = [p.replace("%s", name) for p in group if name or "%s" not in p]
            found = filter(None, map(self.read, paths))
            fitting = (r for r in found if r.page.platform in (platform, "feed"))
            read = next(fitting, None)
            reads += [read] if read else []
            for path in () if read else paths:
                if urljoin(self.page, path) in self.passing:
                    raise self.passing[urljoin(self.page, path)]
        return reads

    def judge(self, path: str) -> list[Read]:
        """Return the sources of the page that the document at *path* is from."""
        read = self.read(path)
        if not read:
            return []
        if read.page.platform != "feed":
            return self.take(read.page.platform) or [read]
        found = [read]  # but an empty feed is like any other
        for kind in [kind for kind, paths in PLATFORMS.items() if path in paths[0]]:
            try:
                found = max(found, self.take(kind), key=len)
            except PollError as exc:
                if exc in self.passing.values():
                    raise
        return found

    def hinted(self, text: str) -> list[Read]:
        """Return the sources that the page's address or HTML gives away."""
        found = ((kind, re.search(hint, text)) for kind, hint in HINTS.items())
        taken = (self.take(kind, match[1]) for kind, match in found if match)
        return next(filter(None, taken), [])

    def alternates(self) -> list[str]:
        """Return the addresses of the feeds that the page's HTML links to."""
        tags = re.findall(r"(?i)<link\s[^<>]*>", self.front)
        signs = r"(?i)(?=.*rel=.?alternate)(?=.*/(?:rss|atom)).*href=[\"']?([^\"'\s>]+)"
        found = (re.match(signs, tag, re.DOTALL) for tag in tags)
        return [html.unescape(match[1]) for match in found if match]


def find_sources(
    page: str, fetcher: Fetcher, timeout: float = TIMEOUT, patient: bool = False
) -> tuple[str, list[Read]]:
    """Return the platform of a page, and its sources: those of the first that reads.

    Raises PollError, if *patient* also for a source that is there but fails for now.
    """
    search = Search(page, fetcher, time.monotonic() + timeout, patient)
    reads = search.hinted(page) or search.judge("/api/v2/summary.json")
    reads = reads or search.judge("/") or search.hinted(search.front)
    paths = [group[0][0] for name, group in PLATFORMS.items() if name not in HINTS]
    if not re.search("a login|a marketing", search.why):
        paths += search.alternates()[:2]
    for path in paths:
        reads = reads or search.judge(path)
    if not reads:
        raise ParseError("no status page in a format we know: %s" % search.why)
    kinds = [read.page.platform for read in reads]  # an entry can lack all signs
    return next((kind for kind in kinds if kind in PLATFORMS), kinds[0]), reads


def read_source(
    source: Source, fetcher: Fetcher, timeout: float, at: float, known: Response | None
) -> list[tuple[Source, Page | None]]:
    """Return what was read, with no page if it is unchanged; nothing if set aside.

    *known* is the answer, if it is known already. Validators are kept only with a body
    that parsed (R11). Raises PollError.
    """
    page, seeded = None, source.seeded
    # Spread over some time, as all sources were read first at the same moment.
    full = UNCONDITIONAL * (1 - ord(source.slot[0]) / 512)
    fresh = 0 <= at - source.full_at < full
    validators = (source.etag, source.modified) if fresh else ("", "")
    url = source.moved_to if source.moved >= MOVED else source.url
    public = source.moved_public and url != source.url
    response = known or fetcher.fetch(url, *validators, timeout, public=public)
    source.not_before = time.monotonic() + response.fresh_for
    source.wait_until = at + response.fresh_for
    if response.body is not None:
        body = base64.b64encode(hashlib.sha256(response.body).digest())[:12].decode()
        if body != source.digest:  # R10
            with fetcher.parsing:
                page = parse(response.body, response.content_type)
            aside = accept(source, page, body)
            if aside:
                log.debug("%s: set aside: %s", redact(url), aside)
                return []
            if seeded and not source.seeded:
                log.warning("%s is another page now: seeding afresh", redact(url))
        source.etag, source.modified, source.full_at = *response[2:4], at
    if url == source.url:
        there = response.moved_to
        source.moved = source.moved + 1 if there and there == source.moved_to else 1
        source.moved_to = there if there == redact(there) else ""  # no secrets
        source.moved_public = response.public
    source.stale = source.foreign = 0
    if source.away is None:
        source.away = 0 < source.read_at < at - AWAY  # R15
    return [(source, page)]


class Batch(NamedTuple):
    """Events, and the state of their provider in which they are told, if any."""

    provider: str
    events: Sequence[Event]
    stored: str | None = None  # JSON


STOP, RELOAD = "stop", "reload"  # messages to the scheduler
SEEDED = "[%s] Seeded — %d incidents, %d components"
MISSING = "[%s] components: nothing is called %s"
FLOOD = "[%s] a flood: the last %d events of %d are told"
OFFLINE = "no page can be reached: is it our own network? (scripts/demo needs none)"
STORMY = "%d providers report something within %d minutes; do they share it? %s"
DETECTED = dict(zip(TYPES, ("new incident(s)", "update(s)", "component change(s)")))


class Watcher:
    """Polls providers on time. All but inbox belongs to the thread that calls run()."""

    def __init__(
        self, config: Config, outbox: queue.Queue[Batch | None], state: StateFile | None
    ) -> None:
        self.inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # Of many as many as begin in 0.3 s: that is as long as a poll may well take.
        many = 0.3 * sum(1 / provider.interval for provider in config.providers)
        workers = config.workers or max(WORKERS, min(round(many), 8 * WORKERS))
        self.fetcher = Fetcher(workers, config.max_size, len(config.providers))
        self.once = False  # is nobody polled again?
        self.reload: Callable[[], Config] = lambda: config  # what RELOAD is for
        self.notify: Callable[[str], None] = lambda message: None  # says how we are
        self.on_poll: Callable[[Watch, Poll], None] = lambda watch, result: None
        self.trim: Callable[[], object] = lambda: None  # gives free memory back
        self.failed = False  # could any source not be read?
        self.hung = False  # is any worker beyond recall?
        self.watches: dict[str, Watch] = {}
        self._providers: dict[str, Provider] = {}
        self._workers, self._outbox, self._remember = workers, outbox, bool(state)
        threads, executor = (1 + SICK) * workers, concurrent.futures.ThreadPoolExecutor
        self._new_pool = functools.partial(executor, threads, "poll")
        self._pool, self._renew_at = self._new_pool(), time.monotonic() + RENEW
        self._flying: dict[concurrent.futures.Future[Poll], Watch] = {}
        # When who is due, of the well and of the sick.
        self._heaps: tuple[list[tuple[float, str]], list[tuple[float, str]]] = [], []
        self._online: bool | None = None  # is our own network there? None: not known
        # Failures since a page was last reached: only then is it known whose they are.
        self._unsaid: dict[str, Sequence[tuple[Source, PollError]]] = {}
        self._recent: dict[str, float] = {}  # when providers last had news
        self._suppressed: dict[str, collections.Counter[str]] = {}  # by the filters
        self._suppressed_at = time.monotonic()  # when that was last said
        self._stored = state.providers if state else {}
        self.adopt(config.providers)

    def adopt(self, providers: Iterable[Provider]) -> None:
        """Watch *providers* and nothing else; what is watched already goes on.

        What has changed does so when it is polled next, for a worker may have it now.
        """
        self._providers = {provider.name: provider for provider in providers}
        self._unsaid.clear()  # some may be gone, the others are said later
        for name, provider in self._providers.items():
            watch = self.watches.get(name)
            if not watch or watch.provider != provider and watch.due < math.inf:
                watch = watch or Watch(provider, self._stored.get(name, ""))
                self.watches[name] = watch
                self._arm(watch, time.monotonic())

    def _arm(self, watch: Watch, due: float) -> None:
        watch.due = due
        heapq.heappush(self._heaps[watch.sick], (due, watch.provider.name))

    def run(self) -> None:
        """Poll until STOP comes, or all *once*."""
        message: Any = ""
        limit, pinged = os.environ.get("WATCHDOG_USEC", ""), 0.0
        period = float(limit) / 2e6 if limit.isdecimal() else 0.0
        self.notify("READY=1")
        try:
            while message != STOP and self._is_busy():
                now = time.monotonic()
                wake = min(self._start(now), self.fetcher.cut(now), now + WAKE)
                if period and now - pinged >= period:  # the schedule goes on
                    self.notify("WATCHDOG=1")
                    pinged = now
                if now >= self._renew_at:  # have idle threads end, free what they left
                    self.trim()
                    self._pool.shutdown(wait=False)
                    self._pool, self._renew_at = self._new_pool(), now + RENEW
                if now - self._suppressed_at >= SUPPRESSED:
                    self._say_suppressed(now)
                message = ""
                with contextlib.suppress(queue.Empty):
                    message = self.inbox.get(timeout=max(0.0, wake - now))
                for future in [each for each in self._flying if each.done()]:
                    self._finish(future)
                if message == RELOAD:
                    self._reload()
        finally:  # end what flies, and say what was held back
            self.notify("STOPPING=1")
            self.once = True
            self.fetcher.stop()
            for future in concurrent.futures.wait(list(self._flying), LINGER).done:
                self._finish(future)
            self.hung = self.hung or bool(self._flying)
            self._say_failures(sure=bool(self._online) or len(self._unsaid) < 2)
            for watch in self.watches.values() if self._remember else ():
                if any(source.warned for source in watch.sources):  # maybe just now
                    self._outbox.put(Batch(watch.provider.name, (), watch.stored()))
            self._say_suppressed(time.monotonic())
            self._pool.shutdown(wait=not self.hung)
            self.fetcher.close()

    def _is_busy(self) -> bool:
        """Return whether there is more to do; *once* nobody is waited for too long."""
        for future, watch in list(self._flying.items()) if self.once else ():
            allowed = watch.provider.timeout * len(watch.sources) + LINGER
            if time.monotonic() > watch.began + allowed:
                log.warning("[%s] hangs, in a name look-up?", watch.provider.name)
                self.failed = self.hung = bool(self._flying.pop(future))
        return bool(self._flying or any(self._heaps) or not self.once)

    def _reload(self) -> None:
        self.notify("RELOADING=1")
        try:
            self.adopt(self.reload().providers)
            log.info("configuration reloaded: %d providers", len(self._providers))
        except ConfigError as exc:
            log.error("configuration not reloaded: %s", exc)
        self.notify("READY=1")

    def _start(self, now: float) -> float:
        """Start the polls that are due, as there is room; return when to look again.

        Nothing waits for the sick: what is slow, or likely to be as it failed, was slow
        or is not known yet, has room of its own.
        """
        flying = self._flying.values()
        slow = sum(each.sick or now - each.began > SLOW for each in flying)
        # Of those likely to be slow no more begin at once: most of the new are quick.
        begun = sum(each.sick and now - each.began <= SLOW for each in flying)
        few = min(SICK * self._workers - slow, self._workers - begun)
        room = self._workers - len(flying) + slow, few
        for heap, free in zip(self._heaps, room):
            free = min(free, (1 + SICK) * self._workers - len(flying))
            while heap and heap[0][0] <= now and free > 0:
                due, name = heapq.heappop(heap)
                if name in self.watches and self.watches[name].due == due:
                    self._poll(name, now)  # else it was armed anew
                    free -= 1
        coming = [heap[0][0] for heap in self._heaps if heap and heap[0][0] > now]
        return min([*coming, now + (TICK if flying else WAKE)])

    def _poll(self, name: str, now: float) -> None:
        """Have a provider polled, as it is now, if it is still to be watched."""
        watch, provider = self.watches[name], self._providers.get(name)
        if provider is None:
            del self.watches[name]
            return
        if provider != watch.provider:
            kept = {source.slot: source for source in watch.sources}
            watch = Watch(provider, watch.stored())
            watch.sources = [kept.get(each.slot, each) for each in watch.sources]
        self.watches[name], watch.due, watch.began = watch, math.inf, now
        try:
            self._flying[self._pool.submit(poll, watch, self.fetcher)] = watch
        except RuntimeError:  # the program we are part of ends
            self.inbox.put(STOP)

    def _finish(self, future: concurrent.futures.Future[Poll]) -> None:
        """Take in what a poll brought, hand it on, and arm the next one."""
        watch = self._flying.pop(future)
        now, name = time.monotonic(), watch.provider.name
        try:
            result = future.result()
        except Exception:  # ours: the others go on, and this one is polled again
            log.exception("[%s] unexpected failure", name)
            error = PollError("unexpected failure")
            result = Poll(failed=[(source, error) for source in watch.sources])
            for source in watch.sources:  # what was read may not have been observed
                source.digest = source.etag = source.modified = ""
        if self.fetcher.stopping.is_set():  # what was cut has not failed
            result = result._replace(failed=())
        watch.sick = bool(result.failed) and not result.reads
        watch.sick |= now - watch.began > SLOW
        self._note_health(watch, result)
        self.on_poll(watch, result)
        if result.events:
            self._note_news(watch, result.events, now)
        if result.suppressed:
            counts = self._suppressed.setdefault(name, collections.Counter())
            counts.update(result.suppressed)
        if self.once or now - watch.handed_at > REMEMBER:
            watch.handed_at = now
            stored = watch.stored() if self._remember else None
            if result.events or stored:
                self._outbox.put(Batch(name, result.events, stored))
        if not self.once:  # missed turns are skipped
            interval = watch.provider.interval
            phase = interval * spread(name) // TICK * TICK  # by the name, to share it
            earliest = max(now, watch.began + interval / 2)
            turn = phase + ((earliest - phase) // interval + 1) * interval
            self._arm(watch, max(turn, min(s.not_before for s in watch.sources)))

    def _note_news(self, watch: Watch, events: Sequence[Event], now: float) -> None:
        """Log how much there is, and whether many have news at once."""
        watch.told, watch.handed_at = watch.told + len(events), -math.inf
        for kind, count in collections.Counter(each.type for each in events).items():
            log.info("[%s] detected %d %s", watch.provider.name, count, DETECTED[kind])
        recent = {k: at for k, at in self._recent.items() if now - at < STORM}
        before, self._recent = len(recent), recent
        if not all(event.while_away for event in events):
            recent[watch.provider.name] = now
        if before < STORM_SIZE <= len(recent):
            log.warning(STORMY, len(recent), STORM / 60, ", ".join(recent))

    def _say_suppressed(self, now: float) -> None:
        """Log what the filters held back, so that silence can be audited."""
        for name, counts in self._suppressed.items():
            words = ["%d by %s" % (count, key) for key, count in counts.items()]
            log.info("[%s] not told: %s", name, ", ".join(words))
        self._suppressed, self._suppressed_at = {}, now

    def _note_health(self, watch: Watch, result: Poll) -> None:
        """Note which sources can be read (R12), and have changes handed on at once."""
        name, changed = watch.provider.name, any(page for _, page in result.reads)
        if result.failed or result.reads:  # else nothing was asked
            kind = "failed" if result.failed else "changed" if changed else "unchanged"
            watch.polls[kind] = watch.polls.get(kind, 0) + 1
            self._unsaid.pop(name, None)
        for source, _ in result.reads:
            if source.failures:
                gone = span(time.time() - source.failed_at)
                level = logging.INFO if source.warned else logging.DEBUG
                words = "[%s] %s: readable again after %s"
                log.log(level, words, name, redact(source.url), gone)
                source.failures, source.warned, changed = 0, False, True
        for source, error in result.failed:
            source.failures += 1
            if source.failures == 1:
                source.failed_at, changed = time.time(), True
            self._unsaid[name] = result.failed
            self._back_off(watch, source, error)
        watch.handed_at = -math.inf if changed else watch.handed_at
        self.failed = self.failed or any(source.failures for source in watch.sources)
        self._note_network(result)

    def _note_network(self, result: Poll) -> None:
        """Tell failures of our own network, with no page in reach, from theirs."""
        if result.reads or any(error.status for _, error in result.failed):
            if self._online is False:
                log.info("the network is back")
            self._online = True
            self._say_failures()
        elif result.failed:
            flying = {watch.provider.name for watch in self._flying.values()}
            away, total = len(self._unsaid), len(self._providers)
            hanging = len(flying - self._unsaid.keys())
            if self._online is False or 2 * away > total and away + hanging >= total:
                self._say_failures(sure=total == 1)

    def _say_failures(self, sure: bool = True) -> None:
        """Warn of each failure not said yet, or if it may be our network, in a line."""
        failed = [(n, *pair) for n, pairs in self._unsaid.items() for pair in pairs]
        if not sure:
            if self._online is not False and any(s.failures == 1 for _, s, _ in failed):
                log.warning(OFFLINE)
            self._online = False
        for name, source, error in failed:
            level = logging.WARNING if sure and not source.warned else logging.DEBUG
            log.log(level, "[%s] %s: %s", name, redact(source.url), error)
            source.warned |= sure
        self._unsaid.clear()

    def _back_off(self, watch: Watch, source: Source, error: PollError) -> None:
        """Put off the next poll: ever longer up to a cap, or as the server says."""
        gone, interval = error.status in (404, 410), watch.provider.interval
        now, cap = time.monotonic(), max(interval, BACKOFF_CAP)
        pause = cap if gone else interval * 2.0 ** min(source.failures - 1, 20)
        pause = interval if self._online is False else min(cap, pause)
        pause *= random.uniform(0.8, 1.0)
        source.not_before = max(source.not_before, now + pause)
        source.moved = 0  # ask the configured address again
        if error.status in (400, 412, 431):  # it may be our validators that it refuses
            source.etag = source.modified = ""
        alike = [source] if gone else []
        if error.retry_after is not None or error.status == 429:  # for the whole host
            pause = error.retry_after or pause
            sources = (s for watch in self.watches.values() for s in watch.sources)
            alike = [each for each in sources if each.host == source.host]
        for each in alike:
            each.not_before = max(each.not_before, now + pause)
            each.wait_until = max(each.wait_until, time.time() + pause)


# --- Telling: one thread that hands events on, then writes the state; Monitor. ---


class Printer(threading.Thread):
    """Tells events, and commits the state in which they are told after that.

    So a crash repeats what is being told, at most. Once *tell* has raised OutputError
    nothing more is committed: what was not told stays untold.
    """

    def __init__(self, tell: Callable[[Event], None], state: StateFile) -> None:
        super().__init__(name="printer", daemon=True)
        self.inbox: queue.Queue[Batch | None] = queue.Queue()
        self.failure = ""
        self.on_failure: Callable[[], None] = lambda: None
        self.steps = 0  # events taken and states saved
        self.saved_by = -math.inf  # monotonic: until when its write is waited for
        self._tell, self._state = tell, state

    def run(self) -> None:
        """Tell until None comes: with a state, once a second, and save it then."""
        batch: Batch | None = Batch("", ())
        batches: list[Batch] = []
        ready = 0.0
        while batch:
            busy = batches or self._state.failing
            wait = max(0.0, ready - time.monotonic()) if busy else None
            with contextlib.suppress(queue.Empty):
                batch = self.inbox.get(timeout=wait)
                batches += [batch] if batch else []
            if not batch or ready <= time.monotonic():
                ready = self._commit(batches)
                batches = []

    def drain(self, linger: float | None) -> str:
        """Wait for the end, or with *linger* until it is stuck; return with what."""
        self.inbox.put(None)
        steps, now = -1, time.monotonic
        while self.is_alive() and (self.steps > steps or self.saved_by > now()):
            steps = self.steps
            self.join(linger)
        stuck = "the state is not written" if self.saved_by > 0 else "nobody reads it"
        return stuck if self.is_alive() else ""

    def _commit(self, batches: Sequence[Batch]) -> float:
        """Tell and save; return when to do so again."""
        stored: dict[str, str] = {}
        for batch in batches:
            for event in batch.events:
                try:
                    if not self.failure:
                        self._tell(event)
                except OutputError as exc:
                    self.failure = str(exc)
                    self.on_failure()
                except Exception:  # of the program that we are part of
                    log.exception("[%s] an event was not taken", event.provider)
                self.steps += 1
            if batch.stored and not self.failure:
                stored[batch.provider] = batch.stored
        began = time.monotonic()
        if stored or self._state.failing:
            self._state.providers.update(stored)
            self.saved_by = began + SAVING
            self._state.save()
            self.steps, self.saved_by = self.steps + 1, -math.inf  # in this order
            now = time.monotonic()
            return now + max(1.0, 5 * (now - began))  # a large state is a burden
        return began


class Monitor:
    """Watches *providers* (or a Config) until stopped; several in one process are fine.

        with Monitor(load_config("providers.ini").providers) as monitor:
            for event in monitor:
                print(event.provider, event.status)

    *on_event* gets each event, in one thread; without it, iterate. If it raises
    OutputError the watch ends, and the event counts as not told; another exception is
    logged. *interval* is in seconds, for all providers; *state* the path of a state
    file, "" for none. Making one begins nothing, so a process may fork after that.
    """

    def __init__(
        self,
        providers: Iterable[Provider] | Config,
        on_event: Callable[[Event], None] | None = None,
        interval: float | None = None,
        state: str = "",
    ) -> None:
        config = providers if isinstance(providers, Config) else Config((*providers,))
        each = [p._replace(interval=interval or p.interval) for p in config.providers]
        self.config = config._replace(providers=tuple(each))
        self.failure = ""  # why the output failed
        self.complete = False  # could everything be read, and the state be written?
        self._events: queue.Queue[Event | None] = queue.Queue()
        self._events.put(None)
        self._on_event, self.state = on_event, StateFile(state)
        self._thread = threading.Thread()  # not started

    def start(self) -> Monitor:
        """Begin to watch in a thread; StateLocked or ConfigError for a bad state."""
        if not self.is_running():
            events: queue.Queue[Event | None] = queue.Queue()
            self.prepare(self._on_event or events.put)
            thread = threading.Thread(target=self.run, name="statuswatch", daemon=True)
            self._events, self._thread = events, thread
            thread.start()
        return self

    def is_running(self) -> bool:
        """Return whether the thread of start() lives, in this process."""
        return self._thread.is_alive()

    def stop(self, timeout: float = TIMEOUT) -> bool:
        """End what start() began; return whether it has ended within *timeout* seconds.

        *on_event* may call it too: then the watch ends once that returns.
        """
        if self.is_running():
            self.watcher.inbox.put(STOP)
            if threading.current_thread() is not self.printer:
                self._thread.join(timeout)
        return not self.is_running()

    def poll_once(self) -> list[Event]:
        """Poll all providers once; return what changed since the last time."""
        events: list[Event] = []

        def tell(event: Event) -> None:
            if self._on_event:
                self._on_event(event)
            events.append(event)

        if self.is_running():
            raise StatuswatchError("it is running")
        self.prepare(tell, once=True)
        self.run()
        return events

    def prepare(self, tell: Callable[[Event], None], once: bool = False) -> None:
        """Take the state, and make what run() needs."""
        self.state.lock()
        try:
            self.state.load()
            state = self.state if once or self.state.path else None
            self.printer = Printer(tell, self.state)
            self.watcher = Watcher(self.config, self.printer.inbox, state)
        except Exception:
            self.state.unlock()
            raise
        self.watcher.once = once
        self.printer.on_failure = lambda: self.watcher.inbox.put(STOP)

    def run(self, linger: float | None = None) -> None:
        """Watch in this thread, until stop() is called or all is polled once."""
        self.printer.start()
        try:
            self.watcher.run()
        finally:
            stuck = self.printer.drain(linger)
            self.failure = self.printer.failure or stuck
            self.complete = not (self.watcher.failed or self.state.failing)
            self.state.unlock()
            self._events.put(None)

    def __enter__(self) -> Monitor:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __iter__(self) -> Iterator[Event]:
        """Yield events until the watch has ended."""
        events = self._events
        yield from iter(events.get, None)
        events.put(None)  # for whoever else iterates


# --- Command line: what a person types, and what the program is told by signals. ---

EXAMPLES = """\
examples:
  statuswatch                               watch everything in providers.ini
  statuswatch https://status.openai.com     watch one page
  statuswatch --once --json                 for cron: what changed since the last run
  statuswatch --status                      what is not well now
  statuswatch --probe https://a.test        whether a page can be read, and how
  statuswatch --check-config --config FILE  check a configuration
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit status (README.md has them)."""
    options = build_parser().parse_args(argv)
    usual = logging.WARNING if options.status or options.probe else logging.INFO
    level = min(usual + 10 * (options.quiet - options.verbose), logging.ERROR)
    words, dates = "%(asctime)s %(levelname)-8s %(message)s", "%Y-%m-%d %H:%M:%S"
    logging.basicConfig(level=max(level, logging.DEBUG), format=words, datefmt=dates)
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    with contextlib.suppress(AttributeError):  # of None, or of a caller's StringIO
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    run = Run(options)
    try:
        status = run.run()
    except StatuswatchError as exc:
        log.error("output failed: %s" if isinstance(exc, OutputError) else "%s", exc)
        status = {OutputError: 1, StateLocked: EX_TEMPFAIL}.get(type(exc), 2)
    return run.leave(status)


def claim_resources() -> Callable[[], object]:
    """Have as many descriptors as we may; return what gives free memory back."""
    gc.freeze()  # what is imported stays, and is not searched for cycles again
    with contextlib.suppress(ValueError, OSError):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with contextlib.suppress(OSError, AttributeError):  # where glibc is
        libc = ctypes.CDLL(None)
        libc.mallopt(-3, 1 << 18)  # M_MMAP_THRESHOLD, mallopt(3)
        libc.mallopt(-8, 1)  # M_ARENA_MAX: else one for each thread
        return functools.partial(libc.malloc_trim, 0)
    return lambda: None


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="statuswatch",
        description="Watch the status pages of the vendors you depend on.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    yes = "store_true"
    for key in ("interval", "workers"):  # by name, which the error has, too
        parser.register("type", key, functools.partial(parse_value, key))
    add = parser.add_argument_group("what to watch").add_argument
    add("urls", nargs="*", metavar="URL", help="just these pages or sources")
    add("--config", metavar="FILE", help="instead of the first providers.ini found")
    add("--interval", metavar="SEC", type="interval", help="between polls, default: 30")
    add("--shard", metavar="K/N", type=shard, help="only the K-th of N shares")
    add("--workers", metavar="N", type="workers", help="default: 16, or what it takes")
    group = parser.add_argument_group("what to do instead of watching")
    add = group.add_mutually_exclusive_group().add_argument
    add("--once", action=yes, help="print what changed since the last run, exit")
    add("--status", action=yes, help="print what is not well, of URL or NAME, exit")
    add("--probe", action=yes, help="print what is found at each URL, exit")
    add("--check-config", action=yes, help="print one line per provider, exit")
    add("--version", action="version", version="%(prog)s " + __version__)
    add = parser.add_argument_group("what to remember and to print").add_argument
    add("--state", metavar="FILE", help="remember across restarts (--once always does)")
    add("--json", action=yes, help="print one JSON object per line")
    add("--exec", metavar="COMMAND", type=command, help="run it with each event")
    add("-v", "--verbose", action="count", default=0, help="more log lines")
    add("-q", "--quiet", action="count", default=0, help="fewer log lines")
    return parser


def shard(text: str) -> tuple[int, int]:
    """Return K - 1 and N of "K/N"; ValueError if K is not one of 1 to N."""
    number, count = map(int, text.split("/"))
    return range(1, count + 1).index(number), count


def command(text: str) -> list[str]:
    """Return the words of a command that exists, else raise ValueError."""
    words = shlex.split(text)
    if not words or not shutil.which(words[0]):
        raise ValueError
    return words


def read_config(options: argparse.Namespace) -> Config:
    """Return the configuration that the command line asks for."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    here, share = os.path.dirname(os.path.realpath(__file__)), sys.prefix + "/share"
    places = ["", here, *(each + "/statuswatch" for each in (home, "/etc", share))]
    found = [os.path.join(place, "providers.ini") for place in places]
    path = options.config or next(filter(os.path.exists, found), "")
    urls, wanted = options.urls, set()
    if options.status and not any("://" in url for url in urls):
        urls, wanted = [], {name.casefold() for name in urls}
    if urls or options.probe:
        lines: dict[str, str] = {}
        for url in urls:
            url = url if "://" in url or not options.probe else "https://" + url
            name = urlsplit(redact(url)).netloc.strip("[") or "page"
            name = "page" if name in SECTIONS else name
            lines["%s (%d)" % (name, len(lines)) if name in lines else name] = url
        text = "[providers]\n" + "".join("%s = %s\n" % line for line in lines.items())
        config = parse_config(text, "command line", options.interval)
    elif path:
        options.config = path  # a reload reads no other
        config = load_config(path, options.interval)
    else:
        raise ConfigError("no providers.ini, looked for %s" % ", ".join(found))
    unknown = wanted - {provider.name.casefold() for provider in config.providers}
    if unknown:
        raise ConfigError("%s: no provider %s" % (path, ", ".join(sorted(unknown))))
    each = [p for p in config.providers if not wanted or p.name.casefold() in wanted]
    mine, count = options.shard or (0, 1)
    # Not by spread(name), or those of one share would all have their turns at once.
    each = [p for p in each if int(spread("share " + p.name) * count) == mine]
    workers = options.workers or config.workers
    return config._replace(providers=tuple(each), workers=workers)


class Run:
    """One run of the program: what it is asked for, and what has come of it."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.survey = options.status or options.probe
        self.once = options.once or self.survey
        self.commands = Commands(options.exec or [])
        self.monitor: Monitor | None = None  # once it has the state
        self.stopped = False
        self.waiting: dict[str, None] = {}  # for these providers to be read
        self.troubles: list[Event] = []  # found by a survey,
        self.probes: list[str] = []  # and what it found at each page

    def run(self) -> int:
        """Do what is asked for; return the exit status."""
        options, trim = self.options, claim_resources()
        config = read_config(options)
        if sys.stdout is None:
            raise OutputError("it is closed")
        if options.check_config:
            for each in config.providers:
                urls = " ".join(redact(source.url) for source in Watch(each).sources)
                line = "%s: %s every %g s" % (each.name, urls, each.interval)
                write(clean(line) + "\n")
            return 0
        self.waiting = dict.fromkeys(each.name for each in config.providers)
        home = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
        usual = os.path.join(home, "statuswatch", "state.json") if options.once else ""
        state = "" if self.survey else options.state or usual
        monitor = Monitor(config, state=state)
        monitor.prepare(self.tell, self.once)
        self.monitor, watcher = monitor, monitor.watcher
        watcher.on_poll, watcher.notify, watcher.trim = self.note, notify, trim
        watcher.reload = functools.partial(read_config, options)
        for watch in watcher.watches.values() if self.survey else ():
            watch.patient = False  # nobody comes again
        signal.signal(signal.SIGINT, self.stop)
        signal.signal(signal.SIGTERM, self.stop)
        signal.signal(signal.SIGHUP, lambda *_: watcher.inbox.put(RELOAD))
        if not self.once:
            announce(config, watcher)
        self.commands.start()
        monitor.run(LINGER)
        self.commands.finish()
        if monitor.failure:
            raise OutputError(monitor.failure)
        if self.survey:
            return self.report()
        return 1 if self.once and not monitor.complete and not self.stopped else 0

    def tell(self, event: Event) -> None:
        """Print an event, and have the command run with it."""
        write(format_json(event) if self.options.json else format_text(event))
        if self.options.exec:
            self.commands.inbox.put(Batch(event.provider, (event,)))

    def stop(self, number: int, frame: object) -> None:
        """End; at the second signal at once. May do no more: locks can deadlock."""
        if self.stopped or not self.monitor:
            os._exit(128 + number)
        self.stopped = True
        self.monitor.watcher.inbox.put(STOP)

    def note(self, watch: Watch, result: Poll) -> None:
        """Note what a survey's poll brought; show on a terminal how far we are."""
        provider, was_waiting = watch.provider, bool(self.waiting)
        reads = [(source, page) for source, page in result.reads if page]
        if self.survey and reads:
            troubles = find_troubles(provider, reads, datetime.now(UTC))
            self.probes.append(format_probe(provider, reads, troubles))
            self.troubles += troubles
        for source, error in result.failed if self.survey else ():
            if not source.warned:  # even if it may be our own network
                log.warning("[%s] %s: %s", provider.name, redact(source.url), error)
                source.warned = True
        if not self.survey or (reads and not result.failed):
            self.waiting.pop(provider.name, None)
        if was_waiting and sys.stderr and sys.stderr.isatty():
            left = "%d provider(s) to read" % len(self.waiting) if self.waiting else ""
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write("\r\x1b[K%s\r" % left)  # log lines go over it
                sys.stderr.flush()

    def report(self) -> int:
        """Print what a survey found; return its exit status."""
        if self.options.probe:
            write("\n".join(self.probes))
        elif self.options.json:
            write("".join(map(format_json, self.troubles)))
        else:
            coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
            write(format_status(self.troubles, self.waiting, coloured))
        return 3 if self.troubles and self.options.status else 1 if self.waiting else 0

    def leave(self, status: int) -> int:
        """Return the exit status; exit with it where a thread would hold us up."""
        if self.monitor:
            self.monitor.state.unlock()  # it may never have come to run
        stuck = self.monitor and self.monitor.printer.is_alive()
        for stream in filter(None, () if stuck else (sys.stdout, sys.stderr)):
            try:
                stream.flush()
            except (OSError, ValueError):  # or the interpreter would fail with it too
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if self.monitor and (self.monitor.watcher.hung or stuck):
            os._exit(status)  # a name look-up that hangs, say, would hold the exit
        return status


def write(text: str) -> None:
    """Print *text*, all of it, now; raise OutputError if that cannot be."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except (OSError, ValueError) as exc:
        raise OutputError(reason(exc)) from exc


class Commands(Printer):
    """Runs a command for each event, one after the other."""

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__(self.run_one, StateFile(""))
        self.name, self.words, self.until, self.dropped = "exec", words, math.inf, 0

    def finish(self) -> None:
        """Run what waits, as far as there is time."""
        self.until = time.monotonic() + EXEC_LINGER
        self.inbox.put(None)
        self.join(EXEC_LINGER + LINGER)
        if self.dropped:
            log.warning("%s was not run for %d events", self.words[0], self.dropped)

    def run_one(self, event: Event) -> None:
        """Run it with an event: as JSON on its stdin, and in its environment."""
        timeout = min(EXEC_TIMEOUT, self.until - time.monotonic())
        if timeout <= 0:
            self.dropped += 1
            return
        line, variables = format_json(event), {"TEXT": format_text(event)}
        for key, value in json.loads(line).items():
            value = ", ".join(value) if isinstance(value, list) else value
            value = value if isinstance(value, (str, type(None))) else dumps(value)
            variables[key.upper()] = shorten(value or "")
        more = {b"STATUSWATCH_" + k.encode(): v.encode() for k, v in variables.items()}
        import subprocess  # here, as difflib

        try:
            with subprocess.Popen(
                self.words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                env={**os.environb, **more}, start_new_session=True,
            ) as child:  # fmt: skip
                try:
                    child.communicate(line.encode(), timeout)
                finally:
                    if child.returncode is None:  # with all that it started
                        os.killpg(child.pid, signal.SIGKILL)
            problem = child.returncode and "exit status %d" % child.returncode
        except OSError as exc:
            problem = reason(exc)
        except subprocess.TimeoutExpired:
            problem = "took longer than %g s" % timeout
        if problem:
            log.warning("[%s] %s: %s", event.provider, self.words[0], problem)


def announce(config: Config, watcher: Watcher) -> None:
    """Say what is watched: by a banner on a terminal, else by a log line."""
    pages = len(config.providers)
    every = min((each.interval for each in config.providers), default=INTERVAL)
    sources = [each.url for watch in watcher.watches.values() for each in watch.sources]
    local = all(re.match(r"\w+://(127\.|localhost|\[::1)", url) for url in sources)
    if every < POLITE and not local:
        log.warning("polling more often than every %g s shows nothing new", POLITE)
    if sys.stdout.isatty():
        words = "Monitoring %d status page(s)\nPoll interval: %gs\nPress Ctrl+C to stop"
        write("{0}\n{1}\n{0}\n".format("-" * 40, words % (pages, every)))
    else:
        words = "Watching %d provider(s) — %d sources (poll every %gs)"
        log.info(words, pages, len(sources), every)


def notify(message: str) -> None:
    """Tell systemd how we are (sd_notify(3)), if it is there."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with contextlib.suppress(OSError):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
                line.setblocking(False)  # a full socket must not hold the schedule
                line.sendto(message.encode(), re.sub("^@", "\0", address))


if __name__ == "__main__":
    raise SystemExit(main())
