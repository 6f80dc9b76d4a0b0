"""Config: what providers.ini means, and the one line that each mistake in it gets."""

import pathlib
import re

import pytest
from expected import cases, check
from hypothesis import example, given
from hypothesis import strategies as st

from statuswatch import (
    INTERVAL,
    MAX_SIZE,
    TIMEOUT,
    Config,
    ConfigError,
    Provider,
    is_page,
    load_config,
    parse_config,
)

DATA = pathlib.Path(__file__).parent / "data" / "config"
MISTAKES = cases(DATA, ".ini", at_least=45)
PAGE = "https://status.acme.test"
FEED = "https://status.acme.test/history.rss"
ACME = "[providers]\nAcme = %s\n" % PAGE


def providers(text, interval=None):
    return list(parse_config(text, "providers.ini", interval).providers)


def mistake(text):
    """The one line that is said about a configuration that cannot be used."""
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "providers.ini")
    message = str(caught.value)
    assert message.isprintable(), message
    return message


def mistake_in_value(value):
    return mistake("[providers]\nAcme = %s\n" % value)


# What is right.


def test_one_line_adds_a_provider():
    config = parse_config(ACME, "providers.ini")
    assert config == Config((Provider("Acme", (PAGE,)),), 0, MAX_SIZE)
    assert config.providers[0] == Provider(
        name="Acme",
        urls=(PAGE,),
        platform="",
        product="",
        components=(),
        untagged="show",
        maintenance=False,
        min_impact="none",
        events=("NEW_INCIDENT", "INCIDENT_UPDATE", "COMPONENT_STATUS_CHANGE"),
        hold=0,
        interval=INTERVAL,
        timeout=TIMEOUT,
    )


def test_a_section_of_a_providers_name_holds_its_options():
    text = ACME + (
        "[Acme]\nproduct = Acme API\ncomponents = Chat, Éclair ,BATCH\n"
        "maintenance = yes\nmin_impact = minor\ninterval = 15\ntimeout = 2.5\n"
        "untagged = hide\nevents = New_Incident,incident_update\nhold = 90.5\n"
    )
    assert providers(text) == [
        Provider(
            "Acme",
            (PAGE,),
            product="Acme API",
            components=("chat", "éclair", "batch"),
            untagged="hide",
            maintenance=True,
            min_impact="minor",
            events=("NEW_INCIDENT", "INCIDENT_UPDATE"),
            hold=90.5,
            interval=15.0,
            timeout=2.5,
        )
    ]


def test_the_order_of_sections_does_not_matter():
    sections = ["[Acme]\ninterval = 15\n", "[statuswatch]\ntimeout = 5\n", ACME]
    assert providers("".join(sections)) == providers("".join(reversed(sections)))
    assert providers("".join(sections))[0].interval == 15


def test_providers_keep_the_order_of_the_file():
    names = ["Zeta", "Alpha", "Midway"]
    text = "[providers]\n" + "".join("%s = %s\n" % (name, PAGE) for name in names)
    assert [provider.name for provider in providers(text)] == names


def test_the_section_statuswatch_is_for_all():
    text = ACME + (
        "Beta = https://status.beta.test\n"
        "[statuswatch]\ninterval = 20\ntimeout = 5\nworkers = 3\nmax_size = 1000\n"
    )
    config = parse_config(text, "providers.ini")
    assert [(each.interval, each.timeout) for each in config.providers] == [(20, 5)] * 2
    assert (config.workers, config.max_size) == (3, 1000)
    assert isinstance(config.workers, int) and isinstance(config.max_size, int)


def test_a_providers_own_key_wins():
    text = ACME + (
        "Beta = https://status.beta.test\n[statuswatch]\ninterval = 20\ntimeout = 5\n"
        "[Acme]\ninterval = 60\n"
    )
    acme, beta = providers(text)
    assert (acme.interval, acme.timeout) == (60, 5)
    assert (beta.interval, beta.timeout) == (20, 5)
    assert [each.interval for each in providers(text, interval=12)] == [60, 12]


def test_the_interval_of_the_command_line_wins_over_that_of_the_section():
    assert providers(ACME, interval=12)[0].interval == 12
    section = "[statuswatch]\ninterval = 20\n"
    assert providers(ACME + section, interval=12)[0].interval == 12
    assert providers(ACME + section)[0].interval == 20


def test_sources_may_be_several_on_several_lines():
    text = "[providers]\nAcme = %s\n    https://status.acme.test/a.json\n" % FEED
    assert providers(text)[0].urls == (FEED, "https://status.acme.test/a.json")


