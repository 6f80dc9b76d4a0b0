"""What comes back from a URL, from servers that are on loopback and mostly hostile."""

from __future__ import annotations

import contextlib
import errno
import gc
import gzip
import math
import os
import random
import re
import resource
import select
import socket
import ssl
import subprocess
import sys
import threading
import time
import weakref
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from urllib.parse import quote, urlsplit

import pytest
import requests
import statuswatch
import tenacity
import urllib3
from faults import RETRY_AFTER, TRICKS, FaultServer, tls_authority
from statuswatch import Fetcher, FetchError, parse_max_age, parse_retry_after

OLD_URLLIB3 = urllib3.__version__.startswith("1.")
SOON = 0.6  # seconds: a deadline
LATE = 4.0  # seconds: what no fetch with that deadline may last
TOO_LATE = "took longer than 0.6 s"


@pytest.fixture
def server():
    with FaultServer() as server:
        yield server


@pytest.fixture
def no_waits(monkeypatch):
    """The waits between attempts become nothing; the list has what their caps were."""
    caps = []
    monkeypatch.setattr(random, "uniform", lambda low, high: caps.append(high) or 0)
    return caps


@pytest.fixture
def make_fetcher():
    """Fetchers whose deadlines somebody watches over, as the scheduler does."""
    with contextlib.ExitStack() as stack:

        def make(max_size=statuswatch.MAX_SIZE):
            fetcher, end = Fetcher(4, max_size), threading.Event()

            def watch_over():
                while not end.wait(0.02):
                    fetcher.cut(time.monotonic())

            thread = threading.Thread(target=watch_over, name="scheduler")
            stack.callback(fetcher._adapter.close)
            stack.callback(thread.join)
            stack.callback(end.set)
            thread.start()
            return fetcher

        yield make


@pytest.fixture
def fetcher(make_fetcher):
    return make_fetcher()


@pytest.fixture
def answer(server, monkeypatch):
    """Return a function that gives the URL at which a function answers."""

    def serve(function, name="page"):
        trick = "custom%d" % len(TRICKS)
        monkeypatch.setitem(TRICKS, trick, function)
        return server.url("%s/%s" % (trick, name))

    return serve


@pytest.fixture
def respond(answer):
    """The URL of an answer with this status, body and headers, such as ETag."""

    def serve(status=200, body=b"{}", **headers):
        pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
        return answer(lambda exchange: exchange.respond(status, body, headers=pairs))

    return serve


def failure(fetcher, url, *args, **kwargs):
    """The error that a fetch ends with; nothing of the URL is in its words."""
    with pytest.raises(FetchError) as caught:
        fetcher.fetch(url, *args, **kwargs)
    parts = urlsplit(url)
    assert parts.netloc not in str(caught.value)
    assert "/" not in str(caught.value) and "http:" not in str(caught.value)
    return caught.value


def addresses(*pairs):
    """A getaddrinfo that knows these (host, port) only, in this order, for any name."""
    stream = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
    return lambda *_, **__: [(*stream, pair) for pair in pairs]


# --- What is asked. ---


def test_a_good_answer_is_all_there(server, fetcher, respond):
    url = respond(
        200, b"hello", ETag='"a"', Last_Modified="Mon", Cache_Control="max-age=7"
    )
    response = fetcher.fetch(url)
    assert response == (b"hello", "application/json", '"a"', "Mon", 7.0, "", False)


def test_what_an_answer_does_not_say_is_empty(fetcher, answer):
    bare = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    response = fetcher.fetch(answer(lambda exchange: exchange.send(bare)))
    assert response == (b"{}", "", "", "", 0.0, "", False)


def test_the_request_says_who_asks_and_nothing_of_us(server, fetcher):
    fetcher.fetch(server.url("healthy"))
    fields = {name.lower(): value for name, value in server.requests[0].headers}
    assert fields.pop("host") == "127.0.0.1:%d" % server.port
    assert fields == {
        "user-agent": "statuswatch/%s (+https://github.com/statuswatch/statuswatch)"
        % statuswatch.__version__,
        "accept": "*/*",
        "accept-encoding": "gzip",
    }


@pytest.mark.parametrize(
    "etag",
    [
        '"plain"',
        'W/"weak"',
        "unquoted",
        '"a, b"',
        '"caf\xe9"',
        '"' + "e" * 1022 + '"',
        "''",
        '"x"-gzip',
        '"-gzip"x',
    ],
)
def test_validators_go_back_byte_for_byte(server, fetcher, answer, etag):
    modified = "Sat, 1 Feb 2025 03:04:05 +0000 (sic)"
    headers = [("ETag", etag), ("Last-Modified", modified)]

    def conditional(exchange):
        asked = exchange.request.header("If-None-Match")
        assert asked in (None, etag)
        exchange.respond(304 if asked else 200, b"x" * (not asked), headers=headers)

    url = answer(conditional)
    first = fetcher.fetch(url)
    assert (first.etag, first.modified) == (etag, modified)
    second = fetcher.fetch(url, first.etag, first.modified)
    assert second.body is None
    asked = server.requests[1]
    assert asked.header("If-None-Match") == etag
    assert asked.header("If-Modified-Since") == modified


@pytest.mark.parametrize(
    "validators, sent",
    [
        (("", ""), (None, None)),
        (('"e"', ""), ('"e"', None)),
        (("", "Mon"), (None, "Mon")),
    ],
)
def test_only_a_validator_that_there_is_goes_back(server, fetcher, validators, sent):
    fetcher.fetch(server.url("healthy"), *validators)
    (asked,) = server.requests
    names = "If-None-Match", "If-Modified-Since"
    assert tuple(map(asked.header, names)) == sent


@pytest.mark.parametrize(
    "etag, sent",
    [('"x-gzip"', '"x-gzip", "x"'), ('W/"x-gzip"', 'W/"x-gzip", W/"x"')],
)
def test_apache_gets_its_etag_without_gzip_too(server, fetcher, etag, sent):
    fetcher.fetch(server.url("healthy"), etag)
    assert server.requests[0].header("If-None-Match") == sent


def test_apache_says_304_to_what_it_gets(server, fetcher):
    first = fetcher.fetch(server.url("apache_etag"))
    assert first.etag == '"x0-gzip"' and first.body.startswith(b"{")
    assert fetcher.fetch(server.url("apache_etag"), first.etag).body is None
    server.page("page").advance()
    assert fetcher.fetch(server.url("apache_etag"), first.etag).body is not None


