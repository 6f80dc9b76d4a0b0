"""Recorded pages, replayed against an independent oracle of the rules, as a program."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[1] / "statuswatch.py"
SHARED = PROGRAM.parents[1] / "shared"
REPLAY = SHARED / "accept" / "replay.py"
SERIES = SHARED / "recordings" / "series"
SHORT = ["jira-summary-2023-11-17-wrong-tenant", "netlify-summary-2023-01-critical"]

pytestmark = pytest.mark.skipif(
    not (REPLAY.exists() and SERIES.exists()), reason="no recordings beside us"
)


def replay(tmp_path, *options):
    """Return the replay's last line: how many events, and how many differences."""
    program = "%s %s" % (shlex.quote(sys.executable), shlex.quote(str(PROGRAM)))
    folders = [str(SERIES / name) for name in SHORT]
    done = subprocess.run(
        [sys.executable, str(REPLAY), "--program", program, *options, *folders],
        env=dict(os.environ, PYTHONDONTWRITEBYTECODE="1", TMPDIR=str(tmp_path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        timeout=110,
    )
    print(done.stdout)
    assert done.returncode == 0
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    "sources, late",
    [("summary", "none"), ("statuspage", "feed"), ("incidentio", "json")],
)
def test_watching_tells_what_the_oracle_expects(tmp_path, sources, late):
    last = replay(tmp_path, "--sources", sources, "--late", late)
    assert " 0 differences" in last
    assert not last.startswith("0 events")


def test_runs_of_once_tell_what_the_oracle_expects(tmp_path):
    last = replay(tmp_path, "--mode", "once", "--limit", "8")
    assert " 0 differences" in last
    assert not last.startswith("0 events")
