"""The commented matrix that `init script.py` writes: script and imports → text that loads without a mistake."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_DISTRIBUTIONS = {
    "Bio": "biopython",
    "PIL": "pillow",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "git": "gitpython",
    "mpl_toolkits": "matplotlib",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "umap": "umap-learn",
    "yaml": "pyyaml",
}
"""Import names that differ from their package's."""

_WITH_TENSORFLOW = frozenset({"tensorflow", "keras", "tf_keras", "numpy", "tensorboard"})
"""The packages that the axes bring already."""

_TEMPLATE = """\
# What is tried: one training script, many library versions. Run it with
#     convergence-matrix matrix.yaml
# Paths are relative to this file.

axes:
  # Each combination of these values is one cell. Any package of the index can be an axis; the first one
  # is the base: its release date decides which versions of all else are installed with it.
{axes}
{ranges}
  # python: [3.7, 3.10]                   # default: the newest CPython that has wheels for the cell
  # env: ["", TF_DETERMINISTIC_OPS=1]     # sets of environment variables

{pairs}experiment:
  script: {script}
  # args: [--epochs, 10]
  # data: [data/train.csv, {{shared/mnist.npz: ~/.keras/datasets/mnist.npz}}]     # what the script reads
  timeout: 30m
  # artifacts: ["*.png"]     # files that come back from each trial
  # network: true            # off unless asked for

{packages}
# When training has converged; without it, the shape of the loss decides.
# criterion: [loss < 1e-4, val_accuracy >= 0.9 within 5 epochs]

# Seeds per cell: a number, as-written, or as many as it takes for one side to lead.
# seeds: {{lead: 4, cap: 10}}

resources:
  cpus: 1
  memory: 4g

# What must come out; where it does not, the exit code is 1.
# expect:
#   - {{tensorflow: 1.13.1, outcome: converges}}
"""

_PAIRED_AXES = """\
  tensorflow: [1.13.1, 2.10.1]
  keras: [2.2.4, 2.10.0]"""

_PAIRS = """\
# Combinations that make no sense; each line leaves out all cells that match it.
exclude:
  - {tensorflow: 1.13.1, keras: 2.10.0}
  - {tensorflow: 2.10.1, keras: 2.2.4}

# Cells beyond the product of the axes.
include:
  - {tensorflow: 2.16.1, keras: 3.3.3}

"""

_SINGLE_AXIS = "  tensorflow: [1.13.1, 2.10.1, 2.16.1]"

_RANGE = """\
  # tensorflow: {range: ">=1.13,<2.17", every: minor}     # the latest patch of each; or latest, latest-3"""

_ERA = """
  # keras: era                            # with each TensorFlow the Keras of its time; no exclude, no include"""

_PACKAGES = """\
# What else the script imports, in every cell; for some of them: {numpy: "<1.20", when: "tensorflow<2.4"}.
"""


def template(script: str, *, imports: Collection[str]) -> str:
    """The matrix for a script, whose path is relative to the matrix; `imports` are the top names that it imports."""
    paired = "keras" in imports
    packages = sorted(
        {
            _DISTRIBUTIONS.get(name, name)
            for name in imports
            if name not in _WITH_TENSORFLOW and name not in sys.stdlib_module_names
        }
    )
    listed = f"[{', '.join(packages)}]" if packages else "[pandas, scikit-learn>=0.20]"
    mark = "" if packages else "# "
    return _TEMPLATE.format(
        axes=_PAIRED_AXES if paired else _SINGLE_AXIS,
        ranges=_RANGE + (_ERA if paired else ""),
        pairs=_PAIRS if paired else "",
        script=script
        if re.fullmatch(r"[A-Za-z][\w./-]*", script, re.ASCII)
        else json.dumps(script, ensure_ascii=False),
        packages=f"{_PACKAGES}{mark}packages: {listed}\n",
    )
