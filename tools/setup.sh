# Sourced by tools/demo and tools/test: installs what is missing, after saying so.
#
#   . tools/setup.sh; need build test      the tasks of tools/packages
#
# Exit codes: 3 rights are missing, 4 the network is missing; both print the line to run or to ask for.

say() { printf '%s\n' "$*" >&2; }

missing_packages() {
  for task in "$@"; do
    sed -n "s/^$task //p" tools/packages
  done | while read -r package; do
    dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q '^install ok installed' ||
      printf '%s ' "$package"
  done
}

need() {
  if ! command -v dpkg-query >/dev/null 2>&1; then
    say "This is not Debian or Ubuntu: install by hand what these stand for, then run this again:"
    for task in "$@"; do sed -n "s/^$task /  /p" tools/packages >&2; done
    command -v R >/dev/null 2>&1 || exit 3
    return 0
  fi
  packages=$(missing_packages "$@")
  [ -n "$packages" ] || return 0
  line="apt-get install -y --no-install-recommends $packages"
  as=
  if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
      as="sudo -n"
    else
      say "Packages are missing and this user may not install them. Ask for:"
      say "  $line"
      exit 3
    fi
  fi
  say "This installs system packages (nothing else on the system is changed):"
  say "  $line"
  log=$(mktemp)
  DEBIAN_FRONTEND=noninteractive
  export DEBIAN_FRONTEND
  # One try with the lists that are there, one with fresh lists.
  # shellcheck disable=SC2086
  if ! $as env DEBIAN_FRONTEND=noninteractive $line >"$log" 2>&1 </dev/null; then
    # shellcheck disable=SC2086
    if ! { $as apt-get update >"$log" 2>&1 </dev/null &&
      $as env DEBIAN_FRONTEND=noninteractive $line >"$log" 2>&1 </dev/null; }; then
      tail -n 5 "$log" >&2
      rm -f "$log"
      say "The packages could not be fetched. With a network, run:"
      say "  apt-get update && $line"
      exit 4
    fi
  fi
  rm -f "$log"
}
