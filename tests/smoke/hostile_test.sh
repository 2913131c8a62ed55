#!/usr/bin/env bash
# Connections that must not notice: typing through 10 000 table swaps, new clients beside a SYN flood,
# path MTU discovery, traceroute, fragments, neighbour discovery.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. tests/smoke/bed.sh hostile "$1"
# Behind a router in `clients`, whose link there carries less than the hosts think.
ns_far=${prefix}far far4=10.20.0.2 far6=fd00:20::2
bed_namespaces+=("$ns_far")

peers="python3 tests/smoke/peers.py"
flood="python3 tests/smoke/flood.py"
in_far() { ip netns exec "$ns_far" "$@"; }
failures=0
# expect WHAT FILTER JSON: the jq FILTER must hold for the JSON object.
expect() {
  if jq -e "$2" <<<"$3" >/dev/null 2>&1; then
    echo "ok: $1: $3"
  else
    echo "FAILED: $1: expected $2, saw: $3"
    failures=1
  fi
}
drops() { ctl stats --json | jq -c '[.. | objects | select(has("total"))][0].total.dropped'; }
# The drops of reasons that touch live connections since an earlier `drops`.
lost_since() {
  jq -nc --argjson a "$1" --argjson b "$(drops)" \
    '[$b | keys[] | select(IN("arp", "martian", "ethertype", "no_load_balancer", "spoofed") | not)
      | {key: ., value: ($b[.] - $a[.])} | select(.value != 0)] | from_entries'
}
typing() { in_clients ss -Htn state established dst $lb4:7 | grep -q .; }
rule() {
  printf '{"rule_type":"%s","protocol_name":"%s","port_range":"%s","network":"any"}' "$1" "$2" "$3"
}

far_up() {
  bed_cable "$ns_far" eth0 "$ns_clients" to-far
  ip -n "$ns_clients" link set to-far mtu 1280
  bed_address "$ns_far" $far4/24 $far6/64
  ip -n "$ns_clients" address add 10.20.0.1/24 dev to-far
  ip -n "$ns_clients" address add fd00:20::1/64 dev to-far nodad
  in_clients sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
  ip -n "$ns_far" route add default via 10.20.0.1
  ip -n "$ns_far" -6 route add default via fd00:20::1
  ip -n "$ns_lb" route add 10.20.0.0/24 via $client4
  ip -n "$ns_lb" -6 route add fd00:20::/64 via $client6
}

bed_up
far_up
mac=$(ip -n "$ns_lb" -j link show eth0 | jq -r '.[0].address')
ip netns exec "$ns_lb" $peers serve &
bed_pids+=($!)
sluiced_start --flows-max 16384
lb=$(ctl -q --json lb add --name web --zone edge --status Running --address $lb4 --address $lb6 |
  jq '[.. | .appliance_id? // empty][0]')
# No rule allows ICMP: errors pass because they belong to a flow, or not at all.
ctl -q security-group update --name default --rules-file - >/dev/null <<<"[$(rule Inbound TCP \
  7,9),$(rule Inbound UDP 7),$(rule Outbound UDP 33434-33450)]" || exit 1
group=$(ctl -q security-group create --name unrelated --rules-file - <<<"[$(rule Inbound TCP \
  4789),$(rule Outbound TCP 4789)]") || exit 1

neighbours() {
  local before
  before=$(drops)
  for ns in "$ns_clients" "$ns_lb"; do ip -n "$ns" neigh flush all; done
  expect "neighbour discovery and ARP from scratch" '.answered == 1' \
    "$(in_clients $peers connect $lb6 7 1)"
  expect "  … both ways" '.answered == 1' "$(in_clients $peers connect $lb4 7 1)"
  expect "  … the client knows the LB" 'any(.[]; .dst == "'$lb6'" and (.lladdr | length) > 0)' \
    "$(ip -n "$ns_clients" -6 -j neigh show dev eth0 | jq -c '[.[] | {dst, lladdr}]')"
  expect "  … nothing of it dropped" '. == {}' "$(lost_since "$before")"
}

