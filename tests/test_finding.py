"""Finding the sources of a page from nothing but its address, and --probe's words."""

from __future__ import annotations

import http.server
import json
import pathlib
import threading
from typing import List, NamedTuple

import pytest
import statuswatch
from fakes import load_script
from faults import FaultServer
from statuswatch import (
    HINTS,
    MAX_SEARCH,
    PLATFORMS,
    Fetcher,
    FetchError,
    ParseError,
    Provider,
    Watch,
    find_sources,
    poll,
    main,
)

DATA = pathlib.Path(__file__).parent / "data"
FakePage = load_script("fakepage").FakePage
LOGIN = (DATA / "invalid/login.html").read_bytes()
SPA = (DATA / "invalid/single-page-app.html").read_bytes()
MARKETING = (DATA / "invalid/marketing.html").read_bytes()
SUMMARY, COMPONENTS = "/api/v2/summary.json", "/api/v2/components.json"


class Site:
    """A web server with what *paths* say, and *other*, a status or a body, else."""

    def __init__(self, other, **headers):
        self.paths, self.other, self.headers = {}, other, headers
        self.requests = []
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                site.requests.append(self.path)
                found = site.paths.get(self.path, site.other)
                status, body = (found, b"") if isinstance(found, int) else (200, found)
                moved = isinstance(body, str)
                self.send_response(301 if moved else status)
                for name, value in site.headers.items():
                    self.send_header(name.replace("_", "-"), value)
                if moved:
                    self.send_header("Location", body)
                    body = b""
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = "http://127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.01,)).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def site():
    made = []

    def make(other=404, paths=(), **headers):
        made.append(Site(other, **headers))
        made[-1].paths.update(
            (
                path,
                (
                    (DATA / file).read_bytes()
                    if isinstance(file, pathlib.PurePath)
                    else file
                ),
            )
            for path, file in dict(paths).items()
        )
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def fetcher():
    made = Fetcher(4)
    yield made
    made._adapter.close()


def at(name):
    return pathlib.PurePath(name)


class Found(NamedTuple):
    platform: str
    reads: List[statuswatch.Read]


def find(page, fetcher):
    return Found(*find_sources(page, fetcher))


def is_usual(found, page):
    """Whether the platform's name alone stands for what was found."""
    urls = [read.url for read in found.reads]
    known = found.platform in PLATFORMS
    return known and statuswatch.sources_of(page, found.platform) in ([], urls)


def paths_of(found, page):
    return [read.url[len(page) :] for read in found.reads]


# What a page is.

FULL = {
    "incident.io": {
        "/feed.atom": at("incident.io/feed.atom"),
        SUMMARY: at("incident.io/summary.json"),
        COMPONENTS: at("incident.io/components.json"),
    },
    "statuspage": {
        "/history.atom": at("statuspage/history.atom"),
        SUMMARY: at("statuspage/summary.json"),
    },
    "instatus": {
        "/history.atom": at("instatus/history.atom"),
        SUMMARY: at("instatus/summary.json"),  # another schema under a familiar path
        "/summary.json": at("instatus/summary.json"),
        "/v2/components.json": at("instatus/components.json"),
    },
    "betterstack": {"/index.json": at("betterstack/index.json")},
    "cachet": {
        "/api/v1/incidents?sort=id&order=desc": at("cachet/incidents.json"),
        "/api/v1/components": at("cachet/components.json"),
    },
    "uptime-kuma": {
        "/": b'<html><link rel="manifest" href="/api/status-page/acme/manifest.json">',
        "/api/status-page/acme": at("uptime-kuma/page.json"),
        "/api/status-page/heartbeat/acme": at("uptime-kuma/heartbeat.json"),
    },
}


@pytest.mark.parametrize("other", [404, SPA], ids=["404", "html"])
@pytest.mark.parametrize("platform", FULL)
def test_a_page_is_known_by_its_documents(site, fetcher, platform, other):
    page = site(other, FULL[platform])
    found = find(page.url, fetcher)
    assert found.platform == platform and is_usual(found, page.url)
    wanted = [group[0].replace("%s", "acme") for group in PLATFORMS[platform]]
    assert paths_of(found, page.url) == wanted
    assert len(page.requests) == len(set(page.requests)) <= MAX_SEARCH == 8
    assert all(
        read.response.body and read.page.platform == platform for read in found.reads
    )


