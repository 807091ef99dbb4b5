"""The files that a source names in its texts, where they lie in the project."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runner.scripts.named_files import named_files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("data/a.csv", "data/b.csv", "images/cat/1.png", "conf.yaml", "tools/own.py", ".env", "loss/x.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("open('data/a.csv')", ("data/a.csv",)),
        ("open('./data/a.csv')", ("data/a.csv",)),
        ("parser.add_argument('--conf', default='conf.yaml')", ("conf.yaml",)),
        ("os.path.join('data', 'a.csv')", ("data/a.csv",)),
        ("os.path.join(here, 'data', name)", ("data",)),
        ("Path(__file__).parent / 'data' / 'b.csv'", ("data/b.csv",)),
        ("Path('images')", ("images",)),
        ("flow.flow_from_directory('images', x)", ("images",)),
        ("glob.glob('data/*.csv')", ("data/*.csv",)),
        ("open('data/a.csv'); os.listdir('data')", ("data",)),
        ("model.compile(loss='loss'); x['data']", ()),
        ("open('data/none.csv'); open('../conf.yaml'); open('/etc/passwd'); open('.env'); '*'; '**'", ()),
        ("open('tools/own.py'); os.listdir('tools'); Path('/'); Path('.')", ()),
        ("open('a' * 5 + '\\0'); '\\0'; '['; 'x/**y'", ()),
        ("not python", ()),
    ],
)
def test_a_text_names_what_lies_in_the_project(project: Path, source: str, found: tuple[str, ...]) -> None:
    assert named_files(source.encode(), project) == found
