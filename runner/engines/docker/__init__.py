"""The `docker` engine: locks become images, jobs become hardened containers; any engine with Docker's API will do."""
