"""An event is in the state only after it was told: written and flushed, say."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
import threading
import types

import pytest
import statuswatch
from statuswatch import Batch, Event, OutputError, Printer, StateFile

EVENT = Event("NEW_INCIDENT", "Acme", "Acme", status="investigating")
TEXT = "Acme: investigating\n"
STORED = '{"sources":{}}'


def tell(event):
    """What the command line does with an event."""
    statuswatch.write("%s: %s\n" % (event.product, event.status))


class Out(io.StringIO):
    """An output that notes in a diary what is done to it, and can fail."""

    def __init__(self, diary, failing=()):
        super().__init__()
        self.diary, self.failing = diary, failing

    def note(self, what):
        self.diary.append(what)
        if what in self.failing:
            raise self.failing[what]

    def write(self, text):
        self.note("write")
        return super().write(text)

    def flush(self):
        self.note("flush")


class State:
    """A state that notes what is committed and saved."""

    def __init__(self, diary):
        self.providers, self.failing, self.diary = self, False, diary
        self.saved = threading.Event()

    def update(self, stored):
        self.diary.append("commit " + " ".join(stored))

    def save(self):
        self.diary.append("save")
        self.saved.set()


@pytest.fixture
def diary():
    return []


def run(monkeypatch, out, state, *batches):
    """Print batches, and None, in this thread; return the printer."""
    monkeypatch.setattr(sys, "stdout", out)
    printer = Printer(tell, state)
    for batch in (*batches, None):
        printer.inbox.put(batch)
    printer.run()
    return printer


def test_events_are_written_and_flushed_and_then_committed(monkeypatch, diary):
    out = Out(diary)
    batches = Batch("A", (EVENT, EVENT), STORED), Batch("B", (EVENT,), STORED)
    printer = run(monkeypatch, out, State(diary), *batches)
    one = ["write", "flush"]
    assert diary == [*one * 2, "commit A", "save", *one, "commit B", "save"]
    assert out.getvalue() == TEXT * 3 and printer.failure == ""


def test_a_state_without_events_is_committed_too(monkeypatch, diary):
    run(monkeypatch, Out(diary), State(diary), Batch("A", (), STORED))
    assert diary == ["commit A", "save"]


def test_events_without_a_state_are_printed(monkeypatch, diary):
    out = Out(diary)
    run(monkeypatch, out, StateFile(""), Batch("A", (EVENT,), None))
    run(monkeypatch, out, StateFile(""), Batch("A", (EVENT,), STORED))
    run(monkeypatch, out, State(diary), Batch("A", (EVENT,), None))
    assert out.getvalue() == TEXT * 3
    assert "save" not in diary


@pytest.mark.parametrize("where", ["write", "flush"])
@pytest.mark.parametrize(
    "error, words",
    [
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "Broken pipe"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (ValueError("I/O operation on closed file"), "Value Error"),
    ],
)
def test_after_an_output_that_failed_nothing_is_committed(
    monkeypatch, diary, where, error, words
):
    told = []
    monkeypatch.setattr(sys, "stdout", Out(diary, {where: error}))
    printer = Printer(tell, State(diary))
    printer.on_failure = lambda: told.append(printer.failure)
    for batch in (Batch("A", (EVENT,), STORED), Batch("B", (), STORED), None):
        printer.inbox.put(batch)
    printer.run()
    assert diary in (["write"], ["write", "flush"])
    assert told == [words] == [printer.failure]


def test_what_was_committed_before_the_failure_stays(monkeypatch, diary):
    class Filling(Out):
        def flush(self):
            super().flush()
            if diary.count("flush") > 1:
                raise OSError(errno.ENOSPC, "No space left on device")

    batches = [Batch(name, (EVENT,), STORED) for name in "ABC"]
    printer = run(monkeypatch, Filling(diary), State(diary), *batches)
    assert diary == ["write", "flush", "commit A", "save", "write", "flush"]
    assert printer.failure == "No space left on device"


def test_an_event_that_fails_keeps_all_of_its_batch_out_of_the_state(diary):
    """The first of them is told again by the next run: at least once."""
    batches = Batch("A", (EVENT,), STORED), Batch("B", (EVENT, EVENT), STORED)
    told, failures = [], []

    def tell(event):
        if len(told) == 2:
            raise OutputError("enough")
        told.append(event)

    printer = Printer(tell, State(diary))
    printer.on_failure = lambda: failures.append(printer.failure)
    for batch in (*batches, Batch("C", (EVENT,), STORED), Batch("D", (), STORED), None):
        printer.inbox.put(batch)
    printer.run()
    assert diary == ["commit A", "save"]
    assert told == [EVENT] * 2 and failures == ["enough"]


def test_what_was_told_within_the_second_before_a_failure_is_committed(diary):
    told = []

    def tell(event):
        if len(told) == 2:
            raise OutputError("enough")
        told.append(event)

    printer = Printer(tell, State(diary))
    for name in "ABC":
        printer.inbox.put(Batch(name, (EVENT,), STORED))
    printer.inbox.put(None)
    printer.run()
    assert diary == ["commit A", "save", "commit B", "save"]


def test_a_mistake_of_who_is_told_is_logged_and_the_event_counts_as_told(diary, caplog):
    told = []

    def tell(event):
        told.append(event)
        raise KeyError("a mistake")

    printer = Printer(tell, State(diary))
    for batch in (Batch("A", (EVENT, EVENT), STORED), None):
        printer.inbox.put(batch)
    printer.run()
    assert told == [EVENT] * 2 and diary == ["commit A", "save"]
    assert [r.getMessage() for r in caplog.records] == [
        "[Acme] an event was not taken"
    ] * 2
    assert caplog.records[0].exc_info[0] is KeyError and printer.failure == ""


def test_nothing_is_printed_after_the_failure(monkeypatch, diary):
    out = Out(diary, {"flush": OSError(errno.EIO, "Input/output error")})
    batches = [Batch("A", (EVENT,), STORED)] * 3
    printer = run(monkeypatch, out, State(diary), *batches)
    assert diary == ["write", "flush"] and printer.failure == "Input/output error"


def test_all_that_is_queued_is_printed_before_the_end(monkeypatch, diary):
    out, state = Out(diary), State(diary)
    batches = [Batch("P%d" % n, (EVENT,), STORED) for n in range(500)]
    run(monkeypatch, out, state, *batches)
    assert out.getvalue() == TEXT * 500
    commits = [line for line in diary if line.startswith("commit")]
    committed = [name for line in commits for name in line.split()[1:]]
    assert committed == [batch.provider for batch in batches]
    assert diary[-1] == "save"


class Inbox:
    """A queue in a time that passes where one waits: (seconds, batch) by batch."""

    def __init__(self, monkeypatch, *arrivals):
        self.now, self.arrivals, self.waits = 1000.0, list(arrivals), []
        clock = types.SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr(statuswatch, "time", clock)

    def get(self, timeout):
        self.waits.append(timeout)
        at, batch = self.arrivals[0]
        if timeout is not None and 1000.0 + at > self.now + timeout:
            self.now += timeout
            raise statuswatch.queue.Empty
        self.now = max(self.now, 1000.0 + at)
        return self.arrivals.pop(0)[1]


def test_the_state_is_saved_once_a_second_at_most(monkeypatch, diary):
    saves = []

    class Timed(State):
        def save(self):
            saves.append(round(inbox.now - 1000.0, 3))

    batch = Batch("A", (EVENT,), STORED)
    arrivals = [(n / 10, batch) for n in range(25)] + [(9.0, batch), (9.2, None)]
    inbox, out = Inbox(monkeypatch, *arrivals), Out(diary)
    monkeypatch.setattr(sys, "stdout", out)
    printer = Printer(tell, Timed(diary))
    printer.inbox = inbox
    printer.run()
    assert out.getvalue() == TEXT * 26
    assert saves == pytest.approx([0, 1, 2, 3, 9], abs=0.11)
    assert inbox.waits[0] is None  # it waits, and does not look again and again
    assert len(inbox.waits) <= len(arrivals) + len(saves)


@pytest.mark.parametrize("cost, pause", [(0.1, 1), (2, 10)])
def test_a_state_that_is_slow_to_save_is_saved_less_often(
    monkeypatch, diary, cost, pause
):
    saves = []

    class Slow(State):
        def save(self):
            inbox.now += cost
            saves.append(inbox.now - 1000)

    batch = Batch("A", (), STORED)
    inbox = Inbox(monkeypatch, *[(n / 5, batch) for n in range(300)], (60, None))
    printer = Printer(tell, Slow(diary))
    printer.inbox = inbox
    printer.run()
    gaps = [later - sooner for sooner, later in zip(saves, saves[1:])]
    assert gaps[:-1] and max(gaps) <= pause + cost + 0.41
    assert min(gaps[:-1]) >= pause


def test_without_a_state_nothing_waits(monkeypatch, diary):
    written = []

    class Timed(Out):
        def flush(self):
            written.append(round(inbox.now - 1000.0, 3))

    arrivals = [(n / 10, Batch("A", (EVENT,), None)) for n in range(5)]
    inbox = Inbox(monkeypatch, *arrivals, (9.2, None))
    monkeypatch.setattr(sys, "stdout", Timed(diary))
    printer = Printer(tell, StateFile(""))
    printer.inbox = inbox
    printer.run()
    assert written == [0, 0.1, 0.2, 0.3, 0.4]


def test_a_state_that_cannot_be_written_is_tried_again(monkeypatch, tmp_path):
    state = StateFile(str(tmp_path / "gone" / "state.json"))
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    printer = Printer(tell, state)
    inbox = Inbox(monkeypatch, (0, Batch("A", (), STORED)), (5.5, None))
    printer.inbox, get = inbox, inbox.get

    def getting(timeout):
        if inbox.now >= 1003:
            (tmp_path / "gone").mkdir(exist_ok=True)
        return get(timeout)

    inbox.get = getting
    printer.run()
    assert [path.name for path in (tmp_path / "gone").iterdir()] == ["state.json"]
    assert not state.failing
    assert inbox.waits == [None, 1, 1, 1, 1, None]


def test_it_is_a_thread_that_holds_up_no_exit(monkeypatch, diary):
    out, state = Out(diary), State(diary)
    monkeypatch.setattr(sys, "stdout", out)
    printer = Printer(tell, state)
    assert (printer.name, printer.daemon) == ("printer", True)
    printer.start()
    printer.inbox.put(Batch("A", (EVENT,), STORED))
    assert state.saved.wait(10)
    printer.inbox.put(None)
    printer.join(10)
    assert not printer.is_alive() and out.getvalue() == TEXT


def test_a_pipe_that_nobody_reads_is_noticed_at_once(monkeypatch, diary):
    reader, writer = os.pipe()
    os.close(reader)
    with contextlib.suppress(BrokenPipeError), os.fdopen(writer, "w") as out:
        printer = run(monkeypatch, out, State(diary), Batch("A", (EVENT,), STORED))
        assert printer.failure == "Broken pipe" and diary == []