@pytest.mark.parametrize("platform", ["incident.io", "statuspage"])
def test_the_search_stops_at_the_first_hit(site, fetcher, platform):
    page = site(404, FULL[platform])
    find_sources(page.url, fetcher)
    assert page.requests[0] == SUMMARY and len(page.requests) <= 3


def test_the_page_of_status_io_is_named_in_its_html(site, fetcher, monkeypatch):
    name = "5b36dc6502d06804c08349f7"
    api = site(404, {"/1.0/status/" + name: at("status.io/status.json")})
    groups = ((api.url + "/1.0/status/%s", api.url + "/other/%s"),)
    monkeypatch.setitem(PLATFORMS, "status.io", groups)
    html = '<html><a href="https://status.io/pages/%s/rss">Feed</a></html>' % name
    page = site(404, {"/": html.encode()})
    found = find(page.url, fetcher)
    assert (found.platform, is_usual(found, page.url)) == ("status.io", True)
    assert [read.url for read in found.reads] == [api.url + "/1.0/status/" + name]
    assert page.requests == [SUMMARY, "/"]
    # With the platform's name in the configuration it is searched for all the same, and
    # what was found elsewhere is remembered as it is.
    watch = Watch(Provider("Acme", (page.url,), "status.io"))
    assert [source.url for source in watch.sources] == [page.url]
    assert not poll(watch, fetcher).failed
    stored = json.loads(watch.stored())
    assert stored["found"] == [api.url + "/1.0/status/" + name]
    again = Watch(Provider("Acme", (page.url,), "status.io"), watch.stored())
    assert [source.url for source in again.sources] == stored["found"]
    page.requests.clear()
    assert not poll(again, fetcher).failed and page.requests == []


@pytest.mark.parametrize(
    "page, platform",
    [
        ("https://health.aws.amazon.com", "aws"),
        ("https://status.aws.amazon.com/", "aws"),
        ("https://azure.status.microsoft", "azure"),
        ("https://status.cloud.google.com", "google"),
        ("https://slack-status.com", "slack"),
        ("https://status.slack.com", "slack"),
        ("https://status.salesforce.com", "salesforce"),
    ],
)
def test_vendors_with_hosts_of_their_own_need_no_search(page, platform):
    documents = {
        "aws": "aws/currentevents-none.json", "azure": "azure/feed-quiet.xml",
        "google": "google/incidents.json", "slack": "slack/current.json",
        "salesforce": "salesforce/preview.json",
    }  # fmt: skip
    asked = []

    class Fake:
        parsing = threading.Lock()

        def fetch(self, url, **_):
            asked.append(url)
            body = bytearray((DATA / documents[platform]).read_bytes())
            return statuswatch.Response(body, "", "", "", 0.0)

    found = find(page, Fake())
    assert (found.platform, is_usual(found, page)) == (platform, True)
    assert len(asked) == 1
    assert asked[0].endswith(PLATFORMS[platform][0][0])


def test_a_feed_that_reads_is_kept_though_paths_of_other_platforms_fail(site, fetcher):
    page, fetch = (
        site(404, {"/history.atom": DATA / "statuspage/history-empty.rss"}),
        fetcher.fetch,
    )

    def broken(url, **options):
        if url.endswith("/summary.json") and SUMMARY not in url:
            raise statuswatch.FetchError("Connection reset by peer")
        return fetch(url, **options)

    fetcher.fetch = broken
    found = find(page.url, fetcher)
    assert (found.platform, paths_of(found, page.url)) == ("feed", ["/history.atom"])


def test_a_page_of_incident_io_without_feeds_is_read_by_its_summary(site, fetcher):
    page = site(
        SPA, {k: v for k, v in FULL["incident.io"].items() if k != "/feed.atom"}
    )
    found = find(page.url, fetcher)
    assert (found.platform, is_usual(found, page.url)) == ("incident.io", False)
    assert paths_of(found, page.url) == [SUMMARY, COMPONENTS]