typing_through_swaps() {
  local before typists=() changed address
  before=$(drops)
  for address in $lb4 $lb6; do
    ip netns exec "$ns_clients" $peers type $address >"$bed_dir/typed-$address" &
    typists+=($!)
  done
  wait_for 5 typing && sleep 0.2
  changed=$($peers change "$bed_dir/api.sock" "$lb" "$group" "$1")
  expect "$1 attach and detach" ".changes == $1" "$changed"
  kill -TERM "${typists[@]}"
  wait "${typists[@]}"
  for address in $lb4 $lb6; do
    expect "typing through them, $address" '.typed > 50 and .retransmits == 0' \
      "$(cat "$bed_dir/typed-$address")"
  done
  expect "  … not one packet dropped" '. == {}' "$(lost_since "$before")"
}

path_mtu() {
  local address
  for address in $lb4 $lb6; do
    expect "a MiB over a path of 1280 bytes, $address" '.bytes == 1048576' \
      "$(in_far timeout 15 $peers fetch $address)"
  done
  expect "  … the LB learnt it" 'any(.[]; .mtu == 1280)' \
    "$(ip -n "$ns_lb" -j route get $far4 | jq -c '[.[] | {dst, mtu: ([.metrics[]?.mtu][0])}]')"
}

traceroute() {
  expect "traceroute from the LB, IPv4" '.hops == ["'$client4'", "'$far4'"]' \
    "$(in_lb $peers trace $far4)"
  expect "traceroute from the LB, IPv6" '.hops == ["'$client6'", "'$far6'"]' \
    "$(in_lb $peers trace $far6)"
}

# Another driver, and two workers where there are two CPUs: frames are handed over. Connections that
# were there before go on: the new daemon adopts them.
restart_with_two_workers() {
  local typist
  ip netns exec "$ns_clients" $peers type $lb4 >"$bed_dir/typed" &
  typist=$!
  wait_for 5 typing && sleep 0.2
  kill -TERM "$sluiced_pid"
  wait "$sluiced_pid"
  bed_driver=af_xdp bed_workers=2
  [ "$(nproc)" -ge 2 ] || bed_workers=1
  sluiced_start
  sleep 2.5 # the peers try again at doubling intervals
  kill -TERM $typist
  wait $typist
  expect "typing through a restart" '.typed > 50 and .worst_ms > 100' "$(cat "$bed_dir/typed")"
  expect "  … adopted by the new daemon" '. >= 1' \
    "$(ctl stats --json | jq '[.. | objects | select(has("total"))][0].total.flows_adopted')"
}

fragments() {
  local before address
  before=$(drops)
  for address in $lb4 $lb6; do
    expect "datagrams of 9000 bytes there and back, $address" '.back == 50' \
      "$(in_clients $peers datagrams $address 9000 50)"
  done
  expect "  … no fragment dropped" '. == {}' "$(lost_since "$before")"
}

syn_flood() {
  local typist flooder
  in_clients $peers connect $lb4 7 1 >/dev/null
  ip netns exec "$ns_clients" $peers type $lb4 >"$bed_dir/typed" &
  typist=$!
  # Unreachable sources: the LB's SYN-ACKs wait for neighbours that do not exist.
  ip netns exec "$ns_clients" $flood send eth0 "$mac" 10.10.4.0/22 $lb4 syn:7 --rate 20000 \
    --sources 1000 >"$bed_dir/sent" &
  flooder=$!
  sleep 1.5
  expect "new connections beside a SYN flood of 1000 sources" '.answered >= 0.95 * .tried' \
    "$(in_clients $peers connect $lb4 7 200)"
  kill -TERM $flooder $typist
  wait $flooder $typist
  expect "  … typing meanwhile" '.typed > 300' "$(cat "$bed_dir/typed")"
  expect "  … frames of the flood" '. > 10000' "$(cat "$bed_dir/sent")"
}

books() {
  expect "received = passed + dropped, $1" 'all(.[]; .)' "$(ctl stats --json | jq -c '[.. | objects
    | select(has("received") and has("dropped")) | .received == .passed + ([.dropped[]] | add)]')"
}

neighbours
typing_through_swaps 10000
path_mtu
traceroute
syn_flood
books "one worker"
restart_with_two_workers
neighbours
typing_through_swaps 50
path_mtu
traceroute
fragments
books "two workers"
exit $failures
