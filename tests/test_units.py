"""scripts/units: each file is read by what will read it, or by a reader as strict."""

import configparser
import getpass
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest
import statuswatch
from fakes import SCRIPTS, load_script

UNITS = SCRIPTS / "units"
SERVICES = ["statuswatch.service", "statuswatch-once.service"]
BUNDLE = "/opt/statuswatch/statuswatch.pyz"
CONFIG = "/etc/statuswatch/providers.ini"


def run(*command, **options):
    pipe = subprocess.PIPE
    return subprocess.run(
        [str(word) for word in command],
        stdout=pipe,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        timeout=60,
        **options,
    )


def need(tool):
    """The path of a tool, or the test is skipped; Debian keeps some in /usr/sbin."""
    path = shutil.which(tool, path=os.environ["PATH"] + os.pathsep + "/usr/sbin")
    if not path:
        pytest.skip("%s is not installed" % tool)
    return path


def parsed(words):
    """The options after the program's name, which has to know them all."""
    program = next(n for n, word in enumerate(words) if "statuswatch" in word)
    return statuswatch.build_parser().parse_args(words[program + 1 :])


def unit(name):
    """A systemd unit: section -> [(key, value)], since keys may come twice."""
    found = {}
    for line in (UNITS / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            keys = found.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            keys.append(tuple(line.split("=", 1)))
    return found


def test_every_file_has_its_test():
    assert sorted(path.name for path in UNITS.iterdir()) == [
        "Dockerfile",
        "crontab",
        "kubernetes.yaml",
        "logrotate.conf",
        "statuswatch-once.service",
        "statuswatch-once.timer",
        "statuswatch.service",
        "supervisord.conf",
    ]


# systemd


@pytest.mark.parametrize("name", [*SERVICES, "statuswatch-once.timer"])
def test_systemd_finds_nothing_to_say(name, tmp_path):
    tool = need("systemd-analyze")
    for path in UNITS.glob("statuswatch*"):  # the interpreter has to be there
        text = path.read_text(encoding="utf-8")
        text = text.replace("/usr/bin/python3", sys.executable)
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    done = run(tool, "verify", "--man=no", tmp_path / name)
    ours = [line for line in done.stdout.splitlines() if "statuswatch" in line]
    assert (done.returncode, ours) == (0, []), done.stdout


def test_systemd_finds_what_is_wrong(tmp_path):
    text = (UNITS / SERVICES[0]).read_text(encoding="utf-8")
    (tmp_path / "wrong.service").write_text(text.replace("WatchdogSec", "WatchDog"))
    done = run(
        need("systemd-analyze"), "verify", "--man=no", tmp_path / "wrong.service"
    )
    assert re.search("Unknown key (name )?'WatchDog'", done.stdout)


@pytest.mark.parametrize("name", SERVICES)
def test_little_is_exposed(name, tmp_path):
    tool = need("systemd-analyze")
    if "--offline" not in run(tool, "--help").stdout:
        pytest.skip("systemd is older than 250")
    shutil.copy(str(UNITS / name), str(tmp_path))
    command = [tool, "security", "--offline=true", "--threshold=15", tmp_path / name]
    done = run(*command)
    assert done.returncode == 0, done.stdout  # the threshold is 1.5 of 10


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_runs_the_bundle_with_options_that_exist(name):
    service = dict(unit(name)["Service"])
    python, bundle, *arguments = shlex.split(service["ExecStart"])
    assert (python, bundle) == ("/usr/bin/python3", BUNDLE)
    options = parsed([bundle, *arguments])
    assert options.config == CONFIG
    assert options.state == "${STATE_DIRECTORY}/state.json"
    assert options.once == (service["Type"] == "oneshot")


def test_the_service_is_watched_and_comes_back():
    service = dict(unit("statuswatch.service")["Service"])
    assert service["Type"] == "notify" and float(service["WatchdogSec"]) >= 30
    assert service["Restart"] == "always"
    assert service["RestartPreventExitStatus"] == "2"
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert dict(unit("statuswatch.service")["Unit"])["StartLimitIntervalSec"] == "0"


def test_another_run_is_no_failure_of_the_timer():
    service = dict(unit("statuswatch-once.service")["Service"])
    assert service["SuccessExitStatus"] == str(statuswatch.EX_TEMPFAIL)
    timer = unit("statuswatch-once.timer")
    assert dict(timer["Timer"])["Unit"] == "statuswatch-once.service"


def test_both_services_are_locked_up_alike():
    sandboxes = []
    for name in SERVICES:
        keys = unit(name)["Service"]
        first = keys.index(("StateDirectoryMode", "0700"))
        sandboxes.append(keys[first:])
    assert sandboxes[0] == sandboxes[1]
    assert {"ProtectSystem", "SystemCallFilter", "NoNewPrivileges"} <= dict(
        sandboxes[0]
    ).keys()


def test_the_two_services_do_not_share_a_state():
    folders = {dict(unit(name)["Service"])["StateDirectory"] for name in SERVICES}
    assert len(folders) == 2


# cron


def fields(line):
    """The five times of a crontab's line as sets of numbers, and its command."""
    *times, command = line.split(None, 5)
    assert len(times) == 5
    for text, (low, high) in zip(times, [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)]):
        for part in text.split(","):
            match = re.fullmatch(r"(\*|(\d+)(-(\d+))?)(/([1-9]\d*))?", part)
            assert match, text
            numbers = [int(number) for number in match.group(2, 4) if number]
            assert all(low <= number <= high for number in numbers), text
            assert numbers == sorted(numbers)
    assert "%" not in command, "cron makes a new line of it"
    return times, command


