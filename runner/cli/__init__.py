"""Commands and nothing else: parse, call, print; one module a command group."""
