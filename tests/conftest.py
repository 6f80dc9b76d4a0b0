"""What every test may use: a clean environment."""

import os
import signal

import pytest

UNWANTED = ("PYTHONUNBUFFERED", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NOTIFY_SOCKET")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    """Proxies and such of the developer's own must not change what is tested."""
    for name in list(os.environ):
        if name in UNWANTED or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def signal_handlers():
    """A test that runs main() leaves the handlers as they were."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