@pytest.mark.parametrize("trick", ["huge_etag?size=1023", "huge_etag", "control_etag"])
def test_validators_that_are_too_long_or_no_text_are_dropped(server, fetcher, trick):
    response = fetcher.fetch(server.url(trick))
    assert response.body and response.etag == ""


@pytest.mark.parametrize("value", ["a" * 1025, "a\tb", "a\x85b", "a\x1bb", "\xa0"])
def test_a_bad_last_modified_is_dropped(fetcher, respond, value):
    assert fetcher.fetch(respond(200, Last_Modified=value)).modified == ""


@pytest.mark.parametrize("value", ["a" * 1024, "caf\xe9", "not a date"])
def test_any_other_last_modified_is_kept(fetcher, respond, value):
    assert fetcher.fetch(respond(200, Last_Modified=value)).modified == value


def test_cookies_are_not_kept(server, fetcher):
    fetcher.fetch(server.url("set_cookie"))
    server.play("page", ["redirect?to=/set_cookie"])
    fetcher.fetch(server.url("play/page"))
    assert all(request.header("Cookie") is None for request in server.requests)
    assert all(request.header("Referer") is None for request in server.requests)


def test_netrc_is_not_read(server, fetcher, monkeypatch, tmp_path):
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login u password p\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    fetcher.fetch(server.url("healthy"))
    assert server.requests[0].header("Authorization") is None


def test_user_and_password_of_the_url_are_sent(server, fetcher):
    fetcher.fetch(server.url("healthy").replace("//", "//us%20er:pa%40ss@"))
    assert server.requests[0].header("Authorization") == "Basic dXMgZXI6cGFAc3M="
    assert "@" not in server.requests[0].target


def test_gzip_is_decoded(server, fetcher, respond):
    url = respond(200, gzip.compress(b"hello"), Content_Encoding="gzip")
    assert fetcher.fetch(url).body == b"hello"


def test_sequential_fetches_share_a_connection(server, fetcher):
    for trick in ("healthy/a", "healthy/b", "apache_etag", "max_age", "healthy/a"):
        fetcher.fetch(server.url(trick))
    assert fetcher.fetch(server.url("healthy/a"), '"v0"').body is None
    assert len(server.requests) == 6
    assert len(server.connections) == 1


def test_a_connection_that_was_closed_meanwhile_is_made_anew(server, fetcher, answer):
    def once(exchange):
        exchange.healthy()
        exchange.reusable = False

    url = answer(once)
    assert fetcher.fetch(url).body == fetcher.fetch(url).body
    assert len(server.connections) == 2


def test_as_many_connections_to_a_host_are_kept_as_there_were_at_once(
    server, fetcher, answer
):
    both = threading.Barrier(2)

    def together(exchange):
        both.wait(timeout=5)
        exchange.healthy()

    url = answer(together)
    for _ in range(2):
        other = threading.Thread(target=fetcher.fetch, args=(url,))
        other.start()
        assert fetcher.fetch(url).body
        other.join()
    assert len(server.requests) == 4 and len(server.connections) == 2


def test_what_is_remembered_of_requests_does_not_grow_with_redirects(server, fetcher):
    targets = ["redirect?to=/healthy%%3F%d" % n for n in range(5)]
    server.play("page", targets)
    for _ in targets:
        assert fetcher.fetch(server.url("play/page")).body
    assert fetcher._prepare.cache_info().currsize == 1


FEW_DESCRIPTORS = """
import concurrent.futures, os, resource, sys
import statuswatch
statuswatch.claim_resources()
fetcher = statuswatch.Fetcher(2)
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
urls = sys.argv[1:]
with concurrent.futures.ThreadPoolExecutor(10) as pool:
    for _ in range(2):
        assert all(each.body for each in pool.map(fetcher.fetch, urls))
print(soft == hard, len(os.listdir("/proc/self/fd")))
"""


def limited(server, hosts, soft, hard, **environment):
    """What such a process prints: is all allowed used, and how many are open then?"""
    urls = [server.url("healthy", host="127.0.1.%d" % n) for n in range(1, hosts + 1)]
    limit = 'ulimit -Sn %d && ulimit -Hn %d && exec "$@"' % (soft, hard)
    here = os.path.dirname(statuswatch.__file__)
    run = subprocess.run(
        ["sh", "-c", limit, "sh", sys.executable, "-c", FEW_DESCRIPTORS, *urls],
        env={**os.environ, "PYTHONPATH": here, **environment},
        stdout=subprocess.PIPE, timeout=60, check=True,
    )  # fmt: skip
    allowed, open_now = run.stdout.decode().split()
    return allowed == "True", int(open_now)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts them in /proc")
def test_connections_are_given_up_where_descriptors_are_few(server):
    """120 descriptors, three for each of 10 threads: 40 hosts are kept of 100."""
    all_allowed, open_now = limited(server, 100, 60, 120)
    assert all_allowed and 40 <= open_now <= 60
    assert len({request.host for request in server.requests}) == 100
    assert len(server.requests) == 200


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts them in /proc")
def test_no_connection_is_given_up_where_descriptors_suffice(server):
    all_allowed, open_now = limited(server, 100, 60, 200)
    assert all_allowed and open_now > 100
    assert len(server.connections) == 100 and len(server.requests) == 200


def test_a_system_without_a_limit_or_with_a_strange_one_will_do(server, monkeypatch):
    def refuse(*_):
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (-1, -1))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    fetcher = Fetcher(1)
    with contextlib.closing(fetcher._adapter):
        for number in range(1, 30):
            for _ in range(2):
                fetcher.fetch(server.url("healthy", host="127.0.1.%d" % number))
        fetcher.fetch(server.url("healthy", host="127.0.1.1"))
    assert len(server.connections) == 29


# --- What is an answer, and what is tried again. ---


def test_a_304_that_was_asked_for_has_no_body(server, fetcher):
    response = fetcher.fetch(server.url("healthy"), '"v0"')
    assert response.body is None and response.etag == '"v0"'


def test_a_304_that_was_not_asked_for_is_an_error(server, fetcher):
    error = failure(fetcher, server.url("unasked_304"))
    assert (error.status, str(error)) == (304, "HTTP status 304")
    assert len(server.requests) == 1


ONCE = [201, 202, 203, 204, 205, 206, 226, 300, 304, 305, 306, 400, 401, 403, 404, 405]
ONCE += [408, 410, 412, 418, 431, 451, 499]
THRICE = [429, 500, 501, 502, 503, 504, 520, 599, 999]


