"""An index with a token in its address: everything that the runner writes is searched for it."""

from __future__ import annotations

import base64
import io
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest
from command import environment, runner
from fake_index import FakeIndex, sdist

from runner.engines.docker.docker_engine import DockerEngine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

USER, TOKEN = "robot", "pa55-t0ken-of-the-index"
SECRETS = [TOKEN.encode(), base64.b64encode(f"{USER}:{TOKEN}".encode())]

MATRIX = """\
axes:
  base: ["1.0"]
  extra: ["1.0", "2.0", "3.0"]
  python: ["3.7"]
experiment: {script: train.py, timeout: 1m}
seeds: 1
"""

SCRIPT = """\
import os
import extra
for name, value in sorted(os.environ.items()):
    print(name, value)
"""

BUILDS = """\
import zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    info = "extra-2.0.dist-info/"
    files = {
        "extra.py": "",
        info + "METADATA": "Metadata-Version: 2.1\\nName: extra\\nVersion: 2.0\\n",
        info + "WHEEL": "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    files[info + "RECORD"] = "".join(name + ",,\\n" for name in files) + info + "RECORD,,\\n"
    with zipfile.ZipFile(folder + "/extra-2.0-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return "extra-2.0-py3-none-any.whl"
"""


class PrivateIndex(FakeIndex):
    """An index that answers nobody without the token."""

    refused = 0

    def answer(self, request):  # type: ignore[no-untyped-def]
        if request.headers.get("Authorization", "").encode() != b"Basic " + SECRETS[1]:
            self.refused += 1
            request.send_response(401)
            request.send_header("WWW-Authenticate", "Basic")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        super().answer(request)


@pytest.fixture
def index() -> Iterator[PrivateIndex]:
    private = PrivateIndex()
    private.add_wheel("base", "1.0", "2021-01-10")
    private.add_wheel("extra", "1.0", "2021-01-05")
    private.add("extra-2.0.tar.gz", sdist("extra", "2.0", BUILDS), "2021-01-06")
    private.add_wheel("extra", "3.0", "2021-01-07", requires=["base>=2"])
    yield private
    private.stop()


@pytest.mark.docker
@pytest.mark.usefixtures("cpython_3_7")
def test_a_token_in_the_address_of_the_index_is_in_nothing_that_is_written(
    index: PrivateIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "matrix"
    folder.mkdir()
    (folder / "matrix.yaml").write_text(MATRIX)
    (folder / "train.py").write_text(SCRIPT)
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.url.replace("//", f"//{USER}:{TOKEN}@"))
    docker = ("--engine", "docker")
    said = [
        runner(folder, *words)
        for words in (
            ("doctor",),
            ("lock", *docker),
            ("build", *docker),
            ("build", *docker, "--print-dockerfile", "extra=2.0"),
            ("run", *docker),
            ("run", "--engine", "venv"),
            ("logs", "extra=1.0", *docker),
            ("plan", *docker, "--format", "json"),
            ("table", *docker, "--format", "json"),
            ("lock", *docker, "--upgrade"),
        )
    ]
    images = _images(said[2].stdout)
    try:
        assert any("converge" in done.stdout or "undecided" in done.stdout for done in said), said
        assert len(list((folder / "locks").iterdir())) == 2, said[1].stderr  # extra 3.0 can't be had with base 1.0
        assert "PATH" in said[6].stdout  # the trial's environment was printed
        assert len(images) == 2, said[2].stdout
        for done in said:
            _clean(f"{done.args}".encode(), (done.stdout + done.stderr).encode())
        for file in (path for path in tmp_path.rglob("*") if path.is_file()):
            _clean(str(file).encode(), file.read_bytes())
        for image in images:
            _clean(image.encode(), _all_of(image))
    finally:
        engine = DockerEngine.connect(environment()["RUNNER_BASE"])
        for image in images:
            engine.remove_image(image)
        engine.close()


def _clean(where: bytes, content: bytes) -> None:
    for secret in SECRETS:
        assert secret not in content, where


def _images(printed: str) -> list[str]:
    return [word for word in printed.split() if word.startswith("convergence-matrix/env:")]


def _all_of(image: str) -> bytes:
    """An image's configuration, history, labels and the contents of its layers, as bytes."""
    told = [("inspect", image), ("history", "--no-trunc", image)]
    found = b"".join(_docker(*words) for words in told)
    with tarfile.open(fileobj=io.BytesIO(_docker("save", image))) as archive:
        for member in archive.getmembers():
            stream = archive.extractfile(member)
            found += stream.read() if stream else b""
    return found


def _docker(*words: str) -> bytes:
    return subprocess.run(
        ["/usr/bin/docker", *words],
        capture_output=True,
        check=True,
        env={**os.environ, "DOCKER_CONFIG": "/nonexistent"},
    ).stdout
