# The article's four machines without a hypervisor: each is a root of Debian 12 that systemd boots in namespaces of its
# own, with the article's addresses on a network of their own. The playbook of ansible/ is run on them by ssh, twice, and
# what the article types is typed. Sourced by tests/run after matrix.sh; needs root, some 4 GB and a quarter of an hour.
#
#   hosts TOP              all of it; HOSTS_KEEP=1 leaves the machines up, and `hosts_down` takes them down
#   HOSTS_DIR              where roots, secrets and logs are kept
#   HOSTS_JENKINS_WAR      a jenkins.war, and HOSTS_JENKINS_PLUGINS a folder of plugins (*.jpi): those of jenkins_plugins
#                          in ansible/group_vars/all.yml, and what they need. The article's jobs are built then.
#                          Without them a stand-in answers on Jenkins' port, which the results say.
#   HOSTS_SWARM            the program swarm 1.2.9: the machines become a classic Swarm afterwards.

HOSTS_DIR="${HOSTS_DIR:-$PARTS_CACHE/hosts}"
HOSTS='swarm-master=10.100.192.200 swarm-node-1=10.100.192.201 swarm-node-2=10.100.192.202 jenkins=10.100.199.200'
# What a box of Vagrant has, and no package of the playbook's.
HOSTS_PACKAGES=ca-certificates,dbus,iproute2,iptables,kmod,openssh-server,procps,python3,python3-apt,systemd-sysv
hosts_world="hosts-$MATRIX_NUMBER"

hosts() {
  local top=$1 status=0
  [ "$(id -u)" -eq 0 ] || parts_die 'tests/run machines: only root can make and enter other roots'
  parts_apt debootstrap ansible-playbook=ansible-core ssh=openssh-client openssl ip=iproute2 iptables git
  parts_consul
  trap 'hosts_down; parts_stop' EXIT
  hosts_up && hosts_play "$top" && hosts_article "$top" && hosts_classic "$top" || status=1
  if [ -n "${HOSTS_KEEP:-}" ]; then trap parts_stop EXIT; parts_say "left up: nsenter --net=/var/run/netns/$hosts_world"; else hosts_down; fi
  return "$status"
}

hosts_up() {
  local host
  mkdir -p "$HOSTS_DIR"
  hosts_base || { parts_say "ERROR: no root: $(tail -1 "$HOSTS_DIR/base.log")"; return 1; }
  hosts_network || return 1
  for host in $HOSTS; do hosts_boot "${host%=*}" "${host#*=}" || return 1; done
  for host in $HOSTS; do hosts_await "${host%=*}" "${host#*=}" || return 1; done
}

