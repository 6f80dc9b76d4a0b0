"""What tests stand on instead of the world: the programs in scripts/ as modules."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"


def load_script(name: str) -> ModuleType:
    """The program scripts/<name> as a module, the same one every time it is asked for.

    No .pyc is written beside it: scripts/ holds what people type and nothing else.
    """
    module_name = "scripts_" + name
    if module_name in sys.modules:
        return sys.modules[module_name]
    path = str(SCRIPTS / name)
    loader = importlib.machinery.SourceFileLoader(module_name, path)
    spec = importlib.util.spec_from_loader(module_name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses look their module up there
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module
