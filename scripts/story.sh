# The demo's story, told step by step; sourced by scripts/demo after testbed.sh. Bash.
# Each row compares what was expected with what was seen; any difference fails the demo.

rows=0 differences=0

section() { printf '\n%s\n' "$1"; }

# row WHAT EXPECTED SEEN
row() {
  local mark=ok
  rows=$((rows + 1))
  if [ "$2" != "$3" ]; then
    mark=DIFFERS
    differences=$((differences + 1))
  fi
  printf '  %-62s %-22s %-22s %s\n' "$1" "$2" "$3" "$mark"
}

# What a client sees of a URL: "answers" or "silence".
web() {
  if in_clients curl -skf -m 1 -o /dev/null "$1"; then echo answers; else echo silence; fi
}
# The same, when the state to reach needs a moment (HAProxy's health checks, ARP).
web_soon() {
  wait_for 5 in_clients curl -skf -m 1 -o /dev/null "$1"
  web "$1"
}
ping_seen() {
  if in_clients ping -c 2 -i 0.2 -W 1 "$1" >/dev/null 2>&1; then echo answers; else echo silence; fi
}
# Which backends a client is served by over 8 requests, such as "backend-1 backend-2".
backends_seen() {
  local i
  for i in 1 2 3 4 5 6 7 8; do in_clients curl -s -m 2 "http://$lb4/"; done |
    grep -o 'backend-[0-9]' | sort -u | paste -sd ' '
}
backends_are() { [ "$(backends_seen)" = "$1" ]; }

# accepted|refused: the HTTP-like outcome of a sluicectl change, by its exit code.
change() {
  local status
  ctl "$@" >"$bed_dir/change.out" 2>"$bed_dir/change.err"
  status=$?
  case $status in
    0) echo accepted ;;
    11) echo refused ;;
    *) echo "exit $status" ;;
  esac
}
# Does the last refusal name the reason?
reason_has() { grep -qi -- "$1" "$bed_dir/change.err" && echo named || echo missing; }

rule() { # rule Inbound|Outbound PROTOCOL PORTS [FIRST-IP SIZE]
  local network='"network":"any"'
  [ $# -lt 5 ] || network="\"network\":\"manual\",\"network_cidr\":\"$4\",\"network_size\":$5"
  printf '{"rule_type":"%s","protocol_name":"%s","port_range":"%s",%s}' "$1" "$2" "$3" "$network"
}
group() { # group NAME RULE…
  local name=$1 IFS=,
  shift
  echo "[$*]" > "$bed_dir/rules.json"
  change security-group create --name "$name" --rules-file "$bed_dir/rules.json"
}

size_of() { stat -c %s "$1" 2>/dev/null || echo 0; }
# grows|stopped: does a file get longer within 3 s? (curl's rate limit writes in bursts.)
has_grown() { [ "$(size_of "$1")" -gt "$2" ]; }
progress() {
  if wait_for 3 has_grown "$1" "$(size_of "$1")"; then echo grows; else echo stopped; fi
}

tell_story() {
  printf '\n  %-62s %-22s %-22s\n' "what" "expected" "seen"
  story_closed_at_first
  story_default_group
  story_allow_all
  story_outbound
  story_swap_under_load
  story_cut
  story_refusals
  story_end
}

story_closed_at_first() {
  section "Before a load balancer is registered, nothing passes"
  row "HTTP to $lb4" silence "$(web "http://$lb4/")"
}

story_default_group() {
  section "A load balancer is registered; its default group is attached by itself"
  row "lb add web" accepted "$(change lb add --name web --zone edge --status Creating \
    --address $lb4 --address $lb6)"
  row "attach while the LB is Creating" refused "$(change attach web Allow-All-Traffic)"
  row "  … with the status named" named "$(reason_has Creating)"
  row "lb status web Running" accepted "$(change lb status web Running)"
  row "HTTP on 80, IPv4" answers "$(web_soon "http://$lb4/")"
  row "HTTP on 80, IPv6" answers "$(web_soon "http://[$lb6]/")"
  row "ping, IPv4" answers "$(ping_seen $lb4)"
  row "ping, IPv6" answers "$(ping_seen $lb6)"
  row "TLS on 8443, which no rule allows" silence "$(web "https://$lb4:8443/")"
}

story_allow_all() {
  section "Allow-All-Traffic, attached for a while (the portal's tip)"
  row "attach web Allow-All-Traffic" accepted "$(change attach web Allow-All-Traffic)"
  row "TLS on 8443" answers "$(web "https://$lb4:8443/")"
  row "detach web Allow-All-Traffic" accepted "$(change detach web Allow-All-Traffic --force)"
  row "TLS on 8443" silence "$(web "https://$lb4:8443/")"
}

story_outbound() {
  section "Outbound rules decide which backend HAProxy reaches; two groups in one attach"
  row "both backends serve" "backend-1 backend-2" "$(wait_for 5 backends_are 'backend-1 backend-2'
    backends_seen)"
  echo "[$(rule Inbound Custom_TCP 80),$(rule Inbound ICMP All),$(rule Outbound Custom_TCP 8080 \
    ${backend4[0]} 1)]" > "$bed_dir/rules.json"
  row "edit default: outbound to the first backend only" accepted "$(change security-group update \
    --name default --rules-file "$bed_dir/rules.json")"
  row "who serves" "backend-1" "$(wait_for 5 backends_are backend-1; backends_seen)"
  row "create second-backend (outbound to the second)" accepted "$(group second-backend \
    "$(rule Inbound Custom_TCP 9)" "$(rule Outbound Custom_TCP 8080 ${backend4[1]} 1)")"
  row "create status-page (inbound 8404 from the client only)" accepted "$(group status-page \
    "$(rule Inbound Custom_TCP 8404 $client4 1)" "$(rule Outbound Custom_TCP 9)")"
  row "HTTP on 8404" silence "$(web "http://$lb4:8404/")"
  row "attach web second-backend status-page" accepted "$(change attach web \
    second-backend status-page)"
  row "who serves" "backend-1 backend-2" "$(wait_for 5 backends_are 'backend-1 backend-2'
    backends_seen)"
  row "HTTP on 8404" answers "$(web "http://$lb4:8404/")"
}

