# shellcheck shell=bash
# The checks of scripts/demo on what was captured: on the untrusted path, and for comparison on the cloud LAN.

start_captures() {
  capture path site "$LAB_DIR/path.pcap"
  capture new cloud "$LAB_DIR/lan.pcap"
}
stop_captures() {
  end_capture "$LAB_DIR/path.pcap"
  end_capture "$LAB_DIR/lan.pcap"
}

# capture NAMESPACE INTERFACE FILE [FILTER]: returns when it listens.
capture() {
  setsid ip netns exec "$LAB-$1" tcpdump -n -i "$2" -B 32768 -Z root --immediate-mode -w "$3" "${@:4}" \
    2>"$3.messages" </dev/null &
  printf '%s\n' $! >"$3.pid"
  within 5 grep -q 'listening on' "$3.messages" || die "tcpdump in $1: $(<"$3.messages")"
}

# The last frames are still on their way from the kernel to the file.
end_capture() {
  local pid
  pid=$(<"$1.pid")
  sleep 0.3
  kill -s INT "$pid"
  wait "$pid" || true
}

count() { tcpdump -n -r "$1" "${@:2}" 2>/dev/null | wc -l; }

# The router's own ARP, neighbour discovery and "packet too big" belong to the path, not to us.
path_saw_only_our_port() {
  local file=$LAB_DIR/path.pcap all ours router
  all=$(count "$file")
  ours=$(count "$file" 'udp port 24500')
  router=$(count "$file" 'arp or (icmp[0] == 3 and icmp[1] == 4) or (icmp6 and (ip6[40] == 2 or ip6[40] >= 135))')
  grep -h 'dropped by kernel' "$file.messages"
  echo "$all packets: $ours on UDP port 24500, $router of the router itself (ARP, ND, packet too big)"
  tcpdump -n -c 3 -r "$file" 'udp port 24500' 2>/dev/null | cut -c 1-110
  [[ $ours -gt 100 && $((ours + router)) -eq $all ]] || fail "something else: $(tcpdump -n -c 5 -r "$file" \
    'not udp port 24500 and not arp' 2>&1)"
}

# Finding the marker on the LAN proves that the search finds it.
path_saw_no_plaintext() {
  local lan path macs lan_macs
  lan=$(occurrences "$LAB_DIR/lan.pcap" "$MARKER")
  path=$(occurrences "$LAB_DIR/path.pcap" "$MARKER")
  lan_macs=$(occurrences "$LAB_DIR/lan.pcap" '\x00\x50\x56\x00\x00[\x50\x51]')
  macs=$(occurrences "$LAB_DIR/path.pcap" '\x00\x50\x56\x00\x00[\x50\x51]')
  echo "marker '$MARKER': $lan times on the cloud LAN, $path times on the path"
  echo "MAC address of a moved VM: $lan_macs times on the cloud LAN, $macs times on the path"
  [[ $lan -gt 0 && $lan_macs -gt 0 && $path -eq 0 && $macs -eq 0 ]]
}
occurrences() { { LC_ALL=C grep -aoP "$2" "$1" || true; } | wc -l; }

# The SA log has a line per SA in the form of Wireshark's own ESP SA table. Its check of the ICV is left out: Wireshark
# 4.0 leaves the high half of a 64-bit sequence number out of the authenticated bytes (RFC 4106 section 5 has it in).
tshark_opens_the_datagrams() {
  local line options=() frames=$LAB_DIR/frames protocol
  while read -r line; do
    [[ $line != \"* ]] || options+=(-o "uat:esp_sa:$line")
  done < <(cat "$LAB_DIR/site.sa" "$LAB_DIR/cloud.sa" | sort -u)
  [[ ${#options[@]} -gt 0 ]] || fail "no SA in the SA logs"
  echo "$((${#options[@]} / 2)) SAs; the last of: frame, protocol, source MAC, what"
  tshark -r "$LAB_DIR/path.pcap" -d udp.port==24500,udpencap -o esp.enable_encryption_decode:TRUE \
    "${options[@]}" -T fields -E occurrence=l \
    -e frame.number -e _ws.col.Protocol -e eth.src -e _ws.col.Info >"$frames" 2>"$frames.messages" ||
    fail "$(<"$frames.messages")"
  for protocol in ARP DHCP ICMP ICMPv6; do
    awk -F '\t' -v p="$protocol" '$2 == p && tolower($3) ~ /^00:50:56:00:00:5[01]$/ { n++; l = $0 }
      END { print substr(l, 1, 100); exit !n }' "$frames" || fail "no $protocol of a moved VM"
  done
}

# dc2's frames to dc are flooded to the site's lan port, like all traffic in a promiscuous port group.
foreign_traffic_is_dropped() {
  local before after crossed
  inside dc2 ping -q -c 1 -W 2 10.77.0.1 >/dev/null # so that both know each other's MAC: an ARP broadcast does cross
  capture new cloud "$LAB_DIR/foreign.pcap" 'ip host 10.77.0.3 or ip6 host fd77::3'
  before=$(foreign_counter)
  inside dc2 ping -q -c 500 -i 0.002 -W 2 10.77.0.1 | all_answered
  after=$(foreign_counter)
  end_capture "$LAB_DIR/foreign.pcap"
  crossed=$(count "$LAB_DIR/foreign.pcap")
  echo "the site's counter 'foreign' went from $before to $after; $crossed of these packets came out on the cloud LAN"
  [[ $((after - before)) -ge $(foreign_expected) && $crossed -eq 0 ]]
}
# A learning switch keeps what two of its hosts say to each other from everyone else.
foreign_expected() { if [[ " ${LAB_OPTIONS[*]} " == *" learning "* ]]; then echo 0; else echo 1000; fi; }
foreign_counter() { inside site "$BINARY" status --json | jq '[.. | objects | .foreign? | numbers] | add // error("no counter foreign")'; }
