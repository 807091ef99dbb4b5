"""An account as `explain` makes it, with every part that the page of accounts shows."""

from __future__ import annotations

from runner.outcomes.account import (
    Account,
    Bisection,
    Cause,
    Counts,
    Factor,
    Flip,
    Side,
    SwitchFinding,
    SwitchStanding,
    TraceFinding,
    Tried,
)
from runner.outcomes.tried_fix import Fix, FixCell, FixKind, FixStanding

GOOD = {"tensorflow": "1.13.1", "keras": "2.2.4", "import": "tf.keras"}
BAD = {**GOOD, "import": "keras"}


DIFF = """\
--- a/train.py
+++ b/train.py
@@ -2,2 +2,3 @@
 import keras
+import tensorflow as tf; tf.compat.v1.enable_resource_variables()
"""


def made_fixes() -> tuple[Fix, ...]:
    """One that was seen to work, and one that does not mend it."""
    cells = (
        FixCell(values=BAD, role="bad", before="fails (nan)", after="converges", converged=4, counted=4),
        FixCell(values=GOOD, role="good", before="converges", after="converges", converged=4, counted=4),
        FixCell(values={**BAD, "keras": "2.3.1"}, role="other", before="converges", after="", touched=False),
    )
    works = Fix(
        kind=FixKind.SWITCH,
        says="resource variables",
        because="this is the cause",
        diff=DIFF,
        lines=1,
        standing=FixStanding.WORKS,
        cells=cells,
        sentence="This one-line change makes it converge.",
    )
    fails = (cells[0].model_copy(update={"after": "breaks (crashed-import)", "raised": "ImportError"}),)
    other = Fix(
        kind=FixKind.REQUIREMENT,
        says="numpy<1.20",
        because="it came along",
        requirements=("numpy<1.20",),
        standing=FixStanding.NO_EFFECT,
        cells=fails,
        sentence="The requirement numpy<1.20 does not mend it.",
    )
    return works, other


def made_account(**changes: object) -> Account:
    versions = [f"1.{minor}.0" for minor in range(4, 16)]
    places = tuple(
        Tried(
            values={"tensorflow": version},
            told="good" if number < 5 else "untestable" if number == 6 else "bad",
            counts=Counts(good=4, trials=4) if number < 5 else Counts(reason="nothing resolves"),
        )
        for number, version in enumerate(versions)
    )
    switch = SwitchFinding(
        name="resource-variables",
        does="variables are resource variables",
        how="enable_resource_variables()",
        breadth=5,
        standing="caused by",
        on=Counts(good=6, trials=6),
        reverse="reference-variables",
        reversed="bad",
        reversed_counts=Counts(good=4, bad=12, trials=16),
        repeated=True,
    )
    values = {
        "id": "0123456789ab",
        "runner_version": "0.1.0",
        "made_at": "2026-01-02T03:04:05+00:00",
        "engine": "docker",
        "matrix": "matrix.yaml",
        "command": "convergence-matrix explain matrix.yaml --good import=tf.keras --bad import=keras",
        "good": Side(values=GOOD, outcome="converges", converged=4, counted=4, finals=(1e-8,)),
        "bad": Side(values=BAD, outcome="fails (nan)", converged=0, counted=4),
        "shared": {"tensorflow": "1.13.1", "keras": "2.2.4"},
        "telling": "a trial passes that succeeds by the matrix's own criterion; what fails: nan",
        "fault": "nan",
        "real": True,
        "comparison": "succeeds less often",
        "p": 0.029,
        "causes": (
            Cause(
                factors=(Factor(name="import", good="tf.keras", bad="keras"),),
                without="good",
                probability=0.996,
            ),
        ),
        "tried": tuple(
            Tried(values={"import": flavour}, told=told, counts=Counts(good=4, trials=4))
            for flavour, told in (("tf.keras", "good"), ("keras", "bad"), ("tf_keras", "ambiguous"))
        ),
        "bisections": (
            Bisection(
                axis="tensorflow",
                places=places,
                flips=(Flip(before=4, after=5, breaks=True, probability=0.98),),
                probability=0.97,
                ending="sure",
                trials=24,
                decisions=6,
            ),
        ),
        "pair": (GOOD, BAD),
        "switches": (
            switch,
            switch.model_copy(
                update={"name": "single-threaded", "standing": SwitchStanding.NO_EFFECT, "reversed": None}
            ),
        ),
        "trace": TraceFinding(
            sentence="Step 1: the loss agrees.", step=1, recorded=200, last=4096, notes=("In order.",)
        ),
        "sentences": ("The difference is real.", "It is caused by resource-variables."),
        "unknown": ("Whether it holds elsewhere.",),
        "trials": 32,
        "seconds": 550.7,
    }
    return Account.model_validate({**values, **changes})
