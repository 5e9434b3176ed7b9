# The real parts (Docker Engine, compose v1 and v2, HAProxy, Consul …) for the demo, the tests and the
# benchmarks. Sourced, never run. Everything it starts is remembered by process id and stopped by
# `parts_stop`; what was already running is used and left alone.
#
# A command that is there is used, whoever installed it: a package is never installed over it. Missing ones are
# installed by apt-get, as root, after a line that says so. Tried on Debian 12 and 13, with Ubuntu 24.04's package
# names; elsewhere install the parts by your own means.

PARTS_CACHE="${JENKINS_PROXY_PARTS:-${XDG_CACHE_HOME:-$HOME/.cache}/jenkins-proxy/parts}"
PARTS_PIDS=()
# What this platform does not have, for the tests: a line each, `mark: why`.
export PARTS_ABSENT="${PARTS_ABSENT:-}"
mkdir -p "$PARTS_CACHE/bin"
# Debian keeps haproxy and dockerd where only root looks.
export PATH="$PARTS_CACHE/bin:$PATH:/usr/sbin:/sbin"

parts_say() { printf '[parts] %s\n' "$*" >&2; }
parts_die() { printf '[parts] ERROR: %s\n' "$*" >&2; exit 1; }
parts_has() { command -v "$1" >/dev/null 2>&1; }

# parts_lack MARK WHY notes a part that this platform does not have. Where all parts are wanted (CI), it is an error.
parts_lack() {
  [ -z "${PARTS_REQUIRED:-}" ] || parts_die "$1: $2"
  PARTS_ABSENT+="$1: $2"$'\n'
}

