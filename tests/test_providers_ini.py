"""The shipped providers.ini: what it promises to whoever runs it unchanged."""

import configparser
import csv
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROVIDERS_INI = ROOT / "providers.ini"
REFERENCE_CSV = ROOT.parent / "shared" / "reference" / "providers.csv"

PROVIDER_KEYS = {"product", "components", "maintenance", "min_impact", "interval"}

# A page known only by the shape of its JSON may be either.
PLATFORMS_OF_FORMAT = {
    "statuspage": {"statuspage"},
    "incident.io": {"incident.io"},
    "statuspage-v2-shape": {"statuspage", "incident.io"},
}


def read_shipped():
    parser = configparser.ConfigParser(
        interpolation=None,
        delimiters=("=",),
        comment_prefixes=("#", ";"),
        inline_comment_prefixes=(";",),  # configparser itself wants a space before
    )
    parser.optionxform = str
    with PROVIDERS_INI.open(encoding="utf-8") as file:
        parser.read_file(file)
    return parser


def shipped_providers():
    """Returns [(name, url, platform)] in the order of the file."""
    found = []
    for name, value in read_shipped().items("providers"):
        words = value.split()
        assert len(words) == 2, "%s = %s: expected a URL and a platform" % (name, value)
        found.append((name, words[0], words[1]))
    return found


def test_openai_is_the_first_provider():
    assert ("OpenAI", "https://status.openai.com", "incident.io") == (
        shipped_providers()[0]
    )


def test_at_least_a_hundred_providers_are_shipped():
    assert len(shipped_providers()) >= 100


def test_every_url_is_an_https_page_with_an_empty_path():
    for name, url, _ in shipped_providers():
        parts = urlsplit(url)
        assert "https" == parts.scheme, name
        assert parts.hostname, name
        assert parts.netloc == parts.hostname, name  # no port, no user, lower case
        assert ("", "", "") == (parts.path, parts.query, parts.fragment), name


def test_every_provider_says_its_platform():
    for name, _, platform in shipped_providers():
        assert platform in {"statuspage", "incident.io"}, name


def test_no_two_providers_share_a_name_whatever_its_case():
    names = [name.casefold() for name, _, _ in shipped_providers()]
    assert sorted(set(names)) == sorted(names)


def test_no_two_providers_share_a_url():
    urls = [url for _, url, _ in shipped_providers()]
    assert sorted(set(urls)) == sorted(urls)


def test_no_provider_has_the_name_of_a_reserved_section():
    names = {name.casefold() for name, _, _ in shipped_providers()}
    assert not names & {"providers", "statuswatch", "default"}


def test_every_other_section_belongs_to_a_provider_and_has_known_keys():
    parser = read_shipped()
    names = {name for name, _, _ in shipped_providers()}
    for section in set(parser.sections()) - {"providers", "statuswatch"}:
        assert section in names
        assert set(parser[section]) <= PROVIDER_KEYS


def test_openai_is_told_as_the_openai_api():
    assert "OpenAI API" == read_shipped()["OpenAI"]["product"]


def test_statuswatch_itself_reads_the_shipped_file():
    import statuswatch

    loaded = statuswatch.load_config(PROVIDERS_INI)
    # A config object with the providers in it, or the providers alone.
    providers = list(getattr(loaded, "providers", loaded))
    assert len(providers) >= 100
    assert "OpenAI" == providers[0].name


@pytest.mark.skipif(not REFERENCE_CSV.exists(), reason="no reference list beside us")
def test_every_provider_is_in_the_reference_list_with_high_confidence():
    with REFERENCE_CSV.open(encoding="utf-8", newline="") as file:
        reference = {row["url"].rstrip("/"): row for row in csv.DictReader(file)}
    for name, url, platform in shipped_providers():
        assert url in reference, name
        assert "high" == reference[url]["confidence"], name
        assert platform in PLATFORMS_OF_FORMAT.get(reference[url]["format"], ()), name
