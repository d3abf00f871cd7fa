"""The services that clipstack runs in Docker, and its own service built and run by BentoML."""
