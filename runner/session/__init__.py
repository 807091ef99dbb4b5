"""One matrix: its plan, its rounds of trials, its parts; it asks the laboratory, and gives `Results`."""
