# The real parts (Docker Engine, compose v1 and v2, HAProxy, Consul …) for the demo, the tests and the
# benchmarks. Sourced, never run. Everything it starts is remembered by process id and stopped by
# `parts_stop`; what was already running is used and left alone.
#
# Debian 12 as root is what this is tried on. Elsewhere install the parts by your own means: nothing is
# installed whose command is already there.

PARTS_CACHE="${JENKINS_PROXY_PARTS:-${XDG_CACHE_HOME:-$HOME/.cache}/jenkins-proxy/parts}"
PARTS_PIDS=()
mkdir -p "$PARTS_CACHE/bin"
export PATH="$PARTS_CACHE/bin:$PATH"

parts_say() { printf '[parts] %s\n' "$*" >&2; }
parts_die() { printf '[parts] ERROR: %s\n' "$*" >&2; exit 1; }

# parts_apt PACKAGE… installs those that dpkg does not have yet.
parts_apt() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  [ "$(id -u)" -eq 0 ] || parts_die "not root, and missing: ${missing[*]}; install them and run again"
  command -v apt-get >/dev/null || parts_die "no apt-get here, and missing: ${missing[*]}; install them and run again"
  parts_say "installing ${missing[*]}"
  # A fresh machine may have no package lists, and an old one stale lists: update once, only when needed.
  { DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
    || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; }
  } >"$PARTS_CACHE/apt.log" 2>&1 </dev/null || { tail -5 "$PARTS_CACHE/apt.log" >&2; parts_die "apt-get could not install ${missing[*]}"; }
}

# parts_foreign_deb SUITE PACKAGE FILE DEST takes one file out of another Debian suite's package, through this
# machine's own mirror and signature checks, with package lists of its own: the machine's apt stays as it is.
parts_foreign_deb() {
  local suite=$1 package=$2 file=$3 dest=$4 work mirror
  [ -x "$dest" ] && return 0
  # As apt itself reads them, in whichever files and forms: the mirror of this release's main component.
  mirror=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' \
    | sed -n "s/^$(. /etc/os-release && echo "$VERSION_CODENAME") main //p" | sed -n 1p)
  [ -n "$mirror" ] || parts_die "no Debian mirror in this machine's apt sources: put $package's $file at $dest yourself"
  parts_say "fetching $package from Debian $suite"
  work=$(mktemp -d "$PARTS_CACHE/deb.XXXXXX")
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/none" "$work/root"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$work/sources.list"
  local apt=(apt-get -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts="$work/none"
             -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root
             -o Acquire::Languages=none)
  ( cd "$work" && "${apt[@]}" update && "${apt[@]}" download "$package" && dpkg-deb -x ./*.deb root ) >"$work.log" 2>&1 </dev/null \
    || { tail -5 "$work.log" >&2; rm -rf "$work"; parts_die "could not fetch $package from Debian $suite"; }
  mkdir -p "$(dirname "$dest")"
  install -m 755 "$work/root/$file" "$dest.new.$$" && mv "$dest.new.$$" "$dest"
  rm -rf "$work" "$work.log"
}

parts_consul() { command -v consul >/dev/null || parts_foreign_deb bullseye consul usr/bin/consul "$PARTS_CACHE/bin/consul"; }

# Compose v2 is a plugin of the Docker CLI, found in the user's plugin folder.
parts_compose_v2() {
  docker compose version >/dev/null 2>&1 && return 0
  parts_foreign_deb trixie docker-compose usr/libexec/docker/cli-plugins/docker-compose "$PARTS_CACHE/compose-v2/docker-compose"
  mkdir -p "$HOME/.docker/cli-plugins"
  ln -sf "$PARTS_CACHE/compose-v2/docker-compose" "$HOME/.docker/cli-plugins/docker-compose"
  docker compose version >/dev/null 2>&1 || parts_die 'docker compose still does not answer'
}

# parts_engine starts a Docker Engine unless one answers already.
parts_engine() {
  docker version --format '{{.Server.Version}}' >/dev/null 2>&1 && return 0
  [ -z "${DOCKER_HOST:-}" ] || parts_die "DOCKER_HOST=$DOCKER_HOST does not answer; unset it to have an engine started here"
  [ "$(id -u)" -eq 0 ] || parts_die 'no Docker Engine answers and only root can start one'
  parts_say 'starting dockerd'
  # Left by an engine that was killed: dockerd refuses to start over a stale id file.
  if [ -f /var/run/docker.pid ] && ! kill -0 "$(cat /var/run/docker.pid)" 2>/dev/null; then rm -f /var/run/docker.pid; fi
  dockerd >"$PARTS_CACHE/dockerd.log" 2>&1 </dev/null &
  PARTS_PIDS+=($!)
  local i
  for i in $(seq 150); do
    docker version --format '{{.Server.Version}}' >/dev/null 2>&1 && break
    kill -0 "${PARTS_PIDS[-1]}" 2>/dev/null || { tail -5 "$PARTS_CACHE/dockerd.log" >&2; parts_die 'dockerd ended'; }
    sleep 0.2
  done
  docker version >/dev/null 2>&1 || parts_die "dockerd did not answer within 30 s: $PARTS_CACHE/dockerd.log"
}

# parts_groovy makes Debian's groovy runnable: it wants a JAVA_HOME that the package does not set.
parts_groovy() {
  parts_apt groovy default-jre-headless
  [ -x "${JAVA_HOME:-/none}/bin/java" ] || JAVA_HOME=$(dirname "$(dirname "$(readlink -f "$(command -v java)")")")
  export JAVA_HOME
}

# parts_venv DIR SPEC… makes a virtual environment with the oldest tool that works everywhere: venv and pip.
parts_venv() {
  local dir=$1; shift
  command -v python3 >/dev/null || parts_apt python3
  python3 -c 'import ensurepip, venv' 2>/dev/null || parts_apt python3-venv
  [ -x "$dir/bin/python" ] || python3 -m venv "$dir" || parts_die "could not make a virtual environment in $dir"
  "$dir/bin/python" -m pip install --quiet --disable-pip-version-check "$@" || parts_die "pip could not install: $*"
}

# parts_stop ends, newest first, what this shell started.
parts_stop() {
  local i pid
  for ((i = ${#PARTS_PIDS[@]} - 1; i >= 0; i--)); do
    pid=${PARTS_PIDS[$i]}
    kill -TERM "$pid" 2>/dev/null || continue
    for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    # One that has ended by now is no failure of the script that ends.
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  PARTS_PIDS=()
}