# parts_apt COMMAND[=PACKAGE[|PACKAGE]…]… installs what brings the commands that are not there: of several packages the
# first that this release has. All of them in one call, which is said first. No package is ever removed for it.
parts_apt() {
  local want package missing=() packages=()
  for want in "$@"; do
    parts_has "${want%%=*}" || missing+=("${want#*=}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ -z "${PARTS_NO_APT:-}" ] || parts_die "missing: ${missing[*]}"
  [ "$(id -u)" -eq 0 ] || parts_die "not root, and missing: ${missing[*]}; install them and run again"
  parts_has apt-get || parts_die "no apt-get here, and missing: ${missing[*]}; install them and run again"
  for want in "${missing[@]}"; do
    package=$(parts_package "$want") || parts_die "this release has no package ${want//|/ or }; install it and run again"
    [[ " ${packages[*]} " == *" $package "* ]] || packages+=("$package")
  done
  parts_say "installing: ${packages[*]}"
  # The lists may be stale: update once, only when needed.
  { parts_apt_get "${packages[@]}" || { apt-get update -qq && parts_apt_get "${packages[@]}"; }
  } >"$PARTS_CACHE/apt.log" 2>&1 </dev/null || { tail -5 "$PARTS_CACHE/apt.log" >&2; parts_die "apt-get could not install ${packages[*]}"; }
}

parts_apt_get() { DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends --no-remove "$@"; }

# parts_package A|B is the first of these packages that apt knows. A fresh machine has no package lists yet.
parts_package() {
  local name names lists
  IFS='|' read -ra names <<<"$1"
  for lists in old new; do
    [ "$lists" = old ] || { [ "$(id -u)" -eq 0 ] && apt-get update -qq >"$PARTS_CACHE/apt.log" 2>&1 </dev/null; } || return 1
    for name in "${names[@]}"; do
      if [ -n "$(apt-cache madison "$name" 2>/dev/null)" ]; then printf '%s\n' "$name"; return 0; fi
    done
  done
  return 1
}

# parts_offers PACKAGE: whether this release has the package.
parts_offers() { parts_has apt-cache && parts_package "$1" >/dev/null; }

# The parts_wants_… print what parts_apt has to be asked for: nothing where the part is there, whoever brought it.

# Debian 12 and Ubuntu have the CLI in docker.io, Debian 13 in a package of its own.
parts_wants_engine() {
  parts_has docker || echo 'docker=docker-cli|docker.io'
  parts_engine_answers || [ -n "${DOCKER_HOST:-}" ] || echo dockerd=docker.io
}

# Any compose, for who does not mind which.
parts_wants_compose() { parts_compose_v2_answers || parts_compose_is '[12]' || echo 'docker-compose=docker-compose-v2|docker-compose'; }

# Both: docker-compose is 1.x in Debian 12 and Ubuntu 24.04, and 2.x from Debian 13 on.
parts_wants_both_composes() {
  if ! parts_has docker-compose && parts_offers docker-compose; then echo docker-compose; fi
  if ! parts_compose_v2_answers && parts_offers docker-compose-v2; then echo no-compose-v2=docker-compose-v2; fi
}

parts_wants_python() {
  local python
  python=$(parts_python) || { echo python3.11=python3 none=python3-venv; return; }
  "$python" -c 'import ensurepip, venv' 2>/dev/null \
    || "$python" -c 'import sys; print("none=python%d.%d-venv|python3-venv" % sys.version_info[:2])'
}

# parts_foreign_deb SUITE PACKAGE FILE DEST takes one file out of another Debian suite's package, through this
# machine's own mirror and signature checks, with package lists of its own: the machine's apt stays as it is.
parts_foreign_deb() {
  local suite=$1 package=$2 file=$3 dest=$4 work mirror
  [ -x "$dest" ] && return 0
  parts_has apt-get || parts_die "no apt-get here, and missing: $package; install it and run again"
  # As apt itself reads them, in whichever files and forms: the mirror of this release's main component.
  mirror=$(apt-get indextargets --format '$(ORIGIN) $(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' \
    | sed -n "s/^Debian $(. /etc/os-release && echo "${VERSION_CODENAME:-sid}") main //p" | sed -n 1p)
  [ -n "$mirror" ] || parts_die "no Debian mirror in this machine's apt sources: put $package's $file at $dest yourself"
  parts_say "fetching $package from Debian $suite"
  work=$(mktemp -d "$PARTS_CACHE/deb.XXXXXX")
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/none" "$work/root"
  echo "deb [signed-by=$(parts_keyring)] $mirror $suite main" >"$work/sources.list"
  local apt=(apt-get -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts="$work/none"
             -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root
             -o Acquire::Languages=none)
  ( cd "$work" && "${apt[@]}" update && "${apt[@]}" download "$package" && dpkg-deb -x ./*.deb root ) >"$work.log" 2>&1 </dev/null \
    || { tail -5 "$work.log" >&2; rm -rf "$work"; parts_die "could not fetch $package from Debian $suite"; }
  mkdir -p "$(dirname "$dest")"
  install -m 755 "$work/root/$file" "$dest.new.$$" && mv "$dest.new.$$" "$dest"
  rm -rf "$work" "$work.log"
}

# Debian 13 names its keyring's file otherwise, and has the old name for a while.
parts_keyring() {
  local file
  for file in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
    if [ -e "$file" ]; then printf '%s\n' "$file"; return 0; fi
  done
}

# Debian had Consul until 11; no Ubuntu has it.
parts_consul() {
  parts_has consul && return 0
  if [ "$(. /etc/os-release && echo "$ID")" = debian ]; then
    parts_foreign_deb bullseye consul usr/bin/consul "$PARTS_CACHE/bin/consul"
  else
    parts_lack consul "$(. /etc/os-release && echo "$PRETTY_NAME") has no consul package"
  fi
}

parts_compose_is() { [[ "$(docker-compose version --short 2>/dev/null)" =~ ^v?$1\. ]]; }
parts_compose_v2_answers() { docker compose version >/dev/null 2>&1; }

parts_compose_v1() { parts_compose_is 1 || parts_lack compose_v1 "$(. /etc/os-release && echo "$PRETTY_NAME") has no docker-compose 1.x"; }

# Compose v2 is a plugin of the Docker CLI, found in the user's plugin folder.
parts_compose_v2() {
  parts_compose_v2_answers && return 0
  parts_foreign_deb trixie docker-compose usr/libexec/docker/cli-plugins/docker-compose "$PARTS_CACHE/compose-v2/docker-compose"
  mkdir -p "$HOME/.docker/cli-plugins"
  ln -sf "$PARTS_CACHE/compose-v2/docker-compose" "$HOME/.docker/cli-plugins/docker-compose"
  parts_compose_v2_answers || parts_die 'docker compose still does not answer'
}

# parts_busybox: the images are made of nothing else, so it has to run without a library.
parts_busybox() {
  ! ldd "$(command -v busybox)" >/dev/null 2>&1 || parts_die "$(command -v busybox) needs shared libraries: install busybox-static in its place"
}

parts_engine_answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

# parts_engine starts a Docker Engine unless one answers already.
parts_engine() {
  parts_has docker || parts_die 'no docker command: install the Docker CLI (Debian: docker-cli or docker.io)'
  parts_engine_answers && return 0
  local why
  why=$(docker version 2>&1 >/dev/null | tail -1) || true
  [ -z "${DOCKER_HOST:-}" ] || parts_die "DOCKER_HOST=$DOCKER_HOST does not answer ($why); unset it to have an engine started here"
  [ "$(id -u)" -eq 0 ] || parts_die "no Docker Engine answers this user ($why), and only root can start one"
  parts_has dockerd || parts_die 'no Docker Engine answers, and there is no dockerd to start (Debian: docker.io)'
  parts_say 'starting dockerd'
  # Left by an engine that was killed: dockerd refuses to start over a stale id file.
  local id_file="${PARTS_RUN:-/var/run}/docker.pid"
  if [ -f "$id_file" ] && ! kill -0 "$(cat "$id_file")" 2>/dev/null; then rm -f "$id_file"; fi
  dockerd >"$PARTS_CACHE/dockerd.log" 2>&1 </dev/null &
  PARTS_PIDS+=($!)
  local i
  for i in $(seq 150); do
    parts_engine_answers && return 0
    kill -0 "${PARTS_PIDS[-1]}" 2>/dev/null || { tail -5 "$PARTS_CACHE/dockerd.log" >&2; parts_die 'dockerd ended'; }
    sleep 0.2
  done
  tail -5 "$PARTS_CACHE/dockerd.log" >&2
  parts_die "dockerd runs, and does not answer after 30 s ($(docker version 2>&1 >/dev/null | tail -1)): $PARTS_CACHE/dockerd.log"
}

# Ubuntu's chromium is a snap, which a test cannot start.
parts_wants_chromium() { if ! parts_has chromium && parts_offers chromium; then echo chromium; fi; }
parts_chromium() { parts_has chromium || parts_lack chromium "$(. /etc/os-release && echo "$PRETTY_NAME") has no chromium package"; }

# parts_java sets the JAVA_HOME that groovy asks for and no package sets.
parts_java() {
  [ -x "${JAVA_HOME:-/none}/bin/java" ] || JAVA_HOME=$(dirname "$(dirname "$(readlink -f "$(command -v java)")")")
  export JAVA_HOME
}

# parts_python is the first Python 3.11 or newer: `python3` where that is one.
parts_python() {
  local name
  for name in python3 python3.{20..11}; do
    if parts_has "$name" && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$name"
      return 0
    fi
  done
  return 1
}

# parts_venv DIR SPEC… makes a virtual environment with the oldest tool that works everywhere: venv and pip.
parts_venv() {
  local dir=$1 python; shift
  # shellcheck disable=SC2046  # a word each
  parts_apt $(parts_wants_python)
  python=$(parts_python) || parts_die 'no Python 3.11 or newer is on the PATH'
  # One whose Python is gone, or that was broken off, is made anew.
  "$dir/bin/python" -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear "$dir" \
    || parts_die "could not make a virtual environment in $dir"
  "$dir/bin/python" -m pip install --quiet --disable-pip-version-check "$@" || parts_die "pip could not install: $*"
}

# parts_venv_once DIR TOP EXTRA is an environment with the checkout TOP in it as it is edited. What it needs is installed
# again only when pyproject.toml has changed.
parts_venv_once() {
  local dir=$1 stamp
  stamp=$(cat "$2/pyproject.toml" <(printf '%s' "$2[$3]") | cksum)
  [ "$(cat "$dir/stamp" 2>/dev/null)" = "$stamp" ] && "$dir/bin/python" -c '' 2>/dev/null && return 0
  parts_venv "$dir" -e "$2[$3]"
  printf '%s\n' "$stamp" >"$dir/stamp"
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
