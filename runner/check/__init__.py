"""What will change for a script: its names and calls against the history of the packages' API. Nothing is run."""
