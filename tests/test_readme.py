"""README.md is true: what it shows is run or parsed, what it lists is compared."""

import configparser
import datetime
import fcntl
import inspect
import json
import os
import pathlib
import queue
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time

import pytest
import statuswatch
from fakes import load_script
from statuswatch import Config, Event, Provider, Source, Tracker

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MODULE = (ROOT / "statuswatch.py").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(.*)\n((?:.*\n)*?)^```$", README, re.M)
EVENT = re.compile(
    r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] Product: \S.*\nStatus: [A-Z].*\n\n"
)
NOW = datetime.datetime(2026, 1, 1, tzinfo=statuswatch.UTC)
LOG_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (INFO|WARNING|ERROR) +(\S.*)")

# What the README may tell people to type that is not ours, and is not checked further.
FOREIGN = {"scp", "git", "journalctl", "docker"}


def blocks(kind):
    """The code blocks whose info string is exactly this."""
    return [text for info, text in BLOCKS if info == kind]


def table(*head):
    """The rows of the one table with these column heads; a row is a list of cells."""
    rows = re.findall(r"^\|(.*)\|\n", README, re.M)
    cells = [[cell.strip() for cell in row.split(" |")] for row in rows]
    cells = [[cell.lstrip("| ") for cell in row] for row in cells]
    (start,) = (number for number, row in enumerate(cells) if row == list(head))
    found = []
    for row in cells[start + 2 :]:
        if len(row) != len(head) or row[0] in HEADS:
            break
        found.append(row)
    return found


HEADS = {"Platform", "Section", "Option", "Key", "Status", "File", "Metric"}
HEADS.add("Kind of tool")


def commands():
    """Everything that the README says to type, as lists of words."""
    lines = "".join(blocks("sh")).splitlines()
    shown = [text for info, text in BLOCKS if info.split()[0] == "console"]
    lines += re.findall(r"^\$ (.*)", "".join(shown), re.M)
    return [shlex.split(line) for line in lines]


def arguments_of(words):
    """The arguments, where the words run statuswatch; None where they do not."""
    for number, word in enumerate(words):
        if word in ("statuswatch", "scripts/run"):
            return words[number + 1 :] if number == 0 else None
        if re.search(r"statuswatch\.pyz?$", word) and "python3" in words[number - 1]:
            return words[number + 1 :]
        if word == "./statuswatch.pyz":
            return words[number + 1 :]
    return None


def parse_arguments(arguments):
    """The options; a test fails where an option does not exist."""
    return statuswatch.build_parser().parse_args(arguments)


def unit():
    """The systemd unit that the README says to install."""
    (path,) = (words[-2] for words in commands() if words[-2:][0].endswith(".service"))
    parser = configparser.ConfigParser(interpolation=None, delimiters="=", strict=False)
    parser.optionxform = str
    parser.read_string((ROOT / path).read_text(encoding="utf-8"))
    return parser


def crontab_command():
    """The words of the crontab line after its five times."""
    (line,) = "".join(blocks("crontab")).splitlines()
    times, command = line.split(None, 5)[:5], line.split(None, 5)[5]
    assert times == ["*"] * 5
    assert "%" not in command, "cron makes a new line of it"
    return shlex.split(command)


# The programs that the README hands events to.
EXAMPLES = ("to-mail", "to-slack", "to-pagerduty", "to-apprise")


# Blocks, links, prose


def test_every_block_has_a_kind_that_is_checked():
    kinds = ["console", "console probe", "console status", "sh", "ini", "json"]
    kinds += ["ini error", "text log", "text events", "crontab"]
    kinds += ["python monitor", "python iterate", "python parse"]
    kinds += ["sh " + name for name in EXAMPLES]
    assert {info for info, _ in BLOCKS} == set(kinds)


def test_every_local_link_leads_somewhere():
    heads = re.findall(r"^#+ (.*)", README, re.M)
    anchors = {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in heads}
    targets = re.findall(r"\]\(([^)\s]+)\)", README)
    assert targets
    for target in targets:
        if target.startswith("#"):
            assert target[1:] in anchors
        elif "://" not in target:
            assert (ROOT / target).is_file(), target


def test_every_path_of_the_repository_exists():
    words = re.findall(r"\b(?:scripts|tests)/[\w./-]*\w", README)
    assert {"scripts/run", "scripts/test", "scripts/demo"} <= set(words)
    for word in words:
        assert (ROOT / word).exists(), word
        if re.fullmatch(r"scripts/[\w-]+", word):
            assert os.access(ROOT / word, os.X_OK), word


def test_there_are_no_badges_pictures_or_emoji():
    assert "![" not in README
    assert not re.search("[\u2600-\u27bf\U0001f000-\U0001ffff]", README)


def test_a_line_of_prose_has_one_sentence():
    prose = re.sub(r"^```(?:.*\n)*?^```$", "", README, flags=re.M)
    for line in prose.splitlines():
        if not line.startswith("|") and not line.startswith("- **R"):
            text = re.sub(r"\*\*.*?\*\*", "", line)
            assert not re.search(r"[a-z)`]\. [A-Z]", text), line


def test_the_first_sentence_is_that_of_the_package():
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    first = README.splitlines()[2]
    assert first == setup["metadata"]["description"]


def test_the_needs_and_the_addresses_are_those_of_the_package():
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    needs = re.findall(r"^[\w-]+", setup["options"]["install_requires"], re.M)
    installed = [words[-3:] for words in commands() if words[0] == "ssh"]
    assert sorted(needs) in [sorted(words) for words in installed]
    for need in needs:
        assert "`%s`" % need in README and "python3-%s" % need in README
    assert ["git", "clone", setup["metadata"]["url"]] in commands()
    for floor in load_script("matrix").floors():
        name, _, release = floor.partition("==")
        words = "`%s` %s" % (name, release), "%s, which comes with requests, may be %s"
        assert words[0] in README or words[1] % (name, release) in README
    floor = setup["options"]["python_requires"].lstrip(">=")
    newest = re.findall(r":: (3\.\d+)$", setup["metadata"]["classifiers"], re.M)[-1]
    assert "Python %s to %s" % (floor, newest) in README


# The session and other output


