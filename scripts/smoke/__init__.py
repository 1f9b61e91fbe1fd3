"""Smoke tests: what an image's tag says, compared with what is measured inside it, and a record bound to its digest."""