@pytest.mark.parametrize("status", ONCE)
def test_no_other_status_is_tried_again(server, fetcher, no_waits, status):
    error = failure(fetcher, server.url("status?code=%d" % status))
    assert (error.status, error.retry_after) == (status, None)
    assert str(error) == "HTTP status %d" % status
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", THRICE)
def test_what_may_pass_is_tried_three_times(server, fetcher, no_waits, status):
    error = failure(fetcher, server.url("status?code=%d" % status))
    assert (error.status, error.retry_after) == (status, None)
    assert len(server.requests) == 3
    assert no_waits[:2] == [0.25, 0.5]


def test_the_third_attempt_counts(server, fetcher, no_waits):
    server.play("page", ["status?code=503", "status?code=429", "healthy"])
    assert fetcher.fetch(server.url("play/page")).etag == '"v0"'
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [429, 503, 500, 404])
def test_retry_after_is_no_call_to_try_again(server, fetcher, status):
    url = server.url("retry_after?form=seconds&seconds=7&code=%d" % status)
    assert failure(fetcher, url).retry_after == 7.0
    assert len(server.requests) == 1


def test_retry_after_counts_from_the_servers_own_clock(server, fetcher):
    error = failure(fetcher, server.url("retry_after?form=skewed&seconds=90"))
    assert error.retry_after == 90.0


@pytest.mark.parametrize("form", RETRY_AFTER)
def test_retry_after_in_any_form_is_a_bounded_number_or_none(
    server, fetcher, no_waits, form
):
    error = failure(fetcher, server.url("retry_after?form=" + form))
    wanted = {  # a time that is past is no call to stay away
        "seconds": (3, 3),
        "date": (2, 3),
        "skewed": (3, 3),
        "naive_date": (2, 3),
        "huge": (3600, 3600),
        "very_huge": (3600, 3600),
        "huge_date": (3600, 3600),
    }.get(form)
    if wanted is None:
        assert error.retry_after is None
    else:
        assert wanted[0] <= error.retry_after <= wanted[1]
    assert len(server.requests) == (1 if wanted else 3)


@pytest.mark.parametrize("trick", ["drop", "short_length", "chunked_cut", "bad_status"])
def test_a_connection_that_breaks_is_tried_three_times(
    server, fetcher, answer, no_waits, trick
):
    def drop(exchange):
        exchange.reusable = False

    def bad_status(exchange):
        exchange.send(b"ICY 200 OK\r\n\r\n")

    custom = {"drop": drop, "bad_status": bad_status}.get(trick)
    error = failure(fetcher, answer(custom) if custom else server.url(trick))
    assert error.status == 0
    assert len(server.requests) == 3


def test_a_refused_connection_is_tried_three_times(server, fetcher, no_waits):
    error = failure(fetcher, server.url("refuse"))
    assert str(error) == "Connection refused"
    assert no_waits[:2] == [0.25, 0.5]


def test_a_connection_that_breaks_while_it_is_made_is_an_error_like_others(
    fetcher, no_waits, monkeypatch
):
    """A connect that is cut can end so, which urllib3 alone would pass over."""

    class Breaking(socket.socket):
        def connect(self, address):
            raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(socket, "socket", Breaking)
    assert str(failure(fetcher, "http://127.0.0.1:9/feed")) == "Broken pipe"


def test_a_name_that_is_not_known_is_tried_again(fetcher, no_waits, monkeypatch):
    asked = []

    def unknown(*args, **kwargs):
        asked.append(args[0])
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = failure(fetcher, "http://status.acme.test/feed")
    assert str(error) == "Name or service not known"
    assert asked == ["status.acme.test"] * 3


@pytest.mark.parametrize(
    "url", ["http://a..b/x", "http://%s/x" % ("a" * 64), "http:///"]
)
def test_an_address_that_is_none_is_an_error_at_once(fetcher, no_waits, url):
    with pytest.raises(FetchError):
        fetcher.fetch(url)
    assert no_waits == []


@pytest.mark.parametrize(
    "trick",
    [
        "truncated_gzip",
        "not_gzip",
        "short_length",
        "chunked_cut",
        "bad_chunk_size",
        "two_lengths",
        "many_headers",
        "endless_headers",
        "endless_line",
        "garbage_headers",
    ],
)
def test_broken_http_is_an_error_or_less_than_a_page(server, fetcher, no_waits, trick):
    """What cannot be told from a whole body here is left to the parser."""
    try:
        body = fetcher.fetch(server.url(trick)).body
    except FetchError:
        return
    with contextlib.suppress(statuswatch.ParseError):
        page = statuswatch.parse(body)
        assert page.incidents == () and page.id == "page-page"


# --- Stopping. ---


def test_a_stop_ends_the_wait_between_attempts_at_once(server, fetcher, monkeypatch):
    monkeypatch.setattr(random, "uniform", lambda *_: 60.0)
    server.play("page", [lambda _: stopper.start() or "status?code=503", "healthy"])
    stopper = threading.Timer(0.1, fetcher.stop)
    began = time.monotonic()
    assert str(failure(fetcher, server.url("play/page"))) == "stopped"
    assert time.monotonic() - began < LATE
    assert len(server.requests) == 1


def test_a_stop_ends_a_fetch_that_hangs(server, fetcher):
    server.play("page", [lambda _: stopper.start() or "accept_and_hang"])
    stopper = threading.Timer(0.05, fetcher.stop)
    began = time.monotonic()
    failure(fetcher, server.url("play/page"))
    assert time.monotonic() - began < LATE
    assert len(server.requests) == 1


def test_nothing_is_fetched_after_a_stop(server, fetcher):
    fetcher.stop()
    assert str(failure(fetcher, server.url("healthy"))) == "stopped"
    assert server.requests == []


# --- Time and size. ---

SLOW = [
    "accept_and_hang",
    "drip_body",
    "drip_chunk_size",
    "drip_gzip",
    "drip_headers",
    "drip_redirect_body",
    "drip_status_line",
    "hundred_continue_flood",
    "no_fin",
    "slow_redirects?seconds=0.15",
    "stalled_body",
    "trailer_flood",
    "backlog_full",
    "tls_handshake_drip",
]