def crontab():
    """The variables and the lines with times."""
    text = (UNITS / "crontab").read_text(encoding="ascii")
    assert text.endswith("\n"), "cron ignores a last line without one"
    lines = [line for line in text.splitlines() if line and line[0] != "#"]
    jobs = [line for line in lines if not re.match(r"[A-Z_]+=", line)]
    return dict(line.split("=", 1) for line in lines if line not in jobs), jobs


def test_the_crontab_runs_once_a_minute():
    variables, (job,) = crontab()
    assert set(variables) == {"MAILTO"}
    times, command = fields(job)
    assert times == ["*"] * 5
    words = shlex.split(command)
    assert words[:2] == ["python3", BUNDLE]
    options = parsed(words)
    assert options.once and options.quiet == 1 and options.config == CONFIG


@pytest.mark.parametrize(
    "line", ["60 * * * * x", "* * 0 * * x", "* * * * x", "*/0 * * * * x"]
)
def test_the_reader_of_crontabs_is_strict(line):
    with pytest.raises(AssertionError):
        fields(line)


# supervisord and logrotate


def program():
    config = configparser.RawConfigParser(inline_comment_prefixes=None)
    config.read_string((UNITS / "supervisord.conf").read_text(encoding="utf-8"))
    return config["program:statuswatch"]


def supervised(tmp_path, text):
    """The program as supervisord reads it."""
    options = pytest.importorskip("supervisor.options")
    text = text.replace("/var/log/statuswatch", str(tmp_path))
    text = text.replace("user=statuswatch", "user=" + getpass.getuser())
    (tmp_path / "statuswatch.conf").write_text(text, encoding="utf-8")
    main = tmp_path / "supervisord.conf"
    main.write_text("[supervisord]\n[include]\nfiles = statuswatch.conf\n")
    server = options.ServerOptions()
    server.realize(["-c", str(main), "-n"])
    (group,) = server.process_group_configs
    (found,) = group.process_configs
    return found


def test_supervisord_reads_its_program(tmp_path):
    text = (UNITS / "supervisord.conf").read_text(encoding="utf-8")
    found = supervised(tmp_path, text)
    assert found.name == "statuswatch"
    assert found.exitcodes == [2] and found.stopwaitsecs == 10
    assert found.stdout_logfile == str(tmp_path / "events.log")
    assert found.stdout_logfile_maxbytes == found.stderr_logfile_maxbytes == 0
    options = parsed(shlex.split(found.command))
    assert options.config == CONFIG and options.state and not options.once


def test_supervisord_refuses_what_is_wrong(tmp_path):
    pytest.importorskip("supervisor.options")
    text = (UNITS / "supervisord.conf").read_text(encoding="utf-8")
    with pytest.raises(SystemExit):
        supervised(tmp_path, text.replace("stopsignal=TERM", "stopsignal=TERMINATE"))


def rotating(tmp_path):
    """The file for logrotate, for logs in a folder of ours and a reader we are."""
    text = (UNITS / "logrotate.conf").read_text(encoding="utf-8")
    text = text.replace("/var/log/statuswatch", str(tmp_path))
    text = text.replace("/run/supervisord.pid", str(tmp_path / "pid"))
    path = tmp_path / "logrotate.conf"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)
    return path


def test_logrotate_finds_nothing_to_say(tmp_path):
    done = run(need("logrotate"), "-d", "-s", tmp_path / "s", rotating(tmp_path))
    assert done.returncode == 0 and "error" not in done.stdout.lower(), done.stdout


