"""The services around clipstack: the only folder that runs docker and bentoml."""
