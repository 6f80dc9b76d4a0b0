"""README.md is true: what it shows is run or parsed, what it lists is compared."""

import configparser
import datetime
import fcntl
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

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
FOREIGN = {"scp", "git", "journalctl"}


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


HEADS = {"Platform", "Section", "Option", "Key", "Status"}


def commands():
    """Everything that the README says to type, as lists of words."""
    lines = "".join(blocks("sh")).splitlines()
    lines += re.findall(r"^\$ (.*)", "".join(blocks("console")), re.M)
    return [shlex.split(line) for line in lines]


def arguments_of(words):
    """The arguments, where the words run statuswatch; None where they do not."""
    for number, word in enumerate(words):
        if word in ("statuswatch", "scripts/run"):
            return words[number + 1 :] if number == 0 else None
        if word.endswith("statuswatch.py") and "python3" in words[number - 1]:
            return words[number + 1 :]
    return None


def parse_arguments(arguments):
    """The options; a test fails where an option does not exist."""
    return statuswatch.build_parser().parse_args(arguments)


def unit():
    """The systemd unit."""
    (text,) = blocks("systemd")
    parser = configparser.ConfigParser(interpolation=None, delimiters="=")
    parser.optionxform = str
    parser.read_string(text)
    return parser


def crontab_command():
    """The words of the crontab line after its five times."""
    (line,) = "".join(blocks("crontab")).splitlines()
    times, command = line.split(None, 5)[:5], line.split(None, 5)[5]
    assert times == ["*"] * 5
    assert "%" not in command, "cron makes a new line of it"
    return shlex.split(command)


# Blocks, links, prose


def test_every_block_has_a_kind_that_is_checked():
    kinds = "console sh ini json crontab systemd python".split()
    kinds += ["ini error", "text log", "text events"]
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
    words = re.findall(r"\b(?:scripts|tests)/\w+", README)
    assert {"scripts/run", "scripts/test", "scripts/demo"} <= set(words)
    for word in words:
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
    floor = setup["options"]["python_requires"].lstrip(">=")
    newest = re.findall(r":: (3\.\d+)$", setup["metadata"]["classifiers"], re.M)[-1]
    assert "Python %s to %s" % (floor, newest) in README


# The session and other output


def tell(fake, providers):
    """What a watcher prints of the demo's story when it polls after every step."""
    module, demo = load_script("fakepage"), load_script("demo")
    (provider,) = statuswatch.parse_config(providers, "providers.ini").providers
    watch = statuswatch.Watch(provider, {})
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


def test_the_events_have_the_documented_format():
    for text in blocks("text events"):
        assert "".join(EVENT.findall(text)) == text


def test_the_events_are_what_format_text_makes_of_them():
    (text,) = blocks("text events")
    first, second = EVENT.findall(text)
    at = datetime.datetime(2025, 2, 24, 14, 32, tzinfo=statuswatch.UTC)
    event = Event("NEW_INCIDENT", "OpenAI", "OpenAI API", ("Chat Completions",))
    message = "Investigating upstream database connectivity issue"
    told = event._replace(status="investigating", message=message, occurred_at=at)
    assert statuswatch.format_text(told) == first
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
    assert openai.components == ("chat completions", "embeddings")
    assert openai.maintenance and openai.platform == "incident.io"
    assert (github.platform, github.interval) == ("statuspage", 60)
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
    shown = {"the name": "", "all": (), "no": False, "none": "none"}
    for section, key, default, _ in table("Section", "Key", "Default", "Meaning"):
        key = key.strip("`")
        if section == "`[statuswatch]`":
            assert float(default) == actual[key], key
        elif section != "`[providers]`" and key not in statuswatch.SETTINGS:
            assert shown[default] == getattr(provider, key), key


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


@pytest.mark.parametrize(
    "flavour, platform", [("incidentio", "incident.io"), ("statuspage", "statuspage")]
)
def test_the_sources_of_a_page_without_a_platform_are_found(flavour, platform):
    fetcher = statuswatch.Fetcher(1)
    with load_script("fakepage").FakePage(flavour) as fake:
        fake.do('component api "API" operational')
        watch = statuswatch.Watch(Provider("Acme", (fake.url,)), {})
        found = {source.url for source in statuswatch.find_sources(watch, fetcher)}
        fetcher._adapter.close()
    wanted = [fake.url + paths[0] for paths in statuswatch.PLATFORMS[platform]]
    assert found == set(wanted)