def tell(fake, providers):
    """What a watcher prints of the demo's story when it polls after every step."""
    module, demo = load_script("fakepage"), load_script("demo")
    (provider,) = statuswatch.parse_config(providers, "providers.ini").providers
    watch = statuswatch.Watch(provider)
    fetcher = statuswatch.Fetcher(1)
    now = datetime.datetime.now(statuswatch.UTC)
    fake.clock = lambda: now
    printed, seeded = [], False
    try:
        for step in module.parse_script(demo.STORY, "story"):
            if step.at and not seeded:
                assert not statuswatch.poll(watch, fetcher).events
                seeded = True
            now += datetime.timedelta(seconds=2)
            fake.do(step.line)
            if seeded:
                for source in watch.sources:
                    source.not_before = 0.0
                result = statuswatch.poll(watch, fetcher)
                assert not result.failed
                printed += map(statuswatch.format_text, result.events)
    finally:
        fetcher._adapter.close()
    return printed


def test_the_session_is_what_the_demo_prints():
    demo, fakepage = load_script("demo"), load_script("fakepage")
    (session,) = (text for text in blocks("console") if "scripts/demo" in text)
    command, _, shown = session.partition("\n")
    assert shlex.split(command)[:2] == ["$", "scripts/demo"]
    with fakepage.FakePage("incidentio", name="ExampleAI") as fake:
        printed = tell(fake, demo.CONFIG.format(interval=1, url=fake.url))
    events = EVENT.findall(shown)
    assert "".join(events) == shown
    timeless = [event.partition("]")[2] for event in printed]
    assert [event.partition("]")[2] for event in events] == timeless[: len(events)]
    assert len(events) >= 3


def look(at):
    """A poll of the page that the README looks at: its source and page pairs, twice.

    First as they are, then as if they were at the address that the README gives.
    """
    fetcher, clock = statuswatch.Fetcher(1), [at]
    with load_script("fakepage").FakePage("incidentio") as fake:
        fake.clock = lambda: clock[0]
        for step in load_script("demo").STORY.splitlines():
            seconds, _, step = step.partition(" ")
            clock[0] = at + datetime.timedelta(minutes=max(0, int(seconds) - 3))
            if int(seconds) <= 5 and "mouse" not in step:
                fake.do(step.strip())
        watch = statuswatch.Watch(Provider("ExampleAI", (fake.url,)))
        reads = statuswatch.poll(watch, fetcher).reads
        fetcher._adapter.close()
        there = [
            (Source(s.url.replace(fake.url, PAGE), etag=s.etag, modified=s.modified), p)
            for s, p in reads
        ]
    return watch.provider, reads, there


PAGE = "https://status.acme.test"
LOOKED_AT = datetime.datetime(2026, 11, 24, 8, 42, 20, tzinfo=statuswatch.UTC)


def test_the_session_of_a_probe_is_what_it_prints():
    (session,) = blocks("console probe")
    command, _, shown = session.partition("\n")
    assert parse_arguments(shlex.split(command)[2:]).urls == [PAGE]
    provider, reads, there = look(LOOKED_AT)
    troubles = statuswatch.find_troubles(provider, reads, LOOKED_AT)
    provider = provider._replace(urls=(PAGE,))
    assert statuswatch.format_probe(provider, there, troubles) == shown


def test_the_session_of_a_status_is_what_it_prints():
    (session,) = blocks("console status")
    shown = session.partition("\n")[2]
    provider, reads, _ = look(LOOKED_AT)
    troubles = statuswatch.find_troubles(provider, reads, LOOKED_AT)
    assert statuswatch.format_status(troubles, ["GitHub"], False) == shown


@pytest.mark.parametrize(
    "flavour, reason",
    [
        ("login", "a login page"),
        ("spa", "a single-page app"),
        ("otherschema", "a single-page app"),  # at its front
        ("marketing", "an HTML page"),
    ],
)
def test_a_look_alike_is_refused_as_the_log_says(flavour, reason, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["statuswatch"])
    with load_script("fakepage").FakePage(flavour) as fake:
        done = run("--probe", fake.url)
        asked = {request.path for request in fake.requests}
        said = done.stderr.decode().replace(fake.url, "https://www.acme.test")
        said = said.replace(fake.url.partition("//")[2], "www.acme.test")
    assert (done.returncode, done.stdout) == (1, b"") and reason in said
    assert len(asked) <= statuswatch.MAX_SEARCH + 1  # and where it is redirected to
    if flavour == "login":
        shown = [text for text in blocks("text log") if "no status page" in text]
        assert LOG_LINE.match(shown[0])[2] == LOG_LINE.match(said)[2]


def test_the_events_have_the_documented_format():
    for text in blocks("text events"):
        assert "".join(EVENT.findall(text)) == text


def test_the_events_are_what_format_text_makes_of_them():
    (text,) = blocks("text events")
    first, second, third = EVENT.findall(text)
    at = datetime.datetime(2025, 2, 24, 14, 32, tzinfo=statuswatch.UTC)
    event = Event("NEW_INCIDENT", "OpenAI", "OpenAI API", ("Chat Completions",))
    message = "Investigating upstream database connectivity issue"
    told = event._replace(status="investigating", message=message, occurred_at=at)
    assert statuswatch.format_text(told) == first
    at = datetime.datetime(2025, 2, 24, 15, 55, tzinfo=statuswatch.UTC)
    over = told._replace(type="INCIDENT_UPDATE", status="resolved", occurred_at=at)
    over = over._replace(message="A fix has been deployed", duration_s=83 * 60)
    assert statuswatch.format_text(over) == third
    at = datetime.datetime(2025, 2, 24, 15, 10, 33, tzinfo=statuswatch.UTC)
    event = Event(
        "COMPONENT_STATUS_CHANGE", "OpenAI", "OpenAI API", ("Embeddings API",)
    )
    told = event._replace(status="major_outage", occurred_at=at)
    assert statuswatch.format_text(told) == second


def test_the_json_line_has_all_keys_in_their_order():
    (line,) = blocks("json")
    shown = json.loads(line)
    assert list(shown) == list(Event._fields)
    at = {
        key: datetime.datetime.fromisoformat(shown[key].replace("Z", "+00:00"))
        for key in ("occurred_at", "detected_at")
    }
    event = Event(**{**shown, **at, "components": tuple(shown["components"])})
    assert statuswatch.format_json(event) == line


def test_the_table_of_keys_is_the_event():
    assert [row[0] for row in table("Key", "Meaning")] == [
        "`%s`" % name for name in Event._fields
    ]


def test_the_kinds_of_event_are_those_of_the_module():
    (kinds,) = (row[1] for row in table("Key", "Meaning") if row[0] == "`type`")
    assert set(re.findall("`(.*?)`", kinds)) == set(statuswatch.DETECTED)
    rows = table("Section", "Key", "Default", "Meaning")
    (kinds,) = (row[3] for row in rows if row[1] == "`events`")
    assert re.findall("`(.*?)`", kinds.upper()) == list(statuswatch.TYPES)


