#!/usr/bin/env bash
# Fail closed under a flood that the rules deny: before the daemon, before its first table, killed,
# stopped, started again and ended, not one frame of the flood comes through.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. tests/smoke/bed.sh closed "$1"

seed_random
flood="python3 tests/smoke/flood.py"
denied_udp=9999 denied_tcp=9998

answers() { in_clients ping -c 1 -W 1 $lb4 >/dev/null 2>&1; }
silent() { ! in_clients ping -c 1 -W 0.3 $lb4 >/dev/null 2>&1; }
denied_so_far() { ctl stats --json | jq '.. | objects | select(has("total")) | .total.dropped.no_rule'; }

bed_up
mac=$(ip -n "$ns_lb" -j link show eth0 | jq -r '.[0].address')
ip netns exec "$ns_lb" $flood watch eth0 $denied_udp $denied_tcp >"$bed_dir/seen" &
watcher=$!
# Sources beside the clients' own address, so that its pings are answered.
ip netns exec "$ns_clients" $flood send eth0 "$mac" 10.10.4.0/22 $lb4 udp:$denied_udp \
  syn:$denied_tcp --rate 20000 >"$bed_dir/sent" &
flooder=$!
bed_pids+=("$watcher" "$flooder")
sleep 0.5
silent || fail "something forwards where no daemon runs"

sluiced_start
ctl -q lb add --name web --zone edge --status Running --address $lb4 >/dev/null || fail "lb add"
wait_for 5 answers || fail "the allowed ping does not pass"
for round in $(seq 5); do
  sleep "0.$(printf %03d $((RANDOM % 300 + 50)))"
  kill -9 "$sluiced_pid"
  wait "$sluiced_pid" 2>/dev/null
  silent || fail "round $round: a dead daemon forwards"
  sluiced_start
  wait_for 5 answers || fail "round $round: the allowed ping does not pass after the restart"
done
echo "killed and started 5 times"

flood_is_denied() { denied=$(denied_so_far) && [ "${denied:-0}" -gt 1000 ]; }
wait_for 10 flood_is_denied || fail "the flood is not there: $denied frames denied"
for round in $(seq 3); do
  kill -STOP "$sluiced_pid"
  sleep 0.7
  silent || fail "a stopped daemon forwards"
  kill -CONT "$sluiced_pid"
  wait_for 5 answers || fail "the allowed ping does not pass after SIGCONT"
done
[ "$(denied_so_far)" -gt "$denied" ] || fail "nothing was denied after SIGCONT"
! grep -q "hangs" "$bed_dir/sluiced.log" || fail "a process that was stopped has no worker that hangs"
echo "stopped and continued 3 times"

kill -TERM "$sluiced_pid"
wait "$sluiced_pid" || fail "SIGTERM: exit $?"
silent || fail "an ended daemon forwards"
sleep 0.3
kill -TERM "$flooder" "$watcher"
wait "$flooder" "$watcher"
read -r sent < "$bed_dir/sent"
read -r udp tcp all < "$bed_dir/seen"
[ "$sent" -gt 10000 ] || fail "only $sent frames were sent"
[ "$all" -ge 9 ] || fail "the witness saw only $all frames, not even the pings"
[ "$udp/$tcp" = 0/0 ] || fail "of the flood $udp UDP and $tcp TCP frames came through"
echo "$sent frames of the flood sent, none came through; the witness saw $all others"
