"""The switches for a pair of cells: those of the catalogue that apply, and those made for these two cells.

A prelude that was made for an investigation is written beside the records and named by its path.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from runner.investigate.attempt import Intervention
from runner.matrix.axes import NO_PRELUDE
from runner.matrix.releases import of_the_era
from runner.outcomes.verdict import Label
from runner.preludes.defaults import STATES, defaults_that_differ, explicit
from runner.preludes.prelude import OR, catalogue, fixed_order, initial_weights

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from runner.explain.experimenter import Experimenter
    from runner.investigate.question import Combination
    from runner.outcomes.account import RemovedName
    from runner.preludes.defaults import Default
    from runner.preludes.prelude import CatalogueSwitch, Prelude


FOLDER = "preludes"
"""Beside the records: the preludes that were made for an investigation."""
BATCHED = OR.join(("keras", "tensorflow", "tf-keras", "torch"))
"""What cuts batches from data, in an order that can be fixed."""
MOST_DEFAULTS = 24
"""So many defaults that differ are tried."""

MADE_FOR = 4
"""Switches made for two cells, beside one for each default: all of these, initial weights, data order, Keras 2."""
BRING_BACK = frozenset({"legacy-keras", "import-tf-keras", "legacy-optimizers"})
"""Switches that put an earlier Keras, or its optimizers, in place: what the later one took away is there again."""

BEFORE_IMPORTS = frozenset({"legacy-keras", "import-tf-keras", "numpy-legacy-promotion", "numpy-weak-promotion"})
"""Switches that act while packages are imported; no other one changes how an import ends."""
OUTSIDE_TRAINING = BEFORE_IMPORTS | {"learning-phase-off", "learning-phase-on"}
"""Switches that may change what is made of a training that is the same."""
ON_OBJECTS = frozenset(
    {"frozen-batchnorm-infers", "frozen-batchnorm-trains", "normalization-sample-variance", "unfused-normalization"}
    | {"guarded-unit-length", "unguarded-unit-length"}
)
"""Switches that act on layers and optimizers, where some are made; those that make defaults explicit do so too."""
IN_TRAINING = frozenset({"initial-weights", "data-order", "no-xla-jit", "torch-foreach-off", "torch-fused-off"})
"""Switches that act once a training begins."""
FRAMEWORK = frozenset({"tensorflow", "tensorflow_core", "keras", "tf_keras"})
"""The import names of TensorFlow and Keras, whose releases go together."""
_FRAMES = ("keras", "tensorflow", "torch", "jax", "tf_keras")
"""Parts of the places in a fault that is of a framework."""
_EARLY = frozenset({Label.CRASHED_IMPORT, Label.CRASHED_AT_START, Label.CRASHED_BUILD_MODEL})
_NAMED_IN_TRACES = {
    "normalization": "BatchNormalization",
    "batchnorm": "BatchNormalization",
    "unit-length": "Normalization",
    "learning-phase": "output",
    "initial-weights": "initial",
    "data-order": "batch",
    "optimizers": "update",
    "variables": "recurrent kernel",
}
"""Parts of the names of switches, and what a trace names where they may act."""
_AGREES = re.compile(r"[^:;]*\bagrees?\b[^;]*(?:;|$)")
"""The part of such a sentence that names what does not differ."""
_STANDS_FOR = {"tensorflow": ("tensorflow", "tensorflow-cpu", "tensorflow-gpu")}
"""Distributions that hold the same package."""


def interventions_on(
    experimenter: Experimenter,
    good: Combination,
    bad: Combination,
    *,
    removed: RemovedName | None,
    initial: tuple[str, str] | None,
    trace: str = "",
) -> list[Intervention]:
    """The interventions to try on two cells; where the bad one misses a name, only those that may bring it back.

    Those that act too late for the bad cell's crash are left out. `initial` are the recorded initial weights of the
    good and of the bad cell, `trace` is the sentence on where their trainings part.
    """
    if removed is None:
        made = interventions_made_for(experimenter, good, bad, initial)
        found = [*interventions_from_catalogue(experimenter, good, bad), *made]
    else:
        found = bringing_back(removed, interventions_from_catalogue(experimenter, good, bad))
    labels = {verdict.label for _, verdict in experimenter.trials.get(bad, ())}
    states = (one.class_name for one in _differing(experimenter, good, bad) if one.key in STATES)
    trace = " ".join([trace, *states])
    fault = experimenter.distinction.fault if experimenter.distinction else ""
    return [pointed_at(one, trace) for one in found if can_act(one.name, labels, fault)]


def can_act(name: str, ends: Collection[Label], fault: str = "") -> bool:
    """True where a switch acts before a cell's trials end, all of them by a crash; else it can't change that.

    What raises after the training and outside of the frameworks, by its `fault`, is nothing that they do.
    """
    if set(ends) == {Label.CRASHED_AFTER_TRAINING} and fault and not any(name in fault for name in _FRAMES):
        return name in OUTSIDE_TRAINING
    if not ends or not set(ends) <= _EARLY:
        return True
    late = {*IN_TRAINING} if Label.CRASHED_BUILD_MODEL in ends else {*IN_TRAINING, *ON_OBJECTS}
    if set(ends) == {Label.CRASHED_IMPORT}:
        return name in BEFORE_IMPORTS
    return name not in late and not (name.startswith("explicit-") and Label.CRASHED_BUILD_MODEL not in ends)


def pointed_at(one: Intervention, trace: str) -> Intervention:
    """The same switch, tried first where the sentence on the first difference names what it acts on as differing."""
    differing = _AGREES.sub("", trace)
    named = [thing for word, thing in _NAMED_IN_TRACES.items() if word in one.name]
    return replace(one, likely=True) if any(thing in differing for thing in named) else one


def bringing_back(removed: RemovedName, interventions: Iterable[Intervention]) -> list[Intervention]:
    """Those that may bring back a removed name: an earlier Keras, where TensorFlow or Keras had it."""
    return [one for one in interventions if removed.package in FRAMEWORK and one.name in BRING_BACK]


def interventions_from_catalogue(experimenter: Experimenter, good: Combination, bad: Combination) -> list[Intervention]:
    """Every switch of the catalogue that applies to what the bad cell holds, with the reverse where that applies."""
    ours, theirs = (dict(experimenter.contents.get(one, ())) for one in (good, bad))
    added = missing_legacy_keras(experimenter, theirs)
    found = []
    for switch in catalogue().values():
        bare = applies(switch, theirs)
        if not bare and not applies(switch, {**theirs, **added}):
            continue
        reverse = catalogue().get(switch.reverse)
        turned = reverse is not None and applies(reverse, ours)
        found.append(
            Intervention(
                name=switch.name,
                breadth=switch.breadth,
                does=switch.does,
                how=switch.how if bare else f"{switch.how}; {_listed(added)} added to the environment",
                on=with_prelude(bad if bare else bad.pinning(added), switch.name),
                reverse_name=switch.reverse if turned else "",
                reverse=with_prelude(good, switch.reverse) if turned else None,
            )
        )
    if added and _held(Requirement("keras>=3"), theirs):
        found.append(
            Intervention(
                name="import-tf-keras",
                breadth=9,
                does="every Keras that the script imports is Keras 2 (the package tf_keras)",
                how=f"the script's imports are rewritten; {_listed(added)} added to the environment",
                on=bad.at("import", "tf_keras").pinning(added),
            )
        )
    return found


def missing_legacy_keras(experimenter: Experimenter, contents: Mapping[str, str]) -> dict[str, str]:
    """The package tf-keras, Keras 2, that a user had with a TensorFlow, where an environment lacks it; else nothing.

    It can be added: without being asked for it changes nothing.
    """
    if "tf-keras" in contents or not _held(Requirement("tensorflow>=2.15"), contents):
        return {}
    releases = experimenter.laboratory.releases
    version = contents.get("tensorflow", "")
    base = next((one for one in releases("tensorflow") or () if str(one.version) == version), None)
    found = of_the_era("tf-keras", "tensorflow", base, releases("tf-keras") or ()) if base else None
    return {"tf-keras": str(found.version)} if found else {}


def _listed(packages: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in packages.items())


def interventions_made_for(
    experimenter: Experimenter, good: Combination, bad: Combination, initial: tuple[str, str] | None
) -> Iterator[Intervention]:
    """The switches that only these two cells have: defaults that differ, the other's initial weights and order.

    `initial` are the recorded initial weights of the good and of the bad cell.
    """
    defaults = differing_defaults(experimenter, good, bad)[:MOST_DEFAULTS]
    for default in defaults:
        one, other = explicit(default), default.turned()
        yield Intervention(
            name=one.name,
            breadth=1,
            does=f"{default.class_name} gets {default.key}={default.good} where it goes by its own default,"
            f" not {default.bad}",
            how="the argument is given to its constructor",
            on=with_prelude(bad, written(experimenter, one)),
            reverse_name=f"{other.class_name} {other.key}={other.good}" if other.settable else "",
            reverse=with_prelude(good, written(experimenter, explicit(other))) if other.settable else None,
            likely=True,
            shown=True,
        )
    if len(defaults) > 1:
        yield _all_at_once(experimenter, good, bad, defaults)
    if initial is not None:
        ours, theirs = map(initial_weights, initial)
        yield Intervention(
            name=ours.name,
            breadth=2,
            does="training starts from the initial weights of the good cell",
            how="set right before the first step",
            on=with_prelude(bad, written(experimenter, ours)),
            reverse_name=theirs.name,
            reverse=with_prelude(good, written(experimenter, theirs)),
        )
    if _any_held(BATCHED, dict(experimenter.contents.get(bad, ()))):
        order = fixed_order()
        yield Intervention(
            name=order.name,
            breadth=3,
            does="batches are cut from the data in the data's own order",
            how="fit(shuffle=False)",
            on=with_prelude(bad, written(experimenter, order)),
        )


def _all_at_once(
    experimenter: Experimenter, good: Combination, bad: Combination, defaults: Sequence[Default]
) -> Intervention:
    """The switch that makes all defaults explicit: some act only together."""
    ours, turned = explicit(*defaults), [one.turned() for one in defaults if one.turned().settable]
    listed = ", ".join(f"{one.class_name} {one.key}={one.good}" for one in defaults)
    return Intervention(
        name=ours.name,
        breadth=2,
        does=f"all defaults that differ are the good cell's at once: {listed}",
        how="the arguments are given to the constructors",
        on=with_prelude(bad, written(experimenter, ours)),
        reverse_name="the bad cell's defaults at once" if turned else "",
        reverse=with_prelude(good, written(experimenter, explicit(*turned))) if turned else None,
        unless=frozenset(explicit(one).name for one in defaults),
        likely=True,
        shown=True,
    )


def differing_defaults(experimenter: Experimenter, good: Combination, bad: Combination) -> list[Default]:
    """The defaults that differ between the live objects of the two cells, and can be set; each once."""
    found = {(one.class_name, one.key): one for one in _differing(experimenter, good, bad) if one.settable}
    return list(found.values())


def _differing(experimenter: Experimenter, good: Combination, bad: Combination) -> tuple[Default, ...]:
    """All that differs between the live objects of the two cells."""
    return defaults_that_differ(*(_configs(experimenter, one) for one in (good, bad)))


def _configs(experimenter: Experimenter, about: Combination) -> dict[str, str]:
    """The live configs of a cell's objects, by the first trial that reports any."""
    records = (record for record, _ in experimenter.trials.get(about, ()))
    return next((record.configs for record in records if record.configs), {})


