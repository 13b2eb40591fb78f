# shellcheck shell=bash
# What all scripts share: messages, waiting, root, and where Rust is. Sourced, never run.

set -euo pipefail

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Exit codes of every script here; 1 is "failed".
EX_USAGE=2
EX_CANNOT_RUN=77 # not root, no network namespaces, or a tool is missing: nothing was tried

# --- messages: results on stdout, trouble on stderr, colour only where a person looks ---------------------------

# shellcheck disable=SC2034 # the scripts that source this use them
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  BOLD=$'\e[1m' GREEN=$'\e[32m' RED=$'\e[31m' PLAIN=$'\e[0m'
else
  BOLD='' GREEN='' RED='' PLAIN=''
fi

step() { printf '\n%s== %s%s\n' "$BOLD" "$*" "$PLAIN"; }
info() { printf '   %s\n' "$*"; }
warn() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
  warn "$@"
  exit 1
}
usage_error() {
  warn "$1"
  exit "$EX_USAGE"
}

# The comment at the top of the script that runs, from line 2 to the first line that is none.
print_header() { sed -n '2,${/^#/!q;s/^# \{0,1\}//p}' "$0"; }

# --- waiting -----------------------------------------------------------------------------------------------------

now() { printf '%s' "$EPOCHREALTIME"; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.1f", b - a }'; }

# within SECONDS COMMAND...: repeats COMMAND every 50 ms until it succeeds; fails once SECONDS are over.
within() {
  local deadline=$((SECONDS + $1 + 1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.05
  done
}

# --- what this machine lets us do ----------------------------------------------------------------------------------

cannot_run() {
  warn "$@"
  exit "$EX_CANNOT_RUN"
}
need() {
  local tool
  for tool; do
    command -v "$tool" >/dev/null || cannot_run "$tool is not installed: run scripts/setup first"
  done
}
require_root() {
  ((EUID == 0)) || cannot_run "network namespaces need root: use sudo"
}
require_namespaces() {
  unshare --net true 2>/dev/null ||
    cannot_run "this kernel or container forbids network namespaces (CAP_SYS_ADMIN is missing)"
}
# Starts the script again as root; its arguments follow.
become_root() {
  ((EUID == 0)) && return
  command -v sudo >/dev/null || cannot_run "this needs root, and there is no sudo"
  exec sudo ${LAB:+LAB="$LAB"} -- "$0" "$@"
}

# --- Rust: under sudo the build stays with the user who called, so that target/ and ~/.cargo keep their owner ------

builder() {
  if ((EUID == 0)) && [[ -n ${SUDO_USER:-} && $SUDO_USER != root ]]; then
    printf '%s' "$SUDO_USER"
  else
    id -un
  fi
}
as_builder() {
  if [[ $(builder) == "$(id -un)" ]]; then
    "$@"
  else
    runuser -u "$(builder)" -- env HOME="$(builder_home)" PATH="$PATH" "$@"
  fi
}
builder_home() { getent passwd "$(builder)" | cut -d: -f6; }

# Makes `cargo` the builder's own, also where sudo has cleared PATH and for the tests that run as root.
use_builders_rust() {
  local home
  home=$(builder_home)
  export CARGO_HOME=${CARGO_HOME:-$home/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$home/.rustup}
  case ":$PATH:" in
  *":$CARGO_HOME/bin:"*) ;;
  *) PATH=$CARGO_HOME/bin:$PATH ;;
  esac
}

# The oldest Rust that the workspace accepts, and whether the one found is new enough.
rust_wanted() { sed -n 's/^rust-version = "\(.*\)"/\1/p' "$REPO/Cargo.toml"; }
# Nothing without cargo: Debian's rustc-web, which builds the eBPF object, is a rustc alone.
rust_found() {
  as_builder cargo --version >/dev/null 2>&1 || return 1
  as_builder rustc --version 2>/dev/null | awk '{ print $2 }'
}
rust_is_new_enough() {
  local found
  found=$(rust_found) || return 1
  [[ -n $found && $(printf '%s\n' "$(rust_wanted)" "$found" | sort -V | head -n 1) == "$(rust_wanted)" ]]
}
