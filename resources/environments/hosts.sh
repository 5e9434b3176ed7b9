# Machines without a hypervisor: each is a root of Debian 12 that systemd boots in namespaces of its own, all on a network
# of their own. Sourced by tests/run after matrix.sh; needs root, and some 1 GB for each machine.
#
#   HOSTS='a=10.100.0.11 b=10.100.0.12'   their names and addresses, all below 10.100.0.0/16
#   hosts_up                              boots them; hosts_down ends them
#   hosts_again NAME ADDRESS              cuts the power of one, and boots it again
#   hosts_ssh ADDRESS COMMAND             runs it there
#   HOSTS_DIR                             where roots, the key and logs are kept

HOSTS_DIR="${HOSTS_DIR:-$PARTS_CACHE/hosts}"
HOSTS="${HOSTS:-}"
# What a box of Vagrant has, and no package of the playbook's.
HOSTS_PACKAGES=ca-certificates,dbus,iproute2,iptables,kmod,openssh-server,procps,python3,python3-apt,systemd-sysv
hosts_world="hosts-$MATRIX_NUMBER"

hosts_up() {
  local host
  mkdir -p "$HOSTS_DIR"
  hosts_base || { parts_say "ERROR: no root: $(tail -1 "$HOSTS_DIR/base.log")"; return 1; }
  hosts_network || return 1
  for host in $HOSTS; do hosts_boot "${host%=*}" "${host#*=}" || return 1; done
  for host in $HOSTS; do hosts_await "${host%=*}" "${host#*=}" || return 1; done
}

# hosts_base makes the root that all of them share, below what each of them writes.
hosts_base() {
  local base="$HOSTS_DIR/base" mirror
  if [ ! -e "$base.made" ]; then
    mirror=$(apt-get indextargets --format '$(ORIGIN) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' | sed -n 's/^Debian main //p' | sed -n 1p)
    [ -n "$mirror" ] || { echo "no Debian mirror in this machine's apt sources" >"$base.log"; return 1; }
    parts_say 'making a root of Debian 12'
    rm -rf "$base"
    debootstrap --variant=minbase "--include=$HOSTS_PACKAGES" bookworm "$base" "$mirror" >"$base.log" 2>&1 || return 1
    # There is no hardware, and no terminal.
    ln -s /dev/null "$base/etc/systemd/system/systemd-udevd.service"
    ln -s /dev/null "$base/etc/systemd/system/getty.target"
    # A mount point that is not there would be made in the kernel's own tree.
    for unit in dev-hugepages dev-mqueue sys-kernel-config sys-kernel-debug sys-kernel-tracing sys-fs-fuse-connections; do
      ln -s /dev/null "$base/etc/systemd/system/$unit.mount"
    done
    touch "$base.made"
  fi
  [ -e "$HOSTS_DIR/key" ] || ssh-keygen -q -t ed25519 -N '' -f "$HOSTS_DIR/key"
  install -D -m 600 "$HOSTS_DIR/key.pub" "$base/root/.ssh/authorized_keys"
  echo 127.0.0.1 localhost >"$base/etc/hosts"
  # Whom this machine trusts, and where it installs Python packages from.
  local file
  for file in resolv.conf ssl/certs/ca-certificates.crt pip.conf; do
    [ ! -e "/etc/$file" ] || cp -L "/etc/$file" "$base/etc/$file"
  done
  [ -z "${PIP_FIND_LINKS:-}" ] || [ ! -d "$PIP_FIND_LINKS" ] || { mkdir -p "$base$PIP_FIND_LINKS"; cp -u "$PIP_FIND_LINKS"/*.whl "$base$PIP_FIND_LINKS/" 2>/dev/null || true; }
}

# A network of these addresses that nothing else on this machine meets, with a way out behind its address.
hosts_network() {
  matrix_name=$hosts_world
  ip netns add "$hosts_world" && matrix_network "$hosts_world" || return 1
  nsenter --net="/var/run/netns/$hosts_world" bash -euc '
    ip link add machines type bridge && ip addr add 10.100.0.1/16 dev machines && ip link set machines up
    sysctl -qw net.ipv4.ip_forward=1
    iptables -w -t nat -A POSTROUTING -s 10.100.0.0/16 -o eth0 -j MASQUERADE'
}

# hosts_boot NAME ADDRESS starts systemd in a root of its own.
hosts_boot() {
  local name=$1 dir="$HOSTS_DIR/$1" veth
  # Of the last two numbers of its address: a name of an interface is short.
  veth="host-$(cut -d. -f3 <<<"$2")-${2##*.}"
  mkdir -p "$dir/upper" "$dir/work" "$dir/root" "$dir/docker"
  ip netns add "$hosts_world-$name" || return 1
  # That of a machine whose power was cut may go a moment later.
  ip -n "$hosts_world" link del "$veth" 2>/dev/null || true
  ip -n "$hosts_world" link add "$veth" type veth peer name eth0 netns "$hosts_world-$name"
  ip -n "$hosts_world" link set "$veth" master machines up
  ip -n "$hosts_world-$name" link set lo up
  ip -n "$hosts_world-$name" addr add "$2/16" dev eth0
  ip -n "$hosts_world-$name" link set eth0 up
  ip -n "$hosts_world-$name" route add default via 10.100.0.1
  HOST_NAME=$name HOST_DIR=$dir HOST_BASE=$HOSTS_DIR/base HOST_GROUP="$hosts_world-$name" \
    setsid nsenter --net="/var/run/netns/$hosts_world-$name" bash -c '
      # In a group of its own of each hierarchy, which the namespace of groups makes the root.
      for file in $(find /sys/fs/cgroup -mindepth 1 -maxdepth 1 -type d) ; do
        [ -e "$file/cgroup.procs" ] || continue
        mkdir -p "$file/$HOST_GROUP"
        case $file in */cpuset) cat $file/cpuset.cpus >$file/$HOST_GROUP/cpuset.cpus; cat $file/cpuset.mems >$file/$HOST_GROUP/cpuset.mems ;; esac
        echo $$ >"$file/$HOST_GROUP/cgroup.procs"
      done
      exec unshare --mount --uts --ipc --pid --cgroup --fork --kill-child --propagation private bash -ec "
        hostname \$HOST_NAME
        mount -t overlay overlay -o lowerdir=\$HOST_BASE,upperdir=\$HOST_DIR/upper,workdir=\$HOST_DIR/work \$HOST_DIR/root
        cd \$HOST_DIR/root
        mkdir -p old var/lib/docker
        echo \$HOST_NAME >etc/hostname
        # A layered file system cannot be below the layers of images.
        mount --bind \$HOST_DIR/docker var/lib/docker
        mount -t proc proc proc
        mount -t sysfs sysfs sys
        mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
        for group in \$(find /sys/fs/cgroup -mindepth 1 -maxdepth 1 -type d -printf \"%f \"); do
          mkdir sys/fs/cgroup/\$group
          case \$group in
            unified) mount -t cgroup2 cgroup2 sys/fs/cgroup/unified ;;
            systemd) mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd ;;
            *) mount -t cgroup -o \$group cgroup sys/fs/cgroup/\$group || rmdir sys/fs/cgroup/\$group ;;
          esac
        done
        mount -t tmpfs -o mode=755 tmpfs dev
        for node in null zero full random urandom tty; do touch dev/\$node; mount --bind /dev/\$node dev/\$node; done
        mkdir dev/pts dev/shm dev/mqueue
        mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
        ln -s pts/ptmx dev/ptmx
        ln -s /proc/self/fd dev/fd
        mount -t tmpfs tmpfs dev/shm
        mount -t mqueue mqueue dev/mqueue
        mount -t tmpfs -o mode=755 tmpfs run
        pivot_root . old
        umount -l /old
        exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin container=hosts /lib/systemd/systemd \
          --log-target=console --show-status=false
      "
    ' >"$dir/log" 2>&1 </dev/null &
  echo $! >"$dir/leader"
  # Its end is no news of the shell.
  disown
}

