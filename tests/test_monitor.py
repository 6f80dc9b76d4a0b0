"""Inside somebody else's program: it takes nothing that is not ours, and ends whole."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import statuswatch
from fakes import load_script
from faults import FaultServer
from statuswatch import (
    ConfigError,
    Monitor,
    OutputError,
    Provider,
    StateFile,
    StateLocked,
    StatuswatchError,
)

FakePage = load_script("fakepage").FakePage
ROOT = Path(__file__).resolve().parents[1]
SUMMARY = "/api/v2/summary.json"
BOUND = 20  # seconds
OURS = ("poll", "printer", "statuswatch", "exec")


@pytest.fixture(autouse=True)
def threads():
    """A test leaves no thread of ours behind, once look-ups are let go of."""
    yield
    wait_for(lambda: ours() == [])


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
def acme(fake):
    return Provider("Acme", (fake.url + SUMMARY,), interval=0.05)


def ours():
    return [t.name for t in threading.enumerate() if t.name.startswith(OURS)]


def wait_for(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.005)


def seeded(fake, monitor):
    """The monitor, once it has read the page."""
    before = len(fake.requests)
    wait_for(lambda: len(fake.requests) > before + 1)
    return monitor


def told(events):
    return [(e.components[0] if e.component_id else e.title, e.status) for e in events]


# --- Events. ---


def test_events_are_handed_to_a_function_in_one_thread(fake, acme):
    events, names = [], set()

    def on_event(event):
        names.add(threading.current_thread().name)
        events.append(event)

    with Monitor([acme], on_event) as monitor:
        seeded(fake, monitor)
        fake.do('incident db investigating components=api "Errors" "We look."')
        fake.do("component api major_outage")
        wait_for(lambda: len(events) == 2)
    assert told(events) == [("Errors", "investigating"), ("API", "major_outage")]
    assert names == {"printer"}
    assert ours() == []
    assert (monitor.complete, monitor.failure) == (True, "")


def test_events_are_iterated_over_until_the_end(fake, acme):
    seen = []
    with Monitor([acme]) as monitor:
        seeded(fake, monitor)
        fake.do('incident db investigating "Errors" "We look."')
        for event in monitor:
            seen.append(event)
            if event.status == "investigating":
                fake.do('update db resolved "Over."')
            else:
                assert monitor.stop() is True
    assert told(seen) == [("Errors", "investigating"), ("Errors", "resolved")]
    assert list(monitor) == [] == list(monitor)


def test_iterating_over_what_was_never_started_ends_at_once(acme):
    assert list(Monitor([acme])) == []


def test_what_is_left_when_it_ends_can_still_be_had(fake, acme):
    with Monitor([acme]) as monitor:
        seeded(fake, monitor)
        fake.do("component api major_outage")
        seeded(fake, monitor)
    assert told(monitor) == [("API", "major_outage")]
    assert list(monitor) == []


def test_two_can_iterate_and_both_end(fake, acme):
    ends = []
    monitor = Monitor([acme]).start()
    iterating = [
        threading.Thread(target=lambda: ends.append(list(monitor))) for _ in range(2)
    ]
    for thread in iterating:
        thread.start()
    monitor.stop()
    for thread in iterating:
        thread.join(10)
    assert ends == [[], []]


def test_a_mistake_in_the_function_is_logged_and_the_watch_goes_on(fake, acme, caplog):
    events = []

    def on_event(event):
        events.append(event)
        raise ZeroDivisionError

    with Monitor([acme], on_event) as monitor:
        seeded(fake, monitor)
        fake.do("component api major_outage")
        wait_for(lambda: len(events) == 1)
        fake.do("component api operational")
        wait_for(lambda: len(events) == 2)
    words = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert words == ["[Acme] an event was not taken"] * 2
    assert monitor.failure == ""


def test_an_output_error_of_the_function_ends_the_watch(fake, acme, tmp_path):
    """And the event counts as not told."""
    path = str(tmp_path / "state.json")

    def on_event(event):
        raise OutputError("the mail server is gone")

    monitor = seeded(fake, Monitor([acme], on_event, state=path).start())
    fake.do("component api major_outage")
    assert list(monitor) == []  # until it ends
    assert monitor.stop() is True
    assert monitor.failure == "the mail server is gone"
    assert told(Monitor([acme], state=path).poll_once()) == [("API", "major_outage")]


def test_a_function_that_takes_its_time_is_waited_for(fake, acme, monkeypatch):
    monkeypatch.setattr(statuswatch, "LINGER", 0.01)
    events = []

    def on_event(event):
        time.sleep(0.02)
        events.append(event)

    monitor = Monitor([acme], on_event)
    monitor.poll_once()
    for n in range(5):
        fake.do('incident i%d investigating "Errors %d" "We look."' % (n, n))
    assert monitor.poll_once() == events and len(events) == 5
    assert monitor.failure == ""


def test_the_function_may_stop_the_watch(fake, acme, tmp_path):
    path = str(tmp_path / "state.json")
    stopped = []

    def on_event(event):
        stopped.append(monitor.stop())

    monitor = seeded(fake, Monitor([acme], on_event, state=path).start())
    fake.do("component api major_outage")
    assert list(monitor) == []
    assert monitor.stop() is True and stopped == [False]
    assert Monitor([acme], state=path).poll_once() == []  # it was told


def test_an_interval_is_for_all_providers(server):
    providers = [
        Provider(name, (server.url("healthy/" + name),), interval=900) for name in "AB"
    ]
    with Monitor(providers, interval=0.05):
        wait_for(lambda: len(server.requests) > 7)
    assert [p.interval for p in Monitor(providers).config.providers] == [900, 900]


# --- Start and stop. ---


def test_a_stop_before_the_start_is_nothing(acme):
    assert Monitor([acme]).stop() is True


def test_a_second_start_changes_nothing(fake, acme):
    with Monitor([acme]) as monitor:
        before = threading.active_count()
        assert monitor.start() is monitor
        assert ours().count("statuswatch") == 1 and before >= 2
    assert monitor.stop() is True and monitor.stop() is True


def test_it_starts_again_after_a_stop(fake, acme):
    monitor = Monitor([acme])
    for status in ("major_outage", "operational"):
        with monitor:
            seeded(fake, monitor)
            fake.do("component api " + status)
            assert told([next(iter(monitor))]) == [("API", status)]
        assert ours() == []


def test_a_stop_takes_no_longer_than_it_may(server, monkeypatch):
    acme = Provider("Acme", (server.url("healthy"),), interval=0.05)
    released, called = threading.Event(), threading.Event()

    def on_event(event):
        called.set()
        released.wait(BOUND)

    monitor = Monitor([acme], on_event).start()
    wait_for(lambda: len(server.requests) > 1)
    server.page("page").advance()
    assert called.wait(10)
    began = time.monotonic()
    assert monitor.stop(0.1) is False
    assert time.monotonic() - began < 5
    released.set()
    assert monitor.stop() is True


def test_a_stop_does_not_wait_for_dead_servers(server):
    urls = [server.url("accept_and_hang/%d" % n) for n in range(9)]
    providers = [Provider(url[-1], (url,)) for url in urls]
    with Monitor(providers):
        wait_for(lambda: len(server.requests) == 9)
        began = time.monotonic()
    assert time.monotonic() - began < 5


def test_several_in_one_process_do_not_meddle(fake, server, acme, tmp_path):
    other = Provider("Other", (server.url("healthy"),), interval=0.05)
    first, second = [], []
    with Monitor([acme], first.append, state=str(tmp_path / "a")) as one:
        with Monitor([other], second.append, state=str(tmp_path / "b")):
            seeded(fake, one)
            wait_for(lambda: len(server.requests) > 1)
            fake.do("component api major_outage")
            server.page("page").advance()
            wait_for(lambda: first and second)
        assert "statuswatch" in ours()
        fake.do("component api operational")
        wait_for(lambda: len(first) == 2)
    assert {e.provider for e in first} == {"Acme"}
    assert {e.provider for e in second} == {"Other"}


# --- Once. ---


def test_poll_once_tells_what_has_changed_since_the_last_time(fake, acme):
    monitor = Monitor([acme])
    assert monitor.poll_once() == []
    fake.do("component api major_outage")
    assert told(monitor.poll_once()) == [("API", "major_outage")]
    assert monitor.poll_once() == []
    assert ours() == [] and monitor.complete


def test_poll_once_says_what_could_not_be_read(server):
    monitor = Monitor([Provider("Gone", (server.url("refuse"),))])
    assert monitor.poll_once() == [] and not monitor.complete


def test_poll_once_counts_no_event_that_was_not_taken(fake, acme):
    taken = []

    def on_event(event):
        if taken:
            raise OutputError("full")
        taken.append(event)

    monitor = Monitor([acme], on_event)
    monitor.poll_once()
    fake.do("component api major_outage")
    fake.do('incident db investigating "Errors" "We look."')
    events = monitor.poll_once()
    assert events == taken and len(events) == 1 and monitor.failure == "full"


def test_poll_once_is_refused_while_it_runs(acme):
    with Monitor([acme]) as monitor:
        with pytest.raises(StatuswatchError, match="running"):
            monitor.poll_once()
        assert monitor.is_running()


def test_poll_once_remembers_in_a_file_too(fake, acme, tmp_path):
    path = str(tmp_path / "state.json")
    assert Monitor([acme], state=path).poll_once() == []
    fake.do("component api major_outage")
    assert told(Monitor([acme], state=path).poll_once()) == [("API", "major_outage")]
    with Monitor([acme], state=path) as monitor:
        seeded(fake, monitor)
    assert list(monitor) == []


def test_an_interrupt_leaves_nothing_behind(server, tmp_path):
    path = str(tmp_path / "state.json")
    acme = Provider("Acme", (server.url("accept_and_hang"),))

    def interrupt():
        wait_for(lambda: server.requests)
        os.kill(os.getpid(), signal.SIGINT)

    # A shell's "&" has it ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            Monitor([acme], state=path).poll_once()
        thread.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert ours() == []
    StateFile(path).lock()


# --- The state. ---


def test_a_state_that_another_has_is_refused(acme, tmp_path):
    path = str(tmp_path / "state.json")
    holder = StateFile(path)
    holder.lock()
    monitor = Monitor([acme], state=path)
    for begin in (monitor.start, monitor.poll_once):
        with pytest.raises(StateLocked):
            begin()
    assert monitor.stop() is True and list(monitor) == []
    holder.unlock()
    with monitor:
        with pytest.raises(StateLocked):
            Monitor([acme], state=path).start()
    with monitor:  # and one that was stopped has it no more
        pass


def test_a_state_of_a_newer_version_is_refused_and_let_go_of(acme, tmp_path):
    path = tmp_path / "state.json"
    path.write_text('{"version": 99}')
    monitor = Monitor([acme], state=str(path))
    for begin in (monitor.start, monitor.poll_once):
        with pytest.raises(ConfigError):
            begin()
    path.unlink()
    with monitor:
        pass


def test_certificates_that_are_missing_are_refused_and_the_state_let_go_of(
    acme, tmp_path, monkeypatch
):
    monitor = Monitor([acme], state=str(tmp_path / "state.json"))
    with monkeypatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", "/no/such/file")
        with pytest.raises(ConfigError):
            monitor.start()
    with monitor:
        pass


def test_what_is_no_address_is_refused_and_the_state_let_go_of(acme, tmp_path):
    path = str(tmp_path / "state.json")
    with pytest.raises(ValueError, match="bad URL"):
        Monitor([acme._replace(urls=("status.acme.test",))], state=path).start()
    with Monitor([acme], state=path):
        pass


def test_a_damaged_state_is_kept_aside_and_the_watch_goes_on(acme, fake, tmp_path):
    path = tmp_path / "state.json"
    path.write_text("broken")
    with Monitor([acme], state=str(path)) as monitor:
        seeded(fake, monitor)
    assert len(list(tmp_path.glob("state.json.corrupt-*"))) == 1
    assert list(json.loads(path.read_text())["providers"]) == ["Acme"]


# --- Another's program. ---


def test_a_program_keeps_its_logging_its_signals_and_its_threads(fake, acme):
    def state():
        handlers = [signal.getsignal(n) for n in range(1, signal.NSIG) if n != 32]
        loggers = [logging.root, logging.getLogger("urllib3")]
        logs = [(each.level, list(each.handlers)) for each in loggers]
        return handlers, logs, threading.active_count(), sys.excepthook, os.getcwd()

    before, threads = state(), threading.enumerate()
    with Monitor([acme], lambda event: None) as monitor:
        seeded(fake, monitor)
        assert state()[:2] == before[:2]
    for thread in set(threading.enumerate()).difference(threads):
        thread.join(5)  # the page's, which ends with the connection, takes a moment
    assert state() == before


def test_a_host_under_systemd_tells_it_itself(fake, acme, monkeypatch, tmp_path):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "1000")
    monkeypatch.setattr(statuswatch, "notify", lambda text: pytest.fail(text))
    with Monitor([acme]) as monitor:
        seeded(fake, monitor)
    assert monitor.failure == ""


def program(tmp_path, code, *argv, path=ROOT, **env):
    """The output of a Python program that has the module."""
    file = tmp_path / "program.py"
    file.write_text(code)
    ran = subprocess.run(
        [sys.executable, "-W", "error", str(file), *argv],
        env={**os.environ, "PYTHONPATH": str(path), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=BOUND,
    )
    assert (ran.returncode, ran.stderr.decode()) == (0, "")
    return ran.stdout.decode()


def test_the_import_does_nothing(tmp_path):
    code = """
