"""Why two cells differ: the searches of `investigate`, answered by trials, put together as an account."""
