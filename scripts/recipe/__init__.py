"""versions.toml to ImageSpec: what is to be built, and with what. Knows nothing of engines or registries."""
