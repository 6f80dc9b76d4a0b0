"""A sick network for one Python process: put this folder on its PYTHONPATH.

Environment variables say what is wrong; without them nothing is:

    FAKE_HOSTS   JSON, name -> list of addresses: what these names resolve to
    FAKE_ROUTES  JSON, address -> loopback address: where connections to it really go,
                 so that a program can be shown "public" hosts that are on loopback
    FAKE_CLOCK   a file; once it exists, the clocks are ahead by the seconds it holds
    FAKE_CA      a PEM file, trusted in place of certifi's

Names that end in .hang.test take ten minutes to look up; .invalid fails at once.
"""

import datetime
import json
import os
import socket
import time

HOSTS = json.loads(os.environ.get("FAKE_HOSTS", "{}"))
ROUTES = json.loads(os.environ.get("FAKE_ROUTES", "{}"))
BACK = {there: address for address, there in ROUTES.items()}
CLOCK = os.environ.get("FAKE_CLOCK")
CA = os.environ.get("FAKE_CA")
HANG = 600  # seconds

_getaddrinfo = socket.getaddrinfo
_connect, _connect_ex = socket.socket.connect, socket.socket.connect_ex
_getpeername = socket.socket.getpeername
_sleep = time.sleep


def getaddrinfo(host, port, *args, **kwargs):
    name = host.decode() if isinstance(host, bytes) else host
    name = (name or "").rstrip(".").lower()
    if name.endswith(".hang.test"):
        _sleep(HANG)
    if name.endswith(".invalid"):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    found = []
    for address in HOSTS.get(name, ()):
        found += _getaddrinfo(address, port, *args, **kwargs)
    return found or _getaddrinfo(host, port, *args, **kwargs)


def routed(address):
    if isinstance(address, tuple) and address[0] in ROUTES:
        return (ROUTES[address[0]],) + tuple(address[1:])
    return address


def getpeername(sock):
    address = _getpeername(sock)
    if isinstance(address, tuple) and address[0] in BACK:
        return (BACK[address[0]],) + tuple(address[1:])
    return address


def ahead():
    """How far the clocks are ahead of the truth, in seconds."""
    try:
        with open(CLOCK) as file:
            return float(file.read() or 0)
    except OSError:
        return 0.0


def skew_clocks():
    """Wrap the clocks a program can ask; waits still take real time."""
    real_time, real_monotonic, real = time.time, time.monotonic, datetime.datetime

    class SkewedDatetime(real):
        @classmethod
        def now(cls, tz=None):
            return real.fromtimestamp(time.time(), tz)

    time.time = lambda: real_time() + ahead()
    time.monotonic = lambda: real_monotonic() + ahead()
    datetime.datetime = SkewedDatetime


socket.getaddrinfo = getaddrinfo
if ROUTES:
    socket.socket.connect = lambda sock, address: _connect(sock, routed(address))
    socket.socket.connect_ex = lambda sock, address: _connect_ex(sock, routed(address))
    socket.socket.getpeername = getpeername
if CLOCK:
    skew_clocks()
if CA:
    import certifi

    certifi.where = lambda: CA
