"""What is said once is said everywhere, and what is built holds what it should."""

import ast
import configparser
import importlib.util
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
    # Not imported: on Python 3.8 setuptools cannot be once distutils has been.
    if not all(map(importlib.util.find_spec, ("build", "setuptools"))):
        pytest.skip("build and setuptools are not installed")
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


@pytest.mark.parametrize("extra", ["check", "test"])
def test_the_extras_are_pinned_on_every_python(metadata, extra):
    lines = metadata["options.extras_require"][extra].split("\n")
    pin = re.compile(r'[A-Za-z\d-]+==[\w.]+(; python_version (<|>=) "3\.10")?')
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
            f"statuswatch-{version}.data/data/share/man/man1/statuswatch.1",
            f"statuswatch-{version}.data/data/share/statuswatch/providers.ini",
            "statuswatch.py",
        ]
        entry_points = wheel.read(f"{info}/entry_points.txt").decode()
    assert "statuswatch = statuswatch:main" in entry_points


def test_the_sdist_has_the_tests_and_the_scripts_that_run_them(dist, version):
    with tarfile.open(dist / f"statuswatch-{version}.tar.gz") as sdist:
        modes = {member.name.partition("/")[2]: member.mode for member in sdist}
    for path in [*(ROOT / "scripts").iterdir(), ROOT / ".ci" / "run"]:
        if path.is_file() and os.access(str(path), os.X_OK):
            name = path.relative_to(ROOT).as_posix()
            assert modes[name] & 0o100, f"{name} can be executed"
    for path in (ROOT / "scripts" / "units").iterdir():
        assert f"scripts/units/{path.name}" in modes
    for name in ("LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md"):
        assert name in modes
    tests = {f"tests/{path.name}" for path in (ROOT / "tests").glob("*.py")}
    assert tests <= set(modes)
    assert [name for name in modes if name.endswith(".pyc")] == []


# Installed. Making an environment takes long where a machine has much else to do.

SLOWLY = pytest.mark.timeout(400)  # seconds


def run(*command, **options):
    """What a command prints; the test fails where it does."""
    done = subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        timeout=180,
        **options,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module", params=["wheel", "checkout"])
def installed(request, dist, tmp_path_factory):
    """The bin of an environment that holds what pip makes of one and nothing else."""
    (wheel,), checkout = dist.glob("*.whl"), dist.parent / "checkout"
    home = tmp_path_factory.mktemp(request.param) / "venv"
    run(sys.executable, "-m", "venv", home)
    pip = [home / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
    run(*pip, "install", "-q", wheel if request.param == "wheel" else checkout)
    run(*pip, "check")
    return home / "bin"


@SLOWLY
def test_what_is_installed_can_be_started_as_a_command_and_as_a_module(
    installed, version, tmp_path
):
    for command in (["statuswatch"], ["python", "-m", "statuswatch"]):
        program, *arguments = [*command, "--version"]
        shown = run(installed / program, *arguments, cwd=str(tmp_path), env={})
        assert shown == f"statuswatch {version}\n"


@SLOWLY
def test_what_is_installed_finds_its_providers(installed, tmp_path):
    if os.path.exists("/etc/statuswatch/providers.ini"):
        pytest.skip("there is a file on this machine")
    env = {"HOME": str(tmp_path)}
    shown = run(installed / "statuswatch", "--check-config", cwd=str(tmp_path), env=env)
    names = [line.partition(":")[0] for line in shown.splitlines()]
    inside = configparser.RawConfigParser(delimiters="=", inline_comment_prefixes=";")
    inside.optionxform = str
    inside.read(ROOT / "providers.ini", encoding="utf-8")
    assert names == inside.options("providers")


@SLOWLY
def test_what_is_installed_brings_its_manual(installed):
    page = installed.parent / "share" / "man" / "man1" / "statuswatch.1"
    assert page.read_text() == (ROOT / "scripts" / "statuswatch.1").read_text()
