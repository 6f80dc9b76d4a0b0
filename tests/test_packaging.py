"""What is said once is said everywhere, and what is built holds what it should."""

import ast
import configparser
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parents[1]
NEVER_BUILT = shutil.ignore_patterns(
    ".git", ".venv", ".*cache", ".hypothesis", "*.egg-info", "build", "dist"
)


@pytest.fixture(scope="module")
def metadata():
    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config


@pytest.fixture(scope="module")
def version():
    """`__version__`, read without importing, as the build reads it."""
    tree = ast.parse((ROOT / "statuswatch.py").read_text(encoding="utf-8"))
    (value,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and getattr(node.targets[0], "id", None) == "__version__"
    )
    return ast.literal_eval(value)


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """A folder with the sdist of this checkout and the wheel built from that sdist."""
    pytest.importorskip("build")
    pytest.importorskip("setuptools")
    tmp = tmp_path_factory.mktemp("packaging")
    shutil.copytree(ROOT, tmp / "checkout", ignore=NEVER_BUILT)
    for name in ("requests", "tenacity", "defusedxml"):
        (tmp / f"{name}.py").write_text("raise RuntimeError('imported by the build')")
    build = [sys.executable, "-m", "build", "--no-isolation"]
    done = subprocess.run(
        build + ["--outdir", tmp / "dist", tmp / "checkout"],
        cwd=tmp / "checkout",
        env=dict(os.environ, PYTHONPATH=str(tmp)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout
    return tmp / "dist"


def test_the_classifiers_begin_at_the_floor_and_leave_no_gap(metadata):
    floor = re.fullmatch(r">=3\.(\d+)", metadata["options"]["python_requires"])
    named = re.findall(r":: 3\.(\d+)$", metadata["metadata"]["classifiers"], re.M)
    minors = [int(minor) for minor in named]
    assert minors == list(range(int(floor.group(1)), minors[-1] + 1))


def test_types_are_checked_at_the_floor(metadata):
    floor = metadata["options"]["python_requires"]
    assert floor == ">=" + metadata["mypy"]["python_version"]


def test_the_test_extra_is_pinned_on_every_python(metadata):
    lines = metadata["options.extras_require"]["test"].split("\n")
    pin = re.compile(r'[a-z\d-]+==[\w.]+(; python_version (<|>=) "3\.10")?')
    assert [line for line in lines if line and not pin.fullmatch(line)] == []


def test_the_changelog_begins_with_the_version(version):
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## \[?(\d[\w.]*)", changelog, re.M).group(1) == version


def test_the_wheel_has_the_module_and_the_providers(dist, version):
    (path,) = dist.glob(f"statuswatch-{version}-py3-none-any.whl")
    info = f"statuswatch-{version}.dist-info"
    with zipfile.ZipFile(path) as wheel:
        names = [name for name in wheel.namelist() if not name.startswith(info)]
        assert sorted(names) == [
            f"statuswatch-{version}.data/data/share/statuswatch/providers.ini",
            "statuswatch.py",
        ]
        entry_points = wheel.read(f"{info}/entry_points.txt").decode()
    assert "statuswatch = statuswatch:main" in entry_points


def test_the_sdist_has_the_tests_and_the_scripts_that_run_them(dist, version):
    with tarfile.open(dist / f"statuswatch-{version}.tar.gz") as sdist:
        modes = {member.name.partition("/")[2]: member.mode for member in sdist}
    for name in ("scripts/run", "scripts/test", "scripts/check", ".ci/run"):
        assert modes[name] & 0o100, f"{name} can be executed"
    for name in ("LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md"):
        assert name in modes
    tests = {f"tests/{path.name}" for path in (ROOT / "tests").glob("*.py")}
    assert tests <= set(modes)
    assert [name for name in modes if name.endswith(".pyc")] == []
