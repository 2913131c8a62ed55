# The demo's and the smoke tests' network; sourced, not run. Bash.
#
#   clients 10.10.0.1 ──┐
#                       ├─ bridge ── outside │ sluiced │ inside ── lb 10.10.0.10 (HAProxy)
#   backends .21  .22 ──┘                    └─ node ──┘
#
# clients, backends, lb and node are network namespaces; node holds the bridge and the daemon. Both
# legs of a proxied request cross the gate: client -> LB inbound, LB -> backend outbound.
#
# Set before sourcing: bin (folder of sluiced and sluicectl). SLUICE_PREFIX tells beds apart.

prefix=${SLUICE_PREFIX:-}
ns_clients=${prefix}clients ns_backends=${prefix}backends ns_lb=${prefix}lb ns_node=${prefix}node
bed_namespaces=("$ns_clients" "$ns_backends" "$ns_lb" "$ns_node")
bed_dir=/run/sluice-${prefix}demo
export SLUICE_API=unix:$bed_dir/api.sock

client4=10.10.0.1 lb4=10.10.0.10 backend4=(10.10.0.21 10.10.0.22)
client6=fd00:10::1 lb6=fd00:10::10 backend6=(fd00:10::21 fd00:10::22)

in_clients() { ip netns exec "$ns_clients" "$@"; }
in_backends() { ip netns exec "$ns_backends" "$@"; }
in_lb() { ip netns exec "$ns_lb" "$@"; }
in_node() { ip netns exec "$ns_node" "$@"; }
ctl() { "$bin/sluicectl" "$@"; }

die() {
  echo "Error: $1" >&2
  [ $# -lt 2 ] || echo "Next step: $2" >&2
  exit 1
}

# Polls until the command succeeds: wait_for SECONDS COMMAND…
wait_for() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $deadline ] || return 1
    sleep 0.05
  done
}

bed_up() {
  local name
  [ "$(id -u)" = 0 ] || die "network namespaces need root" "sudo $0"
  for name in "${bed_namespaces[@]}"; do
    [ ! -e "/run/netns/$name" ] ||
      die "the network namespace '$name' exists already" \
        "scripts/demo --clean removes what an earlier run left"
  done
  mkdir -p "$bed_dir"
  for name in "${bed_namespaces[@]}"; do
    ip netns add "$name"
    ip -n "$name" link set lo up
  done
  bed_cable "$ns_clients" eth0 "$ns_node" to-clients
  bed_cable "$ns_backends" eth0 "$ns_node" to-backends
  bed_cable "$ns_lb" eth0 "$ns_node" inside
  bed_cable "$ns_node" outside "$ns_node" to-gate
  ip -n "$ns_node" link add wire type bridge mcast_snooping 0 forward_delay 0
  in_node sysctl -qw net.ipv6.conf.wire.disable_ipv6=1
  for name in to-clients to-backends to-gate; do ip -n "$ns_node" link set "$name" master wire; done
  ip -n "$ns_node" link set wire up
  bed_address "$ns_clients" $client4/24 $client6/64
  bed_address "$ns_lb" $lb4/24 $lb6/64
  bed_address "$ns_backends" "${backend4[0]}/24" "${backend4[1]}/24" \
    "${backend6[0]}/64" "${backend6[1]}/64"
}

# bed_cable NS-A DEV-A NS-B DEV-B: a veth pair. Offloads off, or frames would cross it with
# checksums left to hardware that is not there, and glued to 64 KiB. The ends in `node` carry no
# address and no IPv6: the kernel must not forward beside the daemon.
bed_cable() {
  local end
  ip -n "$1" link add "$2" type veth peer name "$4" netns "$3"
  for end in "$1 $2" "$3 $4"; do
    set -- $end
    ip netns exec "$1" ethtool -K "$2" tx off rx off tso off gso off gro off >/dev/null
    [ "$1" != "$ns_node" ] || in_node sysctl -qw "net.ipv6.conf.$2.disable_ipv6=1"
    ip -n "$1" link set "$2" up
  done
}

bed_address() {
  local ns=$1 address
  shift
  # Loss probes (RFC 8985 §7) repeat a segment when a machine with few CPUs is late, not only when
  # it was lost: without them a retransmission means a lost packet.
  # Nobody here is a router, and the gate drops solicitations from outside: none are sent.
  ip netns exec "$ns" sysctl -qw net.ipv6.conf.eth0.accept_dad=0 net.ipv4.tcp_early_retrans=0 \
    net.ipv6.conf.eth0.router_solicitations=0
  for address in "$@"; do
    case "$address" in
      *:*) ip -n "$ns" address add "$address" dev eth0 nodad ;;
      *) ip -n "$ns" address add "$address" dev eth0 ;;
    esac
  done
}

