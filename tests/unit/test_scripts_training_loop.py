"""The line of a script that looks like its training loop."""

from __future__ import annotations

import pytest

from runner.scripts.training_loop import loop_line


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
        ("for i in names:\n    print(i)\n", None),
        ("print 'x'\n", None),
        ("x = (" * 5000, None),
        ("", None),
    ],
)
def test_the_innermost_loop_that_learns_is_found(source: str, found: tuple[int, str] | None) -> None:
    assert loop_line(source.encode()) == found
