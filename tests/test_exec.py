"""A command for each event: in order, in time, and in nobody's way."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest
import statuswatch
from fakes import load_script
from statuswatch import Batch, Commands, Event, main

FakePage = load_script("fakepage").FakePage
SUMMARY = "/api/v2/summary.json"
EVENT = Event(
    "NEW_INCIDENT",
    "Acme",
    "Acme Cloud",
    components=("API", "Web"),
    title="Errors \u2014 many",
    status="investigating",
    message="We look.",
    occurred_at=datetime(2025, 2, 24, 14, tzinfo=timezone.utc),
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    wait_for(lambda: "exec" not in [t.name for t in threading.enumerate()])


def wait_for(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.005)


def script(code, name="script"):
    """The words of a command that runs this Python code."""
    Path(name).write_text(code)
    return [sys.executable, "-S", "-E", os.path.abspath(name)]


def run(words, *events):
    """Run a command for events, and wait until it is through."""
    commands = Commands(words)
    commands.start()
    for event in events:
        commands.inbox.put(Batch(event.provider, (event,)))
    commands.finish()
    return commands


def warnings(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


DUMP = """
import json, os, sys
ours = {k.decode(): v.decode() for k, v in os.environb.items() if b"STATUSWATCH" in k}
with open("out", "a") as out:
    out.write(json.dumps([sys.stdin.buffer.read().decode(), ours]) + chr(10))
