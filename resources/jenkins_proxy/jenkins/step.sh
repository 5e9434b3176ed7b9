set +x
# What vars/jenkinsProxy.groovy runs on the agent: it finds jenkins-proxy in the library's version and becomes it.
# All values come from the environment, so this text is the same for every build. stderr is the console. stdout is the
# answer in key=value lines (jenkins_proxy/cli/jenkins_step/run.py), failures included: Jenkins drops the stdout of a
# script whose exit code is not 0. POSIX sh only.

version=$JENKINS_PROXY_VERSION
directory=$PWD
cache=${JENKINS_PROXY_CACHE:-${HOME:-$directory}/.cache/jenkins-proxy}
spec=${JENKINS_PROXY_PIP_SPEC:-jenkins-proxy==$version}
image=${JENKINS_PROXY_IMAGE:-}
python=${JENKINS_PROXY_PYTHON:-python3}
venv=$cache/$version
mismatch=
# The folder for reports, of which those of the last week stay.
reports=${JENKINS_PROXY_REPORTS:-}
case $python in
    /*) ;;
    */*) python=$directory/$python ;;
esac
# A wheel or a folder of wheels may be relative to the workspace; a requirement or a URL is no file.
[ ! -e "$directory/$spec" ] || spec=$directory/$spec
export PYTHONUNBUFFERED=1 PYTHONUTF8=1
# Python imports from the working directory first, and must not find a jenkins_proxy or json.py of the workspace.
cd /

say() {
    printf '[jenkins-proxy]%s * %s\n' "${JENKINS_PROXY_SERVICE:+ [$JENKINS_PROXY_SERVICE]}" "$1" >&2
}

prepare_reports() {
    [ -n "$reports" ] || return 0
    mkdir -p -- "$reports" 2>/dev/null || :
    find "$reports" -name 'jenkins-proxy-*' -type f -mtime +6 -exec rm -f {} + 2>/dev/null || :
}

fail() {
    printf 'exit=2\nreason=%s; jenkins-proxy %s reaches agent %s in one of three ways: %s; %s; %s\n' \
        "$(printf %s "${mismatch:+$mismatch; }$1" | tr '\n' ' ')" "$version" "${NODE_NAME:-(no name)}" \
        "installed there (pip install jenkins-proxy==$version)" \
        "in a container (image: with jenkins-proxy $version in it)" \
        "from pipSpec: (with Python 3.11 or newer and its venv module)"
    exit 0
}

# For a program that failed. When a build is aborted, Jenkins stops the youngest processes first: then the signal for
# this script follows, and the program is not the cause.
fail_unless_stopped() {
    sleep 1
    fail "$1"
}

# For what has another jenkins-proxy than the library's. $1: what it is; $2: the version that it names; $3: what to say
# where it names none.
fail_mismatched() {
    case $2 in
        '' | *[!0-9A-Za-z.+-]*) fail_unless_stopped "$1 $3" ;;
        *) fail_unless_stopped "$1 has jenkins-proxy $2, and this library is $version: \
load @Library('jenkins-proxy@$2'), or give it jenkins-proxy $version" ;;
    esac
}

# The version of jenkins-proxy that a Python has; nothing when it has none.
version_of() {
    printed=$("$1" -m jenkins_proxy --version 2>/dev/null) || :
    case $printed in
        '' | *[!0-9A-Za-z.+-]*) ;;
        *) printf %s "$printed" ;;
    esac
}

# Whether a Python has jenkins-proxy in the library's version.
has_jenkins_proxy() {
    [ "$(version_of "$1")" = "$version" ]
}

# $@: the command that starts Python. exec, because the signal of an aborted build must reach jenkins-proxy itself:
# Jenkins then waits until it has cleaned up.
start() {
    say "jenkins-proxy $version: $1"
    shift
    export JENKINS_PROXY_STEP="$directory"
    exec "$@" "$JENKINS_PROXY_COMMAND"
}

in_image() {
    command -v docker >/dev/null || fail "image $image is asked for, and there is no docker program"
    # The container runs on the agent's own engine, where the workspace is; DOCKER_HOST is where it deploys to.
    engine=unix:///var/run/docker.sock
    case ${DOCKER_HOST:-} in unix://*) engine=$DOCKER_HOST ;; esac
    set -- --rm --init --entrypoint python3 --workdir / --network host --user "$(id -u):$(id -g)" --env HOME=/tmp
    # Otherwise docker run would use TLS for the agent's own engine, too.
    [ -z "${DOCKER_TLS_VERIFY:-}" ] || set -- "$@" --env "DOCKER_TLS_VERIFY=$DOCKER_TLS_VERIFY"
    unset DOCKER_TLS_VERIFY
    found=$(docker --host "$engine" run "$@" -- "$image" -m jenkins_proxy --version) || found=
    [ "$found" = "$version" ] ||
        fail_mismatched "image $image" "$found" 'answers nothing to python3 -m jenkins_proxy --version'

    socket=${engine#unix://}
    [ ! -S "$socket" ] || set -- "$@" --volume "$socket:$socket" --group-add "$(stat -c %g "$socket")"
    mounted=:
    for folder in "$directory" "${WORKSPACE:-}" "${WORKSPACE_TMP:-}" "$reports" "${DOCKER_CERT_PATH:-}"; do
        case $mounted in *":$folder:"*) continue ;; esac
        [ ! -d "$folder" ] || set -- "$@" --volume "$folder:$folder"
        mounted=$mounted$folder:
    done
    # By name, so that no value appears in the list of processes; all, because compose files use the caller's variables.
    names=$(awk 'BEGIN { for (name in ENVIRON) if (name ~ /^[A-Za-z_][A-Za-z0-9_]*$/) print name }')
    for name in JENKINS_PROXY_STEP $names; do
        case $name in
            # What belongs to the agent, and the variable by which Jenkins finds a build's processes: docker run
            # forwards the signal.
            PATH | HOME | HOSTNAME | PWD | OLDPWD | SHLVL | TMPDIR | _ | LD_* | DOCKER_CON*) ;;
            PYTHONHOME | PYTHONPATH | VIRTUAL_ENV | JENKINS_SERVER_COOKIE) ;;
            *) set -- "$@" --env "$name" ;;
        esac
    done
    start "image $image" docker --host "$engine" run "$@" -- "$image" -m jenkins_proxy
}

