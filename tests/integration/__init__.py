"""Tests on a real engine, marked `engine`."""