def test_every_log_line_is_one_that_the_program_can_write():
    # Every text in the module, with what is put into it replaced by "anything".
    texts = re.findall(
        r'"((?:[^"\\\n]|\\.)*)"(?:\s*\n\s*"((?:[^"\\\n]|\\.)*)")?', MODULE
    )
    texts = [text for pair in texts for text in (pair[0], "".join(pair))]
    forms = [re.sub(r"%[sdg]", ".+", re.escape(text)) for text in texts]
    forms = [form for form in forms if re.search("[a-z]{4}", form)]
    forms += [r"\[\S+\] \S+: .+"]  # a source and its error
    forms += [r"\S+: \[\S+\] \w+: unknown key, known: .+"]
    lines = "".join(blocks("text log")).splitlines()
    assert len(lines) >= 10
    for line in lines:
        match = LOG_LINE.fullmatch(line)
        assert match, line
        assert any(re.fullmatch(form, match[2]) for form in forms), line


def test_every_kind_of_log_line_of_the_watch_is_shown():
    sw, lines = statuswatch, "".join(blocks("text log"))
    for text in (sw.SEEDED, sw.MISSING, sw.FLOOD, sw.OFFLINE, sw.STORMY):
        assert re.search(re.sub(r"%[sdg]", ".+", re.escape(text)), lines), text
    for text in sw.DETECTED.values():
        assert re.search(re.sub(r"%[sdg]", ".+", re.escape(text)), lines), text
    assert (
        "%d providers report something within %d minutes"
        % (
            sw.STORM_SIZE,
            sw.STORM / 60,
        )
        in lines
    )
    storm = "When %d or more providers have news within %d minutes"
    assert storm % (sw.STORM_SIZE, sw.STORM / 60) in README
    assert "the last %d events of" % sw.MEMORY in lines
    assert sw.SUPPRESSED == 3600 and "kept back is told once an hour" in README


# Configuration


@pytest.mark.parametrize("text", blocks("ini"))
def test_every_configuration_is_accepted(text):
    assert statuswatch.parse_config(text, "providers.ini").providers


def test_the_configuration_that_is_wrong_is_refused_with_the_line_shown():
    (text,) = blocks("ini error")
    with pytest.raises(statuswatch.ConfigError) as caught:
        statuswatch.parse_config(text, "providers.ini")
    assert "ERROR    %s\n" % caught.value in "".join(blocks("text log"))


def test_the_example_shows_what_the_text_says_of_it():
    (text,) = blocks("ini")
    openai, github, acme = statuswatch.parse_config(text, "x").providers
    assert (openai.product, openai.interval) == ("OpenAI API", 15)
    assert openai.components == ("chat completions", "embeddings", "*api*")
    assert (openai.untagged, openai.hold) == ("hide", 120)
    assert openai.events == ("NEW_INCIDENT", "COMPONENT_STATUS_CHANGE")
    assert openai.maintenance and openai.platform == "incident.io"
    assert (github.platform, github.interval) == ("", 60)
    assert len(acme.urls) == 2


def test_the_table_of_settings_is_that_of_the_module():
    rows = table("Section", "Key", "Default", "Meaning")
    keys = {}
    for section, key, *_ in rows:
        keys.setdefault(section, []).append(key.strip("`"))
    assert sorted(keys) == ["`[`*name*`]`", "`[providers]`", "`[statuswatch]`"]
    assert sorted(keys["`[statuswatch]`"]) == sorted(statuswatch.SETTINGS)
    assert sorted(keys["`[`*name*`]`"]) == sorted(Provider._fields[3:])


def test_the_defaults_of_settings_are_those_of_the_module():
    (provider,), *common = statuswatch.parse_config("[providers]\nA=http://a", "x")
    actual = dict(zip(Config._fields[1:], common))
    actual.update(interval=provider.interval, timeout=provider.timeout)
    shown = {"the name": "", "no": False, "none": "none", "show": "show", "0": 0.0}
    alls = {"components": (), "events": statuswatch.TYPES}
    for section, key, default, _ in table("Section", "Key", "Default", "Meaning"):
        key = key.strip("`")
        if key == "workers":
            assert (default, actual[key]) == ("what it takes", 0)
        elif section == "`[statuswatch]`":
            assert float(default) == actual[key], key
        elif section != "`[providers]`" and key not in statuswatch.SETTINGS:
            expected = alls[key] if default == "all" else shown[default]
            assert expected == getattr(provider, key), key


def test_the_number_of_workers_is_chosen_as_told():
    rows = table("Section", "Key", "Default", "Meaning")
    (meaning,) = (row[3] for row in rows if row[1] == "`workers`")
    told = r"once; (\d+), or as many as are due in 0\.3 s .* up to (\d+);"
    found = re.search(told, meaning)
    least, most = found.groups()
    for count, wanted in ((1, int(least)), (3000, 30), (20000, int(most))):
        many = (Provider(str(n), ("http://127.0.0.1:9/feed",)) for n in range(count))
        watcher = statuswatch.Watcher(Config(tuple(many)), queue.Queue(), None)
        watcher._pool.shutdown()
        watcher.fetcher.close()
        assert watcher._workers == wanted
    assert statuswatch.SICK == 4 and "four times as many more" in meaning


@pytest.mark.parametrize("key", ["untagged", "min_impact"])
def test_the_words_that_a_key_may_have_are_told(key):
    rows = table("Section", "Key", "Default", "Meaning")
    (meaning,) = (row[3] for row in rows if row[1] == "`%s`" % key)
    for word in statuswatch.CHOICES[key]:
        assert "`%s`" % word in meaning


def test_the_values_of_min_impact_are_those_of_the_module():
    rows = table("Section", "Key", "Default", "Meaning")
    (meaning,) = (row[3] for row in rows if row[1] == "`min_impact`")
    assert tuple(re.findall("`(.*?)`", meaning)) == statuswatch.IMPACTS


def test_the_table_of_platforms_is_that_of_the_module():
    rows = table("Platform", "What is polled", "Notes")
    first = {
        name: [alternatives[0] for alternatives in paths]
        for name, paths in statuswatch.PLATFORMS.items()
    }
    shown = {row[0].strip("`"): re.findall("`(.*?)`", row[1]) for row in rows}
    assert shown == first
    for paths in statuswatch.PLATFORMS.values():
        for path in [path for alternatives in paths for path in alternatives]:
            assert "`%s`" % path in README


