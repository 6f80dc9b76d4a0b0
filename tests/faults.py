#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A web server that does everything wrong on purpose: loopback, raw sockets, threads.

    with FaultServer() as server:
        get(server.url("drip_body"))
        get(server.url("retry_after/a?form=date&seconds=3", host="127.0.0.2"))
        server.play("acme", ["healthy", "empty_200", "healthy"])
        get(server.url("play/acme"))  # one step per request; the last one stays
        server.requests, server.connections  # what came, when, how long it lasted

A *trick* is one function of TRICKS, named by the first segment of the path; the second
names the page it belongs to, the query holds its options. An *endpoint* misbehaves
below HTTP, on a port of its own (ENDPOINTS: refuse, backlog_full, tls_handshake_drip).
Healthy pages are StatusPage objects, `server.page(name)`: they advance when told, and
know what a watcher must have reported. Needs POSIX (select.poll); addresses other than
127.0.0.1 need Linux. Run this file to look around with a browser or curl.
"""

from __future__ import annotations

import gzip
import json
import re
import select
import socket
import ssl
import threading
import time
import zlib
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    List,
    Optional,
    Sequence,
    Set,
    Tuple,
    Union,
)
from urllib.parse import parse_qsl, unquote, urlsplit

LOOPBACK = "127.0.0.1"
DRIP = 0.2  # seconds between two dripped bytes; any read timeout above it never fires
FLOOD = 0.05  # seconds between two pieces of a flood
HEAD_LIMIT = 1 << 20  # bytes of a request head we are willing to read
SEND_TIMEOUT = 60.0  # seconds a client may refuse to read before we give up on it
HANG_UP = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR

Headers = Iterable[Tuple[str, Union[str, bytes]]]
Step = Union[str, Callable[["Exchange"], str]]
Handler = Callable[["FaultServer", socket.socket, "Connection"], None]
Trick = Callable[["Exchange"], None]
Endpoint = Callable[["FaultServer", socket.socket], None]


class Gone(Exception):
    """The client hung up, or the server is closing."""


@dataclass
class Connection:
    """One accepted connection; the times are monotonic seconds."""

    host: str
    port: int
    opened_at: float
    closed_at: Optional[float] = None  # when either side ended it
    tls: bool = False


@dataclass
class Request:
    """One request as it came in; `answered_at` is when its trick was through."""

    connection: Connection
    method: str
    target: str
    headers: List[Tuple[str, str]]
    at: float
    answered_at: Optional[float] = None
    trick: str = ""  # the trick that answered, after `play` chose it
    status: Optional[int] = None  # what it answered, where the answer was well-formed

    @property
    def host(self) -> str:
        return self.connection.host

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    def header(self, name: str) -> Optional[str]:
        """The first value of that header, or None."""
        wanted = name.lower()
        return next((v for k, v in self.headers if k.lower() == wanted), None)


# --- Healthy pages: a valid Statuspage summary whose incidents advance. ---

STATUSES = ["investigating", "identified", "monitoring", "resolved"]
COMPONENT_STATUS = {"resolved": "operational", "monitoring": "degraded_performance"}
EPOCH = 1740355200  # 2025-02-24T00:00:00Z, the time of version 0


def rfc3339(minutes: int) -> str:
    moment = time.gmtime(EPOCH + 60 * minutes)
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", moment)


@dataclass
class StatusPage:
    """A Statuspage summary; an `advance` adds an update, every fourth a new incident.

    `told` counts what a watcher that saw all versions has to report of them:
    (incident id, update id, status) and (component id, status before, status).
    """

    name: str
    version: int = 0
    told: Counter = field(default_factory=Counter)  # type: ignore[type-arg]
    deliveries: int = 0  # of the present version: whole bodies and 304s
    lock: Any = field(default_factory=threading.Lock, repr=False)

    def advance(self) -> None:
        """Next version: what happens in it is now to be told."""
        with self.lock:
            before = self.component_status()
            self.version += 1
            self.deliveries = 0
            number, step = divmod(self.version - 1, len(STATUSES))
            incident = "%s-i%d" % (self.name, number)
            self.told[(incident, "%s-u%d" % (incident, step), STATUSES[step])] += 1
            after = self.component_status()
            if before != after:
                self.told[(self.name + "-c0", before, after)] += 1

    def component_status(self) -> str:
        if not self.version:
            return "operational"
        status = STATUSES[(self.version - 1) % len(STATUSES)]
        return COMPONENT_STATUS.get(status, "partial_outage")

    def document(self) -> Dict[str, Any]:
        """The summary of this version: the latest two incidents, newest first."""
        newest = (self.version - 1) // len(STATUSES)
        numbers = range(newest, max(newest - 2, -1), -1)
        states = [self.component_status(), "operational"]
        return {
            "page": {
                "id": "page-" + self.name,
                "name": self.name,
                "url": "http://%s.test" % self.name,
                "time_zone": "Etc/UTC",
                "updated_at": rfc3339(self.version),
            },
            "status": {"indicator": "minor", "description": "Minor Outage"},
            "components": [self.component(n, s) for n, s in enumerate(states)],
            "incidents": [self.incident(number) for number in numbers],
            "scheduled_maintenances": [],
        }

    def component(self, number: int, status: str) -> Dict[str, Any]:
        return {
            "id": "%s-c%d" % (self.name, number),
            "name": "Component %d of %s" % (number, self.name),
            "status": status,
            "group": False,
            "group_id": None,
            "position": number,
            "created_at": rfc3339(0),
            "updated_at": rfc3339(self.version),
            "page_id": "page-" + self.name,
        }

    def incident(self, number: int) -> Dict[str, Any]:
        first = number * len(STATUSES) + 1
        steps = range(min(self.version - first + 1, len(STATUSES)) - 1, -1, -1)
        incident = "%s-i%d" % (self.name, number)
        updates = [
            {
                "id": "%s-u%d" % (incident, step),
                "incident_id": incident,
                "status": STATUSES[step],
                "body": "Step %d of incident %d." % (step, number),
                "created_at": rfc3339(first + step),
                "updated_at": rfc3339(first + step),
                "display_at": rfc3339(first + step),
                "affected_components": None,
            }
            for step in steps
        ]
        return {
            "id": incident,
            "name": "Incident %d of %s" % (number, self.name),
            "status": STATUSES[steps[0]],
            "impact": "minor",
            "shortlink": "http://stspg.test/" + incident,
            "created_at": rfc3339(first),
            "updated_at": rfc3339(first + steps[0]),
            "started_at": rfc3339(first),
            "page_id": "page-" + self.name,
            "components": [self.component(0, "degraded_performance")],
            "incident_updates": updates,
        }

    def snapshot(self) -> Tuple[int, bytes, str]:
        """(version, body, ETag), all of the same moment."""
        with self.lock:
            version, document = self.version, self.document()
        return version, json.dumps(document).encode(), '"v%d"' % version

    def delivered(self, version: int) -> None:
        with self.lock:
            self.deliveries += self.version == version


# --- The server: listeners, connections, and what a trick has in its hands. ---


@dataclass
class Exchange:
    """One request being answered."""

    server: "FaultServer"
    sock: socket.socket
    request: Request
    trick: str = ""
    name: str = "page"
    query: Dict[str, str] = field(default_factory=dict)
    reusable: bool = False  # a well-formed answer was given: the connection lives on

    @property
    def page(self) -> StatusPage:
        return self.server.page(self.name)

    @property
    def authority(self) -> str:
        """host:port this request came to."""
        host = self.request.host
        host = "[%s]" % host if ":" in host else host
        return "%s:%d" % (host, self.request.connection.port)

    def route(self, step: str) -> None:
        """Take trick, page name and options from `trick[/name][?options]`."""
        parts = urlsplit("/" + step.lstrip("/"))
        segments = [unquote(part) for part in parts.path.split("/")[1:]]
        self.trick = segments[0]
        if len(segments) > 1 and segments[1]:
            self.name = segments[1]
        self.query = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.request.trick = self.trick

    def send(self, chunk: bytes) -> None:
        self.sock.sendall(chunk)

    def pause(self, seconds: float) -> None:
        """Wait, but no longer than the client stays."""
        poller = select.poll()
        poller.register(self.sock, HANG_UP)
        if poller.poll(int(seconds * 1000)) or self.server.closing.is_set():
            raise Gone

    def hold(self) -> None:
        """Wait until the client has had enough."""
        while True:
            self.pause(30)

    def head(self, status: int, headers: Headers = ()) -> None:
        """Send a status line and exactly these headers."""
        self.send(head_bytes(status, headers))

    def respond(
        self,
        status: int = 200,
        body: bytes = b"",
        content_type: str = "application/json",
        headers: Headers = (),
    ) -> None:
        """A well-formed answer; `headers` replace the usual ones of the same name."""
        extra = list(headers)
        given = {name.lower() for name, _ in extra}
        usual = [("Date", formatdate(usegmt=True)), ("Content-Type", content_type)]
        if status not in (204, 304):
            usual.append(("Content-Length", str(len(body))))
        usual = [pair for pair in usual if pair[0].lower() not in given]
        self.request.status = status
        self.send(head_bytes(status, [*usual, *extra]) + body)
        self.reusable = True

    def healthy(self, headers: Headers = (), etag: bool = True) -> None:
        """The page as it is, conditionally if asked and allowed."""
        version, body, tag = self.page.snapshot()
        validators = [("ETag", tag)] if etag else []
        if etag and tag in (self.request.header("If-None-Match") or ""):
            self.respond(304, headers=[*validators, *headers])
        else:
            self.respond(200, body, headers=[*validators, *headers])
        self.page.delivered(version)


def head_bytes(status: int, headers: Headers) -> bytes:
    """Status line and headers; their values go out as the bytes they are."""
    lines = [b"HTTP/1.1 %d Reason" % status]
    for name, value in headers:
        value = value if isinstance(value, bytes) else value.encode("latin-1")
        lines.append(name.encode("latin-1") + b": " + value)
    return b"\r\n".join(lines) + b"\r\n\r\n"


class FaultServer:
    """Listens on loopback until its `with` block ends; threads and sockets go too."""

    def __init__(self, context: Optional[ssl.SSLContext] = None) -> None:
        self.context = context  # for https URLs, see `tls_authority`
        self.requests: List[Request] = []
        self.connections: List[Connection] = []
        self.documents: Dict[str, Tuple[bytes, str]] = {}
        self.errors: List[str] = []  # of tricks; a test that had any tested nothing
        self.closing = threading.Event()
        self.port = 0  # the same on every address, where it is free there
        self._pages: Dict[str, StatusPage] = {}
        self._plays: Dict[str, Tuple[Sequence[Step], List[int]]] = {}
        self._listeners: Dict[Tuple[str, bool], socket.socket] = {}
        self._endpoints: Dict[Tuple[str, str], int] = {}
        self._sockets: Set[socket.socket] = set()
        self._threads: List[threading.Thread] = []
        self._lock = threading.RLock()

    def __enter__(self) -> "FaultServer":
        self.listen(LOOPBACK)
        return self

    def __exit__(self, *exc_info: object) -> None:
        with self._lock:
            self.closing.set()
            sockets = list(self._sockets)
        for sock in sockets:  # wakes whoever blocks on it
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(timeout=5)
        for sock in sockets:
            sock.close()
        if self.errors and not any(exc_info):
            raise RuntimeError("the fault server failed: " + self.errors[0])

    # what a test asks for

    def url(self, trick: str, host: str = LOOPBACK, scheme: str = "http") -> str:
        """The address of a trick (`name[/page][?options]`) or of an endpoint."""
        if trick in ENDPOINTS:
            port = self.endpoint(trick, host)
            scheme = "https" if trick.startswith("tls") else scheme
            return "%s://%s:%d/%s" % (scheme, host, port, trick)
        port = self.listen(host, tls=scheme == "https")
        host = "[%s]" % host if ":" in host else host
        return "%s://%s:%d/%s" % (scheme, host, port, trick)

    def page(self, name: str) -> StatusPage:
        with self._lock:
            return self._pages.setdefault(name, StatusPage(name))

    def play(self, name: str, steps: Union[Step, Sequence[Step]]) -> None:
        """Answer `play/NAME` with one step per request; the last one stays.

        A step is a trick, or a function of the exchange that names one."""
        steps = [steps] if isinstance(steps, str) or callable(steps) else steps
        self._plays[name] = (steps, [0])

    def step(self, exchange: Exchange) -> str:
        steps, count = self._plays[exchange.name]
        with self._lock:
            step = steps[min(count[0], len(steps) - 1)]
            count[0] += 1
        return step(exchange) if callable(step) else step

    def requests_of(self, name: str) -> List[Request]:
        """The requests whose path has this segment, in order of arrival."""
        return [r for r in list(self.requests) if name in r.path.split("/")]

    # listeners

    def listen(self, host: str, tls: bool = False) -> int:
        """Make sure somebody listens on that address; return the port."""
        with self._lock:
            if (host, tls) not in self._listeners:
                listener = self._bind(host, 0 if tls else self.port)
                self._listeners[host, tls] = listener
                if not tls:
                    self.port = self.port or listener.getsockname()[1]
                self.accept(listener, serve_http, tls)
            return int(self._listeners[host, tls].getsockname()[1])

    def endpoint(self, trick: str, host: str = LOOPBACK, port: int = 0) -> int:
        """Set up an endpoint once per address; return its port."""
        with self._lock:
            if (trick, host) not in self._endpoints:
                listener = self._bind(host, port)
                self._endpoints[trick, host] = int(listener.getsockname()[1])
                ENDPOINTS[trick](self, listener)
            return self._endpoints[trick, host]

    def plug(self, listener: socket.socket) -> None:
        """Take a place in a backlog, and keep it."""
        plug = socket.socket(listener.family, socket.SOCK_STREAM)
        self._sockets.add(plug)
        plug.setblocking(False)
        plug.connect_ex(listener.getsockname())

    def _bind(self, host: str, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.settimeout(0.5)  # where shutdown does not wake an accept
        self._sockets.add(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError:
            sock.bind((host, 0))  # taken on this address: any other port will do
        return sock

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True, name="faults")
        with self._lock:
            if len(self._threads) > 1000:
                self._threads = [t for t in self._threads if t.is_alive()]
            thread.start()
            self._threads.append(thread)

    def accept(
        self, listener: socket.socket, handler: Handler, tls: bool = False
    ) -> None:
        """Start to take connections; each is handled in a thread of its own."""
        listener.listen(512)
        self._start(self._accept, listener, handler, tls)

    def _accept(self, listener: socket.socket, handler: Handler, tls: bool) -> None:
        host, port = listener.getsockname()[:2]
        while not self.closing.is_set():
            try:
                sock = listener.accept()[0]
            except socket.timeout:
                continue
            except OSError:
                return
            connection = Connection(host, port, time.monotonic(), tls=tls)
            self.connections.append(connection)
            self._start(self._converse, sock, connection, handler)

    def _converse(
        self, sock: socket.socket, connection: Connection, handler: Handler
    ) -> None:
        """Hand one connection to its handler; whatever happens, it is closed after."""
        try:
            sock.settimeout(SEND_TIMEOUT)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if connection.tls:
                assert self.context is not None, "https needs FaultServer(context)"
                sock = self.context.wrap_socket(sock, server_side=True)
            with self._lock:
                self._sockets.add(sock)
            if not self.closing.is_set():
                handler(self, sock, connection)
        except (Gone, OSError):
            pass  # the client had enough: that is what we are for
        except Exception as exc:  # ours: what is tested now is another trick
            self.errors.append(repr(exc))
        finally:
            connection.closed_at = time.monotonic()
            with self._lock:
                self._sockets.discard(sock)
            sock.close()


def serve_http(server: FaultServer, sock: socket.socket, conn: Connection) -> None:
    """Answer requests until one of them ends the connection."""
    pending = b""
    while True:
        request, pending = _read_request(sock, pending, conn)
        server.requests.append(request)
        exchange = Exchange(server, sock, request)
        exchange.route(request.target)
        TRICKS.get(exchange.trick, not_found)(exchange)
        request.answered_at = time.monotonic()
        if not exchange.reusable or request.header("Connection") == "close":
            return


def _read_request(
    sock: socket.socket, pending: bytes, connection: Connection
) -> Tuple[Request, bytes]:
    """The next request (we know no bodies) and what came after it."""
    while b"\r\n\r\n" not in pending:
        chunk = sock.recv(65536)
        if not chunk or len(pending) > HEAD_LIMIT:
            raise Gone
        pending += chunk
    head, pending = pending.split(b"\r\n\r\n", 1)
    lines = head.decode("latin-1").split("\r\n")
    method, target = (lines[0].split(" ") + ["/"])[:2]
    headers = [tuple(line.split(":", 1)) for line in lines[1:] if ":" in line]
    fields = [(name, value.strip()) for name, value in headers]
    return Request(connection, method, target, fields, time.monotonic()), pending


# --- Tricks: one function each, in the order slow, big, elsewhere, broken, hostile. ---

TRICKS: Dict[str, Trick] = {}
ENDPOINTS: Dict[str, Endpoint] = {}


def trick(function: Trick) -> Trick:
    TRICKS[function.__name__] = function
    return function


def endpoint(function: Endpoint) -> Endpoint:
    ENDPOINTS[function.__name__] = function
    return function


@trick
def healthy(exchange: Exchange) -> None:
    """The page, with an ETag (`?etag=` for none)."""
    exchange.healthy(etag=bool(exchange.query.get("etag", "yes")))


@trick
def play(exchange: Exchange) -> None:
    """Whatever `server.play` put on for this name."""
    exchange.route(exchange.server.step(exchange))
    TRICKS[exchange.trick](exchange)


@trick
def document(exchange: Exchange) -> None:
    """The bytes put into `server.documents` under this name."""
    body, content_type = exchange.server.documents[exchange.name]
    exchange.respond(200, body, content_type)


@trick
def status(exchange: Exchange) -> None:
    """`?code=` and an HTML body, as a proxy that is out of its depth would."""
    exchange.respond(int(exchange.query["code"]), HTML_PAGE, "text/html")


@trick
def forbidden(exchange: Exchange) -> None:
    """A good page nobody may come to: tests count the requests that did."""
    exchange.healthy()


# slow: each outlasts any client that has no total deadline


@trick
def drip_body(exchange: Exchange) -> None:
    exchange.head(200, [("Content-Type", "text/xml"), ("Content-Length", "1000000")])
    while True:
        exchange.send(b" ")
        exchange.pause(DRIP)


@trick
def drip_gzip(exchange: Exchange) -> None:
    """A body that yields nothing: an endless gzip header, one byte at a time."""
    exchange.head(200, [("Content-Encoding", "gzip"), ("Connection", "close")])
    exchange.send(b"\x1f\x8b\x08\x08\0\0\0\0\0\x03")
    while True:
        exchange.send(b"n")
        exchange.pause(DRIP)


@trick
def drip_headers(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        exchange.send(b"s")
        exchange.pause(DRIP)


@trick
def drip_status_line(exchange: Exchange) -> None:
    for byte in b"HTTP/1.1 200 " + b"O" * 10000:
        exchange.send(bytes([byte]))
        exchange.pause(DRIP)


@trick
def drip_chunk_size(exchange: Exchange) -> None:
    exchange.head(200, [("Transfer-Encoding", "chunked")])
    while True:
        exchange.send(b"0")
        exchange.pause(DRIP)


@trick
def hundred_continue_flood(exchange: Exchange) -> None:
    while True:
        exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        exchange.pause(FLOOD)


@trick
def trailer_flood(exchange: Exchange) -> None:
    """A whole body, then trailers for ever: bare clients end with "200 OK"."""
    body = exchange.page.snapshot()[1]
    exchange.head(200, [("Transfer-Encoding", "chunked")])
    exchange.send(b"%x\r\n%s\r\n0\r\n" % (len(body), body))
    while True:
        exchange.send(b"X-Trailer: 1\r\n")
        exchange.pause(FLOOD)


@trick
def endless_redirect_body(exchange: Exchange) -> None:
    """302 with a body that never ends, as fast as the client takes it."""
    location = "http://%s/endless_redirect_body/next" % exchange.authority
    exchange.head(302, [("Location", location), ("Transfer-Encoding", "chunked")])
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    while True:
        exchange.send(chunk)


@trick
def drip_redirect_body(exchange: Exchange) -> None:
    location = "http://%s/drip_redirect_body" % exchange.authority
    exchange.head(302, [("Location", location), ("Content-Length", "1000000")])
    while True:
        exchange.send(b"x")
        exchange.pause(DRIP)


@trick
def slow_redirects(exchange: Exchange) -> None:
    """Each hop takes `?seconds=` (0.9) and leads to the next."""
    exchange.pause(float(exchange.query.get("seconds", "0.9")))
    exchange.respond(302, headers=[("Location", exchange.request.target)])


@trick
def no_fin(exchange: Exchange) -> None:
    """A whole good body without a length, and then nothing: not even the end."""
    exchange.head(200, [("Content-Type", "application/json")])
    exchange.send(exchange.page.snapshot()[1])
    exchange.hold()


@trick
def accept_and_hang(exchange: Exchange) -> None:
    exchange.hold()


@trick
def stalled_body(exchange: Exchange) -> None:
    """Headers and half a body, then silence."""
    body = exchange.page.snapshot()[1]
    exchange.head(200, [("Content-Length", str(len(body)))])
    exchange.send(body[: len(body) // 2])
    exchange.hold()


@endpoint
def tls_handshake_drip(server: FaultServer, listener: socket.socket) -> None:
    """Accepts, and answers the ClientHello with a record that never gets complete."""

    def drip(server: FaultServer, sock: socket.socket, connection: Connection) -> None:
        exchange = Exchange(server, sock, Request(connection, "", "/", [], 0.0))
        exchange.send(b"\x16\x03\x03\x3f\xff\x02")
        while True:
            exchange.send(b"\0")
            exchange.pause(DRIP)

    server.accept(listener, drip)


@endpoint
def refuse(server: FaultServer, listener: socket.socket) -> None:
    """Bound but not listening: connection refused, and nobody else gets the port."""


@endpoint
def backlog_full(server: FaultServer, listener: socket.socket) -> None:
    """A dead address: the backlog is full, so SYNs are dropped (Linux)."""
    listener.listen(0)
    for _ in range(4):
        server.plug(listener)


# big: memory is what they are after

BOMB_SIZE = 400 << 20  # decoded bytes; about 400 KB on the wire


def gzip_zeros(size: int, wbits: int = 31) -> bytes:
    """`size` zero bytes compressed, without ever holding them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    block = bytes(1 << 20)
    pieces = [packer.compress(block) for _ in range(size >> 20)]
    return b"".join(pieces) + packer.flush()


