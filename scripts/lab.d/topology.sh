# shellcheck shell=bash
# The lab's namespaces, cables and addresses: part of scripts/lab, which draws them.

NAMESPACES=(dc dc2 old site path cloud new vm1 vm2)
# shellcheck disable=SC2034 # read by ends.sh
ENDS=(cloud site)

is_namespace() { [[ " ${NAMESPACES[*]} " == *" $1 "* ]]; }

# Both ends of a cable are born inside their namespaces: nothing ever appears in the machine's own.
build_topology() {
  local name
  for name in "${NAMESPACES[@]}"; do
    ip netns add "$LAB-$name"
    ip -n "$LAB-$name" link set lo up
    quieten "$name"
  done
  build_switch old
  build_switch new
  build_path

  set_sysctl cloud net/ipv6/conf/default/disable_ipv6=1
  cable site lan 02:77:00:00:00:02 old site
  cable cloud lan 02:77:00:00:00:fe new cloud
  trunk_port old site
  trunk_port new cloud
  ip -n "$LAB-site" address add 10.77.0.2/24 dev lan
  ip -n "$LAB-site" address add fd77::2/64 dev lan nodad

  host dc 02:77:00:00:00:01 old 1
  host dc2 02:77:00:00:00:03 old 3
  host vm1 00:50:56:00:00:50 new 50
  host vm2 00:50:56:00:00:51 new 51
  [[ -z $THIRD ]] || build_third
  shape_switch
  within 5 all_links_up || die "some link of lab '$LAB' has no carrier: scripts/lab status"
}

# The kernel tells a port that its cable is plugged in a moment later; what is sent before that is lost.
all_links_up() {
  local name
  for name in "${NAMESPACES[@]}"; do
    [[ $(ip -n "$LAB-$name" -brief link show) != *DOWN* ]] || return 1
  done
}

# No duplicate address detection (it delays every address by a second) and no router solicitations; the switches,
# which have no address, speak no IPv6 at all. Nor does, once its uplink is there, the cloud's lan port.
quieten() {
  local key settings=(accept_dad=0 router_solicitations=0 accept_ra=0)
  case $1 in
  old* | new*) settings=(disable_ipv6=1) ;;
  esac
  for key in "${settings[@]}"; do
    set_sysctl "$1" "net/ipv6/conf/default/$key"
    set_sysctl "$1" "net/ipv6/conf/all/$key"
  done
}

# set_sysctl NAMESPACE net/...=VALUE
set_sysctl() {
  # shellcheck disable=SC2016 # expanded by the inner shell
  ip netns exec "$LAB-$1" sh -c 'printf %s "$2" >"/proc/sys/$1"' sh "${2%%=*}" "${2#*=}"
}

# cable NAMESPACE INTERFACE MAC|- NAMESPACE2 INTERFACE2 [MTU]
# QUEUES each way on both ends, or CLOUD_QUEUES on the cloud's side, which a veth only gets when it is made: one per
# worker of the appliance. UPLINK_QUEUES on the path, if they are to be others.
cable() {
  local mac=() cable_mtu=${6:-$LAN_MTU} count=$QUEUES queues
  [[ ! $1:$4 =~ ^(cloud:|.*:new$) ]] || count=$CLOUD_QUEUES
  [[ $2 != wan ]] || count=${UPLINK_QUEUES:-$count}
  # A switch forwards what came by queue N > 0 by queue N - 1 (the kernel has one field for both, skb_rx_queue_recorded):
  # with as many queues at the hosts as at the appliances, the last of these would get nothing.
  [[ $2 != eth0 || $count == 1 ]] || count=$((count + 1))
  queues=(numtxqueues "$count" numrxqueues "$count")
  [[ $3 == - ]] || mac=(address "$3")
  ip link add "$2" netns "$LAB-$1" "${mac[@]}" mtu "$cable_mtu" "${queues[@]}" type veth \
    peer name "$5" netns "$LAB-$4" mtu "$cable_mtu" "${queues[@]}"
  case $4 in
  old* | new*) ip -n "$LAB-$4" link set "$5" master br0 ;;
  esac
  ip -n "$LAB-$1" link set "$2" up
  ip -n "$LAB-$4" link set "$5" up
}

