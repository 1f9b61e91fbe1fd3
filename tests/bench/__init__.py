"""The benchmark behind ``nox -s bench``: a plain sequential Dockerfile and ours, measured on this machine in one run."""
