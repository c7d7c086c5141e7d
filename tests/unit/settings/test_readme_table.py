from pathlib import Path

from service.settings import readme_table
from service.settings.model import VARIABLES

ROOT = Path(__file__).parents[3]


def test_the_readme_lists_the_settings_of_the_code() -> None:
    """The README's table is the generated one; `make format` puts it there."""
    assert readme_table.is_current(ROOT / "README.md")


def test_the_table_has_a_row_for_every_variable() -> None:
    """Nothing that can be set is left out."""
    rows = readme_table.markdown().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == [var.name for var in VARIABLES.values()]


def test_writing_keeps_the_text_around_the_markers(tmp_path: Path) -> None:
    """Only what stands between the markers is generated."""
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{readme_table.BEGIN}\nold\n{readme_table.END}\nafter\n", encoding="utf-8")
    assert not readme_table.is_current(readme)
    readme_table.write(readme)
    text = readme.read_text(encoding="utf-8")
    assert readme_table.is_current(readme)
    assert text.startswith("before\n")
    assert text.endswith(f"{readme_table.END}\nafter\n")
