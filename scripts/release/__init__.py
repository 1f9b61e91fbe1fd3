"""OCI layouts to tags in a registry: revisions that never change, and a standard tag that equals the highest."""
