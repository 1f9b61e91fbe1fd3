"""Planted faults: lines of a Dockerfile on top of a good image, and the one check that has to catch each.

They are what proves that a check can fail; a test holds that there is none without one.
"""
