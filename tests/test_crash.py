"""Nothing is lost or told twice, whatever ends the program or spoils its state.

Each test runs the program as people do, as a process of its own. scripts/crash has the
long versions of these tests.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest
from fakes import load_script

crash = load_script("crash")
PROGRAM = Path(__file__).resolve().parents[1] / "statuswatch.py"
MINUTE = 60.0

# Runs a program as its next version, which writes states of a newer form.
NEWER = """\
import importlib.util, sys
spec = importlib.util.spec_from_file_location("newer", sys.argv.pop(1))
newer = sys.modules["newer"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(newer)
newer.StateFile.VERSION += 1
sys.exit(newer.main())
"""


@pytest.fixture
def lab(tmp_path):
    """A folder for one test; $STATUSWATCH_PROGRAM names another program to test."""
    program = Path(os.environ.get("STATUSWATCH_PROGRAM", PROGRAM))
    lab = crash.Lab(tmp_path, program.resolve())
    lab.patience = 5
    return lab


@pytest.fixture
def tale(lab):
    """A page that has been seeded."""
    with crash.stories(lab) as (tale,):
        yield tale


@pytest.fixture
def tales(lab):
    with crash.stories(lab, 2) as tales:
        yield tales


def is_quiet(program):
    return "Traceback" not in program.log and not program.logged("WARNING")


def names(folder):
    return {path.name for path in folder.iterdir()}


# --- Once: what changed since the last run. ---


def test_the_first_run_is_silent_and_keeps_a_private_state(lab):
    with crash.Story() as tale:
        tale.tell(3)
        lab.providers({"A": tale.address})
        first = lab.once()
    assert (first.code, first.lines) == (0, [])
    assert stat.S_IMODE(lab.state.stat().st_mode) == 0o600
    assert lab.state.read_bytes().isascii()
    assert is_quiet(first)


def test_a_further_run_tells_exactly_what_changed(lab, tale):
    tale.do('component web "Web" major_outage')
    wanted = tale.tell(3)
    second, third = lab.once(), lab.once()
    assert sorted(second.messages()) == sorted([*wanted, "Web major_outage"])
    assert (second.code, third.code, third.lines) == (0, 0, [])
    assert not any(event["while_away"] for event in second.events())


@pytest.mark.parametrize("minutes, away", [(9, False), (11, True)])
def test_what_happened_while_away_says_so(lab, tale, minutes, away):
    lab.state.unlink()
    lab.once(python=lab.shift(-minutes * MINUTE))
    wanted = tale.tell(2)
    back = lab.once()
    assert back.messages() == wanted
    assert [event["while_away"] for event in back.events()] == [away, away]
    tale.tell()
    assert [event["while_away"] for event in lab.once().events()] == [False]


def test_watching_tells_only_at_first_what_happened_while_away(lab, tale):
    lab.state.unlink()
    lab.once(python=lab.shift(-11 * MINUTE))
    wanted = tale.tell()
    with lab.watch() as program:
        assert program.told(*wanted)
        assert program.told(*tale.tell())
    assert [event["while_away"] for event in program.events()] == [True, False]


@pytest.mark.parametrize("variable", ["HOME", "XDG_STATE_HOME"])
def test_the_state_has_a_place_of_its_own(lab, tale, tmp_path, variable):
    inside = "home/.local/state" if variable == "HOME" else "home"
    env = {variable: str(tmp_path / "home")}
    assert lab.once(env=env, files=[]).code == 0
    folder = tmp_path / inside / "statuswatch"
    assert names(folder) == {"state.json", "state.json.lock"}


def test_watching_without_a_state_writes_no_file(lab, tale, tmp_path):
    before = names(tmp_path)
    with lab.watch(files=["--json"]) as program:
        program.said("Seeded")
        assert program.told(*tale.tell())
        program.stop()
    assert names(tmp_path) - before == {program.log_file.name}
    assert not lab.home.exists()


def test_a_run_beside_another_leaves_at_once(lab, tale):
    wanted = tale.tell()
    tale.open.clear()
    asked = tale.asked
    with lab.start("--once") as first:
        first.until(lambda: tale.asked > asked)
        second = lab.once()
        tale.open.set()
        assert first.wait() == 0
    assert (second.code, second.lines, second.log.count("\n")) == (75, [], 1)
    assert first.messages() == wanted


def test_the_first_incident_of_a_quiet_page_is_just_that(lab):
    with crash.Story() as tale:
        lab.providers({"A": tale.address})
        assert lab.once().code == 0
        wanted = tale.tell()
        second = lab.once()
    assert second.messages() == wanted
    assert is_quiet(second)


def test_every_run_says_that_a_page_cannot_be_read(lab, tale):
    tale.do("fail 503 60")
    codes = [lab.once().code, lab.once().code]
    assert codes == [1, 1]


def test_a_page_that_is_back_is_read_by_the_next_run(lab, tale):
    tale.do("fail 503 60")
    assert lab.once().code == 1
    tale.do("ok")
    wanted = tale.tell()
    back = lab.once()
    assert (back.code, back.messages()) == (0, wanted)


def test_the_state_of_a_large_page_is_small(lab):
    with crash.Story() as tale:
        for number in range(23):
            tale.do('component c%d "Component %d" operational' % (number, number))
        lab.providers({"A": tale.address})
        for _ in range(3):  # a feed shows no more than 25 incidents
            tale.tell(20 * len(tale.STATUSES) + 20)
            assert lab.once("-q").code == 0
    assert lab.state.stat().st_size <= 10_000


# --- Killed and started again. ---


def test_a_kill_loses_nothing_and_repeats_nothing_long_told(lab, tale):
    wanted = tale.tell()
    with lab.watch() as program:
        assert program.told(*wanted)
        wanted += tale.tell()
        assert program.told(*wanted)
        time.sleep(crash.IN_FLIGHT)
        program.send(signal.SIGKILL)
        program.wait()
    wanted += tale.tell()
    again = lab.once()
    assert program.messages() + again.messages() == wanted
    assert is_quiet(again)


def test_three_restarts_during_an_incident_tell_every_event_once(lab, tale):
    told = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        tale.tell(2)
        with lab.watch() as program:
            assert program.until(lambda: program.lines)
            tale.tell()
            assert program.stop(number) < crash.EXIT
        assert program.code == 0
        told += program.messages()
    told += lab.once().messages()
    assert told == tale.messages


def test_no_temporary_file_outlives_the_next_run(lab, tale):
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    tale.tell()
    killed = lab.once(before=crash.strace(lab, "rename", 1))
    assert killed.code != 0
    assert lab.once().code == 0
    assert lab.temporary() == []


def test_the_state_is_written_at_most_once_a_second(lab, tale):
    seen = set()
    with lab.watch() as program:
        program.said("Watching")
        end = time.monotonic() + 2.4
        while time.monotonic() < end:
            tale.tell()
            for _ in range(10):
                seen.add(lab.state.stat().st_mtime_ns)
                time.sleep(0.005)
    assert 2 <= len(seen) <= 5


# --- A state that is no state of ours. ---


def damages(body):
    yield "empty", b""
    yield "half", body[: len(body) // 2]
    yield "all but the end", body[:-2]
    for number in (3, 7):
        at = len(body) * number // 8
        yield "flipped at %d/8" % number, crash.flipped(body, at * 8 + number)
    for bit in (1, 7):
        at = body.index(b"1")
        yield "flipped in the version, bit %d" % bit, crash.flipped(body, at * 8 + bit)
    yield "a list", b"[]"
    yield "deep", b"[" * 100_000
    yield "of another program", b'{"Version": 4, "providers": {"aws": ["5.1"]}}'
    yield "another text", b"\xff\xfe[providers]\n"


KINDS = [kind for kind, _ in damages(b'{"version": 1}')]


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_state_is_kept_aside_and_all_starts_anew(lab, tale, kind):
    damaged = dict(damages(lab.state.read_bytes()))[kind]
    lab.state.write_bytes(damaged)
    tale.tell()
    run = lab.once()
    kept = [path.read_bytes() for path in lab.folder.glob("state.json.corrupt-*")]
    assert (run.code, run.lines, kept) == (0, [], [damaged])
    assert len(run.logged("WARNING")) == 1
    assert "Traceback" not in run.log


def test_all_goes_on_after_a_damaged_state(lab, tale):
    lab.state.write_bytes(b"{")
    with lab.watch() as program:
        program.said("Seeded")
        wanted = tale.tell()
        assert program.told(*wanted)
        program.stop()
    assert program.messages() == wanted
    assert lab.once().lines == []


def test_a_folder_in_the_place_of_the_state_is_kept_aside(lab, tale):
    lab.state.unlink()
    lab.state.mkdir()
    (lab.state / "precious").touch()
    run = lab.once()
    (kept,) = lab.folder.glob("state.json.corrupt-*")
    assert (run.code, run.lines, len(run.logged("WARNING"))) == (0, [], 1)
    assert names(kept) == {"precious"}
    assert lab.state.is_file()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_state_of_another_user_is_kept_aside(lab, tale):
    os.chown(lab.state, 65534, 65534)
    tale.tell()
    run = lab.once()
    assert (run.code, run.lines, len(run.logged("WARNING"))) == (0, [], 1)
    assert len(list(lab.folder.glob("state.json.corrupt-*"))) == 1


def test_a_pipe_in_the_place_of_the_state_holds_up_nothing(lab, tale):
    lab.state.unlink()
    os.mkfifo(lab.state)
    run = lab.once()
    assert run.code in (0, 2)
    assert "Traceback" not in run.log


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make devices")
def test_a_device_in_the_place_of_the_state_stays_there(lab, tale):
    lab.state.unlink()
    try:
        os.mknod(lab.state, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        lab.state.read_bytes()
    except OSError:
        pytest.skip("no device can be made")
    assert lab.once().code in (0, 2)
    assert stat.S_ISCHR(lab.state.lstat().st_mode)


def test_a_state_of_a_newer_version_is_refused_and_left_alone(lab, tale):
    lab.state.unlink()
    assert lab.once(python=["-c", NEWER]).code == 0
    newer, asked = lab.state.read_bytes(), tale.asked
    for run in (lab.once(), lab.watch()):
        assert run.wait() == 2
        assert (run.lines, len(run.logged("ERROR"))) == ([], 1)
    assert lab.state.read_bytes() == newer
    assert names(lab.folder) >= {"state.json"}
    assert not list(lab.folder.glob("state.json.corrupt-*"))
    assert tale.asked == asked


# --- A state that cannot be written. ---


@pytest.fixture
def disk(lab):
    """A small disk for the state, seen by the program alone: what to run it under."""
    folder = lab.folder / "disk"
    folder.mkdir()
    lab.state = folder / "state.json"
    script = 'mount -t tmpfs -o size=128k$0 tmpfs "$1" && shift && exec "$@"'

    def before(options=""):
        return ["unshare", "-m", "sh", "-c", script, options, str(folder)]

    if not shutil.which("unshare") or subprocess.run([*before(), "true"]).returncode:
        pytest.skip("no disk of our own can be mounted")
    return before


def inside(program, folder):
    """The folder as the program sees it."""
    return Path("/proc/%d/root%s" % (program.process.pid, folder))


def fill(folder):
    with contextlib.suppress(OSError), open(folder / "filler", "wb", 0) as file:
        while True:
            file.write(bytes(512))


def test_a_full_disk_stops_nothing_and_is_one_warning_each_time(lab, tale, disk):
    with lab.watch(before=disk()) as program:
        program.said("Seeded")
        folder = inside(program, lab.state.parent)
        state = folder / "state.json"
        for times in (1, 2):
            assert program.until(state.exists)
            fill(folder)
            before = state.read_bytes()
            assert program.told(*tale.tell())
            assert program.until(lambda: len(program.logged("WARNING")) == times)
            assert program.told(*tale.tell())
            time.sleep(1.2 if times == 1 else 0)
            left = {"state.json", "state.json.lock", "filler"}
            assert program.until(lambda: names(folder) == left)  # between two tries
            assert state.read_bytes() == before
            (folder / "filler").unlink()
            assert program.until(lambda: state.read_bytes() != before)
        assert len(program.logged("WARNING")) == 2
        assert program.stop() < crash.EXIT
    assert (program.code, program.messages()) == (0, tale.messages)
    assert "Traceback" not in program.log


def keeps_watching(program, tale):
    """Whether the program tells what happens, with one WARNING about its state."""
    program.said("Seeded")
    assert program.told(*tale.tell())
    program.said("WARNING")
    time.sleep(1.2)
    assert program.told(*tale.tell())
    assert program.stop() < crash.EXIT
    assert (program.code, program.messages()) == (0, tale.messages)
    assert len(program.logged("WARNING")) == 1
    assert "Traceback" not in program.log


def test_a_disk_that_cannot_be_written_is_one_warning(lab, tale, disk):
    with lab.watch(before=disk(",ro")) as program:
        keeps_watching(program, tale)


def test_a_folder_that_cannot_be_is_one_warning(lab, tale):
    (lab.folder / "file").touch()
    lab.state = lab.folder / "file" / "state.json"
    with lab.watch() as program:
        keeps_watching(program, tale)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_must_not_be_written_is_one_warning(lab, tale):
    lab.state = lab.folder / "closed" / "state.json"
    lab.state.parent.mkdir(0o500)
    with lab.watch() as program:
        keeps_watching(program, tale)


# --- Output that fails, and output that cannot be anything but ASCII. ---


def has_failed_once(program):
    assert program.code == 1
    lines = [line for line in program.log.splitlines() if " INFO " not in line]
    assert len(lines) == 1
    assert "output" in lines[0]


def test_a_reader_that_leaves_is_told_the_rest_next_time(lab, tale):
    reading, writing = os.pipe()
    with lab.watch(stdout=writing) as program, subprocess.Popen(
        ["head", "-n", "1"], stdin=reading, stdout=subprocess.PIPE
    ) as head:
        os.close(writing)
        os.close(reading)
        first = tale.tell()
        printed = head.communicate(timeout=10)[0]
        second = tale.tell()
        program.wait()
    assert [json.loads(printed)["message"]] == first
    has_failed_once(program)
    assert lab.once().messages() == second


@pytest.mark.parametrize(
    "target, options",
    [
        (">/dev/full", ["--once"]),
        (">/dev/full", ["--interval", "0.05"]),
        (">&-", ["--once"]),
        ("| true", ["--once"]),
    ],
)
def test_events_that_could_not_be_printed_are_told_next_time(
    lab, tales, target, options
):
    wanted = [message for tale in tales for message in tale.tell(2)]
    with contextlib.ExitStack() as stack:
        before, stdout = ["sh", "-c", 'exec "$@" %s' % target, "sh"], None
        if target == "| true":
            reading, stdout = os.pipe()
            os.close(reading)
            before = []
        program = stack.enter_context(lab.start(*options, before=before, stdout=stdout))
        if stdout is not None:
            os.close(stdout)
        program.wait()
    has_failed_once(program)
    again = lab.once()
    assert (again.code, sorted(again.messages())) == (0, sorted(wanted))


def test_a_run_with_nothing_to_say_needs_no_output(lab, tale):
    run = lab.once(before=["sh", "-c", 'exec "$@" >/dev/full', "sh"])
    assert run.code == 0


def test_a_log_that_cannot_be_written_changes_nothing(lab, tale):
    wanted = tale.tell()
    run = lab.once(before=["sh", "-c", 'exec "$@" 2>/dev/full', "sh"])
    assert (run.code, run.messages()) == (0, wanted)


@pytest.mark.parametrize(
    "env",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "POSIX"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    ],
    ids=["C", "POSIX", "only ASCII"],
)
def test_any_locale_can_show_any_message(lab, tale, env):
    tale.do('component web "東京 ☃" partial_outage')
    tale.do('incident x investigating "Größe" "Zürich \U0001f4a5 naïve"')
    run = lab.once(env=env, files=["--state", str(lab.state)])
    first, second, rest = run.output.decode().split("\n\n")
    assert (run.code, rest) == (0, "")
    lines = [*first.split("\n"), *second.split("\n")]
    assert [line.partition(" ")[0] for line in lines[1::2]] == ["Status:", "Status:"]
    assert is_quiet(run)


# --- Signals. ---


@pytest.mark.parametrize(
    "number, options",
    [
        (signal.SIGTERM, ["--interval", "0.5"]),
        (signal.SIGINT, ["--interval", "0.5"]),
        (signal.SIGTERM, ["--once"]),
    ],
)
def test_a_signal_ends_the_program_though_all_workers_are_blocked(lab, number, options):
    with crash.dead_server() as (address, waiting):
        pages = {"D%d" % n: "http://%s statuspage" % address for n in range(20)}
        lab.providers(pages)
        with lab.start("--workers", "16", *options) as program:
            assert program.until(lambda: waiting() >= 16)
            assert program.stop(number) < crash.EXIT
    assert program.code == 0
    assert "Traceback" not in program.log


def test_a_poll_cut_by_a_signal_is_no_failure_of_the_page(lab, tale):
    tale.open.clear()
    asked = tale.asked
    with lab.watch(interval=30) as program:
        assert program.until(lambda: tale.asked > asked)
        assert program.stop() < crash.EXIT
    tale.open.set()
    assert program.code == 0
    assert is_quiet(program)
    wanted = tale.tell()
    again = lab.once()
    assert (again.messages(), "readable again" in again.log) == (wanted, False)


@pytest.fixture
def unread(lab, tale):
    """The program stuck in its output, which nobody reads."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    os.set_blocking(writing, True)
    tale.do('component long "Long" operational')
    lab.once()
    tale.do("component long major_outage")
    with lab.watch(stdout=writing) as program:
        os.close(writing)
        assert program.said("detected")
        yield program
    os.close(reading)


def test_a_signal_ends_the_program_though_nobody_reads_its_output(lab, unread):
    assert unread.stop(seconds=4) < crash.EXIT
    has_failed_once(unread)
    assert [event["status"] for event in lab.once().events()] == ["major_outage"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_program_at_once(lab, unread, number):
    unread.send(number)
    time.sleep(0.2)
    assert unread.stop(number) < 0.3
    assert unread.code != 0
    assert "Traceback" not in unread.log
    assert [event["status"] for event in lab.once().events()] == ["major_outage"]


def test_a_hangup_adds_removes_and_changes_providers(lab, tale):
    with crash.Story("P1") as two, lab.watch() as program:
        two.tell()
        program.said("Watching")
        lab.providers({"P0": tale.address, "P1": two.address})
        program.send(signal.SIGHUP)
        assert program.said("[P1] Seeded")
        wanted = [*two.tell(), *tale.tell()]
        assert program.told(*wanted)
        lab.providers({"P0": tale.address}, "[P0]\nproduct = Renamed")
        program.send(signal.SIGHUP)
        assert program.said("reloaded", 2)
        time.sleep(0.2)
        two.tell()
        asked = two.asked
        wanted += tale.tell()
        assert program.told(*wanted)
        assert two.asked == asked
        program.stop()
    assert sorted(program.messages()) == sorted(wanted)
    assert [event["product"] for event in program.events()][-1] == "Renamed"
    assert is_quiet(program)


def test_a_hangup_with_a_broken_file_keeps_the_old_providers(lab, tale):
    with lab.watch() as program:
        program.said("Watching")
        lab.providers({"P0": "nonsense", "P1": "ftp://x"})
        program.send(signal.SIGHUP)
        assert program.said(" ERROR ")
        lab.config.unlink()
        program.send(signal.SIGHUP)
        assert program.said(" ERROR ", 2)
        wanted = tale.tell()
        assert program.told(*wanted)
        assert program.stop() < crash.EXIT
    assert (program.code, program.messages()) == (0, wanted)
    assert len(program.logged("ERROR")) == 2


def test_a_provider_changed_while_it_is_polled_loses_and_repeats_nothing(lab, tale):
    with lab.watch() as program:
        program.said("Watching")
        for number in range(3):
            asked = tale.asked
            tale.open.clear()
            assert program.until(lambda: tale.asked > asked)
            wanted = tale.tell()
            lab.providers({"P0": tale.address}, "[P0]\nproduct = Name %d" % number)
            program.send(signal.SIGHUP)
            assert program.said("reloaded", number + 1)
            tale.open.set()
            assert program.told(*wanted)
        program.stop()
    assert program.messages() == tale.messages
    assert lab.once().lines == []


def test_a_provider_that_comes_back_is_told_of_what_was_missed(lab, tales):
    one, two = tales
    with lab.watch() as program:
        program.said("Watching")
        lab.providers({"P0": one.address})
        program.send(signal.SIGHUP)
        assert program.said("reloaded", 1)
        wanted = two.tell()
        lab.providers({"P0": one.address, "P1": two.address})
        program.send(signal.SIGHUP)
        assert program.told(*wanted, seconds=3)


# --- systemd. ---


@pytest.fixture
def systemd(tmp_path):
    with crash.Systemd(tmp_path, watchdog=2) as systemd:
        yield systemd


def test_systemd_is_told_how_we_are(lab, tale, systemd):
    with lab.watch(env=systemd.env) as program:
        assert systemd.until("READY=1") == ["READY=1"]
        systemd.until("WATCHDOG=1")
        program.send(signal.SIGHUP)
        systemd.until("RELOADING=1")
        systemd.until("READY=1")
        program.send(signal.SIGTERM)
        assert set(systemd.until("STOPPING=1")) <= {"WATCHDOG=1", "STOPPING=1"}
        assert program.wait() == 0


def test_the_watchdog_is_fed_though_vendors_are_dead(lab, systemd):
    with crash.dead_server() as (address, waiting):
        lab.providers({"D%d" % n: "http://%s statuspage" % address for n in range(30)})
        with lab.watch(interval=0.5, env=systemd.env) as program:
            assert program.until(lambda: waiting() >= 30)
            for _ in range(3):
                systemd.until("WATCHDOG=1", seconds=2)


# --- Clocks. ---


def test_a_jump_of_the_clock_causes_no_burst_and_no_stall(lab, tale):
    with lab.watch(interval=0.2, python=lab.shift(0)) as program:
        program.said("Watching")
        for days in (10, 0, -10, 0):
            lab.shift(days * crash.DAYS)
            asked = tale.asked
            assert program.told(*tale.tell(), seconds=3)
            time.sleep(0.4)
            assert tale.asked - asked < 40
        assert program.stop() < crash.EXIT
    assert program.messages() == tale.messages
    assert is_quiet(program)


@pytest.mark.parametrize("days", [-10, 10])
def test_a_jump_of_the_clock_between_two_runs_delays_nothing(lab, tale, days):
    wanted = tale.tell()
    run = lab.once(python=lab.shift(days * crash.DAYS))
    assert (run.code, run.messages()) == (0, wanted)
