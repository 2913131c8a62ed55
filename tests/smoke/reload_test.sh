#!/usr/bin/env bash
# The rules file of a running daemon, read again under traffic: a transfer that stays allowed goes on
# without a retransmission, a port opens and closes, a broken file changes nothing and says where.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. tests/smoke/bed.sh reload "$1"

opens() { in_clients curl -skf -m 2 -o /dev/null "$1"; }
generation() { ctl table --json | jq .table.generation; }

# document PORTS SOURCE: web's groups; the backends answer to HAProxy.
document() {
  cat <<JSON
{"security_groups": [
   {"name": "front", "rules": [
     {"rule_type": "Inbound", "protocol_name": "TCP", "port_range": "$1", "network": "any"},
     {"rule_type": "Outbound", "protocol_name": "TCP", "port_range": "8080", "network": "any"}]}],
 "load_balancers": [
   {"name": "web", "zone": "edge", "addresses": ["$lb4", "$lb6"], "security_groups": ["front"]}]}
JSON
}
# system SOURCE: who may see the status page.
system() {
  echo "[{\"rule_type\": \"Inbound\", \"protocol_name\": \"TCP\", \"port_range\": \"8404\",
          \"network\": \"$1/32\", \"description\": \"monitoring\"}]"
}

bed_up
backends_start
haproxy_start
document "80,5201" > "$bed_dir/rules.json"
system $client4 > "$bed_dir/system.json"
sluiced_start --rules "$bed_dir/rules.json" --system-rules "$bed_dir/system.json"
wait_for 5 opens "http://$lb4/" || fail "the rules file is not in force at the start"
opens "http://$lb4:8404/" || fail "the system rules are not in force at the start"
opens "https://$lb4:8443/" && fail "8443 is open"
ctl security-group list --json | grep -q '"system"' && fail "the system rules are in a list of groups"
ctl system-rules | grep -q monitoring || fail "system-rules does not show them"

in_clients curl -s --limit-rate 20M -m 60 -o /dev/null "http://$lb4/big" &
transfer=$!
sleep 1
# Paced, as the demo's: curl's own limit sends in bursts that overflow queues before the gate.
in_lb iperf3 -s -1 >/dev/null 2>&1 &
bed_pids+=($!)
sleep 0.3
in_clients iperf3 -c $lb4 --bidir -b 100M -t 14 --json > "$bed_dir/iperf.json" 2>&1 &
iperf=$!
sleep 0.5
for i in 1 2 3 4 5; do
  document "80,5201,8443" > "$bed_dir/rules.json"
  scripts/reload > "$bed_dir/reload.out" || fail "reload: $(cat "$bed_dir/reload.out")"
  opens "https://$lb4:8443/" || fail "8443 is closed after reload $i"
  document "80,5201" > "$bed_dir/rules.json"
  scripts/reload >> "$bed_dir/reload.out" || fail "reload: $(cat "$bed_dir/reload.out")"
  opens "https://$lb4:8443/" && fail "8443 is open after reload $i"
done
grep -q "+     rule Inbound Custom_TCP 80,5201,8443 from any" "$bed_dir/reload.out" ||
  fail "no plan: $(cat "$bed_dir/reload.out")"
kill -0 $transfer 2>/dev/null || fail "the transfer ended"
wait $iperf || fail "the paced transfer: $(jq -r .error "$bed_dir/iperf.json")"
retransmitted=$(jq '[.end.streams[].sender.retransmits | numbers] | add' "$bed_dir/iperf.json")
[ "$retransmitted" = 0 ] || fail "retransmissions under reloads: $retransmitted"

# A tenant cannot open the monitoring port; moving the system rule takes it from the client.
now=$(generation)
document "1-65535" > "$bed_dir/rules.json"
system "${backend4[0]}" > "$bed_dir/system.json"
scripts/reload >/dev/null || fail "reload of both files"
[ "$(generation)" = $((now + 1)) ] || fail "both files were not one generation"
opens "https://$lb4:8443/" || fail "8443 is closed"
opens "http://$lb4:8404/" && fail "a tenant's group opened the monitoring port"

# Broken: refused before the signal, and by the daemon itself; what was in force stays.
now=$(generation)
document 9-8 > "$bed_dir/rules.json"
scripts/reload 2> "$bed_dir/reload.out" && fail "a broken file was taken"
grep -q "rules.json:3:.*first port is greater" "$bed_dir/reload.out" || fail "$(cat "$bed_dir/reload.out")"
kill -HUP "$sluiced_pid"
wait_for 10 grep -q "reload refused" "$bed_dir/sluiced.log" || fail "the daemon did not refuse"
grep -q "reload: $bed_dir/rules.json:3:.*first port is greater" "$bed_dir/sluiced.log" ||
  fail "the log does not say where"
[ "$(generation)" = "$now" ] || fail "a broken file made a generation"
opens "https://$lb4:8443/" || fail "a broken file changed what is in force"
kill -0 $transfer 2>/dev/null || fail "the transfer ended"
kill $transfer

# An export applies to no change; the state outlives the file.
ctl export -o "$bed_dir/export.json" -q || fail "export"
ctl apply -f "$bed_dir/export.json" --dry-run --exit-code >/dev/null || fail "an export would change the node"
ctl apply -f "$bed_dir/export.json" --generation 1 >/dev/null 2>&1
[ $? = 11 ] || fail "apply to an older generation was not refused"
ctl stats --json | jq -e '.stats.total | .received == .passed + .dropped_total' >/dev/null ||
  fail "received is not passed + dropped"
kill -TERM "$sluiced_pid"
wait "$sluiced_pid"
sluiced_start --rules "$bed_dir/rules.json" --system-rules "$bed_dir/system.json"
wait_for 5 opens "https://$lb4:8443/" || fail "a broken file at the start took the stored state away"
echo "reloads under a transfer: no retransmission; $(generation) generations"
