# Answers the one request on its standard input, as ANSWER says, and writes down who sent it.
read -r method target protocol
who=check
while read -r line; do
  line=${line%?}
  case $line in
    '') break ;;
    [Xx]-[Jj]enkins-[Pp]roxy-[Cc]andidate:*) who=keyed ;;
    [Uu]ser-[Aa]gent:\ bench-user) [ $who = keyed ] || who=user ;;
  esac
done
[ -z "$method" ] || echo "$who $method $target" >>"/requests/$VERSION-$(/bin/busybox hostname)"

reply() {
  printf 'HTTP/1.0 %s\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s' "$1" "${#2}" "$2"
}

body="{\"instance\": \"$(/bin/busybox hostname)\", \"version\": \"$VERSION\"}"
case $ANSWER:$method:$target in
  bad-500:*) reply '500 Broken' 'boom' ;;
  get-500:OPTIONS:*) reply '200 OK' '' ;;
  get-500:*) reply '500 Broken' 'boom' ;;
  503:*) reply '503 Not yet' 'starting' ;;
  closes:*) ;;
  fails-some:*:*/fail) reply '500 Broken' 'boom' ;;
  logged:* | fails-some:*) reply '200 OK' "$body" ;;
esac
