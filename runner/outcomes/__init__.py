"""Records become verdicts, the verdicts of a cell its outcome, the outcomes of a matrix one result: pure, no I/O."""
