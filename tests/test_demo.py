"""scripts/demo shows a whole incident without a network, whatever program watches."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from fakes import SCRIPTS, load_script

PROGRAM = "%s %s" % (sys.executable, SCRIPTS.parent / "statuswatch.py")


def demo(*args):
    command = [sys.executable, str(SCRIPTS / "demo"), *args]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=90)


def test_another_program_can_be_the_watcher_and_tells_the_whole_story():
    done = demo("--speed", "4", "--program", PROGRAM)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\nStatus: ") == 9
    last = r"Resolved after \d+s — All requests are answered by machines again\.\n\n$"
    assert re.search(last, done.stdout)
    assert done.stderr.startswith("demo: http://127.0.0.1:")


@pytest.mark.parametrize("program", ["/nowhere/statuswatch", f"{PROGRAM} --bad-option"])
def test_a_program_that_does_not_run_is_said_and_exit_1(program):
    done = demo("--speed", "100", "--program", program)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("demo: the watcher ")
    assert "Traceback" not in done.stderr


def test_the_story_takes_half_a_minute():
    story = load_script("fakepage").parse_script(load_script("demo").STORY, "story")
    assert 20 <= story[-1].at <= 30
