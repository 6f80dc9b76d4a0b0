"""scripts/check-providers says what has become of each line, and never floods."""

from __future__ import annotations

import contextlib
import io
import socket
import sys
import threading

import pytest
from fakes import SCRIPTS, load_script

checker = load_script("check-providers")
FakePage = load_script("fakepage").FakePage
DOCUMENTS = ("/history.atom", "/api/v2/summary.json")


@contextlib.contextmanager
def page(flavour="statuspage"):
    with FakePage(flavour) as fake:
        fake.do('component api "API" operational')
        fake.do('incident db investigating components=api "Slow" "We look."')
        yield fake


def closed_port():
    """A port of ours on which nobody listens."""
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        return line.getsockname()[1]


@pytest.fixture
def run(tmp_path, capsys):
    """Returns a function: check lines; the exit status, the table, the errors."""

    def check(*lines, args=()):
        path = tmp_path / "providers.ini"
        text = "[providers]\n" + "".join(line + "\n" for line in lines)
        path.write_text(text, encoding="utf-8")
        status = checker.main([str(path), *args])
        out, err = capsys.readouterr()
        return status, out.splitlines(), err

    return check


def test_pages_and_sources_that_are_as_the_file_says_are_ok(run):
    with page() as one, page("incidentio") as two, page("rss") as three:
        status, rows, err = run(
            f"One = {one.url} statuspage",
            f"Number two = {two.url} incident.io",
            f"Three = {three.url}/status.rss",
        )
    assert rows == [
        "One         ok                1 incidents, 1 components",
        "Number two  ok                1 incidents, 1 components",
        "Three       ok                1 incidents, 0 components",
        "",
        "3 ok",
    ]
    assert (status, err) == (0, "")


def test_a_page_without_a_platform_is_found_and_ok(run):
    with page() as fake:
        status, rows, _ = run(f"One = {fake.url}")
    assert (status, rows[0].split()[:2]) == (0, ["One", "ok"])


def test_a_page_that_lacks_what_its_platform_promises_is_told_with_its_sources(run):
    with page() as fake:
        fake.do("fail 404 60 path=/history.atom")
        status, rows, _ = run(f"One = {fake.url} statuspage")
    assert (status, rows[0]) == (1, "One  unreadable        HTTP status 404")
    there = f"{fake.url}/history.rss {fake.url}/api/v2/summary.json"
    assert rows[-1] == f"One = {there}"


def test_a_redirect_within_the_page_is_no_move(run):
    with page() as fake:
        fake.do(f"fail 301 60 path=/history.atom location={fake.url}/history.rss")
        status, rows, _ = run(f"One = {fake.url} statuspage")
    assert (status, rows[0].split()[:2]) == (0, ["One", "ok"])


def test_a_page_that_moved_with_its_paths_is_told_with_its_new_line(run):
    with page() as old, page() as new:
        for path in DOCUMENTS:
            old.do(f"fail 301 60 path={path} location={new.url}{path}")
        status, rows, _ = run(f"One = {old.url} statuspage")
    assert rows[0].split() == ["One", "moved", new.url]
    assert rows[1:] == [
        "",
        "1 moved",
        "",
        "Lines that should be:",
        f"One = {new.url} statuspage",
    ]
    assert status == 1


def test_a_page_that_moved_and_dropped_the_paths_is_found_on_its_new_platform(run):
    with page() as old, page("incidentio") as new:
        old.do(f"fail 301 60 location={new.url}/")
        status, rows, _ = run(f"One = {old.url} statuspage")
    assert rows[0].split() == ["One", "moved", new.url]
    assert (status, rows[-1]) == (1, f"One = {new.url} incident.io")


def test_a_page_that_moved_to_what_is_no_status_page_is_unreadable(run):
    with page() as old, page("spa") as new:
        old.do(f"fail 301 60 location={new.url}/")
        status, rows, _ = run(f"One = {old.url} statuspage")
    assert rows[0].split()[:2] == ["One", "unreadable"]
    assert (status, rows[1:]) == (1, ["", "1 unreadable"])


def test_another_platform_than_the_file_says_is_told_with_the_right_line(run):
    with page("incidentio") as fake:
        status, rows, _ = run(f"One = {fake.url} statuspage")
    assert rows[0] == "One  another platform  incident.io"
    assert (status, rows[-1]) == (1, f"One = {fake.url} incident.io")