@pytest.mark.parametrize("trick", SLOW)
def test_a_deadline_ends_whatever_a_server_does(server, fetcher, trick):
    began = time.monotonic()
    error = failure(fetcher, server.url(trick), timeout=SOON)
    lasted = time.monotonic() - began
    if trick.startswith(("slow_redirects", "drip_redirect")) and "more" in str(error):
        assert str(error) == "more than 5 redirects"
    else:
        assert str(error) == TOO_LATE
        assert SOON * 0.9 <= lasted
    assert lasted < LATE


def test_redirects_share_the_deadline(server, fetcher):
    began = time.monotonic()
    error = failure(fetcher, server.url("slow_redirects?seconds=0.4"), timeout=SOON)
    assert str(error) == TOO_LATE
    assert time.monotonic() - began < LATE
    assert len(server.requests) == 2


def test_attempts_share_the_deadline(server, fetcher, monkeypatch):
    monkeypatch.setattr(random, "uniform", lambda *_: 0.4)
    began = time.monotonic()
    error = failure(fetcher, server.url("status?code=503"), timeout=SOON)
    assert str(error) == TOO_LATE
    assert time.monotonic() - began < LATE
    assert len(server.requests) == 2


def test_a_deadline_that_nobody_watches_ends_what_comes_next(server, no_waits):
    fetcher = Fetcher(1)
    with contextlib.closing(fetcher._adapter), pytest.raises(FetchError) as caught:
        fetcher.fetch(server.url("healthy"), timeout=0.0)
    assert str(caught.value) == "took longer than 0 s"
    assert server.requests == []


def test_a_deadline_leaves_the_next_fetch_alone(server, fetcher):
    failure(fetcher, server.url("stalled_body"), timeout=0.2)
    assert fetcher.fetch(server.url("healthy")).body
    assert fetcher._attempts == set()


def test_cut_says_when_the_next_deadline_is(fetcher):
    now = time.monotonic()
    assert fetcher.cut(now) == now + statuswatch.WAKE
    attempt = statuswatch.Attempt(now + 7)
    fetcher._attempts.add(attempt)
    assert fetcher.cut(now) == now + 7
    assert fetcher.cut(now + 8) == now + 8 + statuswatch.WAKE
    with pytest.raises(FetchError, match="^took too long$"):
        attempt.left()


def test_a_line_that_comes_after_the_cut_is_cut_too():
    attempt = statuswatch.Attempt(0.0)
    attempt.cut()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        attempt.attach(ours)
        assert ours.recv(1) == b"" == theirs.recv(1)
        attempt.attach(None)


def test_where_no_descriptor_is_left_nobody_elses_is_closed(monkeypatch):
    def full(descriptor):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    attempt = statuswatch.Attempt(math.inf)
    for line in socket.socketpair():
        with line:
            attempt.attach(line)
            with monkeypatch.context() as patch, pytest.raises(OSError):
                patch.setattr(os, "dup", full)
                attempt.attach(line)
            others = [os.open(os.devnull, os.O_RDONLY) for _ in range(3)]
            attempt.attach(None)
            for each in others:  # each is open still
                os.close(each)


@pytest.mark.parametrize("dead", [1, 2, 3])
def test_dead_addresses_leave_time_for_the_living(server, fetcher, monkeypatch, dead):
    port = server.endpoint("backlog_full")
    pairs = [("127.0.0.1", port)] * dead + [("127.0.0.1", server.port)]
    monkeypatch.setattr(socket, "getaddrinfo", addresses(*pairs))
    began = time.monotonic()
    assert fetcher.fetch("http://status.acme.test/healthy", timeout=1.2).body
    assert time.monotonic() - began < 1.2
    assert server.requests[0].header("Host") == "status.acme.test"


def test_refused_addresses_are_passed_over(server, fetcher, monkeypatch):
    port = server.endpoint("refuse")
    pairs = ("127.0.0.1", port), ("127.0.0.1", server.port)
    monkeypatch.setattr(socket, "getaddrinfo", addresses(*pairs))
    assert fetcher.fetch("http://status.acme.test/healthy").body


def test_a_body_may_have_the_largest_size_and_not_a_byte_more(make_fetcher, respond):
    fetcher = make_fetcher(max_size=100_000)
    assert len(fetcher.fetch(respond(200, b"x" * 100_000)).body) == 100_000
    error = failure(fetcher, respond(200, b"x" * 100_001))
    assert str(error) == "a body of over 100000 bytes"


@pytest.mark.parametrize("trick", ["endless_body", "big_json", "bomb", "deflate"])
def test_what_is_too_big_is_not_read_to_the_end(server, make_fetcher, respond, trick):
    packed = gzip.compress(bytes(20_000_000))
    bomb = respond(200, packed, Content_Encoding="gzip")
    custom = {"bomb": bomb, "deflate": respond(200, packed, Content_Encoding="x-gzip")}
    fetcher = make_fetcher(max_size=1_000_000)
    error = failure(fetcher, custom.get(trick) or server.url(trick))
    assert str(error) == "a body of over 1000000 bytes"
    assert len(server.requests) == 1


@pytest.mark.parametrize("trick", ["endless_error_body", "endless_redirect_body"])
def test_bodies_of_errors_and_redirects_are_not_read(server, fetcher, no_waits, trick):
    began = time.monotonic()
    failure(fetcher, server.url(trick), timeout=LATE)
    assert time.monotonic() - began < LATE / 2


# --- Redirects. ---


def test_five_redirects_are_followed_and_not_a_sixth(server, fetcher):
    assert fetcher.fetch(server.url("redirect_chain?n=5")).body
    assert len(server.requests) == 6
    error = failure(fetcher, server.url("redirect_chain?n=6"))
    assert str(error) == "more than 5 redirects"
    assert len(server.requests) == 12


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_each_kind_of_redirect_is_followed_with_the_validators(server, fetcher, code):
    url = server.url("redirect?to=/healthy&code=%d" % code)
    assert fetcher.fetch(url, '"v0"', "Mon").body is None
    first, second = server.requests
    for name in ("If-None-Match", "If-Modified-Since", "User-Agent"):
        assert first.header(name) == second.header(name) is not None


def test_a_redirect_without_a_place_is_an_error(server, fetcher):
    assert failure(fetcher, server.url("redirect_nowhere")).status == 302
    error = failure(fetcher, server.url("status?code=300"))
    assert error.status == 300


@pytest.mark.parametrize(
    "target",
    [
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "gopher://127.0.0.1:1/_x",
        "data:,x",
        "javascript:alert(1)",
        "http://@/x",
        "https://:80/x",
    ],
)
def test_redirects_to_what_is_no_web_are_refused(server, fetcher, target):
    url = server.url("redirect?to=" + quote(target, ""))
    assert str(failure(fetcher, url)) == "redirect to what is not http(s)"
    assert len(server.requests) == 1


