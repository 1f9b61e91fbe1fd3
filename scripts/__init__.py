"""The library behind ``tasks.py`` and ``noxfile.py``; see docs/maintaining.md for the order in which its packages import."""
