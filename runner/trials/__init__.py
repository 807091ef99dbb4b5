"""Which trials run, in what order, and their records: made, stored, found again."""