def test_what_a_platform_is_known_by_is_what_gives_it_away():
    for name, _, notes in table("Platform", "What is polled", "Notes"):
        hint, host = statuswatch.HINTS.get(name.strip("`")), None
        host = re.search("known by its host, such as `(.*?)`", notes)
        if host:
            assert re.search(hint, host[1]), host[1]
        else:
            assert bool(hint) == ("which its HTML tells" in notes), name


def test_every_platform_of_which_documents_are_tested_is_named():
    text = README.lower().replace(" ", "").replace("-", "")
    for folder in (ROOT / "tests" / "data").iterdir():
        if folder.name not in ("config", "invalid"):
            assert folder.name.replace("-", "") in text, folder.name


def test_the_file_of_providers_has_as_many_as_told():
    text = (ROOT / "providers.ini").read_text(encoding="utf-8")
    on = re.findall(r"(?m)^[^\s;#\[].* = https://", text)
    off = re.findall(r"(?m)^; \S.* = https://", text)
    assert len(on) > 100 and len(on) + len(off) > 300
    assert "has more than 300 vendors, grouped; more than 100 are on" in README


@pytest.mark.parametrize(
    "flavour, platform",
    [
        ("incidentio", "incident.io"),
        ("statuspage", "statuspage"),
        ("instatus", "instatus"),
        ("betterstack", "betterstack"),
        ("cachet", "cachet"),
    ],
)
def test_the_sources_of_a_page_without_a_platform_are_found(flavour, platform):
    fetcher = statuswatch.Fetcher(1)
    with load_script("fakepage").FakePage(flavour) as fake:
        fake.do('component api "API" operational')
        watch = statuswatch.Watch(Provider("Acme", (fake.url,)))
        result = statuswatch.poll(watch, fetcher)
        fetcher._adapter.close()
    wanted = [fake.url + paths[0] for paths in statuswatch.PLATFORMS[platform]]
    assert {source.url for source, _ in result.reads} == set(wanted)


def test_a_page_is_searched_in_the_order_told():
    fetcher = statuswatch.Fetcher(1)
    with load_script("fakepage").FakePage("rss") as fake:
        fake.do('component api "API" operational')
        platform, _ = statuswatch.find_sources(fake.url, fetcher)
        fetcher._adapter.close()
        asked = [request.path for request in fake.requests]
    assert platform == "feed" and len(asked) <= statuswatch.MAX_SEARCH
    firsts = [
        paths[0][0]
        for name, paths in statuswatch.PLATFORMS.items()
        if name not in statuswatch.HINTS
    ]
    order = ["/api/v2/summary.json", "/", *firsts, "/status.rss"]
    assert asked == list(dict.fromkeys(order))
    (told,) = re.findall(r"(?m)^First comes what its host .*", README)
    words = ["`/api/v2/summary.json`", "the page itself", "its HTML gives away"]
    words += ["the first path of each platform", "the feeds that its HTML links to"]
    places = [told.index(each) for each in words]
    assert places == sorted(places)


def test_a_page_whose_address_changes_is_searched_anew():
    assert "Where a page's address changes, its sources are found anew" in README
    old = Provider("Acme", ("http://127.0.0.1:1",))
    watch = statuswatch.Watch(old)
    watch.sources = [statuswatch.Source("http://127.0.0.1:1/feed.rss")]
    text = watch.stored()
    stored = json.loads(text)
    for url in ("http://127.0.0.1:1", "http://127.0.0.1:2"):
        watch = statuswatch.Watch(old._replace(urls=(url,)), text)
        expected = stored["found"] if url == old.urls[0] else [""]
        assert [source.url for source in watch.sources] == [url + expected[0]]