def test_logrotate_turns_the_logs_over_and_tells_supervisord(tmp_path):
    tool = need("logrotate")
    tmp_path.chmod(0o700)
    for name in ("events.log", "statuswatch.log"):
        (tmp_path / name).write_text("line\n")
    code = (
        "import signal, sys; signal.signal(signal.SIGUSR2, lambda *_: sys.exit(7));"
        "print('ready', flush=True); signal.pause()"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert child.stdout.readline() == b"ready\n"
        (tmp_path / "pid").write_text("%d\n" % child.pid)
        done = run(tool, "-f", "-s", tmp_path / "s", rotating(tmp_path))
        assert done.returncode == 0, done.stdout
        assert child.wait(10) == 7
    finally:
        child.kill()
        child.communicate()
    assert (tmp_path / "events.log.1").read_text() == "line\n"
    assert (tmp_path / "statuswatch.log.1").exists()


def test_logrotate_turns_over_what_supervisord_writes():
    logs = {program()["stdout_logfile"], program()["stderr_logfile"]}
    (pattern,) = re.findall(r"^(\S+) \{$", (UNITS / "logrotate.conf").read_text(), re.M)
    folder, _, end = pattern.partition("*")
    assert all(log.startswith(folder) and log.endswith(end) for log in logs)


# Docker


def dockerfile():
    """The instructions, in order: (name, arguments)."""
    text = (UNITS / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(None, 1)) for line in lines]


def test_the_image_has_only_instructions_that_exist():
    known = (
        "FROM RUN COPY USER VOLUME STOPSIGNAL ENTRYPOINT CMD ENV LABEL WORKDIR".split()
    )
    names = [name for name, _ in dockerfile()]
    assert set(names) <= set(known) and names[0] == "FROM"
    assert [names.count(name) for name in ("FROM", "USER", "ENTRYPOINT", "CMD")] == [
        1
    ] * 4


def test_the_image_is_made_from_a_pinned_python_that_is_supported():
    words = dict(dockerfile())
    match = re.fullmatch(r"python:(3\.\d+)\.\d+-slim-\w+", words["FROM"])
    assert match.group(1) in load_script("matrix").supported()


def test_the_image_needs_no_tools_and_no_network_to_be_made():
    runs = " ".join(text for name, text in dockerfile() if name == "RUN")
    assert not re.search(r"\b(apt|apt-get|pip|curl|wget|gcc|git)\b", runs)


def test_what_the_image_copies_is_what_the_bundle_is_called():
    (copied,) = (text.split() for name, text in dockerfile() if name == "COPY")
    head = (UNITS / "Dockerfile").read_text(encoding="utf-8").splitlines()[0]
    build = shlex.split(head.lstrip("# ").partition("&& ")[2])
    assert head.startswith("# scripts/bundle && docker build ")
    assert build[build.index("-f") + 1] == "scripts/units/Dockerfile"
    source = SCRIPTS.parent / build[-1] / copied[0]
    parser = io.StringIO((SCRIPTS / "bundle").read_text(encoding="utf-8"))
    assert '"%s" / "%s"' % (source.parent.name, source.name) in parser.read()


def test_the_image_is_not_run_by_root_and_may_write_its_state():
    words = dict(dockerfile())
    user, group = words["USER"].split(":")
    assert int(user) >= 1000 and int(group) >= 1000
    made = shlex.split(words["RUN"])
    assert made[:2] == ["install", "-d"] and made[-1] == words["VOLUME"]
    assert made[made.index("-o") + 1] == user
    order = [name for name, _ in dockerfile()]
    assert order.index("RUN") < order.index("USER")


def test_the_image_runs_the_program_with_options_that_exist():
    words = dict(dockerfile())
    command = json.loads(words["ENTRYPOINT"]) + json.loads(words["CMD"])
    options = parsed(command)
    assert command[0] == "statuswatch" and options.json
    assert options.state.startswith(words["VOLUME"] + "/")


# Kubernetes


@pytest.fixture
def cluster():
    """The objects by their kind."""
    yaml = pytest.importorskip("yaml")
    text = (UNITS / "kubernetes.yaml").read_text(encoding="utf-8")
    found = list(yaml.safe_load_all(text))
    assert len({each["kind"] for each in found}) == len(found)
    return {each["kind"]: each for each in found}


