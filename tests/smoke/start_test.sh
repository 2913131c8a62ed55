#!/usr/bin/env bash
# sluiced's start and stop as its user meets them: one sentence that says what to do, exit 1.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. tests/smoke/bed.sh start "$1"
bed_up
failures=0

# refuses WHAT STATUS PATTERN ARGUMENTS…: the daemon must end with STATUS and say PATTERN.
refuses() {
  local what=$1 want=$2 pattern=$3 status
  shift 3
  in_node timeout 20 "$bin/sluiced" --state "$bed_dir/refused.db" $bed_memory "$@" \
    >"$bed_dir/out" 2>&1
  status=$?
  if [ $status = "$want" ] && grep -qiE -- "$pattern" "$bed_dir/out"; then
    echo "ok: $what: $(grep -iE -- "$pattern" "$bed_dir/out" | head -n 1)"
  else
    echo "FAILED: $what: exit $status (expected $want), wanted /$pattern/, said:"
    cat "$bed_dir/out"
    failures=1
  fi
}
api="--api unix:$bed_dir/other.sock"
good="edge,outside=net_af_packet0,iface=outside,inside=net_af_packet1,iface=inside"

# Not through a pipe: grep ends at the first match, and the help may be longer than a pipe holds.
[ -n "$("$bin/sluiced" --version)" ] && grep -q -- --zone <<<"$("$bin/sluiced" --help)" || {
  echo "FAILED: --version, --help"
  failures=1
}
refuses "no zone" 1 "zone" $api
refuses "an interface that does not exist" 1 "nosuch0" $api \
  --zone "edge,outside=net_af_packet0,iface=nosuch0,inside=net_af_packet1,iface=inside"
refuses "a driver that does not exist" 1 "net_nosuch" $api \
  --zone "edge,outside=net_nosuch0,inside=net_af_packet1,iface=inside"
refuses "one device on both sides" 1 "both|same|twice" $api \
  --zone "edge,outside=net_af_packet0,iface=outside,inside=net_af_packet0,iface=outside"
refuses "an unknown option" 2 "nonsense" $api --nonsense
refuses "a VLAN id out of range" 2 "vlan" $api --zone "$good,vlan=5000"
refuses "a watchdog without patience" 2 "watchdog-ms" $api --zone "$good" --watchdog-ms 1
refuses "an API address beyond loopback" 1 "loopback|TLS" --zone "$good" --api http://0.0.0.0:8080
ip -n "$ns_node" address add 192.0.2.1/24 dev inside
refuses "an interface with an address of its own" 1 "address" $api --zone "$good"
ip -n "$ns_node" address flush dev inside
if [ -z "$bed_memory" ]; then
  refuses "more flows than memory" 1 "flows-max|huge" $api --zone "$good" --flows-max 60000000
fi

sluiced_start
# mask FILE: the CPUs that a thread may run on, as a number.
mask() { echo $((16#$(awk '/^Cpus_allowed:/ { gsub(",", "", $2); print $2 }' "$1"))); }
polled=0 beside=0
for thread in "/proc/$sluiced_pid/task"/*/status; do
  case $(awk '/^Name:/ { print $2 }' "$thread") in
    *worker*) polled=$((polled | $(mask "$thread"))) ;;
    *) beside=$((beside | $(mask "$thread"))) ;;
  esac
done
if [ "$(nproc)" -gt "$bed_workers" ] && { [ $polled = 0 ] || [ $((polled & beside)) != 0 ]; }; then
  echo "FAILED: threads beside the workers may run on their CPUs: masks $polled, $beside"
  failures=1
fi
refuses "a taken API socket" 1 "api.sock" --zone "$good" --api "$SLUICE_API"
mv "$bed_dir/refused.db" "$bed_dir/refused.old" 2>/dev/null
ln -s "$bed_dir/state.db" "$bed_dir/refused.db"
refuses "a state file in use" 1 "in use" --zone "$good" $api
rm "$bed_dir/refused.db"
kill -TERM "$sluiced_pid"
wait "$sluiced_pid" || { echo "FAILED: SIGTERM: exit $?"; failures=1; }
[ ! -e "$bed_dir/api.sock" ] || { echo "FAILED: the socket file was left behind"; failures=1; }

# A socket file that a killed daemon left is no hindrance, and the state is there again.
sluiced_start
ctl lb add --name web --zone edge --status Running --address $lb4 >/dev/null || failures=1
kill -9 "$sluiced_pid"
wait "$sluiced_pid" 2>/dev/null
sluiced_start
ctl lb show web | grep -q Running || { echo "FAILED: the LB is gone after a restart"; failures=1; }
exit $failures