def test_a_page_of_statuspage_without_an_api_is_read_by_its_feed(site, fetcher):
    page = site(404, {"/history.atom": at("statuspage/history.atom")})
    found = find(page.url, fetcher)
    assert found.platform == "statuspage" and not is_usual(found, page.url)
    assert paths_of(found, page.url) == ["/history.atom"]


@pytest.mark.parametrize(
    "tag",
    [
        '<link rel="alternate" type="application/rss+xml" href="/news.rss">',
        "<LINK href='/news.rss' title=x type='application/atom+xml' rel='alternate'>",
        "<link rel=alternate type=application/rss+xml href=/news.rss>",
        '<link\n rel="alternate"\n type="application/rss+xml"\n href="/news.rss"\n>',
    ],
)
def test_a_feed_that_the_page_names_is_its_source(site, fetcher, tag):
    page = site(
        404,
        {"/": b"<html>%s</html>" % tag.encode(), "/news.rss": at("feed/rss-2.0.rss")},
    )
    found = find(page.url, fetcher)
    assert (found.platform, is_usual(found, page.url)) == ("feed", False)
    own = [groups[0][0] for name, groups in PLATFORMS.items() if name not in HINTS]
    wanted = list(dict.fromkeys([SUMMARY, "/", *own, "/news.rss"]))
    assert page.requests == wanted and len(wanted) <= MAX_SEARCH


def test_a_feed_that_is_empty_may_be_of_any_platform_with_its_path(site, fetcher):
    feed = b"""<feed xmlns="http://www.w3.org/2005/Atom"><title>Acme</title>
    <id>https://acme.test/history</id><updated>2026-01-01T00:00:00Z</updated></feed>"""
    page = site(404, {**FULL["instatus"], "/history.atom": feed})
    del page.paths[SUMMARY]
    found = find(page.url, fetcher)
    assert paths_of(found, page.url) == [
        "/history.atom",
        "/summary.json",
        "/v2/components.json",
    ]
    assert found.platform == "instatus" and is_usual(found, page.url)
    assert len(page.requests) == len(set(page.requests)) <= MAX_SEARCH


def test_a_feed_elsewhere_is_polled_with_its_query_after_a_restart(site, fetcher):
    feeds = site(404, {"/rss?id=5": at("feed/rss-2.0.rss")})
    link = '<link rel="alternate" type="application/rss+xml" href="%s/rss?id=5">'
    page = site(404, {"/": (link % feeds.url).encode()})
    watch = Watch(Provider("Acme", (page.url,)))
    assert not poll(watch, fetcher).failed
    watch = Watch(watch.provider, watch.stored())
    page.requests.clear()
    result = poll(watch, fetcher)
    assert [source.url for source, _ in result.reads] == [feeds.url + "/rss?id=5"]
    assert not result.failed and page.requests == []
    assert feeds.requests == ["/rss?id=5"] * 2


def test_a_public_page_does_not_name_a_feed_at_a_private_address(
    site, fetcher, monkeypatch
):
    public = {"127.0.0.1"}
    monkeypatch.setattr(statuswatch, "_is_public", lambda address: address in public)
    link = '<link rel="alternate" type="application/rss+xml" href="%s">'
    with FaultServer() as inside:
        url = inside.url("forbidden", host="127.0.0.2")
        page = site(404, {"/": (link % url).encode()})
        with pytest.raises(FetchError, match="to a private address"):
            find_sources(page.url, fetcher)
        assert inside.requests == [] == inside.connections
        public.clear()
        assert paths_of(find(page.url, fetcher), url) == [""]


# What is none.