@pytest.mark.parametrize("value", [PAGE + " incident.io", "incident.io  " + PAGE])
def test_a_platforms_name_beside_a_page_says_what_it_is(value):
    assert providers("[providers]\nAcme = %s" % value) == [
        Provider("Acme", (PAGE,), "incident.io")
    ]


def test_comments_are_whole_lines_or_begin_with_a_semicolon():
    text = (
        "# a comment\n; another\n[providers] ; what is watched\n"
        "Acme = %s ; the API\n   # indented\n"
        "[Acme]\nproduct = Acme #1 ; not 2\nmaintenance = yes ;now\n" % PAGE
    )
    assert providers(text) == [
        Provider("Acme", (PAGE,), product="Acme #1", maintenance=True)
    ]


def test_what_looks_like_a_comment_in_a_url_is_part_of_it():
    url = "https://status.acme.test/feed;v=1?a=b#c"
    assert providers("[providers]\nAcme = %s\n" % url)[0].urls == (url,)


def test_keys_keep_their_case():
    text = "[providers]\nAcme = %s\nACME = %s\n[ACME]\nproduct = Big\n" % (PAGE, PAGE)
    assert [(each.name, each.product) for each in providers(text)] == [
        ("Acme", ""),
        ("ACME", "Big"),
    ]


@pytest.mark.parametrize("name", ["Acme: EU", "Ac me", "Zażółć", "a.b/c", "DEFAULT"])
def test_a_name_may_have_almost_any_character(name):
    text = "[providers]\n%s = %s\n[%s]\nproduct = X\n" % (name, PAGE, name)
    assert providers(text) == [Provider(name, (PAGE,), product="X")]


@pytest.mark.parametrize("url", [PAGE + "/a%20b?x=%(y)s", PAGE + "/$x/${y}?a=b=c"])
def test_nothing_is_interpolated(url):
    assert providers("[providers]\nAcme = %s\n" % url)[0].urls == (url,)


def test_a_url_keeps_its_credentials_and_query():
    url = "https://user:hunter2@status.acme.test/feed?token=hunter2"
    assert providers("[providers]\nAcme = %s\n" % url)[0].urls == (url,)


@pytest.mark.parametrize(
    "word, value",
    [("yes", True), ("On", True), ("TRUE", True), ("1", True)]
    + [("no", False), ("off", False), ("false", False), ("0", False)],
)
def test_yes_and_no_are_those_of_configparser(word, value):
    assert providers(ACME + "[Acme]\nmaintenance = " + word)[0].maintenance is value


@pytest.mark.parametrize(
    "url, page",
    [
        (PAGE, True),
        (PAGE + "/", True),
        (PAGE + "/#top", True),
        ("http://127.0.0.1:8080", True),
        ("http://[::1]:8080/", True),
        ("HTTPS://STATUS.ACME.TEST", True),
        ("https://user:word@status.acme.test", True),
        ("https://статус.example", True),
        (FEED, False),
        (PAGE + "/?format=rss", False),
        (PAGE + "//", False),
        ("http://localhost/x", False),
    ],
)
def test_a_url_with_an_empty_path_is_a_page_and_any_other_a_source(url, page):
    assert is_page(url) is page


# What is wrong.


@pytest.mark.parametrize("path", MISTAKES, ids=lambda path: path.stem)
def test_a_mistake_is_one_line(path, monkeypatch):
    monkeypatch.chdir(DATA)
    with pytest.raises(ConfigError) as caught:
        load_config(path.name)
    check(path.with_suffix(".txt"), "%s\n" % caught.value)


@pytest.mark.parametrize("path", MISTAKES, ids=lambda path: path.stem)
def test_the_line_is_printable_and_names_the_file_and_the_section(path):
    with pytest.raises(ConfigError) as caught:
        load_config(str(path))
    message = str(caught.value)
    assert message.isprintable() and path.name in message
    sections = re.findall(r"(?m)^\[(.+)\]", path.read_text(encoding="utf-8"))
    assert any(section in message for section in ["providers", *sections])


@pytest.mark.parametrize(
    "text, words",
    [
        ("Acme = %s\n" % PAGE, ("line: 1", "no section headers")),
        ("[providers\nAcme = %s\n" % PAGE, ("line: 1",)),
        ("[providers]\n= %s\n" % PAGE, ("line  2",)),
        ("", ("[providers]: no provider",)),
        ("# nothing\n", ("[providers]: no provider",)),
    ],
)
def test_what_is_no_ini_file_is_a_mistake_with_its_line(text, words):
    message = mistake(text)
    assert "providers.ini" in message
    spaceless = message.replace("  ", " ")
    assert all(word.replace("  ", " ") in spaceless for word in words), message


