"""What people type, what they see, and the status that scripts get."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import io
import json
import logging
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import pytest
import statuswatch
from fakes import load_script
from faults import FaultServer
from statuswatch import Config, Provider, Watcher, main

FakePage = load_script("fakepage").FakePage
ROOT = Path(__file__).resolve().parents[1]
PROGRAM = [sys.executable, str(ROOT / "statuswatch.py")]
MODULE = [sys.executable, "-m", "statuswatch"]
SUMMARY = "/api/v2/summary.json"
BOUND = 20  # seconds: no program under test runs for longer
LOG_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (ERROR|WARNING|INFO|DEBUG) +\S")


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    """A user who has nothing, in an empty folder; the module is somewhere else."""
    for name in list(os.environ):
        if name.startswith("XDG_"):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    work = tmp_path / "work"
    home.mkdir()
    work.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(work)
    return home


@pytest.fixture
def fake():
    with FakePage() as fake:
        fake.do('component api "API" operational')
        yield fake


@pytest.fixture
def server():
    with FaultServer() as server:
        yield server


@pytest.fixture
def exits(monkeypatch):
    """The statuses with which os._exit was called; it returns."""
    exits = []
    monkeypatch.setattr(os, "_exit", exits.append)
    return exits


def write(text, path="providers.ini"):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")


def watch(*lines, path="providers.ini", **sections):
    """Write a providers.ini."""
    write("[providers]\n" + "".join("%s\n" % line for line in lines), path)


def run(capsys, *argv):
    """(exit status, output, log lines without their times) of main()."""
    capsys.readouterr()
    with own_logging():
        code = main(argv)
    out, err = capsys.readouterr()
    return code, out, [log_line(line) for line in err.splitlines()]


@contextlib.contextmanager
def own_logging():
    """The root logger is as in a new program, so that main() sets it up."""
    loggers = logging.root, logging.getLogger("urllib3")
    before = [(logger, logger.level, logger.handlers) for logger in loggers]
    logging.root.handlers = []
    try:
        yield
    finally:
        for logger, level, handlers in before:
            logger.setLevel(level)
            logger.handlers = handlers


def log_line(line):
    assert LOG_LINE.match(line), line
    return line[20:]


def usage_error(capsys, *argv):
    """What is said to a wrong command line."""
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == "" and "Traceback" not in err
    return err.splitlines()[-1]


@contextlib.contextmanager
def signals(*numbers_and_conditions):
    """Send ourselves signals: each as soon as the condition before it is true."""

    def send():
        for condition, number in numbers_and_conditions:
            wait_for(condition)
            os.kill(os.getpid(), number)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        thread.join(BOUND)


def wait_for(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.005)


# --- Words about ourselves. ---


def test_the_version_is_said(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert not caught.value.code
    assert capsys.readouterr().out == "statuswatch %s\n" % statuswatch.__version__


def test_a_caller_may_catch_the_output():
    watch("Acme = https://status.acme.test statuspage")
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(["--check-config"]) == 0
    assert out.getvalue().startswith("Acme: https://status.acme.test/")


def test_the_help_names_every_option_and_ends_with_examples(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert not caught.value.code
    out = capsys.readouterr().out
    options = "--config --interval --once --state --json --check-config --workers"
    options += " --status --probe --exec --shard"
    for option in (options + " -v -q --version --help URL").split():
        assert option in out
    assert out.endswith("examples:\n" + out.rpartition("examples:\n")[2])
    examples = out.rpartition("examples:\n")[2].splitlines()
    assert examples and all(line.startswith("  statuswatch") for line in examples)
    for group in ("what to watch", "what to do instead", "what to remember"):
        assert "\n%s" % group in out
    assert max(map(len, out.splitlines())) <= 88


@pytest.mark.parametrize(
    "argv, words",
    [
        (["--interval", "0"], "argument --interval: "),
        (["--interval", "-1"], "argument --interval: "),
        (["--interval", "nan"], "argument --interval: "),
        (["--interval", "inf"], "argument --interval: "),
        (["--interval", "soon"], "argument --interval: "),
        (["--workers", "0"], "argument --workers: "),
        (["--workers", "1.5"], "argument --workers: "),
        (["--no-such-option"], "unrecognized arguments: --no-such-option"),
        (["--state"], "argument --state: "),
        (["--shard", "0/2"], "argument --shard: "),
        (["--shard", "3/2"], "argument --shard: "),
        (["--shard", "1/0"], "argument --shard: "),
        (["--shard", "-1/2"], "argument --shard: "),
        (["--shard", "1"], "argument --shard: "),
        (["--shard", "1/2/3"], "argument --shard: "),
        (["--shard", "a/b"], "argument --shard: "),
        (["--exec", ""], "argument --exec: "),
        (["--exec", "no-such-command-at-all"], "argument --exec: "),
        (["--exec", "sh 'unbalanced"], "argument --exec: "),
        (["--once", "--status"], "argument --status: "),
        (["--probe", "--check-config"], "argument --check-config: "),
    ],
)
def test_a_wrong_command_line_is_2(capsys, argv, words):
    line = usage_error(capsys, *argv)
    assert line.startswith("statuswatch: error: " + words)
    assert "<" not in line  # such as <lambda>


# --- The configuration. ---


def test_a_configuration_is_checked_by_a_line_per_provider(capsys):
    watch(
        "OpenAI = https://status.openai.com incident.io",
        "Sh\u0142p = https://user:secret@a.test/feed.rss?token=secret http://b.test/x",
        "[OpenAI]",
        "interval = 7.5",
    )
    code, out, err = run(capsys, "--check-config")
    assert (code, err) == (0, [])
    page = "https://status.openai.com"
    assert out.splitlines() == [
        "OpenAI: %s/feed.atom %s/api/v2/components.json every 7.5 s" % (page, page),
        "Sh\u0142p: https://a.test/feed.rss http://b.test/x every 30 s",
    ]


def test_a_page_that_has_to_be_looked_at_is_checked_too(capsys):
    watch("A = https://a.test")
    code, out, err = run(capsys, "--check-config", "--interval", "60")
    assert (code, err) == (0, [])
    assert out.startswith("A: https://a.test") and out.endswith(" every 60 s\n")


@pytest.mark.parametrize("argv", [[], ["--check-config"], ["--once"]])
def test_a_broken_configuration_is_2_and_one_line(capsys, argv):
    watch("A = ftp://a.test/x")
    code, out, err = run(capsys, *argv)
    assert (code, out, len(err)) == (2, "", 1)
    assert err[0].startswith("ERROR    providers.ini: [providers] A: bad URL")


@pytest.mark.parametrize("argv", [[], ["--check-config"], ["--once"]])
def test_a_configuration_without_an_equals_sign_is_2_and_one_line(capsys, argv):
    watch("OpenAI", "    https://status.openai.com")
    code, out, err = run(capsys, *argv)
    assert (code, out, len(err)) == (2, "", 1)
    assert err[0].startswith("ERROR    ") and "indented line" in err[0]


@pytest.mark.parametrize("what", ["missing", "folder", "binary"])
def test_a_configuration_that_cannot_be_read_is_2(capsys, what):
    if what == "folder":
        Path("x.ini").mkdir()
    elif what == "binary":
        Path("x.ini").write_bytes(b"\xff\xfe\x80")
    code, out, err = run(capsys, "--config", "x.ini", "--check-config")
    assert (code, out, len(err)) == (2, "", 1)
    assert err[0].startswith("ERROR    x.ini: ")


def test_a_configuration_is_looked_for_in_this_order(capsys, monkeypatch, tmp_path):
    module, prefix = tmp_path / "module", tmp_path / "prefix"
    monkeypatch.setattr(statuswatch, "__file__", str(module / "statuswatch.py"))
    monkeypatch.setattr(sys, "prefix", str(prefix))
    if os.path.exists("/etc/statuswatch/providers.ini"):
        pytest.skip("statuswatch is configured on this machine")

    def found():
        code, out, err = run(capsys, "--check-config")
        return out.partition(":")[0] if code == 0 else err[0]

    where = "providers.ini, %s, %s, /etc/statuswatch/providers.ini, %s" % (
        module / "providers.ini",
        tmp_path / "home" / ".config" / "statuswatch" / "providers.ini",
        prefix / "share" / "statuswatch" / "providers.ini",
    )
    assert found() == "ERROR    no providers.ini, looked for " + where
    places = [
        ("Share", prefix / "share" / "statuswatch"),
        ("Home", tmp_path / "home" / ".config" / "statuswatch"),
        ("Xdg", tmp_path / "xdg" / "statuswatch"),
        ("Module", module),
        ("Here", Path()),
    ]
    for name, place in places:
        if name == "Xdg":
            monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
        watch("%s = http://127.0.0.1/x" % name, path=place / "providers.ini")
        assert found() == name
    watch("Given = http://127.0.0.1/x", path="other.ini")
    code, out, _ = run(capsys, "--check-config", "--config", "other.ini")
    assert (code, out.partition(":")[0]) == (0, "Given")


@pytest.mark.parametrize(
    "urls, lines",
    [
        (["https://a.test/x"], ["a.test: https://a.test/x every 30 s"]),
        (["http://a.test:80/x"], ["a.test:80: http://a.test:80/x every 30 s"]),
        (["https://u:p@a.test/x?t=s"], ["a.test: https://a.test/x every 30 s"]),
        (["https://a.test/x=y;z"], ["a.test: https://a.test/x=y;z every 30 s"]),
        (["http://statuswatch/x"], ["page: http://statuswatch/x every 30 s"]),
        (
            ["http://providers/x", "http://statuswatch/x"],
            [
                "page: http://providers/x every 30 s",
                "page (1): http://statuswatch/x every 30 s",
            ],
        ),
        (
            ["http://b.test/1", "http://a.test/2"],
            [
                "b.test: http://b.test/1 every 30 s",
                "a.test: http://a.test/2 every 30 s",
            ],
        ),
    ],
)
def test_pages_may_be_given_instead(capsys, urls, lines):
    watch("Not = http://asked.test/")
    code, out, err = run(capsys, "--check-config", *urls)
    assert (code, err) == (0, [])
    assert out.splitlines() == lines


def test_a_page_without_a_name_of_its_own_may_be_given(capsys):
    code, out, err = run(capsys, "--check-config", "http://[::1]:8000/x")
    assert (code, err) == (0, [])
    assert out.endswith(": http://[::1]:8000/x every 30 s\n")


def test_two_addresses_of_one_host_are_both_watched_or_refused(capsys):
    urls = ["http://a.test/1", "http://a.test/2"]
    code, out, err = run(capsys, "--check-config", *urls)
    assert code == 2 or all(url in out for url in urls)


@pytest.mark.parametrize(
    "url",
    [
        "status.acme.test",
        "ftp://a.test/",
        "http://",
        "http://a b/",
        "",
        "a\n[b]",
        "x=y",
    ],
)
def test_what_is_no_address_is_2_and_one_line(capsys, url):
    code, out, err = run(capsys, "--check-config", url)
    assert (code, out, len(err)) == (2, "", 1)
    assert err[0].startswith("ERROR    ")


# --- What the system gives. ---


@pytest.mark.parametrize("library", [OSError(), object()], ids=["none", "not glibc"])
def test_where_there_is_no_glibc_memory_is_not_given_back(monkeypatch, library):
    def load(name):
        if isinstance(library, OSError):
            raise library
        return library

    statuswatch.claim_resources()()
    monkeypatch.setattr(ctypes, "CDLL", load)
    statuswatch.claim_resources()()


def test_what_is_imported_is_not_searched_for_cycles():
    gc.unfreeze()
    statuswatch.claim_resources()
    assert gc.get_freeze_count() > 10000
    gc.unfreeze()


# --- Logging. ---


@pytest.mark.parametrize(
    "argv, level",
    [
        ([], logging.INFO),
        (["-v"], logging.DEBUG),
        (["-vvv"], logging.DEBUG),
        (["-q"], logging.WARNING),
        (["-qq"], logging.ERROR),
        (["-qqqq"], logging.ERROR),
        (["-vq"], logging.INFO),
    ],
)
def test_more_or_fewer_log_lines(capsys, argv, level):
    watch("A = http://127.0.0.1/x")
    with own_logging():
        assert main(["--check-config", *argv]) == 0
        assert logging.root.level == level
        assert not logging.getLogger("urllib3").isEnabledFor(logging.WARNING)


# --- Once. ---


@pytest.fixture
def state(home):
    return home / ".local" / "state" / "statuswatch" / "state.json"


def test_once_tells_what_changed_since_the_last_run(capsys, fake, state):
    watch("Acme = %s statuspage" % fake.url)
    code, out, err = run(capsys, "--once")
    assert (code, out) == (0, "")
    assert err == ["INFO     [Acme] Seeded — 0 incidents, 1 components"]
    assert state.exists()
    fake.do('incident db investigating components=api "Errors" "We look."')
    code, out, err = run(capsys, "--once")
    assert code == 0 and err == ["INFO     [Acme] detected 1 new incident(s)"]
    assert re.fullmatch(
        r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] Product: Acme - API\n"
        "Status: Investigating — We look.\n\n",
        out,
    )
    assert run(capsys, "--once") == (0, "", [])


def test_once_in_json(capsys, fake, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    url = fake.url + SUMMARY
    run(capsys, "--once", url)
    fake.do("component api major_outage")
    code, out, _ = run(capsys, "--once", "--json", url)
    (line,) = out.splitlines()
    event = json.loads(line)
    assert (code, event["status"], event["components"]) == (0, "major_outage", ["API"])
    assert (tmp_path / "xdg" / "statuswatch" / "state.json").exists()


def test_once_with_a_state_of_its_own(capsys, fake, state):
    assert run(capsys, "--once", "--state", "a/b.json", fake.url + SUMMARY)[0] == 0
    assert Path("a/b.json").exists() and not state.exists()


def test_once_is_1_if_a_provider_could_not_be_read(capsys, fake, server):
    refuse = server.url("refuse")
    code, out, err = run(capsys, "--once", "-q", refuse, fake.url + SUMMARY)
    name = "127.0.0.1:%d" % server.endpoint("refuse")
    assert (code, out) == (1, "")
    assert err == ["WARNING  [%s] %s: Connection refused" % (name, refuse)]


@pytest.mark.parametrize("order", [("good", "dead"), ("dead", "good")])
def test_a_failure_is_said_by_the_first_run_alone(capsys, fake, server, order):
    """Whoever ends last: cron sends a mail for each line."""
    urls = {"good": fake.url + SUMMARY, "dead": server.url("refuse")}
    Path("p.ini").write_text(
        "[providers]\n" + "".join("%s = %s\n" % (each, urls[each]) for each in order)
    )
    said = [run(capsys, "--config", "p.ini", "--once", "-q")[2] for _ in range(3)]
    assert said == [["WARNING  [dead] %s: Connection refused" % urls["dead"]], [], []]


def test_once_at_the_same_time_is_75(capsys, fake):
    holder = statuswatch.StateFile("state.json")
    holder.lock()
    argv = ["--once", "--state", "state.json", fake.url + SUMMARY]
    code, out, err = run(capsys, *argv)
    holder.unlock()
    assert (code, out) == (75, "")
    path = Path("state.json").resolve()
    assert err == ["ERROR    %s: another run holds the lock" % path]
    assert fake.requests == []


def test_the_state_of_a_newer_version_is_2(capsys, fake):
    write('{"version": 99}', "state.json")
    argv = ["--once", "--state", "state.json", fake.url + SUMMARY]
    code, out, err = run(capsys, *argv)
    assert (code, out) == (2, "")
    assert err == [
        "ERROR    %s: a newer version wrote it" % Path("state.json").resolve()
    ]
    assert Path("state.json").read_text() == '{"version": 99}'


def test_a_lost_output_is_1_and_loses_no_event(capsys, fake, monkeypatch):
    argv = ["--once", "--state", "state.json", fake.url + SUMMARY]
    assert run(capsys, *argv)[0] == 0
    fake.do('incident db investigating "Errors" "We look."')
    with monkeypatch.context() as patch, open("/dev/full", "w") as full:
        patch.setattr(sys, "stdout", full)
        patch.setattr(os, "dup2", lambda *_: None)
        code, _, err = run(capsys, *argv)
        patch.undo()
        with contextlib.suppress(OSError):
            full.close()
    assert code == 1
    assert err[-1] == "ERROR    output failed: No space left on device"
    code, out, _ = run(capsys, *argv)
    assert code == 0 and "We look." in out


def test_a_closed_output_is_1_and_nothing_is_asked(capsys, fake, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", None)
        code, _, err = run(capsys, "--once", fake.url + SUMMARY)
    assert (code, err) == (1, ["ERROR    output failed: it is closed"])
    assert fake.requests == []


def test_an_output_that_nobody_reads_is_1(capsys, fake, monkeypatch, exits):
    argv = ["--once", "--state", "state.json", fake.url + SUMMARY]
    run(capsys, *argv)
    fake.do('incident db investigating "Errors" "We look."')
    released = threading.Event()

    class Stuck(io.TextIOWrapper):
        def write(self, text):
            released.wait(BOUND)
            return len(text)

    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Stuck(io.BytesIO()))
        patch.setattr(os, "dup2", lambda *_: None)
        code, _, err = run(capsys, *argv)
        released.set()
    assert code == 1 and exits == [1]
    assert err[-1] == "ERROR    output failed: nobody reads it"
    wait_for(lambda: "printer" not in [t.name for t in threading.enumerate()])


@pytest.fixture
def joins(monkeypatch):
    """What is done before the printer is waited for once more; no time goes by."""
    joins, join = [], statuswatch.Printer.join

    def joined(printer, timeout=None):
        if type(printer) is statuswatch.Printer and joins:
            return joins.pop(0)()
        join(printer, timeout)

    monkeypatch.setattr(statuswatch.Printer, "join", joined)
    return joins


@pytest.fixture
def slow_disk(monkeypatch):
    """Each write to the disk begins, then waits for the other event."""
    begun, released = threading.Event(), threading.Event()
    fsync = os.fsync

    def slow(descriptor):
        begun.set()
        released.wait(BOUND)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    yield begun, released
    released.set()
    wait_for(lambda: "printer" not in [t.name for t in threading.enumerate()])


def test_a_slow_disk_is_waited_for(capsys, fake, exits, slow_disk, joins):
    begun, released = slow_disk
    joins += [lambda: begun.wait(BOUND), begun.clear, begun.clear, released.set]
    argv = ["--once", "--state", "state.json", "-q", fake.url + SUMMARY]
    assert run(capsys, *argv) == (0, "", []) and joins == [] == exits
    fake.do("component api major_outage")
    code, out, _ = run(capsys, *argv)
    assert code == 0 and "Major outage" in out


def test_a_disk_that_hangs_is_waited_for_a_while(
    capsys, fake, monkeypatch, exits, slow_disk
):
    waits, join = [], statuswatch.Printer.join

    def joined(printer, timeout=None):
        waits.append(timeout)
        join(printer, timeout)

    monkeypatch.setattr(statuswatch.Printer, "join", joined)
    monkeypatch.setattr(statuswatch, "LINGER", 0.02)
    monkeypatch.setattr(statuswatch, "SAVING", 0.3, raising=False)
    argv = ["--once", "--state", "state.json", fake.url + SUMMARY]
    code, _, err = run(capsys, *argv)
    assert (code, exits) == (1, [1])
    assert err[-1] == "ERROR    output failed: the state is not written"
    assert waits.count(0.02) > 5 and not Path("state.json").exists()


def test_an_output_that_is_slow_is_waited_for_as_long_as_it_gets_on(
    capsys, fake, monkeypatch, exits, joins
):
    argv = ["--once", "-q", "--state", "state.json", fake.url + SUMMARY]
    for key in "bcd":
        fake.do('component %s "Part" operational' % key)
    run(capsys, *argv)
    for key in ("api", "b", "c", "d"):
        fake.do("component %s major_outage" % key)
    begun, allowed, lines = *(threading.Semaphore(0) for _ in range(2)), []

    class Slow(io.StringIO):
        def write(self, text):
            begun.release()
            allowed.acquire(timeout=BOUND)
            lines.append(text)

    def one_more():  # once the next line is begun, the one before is counted
        allowed.release()
        begun.acquire(timeout=BOUND)
        if len(lines) == 3:
            allowed.release()

    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Slow())
        joins += [lambda: begun.acquire(timeout=BOUND) and one_more()]
        joins += [one_more] * 2
        code, _, err = run(capsys, *argv)
    for _ in range(4):
        allowed.release()
    assert (code, err, exits, joins) == (0, [], [], []) and len(lines) == 4
    assert run(capsys, *argv) == (0, "", [])


@pytest.mark.parametrize("argv", [["--once"], []])
def test_a_name_look_up_that_hangs_does_not_hold_us(capsys, monkeypatch, exits, argv):
    released, asked = threading.Event(), []

    def hanging(*args, **_):
        asked.append(args)
        released.wait(BOUND)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure")

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    watch("A = http://a.test/x", "[A]", "timeout = 0.2")
    began = time.monotonic()
    send = [] if argv else [(lambda: asked, signal.SIGTERM)]
    with signals(*send):
        code, _, err = run(capsys, *argv, "--state", "s.json")
    assert time.monotonic() - began < 5
    assert code == (1 if argv else 0) and exits == [code]
    if argv:
        assert "WARNING  [A] hangs, in a name look-up?" in err
    released.set()
    wait_for(lambda: not [t for t in threading.enumerate() if "poll" in t.name])


def test_a_missing_bundle_of_certificates_is_2_and_one_line(capsys, fake, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
    code, out, err = run(capsys, "--once", fake.url + SUMMARY)
    assert (code, out, len(err)) == (2, "", 1)


# --- Watching, until a signal. ---


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_watching_with_0(capsys, fake, number):
    with signals((lambda: fake.requests, number)):
        code, out, err = run(capsys, fake.url + SUMMARY)
    assert (code, out) == (0, "")
    assert err[0] == "INFO     Watching 1 provider(s) — 1 sources (poll every 30s)"
    assert not [line for line in err if not line.startswith("INFO")]
    assert list(Path().iterdir()) == []  # no state was asked for


def test_a_second_signal_ends_at_once(capsys, fake, exits):
    with signals((lambda: fake.requests, signal.SIGTERM)):
        run(capsys, fake.url + SUMMARY)
    signal.raise_signal(signal.SIGINT)
    assert exits == [128 + signal.SIGINT]


def test_hangup_reads_the_configuration_again(capsys, fake, server):
    watch("A = %s%s" % (fake.url, SUMMARY))

    def change():
        if fake.requests:
            watch("B = " + server.url("healthy"))
        return bool(fake.requests)

    end = (lambda: server.requests, signal.SIGTERM)
    with signals((change, signal.SIGHUP), end):
        code, _, err = run(capsys)
    assert code == 0 and "INFO     configuration reloaded: 1 providers" in err
    assert len(fake.requests) == 1


def test_a_broken_configuration_does_not_end_the_watching(
    capsys, fake, monkeypatch, exits
):
    watch("A = %s%s" % (fake.url, SUMMARY))
    read, reads = statuswatch.read_config, []
    monkeypatch.setattr(
        statuswatch, "read_config", lambda options: reads.append(1) or read(options)
    )

    def change():
        if fake.requests:
            watch("B", "    " + fake.url + SUMMARY)
        return bool(fake.requests)

    with signals((change, signal.SIGHUP), (lambda: len(reads) > 1, signal.SIGTERM)):
        code, _, err = run(capsys)
    assert (code, exits) == (0, [])
    (line,) = [line for line in err if line.startswith("ERROR")]
    assert "not reloaded" in line and "indented line" in line


def test_an_output_that_fails_ends_the_watching_with_1(capsys, fake, monkeypatch):
    def change():
        return fake.requests and not fake.do("component api major_outage")

    with monkeypatch.context() as patch, open("/dev/full", "w") as full:
        patch.setattr(sys, "stdout", full)
        patch.setattr(os, "dup2", lambda *_: None)
        thread = threading.Thread(target=wait_for, args=(change,))
        thread.start()
        code, _, err = run(capsys, "--interval", "0.05", fake.url + SUMMARY)
        thread.join()
        patch.undo()
        with contextlib.suppress(OSError):
            full.close()
    assert code == 1
    assert err[-1] == "ERROR    output failed: No space left on device"


# --- What is said at the start. ---


class Terminal(io.StringIO):
    def isatty(self):
        return True

    def reconfigure(self, errors):
        assert errors == "backslashreplace"


def test_a_banner_that_fails_is_1_and_lets_go_of_the_state(capsys, fake, monkeypatch):
    class Full(Terminal):
        def write(self, text):
            raise OSError(errno.ENOSPC, "No space left on device")

    argv = ["--state", "state.json", fake.url + SUMMARY]
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Full())
        code, _, err = run(capsys, *argv)
    assert code == 1
    assert err[-1] == "ERROR    output failed: No space left on device"
    assert run(capsys, "--once", *argv)[0] == 0


@pytest.fixture
def announce(caplog, monkeypatch):
    """What is said of these providers: (what is printed, what is logged)."""
    caplog.set_level(logging.DEBUG, "statuswatch")

    def announce(*providers, out=None):
        watcher = Watcher(Config(providers), None, None)
        monkeypatch.setattr(sys, "stdout", out or io.StringIO())
        caplog.clear()
        statuswatch.announce(Config(providers), watcher)
        watcher.fetcher._adapter.close()
        return sys.stdout.getvalue(), [r.getMessage() for r in caplog.records]

    return announce


def test_a_terminal_gets_a_banner(announce):
    page = Provider("A", ("https://a.test",), "statuspage")
    out, logged = announce(page, page._replace(name="B"), out=Terminal())
    rule, *lines, last = out.splitlines()
    assert rule == last and set(rule) == {"-"}
    assert lines == [
        "Monitoring 2 status page(s)",
        "Poll interval: 30s",
        "Press Ctrl+C to stop",
    ]
    assert logged == []


def test_what_is_no_terminal_gets_a_log_line(announce):
    pages = [Provider(name, ("https://a.test",), "statuspage") for name in "AB"]
    pages[1] = pages[1]._replace(interval=12.5)
    words = "Watching 2 provider(s) — 4 sources (poll every 12.5s)"
    assert announce(*pages) == ("", [words])


@pytest.mark.parametrize("argv", [["--once"], ["--status"]])
def test_once_says_nothing(capsys, fake, monkeypatch, argv):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Terminal())
        code, _, err = run(capsys, *argv, "--interval", "1", fake.url + SUMMARY)
        out = sys.stdout.getvalue()
    assert (code, out.replace("All is well.\n", "")) == (0, "")
    assert [line for line in err if "Seeded" not in line] == []


@pytest.mark.parametrize(
    "urls, interval, warned",
    [
        (["https://a.test/x"], 9.99, True),
        (["https://a.test/x"], 10.0, False),
        (["http://127.0.0.1:80/x", "http://localhost/x", "http://[::1]/x"], 1.0, False),
        (["http://127.0.0.1/x", "https://a.test/x"], 1.0, True),
    ],
)
def test_impatience_is_warned_of_unless_all_is_our_own(
    announce, urls, interval, warned
):
    pages = [Provider(u, (u,), interval=interval) for u in urls]
    _, logged = announce(*pages)
    words = "polling more often than every 10 s shows nothing new"
    assert logged.count(words) == warned


# --- Shares. ---


def names_of(capsys, *argv):
    code, out, err = run(capsys, "--check-config", *argv)
    assert (code, err) == (0, [])
    return [line.partition(":")[0] for line in out.splitlines()]


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_the_shares_together_are_all_providers_each_once(capsys, count):
    every = ["P%d" % n for n in range(60)]
    watch(*["%s = http://127.0.0.1/%s" % (name, name) for name in every])
    shares = [
        names_of(capsys, "--shard", "%d/%d" % (k + 1, count)) for k in range(count)
    ]
    assert sorted(sum(shares, [])) == sorted(every)
    for share in shares:
        assert 60 / count / 3 < len(share) < 60 / count * 2
        assert share == [name for name in every if name in share]


def test_a_share_is_always_the_same(capsys):
    watch(*["P%d = http://127.0.0.1/%d" % (n, n) for n in range(9)])
    before = names_of(capsys, "--shard", "1/3")
    watch(*["P%d = http://127.0.0.1/x%d" % (n, n) for n in reversed(range(20))])
    after = names_of(capsys, "--shard", "1/3")
    assert before == ["P1", "P3", "P6"]
    assert [name for name in reversed(after) if len(name) == 2] == before


def test_the_turns_of_a_share_are_spread_over_the_whole_interval(capsys):
    watch(*["P%d = http://127.0.0.1/%d" % (n, n) for n in range(200)])
    share = names_of(capsys, "--shard", "1/4")
    tenths = {int(statuswatch.spread(name) * 10) for name in share}
    assert tenths == set(range(10))


def test_an_empty_share_is_through_at_once_and_else_waits(capsys, fake):
    watch("A = %s%s" % (fake.url, SUMMARY))
    (empty,) = [k for k in "12" if not names_of(capsys, "--shard", k + "/2")]
    share = "--shard", empty + "/2"
    assert run(capsys, "--once", *share) == (0, "", [])
    assert run(capsys, "--status", *share) == (0, "All is well.\n", [])
    process = start(*share)
    try:
        assert b"Watching 0 provider(s)" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
    finally:
        assert finish(process) == (0, "", [])
    assert fake.requests == []


# --- How far it is. ---


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_shows_how_many_are_left_to_read(capsys, server, terminal):
    class Screen(io.StringIO):
        isatty = lambda self: terminal  # noqa: E731

    urls = [server.url("healthy/%d" % n) for n in range(3)]
    screen = Screen()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", screen)
        with own_logging():
            assert main(["--once", "-q", "--state", "s.json", *urls]) == 0
    texts = [part.strip("\r") for part in screen.getvalue().split("\r\x1b[K")]
    wanted = ["", *["%d provider(s) to read" % n for n in (2, 1)], ""]
    assert texts == (wanted if terminal else [""])


def test_a_terminal_that_is_gone_ends_nothing(capsys, server):
    class Gone(io.StringIO):
        def isatty(self):
            return True

        def write(self, text):
            raise OSError(5, "Input/output error")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", Gone())
        patch.setattr(logging, "raiseExceptions", False)
        with own_logging():
            argv = ["--once", "--state", "s.json", server.url("healthy")]
            assert main(argv) == 0


# --- The program. ---


def start(*argv, program=PROGRAM, **kwargs):
    """The program as a process of its own, with pipes."""
    env = {**os.environ, **kwargs.pop("env", {})}
    env.setdefault("PYTHONPATH", str(ROOT))
    env.setdefault("PYTHONIOENCODING", "utf-8")
    kwargs.setdefault("stdout", subprocess.PIPE)
    return subprocess.Popen(
        [*program, *argv], stderr=subprocess.PIPE, env=env, **kwargs
    )


def finish(process):
    """(exit status, output, log) once the program has ended."""
    try:
        out, err = process.communicate(timeout=BOUND)
    finally:
        process.kill()
        process.wait()
    assert b"Traceback" not in err and b"Exception" not in err, err.decode()
    return process.returncode, (out or b"").decode(), err.decode().splitlines()


@pytest.mark.parametrize("program", [PROGRAM, MODULE])
def test_the_program_is_the_same_however_it_is_started(program):
    version = "statuswatch %s\n" % statuswatch.__version__
    assert finish(start("--version", program=program)) == (0, version, [])
    code, out, err = finish(start("--check-config", "--config", "x", program=program))
    assert (code, out, len(err)) == (2, "", 1)
    code, out, err = finish(start("--interval", "0", program=program))
    assert code == 2 and err[-1].startswith("statuswatch: error: ")


@pytest.mark.parametrize("program", [PROGRAM, MODULE])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_program_at_once_and_cleanly(fake, program, number):
    fake.do("component api operational")
    argv = ["--interval", "0.05", "--state", "state.json", fake.url + SUMMARY]
    process = start(*argv, program=program)
    wait_for(lambda: len(fake.requests) > 1)
    for each in range(20):
        fake.do('incident i%d investigating "Errors %d" "We look."' % (each, each))
    seen = len(fake.requests)
    wait_for(lambda: len(fake.requests) > seen)
    began = time.monotonic()
    process.send_signal(number)
    code, out, err = finish(process)
    assert code == 0 and time.monotonic() - began < 2
    assert not [line for line in err if " INFO " not in line]
    code, later, _ = finish(start("--once", "--state", "state.json", argv[-1]))
    told = re.findall(r"Product: \S+ - (Errors \d+)", out + later)
    assert code == 0 and sorted(told) == sorted("Errors %d" % n for n in range(20))


def test_signals_end_the_program_at_once_while_servers_hang(server):
    names = range(16)
    watch(*["P%d = %s/%d" % (n, server.url("accept_and_hang"), n) for n in names])
    process = start()
    wait_for(lambda: len(server.requests) == 16)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0] == 0
    assert time.monotonic() - began < 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_1_and_one_line(fake):
    url = fake.url + SUMMARY
    assert finish(start("--once", url))[0] == 0
    fake.do("component api major_outage")
    with open("/dev/full", "wb") as full:
        code, _, err = finish(start("--once", "-q", url, stdout=full))
    assert (code, len(err)) == (1, 1)
    assert err[0].endswith("output failed: No space left on device")


@pytest.mark.parametrize("argv", [["--once"], []])
def test_an_output_that_is_closed_from_the_start_is_1_and_one_line(fake, argv):
    shell = ["sh", "-c", 'exec "$@" >&-', "sh", *PROGRAM]
    code, _, err = finish(start(*argv, "-q", fake.url + SUMMARY, program=shell))
    assert (code, len(err)) == (1, 1)
    assert err[0].endswith("output failed: it is closed")


def test_a_reader_that_leaves_ends_the_program_with_1(fake):
    process = start("--interval", "0.05", fake.url + SUMMARY)
    process.stdout.close()
    process.stdout = None
    wait_for(lambda: len(fake.requests) > 1)
    fake.do("component api major_outage")
    code, _, err = finish(process)
    assert code == 1 and err[-1].endswith("output failed: Broken pipe")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("once", [True, False])
def test_any_locale_will_do(fake, encoding, once):
    watch("Sh\u0142p = %s%s" % (fake.url, SUMMARY))
    env = {"LC_ALL": "C", "PYTHONIOENCODING": encoding}
    if once:
        assert finish(start("--once", env=env))[0] == 0
        fake.do('component api "\u05e9\u05dc\u05d5\u05dd" major_outage')
        process = start("--once", env=env, encoding=None)
    else:
        process = start("--check-config", env=env)
    out, err = process.communicate(timeout=BOUND)
    assert process.returncode == 0 and b"Traceback" not in err
    assert (b"Sh" in out) and out.endswith(b"\n")


@pytest.mark.parametrize("options", [["--check-config"], ["--help"], ["--version"]])
def test_output_for_people_that_fails_is_no_traceback(options):
    watch("A = http://127.0.0.1/x")
    with open("/dev/full", "wb") as full:
        process = start(*options, stdout=full)
        _, err = process.communicate(timeout=BOUND)
    assert process.returncode != 0
    assert b"Traceback" not in err


def test_a_real_terminal_gets_the_banner_and_ctrl_c_ends_it(fake):
    ours, theirs = pty.openpty()
    process = start(fake.url + SUMMARY, stdout=theirs)
    os.close(theirs)
    try:
        wait_for(lambda: fake.requests)
        process.send_signal(signal.SIGINT)
        code, _, err = finish(process)
        shown = os.read(ours, 9999).decode().splitlines()
    finally:
        os.close(ours)
    assert code == 0
    assert shown[1:4] == [
        "Monitoring 1 status page(s)",
        "Poll interval: 30s",
        "Press Ctrl+C to stop",
    ]
    assert not [line for line in err if "Watching" in line]


def test_importing_the_module_does_nothing():
    code = "import statuswatch, threading; assert threading.active_count() == 1"
    run_ = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=BOUND,
    )
    assert (run_.returncode, run_.stdout, run_.stderr) == (0, b"", b"")
    assert isinstance(statuswatch, types.ModuleType)
