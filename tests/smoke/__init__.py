"""The checks of one image: ``nox -s "smoke(ID)"``. Each says what it measured through ``claim``."""
