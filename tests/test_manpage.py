"""The manual page is what the parser says, and readers of such pages find no fault."""

import argparse
import re
import shutil
import subprocess
import sys

import pytest
import statuswatch
from fakes import SCRIPTS, load_script

PAGE = SCRIPTS / "statuswatch.1"
manpage = load_script("manpage")


def lines_of(text):
    """The page as a terminal shows it, without the overstriking of bold letters."""
    tool = shutil.which("mandoc") or shutil.which("groff")
    if not tool:
        pytest.skip("neither mandoc nor groff is installed")
    device = ["-Tascii"] if tool.endswith("mandoc") else ["-man", "-Tascii", "-P-c"]
    shown = subprocess.run(
        [tool, *device], input=text.encode("ascii"), stdout=subprocess.PIPE, check=True
    ).stdout.decode()
    return re.sub(".\b", "", shown).splitlines()


def test_the_page_is_up_to_date():
    made = subprocess.run([sys.executable, str(SCRIPTS / "manpage"), "--check"])
    assert made.returncode == 0, "run scripts/manpage"


def test_a_page_that_is_old_is_noticed_and_made_anew(tmp_path, monkeypatch):
    page = tmp_path / "statuswatch.1"
    monkeypatch.setattr(manpage, "PAGE", page)
    assert manpage.main(["--check"]) == 1
    page.write_text("old")
    assert manpage.main(["--check"]) == 1
    assert manpage.main([]) == 0
    assert page.read_text() == PAGE.read_text() and manpage.main(["--check"]) == 0


def test_the_page_is_made_in_any_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    assert manpage.make() == PAGE.read_text()


def test_mandoc_finds_no_fault():
    tool = shutil.which("mandoc") or pytest.skip("mandoc is not installed")
    done = subprocess.run([tool, "-Tlint", str(PAGE)], stdout=subprocess.PIPE)
    faults = done.stdout.decode().splitlines()
    undated = re.search(r'^\.TH STATUSWATCH 1 ""', PAGE.read_text(), re.M)
    assert [f for f in faults if not (undated and "missing date" in f)] == []


def test_groff_finds_no_fault():
    tool = shutil.which("groff") or pytest.skip("groff is not installed")
    command = [tool, "-man", "-Tascii", "-ww", "-z", str(PAGE)]
    done = subprocess.run(command, stderr=subprocess.PIPE, check=True)
    assert done.stderr == b""


def test_every_option_is_shown_with_its_words():
    shown = " ".join(" ".join(lines_of(PAGE.read_text())).split())
    for action in statuswatch.build_parser()._actions:
        for name in action.option_strings:
            assert name in shown
        if action.metavar:
            assert str(action.metavar) in shown
        assert (action.help or "").replace("%%", "%").split("%(")[0] in shown


def test_every_exit_status_is_shown():
    statuses = manpage.exit_statuses()
    assert {"0", "1", "2", str(statuswatch.EX_TEMPFAIL), "128 + n"} <= set(statuses)
    shown = " ".join(" ".join(lines_of(PAGE.read_text())).split())
    for status, meaning in statuses.items():
        assert "%s %s" % (status, meaning) in shown
        assert meaning.endswith(".") and not re.search("[`*|]", meaning)


def test_the_examples_are_those_of_the_help():
    start = statuswatch.EXAMPLES.partition(":\n")[2]
    wanted = [line.split() for line in start.splitlines() if line]
    shown = [line.split() for line in lines_of(PAGE.read_text())]
    first = shown.index(wanted[0])
    assert [words for words in shown[first:] if words][: len(wanted)] == wanted


@pytest.mark.parametrize("text", [".SH x", "'br", "a\\fBb", "--x ~ ^ `", "naïve —"])
def test_any_text_is_shown_as_it_is(text):
    parser = argparse.ArgumentParser(prog="x", description="Be x.", epilog=text)
    parser.add_argument("--opt", metavar="N", help=text)
    if not text.isascii():
        assert all(ord(c) < 128 for c in manpage.escape(text))
        return
    shown = [line.strip() for line in lines_of(manpage.page(parser, "1", "2026-01-01"))]
    assert shown.count(text) == 2 or any(line == "--opt N " + text for line in shown)


def test_groups_and_what_is_not_to_be_seen():
    parser = argparse.ArgumentParser(prog="x", description="Be x. Then y.", epilog="x")
    group = parser.add_argument_group("what to do", "These do it.")
    group.add_argument("--do", metavar="N", default=7, help="default: %(default)s")
    group.add_argument("--hidden", help=argparse.SUPPRESS)
    page = manpage.page(parser, "1", "2026-01-01")
    assert ".SS What to do\nThese do it.\n.TP\n\\fB\\-\\-do\\fR \\fIN\\fR\n" in page
    assert "default: 7" in page and "hidden" not in page
    assert "x \\- be x\n" in page