hosts_ssh() {
  local address=$1
  shift
  nsenter --net="/var/run/netns/$hosts_world" ssh -q -i "$HOSTS_DIR/key" -o StrictHostKeyChecking=no \
    -o UserKnownHostsFile=/dev/null -o ConnectTimeout=3 "root@$address" "$@"
}

hosts_await() {
  local i
  for i in $(seq 120); do
    hosts_ssh "$2" true && return 0
    kill -0 "$(cat "$HOSTS_DIR/$1/leader")" 2>/dev/null || break
    sleep 0.5
  done
  parts_say "ERROR: $1 did not come up: $(tail -3 "$HOSTS_DIR/$1/log")"
  return 1
}

# hosts_again NAME ADDRESS cuts the power of a machine, and boots it with what it had written.
hosts_again() {
  hosts_end "$1"
  hosts_boot "$1" "$2" && hosts_await "$1" "$2"
}

# hosts_end NAME kills all that runs there, and waits until it is gone.
hosts_end() {
  local group="$hosts_world-$1"
  ip netns pids "$group" 2>/dev/null | xargs -r kill -KILL 2>/dev/null
  ip netns del "$group" 2>/dev/null
  # A group can be removed once the last of it has ended.
  for _ in $(seq 50); do grep -qs . /sys/fs/cgroup/*/"$group/cgroup.procs" || break; sleep 0.1; done
  find /sys/fs/cgroup -mindepth 2 -depth -type d -path "*/$group*" -exec rmdir {} + 2>/dev/null
}

# hosts_down ends the machines and takes away all but the shared root, the key and the logs. `hosts_down || true` goes on
# where a part is gone already, as a process that ends by itself.
hosts_down() {
  local host dir
  for host in $HOSTS; do
    dir="$HOSTS_DIR/${host%=*}"
    hosts_end "${host%=*}"
    rm -rf "$dir/upper" "$dir/work" "$dir/root" "$dir/docker"
  done
  matrix_leave
  return 0
}
