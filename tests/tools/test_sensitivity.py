"""sensitivity varies what it says, everywhere, and puts it back."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "pipelines" / "samples"


def tool() -> Any:
    spec = importlib.util.spec_from_file_location("sensitivity", ROOT / "tools" / "sensitivity.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_constant_is_varied_wherever_it_was_imported_and_put_back() -> None:
    from models.mouth import geometry, warp

    was = geometry.TOUCHING
    with tool().varied("geometry:TOUCHING", 1.4):
        assert geometry.TOUCHING == warp.TOUCHING == pytest.approx(1.4 * was)
    assert geometry.TOUCHING == warp.TOUCHING == was
    with pytest.raises(ValueError, match="no constant warp:_NOWHERE"), tool().varied("warp:_NOWHERE", 1.4):
        pass


def test_what_it_lists_is_there() -> None:
    for constants in tool().CONSTANTS.values():
        for constant in constants:
            module, name = constant.split(":")
            assert hasattr(import_module(f"models.mouth.{module}"), name), constant


COMMAND = [sys.executable, str(ROOT / "tools" / "sensitivity.py"), str(SAMPLES / "portrait.mp4")]


@pytest.mark.slow
def test_the_command_prints_a_line_for_each_variant() -> None:
    options = ["--model", "warp", "--frames", "12", "--only", "warp:_OPEN", "--json"]
    done = subprocess.run([*COMMAND, str(SAMPLES / "speech.wav"), *options], capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    factors = [(row["constant"], row["factor"]) for row in rows]
    assert factors == [("as it is", 1), ("warp:_OPEN", 0.7), ("warp:_OPEN", 1.4)]
    assert all(row["seam"] > 0 and row["covered"] == 0 for row in rows)


def test_a_sound_that_is_not_there_is_told_in_a_line() -> None:
    wrong = subprocess.run([*COMMAND, "none.wav", "--json"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 1 and wrong.stderr.startswith("sensitivity: ") and wrong.stderr.count("\n") == 1
