"""The site in a real browser: run by the nox session ``site``."""