@pytest.mark.parametrize("target", ["http://[::1/x", "http://a..b/", "http://h:99999/"])
def test_redirects_to_a_broken_address_are_errors(server, fetcher, no_waits, target):
    failure(fetcher, server.url("redirect?to=" + quote(target, "")))
    assert len(server.requests) == 1 and no_waits == []


def test_https_does_not_lead_to_http(server, fetcher):
    with pytest.raises(FetchError, match="^redirect from https to http$"):
        statuswatch._hop("https://a.test/x", "http://a.test/x")
    assert statuswatch._hop("http://a.test/x", "https://a.test/y") == "https://a.test/y"


def test_a_place_in_utf_8_is_read_as_such(server, fetcher, answer):
    place = [("Location", "/healthy/caf\u00e9".encode())]
    assert fetcher.fetch(answer(lambda e: e.respond(302, headers=place))).body
    assert server.requests[1].target == "/healthy/caf%C3%A9"


def test_a_place_in_no_encoding_is_an_error(server, fetcher, answer, no_waits):
    place = [("Location", b"/healthy/caf\xe9")]
    failure(fetcher, answer(lambda e: e.respond(302, headers=place)))
    assert len(server.requests) == 1 and no_waits == []


@pytest.mark.parametrize("to", ["/healthy?x=1#part", "//%s/healthy?x=1"])
def test_credentials_do_not_travel_with_a_redirect(server, fetcher, to):
    authority = "us:er@127.0.0.1:%d" % server.port
    target = quote(to % authority if "%s" in to else to, "")
    url = server.url("redirect?code=301&to=" + target)
    response = fetcher.fetch(url.replace("//", "//user:secret@", 1))
    first, second = server.requests
    assert first.header("Authorization") and second.header("Authorization") is None
    assert second.target == "/healthy?x=1"
    assert response.moved_to == server.url("healthy?x=1")


@pytest.mark.parametrize(
    "codes, kept",
    [
        ((301,), 1),
        ((308,), 1),
        ((302,), 0),
        ((307,), 0),
        ((301, 308), 2),
        ((301, 302), 1),
        ((302, 301), 0),
        ((301, 303, 301), 1),
    ],
)
def test_a_chain_of_permanent_redirects_is_reported(server, fetcher, codes, kept):
    urls = [server.url("play/%d" % number) for number in range(len(codes))]
    urls.append(server.url("healthy"))
    for number, code in enumerate(codes):
        step = "redirect?code=%d&to=%s" % (code, quote(urls[number + 1], ""))
        server.play(str(number), step)
    response = fetcher.fetch(urls[0])
    assert response.moved_to == (urls[kept] if kept else "")


def test_an_attempt_begins_with_the_configured_address(server, fetcher, no_waits):
    steps = ["redirect?code=301&to=/status%3Fcode=503", "healthy"]
    server.play("page", steps)
    response = fetcher.fetch(server.url("play/page"))
    assert response.body and response.moved_to == ""


def test_a_public_page_does_not_lead_to_a_private_address(server, fetcher, monkeypatch):
    public = {"127.0.0.2"}
    monkeypatch.setattr(statuswatch, "_is_public", lambda address: address in public)
    target = quote(server.url("forbidden", host="127.0.0.1"), "")
    error = failure(fetcher, server.url("redirect?to=" + target, host="127.0.0.2"))
    assert str(error) == "redirect from a public page to a private address"
    assert server.requests_of("forbidden") == []


def test_nor_does_it_by_a_connection_that_is_open_already(server, fetcher, monkeypatch):
    public = {"127.0.0.2"}
    monkeypatch.setattr(statuswatch, "_is_public", lambda address: address in public)
    fetcher.fetch(server.url("healthy", host="127.0.0.1"))
    target = quote(server.url("forbidden", host="127.0.0.1"), "")
    error = failure(fetcher, server.url("redirect?to=" + target, host="127.0.0.2"))
    assert str(error) == "redirect from a public page to a private address"
    assert server.requests_of("forbidden") == []


