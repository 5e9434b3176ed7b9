# Each way to install, tried from empty to the first 200: a machine with `jenkins-proxy setup`, an agent with the zipapp, and
# the image; on a fresh Debian made by debootstrap, and offline once its packages are there. Sourced by tests/run; needs
# root and Docker.
#
#   install TOP   INSTALL_RELEASE=trixie   INSTALL_DIR, where the base is kept
#
# What is not tried: systemd itself. The unit's own command runs, as its user, with its groups and its one capability.

INSTALL_RELEASE="${INSTALL_RELEASE:-trixie}"
INSTALL_DIR="${INSTALL_DIR:-$PARTS_CACHE/install}"
INSTALL_NAME="jp-install-$$"
INSTALL_STARTED=0

install_say() { printf '\n[install] %s\n' "$*"; }
install_begin() { install_say "$*"; INSTALL_STARTED=$(date +%s%N); }
install_took() { printf '[install] TIME %s: %s s\n' "$1" "$(awk "BEGIN { printf \"%.1f\", ($(date +%s%N) - $INSTALL_STARTED) / 1e9 }")"; }
install_free_port() { "$(parts_python)" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

install() {
  local top=$1
  [ "$(id -u)" -eq 0 ] || parts_die 'tests/run install: only root can make and enter another root'
  parts_apt debootstrap busybox=busybox-static curl setpriv=util-linux
  INSTALL_WORK=$(mktemp -d "${TMPDIR:-/tmp}/jp-install.XXXXXX")
  trap 'install_leave; parts_stop' EXIT
  install_base
  bash "$top/resources/release/run" --no-image --out "$INSTALL_WORK/dist"
  install_wheels "$top"
  install_app
  install_machine
  install_image "$top"
  install_say 'every way has led to a 200'
}

# The release's Debian, with what the ways ask for: Python, HAProxy, Docker's CLI and compose.
install_base() {
  local root="$INSTALL_DIR/$INSTALL_RELEASE" mirror
  if [ ! -e "$root.made" ]; then
    mirror=$(apt-get indextargets --format '$(ORIGIN) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' | sed -n 's/^Debian main //p' | sed -n 1p)
    [ -n "$mirror" ] || parts_die 'no Debian mirror in this machine'"'"'s apt sources'
    rm -rf "$root" && mkdir -p "$INSTALL_DIR"
    install_say "making a root of $INSTALL_RELEASE in $root"
    debootstrap --variant=minbase --include=ca-certificates,curl,docker-cli,docker-compose,haproxy,python3,python3-venv \
      "$INSTALL_RELEASE" "$root" "$mirror" >"$root.log" 2>&1 || { tail -3 "$root.log" >&2; parts_die 'debootstrap failed'; }
    touch "$root.made"
  fi
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
  tar -C "$INSTALL_DIR/$INSTALL_RELEASE" --exclude='./proc/*' --exclude='./sys/*' --exclude='./dev/*' \
    --exclude='./var/cache/apt/archives/*.deb' --exclude='./var/lib/apt/lists/*' -c . | docker import - "$base" >/dev/null
  install_ports
  install_begin 'An image'
  docker build --network none --quiet --build-arg BASE="$base" --build-arg PIP_NO_INDEX=1 --build-arg PIP_FIND_LINKS=/dist/wheels \
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

# Takes down what this run has made, also when it is broken off.
install_leave() {
  local pid container
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
