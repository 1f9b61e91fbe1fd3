"""ImageSpec to bake definition to OCI layout and engine."""
