"""The library behind ``tasks.py`` and ``noxfile.py``; see README.md for the order in which its packages import."""