# 100 attach and 100 detach of a group that has nothing to do with the transfer.
swap_100() {
  local i
  for i in $(seq 100); do
    ctl attach web unrelated >/dev/null 2>>"$bed_dir/swap.err" || return 1
    ctl detach web unrelated --force >/dev/null 2>>"$bed_dir/swap.err" || return 1
  done
}

story_swap_under_load() {
  local iperf
  section "A transfer at speed goes through 100 attach and 100 detach of an unrelated group"
  row "create transfer (inbound 5201), unrelated" "accepted accepted" "$(group transfer \
    "$(rule Inbound Custom_TCP 5201)" "$(rule Outbound Custom_TCP 9)") $(group unrelated \
    "$(rule Inbound Custom_UDP 4789 192.0.2.0 256)" "$(rule Outbound Custom_UDP 4789)")"
  row "attach web transfer" accepted "$(change attach web transfer)"
  in_lb iperf3 -s -1 >/dev/null 2>&1 &
  bed_pids+=($!)
  sleep 0.3
  in_clients iperf3 -c $lb4 --bidir -b 100M -t 10 --json >"$bed_dir/iperf.json" 2>&1 &
  iperf=$!
  sleep 1
  row "200 changes, all accepted while it runs" yes "$(swap_100 && kill -0 $iperf 2>/dev/null &&
    echo yes || echo no)"
  wait $iperf
  row "TCP retransmissions of the transfer, both ways" 0 "$(jq '[.end.streams[].sender.retransmits
    | numbers] | add' "$bed_dir/iperf.json")"
  row "the transfer ended well" yes "$(jq -r 'if .error then .error else "yes" end' \
    "$bed_dir/iperf.json")"
  transfer_mbps=$(jq -r '(.end.sum_received.bits_per_second
    + (.end.sum_received_bidir_reverse.bits_per_second // 0)) / 1e6 | floor' "$bed_dir/iperf.json")
}

story_cut() {
  section "A transfer that only the detached group allowed stops; its neighbour goes on"
  row "attach web Allow-All-Traffic" accepted "$(change attach web Allow-All-Traffic)"
  in_clients curl -sk --limit-rate 8M -o "$bed_dir/cut" "https://$lb4:8443/big" &
  bed_pids+=($!)
  in_clients curl -s --limit-rate 8M -o "$bed_dir/neighbour" "http://$lb4/big" &
  bed_pids+=($!)
  wait_for 3 test -s "$bed_dir/cut"
  row "the transfer over 8443" grows "$(progress "$bed_dir/cut")"
  row "detach web Allow-All-Traffic" accepted "$(change detach web Allow-All-Traffic --force)"
  sleep 2 # the client reads what had arrived already
  row "the transfer over 8443" stopped "$(progress "$bed_dir/cut")"
  row "its neighbour over 80" grows "$(progress "$bed_dir/neighbour")"
}

story_refusals() {
  section "Refused, with the reason, and nothing changed"
  row "detach web default" refused "$(change detach web default --force)"
  row "  … with the reason" named "$(reason_has 'default')"
  row "attach web transfer, which is attached" refused "$(change attach web transfer)"
  row "delete a group in use" refused "$(change security-group delete --name transfer --force)"
  row "HTTP on 80 still" answers "$(web "http://$lb4/")"
}

# received = passed + sum(dropped), on every worker.
counts_hold() {
  ctl stats --json | jq -r '[(.stats // .items // .) | .. | objects
    | select(has("received") and has("dropped")) | .received == .passed + ([.dropped[]] | add)]
    | if length > 0 and all then "holds" else "broken" end'
}

story_end() {
  section "The books, and the end"
  row "received = passed + dropped, each worker and in all" holds "$(counts_hold)"
  [ "$keep" = no ] || return 0
  ctl stats > "$bed_dir/stats"
  kill -TERM "$sluiced_pid"
  wait "$sluiced_pid"
  row "sluiced's exit status after SIGTERM" 0 $?
  row "HTTP on 80 with no daemon: closed" silence "$(web "http://$lb4/")"
}

story_summary() {
  echo
  [ ! -s "$bed_dir/stats" ] || { cat "$bed_dir/stats"; echo; }
  echo "the transfer under 200 table swaps ran at ${transfer_mbps:-?} Mbit/s (both ways, paced)"
  echo "$((rows - differences)) of $rows as expected, in $1 s"
  [ $differences = 0 ] || exit 1
}

print_playground() {
  cat <<TEXT

Everything is left running. Try:
  export SLUICE_API=$SLUICE_API PATH=\$PATH:$bin
  sluicectl rules web
  sluicectl attach web Allow-All-Traffic && ip netns exec $ns_clients curl -k https://$lb4:8443/
  sluicectl detach web Allow-All-Traffic
  sluicectl stats
  ip netns exec $ns_clients curl http://$lb4/        (HAProxy in '$ns_lb', nginx in '$ns_backends')
  tail -f $bed_dir/sluiced.log
and at the end: scripts/demo --clean
TEXT
}