@pytest.mark.parametrize(
    "body, reason",
    [
        (LOGIN, "a login page"),
        (SPA, "a single-page app"),
        (MARKETING, "a marketing page"),
        (b'{"error": "status page not found"}', "status page not found"),
        (
            b'{"cStateVersion": "5", "summaryStatus": "ok"}',
            "cStateVersion, summaryStatus",
        ),
        (b"", "an empty body"),
        (404, "HTTP status 404"),
        (500, "HTTP status 500"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_look_alike_is_refused_with_the_reason(site, fetcher, body, reason):
    page = site(body)
    with pytest.raises(ParseError, match=reason):
        find_sources(page.url, fetcher)
    assert len(page.requests) <= MAX_SEARCH


def test_the_feed_of_a_marketing_page_is_not_a_status_page(site, fetcher):
    feed = b'<link rel="alternate" type="application/rss+xml" href="/blog.rss">'
    page = site(MARKETING, {"/": MARKETING + feed, "/blog.rss": at("feed/rss-2.0.rss")})
    with pytest.raises(ParseError, match="a marketing page"):
        find_sources(page.url, fetcher)
    assert "/blog.rss" not in page.requests


def test_a_page_that_moved_is_refused_with_where_it_went(site, fetcher):
    new = site(SPA)
    page = site(new.url + "/")
    with pytest.raises(ParseError, match="it moved to %s" % new.url[7:]):
        find_sources(page.url, fetcher)


def test_a_page_that_wants_us_away_is_left_alone(site, fetcher):
    page = site(429, Retry_After="60")
    with pytest.raises(FetchError) as caught:
        find_sources(page.url, fetcher)
    assert caught.value.retry_after == 60 and len(page.requests) == 1


def test_an_address_where_nothing_answers_is_asked_once(fetcher):
    with pytest.raises(FetchError, match="refused"):
        find_sources("http://127.0.0.1:1", fetcher)


def test_a_probe_names_the_sources_where_the_platform_does_not(site, capsys):
    rss, summary = at("statuspage/history.rss"), at("statuspage/summary.json")
    page = site(404, {"/history.rss": rss, SUMMARY: summary})
    assert main(["--probe", page.url]) == 0
    sources = " ".join(page.url + path for path in ("/history.rss", SUMMARY))
    assert capsys.readouterr().out.endswith(" = %s\n" % sources)


def test_a_probe_of_a_source_reads_just_that(site, capsys):
    page = site(404, {"/private/x.json": at("betterstack/index.json")})
    assert main(["--probe", page.url + "/private/x.json"]) == 0
    out = capsys.readouterr().out
    assert page.requests == ["/private/x.json"]
    assert "(no validators)" in out and "  platform: betterstack\n" in out
    assert out.endswith(" = %s/private/x.json\n" % page.url)


def test_a_probe_of_what_is_not_there_says_so_without_secrets(site, capsys, caplog):
    page = site(404)
    assert main(["--probe", page.url + "/private/x.json?token=secret"]) == 1
    assert capsys.readouterr().out == ""
    assert "HTTP status 404" in caplog.text and "secret" not in caplog.text


def test_a_large_document_is_not_held_while_others_are_searched(site, fetcher):
    """Others may wait for it to be freed: then it is read again."""
    summary = (DATA / "statuspage/summary.json").read_bytes()
    paths = {SUMMARY: summary + b" " * statuswatch.LARGE}
    page = site(404, {**paths, "/history.atom": at("statuspage/history.atom")})
    _, reads = find_sources(page.url, fetcher)
    bodies = {read.url[len(page.url) :]: read.response.body for read in reads}
    assert bodies[SUMMARY] is None and bodies["/history.atom"]
    watch = Watch(Provider("Acme", (page.url,)))
    page.requests.clear()
    assert not statuswatch.poll(watch, fetcher).failed
    assert page.requests.count(SUMMARY) == 2
    assert page.requests.count("/history.atom") == 1


def test_a_search_has_one_deadline():
    lefts = []

    class Slow:
        parsing = threading.Lock()

        def fetch(self, url, timeout, **_):
            lefts.append(timeout)
            raise FetchError("HTTP status 404", status=404)

    with pytest.raises(ParseError):
        find_sources("http://127.0.0.1", Slow(), 7.0)
    assert 2 < len(lefts) <= MAX_SEARCH
    assert (
        lefts == sorted(lefts, reverse=True) and lefts[0] <= 7 and len(set(lefts)) > 2
    )