import logging, os, signal, sys, threading
import requests, tenacity, defusedxml.ElementTree, concurrent.futures
import argparse, configparser, subprocess, shutil, email.utils, html, ipaddress

class Forbidden(dict):
    def refuse(self, *args):
        raise AssertionError("the environment was read")
    __getitem__ = get = __contains__ = __iter__ = keys = items = refuse

handlers = [signal.getsignal(n) for n in range(1, signal.NSIG) if n != 32]
levels = {name: each.level for name, each in logging.root.manager.loggerDict.items()
          if isinstance(each, logging.Logger)}
real, os.environ = os.environ, Forbidden()
os.environb, os.getenv = os.environ, os.environ.refuse
import statuswatch
os.environ = real
assert threading.active_count() == 1
assert logging.root.handlers == [] and logging.root.level == logging.WARNING
(handler,) = statuswatch.log.handlers
assert type(handler) is logging.NullHandler and statuswatch.log.level == 0
now = {name: each.level for name, each
       in logging.root.manager.loggerDict.items() if isinstance(each, logging.Logger)}
assert levels.items() <= now.items()
assert handlers == [signal.getsignal(n) for n in range(1, signal.NSIG) if n != 32]
for name in statuswatch.__all__:
    assert getattr(statuswatch, name).__doc__, name