def test_a_forgotten_equals_sign_before_an_indented_line_is_a_mistake():
    message = mistake("[providers]\nOpenAI\n    https://status.openai.com\n")
    assert "providers.ini" in message and "indented line" in message


@pytest.mark.parametrize("number", ["1.5", "x", "0", "5e6"])
@pytest.mark.parametrize("key", ["workers", "max_size"])
def test_the_line_says_that_a_number_of_things_is_whole(key, number):
    message = mistake(ACME + "[statuswatch]\n%s = %s\n" % (key, number))
    expected = "providers.ini: [statuswatch] %s: expected a whole number above 0, got "
    assert message == expected % key + repr(number)


@pytest.mark.parametrize("key", ["interval", "timeout", "workers", "max_size"])
@pytest.mark.parametrize(
    "number",
    ["", "x", "0", "-1", "-0.0", "nan", "inf", "-inf", "1e9", "1e400", "1,5", "0x10"]
    + ["5 s", "1 2", "--1", "½"],
)
def test_a_bad_number_is_a_mistake_of_its_key(key, number):
    message = mistake(ACME + "[statuswatch]\n%s = %s\n" % (key, number))
    assert message.startswith("providers.ini: [statuswatch] %s: expected a " % key)


@pytest.mark.parametrize("key", ["interval", "timeout"])
@pytest.mark.parametrize("number, value", [("0.5", 0.5), ("1e2", 100), ("+7", 7)])
def test_a_number_of_seconds_need_not_be_whole(key, number, value):
    provider = providers(ACME + "[Acme]\n%s = %s\n" % (key, number))[0]
    assert getattr(provider, key) == value


def test_workers_are_none_of_a_providers_keys():
    message = mistake(ACME + "[Acme]\nworkers = 3\n")
    assert message.startswith("providers.ini: [Acme] workers: unknown key")


@pytest.mark.parametrize("number", ["0", "0.0", "-0", "1", "2.5", "999999999"])
def test_a_hold_may_be_nothing(number):
    assert providers(ACME + "[Acme]\nhold = " + number)[0].hold == float(number)


@pytest.mark.parametrize("number", ["", "-1", "nan", "inf", "1e9", "a", "5 s"])
def test_a_bad_hold_is_a_mistake_of_its_key(number):
    message = mistake(ACME + "[Acme]\nhold = " + number)
    expected = "providers.ini: [Acme] hold: expected a number, 0 or above, got "
    assert message == expected + repr(number)


@pytest.mark.parametrize("word", ["show", "hide"])
def test_untagged_incidents_are_shown_or_hidden(word):
    assert providers(ACME + "[Acme]\nuntagged = " + word)[0].untagged == word


@pytest.mark.parametrize("names", ["", ",", "new_incident, x", "new incident"])
def test_events_are_of_the_three_types(names):
    message = mistake(ACME + "[Acme]\nevents = " + names)
    assert message == (
        "providers.ini: [Acme] events: expected some of "
        "new_incident, incident_update, component_status_change, got %r" % names
    )


def test_a_product_without_a_visible_character_is_a_mistake():
    message = mistake(ACME + "[Acme]\nproduct = \u200b\n")
    assert message.startswith("providers.ini: [Acme] product: expected a name")


def test_white_space_in_names_of_components_is_that_of_pages():
    text = ACME + "[Acme]\ncomponents = Chat   API ,\u200bWeb, a*[b]?\n"
    assert providers(text)[0].components == ("chat api", "web", "a*[b]?")


@pytest.mark.parametrize("names", [",", " , ,"])
def test_a_list_of_no_names_is_a_mistake_and_not_a_filter_that_nothing_passes(names):
    message = mistake(ACME + "[Acme]\ncomponents = %s\n" % names)
    assert message.startswith("providers.ini: [Acme] components: expected a name")


