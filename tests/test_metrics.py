"""scripts/metrics: what a state file says, for Prometheus."""

import json
import os
import subprocess
import sys
import time

import pytest
import statuswatch
from fakes import SCRIPTS, load_script

metrics = load_script("metrics")
parser = pytest.importorskip("prometheus_client.parser")


@pytest.fixture
def watched(tmp_path):
    """A fake page, and a function that polls it once into the state file it returns."""
    path = tmp_path / "state.json"

    def once():
        (tmp_path / "providers.ini").write_text(
            "[providers]\nAcme = %s incident.io\n[Acme]\nmaintenance = yes\n" % fake.url
        )
        program = [sys.executable, str(SCRIPTS.parent / "statuswatch.py"), "--once"]
        subprocess.run(
            [*program, "-qq", "--state", str(path)], cwd=str(tmp_path), timeout=60
        )
        return path

    with load_script("fakepage").FakePage("incidentio") as fake:
        fake.do('component api "API" operational')
        fake.do('component web "Web" operational')
        yield fake, once


def stored(path, **providers):
    """A state file of these providers, as the program writes it."""
    state = statuswatch.StateFile(str(path))
    state.providers = {name: json.dumps(each) for name, each in providers.items()}
    state.save()
    return path


def read(path):
    """The samples that the program makes of a state: (name, labels) -> value."""
    return samples(metrics.render(metrics.families(*metrics.load(path))))


def samples(text):
    found = {}
    for family in parser.text_string_to_metric_families(text):
        assert family.documentation and family.type in ("gauge", "counter")
        for sample in family.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            assert key not in found
            found[key] = sample.value
    return found


def value(found, name, **labels):
    return found.get(("statuswatch_" + name, tuple(sorted(labels.items()))))


def test_a_provider_that_was_read_is_up(watched):
    _, once = watched
    found = read(once())
    assert value(found, "provider_up", provider="Acme") == 1
    read_at = value(found, "provider_last_read_timestamp_seconds", provider="Acme")
    assert time.time() - 60 < read_at <= time.time()
    age = value(found, "provider_last_read_age_seconds", provider="Acme")
    assert 0 <= age < 60
    assert time.time() - 60 < value(found, "state_timestamp_seconds") <= time.time() + 1


def test_the_program_prints_the_metrics(watched):
    _, once = watched
    command = [sys.executable, str(SCRIPTS / "metrics"), str(once())]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60)
    assert samples(done.stdout.decode()).keys() == read(command[-1]).keys()


def test_components_are_counted_by_status(watched):
    fake, once = watched
    once()
    fake.do("component web major_outage")
    found = read(once())
    me = {"provider": "Acme"}
    assert value(found, "components", status="operational", **me) == 1
    assert value(found, "components", status="major_outage", **me) == 1


def test_incidents_are_open_until_they_are_resolved(watched):
    fake, once = watched
    fake.do('incident owl investigating impact=major components=api "Errors" "An owl."')
    me = {"provider": "Acme", "maintenance": "no"}
    assert value(read(once()), "incidents_open", **me) == 1
    fake.do('update owl resolved "It has left."')
    assert value(read(once()), "incidents_open", **me) == 0


def test_a_provider_that_cannot_be_read_is_down(watched):
    fake, once = watched
    once()
    fake.__exit__(None, None, None)
    found = read(once())
    assert value(found, "provider_up", provider="Acme") == 0
    assert value(found, "provider_last_read_age_seconds", provider="Acme") >= 0


def test_a_provider_that_was_never_read_has_no_time(tmp_path):
    source = {"failures": 3, "failed_at": 1.0}
    path = stored(tmp_path / "s", Acme={"found": [], "sources": {"a": source}})
    found = read(path)
    assert value(found, "provider_up", provider="Acme") == 0
    assert not [name for name, _ in found if "last_read" in name]


def test_the_source_that_was_not_read_longest_counts(tmp_path):
    sources = {"a": {"read_at": 2000.0}, "b": {"read_at": 1000.0}}
    path = stored(tmp_path / "s", Acme={"found": [], "sources": sources})
    name = "provider_last_read_timestamp_seconds"
    assert value(read(path), name, provider="Acme") == 1000


def test_events_and_polls_are_counters(tmp_path):
    polls = {"changed": 3, "unchanged": 5}
    acme = {"found": [], "sources": {}, "events": 7, "polls": polls}
    other = {"found": [], "sources": {}}
    found = read(stored(tmp_path / "s", Acme=acme, Other=other))
    assert value(found, "events_total", provider="Acme") == 7
    for result, count in (("changed", 3), ("unchanged", 5), ("failed", 0)):
        assert value(found, "polls_total", provider="Acme", result=result) == count
        assert value(found, "polls_total", provider="Other", result=result) == 0
    assert value(found, "events_total", provider="Other") == 0


