"""One training script, many library versions: where does it converge, where not, and why?"""
