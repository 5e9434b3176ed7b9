# The machines of an inventory, set up by the playbook of ansible/: by default the article's four, on which what the article
# types is typed. The playbook is run by ssh, twice. Sourced by tests/run after matrix.sh and hosts.sh; needs root, some 4 GB
# and a quarter of an hour.
#
#   machines TOP           all of it; HOSTS_KEEP=1 leaves the machines up, and `hosts_down` takes them down
#   HOSTS_INVENTORY        another inventory, with addresses below 10.100.0.0/16: tests/environments/other.ini has one
#   HOSTS_JENKINS_WAR      a jenkins.war, and HOSTS_JENKINS_PLUGINS a folder of plugins (*.jpi): those of jenkins_plugins
#                          in ansible/group_vars/all.yml, and what they need. The article's jobs are built then.
#                          Without them a stand-in answers on Jenkins' port, which the results say.
#   HOSTS_SWARM            the program swarm 1.2.9: the machines become a classic Swarm afterwards.

machines() {
  local top=$1 ours="$1/resources/environments/ansible/inventory.ini" status=0
  [ "$(id -u)" -eq 0 ] || parts_die 'tests/run machines: only root can make and enter other roots'
  parts_apt debootstrap ansible-playbook=ansible-core ssh=openssh-client openssl ip=iproute2 iptables git
  parts_consul
  machines_inventory=$(realpath "${HOSTS_INVENTORY:-$ours}") || parts_die 'tests/run machines: HOSTS_INVENTORY is no file'
  HOSTS=$(machines_named '' "$machines_inventory" | xargs)
  machines_jenkins=$(machines_first jenkins_server)
  trap 'hosts_down || true; parts_stop' EXIT
  hosts_up && machines_play "$top" || status=1
  if [ "$status" -eq 0 ] && [ "$machines_inventory" = "$(realpath "$ours")" ]; then
    machines_article "$top" && machines_classic "$top" || status=1
  elif [ "$status" -eq 0 ]; then
    machines_own "$top" || status=1
  fi
  if [ -n "${HOSTS_KEEP:-}" ]; then trap parts_stop EXIT; parts_say "left up: nsenter --net=/var/run/netns/$hosts_world"; else hosts_down || true; fi
  return "$status"
}

