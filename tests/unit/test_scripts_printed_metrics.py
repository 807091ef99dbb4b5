"""The patterns of the metrics that a script prints, from its source and from its output."""

import re
import time

import pytest

from runner.scripts.printed_metrics import pattern_for, patterns_in


@pytest.mark.parametrize(
    ("statement", "name", "printed"),
    [
        ('print("Test accuracy:", accuracy)', "test_accuracy", "Test accuracy: 0.93"),
        ('print("Final classification_rate:", r(y))', "final_classification_rate", "Final classification_rate: 0.93"),
        ('print("Test loss: %.4f, acc: %.2f%%" % (a, 100 * b))', "test_loss", "Test loss: 0.93, acc: 91.20%"),
        ('print("loss {:8.3f} of {}".format(a, b))', "loss", "loss    0.93 of 7"),
        ('print(f"Epoch {epoch:03d}, Loss: {loss:.4f}")', "loss", "Epoch 003, Loss: 0.93"),
        ('print(f"{val_loss=}")', "val_loss", "val_loss=0.93"),
        ('print("Accuracy: " + str(acc))', "accuracy", "Accuracy: 0.93"),
        ('logger.info("mae=%s after %s", m, r)', "mae", "mae=0.93 after 7"),
        ('sys.stdout.write("step %d\\tloss = %g\\n" % (i, l))', "loss", "step 3\tloss = 0.93"),
        ('print("Result:", score)', "result_score", "Result: 0.93"),
        ('print("Resultat:\\n\\nprécision:", p)', None, ""),
        ('print("Loss after iteration %i: %f" % (i, f(model)))', "loss", "Loss after iteration 100: 0.93"),
        ('print("Cost after epoch {:3d} = {:.2f}".format(i, c))', "cost", "Cost after epoch   7 = 0.93"),
        ('print("loss at step", i, c)', "loss", "loss at step 100 0.93"),
        ('print("loss step", step)', None, ""),
        ('print("val_loss %f loss %f" % (a, b))', "loss", "val_loss 7 loss 0.93"),
    ],
)
def test_the_pattern_of_a_print_finds_what_that_print_gives(statement, name, printed):
    found = patterns_in(statement)

    if name is None:
        assert not found
    else:
        assert re.search(found[name], printed)[1].rstrip(",") == "0.93"


def test_what_is_no_metric_or_has_no_label_is_not_offered():
    assert patterns_in('print("Time:", t, "shape", x.shape)\nprint(f"{name}: {value}")\nprint(loss)\nprint()') == {}


def test_two_prints_of_one_label_are_one_metric_and_different_ones_have_names_of_their_own():
    source = 'print("loss:", a)\nprint("loss:", b)\nprint("Loss:", c)'

    assert patterns_in(source) == {"loss": r"loss: (\S+)", "loss_2": r"Loss: (\S+)"}


def test_what_is_not_python_offers_nothing():
    assert patterns_in(b"print 'loss:', loss") == {}
    assert patterns_in("print('loss: %(' % 3)\nprint('loss: {'.format(3))") == {}


def test_a_line_of_output_gives_the_pattern_of_the_metric_that_is_wanted():
    line = "12/12 [====] - 0s 1ms/step - loss: 0.31 - Test MAE: 2.4"

    assert pattern_for(line, "test_mae") == ("test_mae", r"Test MAE: (\S+)")
    assert pattern_for(line, "loss") == ("loss", r"loss: (\S+)")
    assert pattern_for("Loss after iteration 100: 0.93") == ("loss", r"Loss after iteration\s*\S+?:\s+(\S+)")
    assert pattern_for("error in batch 7", "error") is None
    assert pattern_for("took 3.2 s, 300 parameters", "loss") is None


@pytest.mark.parametrize("line", ["loss" * 250_000, "loss: " * 200_000, "a b" * 300_000, "loss " + "1" * 1_000_000])
def test_a_hostile_line_of_output_takes_no_time(line):
    began = time.thread_time()

    pattern_for(line, "loss")

    assert time.thread_time() - began < 2