def test_a_reload_reads_the_file_that_was_read_first(monkeypatch, tmp_path):
    """An editor's rename must not make it fall through to the next place."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "providers.ini"
    file.write_text("[providers]\nAcme = http://127.0.0.1\n")
    options = parse_arguments([])
    (provider,) = statuswatch.read_config(options).providers
    assert provider.name == "Acme"
    file.unlink()
    with pytest.raises(statuswatch.ConfigError, match="^providers.ini: No such file"):
        statuswatch.read_config(options)


def test_the_places_of_the_file_are_those_that_are_searched(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(os.path, "exists", lambda path: False)
    with pytest.raises(statuswatch.ConfigError) as caught:
        statuswatch.read_config(parse_arguments([]))
    looked = str(caught.value).replace(str(tmp_path), "~").split(" looked for ")[1]
    beside = os.path.dirname(os.path.realpath(statuswatch.__file__))
    assert looked.split(", ") == [
        "providers.ini",
        os.path.join(beside, "providers.ini"),
        "~/.config/statuswatch/providers.ini",
        "/etc/statuswatch/providers.ini",
        "~/share/statuswatch/providers.ini",
    ]
    said = "`$XDG_CONFIG_HOME/statuswatch/providers.ini` (`~/.config`"
    order = ["./providers.ini", "beside `statuswatch.py`", said]
    order += ["/etc/statuswatch/providers.ini", "share/statuswatch"]
    (told,) = re.findall(r"(?m)^`\./providers\.ini`, .*", README)
    places = [told.index(place) for place in order]
    assert places == sorted(places)


# Commands


def test_every_command_is_one_that_can_be_checked():
    for words in commands():
        if words[0] not in FOREIGN and arguments_of(words) is None:
            known = words[0].startswith("scripts/") and (ROOT / words[0]).is_file()
            known = known or words[0] in ("ssh", "sudo") or words[1:3] == ["-m", "pip"]
            assert known, words


def test_every_command_of_ours_has_options_that_exist(monkeypatch):
    monkeypatch.setattr(statuswatch, "command", shlex.split)  # none is installed
    ours = [arguments_of(words) for words in commands()]
    ours = [arguments for arguments in ours if arguments is not None]
    assert len(ours) >= 6
    for arguments in ours:
        parse_arguments(arguments)


def test_the_shell_reads_every_block():
    lines = [shlex.join(words) for words in commands()]
    programs = [text for info, text in BLOCKS if info.split()[0] == "sh"]
    assert len(programs) > len(EXAMPLES)
    for text in [*programs, "\n".join(lines)]:
        subprocess.run(["sh", "-n", "-c", text], check=True)


def test_the_examples_of_the_help_are_those_of_the_text():
    (shown,) = (text for text in blocks("console") if "--once --json" in text)
    lines = statuswatch.EXAMPLES.partition(":\n")[2].splitlines()
    typed = [re.split(r"\s{2,}", line.strip())[0] for line in lines if line]
    assert shown.replace("$ ", "").replace("providers.ini", "FILE").splitlines() == (
        typed
    )


def test_the_commands_that_check_a_configuration_do_it(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    ran = 0
    for words in commands():
        arguments = arguments_of(words)
        if arguments and "--check-config" in arguments:
            assert statuswatch.main(arguments) == 0
            assert capsys.readouterr().out.startswith("OpenAI: https://")
            ran += 1
    assert ran


def test_what_excludes_each_other_is_told():
    (group,) = statuswatch.build_parser()._mutually_exclusive_groups
    names = ["`%s`" % action.option_strings[-1] for action in group._group_actions]
    told = "%s and %s exclude each other." % (", ".join(names[:-1]), names[-1])
    assert told in README


def test_the_metrics_command_has_options_that_exist(tmp_path):
    (words,) = (words for words in commands() if words[0] == "scripts/metrics")
    state = statuswatch.StateFile(str(tmp_path / words[1]))
    state.save()
    done = subprocess.run(
        [sys.executable, str(ROOT / words[0]), *words[1:]], cwd=tmp_path, timeout=60
    )
    made = {path.name for path in tmp_path.iterdir()}
    assert (done.returncode, made) == (0, {"state.json", "statuswatch.prom"})


def test_the_table_of_metrics_is_what_the_program_makes():
    families = load_script("metrics").families({}, 0.0)
    shown = [row[0].strip("`") for row in table("Metric", "Labels", "Meaning")]
    assert shown == [family.name for family in families]


def test_the_table_of_options_is_the_parser():
    actual = set()
    for action in statuswatch.build_parser()._actions:
        names = ["`%s`" % name for name in action.option_strings]
        if action.metavar and not names:
            names = ["`%s ...`" % action.metavar]
        elif action.metavar:
            names = ["`%s %s`" % (name.strip("`"), action.metavar) for name in names]
        actual.add(", ".join(names))
    assert {row[0] for row in table("Option", "Default", "Meaning")} == actual


def test_the_defaults_of_options_are_those_of_the_program():
    defaults = {row[0]: row[1] for row in table("Option", "Default", "Meaning")}
    options = parse_arguments([])
    assert options.interval is None and options.workers is None  # see the settings
    assert float(defaults["`--interval SEC`"]) == statuswatch.INTERVAL
    told = "%d, or what it takes" % statuswatch.WORKERS
    assert defaults["`--workers N`"] == told
    assert defaults["`--shard K/N`"] == "1/1" and options.shard is None
    for action in statuswatch.build_parser()._actions:
        said = re.search("default: (.*)", action.help or "")
        if said:
            names = [
                n for n in defaults if n.startswith("`%s" % action.option_strings[0])
            ]
            assert defaults[names[0]] == said[1]
    assert "below %g " % statuswatch.POLITE in README


def test_every_option_that_the_text_names_exists():
    prose = re.sub(r"^```(?:.*\n)*?^```$", "", README, flags=re.M)
    exist = set(statuswatch.build_parser()._option_string_actions)
    assert set(re.findall(r"`(--?[a-z][a-z-]*)", prose)) <= exist


def test_an_interval_of_a_provider_is_stronger_than_that_of_the_command_line():
    text = "[providers]\nA = http://a\nB = http://b\n[A]\ninterval = 5\n"
    a, b = statuswatch.parse_config(text, "x", 60.0).providers
    assert (a.interval, b.interval) == (5, 60)


# Exit statuses


def run(*arguments, **environment):
    """The program in a process of its own; it is told of nothing by our environment."""
    env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    env.update(environment, PYTHONDONTWRITEBYTECODE="1")
    command = [sys.executable, str(ROOT / "statuswatch.py"), *arguments]
    pipe = subprocess.PIPE
    return subprocess.run(command, stdout=pipe, stderr=pipe, env=env, timeout=60)


def test_the_table_of_exit_statuses_is_complete():
    shown = [row[0] for row in table("Status", "Meaning")]
    assert shown == ["0", "1", "2", "3", str(statuswatch.EX_TEMPFAIL), "128 + *n*"]
    assert "os._exit(128 + number)" in MODULE


def test_once_ends_with_the_documented_statuses(tmp_path):
    state = str(tmp_path / "state.json")
    with load_script("fakepage").FakePage("incidentio") as fake:
        fake.do('component api "API" operational')
        text = "[providers]\nAcme = %s incident.io\n" % fake.url
        (tmp_path / "good.ini").write_text(text)
        arguments = ["--once", "--config", str(tmp_path / "good.ini"), "--state", state]
        assert run(*arguments).returncode == 0
        with open(state + ".lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert run(*arguments).returncode == 75
        fake.do("fail 503 3600")
        failing = [*arguments[:3], "--state", str(tmp_path / "other.json")]
        done = run(*failing)
        assert (done.returncode, done.stderr.count(b"WARNING")) == (1, 2)
        asked = len(fake.requests)
        done = run(*failing)  # it is tried again, and that is not worth a warning
        assert (done.returncode, done.stderr) == (1, b"")
        assert len(fake.requests) > asked


def test_a_look_ends_with_the_documented_statuses(tmp_path):
    with load_script("fakepage").FakePage("statuspage") as fake:
        fake.do('component api "API" operational')
        assert run("--status", fake.url).returncode == 0
        fake.do("fail 503 3600 path=/history.atom")
        assert run("--status", fake.url + "/history.atom").returncode == 1
        assert run("--probe", fake.url + "/history.atom").returncode == 1
        fake.do("component api major_outage")
        summary = fake.url + "/api/v2/summary.json"
        assert run("--status", summary).returncode == 3
        assert run("--status", summary, fake.url + "/history.atom").returncode == 3
        assert run("--probe", summary).returncode == 0


def test_a_pause_that_the_server_asks_for_outlasts_a_run(tmp_path):
    arguments = ["--once", "--state", str(tmp_path / "state.json")]
    with load_script("fakepage").FakePage("incidentio") as fake:
        fake.do("fail 503 3600 retry-after=600")
        arguments.append(fake.url + "/feed.atom")
        assert run(*arguments).returncode == 1
        asked = len(fake.requests)
        assert run(*arguments).returncode == 1
        assert len(fake.requests) == asked == 1


def test_mistakes_and_newer_states_end_with_two(tmp_path):
    (tmp_path / "bad.ini").write_text(blocks("ini error")[0])
    assert run("--config", str(tmp_path / "bad.ini")).returncode == 2
    assert run("--no-such-option").returncode == 2
    newer = tmp_path / "state.json"
    newer.write_text(
        '{"version":%d,"providers":{}}' % (statuswatch.StateFile.VERSION + 1)
    )
    before = newer.read_bytes()
    done = run("--once", "--state", str(newer), "http://127.0.0.1:9/feed.atom")
    assert (done.returncode, newer.read_bytes()) == (2, before)


# Cron, systemd, state


def test_the_crontab_line_runs_once_and_quietly():
    options = parse_arguments(arguments_of(crontab_command()))
    text = (ROOT / "scripts" / "units" / "crontab").read_text(encoding="ascii")
    assert "".join(blocks("crontab")) in text
    assert options.once and options.quiet == 1
    assert options.config == "/etc/statuswatch/providers.ini"


def test_the_first_run_under_cron_has_nothing_to_mail(tmp_path):
    with load_script("fakepage").FakePage("incidentio") as fake:
        fake.do('component api "API" operational')
        (tmp_path / "p.ini").write_text("[providers]\nA = %s incident.io\n" % fake.url)
        arguments = arguments_of(crontab_command())
        arguments[arguments.index("--config") + 1] = str(tmp_path / "p.ini")
        home = {"XDG_STATE_HOME": str(tmp_path / "home")}
        done = run(*arguments, **home)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert "`$XDG_STATE_HOME/statuswatch/state.json`" in README
        names = {path.name for path in (tmp_path / "home" / "statuswatch").iterdir()}
        assert names == {"state.json", "state.json.lock"}


def test_the_state_file_is_as_described(tmp_path):
    state = statuswatch.StateFile(str(tmp_path / "state.json"))
    watch = statuswatch.Watch(Provider("Acme", ("http://127.0.0.1:9",)))
    watch.memory = Tracker(watch.provider, "", NOW).memory()
    state.providers["Acme"] = watch.stored()
    state.save()
    (line,) = state.path.read_text(encoding="ascii").splitlines()
    stored = json.loads(line)
    assert state.path.stat().st_mode & 0o777 == 0o600
    rows = [(row[0].strip("`"), row[1]) for row in table("Key", "In", "Is")]
    assert [key for key, place in rows if place == "the file"] == list(stored)
    members = [key for key, place in rows if place == "a provider"]
    assert members == list(stored["providers"]["Acme"])
    assert "the version of the format, %d |" % stored["version"] in README
    assert statuswatch.FORGET / 86400 == 90 and "not read for 90 days" in README
    assert statuswatch.REMEMBER == 60 and "at least once a minute" in README


def test_the_unit_starts_what_the_commands_install():
    service = unit()["Service"]
    words = shlex.split(service["ExecStart"])
    options = parse_arguments(arguments_of(words))
    copies = [words[2:] for words in commands() if words[:2] == ["sudo", "install"]]
    assert [copy[-1] for copy in copies[:2]] == [words[1], options.config]
    assert copies[2][-1] == "/etc/systemd/system/" and len(copies) == 3
    assert all((ROOT / copy[-2]).is_file() for copy in copies[1:])
    assert options.state == "${STATE_DIRECTORY}/state.json"
    assert service["StateDirectory"] == "statuswatch"
    assert words[0].startswith("/") and not options.once


def test_the_unit_has_what_the_program_speaks():
    service = unit()["Service"]
    assert service["Type"] == "notify"
    for word in ("READY=1", "WATCHDOG=1", "RELOADING=1", "STOPPING=1"):
        assert 'notify("%s")' % word in MODULE
    assert float(service["WatchdogSec"]) / 2 > statuswatch.WAKE
    assert service["ExecReload"].split() == ["/bin/kill", "-HUP", "$MAINPID"]
    assert "signal.SIGHUP" in MODULE
    assert service["RestartPreventExitStatus"] == "2"
    short = float(service["TimeoutStopSec"]) < statuswatch.EXEC_LINGER
    assert short == ("raise `TimeoutStopSec`" in README)
    assert unit()["Install"]["WantedBy"] == "multi-user.target"


def test_the_table_of_units_names_every_file():
    shown = " ".join(row[0] for row in table("File", "For"))
    files = {path.name for path in (ROOT / "scripts" / "units").iterdir()}
    assert set(re.findall("`(.*?)`", shown)) == files


# Rules, manners, vendoring


def test_every_rule_is_told_once_and_in_order():
    rules = re.findall(r"^- \*\*(R\d+) [a-z ]+\.\*\* \S", README, re.M)
    assert rules == ["R%d" % number for number in range(1, 16)]


def test_the_numbers_in_the_text_are_those_of_the_module():
    words = {2: "second", 3: "three", 10: "tenth"}
    sw = statuswatch
    for number, text in (
        (sw.MAX_TEXT, "cut at %d characters"),
        (sw.MEMORY, "at least %d of a provider"),
        (sw.AWAY / 60, "more than %d minutes before"),
        (sw.UNCONDITIONAL / 3600, "every %d hours"),
        (sw.BACKOFF_CAP / 60, "`max-age` is obeyed up to %d minutes"),
        (sw.BACKOFF_CAP / 60, "the pause doubles, up to %d minutes"),
        (sw.ATTEMPTS, "at most %d attempts"),
        (sw.MAX_HOPS, "At most %d redirects"),
        (sw.MOVED, "kept in mind after %d times"),
        (sw.MAX_SEARCH, "at most %d addresses are asked, in this order"),
        (sw.GONE, "looked for anew after more than %d failures in a row"),
        (sw.GONE, "polled on until it has failed more than %d times"),
        (sw.MAX_PARTS, "the latest %d updates are read"),
        (sw.EXEC_TIMEOUT, "It has %d seconds; then it is killed"),
        (sw.EXEC_LINGER, "what still waits has %d seconds in all"),
        (sw.EXEC_LINGER, "can make it longer, by %d seconds at most"),
    ):
        assert text % number in README
    assert sw.RETRY_AFTER_CAP == 3600 and "`Retry-After` up to an hour" in README
    assert "{:,} tags and attributes".format(sw.MAX_NODES) in README
    assert README.count("%s polls" % words[sw.PATIENCE]) == 2
    assert "on the %s read without it" % words[sw.ABSENT] in README
    assert "on the %s where another source" % words[sw.ABSENT_ELSEWHERE] in README


def test_the_names_of_the_interface_are_all_told():
    section = README.partition("## Vendoring")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([A-Za-z_]+)(?:\(.*?\))?`", section))
    missing = {name for name in statuswatch.__all__ if name not in named}
    assert missing == set()


@pytest.mark.parametrize("name", statuswatch.__all__)
def test_every_public_name_is_told_and_has_a_docstring(name):
    public = getattr(statuswatch, name)
    assert "`%s" % name in README.partition("## Vendoring")[2].partition("\n## ")[0]
    # What a NamedTuple has by itself is no docstring.
    assert public.__doc__ and not public.__doc__.startswith(name + "(")
    assert "__doc__" in vars(public) or callable(public)


def test_every_way_to_use_a_monitor_is_told_and_has_a_docstring():
    section = README.partition("## Vendoring")[2].partition("\n## ")[0]
    (line,) = re.findall(r"(?m)^- `Monitor\(.*", section)
    told = re.findall(r"`(\w+)\(.*?\)`", line.partition(" watches: ")[2])
    assert told == ["start", "stop", "is_running", "poll_once"]
    for name in told:
        assert getattr(statuswatch.Monitor, name).__doc__
    parameters = list(inspect.signature(statuswatch.Monitor).parameters.values())
    shown = re.search(r"`Monitor(\(.*?\))`", line)[1]
    bare = [each.replace(annotation=inspect.Parameter.empty) for each in parameters]
    assert shown.replace('"', "'") == str(inspect.Signature(bare))


def test_the_notice_is_in_the_first_three_lines():
    first = "".join(MODULE.splitlines(True)[:3])
    assert "SPDX-License-Identifier: MIT" in first and "Copyright" in first


def test_importing_the_module_starts_reads_and_configures_nothing(tmp_path):
    (tmp_path / "watchlib.py").write_text(MODULE, encoding="utf-8")
    code = (
        "import sys, threading, signal, logging; sys.dont_write_bytecode = True;"
        "before = signal.getsignal(signal.SIGINT);"
        "import watchlib;"
        "assert threading.active_count() == 1;"
        "assert signal.getsignal(signal.SIGINT) is before;"
        "assert not logging.getLogger().handlers;"
        "assert watchlib.log.name == 'watchlib'"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=60)


@pytest.mark.parametrize("path", ["/api/v2/summary.json", "/nowhere"])
def test_the_example_of_vendoring_runs(path, capsys):
    (code,) = blocks("python parse")
    with load_script("fakepage").FakePage("statuspage") as fake:
        fake.do('component api "API" major_outage')
        code = code.replace(
            "https://status.acme.test/api/v2/summary.json", fake.url + path
        )
        exec(compile(code, "README.md", "exec"), {})
    said = capsys.readouterr().out
    assert said.startswith(
        "API major_outage\n" if "api" in path else "no status page: "
    )


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.005)


def test_the_example_of_a_monitor_runs(caplog):
    (code,) = blocks("python monitor")
    fakepage = load_script("fakepage")
    with fakepage.FakePage("incidentio") as openai, fakepage.FakePage() as github:
        for fake in (openai, github):
            fake.do('component api "API" operational')
        code = code.replace("https://status.openai.com", openai.url)
        code = code.replace("https://www.githubstatus.com", github.url)
        code = code.replace("interval=60", "interval=0.1")
        assert code.count("...\n") == 1

        def meanwhile():
            wait_for(lambda: caplog.text.count("Seeded") == 2)
            openai.do("component api major_outage")
            github.do("component api partial_outage")
            wait_for(lambda: len(told()) == 2)

        def told():
            return [r.getMessage() for r in caplog.records if r.name == "vendors"]

        caplog.set_level("INFO")
        names = {"meanwhile": meanwhile}
        exec(compile(code.replace("...\n", "meanwhile()\n"), "README", "exec"), names)
        assert sorted(told()) == ["GitHub: partial_outage", "OpenAI: major_outage"]
        assert not names["monitor"].is_running()


def test_the_example_of_iterating_runs(capsys, caplog, monkeypatch, tmp_path):
    (code,) = blocks("python iterate")
    monkeypatch.chdir(tmp_path)
    caplog.set_level("INFO")
    with load_script("fakepage").FakePage() as fake:
        fake.do('component api "API" operational')
        text = "[providers]\nAcme = %s statuspage\n[statuswatch]\ninterval = 0.1\n"
        (tmp_path / "providers.ini").write_text(text % fake.url)
        made = []
        start = statuswatch.Monitor.start
        monkeypatch.setattr(
            statuswatch.Monitor, "start", lambda self: made.append(self) or start(self)
        )
        program = threading.Thread(
            target=exec, args=(compile(code, "README", "exec"), {}), daemon=True
        )
        program.start()
        wait_for(lambda: "Seeded" in caplog.text)
        fake.do("component api major_outage")
        wait_for(lambda: "detected 1 component" in caplog.text)
        wait_for(lambda: (tmp_path / "vendors.json").exists())
        made[0].stop()
        program.join(20)
        assert not program.is_alive()
    assert capsys.readouterr().out == "Acme major_outage None\n"


# Handing events on

RECORD = """#!/bin/sh
printf '%s\\n' "$@" >"$FOLDER/$(basename "$0").arguments"
cat >"$FOLDER/$(basename "$0").stdin"
"""


@pytest.fixture
def hand_on(tmp_path):
    """A function that has an example handed an event, by the command in the README."""
    folder = tmp_path / "bin"
    folder.mkdir()
    stubs = {name: RECORD for name in ("mail", "curl", "apprise")}
    stubs.update((name, blocks("sh " + name)[0]) for name in EXAMPLES)
    for name, text in stubs.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)

    def hand_on(example, **environment):
        (words,) = (words for words in commands() if example in " ".join(words))
        arguments = [word.replace("/usr/local/bin", str(folder)) for word in words[1:]]
        path = str(folder) + os.pathsep + os.environ["PATH"]
        more = {"PATH": path, "FOLDER": str(tmp_path), **environment}
        with load_script("fakepage").FakePage("statuspage") as fake:
            (tmp_path / "providers.ini").write_text(
                "[providers]\nAcme = %s statuspage\n[Acme]\nproduct = Acme Cloud\n"
                % fake.url
            )
            fake.do('component api "API" operational')
            options = ["--once", "--config", str(tmp_path / "providers.ini"), "-q"]
            options += ["--state", str(tmp_path / "state.json"), *arguments]
            for status in ("", "major_outage"):
                fake.do("component api " + status if status else "ok")
                done = run(*options, **more)
                assert (done.returncode, done.stderr) == (0, b"")
        return done.stdout.decode()

    return hand_on


def test_mail_is_sent(hand_on, tmp_path):
    printed = hand_on("to-mail")
    assert (tmp_path / "mail.stdin").read_text() == printed
    assert "Product: Acme Cloud - API\nStatus: Major outage\n" in printed
    assert (tmp_path / "mail.arguments").read_text().splitlines() == [
        "-s",
        "Acme Cloud: major_outage",
        "ops@acme.test",
    ]


def test_apprise_is_told(hand_on, tmp_path):
    printed = hand_on("to-apprise")
    assert (tmp_path / "apprise.stdin").read_text() == printed
    assert (tmp_path / "apprise.arguments").read_text().splitlines() == [
        "-t",
        "Acme Cloud",
        "tgram://TOKEN/CHAT",
    ]


def need_jq():
    if not shutil.which("jq"):
        pytest.skip("jq is not installed")


def test_slack_is_told(hand_on, tmp_path):
    need_jq()
    printed = hand_on("to-slack", SLACK_WEBHOOK="http://127.0.0.1:9/hook")
    assert json.loads((tmp_path / "curl.stdin").read_text()) == {"text": printed}
    arguments = (tmp_path / "curl.arguments").read_text().splitlines()
    assert arguments[-1] == "http://127.0.0.1:9/hook"


def test_pagerduty_is_told(hand_on, tmp_path):
    need_jq()
    printed = hand_on("to-pagerduty", PAGERDUTY_KEY="key")
    sent = json.loads((tmp_path / "curl.stdin").read_text())
    assert sent["payload"].pop("source").endswith("/api/v2/summary.json")
    key = sent.pop("dedup_key")
    assert key.startswith("Acme ") and "null" not in key
    assert sent == {
        "routing_key": "key",
        "event_action": "trigger",
        "payload": {"summary": printed, "severity": "warning"},
    }


@pytest.mark.parametrize(
    "status, action",
    [
        ("resolved", "resolve"),
        ("completed", "resolve"),
        ("operational", "resolve"),
        ("monitoring", "trigger"),
        ("not_resolved", "trigger"),
        (None, "trigger"),
    ],
)
def test_pagerduty_is_told_of_an_end(status, action):
    need_jq()
    program = re.search("jq '(.*?)'", blocks("sh to-pagerduty")[0], re.S)[1]
    event = Event("INCIDENT_UPDATE", "Acme", "Acme", status=status, incident_id="i1")
    done = subprocess.run(
        ["jq", program],
        input=statuswatch.format_json(event).encode(),
        env={"PATH": os.environ["PATH"], "STATUSWATCH_TEXT": "x" * 2000},
        stdout=subprocess.PIPE,
        check=True,
    )
    sent = json.loads(done.stdout)
    assert (sent["event_action"], sent["dedup_key"]) == (action, "Acme i1")
    assert len(sent["payload"]["summary"]) == 1024


# CONTRIBUTING.md, CHANGELOG.md, scripts/bench.md

CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_contributing_is_one_page_and_says_what_the_shape_is():
    assert len(CONTRIBUTING.splitlines()) <= 80
    shape = {}
    for line in (ROOT / "tests" / "test_style.py").read_text("utf-8").splitlines():
        found = re.match(r"(M[A-Z_]+) = (\d+)", line)
        shape.update([found.groups()] if found else [])
    words = "at most {:,} lines (`MAX_LINES` in `tests/test_style.py`)"
    assert words.format(int(shape["MAX_LINES"])) in CONTRIBUTING
    assert "no function over %s," % shape["MAX_FUNCTION_LINES"] in CONTRIBUTING
    assert "`MOST_LINES` is what it has at most" in CONTRIBUTING
    assert int(shape["MOST_LINES"]) > 0


def test_every_program_is_told_of_and_every_one_told_of_exists():
    text = README + CONTRIBUTING
    told = set(re.findall(r"\b(scripts/[\w./-]*\w|tests/\w+\.py|\.ci/run)", text))
    for name in told:
        assert (ROOT / name).exists(), name
    programs = {"scripts/" + path.name for path in (ROOT / "scripts").iterdir()}
    assert programs - told <= {"scripts/venv"}  # which all others run


def test_contributing_says_what_ci_runs():
    ran = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-3:]
    assert " && ".join(ran[:2]) in CONTRIBUTING and "`%s`" % ran[2] in CONTRIBUTING


def test_what_contributing_says_to_run_has_options_that_exist():
    lines = re.findall(r"(?m)^    (scripts/.*?)(?:  +#.*)?$", CONTRIBUTING)
    assert len(lines) > 5
    for line in lines:
        program, *options = line.split("&&")[0].split()
        usage = (ROOT / program).read_text(encoding="utf-8")
        for option in options:
            assert option == "--help" or option in usage, line


def test_the_changelog_names_every_option_that_does_something():
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    usual = {"--help", "--version", "--verbose", "--quiet", "--workers", "--config"}
    usual.add("--interval")
    for action in statuswatch.build_parser()._actions:
        for name in set(action.option_strings[-1:]) - usual:
            assert "`%s" % name in changes, name
    for key in set(Provider._fields[3:]):
        assert "`%s`" % key in changes, key
    for name in statuswatch.PLATFORMS:
        assert name.replace("-", " ") in changes.lower().replace(
            "better stack", "betterstack"
        )


def test_what_bench_md_says_to_type_has_options_that_exist():
    text = (ROOT / "scripts" / "bench.md").read_text(encoding="utf-8")
    usage = (ROOT / "scripts" / "bench").read_text(encoding="utf-8")
    options = set(re.findall(r"`(--[a-z]+)|bench (--[a-z]+)", text))
    options = {one or other for one, other in options}
    assert {"--quick", "--only", "--markdown"} <= options
    ours = set(statuswatch.build_parser()._option_string_actions)
    for option in options - ours:
        assert 'add_argument("%s"' % option in usage or '"%s"' % option in usage


# Limits


def test_the_latest_of_several_updates_of_an_incidentio_feed_is_told():
    fetcher = statuswatch.Fetcher(1)
    with load_script("fakepage").FakePage("incidentio") as fake:
        fake.do('component api "API" operational')
        watch = statuswatch.Watch(Provider("A", (fake.url,), "incident.io"))
        statuswatch.poll(watch, fetcher)
        fake.do('incident db investigating impact=major "Errors" "One."')
        fake.do('update db identified "Two."')
        for source in watch.sources:
            source.not_before = 0.0
        told = statuswatch.poll(watch, fetcher).events
        fetcher._adapter.close()
    assert [(event.message, event.impact) for event in told] == [("Two.", None)]


def test_an_entry_of_another_feed_is_told_without_a_status():
    feed = b"<rss><channel>%s</channel></rss>"
    entry = b"<item><guid>1</guid><title>Printer on fire</title></item>"
    tracker = Tracker(Provider("Acme", ("http://a/feed",)), "", NOW)
    source = Source("http://a/feed", seeded=True)
    tracker.observe([(source, statuswatch.parse(feed % entry))])
    (event,) = tracker.events
    assert "Status: Unknown" in statuswatch.format_text(event)
