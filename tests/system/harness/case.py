"""Tests are functions with the decorator @test; their names are FILE.FUNCTION, or FILE.FUNCTION[VARIANT]."""

from __future__ import annotations

import importlib.util
import pathlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass


class Failed(Exception):
    """The test found something wrong."""


class Skipped(Exception):
    """The test needs what this machine lacks; the message says what."""


@dataclass(frozen=True)
class Test:
    name: str
    run: Callable  # run(context) or run(context, variant)
    variant: str | None
    timeout: float  # seconds


_collected: list[Test] = []


def test(function: Callable | None = None, *, timeout: float = 60, variants: Iterable[str] = ()):
    """Registers a test. With variants, it is called once for each, with the variant as second argument."""

    def register(function: Callable) -> Callable:
        for variant in list(variants) or [None]:
            name = f"{pathlib.Path(function.__code__.co_filename).stem}.{function.__name__}"
            _collected.append(Test(f"{name}[{variant}]" if variant else name, function, variant, timeout))
        return function

    return register(function) if function else register


def each(*variants: str, timeout: float = 60):
    return test(timeout=timeout, variants=variants)


def collect(folder: pathlib.Path) -> list[Test]:
    """All tests of the Python files in `folder`, by file and then in the order in which they are written."""
    _collected.clear()
    for file in sorted(folder.glob("*.py")):
        specification = importlib.util.spec_from_file_location(f"cases_{file.stem}", file)
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
    return list(_collected)
