"""Trials and their records: made, stored, found again."""
