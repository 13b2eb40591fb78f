# shellcheck shell=bash
# Starting and stopping the two ends of the tunnel: part of scripts/lab.

PORT=24500 # where the cloud end listens; the site dials from a port that the kernel chooses
STATIONS=(00:50:56:00:00:50 00:50:56:00:00:51)
THIRD_STATION=00:50:56:00:00:52

start() {
  local binary=${CAUSEWAY_BIN:-$REPO/target/release/causeway} stations=yes keep_log=no ends=("${ENDS[@]}")
  while [[ $# -gt 0 ]]; do
    case $1 in
    --bin) binary=${2:?--bin wants a path} && shift 2 ;;
    --no-stations) stations=no && shift ;;
    --keep-log) keep_log=yes && shift ;;
    both) shift ;;
    --) shift && break ;;
    *)
      is_end "$1" || usage_error "unknown argument '$1' of start; arguments for causeway itself go behind --"
      ends=("$1") && shift
      ;;
    esac
  done
  [[ -x $binary ]] || die "there is no $binary: cargo build --release, or --bin PATH"
  binary=$(realpath "$binary")
  local end
  for end in "${ENDS[@]}"; do make_key "$end"; done
  for end in "${ends[@]}"; do
    start_end "$end" "$@"
  done
  for end in "${ends[@]}"; do
    await_end "$end"
  done
}

is_end() { [[ " ${ENDS[*]} " == *" $1 "* ]]; }

make_key() {
  [[ -s $LAB_DIR/$1.pub ]] && return
  rm -f "$LAB_DIR/$1.key"
  "$binary" keygen --out "$LAB_DIR/$1.key" >"$LAB_DIR/$1.pub" || die "$binary keygen failed"
}

start_end() {
  local end=$1 args
  shift
  end_is_alive "$end" && die "the $end end of lab '$LAB' is running already: scripts/lab stop $end"
  args=(run --role "${end%2}" --key "$LAB_DIR/$end.key" --sa-log "$LAB_DIR/$end.sa")
  [[ " $* " == *" --lan "* ]] || args+=(--lan lan)
  case $end in
  site*) site_arguments "$end" ;;
  cloud*) cloud_arguments "$end" ;;
  esac
  [[ $keep_log == yes ]] || : >"$LAB_DIR/$end.log"
  printf '%s\n' "$binary" >"$LAB_DIR/$end.bin"
  setsid ip netns exec "$LAB-$end" "$binary" "${args[@]}" "$@" >>"$LAB_DIR/$end.log" 2>&1 </dev/null 9>&- &
  printf '%s\n' $! >"$LAB_DIR/$end.pid"
}

# Both add to args.
site_arguments() {
  local mac cloud
  for cloud in "${ENDS[@]}"; do
    [[ $1:$cloud =~ ^(site:cloud.*|site2:cloud)$ ]] || continue
    args+=(--peer "$cloud=$(<"$LAB_DIR/$cloud.pub")@$(cloud_address "$cloud")")
  done
  [[ $stations == yes ]] || return 0
  for mac in "${STATIONS[@]}"; do args+=(--station "$mac=cloud"); done
  [[ $THIRD != cloud2 ]] || args+=(--station "$THIRD_STATION=cloud2")
}

cloud_arguments() {
  args+=(--listen "$(cloud_address "$1")" --peer "site=$(<"$LAB_DIR/site.pub")")
  [[ $THIRD == site2 ]] || return 0
  args+=(--peer "site2=$(<"$LAB_DIR/site2.pub")" --vlans site=0 --vlans site2=20 --vlan-map site2=20:0)
}

cloud_address() {
  case $FAMILY:$1 in
  4:cloud) printf '203.0.113.2:%s' "$PORT" ;;
  6:cloud) printf '[2001:db8:113::2]:%s' "$PORT" ;;
  4:*) printf '192.0.2.2:%s' "$PORT" ;;
  *) printf '[2001:db8:2::2]:%s' "$PORT" ;;
  esac
}

await_end() {
  within 10 end_answers_or_died "$1" || true
  end_is_alive "$1" && end_answers "$1" && return
  warn "the $1 end of lab '$LAB' did not come up; the end of its log:"
  tail -n 15 "$LAB_DIR/$1.log" >&2
  exit 1
}

# Asked of the process number alone: it is not in the end's namespace yet while `ip netns exec` is starting.
end_answers_or_died() { end_answers "$1" || ! kill -0 "$(<"$LAB_DIR/$1.pid")" 2>/dev/null; }
end_answers() { ip netns exec "$LAB-$1" "$(end_binary "$1")" status >/dev/null 2>&1; }
end_binary() { cat "$LAB_DIR/$1.bin"; }

# The recorded process, if it still is one of this end's namespace: process numbers come back.
end_pid() {
  local pid
  pid=$(cat "$LAB_DIR/$1.pid" 2>/dev/null) || return 1
  ip netns pids "$LAB-$1" | grep -x "$pid"
}
end_is_alive() { end_pid "$1" >/dev/null; }
end_is_gone() { ! end_is_alive "$1"; }

stop() {
  local signal=TERM ends=("${ENDS[@]}") end
  while [[ $# -gt 0 ]]; do
    case $1 in
    --signal) signal=${2:?--signal wants a name} && shift 2 ;;
    both) shift ;;
    *)
      is_end "$1" || usage_error "unknown argument '$1' of stop"
      ends=("$1") && shift
      ;;
    esac
  done
  for end in "${ends[@]}"; do
    end_is_alive "$end" || continue
    kill -s "$signal" "$(end_pid "$end")"
    within 5 end_is_gone "$end" || die "the $end end of lab '$LAB' did not end within 5 s of SIG$signal"
    rm -f "$LAB_DIR/$end.pid"
  done
}
