# One release of the service under load, as good or as bad as RELEASE says. What is not proven writes each request that
# reaches it to /requests, a line each: who sent it (user, keyed, check), method and path.
bb=/bin/busybox
path=${SERVICE_PATH:-/api/v1/bench}
web=/web
# Process 1 gets no default signal handling: without this a stop takes as long as it may.
trap '$bb sleep ${STOP_SECONDS:-0}; exit 0' TERM INT

serve_files() {
  $bb mkdir -p "$web${path%/*}"
  echo "{\"instance\": \"$($bb hostname)\", \"version\": \"$VERSION\"}" >"$web$path"
  # An answer of the listener before it may still hold the port.
  { until $bb httpd -f -p 8080 -h "$web"; do $bb sleep 0.1; done; } &
}

# answer_each HOW: a listener that answers as /answer.sh does for HOW.
answer_each() {
  ANSWER=$1 $bb nc -ll -p 8080 -e $bb sh /answer.sh &
  listener=$!
}

case $RELEASE in
  good) serve_files ;;
  exits) echo 'cannot reach the database'; exit 3 ;;
  listens-15s) $bb sleep 15 & wait $!; serve_files ;;
  ready-1s)
    answer_each 503
    $bb sleep 1 & wait $!
    kill $listener
    serve_files ;;
  one-bad-of-three)
    # Whoever makes the folder first is the bad one.
    if $bb mkdir "/requests/bad-of-$VERSION" 2>/dev/null; then answer_each bad-500; else answer_each logged; fi ;;
  unhealthy) serve_files ;;
  *) answer_each "$RELEASE" ;;
esac
while :; do wait; $bb sleep 1 & wait $!; done