# hosts_base makes the root that all four share, below what each of them writes.
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
  # Whom this machine trusts, and where it installs Python packages from.
  local file
  for file in resolv.conf ssl/certs/ca-certificates.crt pip.conf; do
    [ ! -e "/etc/$file" ] || cp -L "/etc/$file" "$base/etc/$file"
  done
  [ -z "${PIP_FIND_LINKS:-}" ] || [ ! -d "$PIP_FIND_LINKS" ] || { mkdir -p "$base$PIP_FIND_LINKS"; cp -u "$PIP_FIND_LINKS"/*.whl "$base$PIP_FIND_LINKS/" 2>/dev/null || true; }
}

# A network of the article's addresses that nothing else on this machine meets, with a way out behind its address.
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
  local name=$1 dir="$HOSTS_DIR/$1" veth="host-${2##*.}${2:7:3}" controller
  mkdir -p "$dir/upper" "$dir/work" "$dir/root" "$dir/docker"
  ip netns add "$hosts_world-$name" || return 1
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
        echo 127.0.0.1 localhost >etc/hosts
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

# hosts_playbook TOP ARGUMENT… runs the playbook, or says what another program says of it.
hosts_playbook() {
  local top=$1 war="$HOSTS_DIR/stand-in.war"
  shift
  local jenkins=(-e "jenkins_war=${HOSTS_JENKINS_WAR:-$war}")
  if [ -n "${HOSTS_JENKINS_WAR:-}" ]; then
    jenkins+=(-e "jenkins_plugins_archive=$HOSTS_DIR/plugins.tar" -e jenkins_library_version=main
              -e "jenkins_library=git://10.100.0.1/jenkins-proxy.git" -e "jenkins_jobs_git=git://10.100.0.1/books-ms.git")
  else
    echo 'no Jenkins' >"$war"
    jenkins+=(-e '{"jenkins_packages": [], "jenkins_jobs": "none", "jenkins_plugin_manager_checksum": ""}'
              -e jenkins_java=/usr/local/bin/stand-in-java -e jenkins_plugin_manager_url=file:///usr/local/bin/stand-in-java)
    hosts_ssh 10.100.199.200 'cat >/usr/local/bin/stand-in-java && chmod 755 /usr/local/bin/stand-in-java' \
      <"$top/tests/fixtures/stand_in_java.py" || return 1
  fi
  (cd "$top/resources/environments/ansible" && ANSIBLE_HOST_KEY_CHECKING=0 ANSIBLE_NOCOLOR=1 \
    nsenter --net="/var/run/netns/$hosts_world" ansible-playbook --private-key "$HOSTS_DIR/key" site.yml \
    -e "secrets_folder=$HOSTS_DIR/secrets" -e "consul_program=$(command -v consul)" "${jenkins[@]}" "$@" </dev/null)
}

# hosts_repositories TOP serves what Jenkins reads, as a server of git would: this checkout, which is the library, and the
# demo, which is what the jobs deploy.
hosts_repositories() {
  local top=$1 git="$HOSTS_DIR/git" demo="$HOSTS_DIR/git/demo"
  rm -rf "$git"
  git init -q --bare -b main "$git/jenkins-proxy.git" && git -C "$top" push -q "$git/jenkins-proxy.git" HEAD:refs/heads/main || return 1
  cp -R "$top/resources/demo" "$demo"
  git init -q -b master "$demo" && git -C "$demo" add . \
    && git -C "$demo" -c user.name=demo -c user.email=demo@example.com commit -q -m 'The demo' \
    && git clone -q --bare "$demo" "$git/books-ms.git" || return 1
  nsenter --net="/var/run/netns/$hosts_world" git daemon --export-all --base-path="$git" --listen=10.100.0.1 --reuseaddr "$git" \
    >"$HOSTS_DIR/git.log" 2>&1 </dev/null &
  PARTS_PIDS+=($!)
  (cd "${HOSTS_JENKINS_PLUGINS:?a folder of plugins goes with HOSTS_JENKINS_WAR}" && tar -c ./*.jpi) >"$HOSTS_DIR/plugins.tar"
}

# hosts_play TOP runs it twice: the second run finds nothing to do.
hosts_play() {
  local top=$1
  [ -z "${HOSTS_JENKINS_WAR:-}" ] || hosts_repositories "$top" || return 1
  hosts_playbook "$top" --syntax-check || return 1
  if parts_has ansible-lint; then
    (cd "$top/resources/environments/ansible" && ansible-lint --offline --nocolor --profile production) || return 1
  fi
  if parts_has vagrant; then
    (cd "$top/resources/environments/vagrant" && vagrant validate --ignore-provider) || return 1
  fi
  hosts_twice "$top" || return 1
  [ -n "${HOSTS_JENKINS_WAR:-}" ] || parts_say 'NOT RUN: Jenkins itself, its plugins, its agent, its node, library and jobs: give HOSTS_JENKINS_WAR'
  [ -n "${HOSTS_SWARM:-}" ] || parts_say 'NOT RUN: swarm_kind=classic: give HOSTS_SWARM'
}

# hosts_twice TOP ARGUMENT… runs the playbook, and again.
hosts_twice() {
  local top=$1 run
  shift
  for run in first second; do
    parts_say "the playbook, $run run${*:+: $*}"
    hosts_playbook "$top" "$@" >"$HOSTS_DIR/$run.log" 2>&1 \
      || { grep -A5 -E '^(fatal|failed)' "$HOSTS_DIR/$run.log" >&2; parts_say "ERROR: $HOSTS_DIR/$run.log"; return 1; }
    sed -n '/^PLAY RECAP/,$p' "$HOSTS_DIR/$run.log"
  done
  [ "$(grep -c ' changed=0 .* failed=0 ' "$HOSTS_DIR/second.log")" = 4 ] \
    || { grep -B5 '^changed' "$HOSTS_DIR/second.log" >&2; parts_say 'ERROR: the second run changed something'; return 1; }
}

# hosts_article TOP types what docs/four-machines.md shows, and prints what comes of it.
hosts_article() {
  local top=$1 said="$HOSTS_DIR/article.txt" name
  parts_say 'the article, line by line'
  tar -c -C "$top/resources" demo | hosts_ssh 10.100.199.200 tar -x -C /root || return 1
  hosts_typed "$top" '' | tee "$said" || return 1
  for name in 'HTTP/1.1 200 OK=4' '"ServiceID": "swarm-master:books-ms_app_1:8080"=2' \
    '"ServiceAddress": "10.100.192.201"=1+' '"ServiceAddress": "10.100.192.202"=1+' 'HTTP/1.1 503=1'; do
    hosts_counted "${name%=*}" "${name##*=}" "$said" || return 1
  done
  [ -n "${HOSTS_JENKINS_WAR:-}" ] || return 0
  parts_say "the article's jobs, built by Jenkins"
  hosts_typed "$top" Jenkins | tee "$HOSTS_DIR/jobs.txt" || return 1
  hosts_counted 'HTTP/1.1 200 OK' 2 "$HOSTS_DIR/jobs.txt" && hosts_counted 'ended with SUCCESS$' 3 "$HOSTS_DIR/jobs.txt"
}

# hosts_classic TOP makes a classic Swarm of the machines, and types the lines for it.
hosts_classic() {
  local top=$1 host
  [ -n "${HOSTS_SWARM:-}" ] || return 0
  parts_say 'classic Swarm'
  for host in $HOSTS; do
    [ "${host%=*}" != jenkins ] || continue
    hosts_ssh "${host#*=}" 'mkdir -p /opt/swarm && cat >/opt/swarm/swarm && chmod 755 /opt/swarm/swarm' <"$HOSTS_SWARM" || return 1
    # What is pulled elsewhere: the program, and the libraries that it may ask for.
    hosts_ssh "${host#*=}" bash -es <<'END' || return 1
export DOCKER_HOST=unix:///var/run/docker.sock
docker swarm leave --force 2>/dev/null || true
cd /opt/swarm
for file in $(ldd swarm | grep -o '/[^ ]*'); do install -D "$file" "root$file"; done
install -D swarm root/swarm
printf 'FROM scratch\nCOPY root /\nENTRYPOINT ["/swarm"]\n' | docker build -q -t swarm:1.2.9 -f - .
END
  done
  hosts_twice "$top" -e swarm_kind=classic || return 1
  hosts_typed "$top" classic | tee "$HOSTS_DIR/classic.txt" || return 1
  hosts_counted 'HTTP/1.1 200 OK' 2 "$HOSTS_DIR/classic.txt"
}

# hosts_typed TOP NAME types on the machine `jenkins` each line of that page that begins with `$ ` in a block of the console,
# with what it goes on with: those under the heading that has Jenkins or classic in it, or with an empty NAME all others.
hosts_typed() {
  awk -v wanted="$2" '
       /^## / { under = match($0, /Jenkins|classic/) ? substr($0, RSTART, RLENGTH) : "" }
       /^```console$/ { on = under == wanted; next } /^```/ { on = 0 }
       on && (more || /^\$ /) { line = more ? more "\n" $0 : substr($0, 3); if (line ~ /\\$/) more = line; else { more = ""; printf "%s%c", line, 0 } }' \
    "$1/docs/four-machines.md" | {
    cat <<'END'
cd /root/demo
# As on a terminal: no progress of curl, no JSON of ours, and the prompt on a line of its own.
printf 'silent\nshow-error\n' >~/.curlrc
typed() {
  local to=/tmp/said
  case $1 in jenkins-proxy*) to=/dev/null ;; esac
  printf '$ %s\n' "$1"
  : >/tmp/said
  eval "$1" 2>>/tmp/said >>"$to" </dev/null || { cat /tmp/said; printf 'ended with an error\n'; exit 1; }
  cat /tmp/said
  [ -z "$(tail -c 1 /tmp/said)" ] || echo
}
END
    while IFS= read -r -d '' line; do printf 'typed %q\n' "$line"; done
  } >"$HOSTS_DIR/typed.sh"
  hosts_ssh 10.100.199.200 bash -l <"$HOSTS_DIR/typed.sh"
}

# hosts_counted PATTERN NUMBER[+] FILE: whether so many lines match; with + at the least.
hosts_counted() {
  local count
  count=$(grep -c -- "$1" "$3")
  [ "$count" = "$2" ] || { [ "${2%+}" != "$2" ] && [ "$count" -ge "${2%+}" ]; } \
    || { parts_say "ERROR: $count lines match $1, not $2: $3"; return 1; }
}

# hosts_down ends the machines and takes away all but the shared root, the key and the logs.
hosts_down() {
  local host name dir
  for host in $HOSTS; do
    name=${host%=*} dir="$HOSTS_DIR/${host%=*}"
    ip netns pids "$hosts_world-$name" 2>/dev/null | xargs -r kill -KILL 2>/dev/null
    ip netns del "$hosts_world-$name" 2>/dev/null
    # A group can be removed once the last of it has ended.
    for _ in $(seq 50); do grep -qs . /sys/fs/cgroup/*/"$hosts_world-$name/cgroup.procs" || break; sleep 0.1; done
    rm -rf "$dir/upper" "$dir/work" "$dir/root" "$dir/docker"
    find /sys/fs/cgroup -mindepth 2 -depth -type d -path "*/$hosts_world-$name*" -exec rmdir {} + 2>/dev/null
  done
  matrix_leave
  return 0
}
