"""The bundle: one file, the same bytes everywhere, that needs Python and no more."""

import ast
import os
import pathlib
import re
import shlex
import signal
import stat
import subprocess
import sys
import zipfile

import pytest
import statuswatch
from fakes import SCRIPTS, load_script
from faults import FaultServer, tls_authority

ROOT = SCRIPTS.parent
FOUND = {v: path for v in ("3.8", "3.13") for path in [load_script("matrix").find(v)]}
PYTHONS = {sys.executable} | {path for path in FOUND.values() if path}
EVENT = re.compile(r"\[.{19}\] (Product: .*\nStatus: .*\n)\n")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "statuswatch.pyz"
    make(path)
    return path


def make(path, python=sys.executable):
    command = [python, str(SCRIPTS / "bundle"), "--output", str(path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=110)
    assert done.stdout.startswith(bytes(path))


def alone(python, bundle):
    """The command that runs the bundle with no variable and no installed package."""
    return ["env", "-i", python, "-I", "-S", str(bundle)]


def run(command, folder, **options):
    pipe = subprocess.PIPE
    return subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        stdout=pipe,
        stderr=pipe,
        timeout=60,
        universal_newlines=True,
        **options,
    )


def members(bundle):
    with zipfile.ZipFile(bundle) as archive:
        return {entry.filename: entry for entry in archive.infolist()}


def test_two_runs_make_the_same_bytes(bundle, tmp_path):
    make(tmp_path / "again.pyz")
    assert (tmp_path / "again.pyz").read_bytes() == bundle.read_bytes()


@pytest.mark.skipif(None in FOUND.values(), reason="needs Python 3.8 and 3.13")
def test_every_python_makes_the_same_bytes(bundle, tmp_path):
    for python in FOUND.values():
        make(tmp_path / "again.pyz", python)
        assert (tmp_path / "again.pyz").read_bytes() == bundle.read_bytes()


def test_what_differs_between_machines_is_not_in_it(bundle):
    entries = members(bundle)
    assert list(entries) == sorted(entries)
    for name, entry in entries.items():
        assert entry.date_time == (1980, 1, 1, 0, 0, 0), name
        assert entry.compress_type == zipfile.ZIP_STORED, name
        assert entry.external_attr >> 16 == stat.S_IFREG | 0o644, name
        assert not re.search(r"\.(pyc|so|pyd)$|/RECORD$|/INSTALLER$", name)


def test_it_has_everything_and_the_licences(bundle):
    names = set(members(bundle))
    assert {"__main__.py", "statuswatch.py", "providers.ini", "LICENSE"} <= names
    for need in load_script("bundle").pinned().values():
        folder = need.replace("==", "-") + ".dist-info/"
        assert any(re.match(folder + "(licenses/)?LICEN", name) for name in names)


def test_it_has_what_the_package_needs_and_what_that_needs(bundle):
    parser = load_script("matrix").metadata()
    wanted = re.findall(r"^[\w-]+", parser["options"]["install_requires"], re.M)
    pins = dict(need.split("==") for need in load_script("bundle").pinned().values())
    with zipfile.ZipFile(bundle) as archive:
        for name in wanted:
            text = archive.read("%s-%s.dist-info/METADATA" % (name, pins[name]))
            needs = re.findall(r"^Requires-Dist: ([\w-]+)[^;\n]*$", text.decode(), re.M)
            wanted += [need.replace("-", "_") for need in needs]
    assert set(pins) == set(wanted)


def test_no_release_is_older_than_the_package_allows():
    def number(text):
        return [int(part) for part in text.split(".")]

    floors = dict(floor.split("==") for floor in load_script("matrix").floors())
    for need in load_script("bundle").pinned().values():
        name, _, release = need.partition("==")
        assert number(release) >= number(floors.get(name, "0"))


def test_the_first_file_is_one_that_old_pythons_can_read():
    main = load_script("bundle").MAIN
    ast.parse(main, feature_version=(3, 4))
    assert main.index("sys.version_info <") < main.index("import argparse")


def test_it_can_be_executed(bundle):
    done = run([bundle, "--version"], bundle.parent)
    assert done.stdout == "statuswatch %s\n" % statuswatch.__version__


