"""The fault server does what it says, so that the tests that use it can trust it."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import socket
import ssl
import threading
import time
import xml.etree.ElementTree
import zlib
from urllib.parse import urlsplit

import pytest
from faults import (
    ENDPOINTS,
    HOSTILE_TITLES,
    RETRY_AFTER,
    TRICKS,
    FaultServer,
    StatusPage,
    atom_feed,
    bomb,
    tls_authority,
    xml_text,
)

WELL_FORMED = {
    "always_304": 200,
    "empty_200": 200,
    "gone": 410,
    "healthy": 200,
    "html_login": 200,
    "max_age": 200,
    "moved": 301,
    "no_content": 204,
    "not_found": 404,
    "no_such_trick": 404,
    "partial": 206,
    "picky": 200,
    "redirect_loop": 302,
    "redirect_nowhere": 302,
    "retry_after": 503,
    "set_cookie": 200,
    "status?code=502": 502,
    "status_999": 999,
    "unasked_304": 304,
    "wrong_tenant": 200,
}
NEVER_END = [
    "drip_body",
    "drip_chunk_size",
    "drip_gzip",
    "drip_headers",
    "drip_redirect_body",
    "drip_status_line",
    "endless_body",
    "endless_error_body",
    "endless_headers",
    "endless_line",
    "endless_redirect_body",
    "hundred_continue_flood",
    "no_fin",
    "stalled_body",
    "trailer_flood",
]
NOT_JSON = ["deep_json", "deep_objects", "not_a_number", "huge_integer"]


@pytest.fixture
def server():
    with FaultServer() as server:
        yield server


def connect(url, timeout=5):
    return socket.create_connection(
        (urlsplit(url).hostname, urlsplit(url).port), timeout=timeout
    )


def ask(url, headers=(), timeout=5):
    """(status, headers, body) as http.client reads it."""
    parts = urlsplit(url)
    with contextlib.closing(
        http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    ) as connection:
        connection.request(
            "GET", "%s?%s" % (parts.path, parts.query), None, {**dict(headers)}
        )
        response = connection.getresponse()
        return response.status, response.headers, response.read()


def raw(url, seconds):
    """Every byte that came within that time, and whether the server ended it."""
    parts, received = urlsplit(url), b""
    end = time.monotonic() + seconds
    with connect(url) as sock:
        sock.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % parts.path.encode())
        while time.monotonic() < end:
            sock.settimeout(max(end - time.monotonic(), 0.001))
            try:
                chunk = sock.recv(65536)
            except socket.timeout:
                break
            if not chunk:
                return received, True
            received += chunk
    return received, False


def wait_for(condition, seconds=5):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.005)


@pytest.mark.parametrize("trick", WELL_FORMED)
def test_a_well_formed_answer_has_its_status(server, trick):
    assert ask(server.url(trick))[0] == WELL_FORMED[trick]


@pytest.mark.parametrize("trick", NEVER_END)
def test_it_sends_and_never_ends(server, trick):
    received, ended = raw(server.url(trick), 0.3)
    assert received and not ended
    wait_for(lambda: server.connections[0].closed_at)  # it notices that we left


def test_accept_and_hang_says_nothing(server):
    assert raw(server.url("accept_and_hang"), 0.3) == (b"", False)


def test_a_read_timeout_does_not_end_a_drip(server):
    with pytest.raises(http.client.HTTPException):
        started = time.monotonic()
        parts = urlsplit(server.url("drip_status_line"))
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=0.3)
        threading.Timer(1.0, lambda: connection.sock.shutdown(socket.SHUT_RDWR)).start()
        with contextlib.closing(connection):
            connection.request("GET", parts.path)
            connection.getresponse()
    assert time.monotonic() - started >= 1.0


def test_the_trailer_flood_comes_after_a_whole_body(server):
    received, _ = raw(server.url("trailer_flood"), 0.3)
    body = server.page("page").snapshot()[1]
    assert body + b"\r\n0\r\nX-Trailer: 1\r\nX-Trailer: 1\r\n" in received


def test_endpoints_below_http(server):
    assert sorted(ENDPOINTS) == ["backlog_full", "refuse", "tls_handshake_drip"]
    with pytest.raises(ConnectionRefusedError):
        connect(server.url("refuse"))
    with pytest.raises(socket.timeout):
        connect(server.url("backlog_full"), timeout=0.3)
    context = ssl.create_default_context()
    with connect(server.url("tls_handshake_drip"), timeout=0.4) as sock:
        with pytest.raises(socket.timeout):
            context.wrap_socket(sock, server_hostname="localhost")


def test_other_addresses_share_the_port(server):
    url = server.url("healthy", host="127.0.0.2")
    assert url == "http://127.0.0.2:%d/healthy" % server.port
    assert ask(url)[0] == 200
    assert server.requests[0].host == "127.0.0.2"


def test_one_connection_carries_many_requests(server):
    parts = urlsplit(server.url("healthy/a"))
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=5)
    with contextlib.closing(connection):
        for _ in range(3):
            connection.request("GET", parts.path, headers={"X-Mine": "yes"})
            connection.getresponse().read()
    assert len(server.connections) == 1
    assert [r.header("x-mine") for r in server.requests_of("a")] == ["yes"] * 3
    assert all(r.at <= r.answered_at for r in server.requests[:2])


def test_a_play_goes_through_its_steps_and_stays_at_the_last(server):
    server.play("a", ["healthy", "empty_200", lambda exchange: "status?code=502"])
    answers = [ask(server.url("play/a"))[0] for _ in range(4)]
    assert answers == [200, 200, 502, 502]
    tricks = [request.trick for request in server.requests_of("a")]
    assert tricks == ["healthy", "empty_200", "status", "status"]


def test_a_page_advances_and_knows_what_is_to_be_told(server):
    url, page = server.url("healthy/acme"), server.page("acme")
    first = json.loads(ask(url)[2])
    page.advance()
    page.advance()
    second = json.loads(ask(url)[2])
    assert first["incidents"] == []
    assert [u["status"] for u in second["incidents"][0]["incident_updates"]] == [
        "identified",
        "investigating",
    ]
    assert page.told == {
        ("acme-i0", "acme-i0-u0", "investigating"): 1,
        ("acme-i0", "acme-i0-u1", "identified"): 1,
        ("acme-c0", "operational", "partial_outage"): 1,
    }
    wait_for(lambda: page.deliveries == 1)


def test_every_version_of_a_page_shows_all_that_was_told_since():
    page = StatusPage("x")
    for _ in range(13):
        page.advance()
    document = page.document()
    assert [i["id"] for i in document["incidents"]] == ["x-i3", "x-i2"]
    assert document["incidents"][1]["status"] == "resolved"
    assert len(page.told) == 13 + 3  # outage, degraded, operational; then again


def test_validators(server):
    tag = ask(server.url("healthy/a"))[1]["ETag"]
    conditional = {"If-None-Match": tag}
    assert ask(server.url("healthy/a"), conditional)[0] == 304
    assert ask(server.url("picky?code=412"), conditional)[0] == 412
    assert ask(server.url("always_304"), {"If-None-Match": '"x"'})[0] == 304
    big = ask(server.url("huge_etag"))[1]["ETag"]
    assert len(big) == 60002
    assert ask(server.url("huge_etag"), {"If-None-Match": big})[0] == 400
    assert (
        ask(server.url("new_etag"))[1]["ETag"] != ask(server.url("new_etag"))[1]["ETag"]
    )
    server.page("s").advance()
    stuck = ask(server.url("stuck_etag/s"), {"If-None-Match": '"stuck"'})
    assert stuck[0] == 200 and stuck[1]["ETag"] == '"stuck"'


def test_apache_wants_a_list(server):
    tag = ask(server.url("apache_etag"))[1]["ETag"]
    assert tag == '"x0-gzip"'
    assert ask(server.url("apache_etag"), {"If-None-Match": tag})[0] == 200
    both = tag + ', "x0"'
    assert ask(server.url("apache_etag"), {"If-None-Match": both})[0] == 304


@pytest.mark.parametrize("form", RETRY_AFTER)
def test_every_form_of_retry_after_is_sent(server, form):
    status, headers, _ = ask(server.url("retry_after?code=429&form=" + form))
    assert status == 429 and "Retry-After" in headers


def test_redirects(server):
    elsewhere = server.url("redirect?code=308&to=gopher://x:1/%ff")
    assert ask(elsewhere)[1]["Location"].startswith("gopher://x:1/")
    hops, url = 0, server.url("redirect_chain/a?n=3")
    while True:
        status, headers, _ = ask(url)
        if status == 200:
            break
        url, hops = server.url(headers["Location"][1:]), hops + 1
    assert hops == 3 and urlsplit(url).path == "/healthy/a"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "gzip, gzip"])
def test_bombs_are_small_outside_and_large_inside(encoding):
    packed = bomb(encoding)
    assert len(packed) < 500_000
    if "," in encoding:
        packed = gzip.decompress(packed)
    unpacker = zlib.decompressobj(47)
    size = len(unpacker.decompress(packed, 10 << 20))
    assert size == 10 << 20 and unpacker.unconsumed_tail


def test_broken_bodies(server):
    status, headers, body = ask(server.url("truncated_gzip"))
    assert status == 200 and len(body) == int(headers["Content-Length"])
    with pytest.raises(EOFError):
        gzip.decompress(body)
    with pytest.raises(ValueError):
        json.loads(ask(server.url("truncated_json"))[2])
    for trick in ("short_length", "chunked_cut"):
        with pytest.raises(http.client.IncompleteRead):
            ask(server.url(trick))
    for trick in ("many_headers", "long_header", "http_09", "garbage"):
        with pytest.raises(http.client.HTTPException):
            ask(server.url(trick))
    with pytest.raises(ConnectionError):
        ask(server.url("empty_reply"))
    assert len(ask(server.url("two_lengths"))[1].get_all("Content-Length")) == 2


FLOODS = ["same_updates", "many_updates", "long_title", "many_names"]
WIDE = ["many_strings", "many_keys", "many_numbers", "many_incidents", "wide_json"]
LARGE = ["most_incidents", "most_components"]


@pytest.mark.parametrize("trick", FLOODS)
def test_a_flood_is_one_incident_of_a_good_page(server, trick):
    page = json.loads(ask(server.url(trick))[2])
    (incident,) = page["incidents"]
    assert incident["id"] == "page-flood" and page["page"]["id"] == "page-page"
    assert len(incident["incident_updates"]) >= 300


@pytest.mark.parametrize("trick", WIDE + LARGE)
def test_a_wide_page_is_good_json_below_the_cap(server, trick):
    body = ask(server.url(trick))[2]
    assert (500_000 if trick in LARGE else 3_900_000) < len(body) < 5_000_000
    assert json.loads(body)["page"]["id"] == "page-page"


def test_every_header_is_poisoned(server):
    received, ended = raw(server.url("hostile_headers"), 1)
    head = received.partition(b"\r\n\r\n")[0].split(b"\r\n")
    plain = (b"Content-Length", b"Connection")
    assert ended and len(head) == 12
    assert all(b"\x1b[31m" in row for row in head if not row.startswith(plain))


def test_an_odd_etag_must_come_back_as_it_is(server):
    url = server.url("odd_etag?form=v%25d-%C3%A9")
    tag = ask(url)[1]["ETag"]
    assert tag == "v0-\xe9"
    assert ask(url, {"If-None-Match": tag})[0] == 304
    assert ask(url, {"If-None-Match": '"%s"' % tag})[0] == 200


@pytest.mark.parametrize("trick", NOT_JSON)
def test_what_json_cannot_hold_stands_in_a_page(server, trick):
    body = ask(server.url(trick))[2]
    assert body.startswith(b'{"page": {"id": "page-page"') and body.endswith(b"}")


def test_xml_bombs_stay_below_the_cap_and_start_like_a_feed(server):
    for trick in [t for t in TRICKS if t.endswith("_xml")] + ["attlist_bomb"]:
        if not trick.startswith("truncated"):
            body = ask(server.url(trick))[2]
            assert len(body) < 5_000_000 and b"<feed " in body, trick


def test_titles_survive_the_way_into_json_and_xml(server):
    page = json.loads(ask(server.url("hostile_titles"))[2])
    assert [i["name"] for i in page["incidents"]] == HOSTILE_TITLES
    titles = [title for title in HOSTILE_TITLES if title.isprintable()]
    feed = atom_feed([(str(n), xml_text(t)) for n, t in enumerate(titles)])
    entries = xml.etree.ElementTree.fromstring(feed).findall("{*}entry/{*}title")
    assert [entry.text or "" for entry in entries] == titles


def test_tls(tmp_path):
    pytest.importorskip("trustme")
    context, pem = tls_authority()
    with FaultServer(context) as server:
        parts = urlsplit(server.url("healthy", scheme="https"))
        client = ssl.create_default_context(cadata=pem.decode())
        connection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=5, context=client
        )
        with contextlib.closing(connection):
            connection.request("GET", parts.path)
            assert connection.getresponse().status == 200


def test_a_trick_that_fails_is_not_passed_over_in_silence(monkeypatch):
    monkeypatch.setitem(TRICKS, "broken", lambda exchange: {}["a bug of ours"])
    with pytest.raises(RuntimeError, match="a bug of ours"):
        with FaultServer() as server:
            assert raw(server.url("broken"), 5) == (b"", True)


def test_it_ends_at_once_and_leaves_nothing_behind():
    before = threading.active_count()
    with FaultServer() as server:
        clients = [connect(server.url("drip_body")) for _ in range(10)]
        for client in clients:
            client.sendall(b"GET /drip_body HTTP/1.1\r\n\r\n")
        wait_for(lambda: len(server.requests) == 10)
        started = time.monotonic()
    assert time.monotonic() - started < 2
    assert threading.active_count() == before
    with pytest.raises(ConnectionRefusedError):
        connect("http://127.0.0.1:%d" % server.port)
    for client in clients:
        client.close()
