"""Real web servers, where they are installed, say 304 to every unchanged poll."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import load_script

servers = load_script("servers")
INSTALLED = servers.installed()
PROGRAM = Path(__file__).resolve().parents[1] / "statuswatch.py"

# The program, but it forgets every validator.
FORGETFUL = """\
import statuswatch
fetch = statuswatch.Fetcher.fetch
statuswatch.Fetcher.fetch = lambda self, url, *_, **more: fetch(self, url, **more)
raise SystemExit(statuswatch.main())
"""


@pytest.mark.parametrize("name", servers.SERVERS)
def test_every_unchanged_poll_but_the_first_has_a_304(name, tmp_path):
    if name not in INSTALLED:
        pytest.skip("%s is not installed" % name)
    tmp_path.chmod(0o755)
    for folder in list(tmp_path.parents)[:2]:  # apache2 reads it as somebody else
        folder.chmod(folder.stat().st_mode | 0o111)
    figures = list(servers.examine([name], tmp_path, 1.5, PROGRAM))
    assert len(figures) == 4 * len(servers.MANNERS) + 1
    assert [str(figure) for figure in figures if not figure.ok] == []


@pytest.mark.skipif(not INSTALLED, reason="no server is installed")
def test_a_program_without_validators_is_found_out(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(PROGRAM.parent))
    program = tmp_path / "forgetful.py"
    program.write_text(FORGETFUL)
    options = ["--only", INSTALLED[0], "--seconds", "0.5", "--program", str(program)]
    assert servers.main(options) == 1
    failed = [row for row in capsys.readouterr().out.splitlines() if row[:4] == "FAIL"]
    assert len(failed) == 2 * len(servers.MANNERS)  # with --once, and watching
    assert all("304" in row for row in failed)


def test_what_is_not_installed_is_named_and_skipped(capsys, monkeypatch):
    monkeypatch.setattr(servers, "PATH", "")
    assert servers.main([]) == 0
    assert capsys.readouterr().out.split() == [
        word for name in servers.SERVERS for word in ("skip", name)
    ]


def test_a_server_that_does_not_start_is_a_failure(capsys, monkeypatch):
    monkeypatch.setattr(servers, "installed", lambda: ["nginx"])
    monkeypatch.setitem(servers.SERVERS, "nginx", lambda *_: ["false"])
    assert servers.main(["--only", "nginx"]) == 1
    assert "nginx-plain did not start" in capsys.readouterr().out