# What the API has for the objects we use (Kubernetes 1.29), as far as we use it.
TEXT, NUMBER, YES = (str,), (int,), (bool,)
SECURITY = {
    "runAsNonRoot": YES,
    "runAsUser": NUMBER,
    "runAsGroup": NUMBER,
    "fsGroup": NUMBER,
    "seccompProfile": {"type": TEXT},
    "allowPrivilegeEscalation": YES,
    "readOnlyRootFilesystem": YES,
    "capabilities": {"drop": [TEXT]},
}
QUANTITIES = {"cpu": TEXT, "memory": TEXT, "storage": TEXT}
RESOURCES = {"requests": QUANTITIES, "limits": QUANTITIES}
CONTAINER = {
    "name": TEXT,
    "image": TEXT,
    "command": [TEXT],
    "securityContext": SECURITY,
    "resources": RESOURCES,
    "volumeMounts": [{"name": TEXT, "mountPath": TEXT, "readOnly": YES}],
}
POD = {
    "restartPolicy": TEXT,
    "terminationGracePeriodSeconds": NUMBER,
    "automountServiceAccountToken": YES,
    "securityContext": SECURITY,
    "containers": [CONTAINER],
    "volumes": [
        {
            "name": TEXT,
            "configMap": {"name": TEXT},
            "persistentVolumeClaim": {"claimName": TEXT},
        }
    ],
}
HEAD = {"apiVersion": TEXT, "kind": TEXT, "metadata": {"name": TEXT}}
SCHEMA = {
    "ConfigMap": {**HEAD, "data": {"providers.ini": TEXT}},
    "PersistentVolumeClaim": {
        **HEAD,
        "spec": {"accessModes": [TEXT], "resources": RESOURCES},
    },
    "Job": {
        **HEAD,
        "spec": {
            "completionMode": TEXT,
            "completions": NUMBER,
            "parallelism": NUMBER,
            "backoffLimit": NUMBER,
            "template": {"metadata": {"labels": {"app": TEXT}}, "spec": POD},
        },
    },
}


def wrong(value, schema, place="") -> list:
    """The places where a value is not what its schema says."""
    if isinstance(schema, tuple):
        return [] if type(value) in schema else [place]
    if type(value) is not type(schema):
        return [place]
    if isinstance(schema, list):
        rows = enumerate(value)
        return [
            bad
            for n, each in rows
            for bad in wrong(each, schema[0], place + "[%d]" % n)
        ]
    found = [place + "." + key for key in value.keys() - schema.keys()]
    for key in value.keys() & schema.keys():
        found += wrong(value[key], schema[key], place + "." + key)
    return found


def test_the_objects_are_those_of_the_api(cluster):
    assert set(cluster) == set(SCHEMA)
    for kind, each in cluster.items():
        assert wrong(each, SCHEMA[kind], kind) == []
    assert cluster["Job"]["apiVersion"] == "batch/v1"
    assert wrong({"spec": {"completion": 1}}, SCHEMA["Job"]) == [".spec.completion"]
    assert wrong({"spec": {"completions": "1"}}, SCHEMA["Job"]) == [".spec.completions"]


def container(cluster):
    (found,) = cluster["Job"]["spec"]["template"]["spec"]["containers"]
    return found


def test_every_index_of_the_job_takes_another_share(cluster, tmp_path):
    job = cluster["Job"]["spec"]
    assert job["completionMode"] == "Indexed"
    assert job["completions"] == job["parallelism"]
    program = tmp_path / "statuswatch"
    program.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    program.chmod(0o755)
    shares, states = [], []
    for index in range(job["completions"]):
        env = {
            "PATH": "%s:/bin:/usr/bin" % tmp_path,
            "JOB_COMPLETION_INDEX": str(index),
        }
        done = run(*container(cluster)["command"], env=env)
        options = parsed(["statuswatch", *done.stdout.splitlines()])
        shares.append(options.shard)
        assert options.json and options.config == CONFIG
        states.append(options.state)
    count = job["completions"]
    assert shares == [(index, count) for index in range(count)]
    assert len(set(states)) == count


def test_what_the_job_mounts_is_there(cluster):
    pod = cluster["Job"]["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {m["name"]: m["mountPath"] for m in container(cluster)["volumeMounts"]}
    assert volumes.keys() == mounts.keys()
    assert mounts["config"] == os.path.dirname(CONFIG)
    assert mounts["state"] == dict(dockerfile())["VOLUME"]
    name = cluster["ConfigMap"]["metadata"]["name"]
    assert volumes["config"]["configMap"]["name"] == name
    name = cluster["PersistentVolumeClaim"]["metadata"]["name"]
    assert volumes["state"]["persistentVolumeClaim"]["claimName"] == name


def test_the_configuration_of_the_job_is_accepted(cluster):
    text = cluster["ConfigMap"]["data"]["providers.ini"]
    assert statuswatch.parse_config(text, "providers.ini").providers


def test_the_job_runs_this_version_as_the_user_of_the_image(cluster):
    image = container(cluster)["image"]
    assert image == "statuswatch:" + statuswatch.__version__
    security = cluster["Job"]["spec"]["template"]["spec"]["securityContext"]
    user, group = map(int, dict(dockerfile())["USER"].split(":"))
    assert (security["runAsUser"], security["runAsGroup"]) == (user, group)
    assert security["fsGroup"] == group and security["runAsNonRoot"]
    assert container(cluster)["securityContext"]["readOnlyRootFilesystem"]
