# shellcheck shell=bash
# The checks of scripts/demo that a host on either LAN can make.

VM1_MAC=00:50:56:00:00:50
VM2_MAC=00:50:56:00:00:51
MARKER='CAUSEWAY-MARKER!' # 16 bytes, which is what ping takes as a pattern
PINGS=(-c 5 -i 0.1 -W 2 -p "$(printf %s "$MARKER" | od -An -v -tx1 | tr -d ' \n')")

tunnel_comes_up() {
  local start
  lab start --bin "$BINARY"
  start=$(now)
  within 15 inside dc ping -q -c 1 -W 1 10.77.0.50 >/dev/null || fail "no answer from 10.77.0.50 within 15 s"
  echo "first answer $(since "$start") s after both ends answered 'causeway status'"
}

arp_answers_with_the_vms_mac() {
  local replies
  replies=$(inside dc arping -c 3 -w 5 -I eth0 10.77.0.50)
  printf '%s\n' "$replies"
  grep -qi "\[$VM1_MAC\]" <<<"$replies"
  [[ $(grep -o '\[..:..:..:..:..:..\]' <<<"$replies" | sort -fu | wc -l) -eq 1 ]] || fail "more than one MAC answers"
}

dhcp_leases_the_old_address() {
  behind dc dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --pid-file= --port=0 --log-dhcp \
    --interface=eth0 --bind-interfaces --dhcp-authoritative --dhcp-leasefile="$LAB_DIR/dnsmasq.leases" \
    --dhcp-range=10.77.0.100,10.77.0.199,1h --dhcp-host="$VM2_MAC,10.77.0.151" --log-facility=-
  inside vm2 ip address flush dev eth0 scope global
  inside vm2 busybox udhcpc -f -q -n -t 10 -T 1 -i eth0 -s "$REPO/scripts/demo.d/udhcpc-event"
  echo "the server's lease: $(cat "$LAB_DIR/dnsmasq.leases")"
  grep -qi "$VM2_MAC 10.77.0.151" "$LAB_DIR/dnsmasq.leases"
  inside vm2 ping -q -c 1 -W 2 10.77.0.1
}

ping_both_ways() {
  inside vm1 ping -q "${PINGS[@]}" 10.77.0.1 | all_answered
  inside dc ping -q "${PINGS[@]}" 10.77.0.50 | all_answered
}

ping_full_size() {
  inside vm1 ping -q "${PINGS[@]}" -s 1472 -M 'do' 10.77.0.1 | all_answered
  inside dc ping -q "${PINGS[@]}" -s 1472 -M 'do' 10.77.0.50 | all_answered
}

ping6_both_ways() {
  inside vm1 ping -q "${PINGS[@]}" fd77::1 | all_answered
  inside dc ping -q "${PINGS[@]}" fd77::50 | all_answered
}

# Passes the statistics of a ping on, without its blank lines, and fails if one echo is missing.
all_answered() {
  local statistics
  statistics=$(grep -v '^$')
  printf '%s\n' "$statistics"
  grep -q ' 0% packet loss' <<<"$statistics"
}

neighbour_discovery() {
  local answer
  answer=$(inside dc ndisc6 -1 -r 5 fd77::50 eth0)
  printf '%s\n' "$answer"
  grep -qi "$VM1_MAC" <<<"$answer"
}

# The marker is in it many times, so that a single unencrypted datagram would show.
file_crosses() {
  local folder=$LAB_DIR/www there here i
  mkdir -p "$folder"
  for ((i = 0; i < 64; i++)); do
    printf %s "$MARKER"
    head -c 65536 /dev/urandom
  done >"$folder/file"
  behind dc python3 -m http.server --bind 10.77.0.1 --directory "$folder" 8000
  within 10 inside dc curl -so /dev/null http://10.77.0.1:8000/ || fail "the web server on dc does not answer"
  inside vm1 curl -sS --max-time 30 -o "$LAB_DIR/fetched" http://10.77.0.1:8000/file
  there=$(sha256sum <"$folder/file") here=$(sha256sum <"$LAB_DIR/fetched")
  printf 'dc   %s %s bytes\nvm1  %s %s bytes\n' "$there" "$(stat -c %s "$folder/file")" "$here" \
    "$(stat -c %s "$LAB_DIR/fetched")"
  [[ $there == "$here" ]]
}

management_answers() {
  inside dc ping -q -c 5 -i 0.1 -W 2 10.77.0.2 | all_answered
  mkdir -p "$LAB_DIR/empty"
  behind site python3 -m http.server --bind 10.77.0.2 --directory "$LAB_DIR/empty" 8001
  within 10 inside dc curl -so /dev/null --max-time 2 http://10.77.0.2:8001/ || fail "no TCP to 10.77.0.2"
  echo "TCP from dc to 10.77.0.2: connected and answered"
}

tcp_to_dc() { tcp_moves; }
tcp_to_vm() { tcp_moves --reverse; }

tcp_moves() {
  local result=$LAB_DIR/iperf.json
  iperf_server
  inside vm1 iperf3 --json --client 10.77.0.1 --time 3 "$@" >"$result" || fail "$(jq -r '.error' "$result")"
  jq -r '.end | "\(.sum_received.bits_per_second / 1e6 | floor) Mb/s received in \(.sum_received.seconds | floor) s, " +
    "\(.sum_sent.retransmits // 0) segments sent again"' "$result"
  jq -e '.end.sum_received.bits_per_second > 10e6' "$result" >/dev/null
}

# Datagrams of 1400 bytes; a shared machine may lose a few in a busy moment.
udp_to_dc() {
  local result=$LAB_DIR/iperf.json
  iperf_server
  inside vm1 iperf3 --json --client 10.77.0.1 --udp --bitrate 20M --length 1400 --time 2 >"$result" ||
    fail "$(jq -r '.error' "$result")"
  jq -r '.end.sum | "\(.packets) datagrams, \(.lost_packets) lost, jitter \(.jitter_ms) ms"' "$result"
  jq -e '.end.sum | .packets > 3000 and .lost_percent < 2' "$result" >/dev/null
}

# One test and it is gone: a test that hung cannot spoil the next one.
iperf_server() {
  behind dc iperf3 --server --one-off --bind 10.77.0.1
  within 5 iperf_listens || fail "iperf3 on dc does not listen"
}
iperf_listens() { [[ -n $(inside dc ss -Hltn 'sport = 5201') ]]; }
