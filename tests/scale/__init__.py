"""How the tasks behave where there are very many images: ``nox -s scale``, and a small version among the unit tests."""