@pytest.mark.parametrize("python", sorted(PYTHONS))
def test_it_plays_the_incident_of_the_demo_where_there_is_only_python(
    bundle, tmp_path, python
):
    program = " ".join(map(shlex.quote, alone(python, bundle)))
    demo = [sys.executable, SCRIPTS / "demo", "--speed", "10", "--program", program]
    done = run(demo, tmp_path)
    assert done.returncode == 0, done.stderr
    told = EVENT.findall(done.stdout)
    assert len(told) == 9
    assert told[0] == (
        "Product: ExampleAI API - Chat Completions, Embeddings\n"
        "Status: Investigating — An owl has moved into the load balancer.\n"
    )
    assert told[-1].endswith("machines again.\n")
    assert list(tmp_path.iterdir()) == []


# What is watched


def watched(bundle, folder, *arguments, **variables):
    """The names of the providers that --check-config finds, run in a folder."""
    more = ["%s=%s" % pair for pair in variables.items()]
    command = ["env", "-i", *more, *alone(sys.executable, bundle)[2:]]
    done = run([*command, "--check-config", *arguments], folder)
    assert done.returncode == 0, done.stderr
    return [line.partition(":")[0] for line in done.stdout.splitlines()]


def test_without_a_file_it_watches_what_is_in_it(bundle, tmp_path):
    if os.path.exists("/etc/statuswatch/providers.ini"):
        pytest.skip("there is a file on this machine")
    inside = statuswatch.load_config(str(ROOT / "providers.ini")).providers
    assert watched(bundle, tmp_path) == [provider.name for provider in inside]


def test_a_file_of_ones_own_is_stronger_than_the_one_in_it(bundle, tmp_path):
    home, beside = tmp_path / "home", tmp_path / "beside"
    (home / "statuswatch").mkdir(parents=True)
    beside.mkdir()
    copy, link = beside / "statuswatch.pyz", tmp_path / "statuswatch"
    copy.write_bytes(bundle.read_bytes())
    link.symlink_to(copy)
    line = "[providers]\n%s = http://127.0.0.1:1\n"
    (home / "statuswatch" / "providers.ini").write_text(line % "Home")
    assert watched(copy, tmp_path, XDG_CONFIG_HOME=home) == ["Home"]
    (beside / "providers.ini").write_text(line % "Beside")
    assert watched(copy, tmp_path, XDG_CONFIG_HOME=home) == ["Beside"]
    assert watched(link, tmp_path) == ["Beside"]
    (tmp_path / "providers.ini").write_text(line % "Here")
    assert watched(copy, tmp_path) == ["Here"]
    (tmp_path / "named.ini").write_text(line % "Named")
    assert watched(copy, tmp_path, "--config", "named.ini") == ["Named"]
    assert watched(copy, tmp_path, "http://acme.test") == ["acme.test"]


@pytest.mark.parametrize("text", ["[providers]\nA = b\n", ""])
def test_a_file_with_a_mistake_is_not_passed_over(bundle, tmp_path, text):
    (tmp_path / "providers.ini").write_text(text)
    done = run([*alone(sys.executable, bundle), "--check-config"], tmp_path)
    assert done.returncode == 2
    assert "providers.ini: [providers]" in done.stderr


def test_a_provider_that_ones_own_file_has_not_is_not_taken_from_the_one_in_it(
    bundle, tmp_path
):
    (tmp_path / "providers.ini").write_text("[providers]\nA = http://127.0.0.1:1\n")
    command = [*alone(sys.executable, bundle), "--status", "OpenAI"]
    done = run(command, tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "providers.ini: no provider openai" in done.stderr


def test_a_file_that_is_named_and_is_not_there_is_an_error(bundle, tmp_path):
    command = [*alone(sys.executable, bundle), "--check-config", "--config", "none.ini"]
    done = run(command, tmp_path)
    assert done.returncode == 2 and "none.ini: No such file" in done.stderr


# Certificates


def once(bundle, folder, url, *variables):
    """One run over an https source; the folder for temporary files is watched."""
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    before = list(temporary.iterdir())
    command = alone(sys.executable, bundle)
    command[2:2] = ["TMPDIR=%s" % temporary, *variables]
    done = run([*command, "--once", "--state", folder / "state.json", url], folder)
    assert list(temporary.iterdir()) == before
    return done


@pytest.fixture
def secure(tmp_path):
    """A server with a certificate that nobody knows, and the file of its authority."""
    pytest.importorskip("trustme")
    context, authority = tls_authority()
    (tmp_path / "ca.pem").write_bytes(authority)
    with FaultServer(context) as server:
        yield server, tmp_path / "ca.pem"


def test_a_certificate_that_nobody_vouches_for_is_refused(bundle, tmp_path, secure):
    server, authority = secure
    # What requests believes where its certificates are in a zip: a file of this name
    # in the folder for temporary files, whoever put it there.
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / "cacert.pem").write_bytes(authority.read_bytes())
    done = once(bundle, tmp_path, server.url("healthy", scheme="https"))
    assert done.returncode == 1
    assert "unable to get local issuer certificate" in done.stderr
    assert server.requests == []