# jenkins-proxy as one file, which needs neither pip nor venv. -I -S: no package of the agent's reaches it.
as_zipapp() {
    source=${spec%%#*}
    checksum=${spec#"$source"}
    case ${checksum#'#sha256='} in
        '') [ -z "$checksum" ] || fail "$spec: there is no checksum behind #sha256=" ;;
        *[!0-9A-Fa-f]*) fail "$spec: behind the file only #sha256= and a checksum in hex may follow" ;;
    esac
    checksum=${checksum#'#sha256='}
    file=$source
    case $source in
        http://* | https://*)
            [ -n "$checksum" ] || fail "$source comes by the network: append #sha256= and its checksum to pipSpec"
            mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ] || fail "nothing can be written to $cache"
            file=$cache/$version-$checksum.pyz
            [ -e "$file" ] || say "fetching $source"
            ;;
        /*) ;;
        *) file=$directory/$source ;;
    esac
    problem=$("$python" -I -S -c '
import hashlib, os, sys, urllib.request
source, file, checksum = sys.argv[1:]
def right(content):
    return not checksum or hashlib.sha256(content).hexdigest() == checksum.lower()
try:
    content = open(file, "rb").read() if os.path.exists(file) or "://" not in source else b""
    if not right(content) and "://" in source:
        content = urllib.request.urlopen(source, timeout=60).read()
        if right(content):
            # In one step: another build may start it at any time.
            with open("%s.%d" % (file, os.getpid()), "wb") as fresh:
                fresh.write(content)
            os.replace(fresh.name, file)
    if not right(content):
        print("its checksum is", hashlib.sha256(content).hexdigest())
except (OSError, ValueError) as error:
    print(error)
' "$source" "$file" "$checksum") || problem="$python cannot look at it"
    [ -z "$problem" ] || fail "$source: $problem"
    found=$("$python" -I -S "$file" --version) || found=
    [ "$found" = "$version" ] || fail_mismatched "$source" "$found" 'is no jenkins-proxy'
    start "$file" "$python" -I -S -u -X utf8 "$file"
}

# Creates the virtual environment beside $cache/$version and moves it there in one step: it is complete or absent.
create_venv() {
    fresh=$(mktemp -d "$cache/fresh.XXXXXX")
    trap 'rm -rf "$fresh"' EXIT
    trap 'exit 143' TERM INT
    say "filling $venv from $spec"
    "$python" -m venv "$fresh/venv" >&2 ||
        fail_unless_stopped "$python -m venv failed (on Debian: apt-get install python3-venv)"
    set -- "$fresh/venv/bin/python" -m pip install --quiet --no-input --disable-pip-version-check
    if [ -d "$spec" ] && [ ! -e "$spec/pyproject.toml" ]; then
        set -- "$@" --no-index --find-links "$spec" "jenkins-proxy==$version"
    else
        set -- "$@" -- "$spec"
    fi
    "$@" >&2 || fail_unless_stopped "pip could not install $spec"
    found=$("$fresh/venv/bin/python" -m jenkins_proxy --version) || found=
    [ "$found" = "$version" ] || fail_mismatched "$spec" "$found" 'is no jenkins-proxy'
    # After an upgrade of Python an old venv may no longer start: move it away.
    [ ! -e "$venv" ] || has_jenkins_proxy "$venv/bin/python" || mv "$venv" "$fresh/broken"
    # Not mv: it would move into a venv that another build has put there meanwhile.
    "$python" -c 'import os, sys; os.rename(*sys.argv[1:])' "$fresh/venv" "$venv" 2>/dev/null ||
        has_jenkins_proxy "$venv/bin/python" || fail "$venv cannot be written"
    rm -rf "$fresh"
    trap - EXIT TERM INT
}

prepare_reports
other=$(version_of "$python")
if [ "$other" = "$version" ]; then
    start "installed on ${NODE_NAME:-this agent}" "$python" -m jenkins_proxy
fi
[ -z "$image" ] || in_image
if [ -n "$other" ]; then
    mismatch="$(command -v "$python") has jenkins-proxy $other, and this library is $version: \
load @Library('jenkins-proxy@$other'), or install jenkins-proxy==$version there"
    say "$mismatch"
fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    fail "$python is not a Python 3.11 or newer"
case ${spec%%#*} in *.pyz) as_zipapp ;; esac
if ! has_jenkins_proxy "$venv/bin/python"; then
    mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ] || fail "nothing can be written to $cache"
    # Of parallel branches one fills it and the others wait. Without flock each does, and the first to finish wins.
    {
        ! command -v flock >/dev/null || flock -n 9 || { say "waiting for $venv, which another build fills"; flock 9; }
        has_jenkins_proxy "$venv/bin/python" || create_venv
    } 9>"$cache/$version.lock"
fi
start "$venv" "$venv/bin/python" -m jenkins_proxy