def test_a_comma_too_many_names_nothing():
    text = ACME + "[Acme]\ncomponents = Chat,, Batch,\n"
    assert providers(text)[0].components == ("chat", "batch")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://status.acme.test",
        "javascript:alert(1)",
        "https:status.acme.test",
        "https://",
        "https:///history.rss",
        "//status.acme.test",
        "https://:443/",
        "https://user:hunter2@",
        "https://status.acme.test:0",
        "https://status.acme.test:65536",
        "https://status.acme.test:-1",
        "https://status.acme.test:port",
        "https://[::1",
        "https://status..acme.test",
        "https://%s.test" % ("a" * 64),
        "status.acme.test:443",
        "https://status.acme\u202e.test",
        "https://status.acme.test/\x1b[2J",
        "https://status.acme.test/\u200b",
    ],
)
def test_a_bad_url_is_a_mistake_of_its_provider(url):
    message = mistake_in_value(url)
    assert message.startswith("providers.ini: [providers] Acme: bad URL")
    with pytest.raises(ValueError, match="bad URL"):
        is_page(url)


@pytest.mark.parametrize(
    "text",
    [
        "[providers]\nAcme = ftp://user:hunter2@status.acme.test\n",
        "[providers]\nAcme = https://user:hunter2@status.acme.test:port\n",
        "[providers]\nAcme = https://user:hunter2@\n",
        "[providers]\nAcme = https://user:hunter2@[::1\n",
        "[providers]\nAcme = https://user:hunter2#@status.acme.test\n",
        "[providers]\nAcme = https://user:hunter2/@status.acme.test\n",
        "[providers]\nAcme = https://user:hunter2?@status.acme.test\n",
        "[providers]\nAcme = ftp://status.acme.test/?token=hunter2\n",
        "[providers]\nAcme = ftp://status.acme.test/#hunter2\n",
        "[providers]\nAcme = https://a:hunter2@b.test https://c:hunter2@d.test\n",
        "[providers]\nAcme = https://user:hunter2@status.acme.test nonsense\n",
        "[providers]\n= https://user:hunter2@status.acme.test\n",
        "[providers]\nAcme = https://a.test\nAcme = https://a:hunter2@status.b.test\n",
        "Acme = https://user:hunter2@status.acme.test\n",
        "[providers]\nAcme\n  https://user:hunter2@status.acme.test\n",
    ],
)
def test_a_password_never_appears_in_a_message(text):
    assert "hunter2" not in mistake(text)


def test_each_url_may_stand_in_two_providers():
    text = "[providers]\nApi = %s\nSite = %s\n" % (FEED, FEED)
    assert [provider.urls for provider in providers(text)] == [(FEED,), (FEED,)]


# Files.


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_file_is_utf_8_with_or_without_a_byte_order_mark(tmp_path, encoding):
    path = tmp_path / "providers.ini"
    path.write_text("[providers]\nZażółć = %s\n" % PAGE, encoding=encoding)
    assert load_config(str(path), 12).providers == (
        Provider("Zażółć", (PAGE,), interval=12),
    )


def test_lines_may_end_as_on_windows(tmp_path):
    path = tmp_path / "providers.ini"
    path.write_bytes((ACME + "[Acme]\nproduct = API\n").replace("\n", "\r\n").encode())
    assert load_config(str(path)).providers == (
        Provider("Acme", (PAGE,), product="API"),
    )


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_another_encoding_is_a_mistake_of_the_file(tmp_path, encoding):
    path = tmp_path / "providers.ini"
    path.write_text("[providers]\nCafé = %s\n" % PAGE, encoding=encoding)
    with pytest.raises(ConfigError) as caught:
        load_config(str(path))
    message = str(caught.value)
    assert message.isprintable() and message.startswith("%s: " % path)


def test_a_file_that_cannot_be_read_is_a_mistake(tmp_path):
    for path in (tmp_path / "missing.ini", tmp_path):
        with pytest.raises(ConfigError) as caught:
            load_config(str(path))
        message = str(caught.value)
        assert message.isprintable() and message.startswith("%s: " % path)
        assert isinstance(caught.value.__cause__, OSError)


# Laws.


@given(st.text())
@example("[providers]\nAcme = https://[::1")
@example("[")
@example("[providers]\n\x85= x")
@example("[]\nx")
@example("[providers]\nAcme\n x")
@example("[providers]\nAcme = //\ud800")
def test_any_text_is_a_configuration_or_a_mistake_in_one_line(text):
    try:
        parse_config(text, "providers.ini")
    except ConfigError as exc:
        assert str(exc).isprintable()


@given(st.text())
def test_any_value_is_a_provider_or_a_mistake_of_it(value):
    try:
        parse_config("[providers]\nAcme = " + value, "providers.ini")
    except ConfigError as exc:
        assert str(exc).isprintable() and "providers.ini" in str(exc)
