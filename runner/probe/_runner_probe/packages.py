"""What was really imported: top-level modules with their versions and files, without importing anything for it."""

import os
import re
import sys

KNOWN_AS = {
    "sklearn": "scikit-learn",
    "PIL": "pillow",
    "cv2": "opencv-python",
    "yaml": "pyyaml",
    "skimage": "scikit-image",
    "google": "protobuf",
    "dateutil": "python-dateutil",
    "absl": "absl-py",
    "attr": "attrs",
    "tensorflow_core": "tensorflow",
}
"""Modules whose distribution has another name."""

NESTED = ("tensorflow.python.keras", "tensorflow_core.python.keras", "tensorflow.keras")
"""Modules below the top that have a version of their own: the Keras inside of TensorFlow."""


def imported():
    """{module: {"version": …, "file": …}} for every imported top-level module whose version can be told."""
    folders = {}
    found = {}
    for name in sorted(set(sys.modules) & _candidates()):
        module = sys.modules[name]
        file = getattr(module, "__dict__", {}).get("__file__")
        if not isinstance(file, str) or _is_standard(file):
            continue
        version = _own_version(module) or _version_beside(name, file, folders)
        if version is not None:
            found[name] = {"version": version[:100], "file": file[:1000]}
    return found


def _candidates():
    return {name for name in sys.modules if "." not in name and not name.startswith("_")} | set(NESTED)


def _is_standard(file):
    library = os.path.dirname(os.__file__)
    beyond = file[len(library) :].split(os.sep)[1:2]
    return file.startswith(library + os.sep) and beyond[0] not in ("site-packages", "dist-packages")


def _own_version(module):
    # Not getattr: a module may import half a library for an attribute that it does not have.
    version = module.__dict__.get("__version__")
    return version if isinstance(version, str) else None


def _version_beside(name, file, folders):
    """The version that the dist-info or egg-info folder beside a module has in its name."""
    folder = os.path.dirname(file)
    if os.path.basename(file).startswith("__init__."):
        folder = os.path.dirname(folder)
    if folder not in folders:
        folders[folder] = _distributions(folder)
    return folders[folder].get(_normal(KNOWN_AS.get(name, name)))


def _distributions(folder):
    try:
        entries = os.listdir(folder)
    except OSError:
        return {}
    matches = (re.match(r"(.+?)-([0-9][^-]*)(?:-py[0-9.]+)?\.(?:dist|egg)-info$", entry) for entry in entries)
    return {_normal(match.group(1)): match.group(2) for match in matches if match}


def _normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()
