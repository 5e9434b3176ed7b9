# A cluster of Docker Engines on one machine, for trying Swarm mode: each node is an engine in a network, mount and
# host-name namespace of its own, all on one bridge. Sourced, never run; needs root.
#
#   CLUSTER_NAME=demo CLUSTER_NET=10.77.7
#   cluster_up 2          nodes demo-1 and demo-2 at tcp://10.77.7.11:2375 and .12, joined in a swarm; 1 is the manager
#   cluster_host 1        tcp://10.77.7.11:2375
#   cluster_load IMAGE    copies an image from DOCKER_HOST's engine to every node
#   cluster_again 2       starts node 2 anew after its leader was killed: with what it had, as after a power cut
#   CLUSTER_TLS=FOLDER    with ca.pem, cert.pem and key.pem: the engines take callers only whom that authority
#                         knows, as DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=FOLDER make them
#   cluster_down          ends and removes all of it; fine when there is nothing or half of it
#
# Overlay networks' virtual IPs need the ip_vs module, which small kernels lack: publish ports with `mode: host`.

CLUSTER_NAME="${CLUSTER_NAME:-jenkins-proxy}"
CLUSTER_NET="${CLUSTER_NET:-10.77.7}"
CLUSTER_DIR="${CLUSTER_DIR:-${TMPDIR:-/tmp}/$CLUSTER_NAME-cluster}"
# Interface names have 15 characters at the most.
CLUSTER_BRIDGE="$(printf '%s' "$CLUSTER_NAME" | cksum | cut -d' ' -f1)"
CLUSTER_BRIDGE="jpc${CLUSTER_BRIDGE:0:8}"

cluster_say() { printf '[cluster] %s\n' "$*" >&2; }
cluster_host() { printf 'tcp://%s.%s:2375\n' "$CLUSTER_NET" "$((10 + $1))"; }

# cluster_docker I ARGUMENT… is docker on node I. An engine that takes the call and does not answer is given up.
cluster_docker() {
  local host
  host=$(cluster_host "$1")
  shift
  if [ -n "${CLUSTER_TLS:-}" ]; then
    DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=$CLUSTER_TLS timeout "${CLUSTER_SECONDS:-120}" docker -H "$host" "$@"
  else
    timeout "${CLUSTER_SECONDS:-120}" docker -H "$host" "$@"
  fi
}

# cluster_up N [noswarm]
cluster_up() {
  local count=$1 joined=${2:-swarm} node
  [ "$(id -u)" -eq 0 ] || { cluster_say 'ERROR: only root can make network namespaces'; return 1; }
  cluster_down
  mkdir -p "$CLUSTER_DIR"
  ip link add "$CLUSTER_BRIDGE" type bridge && ip addr add "$CLUSTER_NET.1/24" dev "$CLUSTER_BRIDGE" \
    && ip link set "$CLUSTER_BRIDGE" up || { cluster_say "ERROR: no bridge $CLUSTER_BRIDGE"; return 1; }
  # The machine's own engine drops what is forwarded between bridge ports; nothing but this bridge is opened.
  iptables -w -I FORWARD -i "$CLUSTER_BRIDGE" -o "$CLUSTER_BRIDGE" -m comment --comment "$CLUSTER_NAME" -j ACCEPT
  for node in $(seq "$count"); do cluster_node "$node" || { cluster_down; return 1; }; done
  for node in $(seq "$count"); do cluster_await "$node" || { cluster_down; return 1; }; done
  [ "$joined" = noswarm ] || cluster_join "$count" || { cluster_down; return 1; }
}