def test_the_program_counts_what_it_tells_and_polls(watched):
    fake, once = watched
    once()
    fake.do('incident owl investigating impact=major components=api "Errors" "An owl."')
    once()
    found = read(once())
    assert value(found, "events_total", provider="Acme") == 1
    for result, count in (("changed", 2), ("unchanged", 1), ("failed", 0)):
        assert value(found, "polls_total", provider="Acme", result=result) == count


def test_what_a_page_shows_no_more_is_not_counted(tmp_path):
    tracker = statuswatch.Tracker(
        statuswatch.Provider("Acme", ("http://a",)),
        "",
        metrics.datetime.now(statuswatch.UTC),
    )

    def observe(*names):
        source = statuswatch.Source("http://a", seeded=True)
        parts = [statuswatch.Component(n, n, "operational", None) for n in names]
        page = statuswatch.Page("test", components=tuple(parts), complete=True)
        tracker.observe([(source, page)])
        memory = json.loads(tracker.memory())
        return metrics.picture("Acme", {"memory": memory})[0]

    assert observe("a", "b") == {"operational": 2}
    assert observe("a") == {"operational": 1}


@pytest.mark.parametrize(
    "name", ['with "quotes"', "with \\ and \\n", "two\nlines", "{}", "Zürich ☃", "a,b="]
)
def test_any_name_is_a_label(tmp_path, name):
    path = stored(tmp_path / "s", **{name: {"found": [], "sources": {}}})
    assert value(read(path), "provider_up", provider=name) == 0


def test_half_a_character_does_not_break_the_file():
    assert metrics.escape("a\ud800b") == "a?b"


def test_a_state_without_providers_is_valid(tmp_path):
    found = read(stored(tmp_path / "s"))
    assert [name for name, _ in found] == ["statuswatch_state_timestamp_seconds"]


def test_every_metric_has_its_help_and_type_once_before_its_samples(tmp_path):
    path = stored(tmp_path / "s", A={"found": [], "sources": {}}, B={})
    text = metrics.render(metrics.families(*metrics.load(path)))
    seen, kinds = [], {}
    for line in text.splitlines():
        words = line.split(" ")
        if line.startswith("# TYPE"):
            kinds[words[2]] = words[3]
            assert seen[-1] == "HELP " + words[2]
        seen.append("HELP " + words[2] if line.startswith("# HELP") else line)
        if not line.startswith("#"):
            assert line.partition("{")[0].split(" ")[0] in kinds
    assert text.count("# HELP") == text.count("# TYPE") == len(kinds)
    for name, kind in kinds.items():
        assert name.endswith("_total") == (kind == "counter")


def test_the_file_is_replaced_as_a_whole_and_anyone_may_read_it(tmp_path):
    state = stored(tmp_path / "s", Acme={"found": [], "sources": {}})
    output = tmp_path / "statuswatch.prom"
    output.write_text("old")
    before = output.stat().st_ino
    os.chmod(str(output), 0o600)
    assert metrics.main([str(state), "--output", str(output)]) == 0
    assert value(samples(output.read_text()), "provider_up", provider="Acme") == 0
    assert output.stat().st_ino != before
    assert output.stat().st_mode & 0o777 == 0o644
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s", "statuswatch.prom"]


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "7", '{"version":1}', '{"version":99,"providers":{}}']
    + ['{"version":1,"providers":{"A":{"memory":[1]}}}']
    + ['{"version":1,"providers":{"A":7}}', '{"version":1,"providers":[]}'],
)
def test_a_state_that_cannot_be_used_leaves_everything_alone(tmp_path, capsys, content):
    state, output = tmp_path / "state.json", tmp_path / "statuswatch.prom"
    state.write_text(content)
    output.write_text("old")
    assert metrics.main([str(state), "--output", str(output)]) == 1
    assert (state.read_text(), output.read_text()) == (content, "old")
    assert capsys.readouterr().err.startswith("metrics: %s" % state)


def test_a_state_that_is_not_there_is_one_line(tmp_path, capsys):
    assert metrics.main([str(tmp_path / "none")]) == 1
    error = capsys.readouterr().err
    assert "No such file" in error and error.count("\n") == 1


def test_an_output_that_cannot_be_written_is_one_line(tmp_path, capsys):
    state = stored(tmp_path / "s")
    (tmp_path / "folder").mkdir()
    assert metrics.main([str(state), "--output", str(tmp_path / "folder")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "folder.tmp").exists()


def test_python_without_the_needs_says_so(tmp_path):
    command = [sys.executable, "-I", "-S", str(SCRIPTS / "metrics"), str(tmp_path)]
    done = subprocess.run(command, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 1
    assert done.stderr.decode().startswith("metrics: No module named ")
