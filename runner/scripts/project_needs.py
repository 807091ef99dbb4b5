"""What a project needs by its own files: requirements files, pyproject.toml and others; variables that a source reads.

It is read to propose a matrix, so what can't be read is passed over; `requirements:` is what reads them strictly.
"""

from __future__ import annotations

import ast
import configparser
import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path


_LARGEST_BYTES = 1024**2
_CONDA = re.compile(r"^(?P<name>[\w.-]+)\s*(?P<versions>[=<>!~].*)?$")
_CONDA_NAMES = {"pytorch": "torch", "opencv": "opencv-python", "pytables": "tables"}
"""Names of conda's that differ from the package index's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProjectNeed:
    """One distribution that a file of the project names; `versions` are its specifiers (PEP 440), mostly empty."""

    name: str
    versions: str
    file: str
    address: bool = False
    """True where the file names an address or a repository in place of a release."""

    @property
    def is_required(self) -> bool:
        """True where the file is one that `requirements:` takes as a whole."""
        name = self.file.rpartition("/")[2]
        return not name.endswith(".ipynb") and not name.startswith(("setup.", "constraints"))

    @property
    def pin(self) -> str | None:
        """The one version that is allowed, None where there are several."""
        found = re.fullmatch(r"===?\s*([^*,]+)", self.versions)
        return found[1] if found else None


def project_needs(folders: Sequence[Path]) -> Mapping[str, ProjectNeed]:
    """The needs by normalised name, of each the first in the order of `_READERS`, in the first folder that has it.

    Files are named as they lie from the first folder, in which the others are.
    """
    found: dict[str, ProjectNeed] = {}
    for folder in dict.fromkeys(folders):
        for pattern, lines_of in _READERS:
            for path in sorted(folder.glob(pattern)):
                for line in _lines(path, lines_of):
                    need = read_need(line, path.relative_to(folders[0]).as_posix())
                    if need is not None:
                        found.setdefault(need.name, need)
    return found


def _lines(path: Path, lines_of: Callable[[str], Iterable[Any]]) -> list[str]:
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            return []
        return [line for line in lines_of(path.read_text("utf-8-sig")) if isinstance(line, str)]
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, configparser.Error, yaml.YAMLError):
        return []  # not the file that its name says


def read_need(line: str, file: str) -> ProjectNeed | None:
    """The need that a line of a requirements file names; None where it names none."""
    text = re.sub(r"(^|\s)#.*$|\s+--hash.*$|\s*\\$", "", line).strip()
    try:
        written = Requirement(text)
        versions = str(written.specifier)
    except ValueError:
        egg = re.search(r"[#&]egg=([\w.-]+)", line)
        return ProjectNeed(name=canonicalize_name(egg[1]), versions="", file=file, address=True) if egg else None
    return ProjectNeed(name=canonicalize_name(written.name), versions=versions, file=file, address=bool(written.url))


def _of_pyproject(text: str) -> Iterator[Any]:
    data = tomllib.loads(text)
    project = data.get("project", {})
    yield from project.get("dependencies", ())
    for group in (*project.get("optional-dependencies", {}).values(), *data.get("dependency-groups", {}).values()):
        yield from group
    for name, versions in data.get("tool", {}).get("poetry", {}).get("dependencies", {}).items():
        if name != "python":
            yield name if not isinstance(versions, str) or not re.match(r"[<>=!~]", versions) else f"{name}{versions}"


def _of_environment(text: str) -> Iterator[Any]:
    for entry in (yaml.safe_load(text) or {}).get("dependencies", ()):
        if isinstance(entry, dict):
            yield from entry.get("pip", ())
        elif (found := _CONDA.match(entry.rpartition("::")[2])) and found["name"] != "python":
            yield f"{_CONDA_NAMES.get(found['name'], found['name'])}{_from_conda(found['versions'] or '')}"


def _from_conda(versions: str) -> str:
    """The versions of conda as PEP 440 has them: `=1.2` is any release of 1.2; after a second `=` stands a build."""
    one = re.fullmatch(r"(={1,2})\s*([\d.]+)(\.\*)?(?:=.*)?", versions)
    if one is None:
        return versions if re.match(r"[<>!~]", versions) else ""
    exact = one[1] == "==" or one[2].count(".") >= 2
    return f"=={one[2]}" if exact and not one[3] else f"=={one[2]}.*"


def _of_setup_cfg(text: str) -> Iterator[Any]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    yield from parser.get("options", "install_requires", fallback="").splitlines()
    if parser.has_section("options.extras_require"):
        for _, lines in parser.items("options.extras_require"):
            yield from lines.splitlines()


_READERS: tuple[tuple[str, Callable[[str], Iterable[Any]]], ...] = (
    ("requirements.txt", str.splitlines),
    ("pyproject.toml", _of_pyproject),
    ("environment.y*ml", _of_environment),
    ("setup.cfg", _of_setup_cfg),
    ("requirements*.txt", str.splitlines),
    ("requirements/*.txt", str.splitlines),
    ("constraints*.txt", str.splitlines),
)


_DIFFERENT: dict[str, tuple[str, ...]] = {
    "Bio": ("biopython",),
    "IPython": ("ipython",),
    "OpenGL": ("pyopengl",),
    "PIL": ("pillow", "pillow-simd"),
    "absl": ("absl-py",),
    "attr": ("attrs",),
    "bs4": ("beautifulsoup4",),
    "cv2": ("opencv-python-headless", "opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless"),
    "dateutil": ("python-dateutil",),
    "docx": ("python-docx",),
    "dotenv": ("python-dotenv",),
    "faiss": ("faiss-cpu", "faiss-gpu"),
    "fitz": ("pymupdf",),
    "git": ("gitpython",),
    "hydra": ("hydra-core",),
    "igraph": ("python-igraph", "igraph"),
    "imblearn": ("imbalanced-learn",),
    "kerastuner": ("keras-tuner",),
    "mpl_toolkits": ("matplotlib",),
    "progressbar": ("progressbar2", "progressbar33", "progressbar"),
    "pywt": ("pywavelets",),
    "pytorch_lightning": ("pytorch-lightning", "lightning"),
    "ruamel": ("ruamel-yaml",),
    "serial": ("pyserial",),
    "skimage": ("scikit-image",),
    "sklearn": ("scikit-learn", "scikit-learn-intelex"),
    "skopt": ("scikit-optimize",),
    "slugify": ("python-slugify",),
    "tensorflow": ("tensorflow", "tensorflow-cpu", "tensorflow-gpu", "tensorflow-macos", "intel-tensorflow"),
    "umap": ("umap-learn",),
    "yaml": ("pyyaml",),
}
"""Import names that differ from their distribution's; the first one is taken where the project names none of them."""

