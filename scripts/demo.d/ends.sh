# shellcheck shell=bash
# The checks of scripts/demo on the two ends themselves.

status_of_both_ends() {
  local end
  for end in site cloud; do
    echo "--- $end"
    inside "$end" "$BINARY" status
    inside "$end" "$BINARY" status --json | jq -e 'type == "object"' >/dev/null
  done
}

# Kills an end while vm1 pings dc fifty times a second, starts it again, and looks for the first answer after that.
comes_back_after_kill() {
  local end=$1 log=$LAB_DIR/ping.log pinger started up first
  inside vm1 ping -D -i 0.02 10.77.0.1 >"$log" 2>&1 &
  pinger=$!
  lab stop --signal KILL "$end"
  sleep 0.5
  started=$(now)
  lab start --bin "$BINARY" --keep-log "$end"
  up=$(now)
  within 10 answered_since "$started" "$log" || true
  kill "$pinger"
  wait "$pinger" || true
  first=$(answers_since "$started" "$log" | head -n 1)
  [[ -n $first ]] || fail "no answer within 10 s of the restart"
  awk -v s="$started" -v u="$up" -v f="$first" 'BEGIN {
    printf "first answer %.2f s after the start; the process answered `causeway status` after %.2f s\n", f - s, u - s
    exit !(f - u <= 1.0) }' || fail "more than 1 s after the restarted end was up"
}

# Times of the answers later than SINCE, from the log of ping -D.
answers_since() {
  awk -v s="$1" '/bytes from/ && match($1, /[0-9.]+/) { t = substr($1, RSTART, RLENGTH); if (t > s) print t }' "$2"
}
answered_since() { [[ -n $(answers_since "$@") ]]; }

nothing_left_on_lan_ports() {
  local end link
  lab stop
  for end in site cloud; do
    link=$(ip -n "$LAB-$end" -details link show dev lan)
    printf '%s\n' "$end: $(head -n 1 <<<"$link" | cut -c 1-100), $(grep -o 'promiscuity [0-9]*' <<<"$link" | head -n 1)"
    ! grep -q xdp <<<"$link" || fail "an XDP program is left"
    grep -q 'promiscuity 0' <<<"$link" || fail "the interface is still promiscuous"
  done
}