# cluster_node I starts node I.
cluster_node() {
  local name="$CLUSTER_NAME-$1" address="$CLUSTER_NET.$((10 + $1))" dir="$CLUSTER_DIR/$1" veth="${CLUSTER_BRIDGE}-$1"
  mkdir -p "$dir"
  ip netns add "$name" && ip link add "$veth" type veth peer name eth0 netns "$name" || return 1
  ip link set "$veth" master "$CLUSTER_BRIDGE" up
  ip -n "$name" link set lo up
  ip -n "$name" addr add "$address/24" dev eth0
  ip -n "$name" link set eth0 up
  ip -n "$name" route add default via "$CLUSTER_NET.1"
  # The engine resolves its own host name; both files are seen in its mount namespace only.
  { cat /etc/hosts; echo "$address $name"; } >"$dir/hosts"
  # Swarm looks every image up in its registry first: a name server that refuses is quicker than one out of reach.
  echo 'nameserver 127.0.0.1' >"$dir/resolv.conf"
  # A /run of its own: sockets and pid files of two engines must not meet.
  CLUSTER_NODE=$name CLUSTER_NODE_DIR=$dir CLUSTER_NODE_ADDRESS=$address CLUSTER_NODE_TLS=${CLUSTER_TLS:-} \
    setsid nsenter --net="/var/run/netns/$name" unshare --mount --uts --pid --fork --kill-child --mount-proc bash -c '
      hostname "$CLUSTER_NODE"
      mount --bind "$CLUSTER_NODE_DIR/hosts" /etc/hosts
      mount --bind "$CLUSTER_NODE_DIR/resolv.conf" /etc/resolv.conf
      mount -t tmpfs tmpfs /run
      # Within the namespace only: replies between bridge ports must not be looked at twice.
      sysctl -qw net.bridge.bridge-nf-call-iptables=0 2>/dev/null
      iptables -w -P FORWARD ACCEPT
      # Without --tls=false an engine on plain TCP waits 15 s for somebody to read its warning.
      set -- --tls=false
      [ -z "$CLUSTER_NODE_TLS" ] || set -- --tlsverify --tlscacert "$CLUSTER_NODE_TLS/ca.pem" \
        --tlscert "$CLUSTER_NODE_TLS/cert.pem" --tlskey "$CLUSTER_NODE_TLS/key.pem"
      exec dockerd --data-root "$CLUSTER_NODE_DIR/data" --exec-root "$CLUSTER_NODE_DIR/exec" -p "$CLUSTER_NODE_DIR/pid" \
        -H "tcp://$CLUSTER_NODE_ADDRESS:2375" -H unix:///run/docker.sock "$@" --bip 172.29.0.1/24
    ' >"$dir/log" 2>&1 </dev/null &
  echo $! >"$dir/leader"
}

cluster_again() {
  ip link del "$CLUSTER_BRIDGE-$1" 2>/dev/null
  ip netns del "$CLUSTER_NAME-$1" 2>/dev/null
  # As /run is after a power cut: else it waits for a containerd whose number another process has by now.
  rm -rf "$CLUSTER_DIR/$1/pid" "$CLUSTER_DIR/$1/exec"
  cluster_node "$1" && cluster_await "$1"
}

cluster_await() {
  local i
  for i in $(seq 150); do
    CLUSTER_SECONDS=5 cluster_docker "$1" version >/dev/null 2>&1 && return 0
    kill -0 "$(cat "$CLUSTER_DIR/$1/leader")" 2>/dev/null || break
    sleep 0.2
  done
  cluster_say "ERROR: node $1 did not come up: $(tail -1 "$CLUSTER_DIR/$1/log")"
  return 1
}

cluster_join() {
  local token node
  cluster_docker 1 swarm init --advertise-addr "$CLUSTER_NET.11" >/dev/null || return 1
  token=$(cluster_docker 1 swarm join-token -q worker) || return 1
  for node in $(seq 2 "$1"); do
    cluster_docker "$node" swarm join --token "$token" --advertise-addr "$CLUSTER_NET.$((10 + node))" \
      "$CLUSTER_NET.11:2377" >/dev/null || return 1
  done
}

cluster_load() {
  local dir
  for dir in "$CLUSTER_DIR"/[0-9]*; do
    docker save "$1" | cluster_docker "${dir##*/}" load >/dev/null || return 1
  done
}

cluster_down() {
  local dir name leader path
  for dir in "$CLUSTER_DIR"/[0-9]*; do
    [ -d "$dir" ] || continue
    name="$CLUSTER_NAME-${dir##*/}"
    leader=$(cat "$dir/leader" 2>/dev/null)
    # unshare is the leader and dockerd its child: it is the first process of its namespace, all else ends with it.
    [ -n "$leader" ] && cluster_end "$leader"
    for path in $(awk -v under="$dir/" 'index($2, under) == 1 {print $2}' /proc/mounts | sort -r); do umount -l "$path"; done
    # With its namespace alone it would go at some later moment, and be in the way of the next cluster of this name.
    ip link del "$CLUSTER_BRIDGE-${dir##*/}" 2>/dev/null
    ip netns del "$name" 2>/dev/null
  done
  ip link del "$CLUSTER_BRIDGE" 2>/dev/null
  iptables -w -D FORWARD -i "$CLUSTER_BRIDGE" -o "$CLUSTER_BRIDGE" -m comment --comment "$CLUSTER_NAME" -j ACCEPT 2>/dev/null
  rm -rf "$CLUSTER_DIR"
  return 0
}

# cluster_end LEADER ends an engine and what it started, giving it time to stop its containers.
cluster_end() {
  local child i
  child=$(pgrep -P "$1" -x dockerd)
  [ -n "$child" ] && kill -TERM "$child" 2>/dev/null
  for i in $(seq 100); do kill -0 "$1" 2>/dev/null || return 0; sleep 0.1; done
  kill -KILL "$1" 2>/dev/null
}
