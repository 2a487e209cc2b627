"""docs/config.md says what the schema says."""

from engine.config.reference import reference
from tests.conftest import ROOT


def test_the_reference_is_that_of_the_schema() -> None:
    made = reference()
    assert (ROOT / "docs" / "config.md").read_text(encoding="utf-8") == made, (
        "write it anew: python -m engine.config.reference > docs/config.md"
    )
    for words in ("### `allocation`", "| `max_accounts` |", "`attainment`, `potential`", "| text | required |"):
        assert words in made