print("fine")
"""
    assert program(tmp_path, code) == "fine\n"


def test_it_may_have_another_name(tmp_path, fake):
    package = tmp_path / "legacy" / "vendor"
    package.mkdir(parents=True)
    (tmp_path / "legacy" / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    shutil.copy(str(ROOT / "statuswatch.py"), str(package / "watchlib.py"))
    code = """
import logging, sys
from legacy.vendor.watchlib import Monitor, Provider, parse, ParseError
import legacy.vendor.watchlib as watchlib
names = []
class Handler(logging.Handler):
    def emit(self, record):
        names.append(record.name)
logging.getLogger("legacy").addHandler(Handler())
logging.getLogger("legacy").setLevel("INFO")
with Monitor([Provider("Acme", (sys.argv[1],), interval=0.05)]) as monitor:
    while not names:
        pass
assert set(names) == {"legacy.vendor.watchlib"}
assert "statuswatch" not in sys.modules
try:
    parse(b"")
except watchlib.StatuswatchError as exc:
    print(type(exc).__module__)
"""
    out = program(tmp_path, code, fake.url + SUMMARY, path=tmp_path)
    assert out == "legacy.vendor.watchlib\n"


def test_a_program_that_ends_without_a_stop_ends(tmp_path, fake, server):
    code = """
