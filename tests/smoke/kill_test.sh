#!/usr/bin/env bash
# kill -9 at random moments during 200 attaches: no acknowledged one is lost, and the gate never
# opens by mistake: what the last acknowledged state denies stays denied, dead or alive.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. tests/smoke/bed.sh kill "$1"

seed_random
groups=200 kills=8

# The names of the groups attached to web, one a line.
attached() { ctl rules web --json | jq -r '.. | objects | select(has("rules")) | .name' | sort; }

bed_up
backends_start
haproxy_start
sluiced_start
ctl lb add --name web --zone edge --status Running --address $lb4 --address $lb6 >/dev/null || exit 1
rules='[{"rule_type":"Inbound","protocol_name":"Custom_TCP","port_range":"9","network":"any"},
        {"rule_type":"Outbound","protocol_name":"Custom_TCP","port_range":"9","network":"any"}]'
for i in $(seq $groups); do
  ctl -q security-group create --name "g$i" --rules-file - <<<"$rules" >/dev/null || fail "create g$i"
done

attach_from=1
acknowledged=$bed_dir/acknowledged
: > "$acknowledged"
for round in $(seq $kills); do
  attach_to=$((groups * round / kills))
  ( for i in $(seq $attach_from $attach_to); do
      ctl attach web "g$i" >/dev/null 2>&1 && echo "g$i" >> "$acknowledged" || break
    done ) &
  attacher=$!
  sleep "0.$(printf %03d $((RANDOM % 450 + 20)))"
  kill -9 "$sluiced_pid"
  wait "$sluiced_pid" 2>/dev/null
  wait $attacher
  # Dead: nothing passes, not even what the rules allow.
  in_clients curl -s -m 0.3 -o /dev/null "http://$lb4/" && fail "a dead daemon forwards"
  sluiced_start
  attached > "$bed_dir/attached"
  lost=$(sort "$acknowledged" | comm -23 - "$bed_dir/attached")
  [ -z "$lost" ] || fail "round $round: acknowledged, then lost: $lost"
  in_clients curl -skf -m 0.3 -o /dev/null "https://$lb4:8443/" && fail "8443 is open"
  wait_for 5 in_clients curl -sf -m 1 -o /dev/null "http://$lb4/" || fail "80 does not answer"
  # What was under way when it died may be stored or not; go on behind what is there.
  attach_from=$(($(grep -c '^g' "$bed_dir/attached") + 1))
done
for i in $(seq $attach_from $groups); do
  ctl -q attach web "g$i" >/dev/null || fail "attach g$i after the kills"
done
[ "$(attached | grep -c '^g')" = $groups ] || fail "not all $groups groups are attached at the end"
echo "$kills kills in $groups attaches: $(wc -l < "$acknowledged") acknowledged under fire, none lost"
