"""What a document must become stands in a file beside it, and this compares them."""

from __future__ import annotations

import os
import re
from pathlib import Path


def check(path: Path, text: str) -> None:
    """Fail where the file *path* does not say *text*; `...` in it stands for anything.

    With UPDATE_EXPECTED=1 in the environment, write the file instead. Then read it!
    """
    if os.environ.get("UPDATE_EXPECTED") == "1":
        path.write_text(text, encoding="utf-8")
    wanted = path.read_text(encoding="utf-8")
    if "..." in wanted and re.fullmatch(
        ".*".join(map(re.escape, wanted.split("..."))), text, re.DOTALL
    ):
        return
    assert text == wanted


def cases(folder: Path, *suffixes: str, at_least: int) -> list[Path]:
    """The files in *folder* that end so; fail where fewer are found than there were.

    So a test that is run once for each file cannot pass by finding none.
    """
    found = sorted(path for path in folder.rglob("*") if path.suffix in suffixes)
    assert len(found) >= at_least, folder
    return found