@pytest.mark.parametrize("flavour", ["marketing", "login", "spa", "otherschema"])
@pytest.mark.parametrize("platform", ["", " statuspage"])
def test_a_look_alike_is_unreadable(run, flavour, platform):
    with page(flavour) as fake, page() as good:
        lines = [f"One = {fake.url}{platform}", f"Two = {good.url} statuspage"]
        status, rows, _ = run(*lines)
    assert rows[0].split()[:2] == ["One", "unreadable"]
    assert len(rows[0].split()) > 2, "the reason is missing"
    assert (status, rows[-1]) == (1, "1 ok, 1 unreadable")


def test_a_source_that_moved_and_one_that_is_gone_are_told(run):
    with page() as fake:
        rss, summary = f"{fake.url}/history.rss", f"{fake.url}/api/v2/summary.json"
        fake.do(f"fail 308 60 path=/history.rss location={fake.url}/history.atom")
        status, rows, _ = run(f"One = {rss} {summary}", f"Two = {fake.url}/nothing")
    there = f"{fake.url}/history.atom {summary}"
    assert rows[0] == f"One  moved             {there}"
    assert rows[1] == "Two  unreadable        HTTP status 404"
    assert (status, rows[3]) == (1, "1 moved, 1 unreadable")
    assert rows[5:] == ["Lines that should be:", f"One = {there}"]


def test_what_is_off_is_checked_with_all_only(run):
    with page() as one, page() as two:
        lines = [
            f"One = {one.url} statuspage",
            "; a note = not a provider",
            f"; Two = {two.url} statuspage",
        ]
        assert run(*lines)[1][-1] == "1 ok"
        assert run(*lines, args=["--all"])[1][-1] == "2 ok"


def test_without_network_there_is_one_line_and_not_one_a_provider(run):
    port = closed_port()
    lines = [f"P{n} = http://127.0.0.1:{port}/{n} " for n in range(6)]
    status, rows, err = run(*lines, args=["--workers", "2"])
    assert (status, rows) == (1, [])
    assert err == "check-providers: no page answers: is there a network?\n"


def test_a_server_that_is_down_is_unreadable_where_others_answer(run):
    with page() as fake:
        lines = [f"One = {fake.url} statuspage"]
        lines.append(f"Two = http://127.0.0.1:{closed_port()} statuspage")
        status, rows, err = run(*lines)
    assert rows[1].split()[:2] == ["Two", "unreadable"]
    assert (status, rows[3], err) == (1, "1 ok, 1 unreadable", "")


def test_one_provider_alone_that_is_down_is_unreadable(run):
    status, rows, _ = run(f"One = http://127.0.0.1:{closed_port()}/feed")
    assert (status, rows[-1]) == (1, "1 unreadable")


def test_a_mistake_in_the_file_is_one_line_and_exit_2(run, capsys):
    status, rows, err = run("One = nothing")
    assert (status, rows, err.count("\n")) == (2, [], 1)
    assert err.startswith("check-providers: ") and "[providers] One" in err
    assert checker.main(["/nowhere/providers.ini"]) == 2
    assert capsys.readouterr().err.startswith("check-providers: ")


def test_no_more_than_so_many_are_asked_at_once(run, monkeypatch):
    lock, full, busy = threading.Lock(), threading.Barrier(3), []
    most = [0]

    def check(provider, *_):
        with lock:
            busy.append(provider)
            most[0] = max(most[0], len(busy))
        full.wait(10)  # goes on when three are here
        with lock:
            busy.remove(provider)
        return checker.Finding(provider.name, checker.OK, "")

    monkeypatch.setattr(checker, "check", check)
    lines = [f"P{n} = http://127.0.0.1:1/{n}" for n in range(9)]
    assert run(*lines, args=["--workers", "3"])[1][-1] == "9 ok"
    assert most == [3]


def test_the_progress_bar_is_drawn_on_a_terminal_and_taken_away(run, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with page() as fake:
        run(f"One = {fake.url} statuspage")
    assert "\r\x1b[K[%s] 1/1" % ("#" * checker.BAR) in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_it_can_be_run_from_anywhere_and_loading_it_writes_nothing_beside_it():
    assert (SCRIPTS / "check-providers").stat().st_mode & 0o111
    assert not (SCRIPTS / "__pycache__").exists()