_bombs: Dict[str, bytes] = {}


def bomb(encoding: str) -> bytes:
    """The bomb for that Content-Encoding, made once."""
    if encoding not in _bombs:
        zeros = gzip_zeros(BOMB_SIZE, 15 if encoding == "deflate" else 31)
        _bombs[encoding] = gzip.compress(zeros) if "," in encoding else zeros
    return _bombs[encoding]


@trick
def gzip_bomb(exchange: Exchange) -> None:
    """400 MB of zeros as `?encoding=gzip` (deflate; "gzip, gzip")."""
    encoding = exchange.query.get("encoding", "gzip")
    exchange.respond(200, bomb(encoding), headers=[("Content-Encoding", encoding)])


@trick
def gzip_bomb_redirect(exchange: Exchange) -> None:
    location = ("Location", "/healthy/after-the-bomb")
    exchange.respond(
        302, bomb("gzip"), headers=[("Content-Encoding", "gzip"), location]
    )


@trick
def gzip_bomb_error(exchange: Exchange) -> None:
    exchange.respond(500, bomb("gzip"), headers=[("Content-Encoding", "gzip")])


@trick
def endless_body(exchange: Exchange) -> None:
    exchange.head(200, [("Content-Type", "application/json")])
    chunk = b" " * 65536
    while True:
        exchange.send(chunk)


