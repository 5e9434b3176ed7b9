# Each way to install, tried from empty to the first 200: a machine with `jenkins-proxy setup`, an agent with the zipapp, the
# image, a machine with pipx and systemd, and the laptop's compose file; on a fresh Debian made by debootstrap, and offline
# once its packages are there. Sourced by tests/run after matrix.sh, hosts.sh and cluster.sh; needs root and Docker.
#
#   install_ways TOP WAY…  of machine (and agent), image, systemd and laptop; all of them by default
#   INSTALL_RELEASE        trixie; INSTALL_DIR is where the roots are kept
#   INSTALL_JENKINS_WAR    a jenkins.war, and INSTALL_JENKINS_PLUGINS a folder of plugins (*.jpi): those of
#                          compose/jenkins/Dockerfile, and what they need. Without them the laptop is not tried.
#
# No systemd runs where `setup` says so: there the unit's own command runs, as its user, with its groups and its one capability.

INSTALL_RELEASE="${INSTALL_RELEASE:-trixie}"
INSTALL_DIR="${INSTALL_DIR:-$PARTS_CACHE/install}"
INSTALL_NAME="jp-install-$$"
INSTALL_STARTED=0

install_say() { printf '\n[install] %s\n' "$*"; }
install_begin() { install_say "$*"; INSTALL_STARTED=$(date +%s%N); }
install_took() { printf '[install] TIME %s: %s s\n' "$1" "$(awk "BEGIN { printf \"%.1f\", ($(date +%s%N) - $INSTALL_STARTED) / 1e9 }")"; }
install_free_port() { "$(parts_python)" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

install_ways() {
  local top=$1 way
  shift
  [ $# -gt 0 ] || set -- machine image systemd laptop
  [ "$(id -u)" -eq 0 ] || parts_die 'tests/run install: only root can make and enter another root'
  parts_apt debootstrap busybox=busybox-static curl setpriv=util-linux
  INSTALL_WORK=$(mktemp -d "${TMPDIR:-/tmp}/jp-install.XXXXXX")
  trap 'install_leave; parts_stop' EXIT
  install_base
  bash "$top/resources/release/run" --no-image --out "$INSTALL_WORK/dist"
  install_wheels "$top"
  install_app
  for way in "$@"; do "install_$way" "$top"; done
  install_say "each has led to a 200: $*"
}

# install_debian ROOT PACKAGES makes a root of the release, unless it is there.
install_debian() {
  local root=$1 mirror
  [ ! -e "$root.made" ] || return 0
  mirror=$(apt-get indextargets --format '$(ORIGIN) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' | sed -n 's/^Debian main //p' | sed -n 1p)
  [ -n "$mirror" ] || parts_die 'no Debian mirror in this machine'"'"'s apt sources'
  rm -rf "$root" && mkdir -p "$INSTALL_DIR"
  install_say "making a root of $INSTALL_RELEASE in $root"
  debootstrap --variant=minbase --include="$2" "$INSTALL_RELEASE" "$root" "$mirror" >"$root.log" 2>&1 \
    || { tail -3 "$root.log" >&2; parts_die 'debootstrap failed'; }
  touch "$root.made"
}

# install_import ROOT IMAGE makes an image of it.
install_import() {
  tar -C "$1" --exclude='./proc/*' --exclude='./sys/*' --exclude='./dev/*' --exclude='./var/cache/apt/archives/*.deb' \
    --exclude='./var/lib/apt/lists/*' -c . | docker import - "$2" >/dev/null
}

# The release's Debian, with what the ways ask for: Python, HAProxy, Docker's CLI and compose.
install_base() {
  local root="$INSTALL_DIR/$INSTALL_RELEASE"
  install_debian "$root" ca-certificates,curl,docker-cli,docker-compose,haproxy,python3,python3-venv
  INSTALL_ROOT="$INSTALL_WORK/root"
  mkdir -p "$INSTALL_WORK"/{upper,work,root}
  mount -t overlay overlay -o "lowerdir=$root,upperdir=$INSTALL_WORK/upper,workdir=$INSTALL_WORK/work" "$INSTALL_ROOT"
  mount -t proc proc "$INSTALL_ROOT/proc"
  mount --rbind /dev "$INSTALL_ROOT/dev" && mount --make-rslave "$INSTALL_ROOT/dev"
  mkdir -p "$INSTALL_ROOT/dist"
  touch "$INSTALL_ROOT/run/docker.sock" && mount --bind /var/run/docker.sock "$INSTALL_ROOT/run/docker.sock"
}

INSTALL_ENV=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8)
install_in() { chroot "$INSTALL_ROOT" env -i "${INSTALL_ENV[@]}" HOME=/root "$@"; }

# What pip would fetch, for that release's own Python: the only step with a network, and not a part of what is timed.
install_wheels() {
  local wheels="$INSTALL_DIR/wheels-$INSTALL_RELEASE" file stamp
  stamp=$(cksum <"$1/pyproject.toml")
  cp "$INSTALL_WORK"/dist/* "$INSTALL_ROOT/dist/"
  if [ "$(cat "$wheels.made" 2>/dev/null)" != "$stamp" ]; then
    install_say 'fetching the wheels'
    for file in resolv.conf hosts ssl/certs/ca-certificates.crt; do cp -L "/etc/$file" "$INSTALL_ROOT/etc/$file"; done
    install_in PIP_CERT=/etc/ssl/certs/ca-certificates.crt sh -c '
      python3 -m venv /tmp/v && /tmp/v/bin/pip wheel --quiet --wheel-dir /dist/wheels "$(ls /dist/*.whl)[serve]" && rm -rf /tmp/v'
    rm -rf "$wheels" && cp -R "$INSTALL_ROOT/dist/wheels" "$wheels" && rm "$wheels"/jenkins_proxy-* && printf %s "$stamp" >"$wheels.made"
  fi
  cp -RT "$wheels" "$INSTALL_WORK/dist/wheels"
  cp "$INSTALL_WORK"/dist/*.whl "$INSTALL_WORK/dist/wheels/"
  rm -rf "$INSTALL_ROOT/dist" && cp -R "$INSTALL_WORK/dist" "$INSTALL_ROOT/dist"
}

# A service that answers /: static busybox, and nothing else.
install_app() {
  local folder="$INSTALL_WORK/app" name
  mkdir -p "$folder/web" && echo ok >"$folder/web/index.html" && cp "$(command -v busybox)" "$folder/busybox"
  printf 'FROM scratch\nCOPY busybox /busybox\nCOPY web /web\nEXPOSE 8080\nCMD ["/busybox", "httpd", "-f", "-p", "8080", "-h", "/web"]\n' >"$folder/Dockerfile"
  docker build --quiet --tag "$INSTALL_NAME" "$folder" >/dev/null 2>&1
  for name in machine agent image; do
    mkdir -p "$INSTALL_ROOT/srv/$name"
    printf 'services:\n  app:\n    image: %s\n    init: true\n    ports: ["8080"]\n    environment: {SERVICE_NAME: %s}\n' \
      "$INSTALL_NAME" "$INSTALL_NAME-$name" >"$INSTALL_ROOT/srv/$name/docker-compose.yml"
  done
}

install_ports() {
  ENTRY=127.0.0.1:$(install_free_port) API=127.0.0.1:$(install_free_port) REGISTRY=127.0.0.1:$(install_free_port)
  SERVE_OPTIONS="--bind $ENTRY --listen $API --registry-listen $REGISTRY"
  DEPLOY_OPTIONS="--proxy http://$API --consul http://$REGISTRY --entry http://$ENTRY"
}

# install_head NAME: what a user of the service gets.
install_head() {
  printf '$ curl -I http://%s/ -H "Host: %s.example.com"\n' "$ENTRY" "$1"
  curl --silent --show-error --max-time 10 -I "http://$ENTRY/" -H "Host: $1.example.com" | tee "$INSTALL_WORK/head" | head -4
  head -1 "$INSTALL_WORK/head" | grep -q ' 200 ' || parts_die "$1: no 200"
}

install_machine() {
  local me=/opt/jenkins-proxy/bin/jenkins-proxy gid
  install_ports
  # Docker's package makes it.
  gid=$(stat -c %g /var/run/docker.sock)
  install_in sh -c "getent group docker || groupadd --system --gid $gid docker" >/dev/null
  install_begin 'A machine'
  install_run python3 -m venv /opt/jenkins-proxy
  install_run /opt/jenkins-proxy/bin/pip install --quiet --no-index --find-links /dist/wheels 'jenkins-proxy[serve]'
  install_run $me setup
  # A user writes this before the first start, or never.
  echo "JENKINS_PROXY_SERVE_OPTIONS=$SERVE_OPTIONS" >>"$INSTALL_ROOT/etc/jenkins-proxy/environment"
  install_start
  install_deploy machine "$me"
  install_head machine
  install_took 'a machine'

  # The same daemon serves what an agent without pip deploys.
  install_begin 'An agent of Jenkins'
  install_deploy agent python3 -I -S "/dist/$(cd "$INSTALL_WORK/dist" && ls -- *.pyz)"
  install_head agent
  install_took 'an agent'

  install_say 'Again, and back'
  install_run $me setup
  kill "$INSTALL_DAEMON" && wait "$INSTALL_DAEMON" 2>/dev/null || true
  install_head machine
  install_in $me setup --undo && parts_die 'changed settings were taken away without a word' || true
  install_run $me setup --undo --purge
  ! install_in sh -c 'ls -d /etc/jenkins-proxy /var/lib/jenkins-proxy /etc/systemd/system/jenkins-proxy.service; id jenkins-proxy' 2>/dev/null \
    || parts_die 'something is left'
  ! curl --silent --max-time 2 "http://$ENTRY/" || parts_die 'HAProxy goes on'
}

install_run() { printf '$ %s\n' "$*"; install_in "$@"; }

# The unit's ExecStart by hand: its settings, user, groups, capability and no new rights.
install_start() {
  local unit="$INSTALL_ROOT/etc/systemd/system/jenkins-proxy.service" command line words=()
  command=$(sed -n 's/^ExecStart=//p' "$unit")
  while IFS= read -r line; do words+=("$line"); done < <(grep -E '^[A-Z_]+=' "$INSTALL_ROOT/etc/jenkins-proxy/environment")
  grep -q '^SupplementaryGroups=docker' "$unit" || parts_die 'the unit may not use the engine, which is the registry'"'"'s source'
  # Not by install_in, whose process would be a shell of ours, and not the daemon.
  chroot "$INSTALL_ROOT" env -i "${INSTALL_ENV[@]}" HOME=/var/lib/jenkins-proxy "${words[@]}" sh -c "umask 0027; exec setpriv --reuid jenkins-proxy --regid jenkins-proxy --groups docker \
    --inh-caps=-all,+net_bind_service --ambient-caps=+net_bind_service --bounding-set=-all,+net_bind_service --no-new-privs \
    $command" >"$INSTALL_WORK/daemon.log" 2>&1 &
  INSTALL_DAEMON=$!
  install_wait "$INSTALL_WORK/daemon.log"
}

install_wait() {
  for _ in $(seq 300); do
    ! curl --silent --fail --max-time 2 "http://$API/readyz" >/dev/null || return 0
    sleep 0.1
  done
  tail -5 "$1" >&2
  parts_die 'the daemon does not get ready'
}

# install_deploy NAME PROGRAM… deploys the service of that name there.
install_deploy() {
  local name=$1; shift
  printf '$ %s deploy %s\n' "$*" "$name"
  # shellcheck disable=SC2086  # words
  install_in "$@" deploy "$INSTALL_NAME-$name" -f "/srv/$name/docker-compose.yml" --path / --domain "$name.example.com" $DEPLOY_OPTIONS >/dev/null
}

install_image() {
  local top=$1 base="$INSTALL_NAME-base" image="$INSTALL_NAME-image" common
  install_import "$INSTALL_DIR/$INSTALL_RELEASE" "$base"
  install_ports
  install_begin 'An image'
  docker build --network none --quiet --build-arg BASE="$base" \
    --tag "$image" --file "$top/resources/environments/image/Dockerfile" "$INSTALL_WORK/dist" 2>/dev/null
  common=(--network host --group-add "$(stat -c %g /var/run/docker.sock)" --volume /var/run/docker.sock:/var/run/docker.sock)
  # shellcheck disable=SC2086  # words
  docker run --detach --init --name "$INSTALL_NAME" "${common[@]}" "$image" \
    serve --stop-haproxy --state-dir /var/lib/jenkins-proxy $SERVE_OPTIONS >/dev/null
  docker logs --follow "$INSTALL_NAME" >"$INSTALL_WORK/daemon.log" 2>&1 &
  install_wait "$INSTALL_WORK/daemon.log"
  # As resources/jenkins_proxy/jenkins/step.sh has it.
  # shellcheck disable=SC2086  # words
  docker run --rm --init --entrypoint python3 --user 65534:65534 --env HOME=/tmp "${common[@]}" \
    --volume "$INSTALL_ROOT/srv/image:/srv/image" "$image" -m jenkins_proxy deploy "$INSTALL_NAME-image" \
    -f /srv/image/docker-compose.yml --path / --domain image.example.com $DEPLOY_OPTIONS >/dev/null
  install_head image
  install_took 'an image'
  docker image inspect --format 'image: {{.Size}} bytes, user {{.Config.User}}' "$image"
}

# pipx and systemd on a machine of hosts.sh, with a Consul and a service in it.
install_systemd() {
  local wheels="$INSTALL_DIR/wheels-bookworm" stamp host
  HOSTS='alone=10.100.50.50' host=10.100.50.50
  hosts_up || parts_die 'no machine with systemd'
  install_say 'A machine with systemd: its packages'
  hosts_ssh $host mkdir -p /dist /etc/consul
  tar -c -C "$INSTALL_WORK/dist" --exclude=./wheels . | hosts_ssh $host tar -x -C /dist
  hosts_ssh $host 'cat >/usr/local/bin/consul && chmod 755 /usr/local/bin/consul' <"$(command -v consul)"
  stamp=$(cksum <"$1/pyproject.toml")
  if [ "$(cat "$wheels.made" 2>/dev/null)" = "$stamp" ]; then tar -c -C "$wheels" . | hosts_ssh $host 'mkdir /dist/wheels && tar -x -C /dist/wheels'; fi
  hosts_ssh $host bash -es >"$INSTALL_WORK/systemd.log" 2>&1 <<'END' || { tail -30 "$INSTALL_WORK/systemd.log" >&2; parts_die 'no packages'; }
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends busybox-static curl haproxy pipx
systemctl disable --now haproxy
# pipx brings its own pip.
if [ ! -d /dist/wheels ]; then
  python3 -m venv /tmp/v
  # Debian 12's own pip builds what is no wheel yet with what is there.
  /tmp/v/bin/pip install -q wheel
  /tmp/v/bin/pip wheel -q -w /dist/wheels pip setuptools wheel "$(ls /dist/*.whl)[serve]"
  rm -rf /tmp/v /dist/wheels/jenkins_proxy-*
fi
printf '[Service]\nExecStart=/usr/local/bin/consul agent -dev\n' >/etc/systemd/system/consul.service
printf '[Service]\nExecStart=/usr/bin/busybox httpd -f -p 127.0.0.1:9099 -h /dist\n' >/etc/systemd/system/web.service
systemctl daemon-reload && systemctl start consul web
until curl -sf 127.0.0.1:8500/v1/status/leader | grep -q :; do sleep 0.2; done
curl -sf -X PUT 127.0.0.1:8500/v1/agent/service/register -d '{"Name": "web", "Address": "127.0.0.1", "Port": 9099}'
END
  if [ "$(cat "$wheels.made" 2>/dev/null)" != "$stamp" ]; then
    rm -rf "$wheels" && mkdir -p "$wheels" && hosts_ssh $host tar -c -C /dist/wheels . | tar -x -C "$wheels" && printf %s "$stamp" >"$wheels.made"
  fi
  install_begin 'A machine with systemd'
  # shellcheck disable=SC2016  # for the shell there
  hosts_ssh $host bash -es <<'END' || parts_die 'the machine with systemd'
export PIPX_HOME=/opt/pipx PIPX_BIN_DIR=/usr/local/bin PIP_NO_INDEX=1 PIP_FIND_LINKS=/dist/wheels
typed() { printf '$ %s\n' "$*"; eval "$*"; }
typed "pipx install '$(ls /dist/*.whl)[serve]' 2>/tmp/pipx" || { tail -5 /tmp/pipx; exit 1; }
typed 'jenkins-proxy setup --consul http://127.0.0.1:8500'
for i in $(seq 300); do curl -sf 127.0.0.1:8081/readyz >/dev/null && break; sleep 0.1; done
typed 'jenkins-proxy reconfigure web --path / --check-path /SHA256SUMS 2>&1 >/dev/null | tail -1'
typed 'curl -sI http://127.0.0.1/SHA256SUMS | head -1' | tee /tmp/head
grep -q ' 200 ' /tmp/head
END
  install_took 'a machine with systemd'
  # shellcheck disable=SC2016
  hosts_ssh $host bash -es <<'END' || parts_die 'the unit under systemd'
typed() { printf '$ %s\n' "$*"; eval "$*"; }
typed 'systemd-analyze verify jenkins-proxy.service'
typed 'systemd-analyze security --no-pager jenkins-proxy.service | tail -1'
# Users, while it is restarted, and while it is killed.
{ bad=0 all=0; until [ -e /tmp/enough ]; do all=$((all + 1)); curl -sf -o /dev/null --max-time 5 127.0.0.1/SHA256SUMS || bad=$((bad + 1)); done; echo "$all requests, $bad failed"; } >/tmp/users &
up() { for i in $(seq 300); do curl -sf 127.0.0.1:8081/readyz >/dev/null && return; sleep 0.1; done; return 1; }
typed 'systemctl restart jenkins-proxy'; up
typed 'systemctl kill --signal=KILL --kill-who=main jenkins-proxy'; sleep 1; up
typed 'systemctl show --property=NRestarts jenkins-proxy'
touch /tmp/enough; wait
typed 'cat /tmp/users'
grep -q ', 0 failed' /tmp/users
typed 'journalctl --rotate'
systemctl restart jenkins-proxy; up
typed 'journalctl -u jenkins-proxy -o cat | tail -1'
typed 'jenkins-proxy setup'
typed 'jenkins-proxy setup --undo --purge'
! systemctl cat jenkins-proxy >/dev/null 2>&1
! curl -s --max-time 2 127.0.0.1/
! id jenkins-proxy 2>/dev/null
END
  hosts_down || true
}

# compose/docker-compose.yml on an engine of its own, with all ports as they stand there: no image is pulled.
install_laptop() {
  local war=${INSTALL_JENKINS_WAR:-} root="$INSTALL_DIR/$INSTALL_RELEASE-jenkins" work="$INSTALL_WORK/laptop" compose
  [ -n "$war" ] || { install_say 'NOT RUN: the laptop: give INSTALL_JENKINS_WAR and INSTALL_JENKINS_PLUGINS'; return; }
  install_debian "$root" busybox-static,ca-certificates,curl,default-jre-headless,docker-cli,docker-compose,fontconfig,git,libharfbuzz0b,python3
  CLUSTER_NAME=jp-laptop CLUSTER_NET=10.78.78 CLUSTER_DIR="$work/cluster"
  . "$1/resources/environments/cluster.sh"
  mkdir -p "$work"
  cluster_up 1 noswarm || parts_die 'no engine for the laptop'
  local -x DOCKER_HOST
  DOCKER_HOST=$(cluster_host 1)
  # What the images of others bring: Debian, Consul, and Jenkins as the official image has it.
  install_import "$INSTALL_DIR/$INSTALL_RELEASE" laptop-debian
  install_import "$root" laptop-java
  mkdir -p "$work/consul" "$work/jenkins/plugins"
  cp "$(command -v consul)" "$work/consul/consul"
  printf 'FROM laptop-debian\nCOPY consul /usr/bin/consul\nENTRYPOINT ["consul"]\n' | install_build laptop-consul "$work/consul"
  cp "$war" "$work/jenkins/jenkins.war"
  cp "${INSTALL_JENKINS_PLUGINS:?}"/*.jpi "$work/jenkins/plugins/"
  install_build laptop-jenkins "$work/jenkins" <<'END'
FROM laptop-java
ENV JENKINS_HOME=/var/jenkins_home
COPY jenkins.war /usr/share/jenkins/jenkins.war
COPY plugins /usr/share/jenkins/ref/plugins
VOLUME /var/jenkins_home
ENTRYPOINT ["sh", "-c", "mkdir -p $JENKINS_HOME/plugins && cp -n /usr/share/jenkins/ref/plugins/* $JENKINS_HOME/plugins/; exec java $JAVA_OPTS -jar /usr/share/jenkins/jenkins.war"]
END
  # On a branch, as Jenkins fetches branches: this checkout may be on none.
  git clone --quiet --no-hardlinks --config advice.detachedHead=false "$1" "$work/checkout"
  git -C "$work/checkout" checkout --quiet -B main
  cp -R "$INSTALL_WORK/dist" "$work/checkout/dist"

  install_begin 'A laptop'
  local -x JENKINS_PROXY_TOKEN JENKINS_PASSWORD LIBRARY_VERSION HOST_IP=172.29.0.1
  local -x CONSUL_IMAGE=laptop-consul JENKINS_PROXY_BASE=laptop-debian JENKINS_BASE=laptop-jenkins
  JENKINS_PROXY_TOKEN=$(head -c 32 /dev/urandom | sha256sum | cut -c1-64) JENKINS_PASSWORD=$(head -c 16 /dev/urandom | sha256sum | cut -c1-32)
  LIBRARY_VERSION=$(git -C "$work/checkout" rev-parse HEAD)
  compose=(docker compose --project-directory "$work/checkout/resources/environments/compose" -f "$work/checkout/resources/environments/compose/docker-compose.yml")
  printf '$ docker compose -f resources/environments/compose/docker-compose.yml up -d --build\n'
  "${compose[@]}" up -d --build >"$work/log" 2>&1 || { tail -5 "$work/log" >&2; parts_die 'compose'; }
  install_took 'a laptop, until all of it is up'
  "${compose[@]}" wait seed >/dev/null
  docker logs jenkins-proxy-seed-1 2>&1 >/dev/null
  printf '$ docker compose -f … run --rm seed seed --build books-ms --follow\n'
  "${compose[@]}" run --rm -T seed seed --build books-ms --follow 2>&1 | tee "$work/build" \
    | grep -E '\[books-ms\]|\] \* |Loading library|Running on|Finished'
  grep -q 'SUCCESS' "$work/build" || { tail -30 "$work/build" >&2; parts_die 'the laptop: no green build'; }
  printf '$ curl -I http://localhost/api/v1/books\n'
  nsenter --net=/var/run/netns/jp-laptop-1 curl -sI --max-time 10 http://localhost/api/v1/books | tee "$work/head" | head -1
  head -1 "$work/head" | grep -q ' 200 ' || parts_die 'the laptop: no 200'
  install_took 'a laptop'
  cluster_down || true
}

# install_build IMAGE FOLDER builds what standard input says.
install_build() { docker build --quiet --network none --tag "$1" --file - "$2" >/dev/null; }

# Takes down what this run has made, also when it is broken off.
install_leave() {
  local pid container
  # Whatever of it fails, the rest goes, too.
  [ ! -d "$INSTALL_WORK/laptop/cluster" ] || cluster_down || true
  [ -z "$matrix_name" ] || hosts_down || true
  [ -z "${INSTALL_DAEMON:-}" ] || kill "$INSTALL_DAEMON" 2>/dev/null || true
  for pid in $(cat "$INSTALL_WORK"/root/var/lib/jenkins-proxy/haproxy/haproxy.pid 2>/dev/null); do kill "$pid" 2>/dev/null || true; done
  docker rm --force "$INSTALL_NAME" >/dev/null 2>&1 || true
  for container in $(docker ps --all --quiet --filter "ancestor=$INSTALL_NAME"); do docker rm --force "$container" >/dev/null 2>&1 || true; done
  for container in machine agent image; do docker network rm "$INSTALL_NAME-${container}_default" >/dev/null 2>&1 || true; done
  docker image rm --force "$INSTALL_NAME-image" "$INSTALL_NAME-base" "$INSTALL_NAME" >/dev/null 2>&1 || true
  if mountpoint --quiet "$INSTALL_WORK/root"; then
    umount "$INSTALL_WORK/root/run/docker.sock" "$INSTALL_WORK/root/proc" 2>/dev/null || true
    umount --recursive --lazy "$INSTALL_WORK/root/dev" 2>/dev/null || true
    umount --lazy "$INSTALL_WORK/root" || true
  fi
  # Never into something that is still mounted.
  mountpoint --quiet "$INSTALL_WORK/root" || rm -rf --one-file-system "$INSTALL_WORK"
}
