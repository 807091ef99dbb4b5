"""The line of a script that looks like its training loop."""

from __future__ import annotations

import pytest

from runner.scripts.training_loop import came_after, loop_line


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("for e in range(3):\n    for b in data:\n        optimizer.apply_gradients(g)\n", (2, "for b in data:")),
        (
            "for e in range(3):\n    loss.backward()\n    optimizer.step()\n    for p in ps:\n        p.x()\n",
            (1, "for e in range(3):"),
        ),
        ("while True:\n    sess.run(train_op)\n", (1, "while True:")),
        ("for x in a:\n    f.update(x)\nfor e in n:\n    model.train_on_batch(x)\n", (3, "for e in n:")),
        ("for i in names:\n    print(i)\nfor epoch in range(9):\n    w -= g\n", (3, "for epoch in range(9):")),
        ("for epoch in n:\n    state, l = go(state)\nx = jax.lax.scan(\n f)\n", (3, "x = jax.lax.scan(")),
        ("for i in names:\n    print(i)\np = lax.fori_loop(0, 9, step, p)\n", (3, "p = lax.fori_loop(0, 9, step, p)")),
        ("for e in n:\n    optimizer.step()\nwhile_loop(f), lax.while_loop(g)\n", (1, "for e in n:")),
        ("scan(f)\n", None),
        ("for i in names:\n    print(i)\n", None),
        ("print 'x'\n", None),
        ("x = (" * 5000, None),
        ("", None),
    ],
)
def test_the_innermost_loop_that_learns_is_found(source: str, found: tuple[int, str] | None) -> None:
    assert loop_line(source.encode()) == found


STEPS = """
def step(batch):
    loss.backward()
def train():
    for batch in batches:
        step(batch)
    return losses["last"]
for epoch in range(3):
    train()
    report(epoch)
for name in results:
    report(name)
report(0)
optimizer.step()
def report(number):
    print(scores[number])
"""
SAME = {"train.py": STEPS.encode()}


@pytest.mark.parametrize(
    ("lines", "after"),
    [
        ([13], True),
        ([13, 16], True),
        ([12, 16], True),
        ([10, 16], False),
        ([9, 7], False),
        ([9, 6, 3], False),
        ([6], False),
        ([None, 13, None], True),
        ([13, None, 16], False),
        ([1], False),
        ([], False),
        ([14], False),
    ],
)
def test_an_exception_comes_after_training_where_no_loop_that_trains_is_around_and_one_came_before(
    lines: list[int | None], after: bool
) -> None:
    frames = [None if line is None else ("train.py", line) for line in lines]
    assert came_after(frames, SAME) is after


@pytest.mark.parametrize(
    ("source", "line", "after"),
    [
        ("for epoch in range(3):\n    w -= g\nprint(x['loss'])\n", 3, True),
        ("for epoch in range(3):\n    w -= g\nprint(x['loss'])\n", 2, False),
        ("for a in b:\n    w -= a\nif w:\n    print(x['loss'])\n", 4, True),
        ("for a in b:\n    w -= a\nfor name in names:\n    print(x[name])\n", 4, False),
        ("model.fit(x)\nprint(model.score_)\n", 2, True),
        ("model.fit(x)\nprint(model.score_)\n", 1, False),
        ("train = opt.minimize(loss)\nprint(z)\nfor e in n:\n    session.run(train)\nprint(y)\n", 2, False),
        ("train = opt.minimize(loss)\nprint(z)\nfor e in n:\n    session.run(train)\nprint(y)\n", 5, True),
        ("print(x)\n", 1, False),
        ("print 'x'\n", 1, False),
    ],
)
def test_where_nothing_surely_learns_what_looks_like_it_counts(source: str, line: int, after: bool) -> None:
    assert came_after([("train.py", line)], {"train.py": source.encode()}) is after


def test_training_in_a_module_of_the_script_s_own_counts() -> None:
    sources = {
        "train.py": b"import loop\nloop.train()\nprint(loop.best)\n",
        "loop.py": b"def train():\n    for b in data:\n        opt.apply_gradients(b)\n    raise E\n",
    }
    assert came_after([("train.py", 3)], sources)
    assert came_after([("train.py", 2), ("loop.py", 4)], sources)
    assert not came_after([("train.py", 2), ("loop.py", 3)], sources)
    assert not came_after([("train.py", 2), None], sources)
    assert not came_after([("other.py", 3)], sources)
