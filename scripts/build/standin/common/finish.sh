#!/bin/sh
# Run by mmdebstrap on the finished root: finish.sh ROOT PYTHON VERSION_FILE
# Writes the Python version that was measured, then drops what differs from one run to the next.
set -eu
root=$1 python=$2 version_file=$3

chroot "$root" "$python" -c 'import platform; print(platform.python_version())' >"$version_file"

# The official images ship no bytecode either; that of dpkg's triggers would be stale once timestamps are clamped.
find "$root/usr" -name __pycache__ -prune -exec rm -rf {} +
find "$root/var/log" -type f -delete
find "$root/var/cache/debconf" "$root/var/lib/dpkg" -maxdepth 1 -name '*-old' -delete
rm -f "$root"/etc/passwd- "$root"/etc/group- "$root"/etc/shadow- "$root"/etc/gshadow- "$root"/etc/.pwd.lock
# The name and resolver of this machine, and its id: the engine provides these to each container.
rm -f "$root/etc/hostname" "$root/etc/resolv.conf" "$root/etc/machine-id" "$root/var/cache/ldconfig/aux-cache"
# One file name for the sources, that of the official images: mmdebstrap puts a number before it.
mv "$root"/etc/apt/sources.list.d/*debian.sources "$root/etc/apt/sources.list.d/debian.sources"
