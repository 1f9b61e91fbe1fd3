"""The tasks, thin: each reads options and settings, calls the library, and prints."""