def test_a_page_whose_address_changes_is_asked_at_the_new_one():
    old = Provider("Acme", ("http://127.0.0.1:1",))
    stored = statuswatch.Watch(old, {"found": ["/feed.rss"]}).stored()
    watch = statuswatch.Watch(old._replace(urls=("http://127.0.0.1:2",)), stored)
    assert [source.url for source in watch.sources] == ["http://127.0.0.1:2/feed.rss"]


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
    places = [README.index(place) for place in order]
    assert places == sorted(places)


# Commands


def test_every_command_is_one_that_can_be_checked():
    for words in commands():
        if words[0] not in FOREIGN and arguments_of(words) is None:
            known = words[0].startswith("scripts/") and (ROOT / words[0]).is_file()
            known = known or words[0] in ("ssh", "sudo") or words[1:3] == ["-m", "pip"]
            assert known, words


def test_every_command_of_ours_has_options_that_exist():
    ours = [arguments_of(words) for words in commands()]
    ours = [arguments for arguments in ours if arguments is not None]
    assert len(ours) >= 6
    for arguments in ours:
        parse_arguments(arguments)


def test_the_shell_reads_every_block():
    lines = re.findall(r"^\$ (.*)", "".join(blocks("console")), re.M)
    for text in [*blocks("sh"), "\n".join(lines)]:
        subprocess.run(["sh", "-n", "-c", text], check=True)


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
    assert int(defaults["`--workers N`"]) == statuswatch.WORKERS
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
    assert shown == ["0", "1", "2", str(statuswatch.EX_TEMPFAIL), "128 + *n*"]
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
    watch = statuswatch.Watch(Provider("Acme", ("http://127.0.0.1:9",)), {})
    watch.memory = Tracker(watch.provider, "", NOW).memory()
    state.providers["Acme"] = watch.stored()
    state.save()
    (line,) = state.path.read_text(encoding="ascii").splitlines()
    stored = json.loads(line)
    assert state.path.stat().st_mode & 0o777 == 0o600
    assert list(stored) == ["version", "sha256", "providers"]
    assert sorted(stored["providers"]["Acme"]) == ["found", "memory", "sources"]
    for key in (*stored, *stored["providers"]["Acme"]):
        assert "`%s`" % key in README


def test_the_unit_starts_what_the_commands_install():
    service = unit()["Service"]
    words = shlex.split(service["ExecStart"])
    options = parse_arguments(arguments_of(words))
    installed = [words[-1] for words in commands() if words[:2] == ["sudo", "install"]]
    assert installed == [words[1], options.config]
    assert options.state == "/var/lib/%s/state.json" % service["StateDirectory"]
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
    assert unit()["Install"]["WantedBy"] == "multi-user.target"


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
    ):
        assert text % number in README
    assert sw.RETRY_AFTER_CAP == 3600 and "`Retry-After` up to an hour" in README
    assert "{:,} elements".format(sw.MAX_NODES) in README
    assert README.count("%s polls" % words[sw.PATIENCE]) == 2
    assert "on the %s read without it" % words[sw.ABSENT] in README
    assert "on the %s where another source" % words[sw.ABSENT_ELSEWHERE] in README


def test_the_names_of_the_interface_are_all_told():
    section = README.partition("## Vendoring")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([A-Za-z_]+)(?:\(.*?\))?`", section))
    missing = {name for name in statuswatch.__all__ if name not in named}
    assert missing == set()


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
    (code,) = blocks("python")
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


# Limits


def test_the_latest_of_several_updates_of_an_incidentio_feed_is_told():
    fetcher = statuswatch.Fetcher(1)
    with load_script("fakepage").FakePage("incidentio") as fake:
        fake.do('component api "API" operational')
        watch = statuswatch.Watch(Provider("A", (fake.url,), "incident.io"), {})
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