import sys, time
from statuswatch import Monitor, Provider
urls = sys.argv[1:]
providers = [Provider(url, (url,), interval=0.01) for url in urls]
monitor = Monitor(providers, on_event=print).start()
time.sleep(0.3)
print("over")
"""
    began = time.monotonic()
    hang = server.url("accept_and_hang")
    out = program(tmp_path, code, fake.url + SUMMARY, hang)
    assert out == "over\n" and time.monotonic() - began < 10


FORKED = """
import os, sys, time
from statuswatch import Monitor, Provider

url, states, before = sys.argv[1], sys.argv[2], sys.argv[3] == "started"
acme = Provider("Acme", (url,), interval=0.05)

def child(monitor, number):
    monitor.stop()
    monitor.start()
    print("event", number, next(iter(monitor)).status, flush=True)
    assert monitor.stop()

monitors = [Monitor([acme], state=states and states + str(n)) for n in range(3)]
if before:
    for monitor in [] if states else monitors:
        monitor.start()
    parent = Monitor([acme], state=states and states + "parent").start()
    time.sleep(0.2)
children = []
for number, monitor in enumerate(monitors):
    pid = os.fork()
    if not pid:
        try:
            child(monitor, number)
            os._exit(0)
        finally:
            os._exit(1)
    children.append(pid)
