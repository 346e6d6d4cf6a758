"""A speaking person, made once for all tests of this folder."""

from __future__ import annotations

import pytest
from person import Person, speaking_person


@pytest.fixture(scope="session")
def person(tmp_path_factory: pytest.TempPathFactory) -> Person:
    """Sixty frames of a portrait that speaks, and their survey."""
    return speaking_person(tmp_path_factory.mktemp("person"))
