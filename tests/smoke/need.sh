# Skips (77) where a smoke test cannot run; sourced.
if [ "$(id -u)" != 0 ] || ! ip netns add sluice-probe 2>/dev/null; then
  echo "skipped: needs root and network namespaces"
  exit 77
fi
ip netns delete sluice-probe
