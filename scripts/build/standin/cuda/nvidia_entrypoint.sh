#!/bin/sh
# Stands where the real image has NVIDIA's entrypoint, which prints a banner and then runs the command as this does.
set -eu
exec "${@:-/bin/bash}"
