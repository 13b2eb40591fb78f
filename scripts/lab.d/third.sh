# shellcheck shell=bash
# A third end: another cloud of the site's, or another site of the cloud's. Part of scripts/lab, which draws them.

# Of either kind: who takes a lab down does not know which it had.
# shellcheck disable=SC2034 # read by topology.sh
THIRD_NAMESPACES=(cloud2 new2 vm3 site2 old2 dc3)

# third_end clouds|sites NUMBER
third_end() {
  case $1:$2 in
  *:1) ;;
  clouds:2 | sites:2) [[ -z $THIRD ]] && THIRD=${1%s}2 || usage_error "--clouds 2 or --sites 2, not both" ;;
  *) usage_error "--$1 $2: 1 or 2" ;;
  esac
}

# use_third: the lab has the end that THIRD names, if any.
# shellcheck disable=SC2034 # ENDS is read by ends.sh
use_third() {
  case $THIRD in
  cloud2) NAMESPACES+=(cloud2 new2 vm3) ENDS=(cloud cloud2 site) ;;
  site2) NAMESPACES+=(site2 old2 dc3) ENDS=(cloud site site2) ;;
  esac
}

build_third() {
  local switch=new2 mac=02:77:00:00:00:fd
  [[ $THIRD == cloud2 ]] || switch=old2 mac=02:77:00:00:01:02
  build_switch "$switch"
  cable "$THIRD" wan - path "$THIRD" "$((MTU > 1500 ? MTU : 1500))"
  # shellcheck disable=SC2034 # read by uplink
  local narrow=()
  uplink "$THIRD" 192.0.2 2001:db8:2:
  set_sysctl "$THIRD" net/ipv6/conf/default/disable_ipv6=1
  cable "$THIRD" lan "$mac" "$switch" "$THIRD"
  trunk_port "$switch" "$THIRD"
  case $THIRD in
  cloud2) host vm3 00:50:56:00:00:52 new2 52 ;;
  site2) host dc3 02:77:00:00:01:01 old2 1 ;;
  esac
}
