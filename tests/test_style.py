"""The shape of the module: its size, its dividers, and what its pure parts may name."""

import ast
import pathlib
import re

import pytest

MODULE = pathlib.Path(__file__).parents[1] / "statuswatch.py"
SOURCE = MODULE.read_text(encoding="utf-8")
LINES = SOURCE.splitlines()
TREE = ast.parse(SOURCE)

MAX_LINES = 1500
MOST_LINES = 3031
MAX_FUNCTION_LINES = 45
DIVIDER = re.compile(r"# --- ([A-Z][a-z]*(?: [a-z]+)*): \S.*\. ---")
PURE = ("Text", "Parsing", "Tracking", "Formatting")
IMPURE = {"requests", "time", "open", "print", "log", "threading"}
CLOCKS = {"now", "utcnow", "today"}


def sections():
    """Section name -> its line numbers, from its divider up to the next one."""
    starts = [(n, DIVIDER.fullmatch(line)) for n, line in enumerate(LINES, 1)]
    starts = [(n, match.group(1)) for n, match in starts if match]
    ends = [n for n, _ in starts[1:]] + [len(LINES) + 1]
    return {name: range(n, end) for (n, name), end in zip(starts, ends)}


def impure_names(tree, lines=range(1, 10**9)):
    """What a syntax tree names, on these lines, that a pure section must not."""
    for node in ast.walk(tree):
        if getattr(node, "lineno", 0) not in lines:
            continue
        names = set()
        if isinstance(node, ast.Name):
            names = {node.id} & IMPURE
        elif isinstance(node, ast.arg):
            names = {node.arg} & IMPURE
        elif isinstance(node, ast.Import):
            names = {alias.name.split(".")[0] for alias in node.names} & IMPURE
        elif isinstance(node, ast.ImportFrom):
            names = {(node.module or "").split(".")[0]} & IMPURE
        elif isinstance(node, ast.Attribute) and node.attr in CLOCKS:
            of = getattr(node.value, "attr", getattr(node.value, "id", ""))
            names = {f"{of}.{node.attr}"} if of in ("datetime", "date") else set()
        for name in sorted(names):
            yield f"line {node.lineno}: {name}"


@pytest.mark.xfail(strict=True, reason="see CONTRIBUTING.md: it is over its budget")
def test_the_module_is_within_its_budget():
    lines = len(LINES)
    assert lines <= MAX_LINES


def test_the_module_does_not_grow_while_it_is_over_its_budget():
    lines = len(LINES)
    assert lines <= MOST_LINES


def test_no_function_is_longer_than_a_screen():
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    long = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(TREE)
        if isinstance(node, functions)
        and node.end_lineno - node.lineno >= MAX_FUNCTION_LINES
    }
    assert long == {}


def test_dividers_have_one_form_and_state_a_contract():
    rules = [line for line in LINES if re.match(r"\s*#.*(---|===|###|\*\*\*)", line)]
    assert [line for line in rules if not DIVIDER.fullmatch(line)] == []
    names = [DIVIDER.fullmatch(line).group(1) for line in rules]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", PURE)
def test_pure_sections_name_nothing_that_blocks_logs_or_reads_a_clock(name):
    assert list(impure_names(TREE, sections()[name])) == []


@pytest.mark.parametrize(
    "code, named",
    [
        ("time.monotonic()", "time"),
        ("log.info('x')", "log"),
        ("def f(print): pass", "print"),
        ("import threading", "threading"),
        ("from requests.adapters import HTTPAdapter", "requests"),
        ("datetime.datetime.now()", "datetime.now"),
        ("datetime.date.today()", "date.today"),
    ],
)
def test_the_purity_check_sees(code, named):
    assert list(impure_names(ast.parse(code))) == [f"line 1: {named}"]


@pytest.mark.parametrize(
    "code", ["import datetime", "datetime.time(1)", "def f(now): return now", "a.log"]
)
def test_the_purity_check_lets_pass(code):
    assert list(impure_names(ast.parse(code))) == []


def test_each_rule_is_named_where_it_is_decided():
    rules = {f"R{n}" for n in range(1, 16)}
    assert rules - set(re.findall(r"\bR\d+\b", SOURCE)) == set()
