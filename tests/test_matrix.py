"""scripts/matrix: every Python that is here is tested, and the table is honest."""

import os
import re
import subprocess
import sys

import pytest
from fakes import SCRIPTS, load_script

matrix = load_script("matrix")
HERE = "%d.%d" % sys.version_info[:2]


@pytest.fixture
def some(monkeypatch):
    """Two Pythons; a row passes unless its name is added to the set returned."""
    bad = set()
    pythons = {"3.8": "/opt/3.8", "3.10": "/opt/3.10"}
    monkeypatch.setattr(matrix, "find", pythons.get)

    def test(row, python, quick, arguments):
        words = "1 failed" if row in bad else "7 passed"
        return matrix.Result(row, row not in bad, "of " + python, words)

    monkeypatch.setattr(matrix, "test", test)
    return bad


def stub(folder, name, script):
    """A program of ours on PATH."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n" + script + "\n")
    path.chmod(0o755)
    return str(path)


# Finding


def test_this_python_is_found():
    path = matrix.find(HERE)
    assert path and matrix.version_of(path) == HERE


def test_a_python_is_found_by_its_name(tmp_path, monkeypatch):
    path = stub(tmp_path, "python3.42", "echo 3.42")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert matrix.find("3.42") == path
    assert matrix.find("3.43") is None


def test_a_name_that_stands_for_nothing_is_passed_over(tmp_path, monkeypatch):
    stub(tmp_path / "1", "python3.42", "echo not installed >&2; exit 127")
    stub(tmp_path / "2", "python3.42", "echo 3.41")
    path = stub(tmp_path / "3", "python3.42", "echo 3.42")
    folders = [str(tmp_path / name) for name in "123"]
    monkeypatch.setenv("PATH", os.pathsep.join(folders))
    assert matrix.find("3.42") == path


def test_the_pythons_of_pyenv_are_found(tmp_path, monkeypatch):
    (tmp_path / "versions" / "3.42.1").mkdir(parents=True)
    path = stub(tmp_path / "versions" / "3.42.1" / "bin", "python3.42", "echo 3.42")
    stub(tmp_path / "bin", "pyenv", "echo " + str(tmp_path))
    monkeypatch.setenv("PATH", "%s:/bin:/usr/bin" % (tmp_path / "bin"))
    assert matrix.find("3.42") == path
    assert matrix.find("3.4") is None


def test_a_python_without_environments_is_passed_over(tmp_path):
    path = stub(
        tmp_path, "python", "exec %s -S -I -c 'import nothing'" % sys.executable
    )
    assert matrix.version_of(path) == ""


# Rows


def test_the_pythons_are_those_that_are_promised():
    assert matrix.supported()[0] == "3.8" and "3.13" in matrix.supported()


def test_there_is_a_row_for_each_python_one_for_old_releases_and_one_for_the_wheel():
    found = {"3.8": "a", "3.9": "b", "3.13": "c"}
    assert list(matrix.rows(found, False).items()) == [
        ("3.8-oldest", "a"), ("3.8", "a"), ("3.9", "b"), ("3.13", "c"), ("wheel", "c")
    ]  # fmt: skip
    assert list(matrix.rows(found, True)) == ["3.8-oldest", "3.13", "wheel"]
    assert matrix.rows({}, True) == matrix.rows({}, False) == {}


def test_the_oldest_releases_are_those_of_the_package():
    needs = matrix.metadata()["options"]["install_requires"].split()
    assert all(re.fullmatch(r"[a-z]+>=[\d.]+", need) for need in needs)
    assert matrix.floors() == [n.replace(">=", "==") for n in needs] + ["urllib3==1.26"]


def test_what_is_left_out_is_there():
    for name in [*matrix.SLOW, *matrix.NOT_OF_THE_MODULE]:
        assert (SCRIPTS.parent / "tests" / ("test_%s.py" % name)).is_file()


def test_the_module_is_what_the_wheel_is_tested_for():
    sections = (
        "config text parsing tracking formatting fetching state watching printing"
    )
    assert not set(matrix.NOT_OF_THE_MODULE) & {*sections.split(), "main", "replay"}


# The table


def test_all_rows_are_in_the_table_with_what_came_out(some, capsys):
    assert matrix.main([]) == 0
    table = [line.split()[:4] for line in capsys.readouterr().out.splitlines()]
    for row in ("3.8-oldest", "3.8", "3.10", "wheel"):
        assert [row, "passed", "7", "passed"] in table
    assert ["3.9", "is", "not", "installed"] in table


@pytest.mark.parametrize("row", ["3.8-oldest", "3.10", "wheel"])
def test_a_row_that_fails_fails_the_whole(some, capsys, row):
    some.add(row)
    assert matrix.main([]) == 1
    table = capsys.readouterr().out
    assert re.search(r"(?m)^%s +FAILED  1 failed" % re.escape(row), table)
    assert len(re.findall(" passed  7 passed", table)) == 3


def test_only_some_rows_are_run(some, capsys):
    assert matrix.main(["--only", "3.10", "--only", "wheel"]) == 0
    shown = capsys.readouterr().out
    assert shown.count(" passed  7 passed") == 2 and "oldest" not in shown


def test_a_row_that_is_asked_for_and_is_not_there_fails(some, capsys):
    assert matrix.main(["--only", "3.10", "--only", "3.9"]) == 1
    assert "there is no row 3.9" in capsys.readouterr().out


def test_nothing_that_ran_is_no_success(monkeypatch, capsys):
    monkeypatch.setattr(matrix, "find", lambda version: None)
    assert matrix.main(["--ends"]) == 1
    assert "3.8 is not installed" in capsys.readouterr().out


def test_the_list_runs_nothing(monkeypatch, capsys):
    monkeypatch.setattr(matrix, "find", {"3.9": "/opt/3.9"}.get)
    monkeypatch.setattr(matrix, "test", None)
    assert matrix.main(["--list"]) == 0
    assert "3.9 (/opt/3.9) wheel (/opt/3.9)" in capsys.readouterr().out


# One row, with this Python in place of one made for it


@pytest.fixture
def ready(monkeypatch):
    monkeypatch.setattr(matrix, "prepare", lambda *_: sys.executable)


def test_a_row_says_what_it_ran_with_and_what_pytest_said(ready):
    arguments = ["tests/test_style.py", "-k", "dividers"]
    result = matrix.test("3.x", sys.executable, False, arguments)
    assert result.passed and re.match(r"1 passed, \d+ deselected in ", result.words)
    assert re.match(
        re.escape(HERE) + r"\.\d+, requests \d.*, urllib3 \d", result.versions
    )


def test_a_row_without_slow_tests_has_fewer(ready, monkeypatch):
    monkeypatch.setattr(matrix, "run", lambda command, *_: " ".join(command))
    every = matrix.test("3.x", sys.executable, False, ["-x"]).words
    quick = matrix.test("3.x", sys.executable, True, ["-x"]).words
    assert every.endswith("-p no:cacheprovider -x")
    assert "--ignore=tests/test_crash.py" in quick.split()


def test_a_row_that_fails_shows_its_output(ready, capsys):
    result = matrix.test("3.x", sys.executable, False, ["tests/test_nothing.py"])
    assert not result.passed
    assert "file or directory not found" in capsys.readouterr().out


def test_a_row_that_cannot_be_prepared_fails(monkeypatch, capsys):
    def fail(*_):
        raise subprocess.CalledProcessError(1, ["venv"], "no network\n")

    monkeypatch.setattr(matrix, "prepare", fail)
    result = matrix.test("3.x", sys.executable, False, [])
    assert (result.passed, result.words) == (False, "no network")


def test_an_environment_is_made_with_the_old_releases(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        matrix, "run", lambda command, folder=None, more=None: seen.append(more)
    )
    matrix.prepare("3.8-oldest", "/opt/python3.8", tmp_path)
    matrix.prepare("3.8", "/opt/python3.8", tmp_path)
    old, new = seen
    with open(old["PIP_CONSTRAINT"], encoding="ascii") as file:
        assert file.read().split() == matrix.floors()
    assert "PIP_CONSTRAINT" not in new and new["PYTHON"] == "/opt/python3.8"
    assert old["STATUSWATCH_VENV"] != new["STATUSWATCH_VENV"]
