"""The founding script over every minor release of TensorFlow 1 from 1.4 on: bisected, against an exhaustive scan.

The scan is `run` of the same cells. It is counted, not run: the same session over an engine that is made up and ends
trials as the bisection told each place. `--kept` takes the bisection that is kept in reports/ instead of a new one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measured import REPORTS, provenance, table, write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.engines.protocol import Job

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "unit"), str(ROOT / "tests")]
FOLDER, NAME = "investigate", "founding-minors"
COMMAND = ("bisect", "experiments/minors.yaml", "--axis", "tensorflow", "--every", "minor")
LEAST = 4
"""A scan's fewest trials of a cell: what decides one by the default `seeds:`."""
CONVERGES, FAILS = (1.0, 0.5, 1e-8), (1.0, float("nan"))


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--kept", action="store_true", help="take the bisection that is kept, and run none")
    words.add_argument("--engine", default="docker")
    chosen = words.parse_args()
    kept = REPORTS / FOLDER / f"{NAME}.json"
    if not chosen.kept:
        command = [sys.executable, "-m", "runner", *COMMAND, "--engine", chosen.engine, "--format", "json"]
        kept.write_text(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout)
    write(f"{NAME}.md", page(json.loads(kept.read_text())), folder=FOLDER)


def scanned(places: Sequence[Mapping[str, Any]]) -> int:
    """The trials that `run` takes of as many cells that end as these places were told."""
    from fake_engine import FakeEngine, world_of, write_matrix  # noqa: PLC0415 - the tests' folder is on the path by now

    from runner.matrix.matrix_file import Matrix  # noqa: PLC0415
    from runner.session.session import open_session  # noqa: PLC0415

    good = [f"1.{number}.0" for number, place in enumerate(places) if place["told"] == "good"]
    versions = [f"1.{number}.0" for number in range(len(places))]

    def losses(job: Job, seed: int) -> tuple[float, ...]:
        converges = any(f"six={version}," in f"{job.labels['cell']}," for version in good)
        return tuple(loss * (1 + seed / 100) for loss in (CONVERGES if converges else FAILS))

    engine = FakeEngine(losses=losses)
    text = f"axes: {{six: {json.dumps(versions)}}}\nexperiment: {{script: a.py}}\ncriterion: loss < 1e-4\n"
    with tempfile.TemporaryDirectory() as folder:
        matrix = write_matrix(Path(folder, "here"), text, versions)
        with open_session(Matrix.load(matrix), world=world_of(engine)) as session:
            return session.run().executed


def page(found: Mapping[str, Any]) -> str:
    places = found["bisection"]["places"]
    trials = sum(place["counts"]["trials"] for place in places)
    scan, least = scanned(places), LEAST * len(places)
    rows = [
        (
            place["values"]["tensorflow"],
            place["values"]["keras"],
            place["told"],
            f"{place['counts']['good']} of {place['counts']['trials']}" if place["counts"]["trials"] else "not tried",
        )
        for place in places
    ]
    return f"""# The founding script over all minor releases of TensorFlow from 1.4 to 1.15

    python -m runner {" ".join(COMMAND)}

Native Keras, each TensorFlow with the Keras of its time: the two move together and are named together. The bisection
[as data](founding-minors.json); this page by `python benchmarks/minors.py`.

{found["sentence"]}

{table(("TensorFlow", "Keras", "told", "converges in"), rows)}
{trials} trials. An exhaustive scan is `run` of the same cells, which tells each from the baseline: {scan} trials where
they end like this (counted over a made-up engine, not run); the bisection took {trials / scan:.0%} of that. A scan that
gives each place the least that a cell gets, {LEAST}, takes {least}; of that it took {trials / least:.0%}.

Asked: at most half. The scan: {provenance()}
"""


if __name__ == "__main__":
    main()