def written(experimenter: Experimenter, prelude: Prelude) -> str:
    """Keep a prelude's source beside the records; its path as the axis `prelude` takes it."""
    digest = hashlib.sha256(prelude.source.encode()).hexdigest()[:8]
    files, name = experimenter.laboratory.equipment.workplace.files, f"{FOLDER}/{prelude.name}-{digest}.py"
    files.write(name, prelude.source.encode())
    return (files.path / name).relative_to(experimenter.matrix.folder.absolute()).as_posix()


def applies(switch: CatalogueSwitch, contents: Mapping[str, str]) -> bool:
    """True where an environment has all that a switch is for, in the versions that it is for."""
    return all(_any_held(text, contents) for text in switch.applies)


def may_apply(switch: CatalogueSwitch, pins: Mapping[str, str]) -> bool:
    """True where a switch may apply to an environment of which only some packages are known yet."""
    known = [text for text in switch.applies if canonicalize_name(Requirement(text.split(OR)[0]).name) in pins]
    return all(_any_held(text, pins) for text in known)


def with_prelude(about: Combination, *names: str) -> Combination:
    """The same cell with further preludes, which run after those that it has."""
    before = about.cell.get("prelude", NO_PRELUDE)
    return about.at("prelude", " ".join([*(before.split() if before and before != NO_PRELUDE else ()), *names]))


def _any_held(text: str, contents: Mapping[str, str]) -> bool:
    """True where one of some requirements is held."""
    return any(_held(Requirement(one), contents) for one in text.split(OR))


def _held(requirement: Requirement, contents: Mapping[str, str]) -> bool:
    name = canonicalize_name(requirement.name)
    versions = [contents[one] for one in _STANDS_FOR.get(name, (name,)) if one in contents]
    return any(requirement.specifier.contains(version, prereleases=True) for version in versions)
