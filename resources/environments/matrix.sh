# The tests that need parts, on other releases of Debian: each in a root of its own, made by debootstrap from this
# machine's own mirror, in namespaces of its own. Sourced by tests/run; needs root, and some 4 GB for each release.
#
#   matrix TOP [pytest arguments]     MATRIX_RELEASES="trixie sid"   MATRIX_DIR, where the roots are kept
#
# The last result that somebody got stands in docs/matrix.md.

MATRIX_RELEASES="${MATRIX_RELEASES:-trixie sid}"
MATRIX_DIR="${MATRIX_DIR:-$PARTS_CACHE/matrix}"
# Of its network: two runs on one machine must not meet.
MATRIX_NUMBER="${MATRIX_NUMBER:-$$}"
matrix_name=

matrix() {
  local top=$1 release rows=() status=0
  shift
  [ "$(id -u)" -eq 0 ] || parts_die 'tests/run matrix: only root can make and enter other roots'
  parts_apt debootstrap ip=iproute2 iptables git
  for release in $MATRIX_RELEASES; do
    matrix_root "$release" || { rows+=("| $release | no root: $(tail -1 "$MATRIX_DIR/$release.log") | | |"); status=1; continue; }
    matrix_run "$top" "$release" bash resources/demo/run >"$MATRIX_DIR/$release-demo.log" 2>&1 \
      && demo=passed || { demo=failed; status=1; }
    matrix_run "$top" "$release" bash tests/run -m 'not fast' "$@" 2>&1 | tee "$MATRIX_DIR/$release-tests.log" || status=1
    rows+=("| $release | $(matrix_versions "$top" "$release") | $demo | $(grep -E '^=+ .* in [0-9.]+s' "$MATRIX_DIR/$release-tests.log" | tail -1 | tr -d '=' ) |")
  done
  printf '| release | parts | demo | tests |\n| --- | --- | --- | --- |\n'
  printf '%s\n' "${rows[@]}"
  return "$status"
}

# matrix_root RELEASE makes its root unless it is there.
matrix_root() {
  local root="$MATRIX_DIR/$1" mirror
  [ -x "$root/usr/bin/apt-get" ] && [ -e "$root.made" ] && return 0
  mirror=$(apt-get indextargets --format '$(ORIGIN) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' | sed -n 's/^Debian main //p' | sed -n 1p)
  [ -n "$mirror" ] || { echo 'no Debian mirror in this machine'"'"'s apt sources' >"$root.log"; return 1; }
  rm -rf "$root"
  parts_say "making a root of $1"
  mkdir -p "$MATRIX_DIR"
  debootstrap --variant=minbase --include=ca-certificates "$1" "$root" "$mirror" >"$root.log" 2>&1 && touch "$root.made"
}

# matrix_run TOP RELEASE COMMAND… runs it in a copy of the checkout there.
matrix_run() {
  local top=$1 root="$MATRIX_DIR/$2"
  shift 2
  rm -rf "$root/checkout"
  mkdir -p "$root/checkout"
  (cd "$top" && git ls-files -z --cached --others --exclude-standard | tar -c --null -T - --ignore-failed-read) | tar -x -C "$root/checkout"
  matrix_enter "$root" "$@"
}

# matrix_enter ROOT COMMAND… runs it with ROOT as /, in mount, process and network namespaces of its own: an engine in
# there meets none of this machine's sockets, bridges and firewall rules. A plain chroot breaks `docker build`.
matrix_enter() {
  local root=$1 name="matrix-$$" file
  shift
  # Also whom this machine trusts: it may be behind a proxy with an authority of its own.
  for file in resolv.conf hosts ssl/certs/ca-certificates.crt; do cp -L "/etc/$file" "$root/etc/$file"; done
  matrix_name=$name
  trap 'matrix_leave || true; parts_stop' EXIT
  ip netns add "$name" && matrix_network "$name"
  local status=0
  nsenter --net="/var/run/netns/$name" unshare --mount --pid --fork --kill-child --propagation private \
    bash -c '
      root=$1; shift
      mount --bind "$root" "$root" && cd "$root" && mkdir -p old proc sys dev run
      mount --rbind /dev dev && mount -t proc proc proc && mount -t sysfs sysfs sys && mount --rbind /sys/fs/cgroup sys/fs/cgroup
      mount -t tmpfs tmpfs run
      pivot_root . old && umount -l /old
      cd /checkout
      exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
        PIP_CERT=/etc/ssl/certs/ca-certificates.crt "$@"
    ' matrix "$root" "$@" </dev/null || status=$?
  matrix_leave || true
  return "$status"
}

# matrix_leave takes the namespace and its way out down again: also what is left of them when the run is broken off.
matrix_leave() {
  [ -n "$matrix_name" ] || return 0
  ip netns pids "$matrix_name" | xargs -r kill -KILL
  matrix_network_down "$matrix_name"
  ip netns del "$matrix_name"
  matrix_name=
}

# The namespace reaches the world through an address of its own behind this machine's.
matrix_network() {
  local net="10.251.$((MATRIX_NUMBER % 256))"
  ip link add "mx$MATRIX_NUMBER" type veth peer name eth0 netns "$1"
  ip addr add $net.1/30 dev "mx$MATRIX_NUMBER" && ip link set "mx$MATRIX_NUMBER" up
  ip -n "$1" link set lo up && ip -n "$1" addr add $net.2/30 dev eth0 && ip -n "$1" link set eth0 up
  ip -n "$1" route add default via $net.1
  iptables -w -t nat -I POSTROUTING -s $net.2 -m comment --comment "$1" -j MASQUERADE
  iptables -w -I FORWARD -s $net.2 -m comment --comment "$1" -j ACCEPT
  iptables -w -I FORWARD -d $net.2 -m comment --comment "$1" -j ACCEPT
  matrix_forwarding=$(sysctl -n net.ipv4.ip_forward)
  sysctl -qw net.ipv4.ip_forward=1
}

matrix_network_down() {
  local net="10.251.$((MATRIX_NUMBER % 256))"
  ip link del "mx$MATRIX_NUMBER" 2>/dev/null
  iptables -w -t nat -D POSTROUTING -s $net.2 -m comment --comment "$1" -j MASQUERADE
  iptables -w -D FORWARD -s $net.2 -m comment --comment "$1" -j ACCEPT
  iptables -w -D FORWARD -d $net.2 -m comment --comment "$1" -j ACCEPT
  sysctl -qw "net.ipv4.ip_forward=$matrix_forwarding"
}

matrix_versions() {
  matrix_run "$1" "$2" bash -c '
    . /etc/os-release
    echo "$(python3 -V), Docker CLI $(docker version -f "{{.Client.Version}}" 2>/dev/null), compose $(docker compose version --short 2>/dev/null)," \
      "HAProxy $(haproxy -v | sed -n "1s/.*version \([0-9.]*\).*/\1/p")"' 2>/dev/null | tr '\n' ' '
}