print("forked", flush=True)
for pid in children:
    assert os.waitpid(pid, 0)[1] == 0
if before:
    for monitor in monitors + [parent]:
        assert monitor.stop()
print("over")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("when", ["made", "started"])
@pytest.mark.parametrize("state", ["", "state"])
def test_a_program_may_fork(tmp_path, server, when, state):
    """As application servers do that load the program first."""
    url = server.url("healthy")
    advancing = threading.Event()

    def advance():
        while not advancing.wait(0.2):
            server.page("page").advance()

    thread = threading.Thread(target=advance)
    thread.start()
    try:
        out = program(
            tmp_path,
            FORKED,
            url,
            state and str(tmp_path / state),
            when,
            PYTHONWARNINGS="ignore",
        )
    finally:
        advancing.set()
        thread.join()
    lines = out.splitlines()
    assert lines[-1] == "over" and "forked" in lines
    events = sorted(line.split()[:2] for line in lines if line.startswith("event"))
    assert events == [["event", str(n)] for n in range(3)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_does_not_keep_the_lock(acme, tmp_path):
    path = str(tmp_path / "state.json")
    state = StateFile(path)
    state.lock()
    release, hold = os.pipe()
    child = subprocess.Popen(["sleep", "30"], close_fds=False)
    pid = os.fork()
    if not pid:
        os.read(release, 1)
        os._exit(0)
    try:
        state.unlock()
        StateFile(path).lock()
    finally:
        os.write(hold, b"x")
        os.waitpid(pid, 0)
        child.kill()
        child.wait()
        os.close(release)
        os.close(hold)