"""


def outs():
    return [json.loads(line) for line in Path("out").read_text().splitlines()]


def test_a_command_has_the_event_on_its_stdin_and_in_its_environment(caplog):
    run(script(DUMP), EVENT)
    ((line, variables),) = outs()
    assert line == statuswatch.format_json(EVENT)
    assert variables.pop("STATUSWATCH_TEXT") == statuswatch.format_text(EVENT)
    assert set(variables) == {"STATUSWATCH_" + k.upper() for k in Event._fields}
    wanted = {
        "TYPE": "NEW_INCIDENT",
        "PROVIDER": "Acme",
        "COMPONENTS": "API, Web",
        "TITLE": "Errors \u2014 many",
        "OCCURRED_AT": "2025-02-24T14:00:00Z",
        "MAINTENANCE": "false",
        "IMPACT": "",
    }
    assert wanted.items() <= {k[12:]: v for k, v in variables.items()}.items()
    assert warnings(caplog) == []


def test_the_environment_is_ours_with_more(monkeypatch):
    monkeypatch.setenv("OWN", "x")
    run(script("import os; open('out', 'w').write(os.environ['OWN'])"), EVENT)
    assert Path("out").read_text() == "x"


def test_no_shell_reads_it():
    words = statuswatch.command(
        "%s -c 'import sys; open(sys.argv[1], \"w\")' $HOME;x*" % sys.executable
    )
    run(words, EVENT)
    assert Path("$HOME;x*").exists()


def test_events_are_taken_in_order():
    events = [EVENT._replace(title="T%d" % n) for n in range(10)]
    run(script(DUMP), *events)
    titles = [json.loads(line)["title"] for line, _ in outs()]
    assert titles == ["T%d" % n for n in range(10)]


@pytest.mark.parametrize("lang", ["C", "en_US.ISO-8859-1", "POSIX"])
def test_hostile_and_huge_texts_are_passed_on(caplog, monkeypatch, lang):
    monkeypatch.setenv("LC_ALL", lang)
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "ascii")
    hostile = EVENT._replace(
        title="a\0b\nc\x1b[2J\ud800d",
        update_id="\0",
        message="m" * 3_000_000,
        components=("\0", "x" * 300_000, *map(str, range(9999))),
    )
    run(script(DUMP), hostile)
    ((line, variables),) = outs()
    assert json.loads(line)["message"] == "m" * 3_000_000
    assert variables["STATUSWATCH_TITLE"] == "ab c[2Jd"
    assert variables["STATUSWATCH_UPDATE_ID"] == ""
    assert max(map(len, variables.values())) <= 1200
    assert warnings(caplog) == []


@pytest.mark.parametrize(
    "code", ["", "import os; os.close(0)", "import sys; sys.stdin.read(1)"]
)
def test_a_command_need_not_read_all(caplog, code):
    began = time.monotonic()
    run(script(code), EVENT._replace(message="m" * 3_000_000))
    assert warnings(caplog) == [] and time.monotonic() - began < 8


def test_its_output_is_not_ours(capfd):
    run(script("print('hello')"), EVENT)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    "code, words",
    [
        ("raise SystemExit(3)", "exit status 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "exit status -15"),
    ],
)
def test_a_failure_is_logged_and_the_next_event_taken(caplog, code, words):
    command = script("open('out', 'a').write('x'); " + code)
    run(command, EVENT, EVENT._replace(provider="Other"))
    line = "%%s %s: %s" % (command[0], words)
    assert warnings(caplog) == [line % "[Acme]", line % "[Other]"]
    assert Path("out").read_text() == "xx"


def test_a_command_that_disappears_is_logged(caplog):
    Path("tool").write_text("#!/bin/sh\nexit 0\n")
    Path("tool").chmod(0o755)
    words = statuswatch.command("./tool")
    run(words, EVENT)
    assert warnings(caplog) == []
    Path("tool").unlink()
    run(words, EVENT)
    assert warnings(caplog) == ["[Acme] ./tool: No such file or directory"]


def alive(pid):
    with contextlib.suppress(OSError):
        state = Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()[0]
        return state != "Z"
    return False


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc")
def test_a_command_that_hangs_is_killed_with_all_that_it_started(caplog, monkeypatch):
    monkeypatch.setattr(statuswatch, "EXEC_TIMEOUT", 1.5)
    command = ["sh", "-c", "sleep 99 & echo $$ $! > pids; wait"]
    began = time.monotonic()
    run(command, EVENT)
    assert 1.5 <= time.monotonic() - began < 10
    assert warnings(caplog) == ["[Acme] %s: took longer than 1.5 s" % command[0]]
    pids = [int(pid) for pid in Path("pids").read_text().split()]
    assert len(pids) == 2
    wait_for(lambda: not any(map(alive, pids)))


def test_what_waits_at_the_end_has_a_bound_for_all(caplog, monkeypatch):
    monkeypatch.setattr(statuswatch, "EXEC_TIMEOUT", 0.3)
    monkeypatch.setattr(statuswatch, "EXEC_LINGER", 0.8)
    command = script("import time; time.sleep(99)")
    began = time.monotonic()
    commands = run(command, *[EVENT] * 1000)
    assert time.monotonic() - began < 8
    *each, last = warnings(caplog)
    assert 1 <= len(each) <= 4 and all("took longer than 0." in line for line in each)
    left = 1000 - len(each)
    assert last == "%s was not run for %d events" % (command[0], left)
    assert not commands.is_alive()


def test_what_waits_at_the_end_is_run_if_there_is_time(caplog):
    run(script(DUMP), *[EVENT] * 20)
    assert len(outs()) == 20 and warnings(caplog) == []


# --- The program. ---


@pytest.fixture
def fake():
    with FakePage() as fake:
        fake.do('component api "API" operational')
        yield fake


@contextlib.contextmanager
def own_logging():
    loggers = logging.root, logging.getLogger("urllib3")
    before = [(logger, logger.level, logger.handlers) for logger in loggers]
    logging.root.handlers = []
    try:
        yield
    finally:
        for logger, level, handlers in before:
            logger.setLevel(level)
            logger.handlers = handlers


def test_the_program_runs_it_for_each_event(fake, capsys):
    words = " ".join(script(DUMP))
    argv = ["--once", "--state", "s.json", "--exec", words, fake.url + SUMMARY]
    with own_logging():
        assert main(argv) == 0
        assert not Path("out").exists()
        fake.do('incident db investigating "Errors" "We look."')
        fake.do("component api major_outage")
        assert main(argv) == 0
    lines = [line for line, _ in outs()]
    assert [json.loads(line)["status"] for line in lines] == [
        "investigating",
        "major_outage",
    ]
    assert capsys.readouterr().out.count("Product: ") == 2


def test_the_printer_does_not_wait_for_it(fake, capsys, monkeypatch):
    monkeypatch.setattr(statuswatch, "EXEC_TIMEOUT", 0.5)
    monkeypatch.setattr(statuswatch, "EXEC_LINGER", 0.5)
    command = " ".join(script("import time; open('began', 'w'); time.sleep(99)"))
    told = []
    working = statuswatch.write

    def write(text):
        told.append(text)
        working(text)
        if len(told) == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(statuswatch, "write", write)

    def change():
        wait_for(lambda: len(fake.requests) > 1)
        for n in range(5):
            fake.do('incident i%d investigating "Errors %d" "We look."' % (n, n))

    thread = threading.Thread(target=change)
    thread.start()
    began = time.monotonic()
    with own_logging():
        argv = ["--interval", "0.05", "--exec", command, fake.url + SUMMARY]
        assert main(argv) == 0
    thread.join()
    assert time.monotonic() - began < 10
    err = capsys.readouterr().err
    assert len(told) == 5 and "was not run for" in err


def test_a_look_runs_no_command(fake, capsys):
    fake.do("component api major_outage")
    command = " ".join(script("open('out', 'w')"))
    with own_logging():
        assert main(["--status", "--exec", command, fake.url + SUMMARY]) == 3
        assert main(["--probe", "--exec", command, fake.url + SUMMARY]) == 0
    assert not Path("out").exists()