def test_an_authority_of_ones_own_is_believed(bundle, tmp_path, secure):
    server, authority = secure
    variable = "REQUESTS_CA_BUNDLE=%s" % authority
    done = once(bundle, tmp_path, server.url("healthy", scheme="https"), variable)
    assert server.requests
    assert "certificate" not in done.stderr


def test_the_authorities_of_certifi_are_those_it_trusts(bundle, tmp_path):
    code = load_script("bundle").MAIN.replace(
        "sys.exit(statuswatch.main())",
        "print(len(statuswatch.Fetcher(1, 1)._adapter.context.get_ca_certs()))",
    )
    changed = tmp_path / "changed.pyz"
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            new.writestr(name, code if name == "__main__.py" else old.read(name))
        authorities = old.read("certifi/cacert.pem").count(b"BEGIN CERTIFICATE")
    done = run(alone(sys.executable, changed), tmp_path)
    assert done.stdout == "%d\n" % authorities and authorities > 100


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs files in memory")
def test_a_program_that_is_killed_leaves_no_certificates_behind(bundle, tmp_path):
    command = alone(sys.executable, bundle)
    command[2:2] = ["TMPDIR=%s" % tmp_path]
    child = subprocess.Popen(
        [*command, "http://127.0.0.1:1"], stderr=subprocess.PIPE, cwd=str(tmp_path)
    )
    try:
        assert b"Watching" in child.stderr.readline()
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate()
    assert list(tmp_path.iterdir()) == []


def test_without_files_in_memory_a_temporary_one_is_cleared_away(bundle, tmp_path):
    (tmp_path / "tmp").mkdir()
    starter = tmp_path / "starter.py"
    starter.write_text(
        "import os, runpy, sys\n"
        "vars(os).pop('memfd_create', None)\n"
        "sys.argv = [%r, '--check-config']\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n" % str(bundle)
    )
    command = ["env", "-i", "TMPDIR=%s" % (tmp_path / "tmp"), sys.executable, starter]
    done = run(command, tmp_path / "tmp")
    assert done.returncode == 0 and "OpenAI: " in done.stdout, done.stderr
    assert list((tmp_path / "tmp").iterdir()) == []


# Making it


def test_a_wheel_with_another_hash_is_not_packed(tmp_path, monkeypatch):
    script = load_script("bundle")
    monkeypatch.setattr(script, "WHEELS", tmp_path / "wheels")
    downloads = []
    monkeypatch.setattr(
        script.subprocess, "run", lambda command, **_: downloads.append(command)
    )
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "requests-2.32.4-py3-none-any.whl").write_bytes(b"mischief")
    assert script.wheels() == []
    (command,) = downloads
    assert "--require-hashes" in command


def test_a_download_that_fails_leaves_the_old_bundle(tmp_path, monkeypatch, capsys):
    script = load_script("bundle")

    def fail():
        raise subprocess.CalledProcessError(1, ["pip"])

    monkeypatch.setattr(script, "wheels", fail)
    output = tmp_path / "statuswatch.pyz"
    output.write_text("old")
    assert script.main(["--output", str(output)]) == 1
    assert output.read_text() == "old"
    assert capsys.readouterr().err.startswith("bundle: ")


def test_the_place_by_default_is_not_committed():
    ignored = (ROOT / ".gitignore").read_text().split()
    assert "/dist/" in ignored and "/.venv/" in ignored
    assert pathlib.Path(load_script("bundle").WHEELS).parent.name == ".venv"
