"""Pure searches for why outcomes differ: they yield questions, are sent answers, and know no engine and no store."""
