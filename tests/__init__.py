"""Tests: test_<module>.py for each module, integration/ on a real engine."""
