"""What outlives the program is whole, private, ours, and never half believed."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import os
import stat
import subprocess
import sys
import time

import pytest
import statuswatch
from statuswatch import FORGET, ConfigError, StateFile, StateLocked

NOW = int(time.time())
PROVIDERS = {
    "Acme": {"sources": {"AbCdE": {"etag": 'W/"\u00e9"', "read_at": NOW + 0.5}}},
    "\u05e9\u05dc\u05d5\u05dd \ud83d": {"sources": {"a": {"failed_at": NOW}}},
}


@pytest.fixture(autouse=True)
def debug(caplog):
    caplog.set_level(logging.DEBUG, "statuswatch")


def save(path, providers):
    state = StateFile(str(path))
    state.providers = {name: statuswatch.dumps(p) for name, p in providers.items()}
    state.save()


@pytest.fixture
def path(tmp_path):
    """Where a state is that was saved."""
    save(tmp_path / "state.json", PROVIDERS)
    return tmp_path / "state.json"


@pytest.fixture
def unlocking():
    """Locks are let go of, though they are meant to last as long as the process."""
    with contextlib.ExitStack() as stack:

        def lock(state):
            try:
                state.lock()
            except StateLocked as exc:
                assert str(exc) == "%s: another run holds the lock" % state.path
                return False
            stack.callback(state.unlock)
            return True

        yield lock


def load(path):
    state = StateFile(str(path))
    state.load()
    return {name: json.loads(text) for name, text in state.providers.items()}


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def warnings(caplog):
    records = [r for r in caplog.records if r.levelno >= logging.WARNING]
    return [record.getMessage() for record in records]


def fail(monkeypatch, name, number=errno.ENOSPC):
    """Make a function of os fail until the returned function is called."""

    def failing(*_, **__):
        raise OSError(number, os.strerror(number))

    working = getattr(os, name)
    monkeypatch.setattr(os, name, failing)
    return lambda: monkeypatch.setattr(os, name, working)


def test_what_is_saved_is_loaded_again(path, caplog):
    assert load(path) == PROVIDERS
    assert names(path.parent) == ["state.json"]
    assert caplog.records == []


def test_a_state_is_read_as_its_docstring_says(path):
    body = path.read_bytes()
    assert body.isascii() and body.endswith(b"}\n")
    stored = json.loads(body)
    assert list(stored) == ["version", "sha256", "providers"]
    assert stored["version"] == StateFile.VERSION == 2
    begin = body.index(b'"providers":') + len('"providers":')
    assert hashlib.sha256(b"2" + body[begin:-2]).hexdigest() == stored["sha256"]


def test_there_is_no_state_at_first(tmp_path, caplog):
    assert load(tmp_path / "state.json") == {}
    assert names(tmp_path) == [] and caplog.records == []


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_only_its_owner_reads_a_state(tmp_path, umask):
    before = os.umask(umask)
    try:
        StateFile(str(tmp_path / "state.json")).save()
    finally:
        os.umask(before)
    mode = stat.S_IMODE((tmp_path / "state.json").stat().st_mode)
    assert mode == 0o600 & ~umask


def test_a_state_that_others_could_read_becomes_private(path):
    path.chmod(0o644)
    StateFile(str(path)).save()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_state_is_replaced_after_it_is_on_the_disk(path, monkeypatch):
    done = []
    for name in ("fsync", "replace", "unlink"):
        working = getattr(os, name)

        def noted(*args, name=name, working=working):
            done.append(name)
            return working(*args)

        monkeypatch.setattr(os, name, noted)
    before = os.stat(path).st_ino
    StateFile(str(path)).save()
    assert done == ["fsync", "replace", "fsync"]
    assert os.stat(path).st_ino != before


def test_a_leftover_of_a_crash_is_written_over(path):
    leftover = path.with_name("state.json.tmp")
    leftover.write_text("x" * 99999)
    StateFile(str(path)).save()
    assert load(path) == {}
    assert names(path.parent) == ["state.json"]


# --- The lock. ---


def test_one_run_has_the_lock_and_no_other(tmp_path, unlocking):
    path = str(tmp_path / "state.json")
    first, second = StateFile(path), StateFile(path)
    assert unlocking(first) is True
    assert unlocking(second) is False
    assert unlocking(StateFile(path + "2")) is True
    first.unlock()
    assert unlocking(StateFile(path)) is True


def test_the_lock_is_one_for_other_programs_too(tmp_path, unlocking):
    path = tmp_path / "state.json"
    with open(str(path) + ".lock", "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert unlocking(StateFile(str(path))) is False


def test_the_lock_ends_with_the_process(tmp_path, unlocking):
    path = str(tmp_path / "state.json")
    code = "import statuswatch, sys, os; s = statuswatch.StateFile(sys.argv[1])\n"
    code += "s.lock(); os._exit(0)"
    subprocess.run([sys.executable, "-c", code, path], check=True, timeout=30)
    assert unlocking(StateFile(path)) is True


def test_the_folder_is_made(tmp_path, unlocking):
    path = tmp_path / "a" / "b" / "state.json"
    state = StateFile(str(path))
    assert unlocking(state) is True
    state.save()
    assert load(path) == {}


def test_without_a_lock_file_we_run_without_a_lock(tmp_path, unlocking, caplog):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "state.json"
    assert unlocking(StateFile(str(path))) is True
    said = caplog.records[-1].getMessage()
    assert said.endswith(": running without a lock")
    assert said.startswith("%s.lock: " % path)


# --- Damage. ---


def resealed(body, **changes):
    """A state with other members and a checksum that fits."""
    stored = {**json.loads(body), **changes}
    text = json.dumps(stored["providers"], separators=(",", ":"))
    check = hashlib.sha256(("%s%s" % (stored["version"], text)).encode()).hexdigest()
    head = '{"version":%s,"sha256":"%s","providers":'
    return (head % (json.dumps(stored["version"]), check) + text + "}\n").encode()


DAMAGE = {
    "empty": lambda body: b"",
    "space": lambda body: b" \n",
    "truncated": lambda body: body[:-1],
    "half": lambda body: body[: len(body) // 2],
    "longer": lambda body: body + b"x",
    "twice": lambda body: body * 2,
    "zeros": lambda body: bytes(len(body)),
    "binary": lambda body: bytes(range(256)),
    "utf-16": lambda body: body.decode().encode("utf-16"),
    "bom": lambda body: b"\xef\xbb\xbf" + body,
    "null": lambda body: b"null\n",
    "list": lambda body: b"[]\n",
    "number": lambda body: b"7\n",
    "text": lambda body: b'"providers"\n',
    "object": lambda body: b"{}\n",
    "other-program": lambda body: b'{"version": 1, "providers": {}}\n',
    "pretty": lambda body: json.dumps(json.loads(body), indent=1).encode(),
    "digit": lambda body: body.replace(b".5", b".6"),
    "checksum": lambda body: body.replace(b'"sha256":"', b'"sha256":"0'),
    "no-checksum": lambda body: body.replace(b"sha256", b"sha255"),
    "old": lambda body: resealed(body, version=1),
    "zero": lambda body: resealed(body, version=0),
    "negative": lambda body: resealed(body, version=-5),
    "true": lambda body: resealed(body, version=True),
    "huge-text-version": lambda body: resealed(body, version="99"),
    "float-version": lambda body: resealed(body, version=99.5),
    "deep": lambda body: b"[" * 100000 + b"]" * 100000,
    "long-number": lambda body: b'{"version":%s}' % (b"9" * 5000),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_state_is_kept_aside_and_we_start_anew(path, caplog, damage):
    body = DAMAGE[damage](path.read_bytes())
    path.write_bytes(body)
    assert load(path) == {}
    (aside,) = path.parent.iterdir()
    prefix, _, number = aside.name.rpartition("-")
    assert prefix == "state.json.corrupt" and abs(int(number) - time.time()) < 60
    assert aside.read_bytes() == body
    words = "%s: damaged, or not ours: kept as %s; starting anew" % (path, aside)
    assert warnings(caplog) == [words]


def test_no_truncation_and_no_flipped_bit_is_believed(tmp_path, path):
    body, spoilt = path.read_bytes(), tmp_path / "spoilt"
    flips = [(at, 1 << (at % 8)) for at in range(len(body))]
    bodies = [body[:at] for at in range(len(body))]
    bodies += [
        body[:at] + bytes([body[at] ^ bit]) + body[at + 1 :] for at, bit in flips
    ]
    for each in bodies:
        spoilt.write_bytes(each)
        try:
            assert load(spoilt) == {}
        except ConfigError:  # of 2 one bit makes 3, and 6
            assert each[:12] in (b'{"version":3,', b'{"version":6,')


def test_a_folder_where_the_state_should_be_is_kept_aside(tmp_path, caplog):
    path = tmp_path / "state.json"
    path.mkdir()
    (path / "precious").write_text("")
    state = StateFile(str(path))
    state.load()
    state.save()
    assert state.providers == {} == load(path)
    (warning,) = warnings(caplog)
    assert warning.startswith("%s: Is a directory: kept as " % path)
    (aside,) = tmp_path.glob("state.json.corrupt-*")
    assert names(aside) == ["precious"]


@pytest.mark.parametrize(
    "text", ['{"A":{},"B":3}', '{"A":{},"B":{}', '{"A":{}', "[]", "3"]
)
def test_a_state_with_our_checksum_that_is_not_ours_is_not_believed(path, caplog, text):
    path.write_bytes(StateFile("")._sealed(text))
    assert load(path) == {}
    (warning,) = warnings(caplog)
    assert "damaged, or not ours" in warning and not path.exists()


def test_a_state_is_taken_as_it_was_written(path):
    for providers in ({}, {"A": "{}"}, {'"}, {': '{"sources":{}}', "B": '{"x":"}"}'}):
        state = StateFile(str(path))
        state.providers = providers
        state.save()
        again = StateFile(str(path))
        again.load()
        assert again.providers == providers


def test_what_is_read_again_takes_the_place_of_what_was_there(path):
    state = StateFile(str(path))
    state.load()
    assert state.providers
    path.unlink()
    state.load()
    assert state.providers == {}


def test_somebody_elses_state_is_not_believed(path, caplog, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    assert load(path) == {}
    assert len(warnings(caplog)) == 1
    assert not path.exists()


@pytest.mark.parametrize("name", ["loop", "loop/state.json", "x" * 300])
def test_a_path_that_leads_nowhere_is_said(tmp_path, caplog, name):
    (tmp_path / "loop").symlink_to("loop")
    state = StateFile(str(tmp_path / name))
    state.lock()
    state.load()
    assert state.providers == {} and len(warnings(caplog)) == 1


def test_a_folder_that_we_may_not_enter_is_said(path, caplog, monkeypatch):
    def refused(_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(type(path), "exists", refused)
    state = StateFile(str(path))
    state.load()
    assert state.providers == {}
    assert warnings(caplog)[0].startswith("%s: Permission denied: kept as" % path)


def test_what_cannot_even_be_moved_stays_and_is_said(path, caplog, monkeypatch):
    path.write_text("broken")
    fail(monkeypatch, "replace", errno.EROFS)
    assert load(path) == {}
    words = "kept as it is, for it cannot be moved: Read-only file system"
    assert words in warnings(caplog)[0] and len(warnings(caplog)) == 1
    assert path.read_text() == "broken"


@pytest.mark.parametrize(
    "body",
    [
        b'{"version":3,"sha256":"x","providers":{}}\n',
        b'{"version": 3, "sources": []}',
        b'{"version": 3, "providers": []}',
        b'{"sources": [], "version": 99999}',
        resealed(StateFile("")._sealed("{}"), version=3),
        StateFile("")._sealed("{}").replace(b'"version":2', b'"version":99'),
    ],
)
def test_a_newer_state_is_refused_and_not_touched(path, caplog, body):
    path.write_bytes(body)
    before = path.stat()
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value) == "%s: a newer version wrote it" % path
    assert names(path.parent) == ["state.json"]
    assert path.read_bytes() == body
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert warnings(caplog) == []


def test_what_is_no_file_is_refused_and_not_touched(tmp_path):
    path = tmp_path / "state.json"
    os.mkfifo(path)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value) == "%s: not a file" % path
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_a_state_may_be_a_link(path, tmp_path):
    (tmp_path / "link.json").symlink_to(path)
    assert load(tmp_path / "link.json") == PROVIDERS
    save(tmp_path / "link.json", PROVIDERS)
    assert (tmp_path / "link.json").is_symlink() and load(path) == PROVIDERS


def test_who_was_not_read_for_long_is_forgotten(tmp_path):
    old, young = NOW - FORGET - 60, NOW - FORGET + 3600
    providers = {
        "old": {"sources": {"a": {"read_at": old}, "b": {"failed_at": old}}},
        "read": {"sources": {"a": {"read_at": young}, "b": {"read_at": old}}},
        "tried": {"sources": {"a": {"read_at": old, "failed_at": young}}},
        "never": {"sources": {}},
        "now": {"sources": {"a": {"read_at": NOW}}},
    }
    save(tmp_path / "state.json", providers)
    assert set(load(tmp_path / "state.json")) == {"read", "tried", "now"}


@pytest.mark.parametrize("days", [-1000, 1000])
def test_a_clock_that_is_wrong_forgets_nobody(path, monkeypatch, days):
    """Nor does a machine that was off for long: what happened meanwhile is told."""
    monkeypatch.setattr(time, "time", lambda: NOW + 86400.0 * days)
    assert load(path) == PROVIDERS


def test_a_single_time_in_the_future_forgets_nobody_else(tmp_path):
    """As if the clock had been wrong for one poll."""
    providers = {
        "ahead": {"sources": {"a": {"failed_at": NOW + 100 * 86400}}},
        "now": {"sources": {"a": {"read_at": NOW}}},
        "old": {"sources": {"a": {"read_at": NOW - FORGET - 60}}},
    }
    save(tmp_path / "state.json", providers)
    assert set(load(tmp_path / "state.json")) == {"ahead", "now"}


# --- A disk that fails. ---


@pytest.mark.parametrize("name", ["open", "fsync", "replace"])
def test_a_state_that_cannot_be_written_is_said_once_until_it_can(
    path, caplog, monkeypatch, name
):
    state, body = StateFile(str(path)), path.read_bytes()
    works_again = fail(monkeypatch, name)
    for _ in range(3):
        state.save()
        assert state.failing
        assert names(path.parent) == ["state.json"]
        assert path.read_bytes() == body
    words = "%s: cannot be written: No space left on device" % path
    assert warnings(caplog) == [words]
    works_again()
    state.save()
    assert not state.failing and load(path) == {}
    record = caplog.records[-1]
    assert record.levelno == logging.INFO
    assert record.getMessage() == "%s: can be written again" % path
    state.save()
    assert caplog.records[-1] is record
    fail(monkeypatch, name)
    state.save()
    assert warnings(caplog) == [words] * 2


def test_a_folder_that_cannot_be_synced_does_not_matter(path, caplog, monkeypatch):
    """Not all file systems can: the state is written, and nothing is said."""
    fsync = os.fsync

    def refusing(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refusing)
    state, before = StateFile(str(path)), len(os.listdir("/dev/fd"))
    state.save()
    assert not state.failing and caplog.records == []
    assert load(path) == {} and names(path.parent) == ["state.json"]
    assert len(os.listdir("/dev/fd")) == before  # none is left open


def test_a_folder_that_is_gone_is_said(tmp_path, caplog):
    state = StateFile(str(tmp_path / "gone" / "state.json"))
    state.save()
    assert len(warnings(caplog)) == 1
    (tmp_path / "gone").mkdir()
    state.save()
    assert names(tmp_path / "gone") == ["state.json"]


def test_a_write_that_ends_half_way_leaves_the_old_state(path, monkeypatch):
    body = path.read_bytes()
    state = StateFile(str(path))
    monkeypatch.setattr(StateFile, "_sealed", lambda *_: b"x" * (1 << 20))
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        state.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == body
    assert names(path.parent) == ["state.json"]
