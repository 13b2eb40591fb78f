# shellcheck shell=bash
# The kinds of switch that the old LAN may have, of a Linux bridge and nftables: part of scripts/lab, which lists them.
# `site` is the appliance's port in the namespace `old`.

SWITCHES=(hub learning esx esx-promisc-off esx-forged-off esx-both-off esx-learning esx-learning-no-flood reflect
  libvirt hyperv sriov port-security port-shut arp-inspection noisy silent lossy)

# Those that learn; the others forget at once and flood, as a port group in promiscuous mode does.
LEARNING=(learning esx-learning esx-learning-no-flood libvirt hyperv sriov port-security port-shut arp-inspection)

SITE_MAC=02:77:00:00:00:02

has_switch() { [[ ",$SWITCH," == *",$1,"* ]]; }

check_switch() {
  local kind kinds
  IFS=, read -ra kinds <<<"$SWITCH"
  [[ ${#kinds[@]} -gt 0 ]] || usage_error "--switch wants a kind: ${SWITCHES[*]}"
  for kind in "${kinds[@]}"; do
    [[ " ${SWITCHES[*]} " == *" $kind "* ]] || usage_error "--switch $kind: one or several of ${SWITCHES[*]}"
  done
  ! has_switch reflect || REFLECT=yes
}

old_switch_learns() {
  local kind
  for kind in "${LEARNING[@]}"; do
    ! has_switch "$kind" || return 0
  done
  return 1
}

# Once the hosts are there.
shape_switch() {
  local kind kinds
  IFS=, read -ra kinds <<<"$SWITCH"
  for kind in "${kinds[@]}"; do
    case $kind in
    hub | learning | esx | esx-learning | reflect) ;;
    esx-promisc-off) deliver_own_only ;;
    esx-forged-off | sriov) filter "iifname site ether saddr != $SITE_MAC drop" ;;
    esx-both-off | hyperv)
      deliver_own_only
      filter "iifname site ether saddr != $SITE_MAC drop"
      ;;
    esx-learning-no-flood)
      old_fdb
      site_port flood off
      ;;
    libvirt) # nwfilter no-mac-spoofing and no-arp-mac-spoofing
      filter "iifname site ether saddr != $SITE_MAC drop"
      filter "iifname site arp saddr ether != $SITE_MAC drop"
      ;;
    port-security)
      old_fdb
      site_port learning off
      site_port locked on
      ;;
    port-shut) shut_at_foreign ;;
    arp-inspection) # as `ip arp inspection validate src-mac`, for what the doctor sends
      filter "iifname site ether saddr $SITE_MAC ether type arp arp saddr ether != $SITE_MAC drop"
      filter "iifname site ether saddr != $SITE_MAC ether type arp arp saddr ether $SITE_MAC drop"
      ;;
    noisy) make_noise ;;
    silent) set_sysctl dc net/ipv4/conf/eth0/arp_ignore=8 ;;
    lossy) filter 'oifname site arp operation reply numgen inc mod 10 vmap { 0 : drop, 3 : drop, 7 : drop }' forward ;;
    esac
  done
}

change_switch() {
  [[ $# -eq 1 ]] || usage_error "switch KIND[,KIND...]"
  SWITCH=$1 REFLECT=no
  check_switch
  local ageing=30000
  old_switch_learns || ageing=0
  ! command -v nft >/dev/null || ip netns exec "$LAB-old" nft flush ruleset
  ip -n "$LAB-old" link set br0 type bridge ageing_time "$ageing"
  ip -n "$LAB-old" link set site type bridge_slave learning on flood on locked off fdb_flush \
    hairpin "$([[ $REFLECT == yes ]] && printf on || printf off)"
  ip netns exec "$LAB-old" bridge fdb delete "$SITE_MAC" dev site master 2>/dev/null || true
  ip -n "$LAB-old" link set br0 type bridge fdb_flush
  set_sysctl dc net/ipv4/conf/eth0/arp_ignore=0
  stop_noise
  open_port
  shape_switch
  sed -i "s/^SWITCH=.*/SWITCH=$SWITCH/; s/^REFLECT=.*/REFLECT=$REFLECT/" "$LAB_DIR/options"
}

# A vSwitch knows the address of each vNIC, learns none, and delivers what is for one there and nowhere else.
deliver_own_only() {
  old_fdb
  site_port learning off
  site_port flood off
}

old_fdb() {
  ip netns exec "$LAB-old" bridge fdb replace "$SITE_MAC" dev site master static
}

site_port() { ip netns exec "$LAB-old" bridge link set dev site "$1" "$2"; }

# filter RULE [HOOK]: hook prerouting sees what comes from a port, forward what goes to one.
filter() {
  local hook=${2:-prerouting}
  need nft
  ip netns exec "$LAB-old" nft -f - <<END
table bridge lab {
  chain $hook { type filter hook $hook priority -250; }
}
add rule bridge lab $hook $1
END
}

# Port security that shuts the port (`violation shutdown`): from the first frame with another source on nothing passes,
# that frame included, and a moment later the link is down.
shut_at_foreign() {
  need nft setsid
  ip netns exec "$LAB-old" nft -f - <<END
table bridge lab {
  set shut { type iface_index; size 4; flags dynamic; }
  chain prerouting {
    type filter hook prerouting priority -250;
    meta iif @shut drop
    iifname site ether saddr != $SITE_MAC add @shut { meta iif } drop
  }
  chain forward {
    type filter hook forward priority -250;
    meta oif @shut drop
  }
}
END
  # shellcheck disable=SC2016 # expanded by the inner shell
  setsid ip netns exec "$LAB-old" sh -c \
    'until nft list set bridge lab shut | grep -q elements; do sleep 0.02; done; ip link set site down' \
    >/dev/null 2>&1 </dev/null 9>&- &
  printf '%s\n' $! >"$LAB_DIR/shut.pid"
}

open_port() {
  [[ -f $LAB_DIR/shut.pid ]] || return 0
  kill -- "-$(<"$LAB_DIR/shut.pid")" 2>/dev/null || true
  rm -f "$LAB_DIR/shut.pid"
  ip -n "$LAB-old" link set site up
  within 5 port_is_up || die "the port of lab '$LAB' does not come up again"
}

# Both ends have been told, and the bridge forwards.
port_is_up() {
  [[ $(ip -n "$LAB-site" -brief link show lan) != *DOWN* ]] &&
    [[ $(ip netns exec "$LAB-old" bridge link show dev site) == *LOWER_UP*' state forwarding '* ]]
}

# Some hundred frames a second between two hosts that have nothing to do with the appliance.
make_noise() {
  setsid ip netns exec "$LAB-dc2" ping -q -i 0.002 10.77.0.1 >/dev/null 2>&1 </dev/null 9>&- &
  printf '%s\n' $! >"$LAB_DIR/noise.pid"
}

stop_noise() {
  [[ -f $LAB_DIR/noise.pid ]] || return 0
  kill "$(<"$LAB_DIR/noise.pid")" 2>/dev/null || true
  rm -f "$LAB_DIR/noise.pid"
}