_SAME_TEXT = """\
    accelerate albumentations altair autograd bokeh catboost click cloudpickle cupy datasets diffusers dill einops
    evaluate fastai flax fsspec gensim gym gymnasium h5py imageio ipywidgets jax jaxlib joblib keras keras_cv
    keras_hub keras_nlp keras_tuner librosa lifelines lightgbm lightning matplotlib mlflow monai networkx nibabel nltk
    numba numexpr numpy omegaconf openpyxl optax optuna orjson pandas patsy peft plotly polars prophet psutil pyarrow
    pydantic pydicom pymc requests rich safetensors scipy seaborn sentencepiece shap simplejson six soundfile spacy
    statsmodels sympy tables tabulate tensorboard tensorboardX tensorflow_addons tensorflow_datasets tensorflow_hub
    tensorflow_probability tensorflow_text tf_keras theano timm tokenizers toml torch torch_geometric torchaudio
    torchmetrics torchtext torchvision tqdm transformers typer wandb xarray xgboost zarr
"""
_SAME = frozenset(_SAME_TEXT.split())
"""Import names that are their distribution's own."""


def distribution_of(name: str, named: Collection[str]) -> str | None:
    """The distribution of a top-level import name; None where neither the project's files nor the table know it.

    `named` are the distributions that the project's files name, normalised.
    """
    same = canonicalize_name(name)
    candidates = _DIFFERENT.get(name, (same,))
    own = next((one for one in candidates if one in named), None)
    if own is not None:
        return own
    return candidates[0] if name in _DIFFERENT or name in _SAME else None


def needed_variables(source: bytes) -> dict[str, int]:
    """The environment variables that a source reads as `os.environ["NAME"]`, with the first line of each that does.

    Left out are those that it sets itself, or asks for (`"NAME" in os.environ`).
    """
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError):
        return {}
    read: dict[str, int] = {}
    known: set[str] = set()
    for node in nodes:
        match node:
            case ast.Subscript(value=place, slice=ast.Constant(value=str(name))) if _is_environ(place):
                if isinstance(node.ctx, ast.Load):
                    read[name] = min(node.lineno, read.get(name, node.lineno))
                else:
                    known.add(name)
            case ast.Call(func=ast.Attribute(value=place, attr="setdefault" | "update"), args=args) if _is_environ(
                place
            ):
                known |= {keyword.arg for keyword in node.keywords if keyword.arg}
                known |= {text for one in args[:1] for text in _texts(one)}
            case ast.Compare(left=ast.Constant(value=str(name)), comparators=[place]) if _is_environ(place):
                known.add(name)
    return {name: line for name, line in read.items() if name not in known}


def _is_environ(node: ast.expr) -> bool:
    match node:
        case ast.Attribute(value=ast.Name(id="os"), attr="environ") | ast.Name(id="environ"):
            return True
        case _:
            return False


def _texts(node: ast.expr) -> Iterator[str]:
    """The names that the first argument of `setdefault` or `update` holds."""
    for one in [node] if isinstance(node, ast.Constant) else node.keys if isinstance(node, ast.Dict) else ():
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value
