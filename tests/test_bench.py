"""scripts/bench measures what it says: counts, not times, are looked at here."""

from __future__ import annotations

import math
import resource
import shutil
import time
import urllib.request

import pytest
from fakes import load_script

import statuswatch

bench = load_script("bench")

pytestmark = pytest.mark.skipif(
    not hasattr(resource, "prlimit") or not shutil.which("openssl"),
    reason="needs Linux and openssl",
)


@pytest.fixture(autouse=True)
def descriptors():
    """The limit is what it was afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A laboratory with a server of our own."""
    folder, program = tmp_path_factory.mktemp("bench"), bench.ROOT / "statuswatch.py"
    return bench.Lab(folder, program, quick=True, nginx="")


@pytest.fixture(params=["own", "nginx"])
def any_lab(request, lab, monkeypatch):
    """The laboratory with each server that there is."""
    nginx = shutil.which("nginx")
    if request.param == "nginx" and not nginx:
        pytest.skip("nginx is not installed")
    monkeypatch.setattr(lab, "nginx", nginx if request.param == "nginx" else "")
    return lab


@pytest.fixture
def short(monkeypatch):
    """Loops that are over at once."""
    monkeypatch.setattr(bench, "QUICK_LOOP", 0.1)


def asked_of(server):
    """What the server was asked, once it has written down that we ask it, too."""
    host = "last." + bench.DOMAIN
    url = "http://127.0.0.1:%d%s" % (server.port, bench.PATHS[1])
    urllib.request.urlopen(urllib.request.Request(url, headers={"Host": host})).close()
    end = time.monotonic() + 10
    while server.requests()[-1:] == [] or server.asked[-1].host != host:
        assert time.monotonic() < end
        time.sleep(0.02)
    return server.asked[:-1]


def test_the_parts_are_listed(capsys):
    assert bench.main(["--list"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == list(bench.PARTS)
    assert set(bench.FULL) | set(bench.QUICK) == set(listed)


def test_a_tiny_run_prints_a_line_for_each_figure(monkeypatch, capsys):
    def tiny(lab):
        """Three HTTPS providers."""
        return bench.watch_figures(lab, 3, True, {"polls skipped": 0}, interval=0.5)

    monkeypatch.setattr(bench.Lab, "run_loop", lambda *_: 0.001)  # has its own test
    monkeypatch.setitem(bench.PARTS, "tiny", tiny)
    assert bench.main(["--quick", "--own-server", "--only", "tiny"]) == 0
    out = capsys.readouterr().out
    lines = [line.strip() for line in out.splitlines() if line.startswith("  ")]
    starts = """unchanged poll of a source; / http.client; / requests, prepared, at;
        / requests, Session.get; / requests, prepared, unpaced; share of one core;
        seeding; lateness, p50; lateness, p99; lateness, most; polls skipped;
        connections per host; bytes of one; resident memory"""
    assert len(lines) == len(starts.split(";"))
    for line, start in zip(lines, starts.split(";")):
        assert line.startswith(start.strip())
    assert "our own server" in out
    assert lines[11].split()[-1] == "1"  # connections per host


@pytest.mark.parametrize("kind", ["http.client", "prepared", "get"])
def test_a_loop_keeps_its_connections_and_is_told_that_nothing_changed(
    kind, lab, short
):
    with bench.Server(lab, 2, secure=False) as server:
        assert 0 < lab.run_loop(kind, server.urls, rate=0) < 1
        asked = asked_of(server)
    assert [each.status for each in asked[:4]] == [200] * 4
    assert {each.status for each in asked[4:]} == {304}
    assert len({each.connection for each in asked}) == 2
    assert {each.host for each in asked} == {bench.host_of(0), bench.host_of(1)}


def test_a_loop_keeps_the_pace(lab, short):
    with bench.Server(lab, 2, secure=False) as server:
        lab.run_loop("http.client", server.urls, rate=100)
        assert len(asked_of(server)) in range(12, 22)  # 2 * 4, and 10 or so in 0.1 s


@pytest.mark.parametrize("changed", [False, True])
def test_a_server_has_a_body_that_is_new_each_time_or_never(any_lab, changed):
    with bench.Server(any_lab, 1, secure=False, changed=changed) as server:
        url = "http://127.0.0.1:%d" % server.port
        for path in bench.PATHS:
            answers = [urllib.request.urlopen(url + path) for _ in range(2)]
            bodies = [answer.read() for answer in answers]
            pages = [statuswatch.parse(body) for body in bodies]
            assert (bodies[0] != bodies[1]) == changed
            assert pages[0] == pages[1]
            assert ("ETag" in answers[0].headers) == (not changed)


def test_the_documents_are_a_status_page():
    page = statuswatch.parse(bench.feed(60))
    assert page.platform == "statuspage"
    assert len(page.incidents) == 60
    assert {len(incident.updates) for incident in page.incidents} == {3}
    page = statuswatch.parse(bench.summary(25))
    assert (len(page.components), page.complete) == (25, True)


def test_lateness_is_from_the_turn_and_a_turn_without_a_poll_is_skipped():
    host, interval = bench.host_of(0), 10.0
    clocks = time.time() - time.monotonic()
    turn = math.ceil(time.monotonic() / interval) + 1
    due = [clocks + (turn + n + bench.phase(host)) * interval for n in range(4)]
    polls = [due[0] + 0.25, due[0] + 0.5, due[1] + 0.75, due[3]]
    asked = [bench.Asked(at, "1", host, 304, 0) for at in polls]
    late, skipped = bench.punctuality(asked, 1, interval, due[0] - 1, due[3] + 2)
    assert late == pytest.approx([0, 0.25, 0.75], abs=0.01)
    assert skipped == 1


@pytest.mark.parametrize(
    "value, bound, verdict",
    [(1, 1, "ok"), (1.01, 1, "MISS"), (9, math.inf, ""), (math.nan, 1, "MISS")],
)
def test_a_figure_says_whether_it_keeps_its_bound(value, bound, verdict):
    assert bench.Figure("what", value, "ms", bound).verdict == verdict


@pytest.mark.parametrize("value, quick, code", [(1, 0, 0), (3, 0, 1), (3, 1, 0)])
def test_a_miss_is_an_error_but_of_a_quick_run(
    value, quick, code, lab, monkeypatch, capsys
):
    def some(lab):
        """Some figure."""
        yield bench.Figure("some", value, bound=2)

    monkeypatch.setitem(bench.PARTS, "some", some)
    monkeypatch.setattr(lab, "quick", bool(quick))
    assert bench.measure(lab, ["some"], markdown=False) == code
    assert ("MISS" in capsys.readouterr().out) == (value > 2)


def test_what_does_not_run_is_an_error_even_of_a_quick_run(lab, monkeypatch, capsys):
    def broken(lab):
        """Does not run."""
        raise bench.Failure("no luck")

    monkeypatch.setitem(bench.PARTS, "broken", broken)
    assert bench.measure(lab, ["broken"], markdown=True) == 1
    assert "FAILED broken: no luck" in capsys.readouterr().out


def test_there_are_no_more_hosts_than_descriptors(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 1024))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    assert bench.affordable(10_000) == 1024 - bench.SPARE
    assert bench.affordable(100) == 100