def test_private_pages_lead_anywhere_and_public_ones_to_public_ones(
    server, fetcher, monkeypatch
):
    public = {"127.0.0.2", "127.0.0.3"}
    monkeypatch.setattr(statuswatch, "_is_public", lambda address: address in public)
    for source, target in (
        ("127.0.0.1", "127.0.0.2"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.2", "127.0.0.3"),
    ):
        to = quote(server.url("healthy", host=target), "")
        assert fetcher.fetch(server.url("redirect?to=" + to, host=source)).body


def test_an_attempt_begins_with_a_page_that_may_be_private(
    server, fetcher, monkeypatch, no_waits
):
    public = {"127.0.0.2"}
    monkeypatch.setattr(statuswatch, "_is_public", lambda address: address in public)
    there = server.url("play/there", host="127.0.0.2")
    final = quote(server.url("play/final", host="127.0.0.2"), "")
    server.play("there", "redirect?to=" + final)
    server.play("final", ["status?code=503", "healthy"])
    assert fetcher.fetch(server.url("redirect?to=" + quote(there, ""))).body
    assert len(server.requests) == 6


@pytest.mark.parametrize(
    "address, public",
    [
        ("", False),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
    ],
)
def test_public_is_what_everybody_can_reach(address, public):
    assert statuswatch._is_public(address) is public


# --- Proxies. ---


@pytest.fixture
def proxy():
    """Another server, which answers what is asked of it as a proxy, with a page."""
    with FaultServer() as proxy:
        yield proxy


@pytest.fixture
def via_proxy(proxy, monkeypatch):
    """The proxy is that of the environment, and serves any path."""
    monkeypatch.setattr("faults.not_found", TRICKS["healthy"])
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:%d" % proxy.port)
    return proxy


def test_the_proxy_of_the_environment_is_used(via_proxy, make_fetcher):
    assert make_fetcher().fetch("http://status.acme.test/feed").body
    (asked,) = via_proxy.requests
    assert asked.target == "http://status.acme.test/feed"
    assert asked.header("Host") == "status.acme.test"


def test_no_proxy_is_obeyed(via_proxy, server, make_fetcher, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1,other.test")
    assert make_fetcher().fetch(server.url("healthy")).body
    assert via_proxy.requests == [] and len(server.requests) == 1


def test_a_redirect_may_leave_the_proxy(via_proxy, server, make_fetcher, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    target = server.url("healthy")
    monkeypatch.setattr(
        "faults.not_found", lambda e: e.respond(302, headers=[("Location", target)])
    )
    assert make_fetcher().fetch("http://status.acme.test/").body
    assert len(via_proxy.requests) == len(server.requests) == 1


@pytest.mark.parametrize(
    "variable, value",
    [
        ("http_proxy", ""),
        ("no_proxy", "127.0.0.0/8"),
        ("no_proxy", "other.test"),
        ("https_proxy", "http://127.0.0.1:9"),
    ],
)
def test_a_proxy_that_is_not_used_opens_no_way_to_private_addresses(
    server, make_fetcher, monkeypatch, variable, value
):
    public = {"127.0.0.2"}
    monkeypatch.setattr(statuswatch, "_is_public", lambda address: address in public)
    monkeypatch.setenv(variable, value)
    target = quote(server.url("forbidden", host="127.0.0.1"), "")
    url = server.url("redirect?to=" + target, host="127.0.0.2")
    error = failure(make_fetcher(), url)
    assert str(error) == "redirect from a public page to a private address"
    assert server.requests_of("forbidden") == []


def test_a_redirect_may_lead_to_the_proxy(via_proxy, server, make_fetcher, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    target = quote("http://status.acme.test/feed", "")
    assert make_fetcher().fetch(server.url("redirect?to=" + target)).body
    assert len(via_proxy.requests) == len(server.requests) == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_deadline_ends_what_a_proxy_does(proxy, make_fetcher, monkeypatch, scheme):
    monkeypatch.setattr("faults.not_found", TRICKS["drip_headers"])
    monkeypatch.setenv(scheme + "_proxy", "http://127.0.0.1:%d" % proxy.port)
    began = time.monotonic()
    url = scheme + "://status.acme.test/feed"
    assert str(failure(make_fetcher(), url, timeout=SOON)) == TOO_LATE
    assert time.monotonic() - began < LATE
    assert len(proxy.requests) == 1


def test_https_goes_through_the_proxy_by_connect(proxy, make_fetcher, monkeypatch):
    tunnels = []

    def connect(exchange):
        tunnels.append((exchange.request.method, exchange.request.target))
        exchange.respond(403)

    monkeypatch.setattr("faults.not_found", connect)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:%d" % proxy.port)
    monkeypatch.setattr(random, "uniform", lambda *_: 0)
    failure(make_fetcher(), "https://status.acme.test/feed")
    assert set(tunnels) == {("CONNECT", "status.acme.test:443")}


# --- TLS. ---


@pytest.fixture
def tls(monkeypatch, tmp_path):
    """A server with a certificate of its own authority, and that authority's file."""
    pytest.importorskip("trustme")
    context, authority = tls_authority()
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(authority)
    with FaultServer(context) as server:
        yield server, bundle


def test_https_with_an_authority_that_is_trusted(tls, make_fetcher, monkeypatch):
    server, bundle = tls
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    fetcher = make_fetcher()
    for _ in range(2):
        assert fetcher.fetch(server.url("healthy", scheme="https")).body
    assert len(server.connections) == 1


def test_a_tls_context_is_made_once_for_all_hosts_and_proxies(
    tls, make_fetcher, monkeypatch
):
    server, bundle = tls
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    contexts, tunnels = [], []

    def tunnel(exchange):
        """Be a proxy that leads to the server, for one connection."""
        tunnels.append(exchange.request.target)
        exchange.send(b"HTTP/1.1 200 OK\r\n\r\n")
        with socket.create_connection(exchange.request.target.split(":")) as there:
            ends = {exchange.sock: there, there: exchange.sock}
            while True:
                for line in select.select(list(ends), [], [])[0]:
                    chunk = line.recv(65536)
                    if not chunk:
                        return
                    ends[line].sendall(chunk)

    class Noted(ssl.SSLSocket):
        def do_handshake(self, *args, **kwargs):
            contexts.append(self.context)
            super().do_handshake(*args, **kwargs)

    with FaultServer() as proxy:
        monkeypatch.setattr("faults.not_found", tunnel)
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:%d" % proxy.port)
        monkeypatch.setenv("no_proxy", "*")
        fetcher = make_fetcher()
        fetcher._adapter.context.sslsocket_class = Noted
        for host in ("127.0.0.1", "localhost"):
            url = server.url("healthy", host=host, scheme="https")
            assert fetcher.fetch(url).body
        monkeypatch.delenv("no_proxy")
        url = server.url("healthy/b", scheme="https")
        assert fetcher.fetch(url).body
    assert len(contexts) == 3 and set(contexts) == {fetcher._adapter.context}
    assert tunnels == [urlsplit(url).netloc]


def test_connections_change_nothing_of_the_context_that_they_share(
    tls, make_fetcher, monkeypatch
):
    """Meanwhile another may begin, and would send what is there no more."""
    server, bundle = tls
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    told, tell = [], ssl.SSLContext.set_alpn_protocols

    def noted(context, protocols):
        told.append(protocols)
        tell(context, protocols)

    monkeypatch.setattr(ssl.SSLContext, "set_alpn_protocols", noted)
    fetcher = make_fetcher()
    for host in ("127.0.0.1", "localhost"):
        assert fetcher.fetch(server.url("healthy", host=host, scheme="https")).body
    assert told == [["http/1.1"]]


def test_authorities_that_cannot_be_read_are_a_mistake_to_be_told(monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such.pem")
    words = "^/no/such.pem: No such file or directory$"
    with pytest.raises(statuswatch.ConfigError, match=words):
        Fetcher(1)


def test_a_folder_of_authorities_will_do(tls, make_fetcher, monkeypatch, tmp_path):
    server, bundle = tls
    folder = tmp_path / "certs"
    folder.mkdir()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(folder))
    fetcher = make_fetcher()  # an empty folder trusts nobody
    failure(fetcher, server.url("healthy", scheme="https"))


def test_an_unknown_authority_is_an_error_at_once(tls, fetcher, no_waits):
    server, _ = tls
    error = failure(fetcher, server.url("healthy", scheme="https"))
    assert "unable to get local issuer certificate" in str(error)
    assert len(server.connections) == 1 and server.requests == []
    assert no_waits == []


def test_a_certificate_of_another_name_is_an_error(tls, make_fetcher, monkeypatch):
    server, bundle = tls
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    url = server.url("healthy", host="127.0.0.2", scheme="https")
    error = failure(make_fetcher(), url)
    if OLD_URLLIB3:  # it compares names itself, and its error has no words for us
        assert str(error) in ("Certificate Error", "SSLCert Verification Error")
    else:
        assert "not valid for '127.0.0.2'" in str(error)
    assert server.requests == []


@pytest.mark.parametrize("trick", ["drip_body", "accept_and_hang", "trailer_flood"])
def test_a_deadline_ends_what_is_encrypted(tls, make_fetcher, monkeypatch, trick):
    server, bundle = tls
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    began = time.monotonic()
    url = server.url(trick, scheme="https")
    error = failure(make_fetcher(), url, timeout=SOON)
    assert str(error) == TOO_LATE
    assert time.monotonic() - began < LATE


def test_https_redirects_do_not_fall_back_to_http(tls, make_fetcher, monkeypatch):
    server, bundle = tls
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    target = quote(server.url("forbidden"), "")
    url = server.url("redirect?to=" + target, scheme="https")
    assert str(failure(make_fetcher(), url)) == "redirect from https to http"
    assert server.requests_of("forbidden") == []


# --- Headers, and words for errors. ---

NOW = datetime(2025, 2, 24, 12, tzinfo=timezone.utc)
DATE = format_datetime(NOW, usegmt=True)


@pytest.mark.parametrize(
    "value, seconds",
    [
        ("0", 0),
        ("1", 1),
        ("007", 7),
        ("3600", 3600),
        ("3601", 3600),
        ("9" * 5000, 3600),
        ("", None),
        ("-1", None),
        ("+5", None),
        ("1_0", None),
        ("1.5", None),
        ("1e2", None),
        ("0x10", None),
        ("5, 7", None),
        ("\u0663", None),
        ("\u00b3", None),
        ("soon", None),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0),
        (format_datetime(NOW + timedelta(days=9), usegmt=True), 3600),
        ("Monday, 24-Feb-25 12:00:30 GMT", 30),
        ("Mon Feb 24 12:00:30 2025", 30),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
        ("Fri, 31 Dec 99999999999 23:59:59 GMT", None),
        ("Fri, 99 Foo 2025 25:61:61 GMT", None),
    ],
)
def test_retry_after_is_read_as_http_defines_it(value, seconds):
    assert parse_retry_after(value, DATE) == seconds


@pytest.mark.parametrize("date", ["", "yesterday", "\x00"])
def test_without_a_date_retry_after_counts_from_our_clock(date):
    until = datetime.now(timezone.utc) + timedelta(seconds=100)
    wait = parse_retry_after(format_datetime(until, usegmt=True), date)
    assert 95 < wait <= 100


@pytest.mark.parametrize(
    "cache_control, age, seconds",
    [
        ("", "", 0),
        ("max-age=10", "", 10),
        ("public, max-age=10", "", 10),
        ("Max-Age = 10", "", 10),
        ('max-age="10"', "", 10),
        ("max-age=10,public", "", 10),
        ("max-age=0", "", 0),
        ("max-age=31536000", "", 300),
        ("max-age=999999999", "", 300),
        ("max-age=9999999999", "", 300),
        ("max-age=" + "9" * 5000, "", 300),
        ("s-maxage=10", "", 0),
        ("x-max-age=10", "", 0),
        ("max-age=-1", "", 0),
        ("max-age=+5", "", 0),
        ("max-age=1_0", "", 1),
        ("max-age=\u0663", "", 0),
        ("max-age=soon", "", 0),
        ("max-age=10, no-cache", "", 0),
        ("no-store, max-age=10", "", 0),
        ("max-age=60", "45", 15),
        ("max-age=60", "61", 0),
        ("max-age=60", "-5", 60),
        ("max-age=60", "+5", 60),
        ("max-age=60", "1_0", 60),
        ("max-age=60", "old", 60),
        ("max-age=60", "\u0663", 60),
        ("max-age=60", "9" * 5000, 0),
    ],
)
def test_max_age_is_read_as_http_defines_it(cache_control, age, seconds):
    assert parse_max_age(cache_control, age) == seconds


def test_max_age_counts_from_when_the_answer_was_made(fetcher, respond):
    url = respond(200, Cache_Control="public, max-age=60", Age="20")
    assert fetcher.fetch(url).fresh_for == 40


URL = "http://user:secret@status.acme.test/feed?token=secret"


@pytest.mark.parametrize(
    "error, words",
    [
        (OSError(111, "Connection refused"), "Connection refused"),
        (OSError(2, "No such file or directory", "/x"), "No such file or directory"),
        (socket.timeout("timed out at " + URL), "timed out"),
        (TimeoutError(110, "Connection timed out"), "timed out|Connection timed out"),
        (requests.ConnectionError("cannot reach " + URL), "Connection Error"),
        (requests.exceptions.InvalidURL(URL), "Invalid URL|Invalid URL"),
        (ValueError(), "Value Error"),
        (
            requests.ConnectionError(OSError(113, "No route to host")),
            "No route to host",
        ),
        (
            urllib3.exceptions.MaxRetryError(None, URL, OSError(1, "not permitted")),
            "not permitted",
        ),
        (
            urllib3.exceptions.ProtocolError("broken " + URL, ConnectionResetError()),
            "Connection Reset Error",
        ),
        (OSError(5, "x" * 999), "x" * 100),
        (OSError(5, "a\x1b[31m\nb"), r"a\[31m b"),
    ],
)
def test_a_reason_is_a_few_words_without_an_address(error, words):
    assert re.fullmatch(words, statuswatch.reason(error))


def test_a_reason_is_that_of_the_innermost_error():
    certificate = ssl.SSLCertVerificationError()
    certificate.verify_message = "certificate has expired"
    try:
        try:
            raise certificate
        except ssl.SSLError as exc:
            raise requests.exceptions.SSLError(URL) from exc
    except requests.exceptions.SSLError as exc:
        assert statuswatch.reason(exc) == "certificate has expired"


def test_tenacity_leaves_no_error_of_its_own(server, fetcher, no_waits):
    error = failure(fetcher, server.url("status?code=500"))
    assert not isinstance(error, tenacity.RetryError)
    assert os.environ.get("http_proxy") is None


# What a hostile page could have us do later.


def test_an_encoding_that_nobody_asked_for_is_an_error(fetcher, respond):
    error = failure(fetcher, respond(200, b"x", Content_Encoding="br"))
    assert str(error) == "an encoding that nobody asked for"
    assert fetcher.fetch(respond(200, b"x", Content_Encoding="identity")).body == b"x"


def test_a_star_is_no_validator(fetcher, respond):
    """Sent back, it would match whatever comes: 304 for ever."""
    assert fetcher.fetch(respond(200, b"x", ETag="*")).etag == ""


def test_where_a_public_page_has_moved_to_must_stay_public(server, fetcher):
    """Its name may lead to another address by the time that we ask there."""
    error = failure(fetcher, server.url("healthy"), public=True)
    assert "private address" in str(error) and server.requests == []


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip and more"])
def test_no_more_than_a_few_large_bodies_are_in_memory(
    server, fetcher, respond, packed
):
    url = respond(200, b"x" * (statuswatch.LARGE + 1))
    if packed:
        body = gzip.compress(bytes(statuswatch.LARGE + 1)) + b"more"
        url = respond(200, body, Content_Encoding="gzip")
    held = [fetcher.fetch(url) for _ in range(statuswatch.MAX_LARGE)]
    assert str(failure(fetcher, url, timeout=SOON)) == TOO_LATE
    gc.collect()
    held.pop()
    assert fetcher.fetch(url).body
    held.append(fetcher.fetch(url))  # what had waited in vain has left no room
    assert str(failure(fetcher, url, timeout=SOON)) == TOO_LATE


@pytest.fixture
def no_collection():
    """What is in a cycle stays there."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("ends", ["cut", "too big"])
def test_large_bodies_that_are_not_used_give_back_their_places_at_once(
    make_fetcher, server, respond, answer, no_collection, ends
):
    fetcher = make_fetcher(2 * statuswatch.LARGE)
    body = b"x" * (statuswatch.LARGE + 1)

    def stalling(exchange):
        exchange.head(200, [("Content-Length", "999999")])
        exchange.send(body + bytes(65536))  # it is read in pieces of so many bytes
        exchange.pause(0.1)
        exchange.send(b"x")  # so that the cut comes before a time-out
        exchange.hold()

    url, timeout, words = answer(stalling), 0.15, "took longer than 0.15 s"
    if ends == "too big":
        url, timeout, words = (
            respond(200, 2 * body),
            LATE,
            "a body of over 1000000 bytes",
        )
    for _ in range(statuswatch.MAX_LARGE + 1):
        assert str(failure(fetcher, url, timeout=timeout)) == words
    assert len(server.requests) == statuswatch.MAX_LARGE + 1
    assert fetcher.fetch(respond(200, body), timeout=LATE).body


def test_a_body_can_be_freed_while_another_takes_a_place(
    fetcher, respond, monkeypatch, no_collection
):
    """A garbage collection can come at any moment, also in the middle of taking one."""
    url = respond(200, b"x" * (statuswatch.LARGE + 1))
    enter, freed = threading.Condition.__enter__, []

    def entering(condition):
        entered = enter(condition)
        if sys._getframe(1).f_code.co_name == "acquire":
            gc.collect()
        return entered

    cycle = [fetcher.fetch(url).body]
    weakref.finalize(cycle[0], freed.append, True)
    cycle.append(cycle)
    del cycle
    monkeypatch.setattr(threading.Condition, "__enter__", entering)
    fetched = []
    other = threading.Thread(
        target=lambda: fetched.append(fetcher.fetch(url, timeout=LATE)), daemon=True
    )
    other.start()
    other.join(LATE + 1)
    assert fetched and not other.is_alive()
    gc.collect()
    assert freed
    held = [fetcher.fetch(url, timeout=LATE) for _ in range(statuswatch.MAX_LARGE - 1)]
    assert len(held) + 1 == statuswatch.MAX_LARGE


@pytest.mark.parametrize("junk", [b"x" * 65536, b"x"], ids=["much", "little"])
def test_what_comes_after_the_end_of_gzip_is_not_read(server, fetcher, answer, junk):
    packed, sent = gzip.compress(b"{}"), []

    def endless(exchange):
        headers = [("Content-Encoding", "gzip"), ("Transfer-Encoding", "chunked")]
        exchange.head(200, headers)
        exchange.reusable = True
        exchange.send(b"%x\r\n%s\r\n" % (len(packed), packed))
        while True:
            exchange.send(b"%x\r\n%s\r\n" % (len(junk), junk))
            sent.append(len(junk))

    assert fetcher.fetch(answer(endless), timeout=LATE).body == b"{}"
    assert sum(sent) < 20_000_000
    # What it still has to say is no answer to the next request.
    assert fetcher.fetch(server.url("healthy"), timeout=LATE).body
    assert len(server.connections) == 2


def test_an_endless_size_of_a_chunk_is_an_error_soon(server, fetcher, answer, no_waits):
    sent = []

    def endless(exchange):
        exchange.head(200, [("Transfer-Encoding", "chunked")])
        while True:
            exchange.send(b"1" * 65536)
            sent.append(65536)

    error = failure(fetcher, answer(endless), timeout=LATE)
    assert "took longer" not in str(error)
    assert sum(sent) < 30_000_000  # what the buffers of three connections hold


@pytest.mark.parametrize("size", [0, 1, 65536, 131072, 200_000])
def test_a_body_in_chunks_is_all_there_and_its_connection_is_kept(
    server, fetcher, answer, size
):
    body = b"0123456789" * 20_000

    def chunked(exchange):
        exchange.head(200, [("Transfer-Encoding", "chunked")])
        for start in range(0, size, 30_000):
            chunk = body[start : min(start + 30_000, size)]
            exchange.send(b"%x;x=y\r\n%s\r\n" % (len(chunk), chunk))
        exchange.send(b"0\r\nTrailer: x\r\n\r\n")
        exchange.reusable = True

    url = answer(chunked)
    for _ in range(3):
        assert fetcher.fetch(url).body == body[:size]
    assert len(server.connections) == 1


def test_the_environment_is_searched_for_proxies_once(server, monkeypatch):
    asked = []
    for module in (statuswatch, requests.utils):
        name = module.__name__

        def noted(name=name):
            asked.append(name)
            return {}

        monkeypatch.setattr(module, "getproxies", noted, raising=False)
    fetcher = Fetcher(1)
    with contextlib.closing(fetcher._adapter):
        for number in range(1, 4):
            url = server.url("redirect?to=/healthy", host="127.0.1.%d" % number)
            assert fetcher.fetch(url).body
    assert asked == ["statuswatch"]
