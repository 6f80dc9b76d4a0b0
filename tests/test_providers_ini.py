"""The shipped providers.ini: what it promises to whoever runs it unchanged."""

import configparser
import csv
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import statuswatch

ROOT = Path(__file__).resolve().parent.parent
PROVIDERS_INI = ROOT / "providers.ini"
REFERENCE_CSV = ROOT.parent / "shared" / "reference" / "providers.csv"

PROVIDER_KEYS = set(statuswatch.Provider._fields[3:])

# A page known only by the shape of its JSON may be either.
PLATFORMS_OF_FORMAT = {
    "statuspage": {"statuspage"},
    "incident.io": {"incident.io"},
    "statuspage-v2-shape": {"statuspage", "incident.io"},
    "instatus": {"instatus"},
    "betterstack": {"betterstack"},
}
# Documents that are not below the page that the reference list names.
PAGES_OF_SOURCES = {
    "https://health.aws.amazon.com/public/currentevents": (
        "https://health.aws.amazon.com/health/status"
    ),
    "https://rssfeed.azure.status.microsoft/en-us/status/feed/": (
        "https://azure.status.microsoft/en-us/status"
    ),
    "https://api.status.salesforce.com/v1/instances/NA45/status": (
        "https://status.salesforce.com"
    ),
}


def whole_file():
    return PROVIDERS_INI.read_text(encoding="utf-8")


def all_on():
    """The file with the providers that are off turned on."""
    return re.sub("(?m)^; ", "", whole_file())


def read(text):
    parser = configparser.ConfigParser(
        interpolation=None,
        delimiters=("=",),
        comment_prefixes=("#", ";"),
        inline_comment_prefixes=(";",),  # configparser itself wants a space before
    )
    parser.optionxform = str
    parser.read_string(text)
    return parser


def providers(text):
    """Returns [(name, urls, platform)] in the order of the file."""
    found = []
    for name, value in read(text).items("providers"):
        words = value.split()
        urls = [word for word in words if "/" in word]
        assert len(words) - len(urls) <= 1, "%s: expected URLs and a platform" % name
        found.append((name, urls, "".join(words[len(urls) :])))
    return found


def groups():
    """Returns [(title, names)] of the groups of providers, on or off, in order."""
    found = []
    section = whole_file().partition("[providers]\n")[2].partition("# Settings")[0]
    for block in filter(None, section.strip().split("\n\n")):
        title, *lines = block.splitlines()
        assert title.startswith("# "), title
        lines = [line for line in lines if not line.startswith("#")]
        names = [re.match("(?:; )?(.+?) += https://", line)[1] for line in lines]
        found.append((title[2:], names))
    return found


def is_page(url):
    return not urlsplit(url).path


def test_openai_is_the_first_provider():
    first = ("OpenAI", ["https://status.openai.com"], "incident.io")
    assert first == providers(whole_file())[0]


def test_at_least_a_hundred_providers_are_shipped():
    assert len(providers(whole_file())) >= 100


def test_at_least_250_providers_are_one_semicolon_away():
    assert len(providers(all_on())) >= 250


def test_the_names_that_most_people_look_for_are_on():
    names = {name for name, _, _ in providers(whole_file())}
    clouds = {"AWS", "Azure", "Google Cloud", "Cloudflare", "GitHub", "GitLab"}
    work = {"Slack", "Google Workspace", "Zoom", "Jira", "Stripe", "OpenAI"}
    assert clouds | work <= names


@pytest.mark.parametrize("text", [whole_file(), all_on()], ids=["shipped", "all on"])
def test_statuswatch_itself_reads_the_file(text):
    found = statuswatch.parse_config(text, "providers.ini").providers
    assert [name for name, _, _ in providers(text)] == [each.name for each in found]


def test_every_line_that_is_off_becomes_valid_by_removing_its_semicolon():
    names = [name for _, names in groups() for name in names]
    assert [name for name, _, _ in providers(all_on())] == names
    assert len(providers(whole_file())) < len(names)


def test_names_are_in_alphabetical_order_within_a_group_behind_openai():
    for title, names in groups():
        rest = [name for name in names if name != "OpenAI"]
        assert rest == sorted(rest, key=str.casefold), title


def test_every_equals_sign_of_a_provider_stands_in_the_same_column():
    section = whole_file().partition("[providers]\n")[2].partition("# Settings")[0]
    lines = [line for line in section.splitlines() if line and line[0] != "#"]
    assert 1 == len({line.index(" = ") for line in lines})


def test_every_url_is_https_and_a_page_has_an_empty_path():
    for name, urls, _ in providers(all_on()):
        for url in urls:
            parts = urlsplit(url)
            assert "https" == parts.scheme, name
            assert parts.hostname, name
            assert parts.netloc == parts.hostname, name  # no port, user, capitals
            assert ("", "") == (parts.query, parts.fragment), name
        assert 1 == len(urls) or not any(map(is_page, urls)), name


def test_every_page_says_its_platform_and_nothing_has_to_be_probed():
    for name, urls, platform in providers(all_on()):
        expected = set(statuswatch.PLATFORMS) if is_page(urls[0]) else {""}
        assert platform in expected, name


def test_no_two_providers_share_a_name_whatever_its_case():
    names = [name.casefold() for name, _, _ in providers(all_on())]
    assert sorted(set(names)) == sorted(names)


def test_no_two_providers_share_a_url_and_no_two_pages_a_host():
    urls = [url for _, urls, _ in providers(all_on()) for url in urls]
    assert sorted(set(urls)) == sorted(urls)
    hosts = [urlsplit(url).hostname for url in urls if is_page(url)]
    assert sorted(set(hosts)) == sorted(hosts)


def test_no_provider_has_the_name_of_a_reserved_section():
    names = {name.casefold() for name, _, _ in providers(all_on())}
    assert not names & {"providers", "statuswatch", "default"}


def test_every_other_section_belongs_to_a_provider_and_has_known_keys():
    parser = read(whole_file())
    names = {name for name, _, _ in providers(whole_file())}
    for section in set(parser.sections()) - {"providers", "statuswatch"}:
        assert section in names
        assert set(parser[section]) <= PROVIDER_KEYS


def test_openai_is_told_as_the_openai_api():
    assert "OpenAI API" == read(whole_file())["OpenAI"]["product"]


def reference():
    with REFERENCE_CSV.open(encoding="utf-8", newline="") as file:
        return {row["url"].rstrip("/"): row for row in csv.DictReader(file)}


def known_page(url, rows):
    """Returns the address of the page in the reference list that has this source."""
    if url in PAGES_OF_SOURCES:
        return PAGES_OF_SOURCES[url]
    of_status_io = re.match(r"https://api\.status\.io/1\.0/status/(\w{24})$", url)
    if of_status_io:
        ids = {row["format"]: page for page, row in rows.items()}
        return ids["status.io (%s)" % of_status_io[1]]
    return max((page for page in rows if url.startswith(page + "/")), key=len)


@pytest.mark.skipif(not REFERENCE_CSV.exists(), reason="no reference list beside us")
@pytest.mark.parametrize(
    "text, confidences",
    [(whole_file(), {"high"}), (all_on(), {"high", "med"})],
    ids=["shipped", "all on"],
)
def test_every_provider_is_in_the_reference_list(text, confidences):
    rows = reference()
    for name, urls, platform in providers(text):
        for url in urls:
            page = url if is_page(url) else known_page(url, rows)
            assert page in rows, name
            assert rows[page]["confidence"] in confidences, name
            if platform:
                expected = PLATFORMS_OF_FORMAT.get(rows[page]["format"], ())
                assert platform in expected, name
