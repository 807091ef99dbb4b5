"""The distribution that an import name belongs to: what a project's files name, else what a short table knows.

Nothing is invented: a name that neither knows has no distribution here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Collection

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
