"""The files that a source names in its texts, where they lie in the project."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runner.scripts.named_files import NamedFiles, named_files

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
        ("hydra.main(config_path='images', config_name='loss')", ("images",)),
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
    assert named_files(source.encode(), "train.py", project) == NamedFiles(inside=found)


LOOKS_FROM_ABOVE = "import os\nHERE = os.path.dirname(os.path.abspath(__file__))\n"


@pytest.mark.parametrize(
    ("path", "source", "inside", "moved"),
    [
        # from where the source lies, worked out
        ("jobs/train.py", f"{LOOKS_FROM_ABOVE}open(HERE + '/near.csv')", ("jobs/near.csv",), ()),
        ("jobs/train.py", f"{LOOKS_FROM_ABOVE}open(f'{{HERE}}/near.csv')", ("jobs/near.csv",), ()),
        ("jobs/train.py", f"{LOOKS_FROM_ABOVE}open(os.path.join(HERE, '..', 'data', 'a.csv'))", ("data/a.csv",), ()),
        ("jobs/train.py", f"{LOOKS_FROM_ABOVE}os.path.join(HERE, 'sets', name)", ("jobs/sets",), ()),
        ("jobs/train.py", f"{LOOKS_FROM_ABOVE}os.listdir(HERE); os.path.join(HERE, name)", (), ()),
        (
            "train.py",
            "D = Path(__file__).parent / 'data'\nopen(D / 'b.csv'); np.load(D / 'c')",
            ("data",),
            (),
        ),
        # from the script's own folder, in which its user starts it
        ("jobs/train.py", "pd.read_csv('near.csv')", (), (("jobs/near.csv", "near.csv"),)),
        ("jobs/train.py", "pd.read_csv('../data/a.csv')", (), (("data/a.csv", "../data/a.csv"),)),
        ("jobs/train.py", "glob.glob('sets/*.npz')", (), (("jobs/sets", "sets"),)),
        ("jobs/train.py", "open(where + 'near.csv')", ("jobs/near.csv",), (("jobs/near.csv", "near.csv"),)),
        ("jobs/train.py", "open('data/a.csv')", ("data/a.csv",), ()),
        # from above the project, and from a module's own folder
        ("train.py", "open('../corpus.txt'); open('../../corpus.txt')", (), (("../corpus.txt", "../corpus.txt"),)),
        ("tools/reader.py", "open('words.txt')", ("tools/words.txt",), ()),
    ],
)
def test_a_file_is_looked_for_where_the_source_looks(
    project: Path, path: str, source: str, inside: tuple[str, ...], moved: tuple[tuple[str, str], ...]
) -> None:
    inner = project / "inner"
    for name in ("data/a.csv", "data/b.csv", "jobs/near.csv", "jobs/sets/1.npz", "tools/words.txt", "../corpus.txt"):
        (inner / name).parent.mkdir(parents=True, exist_ok=True)
        (inner / name).touch()
    found = named_files(source.encode(), path, inner, beside="jobs" if path == "jobs/train.py" else "")
    assert found == NamedFiles(inside=inside, moved=moved)


def test_a_notebook_looks_from_its_own_folder(project: Path) -> None:
    found = named_files(b"open('../conf.yaml')", "images/a.ipynb", project, beside="images", start="images")
    assert found == NamedFiles(inside=("conf.yaml",))