# machines_named GROUP FILE prints NAME=ADDRESS of each machine of that group; with an empty GROUP of all.
machines_named() {
  awk -v wanted="$1" '
    /^ *(#|$)/ { next }
    /^\[/ { group = $0; gsub(/[][]/, "", group); next }
    group ~ /:/ { next }
    { for (i = 2; i <= NF; i++) if ($i ~ /^address=/) { address[$1] = substr($i, 9); order[++count] = $1 }
      if (group == wanted) order_of[++members] = $1 }
    END { if (wanted == "") for (i = 1; i <= count; i++) print order[i] "=" address[order[i]]
          else for (i = 1; i <= members; i++) print order_of[i] "=" address[order_of[i]] }' "$2"
}

# machines_first GROUP is the address of its first machine.
machines_first() { machines_named "$1" "$machines_inventory" | sed -n '1s/.*=//p'; }

# machines_playbook TOP ARGUMENT… runs the playbook, or says what another program says of it.
machines_playbook() {
  local top=$1 war="$HOSTS_DIR/stand-in.war"
  shift
  local jenkins=(-e "jenkins_war=${HOSTS_JENKINS_WAR:-$war}")
  if [ -n "${HOSTS_JENKINS_WAR:-}" ]; then
    jenkins+=(-e "jenkins_plugins_archive=$HOSTS_DIR/plugins.tar")
  else
    echo 'no Jenkins' >"$war"
    jenkins+=(--skip-tags seed -e '{"jenkins_packages": [], "jenkins_plugin_manager_checksum": ""}'
              -e jenkins_java=/usr/local/bin/stand-in-java -e jenkins_plugin_manager_url=file:///usr/local/bin/stand-in-java)
    hosts_ssh "$machines_jenkins" 'cat >/usr/local/bin/stand-in-java && chmod 755 /usr/local/bin/stand-in-java' \
      <"$top/tests/fixtures/stand_in_java.py" || return 1
  fi
  (cd "$top/resources/environments/ansible" && ANSIBLE_HOST_KEY_CHECKING=0 ANSIBLE_NOCOLOR=1 \
    nsenter --net="/var/run/netns/$hosts_world" ansible-playbook --private-key "$HOSTS_DIR/key" -i "$machines_inventory" site.yml \
    -e "secrets_folder=$HOSTS_DIR/secrets" -e "consul_program=$(command -v consul)" "${jenkins[@]}" "$@" </dev/null)
}

# machines_play TOP runs it twice, with a loss of power between: the second run finds nothing to do.
machines_play() {
  local top=$1 host
  [ -z "${HOSTS_JENKINS_WAR:-}" ] \
    || (cd "${HOSTS_JENKINS_PLUGINS:?a folder of plugins goes with HOSTS_JENKINS_WAR}" && tar -c ./*.jpi) >"$HOSTS_DIR/plugins.tar" || return 1
  machines_playbook "$top" --syntax-check || return 1
  if parts_has ansible-lint; then
    (cd "$top/resources/environments/ansible" && ansible-lint --offline --nocolor --profile production) || return 1
  fi
  if parts_has vagrant; then
    (cd "$top/resources/environments/vagrant" && vagrant validate --ignore-provider \
      && ! MACHINES_CPUS=two vagrant validate --ignore-provider 2>&1 | grep -v '^MACHINES_CPUS is "two": give a whole number above 0$') || return 1
  fi
  machines_run "$top" first 'first run' || return 1
  for host in $(machines_named jenkins_server "$machines_inventory") $(machines_named swarm_master "$machines_inventory"); do
    parts_say "the power of ${host%=*} is cut, and it boots again"
    hosts_again "${host%=*}" "${host#*=}" || return 1
  done
  machines_run "$top" second 'second run' && machines_unchanged second || return 1
  machines_run "$top" check 'asked what it would change' --check && machines_unchanged check || return 1
  [ -n "${HOSTS_JENKINS_WAR:-}" ] || parts_say 'NOT RUN: Jenkins itself, its plugins, its agent, its node, library and jobs: give HOSTS_JENKINS_WAR'
  [ -n "${HOSTS_SWARM:-}" ] || parts_say 'NOT RUN: swarm_kind=classic: give HOSTS_SWARM'
}

# machines_run TOP NAME TEXT ARGUMENT… runs the playbook, and keeps what it says as NAME.log.
machines_run() {
  local top=$1 log="$HOSTS_DIR/$2.log" text=$3
  shift 3
  parts_say "the playbook, $text${*:+: $*}"
  machines_playbook "$top" "$@" >"$log" 2>&1 \
    || { grep -A5 -E '^(fatal|failed)' "$log" >&2; parts_say "ERROR: $log"; return 1; }
  sed -n '/^PLAY RECAP/,$p' "$log"
}

# machines_unchanged NAME: whether that run has changed nothing on any machine.
machines_unchanged() {
  [ "$(grep -c ' changed=0 .* failed=0 ' "$HOSTS_DIR/$1.log")" = "$(wc -w <<<"$HOSTS")" ] \
    || { grep -B5 '^changed' "$HOSTS_DIR/$1.log" >&2; parts_say "ERROR: the $1 run changed something"; return 1; }
}

# machines_article TOP types what docs/four-machines.md shows, and prints what comes of it.
machines_article() {
  local top=$1 said="$HOSTS_DIR/article.txt" name
  parts_say 'the article, line by line'
  machines_typed "$top" '' | tee "$said" || return 1
  for name in 'HTTP/1.1 200 OK=4' '"ServiceID": "swarm-master:books-ms_app_1:8080"=2' \
    '"ServiceAddress": "10.100.192.201"=1+' '"ServiceAddress": "10.100.192.202"=1+' 'HTTP/1.1 503=1'; do
    machines_counted "${name%=*}" "${name##*=}" "$said" || return 1
  done
  [ -n "${HOSTS_JENKINS_WAR:-}" ] || return 0
  parts_say "the article's jobs, built by Jenkins"
  machines_typed "$top" Jenkins | tee "$HOSTS_DIR/jobs.txt" || return 1
  machines_counted 'HTTP/1.1 200 OK' 2 "$HOSTS_DIR/jobs.txt" && machines_counted 'ended with SUCCESS$' 3 "$HOSTS_DIR/jobs.txt"
}

# machines_own TOP deploys the demo on machines of other names, by hand and by a job: every proxy serves.
machines_own() {
  local proxy builds=0
  tar -c -C "$1/resources" demo | hosts_ssh "$machines_jenkins" tar -x -C /root || return 1
  {
    echo 'cd /root/demo'
    echo 'jenkins-proxy deploy books-ms --path /api/v1/books -f docker-compose-stack.yml </dev/null'
    if [ -n "${HOSTS_JENKINS_WAR:-}" ]; then
      echo '. /etc/jenkins/environment'
      echo 'export JENKINS_URL=http://127.0.0.1:8080 JENKINS_USER=admin JENKINS_TOKEN=$JENKINS_PASSWORD'
      echo 'jenkins-proxy seed --build deploy-to-swarm-with-proxy --follow 2>&1 </dev/null'
    fi
    for proxy in $(machines_named proxy_server "$machines_inventory"); do echo "curl -sI http://${proxy#*=}/api/v1/books"; done
  } | hosts_ssh "$machines_jenkins" bash -le | tee "$HOSTS_DIR/own.txt" || return 1
  [ -z "${HOSTS_JENKINS_WAR:-}" ] || builds=1
  machines_counted 'ended with SUCCESS$' "$builds" "$HOSTS_DIR/own.txt" \
    && machines_counted 'HTTP/1.1 200 OK' "$(machines_named proxy_server "$machines_inventory" | wc -l)" "$HOSTS_DIR/own.txt"
}

# machines_classic TOP makes a classic Swarm of the machines, and types the lines for it.
machines_classic() {
  local top=$1 host
  [ -n "${HOSTS_SWARM:-}" ] || return 0
  parts_say 'classic Swarm'
  # It would end what runs.
  ! machines_playbook "$top" -e swarm_kind=classic >"$HOSTS_DIR/refused.log" 2>&1 \
    && grep -q 'is in Swarm mode, and swarm_kind is classic' "$HOSTS_DIR/refused.log" && ! grep '^changed' "$HOSTS_DIR/refused.log" \
    || { parts_say "ERROR: machines in Swarm mode are no classic Swarm: $HOSTS_DIR/refused.log"; return 1; }
  for host in $(machines_named swarm_master "$machines_inventory") $(machines_named swarm_nodes "$machines_inventory"); do
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
  machines_run "$top" first 'first run' -e swarm_kind=classic || return 1
  machines_run "$top" second 'second run' -e swarm_kind=classic && machines_unchanged second || return 1
  machines_typed "$top" classic | tee "$HOSTS_DIR/classic.txt" || return 1
  machines_counted 'HTTP/1.1 200 OK' 2 "$HOSTS_DIR/classic.txt" || return 1
  machines_run "$top" back 'back to Swarm mode'
}

# machines_typed TOP NAME types on the machine of Jenkins each line of that page that begins with `$ ` in a block of the console,
# with what it goes on with: those under the heading that has NAME in it, or with an empty NAME those under all others.
machines_typed() {
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
  tar -c -C "$1/resources" demo | hosts_ssh "$machines_jenkins" tar -x -C /root || return 1
  hosts_ssh "$machines_jenkins" bash -l <"$HOSTS_DIR/typed.sh"
}

# machines_counted PATTERN NUMBER[+] FILE: whether so many lines match; with + at the least.
machines_counted() {
  local count
  count=$(grep -c -- "$1" "$3")
  [ "$count" = "$2" ] || { [ "${2%+}" != "$2" ] && [ "$count" -ge "${2%+}" ]; } \
    || { parts_say "ERROR: $count lines match $1, not $2: $3"; return 1; }
}
