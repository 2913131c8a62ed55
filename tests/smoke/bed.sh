# The opening of every smoke test: skips where it cannot run, else gives it a bed of its own, which
# goes with it, and the daemon's last lines if it fails. Sourced: . tests/smoke/bed.sh NAME BIN
. tests/smoke/need.sh
bin=$2
export SLUICE_PREFIX=$1- SLUICECTL=$2/sluicectl
. scripts/testbed.sh
trap 'status=$?; trap - EXIT
  [ $status = 0 ] || tail -n 40 "$bed_dir/sluiced.log" 2>/dev/null
  bed_down; exit $status' EXIT
trap 'exit 130' INT TERM

fail() { echo "FAILED: $1"; exit 1; }
# For what random moments there are: the same again by SLUICE_SEED.
seed_random() {
  local seed=${SLUICE_SEED:-$RANDOM}
  RANDOM=$seed
  echo "seed $seed"
}
