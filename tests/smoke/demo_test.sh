#!/usr/bin/env bash
# The demo's story as a test.
cd "$(dirname "$0")/../.." || exit 1
. tests/smoke/need.sh
exec env SLUICE_PREFIX=smoke- scripts/demo --build-dir "$1"