# host NAMESPACE MAC SWITCH NUMBER: one interface, 10.77.0.NUMBER and fd77::NUMBER.
host() {
  cable "$1" eth0 "$2" "$3" "$1"
  ip -n "$LAB-$1" address add "10.77.0.$4/24" dev eth0
  ip -n "$LAB-$1" address add "fd77::$4/64" dev eth0 nodad
}

# A bridge that neither speaks (STP, multicast snooping) nor delays. A hub is a switch that forgets at once.
build_switch() {
  local ageing=30000
  [[ $1 != old ]] || old_switch_learns || ageing=0
  ip -n "$LAB-$1" link add br0 mtu "$LAN_MTU" type bridge stp_state 0 forward_delay 0 mcast_snooping 0 \
    ageing_time "$ageing"
  ip -n "$LAB-$1" link set br0 up
}

# The switch's port towards an appliance: VLAN tags are handed over inside the frame, where XDP sees them, not beside it.
trunk_port() {
  ip netns exec "$LAB-$1" ethtool -K "$2" tx-vlan-hw-insert off tx-vlan-stag-hw-insert off
  [[ $1:$REFLECT != old:yes ]] || ip -n "$LAB-$1" link set "$2" type bridge_slave hairpin on
}

# A router and two links. Where the path is narrower than the uplinks, only the router knows and tells (RFC 1191, 8201).
build_path() {
  local link_mtu=$((MTU > 1500 ? MTU : 1500)) narrow=()
  ((MTU >= 1500)) || narrow=(mtu lock "$MTU")
  cable site wan - path site "$link_mtu"
  cable cloud wan - path cloud "$link_mtu"
  uplink site 198.51.100 2001:db8:51:
  uplink cloud 203.0.113 2001:db8:113:
  set_sysctl path net/ipv4/ip_forward=1
  set_sysctl path net/ipv6/conf/all/forwarding=1
  # Every probe of path MTU discovery gets its answer, not just one in a second.
  set_sysctl path net/ipv4/icmp_ratelimit=0
  set_sysctl path net/ipv6/icmp/ratelimit=0
}

# uplink END PREFIX4 PREFIX6: .2 is the end, .1 the router.
uplink() {
  local end=$LAB-$1 path=$LAB-path
  ip -n "$end" address add "$2.2/24" dev wan
  ip -n "$end" address add "$3:2/64" dev wan nodad
  ip -n "$end" route add default via "$2.1"
  ip -n "$end" route add default via "$3:1"
  ip -n "$path" address add "$2.1/24" dev "$1" noprefixroute
  ip -n "$path" address add "$3:1/64" dev "$1" nodad noprefixroute
  ip -n "$path" route add "$2.0/24" dev "$1" "${narrow[@]}"
  ip -n "$path" route add "$3:/64" dev "$1" "${narrow[@]}"
  # Datagrams leave one by one as on a wire, and meet GRO at the other end.
  ip netns exec "$end" ethtool -K wan tx-udp-segmentation off gro on
}

# --- and back --------------------------------------------------------------------------------------------------------

processes() {
  local name
  for name in "${NAMESPACES[@]}" "${THIRD_NAMESPACES[@]}"; do
    [[ ! -e /run/netns/$LAB-$name ]] || ip netns pids "$LAB-$name" 2>/dev/null || true
  done
}
no_processes() { [[ -z $(processes) ]]; }

end_processes() {
  local signal
  for signal in TERM KILL; do
    no_processes && return 0 # a bare return in a trap gives the status from before the trap
    processes | xargs -r kill -s "$signal" 2>/dev/null || true
    within 1 no_processes || true
  done
  no_processes || warn "processes in lab '$LAB' do not end: $(processes | tr '\n' ' ')"
}

remove_namespaces() {
  local name
  for name in "${NAMESPACES[@]}" "${THIRD_NAMESPACES[@]}"; do
    [[ ! -e /run/netns/$LAB-$name ]] || ip netns delete "$LAB-$name"
  done
}