@trick
def endless_error_body(exchange: Exchange) -> None:
    exchange.head(500, [("Content-Type", "text/html")])
    chunk = b"x" * 65536
    while True:
        exchange.send(chunk)


@trick
def endless_headers(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        exchange.send(b"X-More: " + b"x" * 60000 + b"\r\n")


@trick
def endless_line(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 ")
    while True:
        exchange.send(b"x" * 65536)


@trick
def big_json(exchange: Exchange) -> None:
    """60 MB of valid JSON with an honest Content-Length."""
    item = b'{"id": "x", "name": "filler"},' * 1000
    count = (60 << 20) // len(item) + 1
    head, tail = b'{"page": {"id": "big"}, "incidents": [', b"{}]}"
    length = len(head) + count * len(item) + len(tail)
    exchange.head(200, [("Content-Length", str(length))])
    exchange.send(head)
    for _ in range(count):
        exchange.send(item)
    exchange.send(tail)


# elsewhere: redirects


@trick
def redirect(exchange: Exchange) -> None:
    """`?code=` (302) to `?to=`, wherever that is."""
    code = int(exchange.query.get("code", "302"))
    target = exchange.query["to"].encode("utf-8", "surrogateescape")
    exchange.respond(code, headers=[("Location", target)])


@trick
def redirect_loop(exchange: Exchange) -> None:
    exchange.respond(302, headers=[("Location", "/redirect_loop/" + exchange.name)])


@trick
def redirect_chain(exchange: Exchange) -> None:
    """`?n=` hops, then the healthy page."""
    left = int(exchange.query.get("n", "5")) - 1
    step = "redirect_chain/%s?n=%d" % (exchange.name, left)
    target = step if left else "healthy/" + exchange.name
    exchange.respond(302, headers=[("Location", "/" + target)])


@trick
def redirect_nowhere(exchange: Exchange) -> None:
    """302 without a Location."""
    exchange.respond(302, HTML_PAGE, "text/html")


@trick
def moved(exchange: Exchange) -> None:
    """`?code=301` (or 308): the page moved for good to /healthy/NAME."""
    code = int(exchange.query.get("code", "301"))
    exchange.respond(code, headers=[("Location", "/healthy/" + exchange.name)])


# broken: none of these may be taken for "all is well"

HTML_PAGE = (
    b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>"
    b"<form action=/login><input name=user></form>"
    b"<p>All systems operational</p></body></html>"
)


@trick
def truncated_gzip(exchange: Exchange) -> None:
    """Half of a gzip stream with the right Content-Length: "200 OK", silently short."""
    body = gzip.compress(exchange.page.snapshot()[1])
    half = body[: len(body) // 2]
    exchange.respond(200, half, headers=[("Content-Encoding", "gzip")])


@trick
def not_gzip(exchange: Exchange) -> None:
    body = exchange.page.snapshot()[1]
    exchange.respond(200, body, headers=[("Content-Encoding", "gzip")])


@trick
def truncated_json(exchange: Exchange) -> None:
    body = exchange.page.snapshot()[1]
    exchange.respond(200, body[: len(body) // 2])


@trick
def truncated_xml(exchange: Exchange) -> None:
    body = atom_feed([("one", "One"), ("two", "Two")])
    exchange.respond(200, body[: len(body) * 2 // 3], "application/atom+xml")


@trick
def short_length(exchange: Exchange) -> None:
    """Content-Length says more than comes."""
    exchange.head(200, [("Content-Length", "100000")])
    exchange.send(exchange.page.snapshot()[1])


@trick
def long_length(exchange: Exchange) -> None:
    """Content-Length says less than comes."""
    exchange.head(200, [("Content-Length", "100"), ("Connection", "close")])
    exchange.send(exchange.page.snapshot()[1])


@trick
def chunked_cut(exchange: Exchange) -> None:
    body = exchange.page.snapshot()[1]
    exchange.head(200, [("Transfer-Encoding", "chunked")])
    exchange.send(b"%x\r\n%s\r\n" % (len(body), body))  # and no last chunk


@trick
def bad_chunk_size(exchange: Exchange) -> None:
    exchange.head(200, [("Transfer-Encoding", "chunked")])
    exchange.send(b"zz\r\n" + exchange.page.snapshot()[1])


@trick
def no_content(exchange: Exchange) -> None:
    exchange.respond(204)


@trick
def partial(exchange: Exchange) -> None:
    """206 nobody asked for, with a part that is valid JSON by itself."""
    body = b'{"incidents": [], "components": []}'
    exchange.respond(206, body, headers=[("Content-Range", "bytes 0-34/9999")])


@trick
def empty_200(exchange: Exchange) -> None:
    exchange.respond(200)


@trick
def unasked_304(exchange: Exchange) -> None:
    exchange.respond(304)


@trick
def html_login(exchange: Exchange) -> None:
    exchange.respond(200, HTML_PAGE, "text/html; charset=utf-8")


@trick
def html_as_json(exchange: Exchange) -> None:
    exchange.respond(200, HTML_PAGE, "application/json")


@trick
def json_value(exchange: Exchange) -> None:
    """`?body=`: a JSON document that is no status page, {"status":500} by default."""
    body = exchange.query.get("body", '{"status":500,"error":"Internal Server Error"}')
    exchange.respond(200, body.encode())


@trick
def status_999(exchange: Exchange) -> None:
    exchange.respond(999, exchange.page.snapshot()[1])


@trick
def status_error_with_page(exchange: Exchange) -> None:
    """`?code=` (500) around a page without incidents."""
    body = json.dumps({**exchange.page.document(), "incidents": []}).encode()
    exchange.respond(int(exchange.query.get("code", "500")), body)


@trick
def two_lengths(exchange: Exchange) -> None:
    body = exchange.page.snapshot()[1]
    exchange.head(200, [("Content-Length", str(len(body))), ("Content-Length", "7")])
    exchange.send(body)


@trick
def many_headers(exchange: Exchange) -> None:
    """101 headers and a good page: one more than http.client reads."""
    exchange.head(200, [("X-%d" % n, "x") for n in range(101)])
    exchange.send(exchange.page.snapshot()[1])


@trick
def long_header(exchange: Exchange) -> None:
    exchange.head(200, [("X-Long", "x" * 70000)])
    exchange.send(exchange.page.snapshot()[1])


@trick
def http_09(exchange: Exchange) -> None:
    """Only a body, as in 1991."""
    exchange.send(exchange.page.snapshot()[1])


@trick
def garbage(exchange: Exchange) -> None:
    exchange.send(bytes(range(256)) * 40)


@trick
def empty_reply(exchange: Exchange) -> None:
    """The connection ends without a byte."""


@trick
def reset(exchange: Exchange) -> None:
    """RST instead of an answer."""
    linger = b"\x01\0\0\0\0\0\0\0"
    exchange.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


@trick
def wrong_tenant(exchange: Exchange) -> None:
    """Another customer's page: healthy, and nothing of ours in it."""
    body = StatusPage("somebody-else").snapshot()[1]
    exchange.respond(200, body)


@trick
def bad_charset(exchange: Exchange) -> None:
    body = exchange.page.snapshot()[1].replace(b"Component", b"\xff\xfe\xc3(")
    exchange.respond(200, body, "application/json; charset=no-such-charset")


@trick
def not_found(exchange: Exchange) -> None:
    exchange.respond(404, HTML_PAGE, "text/html")


@trick
def gone(exchange: Exchange) -> None:
    exchange.respond(410, HTML_PAGE, "text/html")


# validators


@trick
def huge_etag(exchange: Exchange) -> None:
    """A good page with a 60 KB ETag; sent back it would earn 400 (see picky)."""
    big = '"%s"' % ("e" * int(exchange.query.get("size", "60000")))
    if len(exchange.request.header("If-None-Match") or "") > 8192:
        exchange.respond(400, HTML_PAGE, "text/html")
    else:
        exchange.healthy(headers=[("ETag", big)], etag=False)


@trick
def control_etag(exchange: Exchange) -> None:
    tag = b'"\x1b[31m\x9b\x01\x7fred"'
    exchange.healthy(headers=[("ETag", tag)], etag=False)


@trick
def picky(exchange: Exchange) -> None:
    """Refuses every conditional request with `?code=` (400, 412, 431)."""
    if exchange.request.header("If-None-Match"):
        code = int(exchange.query.get("code", "400"))
        exchange.respond(code, HTML_PAGE, "text/html")
    else:
        exchange.healthy()


@trick
def always_304(exchange: Exchange) -> None:
    """304 to whoever shows any validator; only the unconditional see the page."""
    conditional = ("If-None-Match", "If-Modified-Since")
    if any(exchange.request.header(name) for name in conditional):
        exchange.respond(304)
    else:
        exchange.healthy(headers=[("ETag", '"stuck"')], etag=False)


@trick
def stuck_etag(exchange: Exchange) -> None:
    """Always 200 and always the same ETag, whatever the body says."""
    exchange.healthy(headers=[("ETag", '"stuck"')], etag=False)


@trick
def new_etag(exchange: Exchange) -> None:
    """A new ETag for each answer, whatever the body says."""
    tag = '"%d"' % time.monotonic_ns()
    exchange.healthy(headers=[("ETag", tag)], etag=False)


@trick
def weak_etag(exchange: Exchange) -> None:
    """A weak ETag that must come back byte for byte."""
    version = exchange.page.version
    tag = 'W/"w%d"' % version
    if exchange.request.header("If-None-Match") == tag:
        exchange.respond(304, headers=[("ETag", tag)])
        exchange.page.delivered(version)
    else:
        exchange.healthy(headers=[("ETag", tag)], etag=False)


@trick
def apache_etag(exchange: Exchange) -> None:
    """mod_deflate: sends "x-gzip", but compares what comes back with "x"."""
    version, body, _ = exchange.page.snapshot()
    asked = [
        tag.strip()
        for tag in (exchange.request.header("If-None-Match") or "").split(",")
    ]
    if '"x%d"' % version in asked:
        exchange.respond(304, headers=[("ETag", '"x%d"' % version)])
    else:
        fields = [("ETag", '"x%d-gzip"' % version), ("Content-Encoding", "gzip")]
        exchange.respond(200, gzip.compress(body, mtime=0), headers=fields)
    exchange.page.delivered(version)


@trick
def odd_etag(exchange: Exchange) -> None:
    """The version in `?form=`, as an ETag that is none; it must come back as it is."""
    version = exchange.page.version
    tag = exchange.query["form"] % version
    if exchange.request.header("If-None-Match") == tag:
        exchange.respond(304)
        exchange.page.delivered(version)
    else:
        exchange.healthy(headers=[("ETag", tag)], etag=False)


@trick
def hostile_headers(exchange: Exchange) -> None:
    """`?status=` (200): each header that a client may read drives a terminal."""
    poison = b"\x1b[31m\x9b2J\x07 \xc2\x9b31m \xe2\x80\xae"
    names = "Content-Type Cache-Control Age Date ETag Last-Modified Content-Encoding"
    body, location = exchange.page.snapshot()[1], b"http://127.0.0.1:1/" + poison
    values: List[Tuple[str, Union[str, bytes]]]
    values = [(name, b"x; charset=" + poison) for name in names.split()]
    values += [("Location", location), ("Retry-After", b"1" + poison)]
    values += [("Content-Length", b"%d" % len(body)), ("Connection", "close")]
    head = head_bytes(int(exchange.query.get("status", "200")), values)
    exchange.send(head.replace(b"Reason", b"R" + poison, 1) + body)


@trick
def set_cookie(exchange: Exchange) -> None:
    cookie = ("Set-Cookie", "session=follow-me; Path=/")
    exchange.healthy(headers=[cookie])


# politeness


RETRY_AFTER: Dict[str, Callable[[int, float], str]] = {
    "seconds": lambda seconds, now: str(seconds),
    "date": lambda seconds, now: formatdate(now + seconds, usegmt=True),
    "skewed": lambda seconds, now: formatdate(now - 86400 + seconds, usegmt=True),
    "past": lambda seconds, now: formatdate(now - 86400, usegmt=True),
    "negative": lambda seconds, now: "-%d" % seconds,
    "plus": lambda seconds, now: "+%d" % seconds,
    "float": lambda seconds, now: "%d.5" % seconds,
    "underscore": lambda seconds, now: "1_0",
    "arabic": lambda seconds, now: "\u0663",
    "superscript": lambda seconds, now: "\u00b3",
    "huge": lambda seconds, now: "9" * 25,
    "very_huge": lambda seconds, now: "9" * 5000,
    "garbage": lambda seconds, now: "soon\u009b, maybe",
    "empty": lambda seconds, now: "",
    "huge_date": lambda seconds, now: "Fri, 31 Dec 9999 23:59:59 GMT",
    "far_date": lambda seconds, now: "Fri, 31 Dec 99999999999 23:59:59 GMT",
    "bad_date": lambda seconds, now: "Fri, 99 Foo 2025 25:61:61 GMT",
    "naive_date": lambda seconds, now: formatdate(now + seconds)[:-6],
}  # form -> the header's value; "skewed" goes with a Date a day behind


@trick
def retry_after(exchange: Exchange) -> None:
    """`?code=` (503); Retry-After of `?seconds=` in one `?form=` of RETRY_AFTER."""
    query, now = exchange.query, time.time()
    headers: List[Tuple[str, Union[str, bytes]]] = []
    form = query.get("form")
    if form is not None:
        value = RETRY_AFTER[form](int(query.get("seconds", "3")), now)
        date = formatdate(now - 86400 if form == "skewed" else now, usegmt=True)
        headers = [("Date", date), ("Retry-After", value.encode("utf-8"))]
    exchange.respond(int(query.get("code", "503")), b"busy", "text/plain", headers)


@trick
def max_age(exchange: Exchange) -> None:
    """The page, fresh for `?seconds=`."""
    value = exchange.query.get("value", "max-age=" + exchange.query.get("seconds", "3"))
    exchange.healthy(headers=[("Cache-Control", "public, " + value)])


# hostile documents


def atom_feed(
    entries: Iterable[Tuple[str, str]],
    prologue: str = "",
    attributes: str = "",
    text: str = "Something broke.",
) -> bytes:
    """A Statuspage history.atom; the entries are (id, escaped title)."""
    items = [
        "<entry><id>tag:status.test,2005:Incident/%s</id>"
        "<published>%s</published><updated>%s</updated>"
        '<link rel="alternate" href="http://status.test/incidents/%s"/>'
        '<title>%s</title><content type="html">&lt;p&gt;&lt;small&gt;'
        "Feb &lt;var data-var='date'&gt;24&lt;/var&gt;, "
        "&lt;var data-var='time'&gt;14:32&lt;/var&gt; UTC&lt;/small&gt;&lt;br&gt;"
        "&lt;strong&gt;Investigating&lt;/strong&gt; - %s"
        "&lt;/p&gt;</content></entry>" % (key, rfc3339(0), rfc3339(0), key, title, text)
        for key, title in entries
    ]
    head = (
        '<?xml version="1.0" encoding="UTF-8"?>%s'
        '<feed xml:lang="en-US" xmlns="http://www.w3.org/2005/Atom"%s>'
        "<id>tag:status.test,2005:/history</id>"
        '<link rel="alternate" type="text/html" href="http://status.test"/>'
        "<title>Status - Incident History</title><updated>%s</updated>"
        % (prologue, attributes, rfc3339(0))
    )
    return (head + "".join(items) + "</feed>").encode("utf-8")


def xml_document(make: Callable[[], bytes]) -> Callable[[], bytes]:
    """Register a trick that serves this document, made once, when first wanted."""
    name = make.__name__

    def serve(exchange: Exchange) -> None:
        body = _bombs.get(name) or _bombs.setdefault(name, make())
        exchange.respond(200, body, "application/atom+xml; charset=utf-8")

    TRICKS[name] = serve
    return make


@xml_document
def entity_bomb() -> bytes:
    """Billion laughs."""
    levels = ["&l%d;" % (n - 1) * 10 for n in range(1, 10)]
    lines = ['<!ENTITY l%d "%s">' % (n + 1, text) for n, text in enumerate(levels)]
    doctype = '<!DOCTYPE feed [<!ENTITY l0 "ha">%s]>' % "".join(lines)
    return atom_feed([("bomb", "&l9;")], prologue=doctype)


@xml_document
def quadratic_xml() -> bytes:
    doctype = '<!DOCTYPE feed [<!ENTITY a "%s">]>' % ("a" * 50000)
    return atom_feed([("bomb", "&a;" * 20000)], prologue=doctype)


@xml_document
def external_entity_xml() -> bytes:
    doctype = '<!DOCTYPE feed [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    return atom_feed([("bomb", "&x;")], prologue=doctype)


@xml_document
def attlist_bomb() -> bytes:
    """CVE-2026-45186: many defaulted attributes, quadratic in expat before 2.8.1."""
    attributes = " ".join('a%d CDATA ""' % n for n in range(100000))
    doctype = "<!DOCTYPE feed [<!ATTLIST feed %s>]>" % attributes
    return atom_feed([("bomb", "x")], prologue=doctype)


@xml_document
def many_attributes_xml() -> bytes:
    attributes = "".join(' a%d=""' % n for n in range(300000))
    return atom_feed([("bomb", "x")], attributes=attributes)


@xml_document
def deep_xml() -> bytes:
    return atom_feed([("bomb", "<a>" * 600000 + "</a>" * 600000)])


@xml_document
def wide_xml() -> bytes:
    """1.2 million empty elements in just under 5 MB."""
    return atom_feed([("bomb", "<a/>" * 1240000)])


@xml_document
def long_attribute_xml() -> bytes:
    return atom_feed([("bomb", "x")], attributes=' x="%s"' % ("y" * 4000000))


@xml_document
def long_comment_xml() -> bytes:
    return atom_feed([("bomb", "x<!--%s-->" % (" " * 4500000))])


@xml_document
def long_namespace_xml() -> bytes:
    """A namespace of 1 MB that stands, written out, in the name of 2,000 elements."""
    names = "".join("<a:n%d/>" % n for n in range(2000))
    attributes = ' xmlns:a="%s"' % ("n" * 1000000)
    return atom_feed([("bomb", "x" + names)], attributes=attributes)


@xml_document
def many_entries_xml() -> bytes:
    """A valid feed of 6,000 incidents, 4 MB."""
    return atom_feed([("n%d" % n, "Incident %d" % n) for n in range(6000)])


@xml_document
def most_entries_xml() -> bytes:
    """As many entries as a limit of 50,000 tags and attributes lets through."""
    text = "<entry><id>n%d</id></entry>"
    entries = "".join(text % n for n in range(14000))
    return atom_feed([]).replace(b"</feed>", entries.encode() + b"</feed>")


@xml_document
def many_labels_xml() -> bytes:
    """An entry with 40,000 updates in its escaped HTML, none unlike another."""
    update = "&lt;small&gt;x&lt;/small&gt;&lt;strong&gt;x&lt;/strong&gt;x"
    return atom_feed([("bomb", "x")], text=update * 40000)


@xml_document
def nested_markup_xml() -> bytes:
    """An entry whose escaped HTML nests 400,000 elements deep."""
    return atom_feed([("bomb", "x")], text="&lt;b&gt;" * 400000)


def json_document(make: Callable[[StatusPage], bytes]) -> None:
    """Register a trick that serves this document, made from the healthy page."""

    def serve(exchange: Exchange) -> None:
        exchange.respond(200, make(exchange.page))

    TRICKS[make.__name__] = serve


def page_with(page: StatusPage, **raw: str) -> bytes:
    """The page, with these raw JSON texts in place of (or beside) its members."""
    members = {name: json.dumps(value) for name, value in page.document().items()}
    members.update(raw)
    pairs = ['"%s": %s' % member for member in members.items()]
    return ("{%s}" % ", ".join(pairs)).encode("utf-8", "surrogatepass")


@json_document
def deep_json(page: StatusPage) -> bytes:
    return page_with(page, incidents="[" * 100000 + "]" * 100000)


@json_document
def deep_objects(page: StatusPage) -> bytes:
    return page_with(page, extra='{"a":' * 100000 + "1" + "}" * 100000)


@json_document
def huge_integer(page: StatusPage) -> bytes:
    """5,000 digits: more than int() takes since Python 3.11."""
    return page_with(page, extra="9" * 5000)


@json_document
def huge_float(page: StatusPage) -> bytes:
    return page_with(page, extra="[1e999, -1e999, 1e-999]")


@json_document
def not_a_number(page: StatusPage) -> bytes:
    return page_with(page, extra="[NaN, Infinity, -Infinity]")


@json_document
def duplicate_keys(page: StatusPage) -> bytes:
    """The page, and its incidents once more, now empty: the last one wins in Python."""
    return page_with(page)[:-1] + b', "incidents": [], "components": []}'


@json_document
def lone_surrogate(page: StatusPage) -> bytes:
    return titles_page(["\ud83d half a face \udc9b31m"], page.name)


@json_document
def wide_json(page: StatusPage) -> bytes:
    """Just under 5 MB of empty objects where incidents should be."""
    return page_with(page, incidents="[%s{}]" % ("{}," * 1600000))


@json_document
def many_incidents(page: StatusPage) -> bytes:
    """Just under 5 MB of small valid incidents."""
    row = json.dumps({"id": "%07d", "name": "x", "status": "investigating"})
    rows = ",".join(row % number for number in range(75000))
    return page_with(page, incidents="[%s]" % rows)


@json_document
def many_strings(page: StatusPage) -> bytes:
    """Just under 5 MB of short strings in one list."""
    return page_with(page, extra="[%s]" % ",".join('"%05x"' % n for n in range(600000)))


@json_document
def many_keys(page: StatusPage) -> bytes:
    """Just under 5 MB of members of one object."""
    return page_with(
        page, extra="{%s}" % ",".join('"%05x":0' % n for n in range(480000))
    )


@json_document
def many_numbers(page: StatusPage) -> bytes:
    return page_with(page, extra="[%s]" % ",".join(["0.1"] * 1200000))


@json_document
def most_incidents(page: StatusPage) -> bytes:
    """As many incidents as a limit of 60,000 values lets through."""
    rows = ",".join('{"id":"i%d","status":"resolved"}' % n for n in range(19000))
    return page_with(page, incidents="[%s]" % rows)


@json_document
def most_components(page: StatusPage) -> bytes:
    """As many components; every one has another status at each request."""
    status = "operational" if time.monotonic_ns() % 2 else "major_outage"
    row = '{"id":"c%d","name":"c%d","status":"' + status + '"}'
    rows = ",".join(row % (n, n) for n in range(14000))
    return page_with(page, components="[%s]" % rows)


def one_incident(page: StatusPage, updates: List[Any], **more: Any) -> bytes:
    """The page, later than ever, with one incident that has these updates."""
    later = StatusPage(page.name, version=page.version + 1)
    row = dict(later.incident(0), id=page.name + "-flood", incident_updates=updates)
    document = {**later.document(), "incidents": [{**row, **more}]}
    return json.dumps(document).encode()


@json_document
def same_updates(page: StatusPage) -> bytes:
    """4,000 updates that nothing tells apart."""
    return one_incident(page, [{}] * 4000)


@json_document
def many_updates(page: StatusPage) -> bytes:
    updates = [{"id": "u%d" % n, "body": "Update %d" % n} for n in range(8000)]
    return one_incident(page, updates)


@json_document
def long_title(page: StatusPage) -> bytes:
    """A title and an address that 300 updates repeat: 200 MB to print."""
    updates = [{"id": "u%d" % n} for n in range(300)]
    url = "http://status.test/" + "u" * 300000
    return one_incident(page, updates, name="t" * 400000, shortlink=url)


@json_document
def many_names(page: StatusPage) -> bytes:
    """10,000 affected components that 1,000 updates repeat: 100 MB to print."""
    updates = [{"id": "u%d" % n} for n in range(1000)]
    components = [{"id": "c%d" % n, "name": "c%d" % n} for n in range(10000)]
    return one_incident(page, updates, components=components)


@json_document
def wrong_types(page: StatusPage) -> bytes:
    row = '{"id": {}, "name": [], "status": 7, "incident_updates": {}}'
    odd = '[null, 1, "x", [], %s]' % row
    return page_with(page, incidents=odd, components=odd)


@json_document
def hostile_titles(page: StatusPage) -> bytes:
    return titles_page(HOSTILE_TITLES, page.name)


@trick
def hostile_feed(exchange: Exchange) -> None:
    entries = [("t%d" % n, xml_text(t)) for n, t in enumerate(HOSTILE_TITLES)]
    exchange.respond(200, atom_feed(entries), "application/atom+xml")


HOSTILE_TITLES = [
    *("C0 %s end" % chr(code) for code in range(0x20)),
    *("C1 %s end" % chr(code) for code in range(0x7F, 0xA0)),
    *("bidi %s end" % char for char in "\u061c\u200e\u200f\u202a\u202b\u202c\u202d"),
    *("bidi %s end" % char for char in "\u202e\u2066\u2067\u2068\u2069"),
    *("line %s end" % char for char in "\u2028\u2029\u0085\v\f"),
    "colour \x1b[31mred\x1b[0m",
    "clear \x1b[2J\x1b[H",
    "8 bit \x9b31mred\x9b0m",
    "title \x1b]0;owned\x07",
    "string \x90q\x9c",
    "link \x1b]8;;http://evil.test\x1b\\",
    "forged\n\n[2025-02-24 14:32:00] Product: Forged\nStatus: Investigating - forged",
    "forged\r\n2025-02-24 14:31:00 WARNING  [Forged] line",
    "half \ud83d face",
    "byte \udc9b31m",
    "back \udc80\udcff",
    "nul \0 nul",
    "&#27;[31m &#x9b;31m &#155; &NewLine; &Tab; &#x202e; &#8232; &#xd83d;",
    "&amp;#27;[31m &amp;#x9b;31m",
    "<b>bold</b><script>alert(1)</script>",
    "%s %d %(x)s {0}",
    "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd",
    "zero\u200bwidth\ufeff \ufffe",
    "tag \U000e0041\U000e007f",
    "combining " + "e\u0301" * 400,
    "long " + "x" * 20000,
    "",
    " ",
    "\x1b",
    "\u202e",
]


def titles_page(titles: Sequence[str], name: str = "page") -> bytes:
    """A summary with one incident per title; title, body and component carry it."""
    page = StatusPage(name)
    incidents = []
    for number, title in enumerate(titles):
        page.version = 1  # a later document than the empty one
        incident = page.incident(0)
        incident.update(id="%s-t%d" % (name, number), name=title, shortlink=title)
        update = incident["incident_updates"][0]
        update.update(id="%s-t%d-u" % (name, number), body=title)
        component = incident["components"][0]
        component.update(id="%s-tc%d" % (name, number), name=title)
        incident["components"] = [component] if number % 2 else []
        incidents.append(incident)
    components = [page.component(0, "operational")]
    changes = {"incidents": incidents, "components": components}
    return json.dumps({**page.document(), **changes}).encode()


NOT_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


def xml_text(text: str) -> str:
    """Escaped for XML; what XML cannot hold becomes a reference of HTML, escaped."""
    text = NOT_XML.sub(lambda match: "&#%d;" % ord(match.group()), text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


# --- TLS and a look around. ---


def tls_authority(*names: str) -> Tuple[ssl.SSLContext, bytes]:
    """(server context for these names, PEM of the CA to trust); needs trustme."""
    import trustme

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued = authority.issue_cert(*(names or (LOOPBACK, "localhost")))
    issued.configure_cert(context)
    return context, authority.cert_pem.bytes()


def main() -> int:
    """Print the address of every trick and serve until interrupted."""
    with FaultServer() as server:
        for name in [*TRICKS, *ENDPOINTS]:
            print(server.url(name))
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