# Two nginx, each on its own backend addresses; /big is a sparse file for transfers of any length.
backends_start() {
  local i
  mkdir -p "$bed_dir/www"
  truncate -s 8G "$bed_dir/www/big"
  for i in 0 1; do
    mkdir -p "$bed_dir/nginx$i"
    cat > "$bed_dir/nginx$i.conf" <<CONF
daemon off; master_process off; error_log $bed_dir/nginx$i.log; pid $bed_dir/nginx$i/pid;
events { worker_connections 256; }
http {
  access_log off; sendfile on;
  client_body_temp_path $bed_dir/nginx$i/body; proxy_temp_path $bed_dir/nginx$i/proxy;
  fastcgi_temp_path $bed_dir/nginx$i/fcgi; uwsgi_temp_path $bed_dir/nginx$i/uwsgi;
  scgi_temp_path $bed_dir/nginx$i/scgi;
  server {
    listen ${backend4[$i]}:8080; listen [${backend6[$i]}]:8080;
    location = / { default_type text/plain; return 200 "backend-$((i + 1))\n"; }
    location = /big { root $bed_dir/www; }
  }
}
CONF
    ip netns exec "$ns_backends" nginx -c "$bed_dir/nginx$i.conf" 2>"$bed_dir/nginx$i.err" &
    bed_pids+=($!)
  done
}

# HAProxy, the load balancer itself: 80, 8443 (TLS) and a status page on 8404.
haproxy_start() {
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=demo -keyout "$bed_dir/key.pem" \
    -out "$bed_dir/cert.pem" 2>/dev/null
  cat "$bed_dir/cert.pem" "$bed_dir/key.pem" > "$bed_dir/both.pem"
  cat > "$bed_dir/haproxy.cfg" <<CONF
global
  maxconn 1000
  stats socket $bed_dir/haproxy.sock
defaults
  mode http
  timeout connect 500ms
  timeout client 60s
  timeout server 60s
  timeout check 300ms
  option redispatch 1
  retries 3
frontend web
  bind $lb4:80
  bind [$lb6]:80
  bind $lb4:8443 ssl crt $bed_dir/both.pem
  default_backend servers
frontend status
  bind $lb4:8404
  http-request return status 200 content-type text/plain string "status page\n"
backend servers
  balance roundrobin
  server b1 ${backend4[0]}:8080 check inter 200ms fall 1 rise 1
  server b2 ${backend4[1]}:8080 check inter 200ms fall 1 rise 1
CONF
  ip netns exec "$ns_lb" haproxy -db -f "$bed_dir/haproxy.cfg" >"$bed_dir/haproxy.log" 2>&1 &
  bed_pids+=($!)
}

# The devices of the zone. The kernel puts IPv4 fragments together before an af_packet port of DPDK
# sees them (PACKET_FANOUT_FLAG_DEFRAG), so what is about fragments runs on af_xdp.
bed_zone() {
  local af_packet=framesz=2048,blocksz=65536,framecnt=4096
  case $bed_driver in
    af_packet)
      echo "edge,outside=net_af_packet0,iface=outside,$af_packet,inside=net_af_packet1,iface=inside,$af_packet" ;;
    af_xdp) echo "edge,outside=net_af_xdp0,iface=outside,inside=net_af_xdp1,iface=inside" ;;
  esac
}

# sluiced between `outside` and `inside`; further arguments go to it. Sets sluiced_pid.
sluiced_start() {
  ip netns exec "$ns_node" "$bin/sluiced" --zone "$(bed_zone)" --workers "$bed_workers" \
    --state "$bed_dir/state.db" --api "$SLUICE_API" $bed_memory "$@" >>"$bed_dir/sluiced.log" 2>&1 &
  sluiced_pid=$!
  bed_pids+=("$sluiced_pid")
  if ! wait_for 30 api_ready; then
    tail -n 20 "$bed_dir/sluiced.log" >&2
    die "sluiced did not become ready" "read $bed_dir/sluiced.log"
  fi
}

api_ready() {
  kill -0 "$sluiced_pid" 2>/dev/null || return 0 # dead: stop waiting, the next call will tell
  curl -sf --unix-socket "$bed_dir/api.sock" http://sluice/readyz
}

# Ends what the bed started and removes it. Safe to call at any point, and twice.
bed_down() {
  local pid name
  for pid in "${bed_pids[@]}"; do kill "$pid" 2>/dev/null; done
  for name in "${bed_namespaces[@]}"; do
    [ -e "/run/netns/$name" ] || continue
    pid=$(ip netns pids "$name" 2>/dev/null)
    [ -z "$pid" ] || kill $pid 2>/dev/null
  done
  sleep 0.2
  for name in "${bed_namespaces[@]}"; do
    [ -e "/run/netns/$name" ] || continue
    pid=$(ip netns pids "$name" 2>/dev/null)
    [ -z "$pid" ] || kill -9 $pid 2>/dev/null
    ip netns delete "$name"
  done
  rm -rf "$bed_dir"
} 2>/dev/null

bed_pids=()
bed_driver=af_packet bed_workers=1
bed_memory=${SLUICE_MEMORY:-} # "--no-huge" where there are no huge pages
