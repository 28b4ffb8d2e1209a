# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# What the tests of oxtcp_run share. Sourced, with the array tested= for how oxtcp_run is called.
# shellcheck disable=SC2034,SC2154 # what is here is for who sources it
. "$(dirname "${BASH_SOURCE[0]}")/../lib/module.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The checkout may lie where other users cannot look.
tools=$work/tools
install -m 755 -d "$work" "$tools"
install -m 755 build/tools/oxtcp_run build/tools/liboxtcp-preload.so build/tests/unmodified build/tests/unmodified_static "$tools"
PATH=$tools:$PATH

export FAMILY=inet EXPECT=oxtcp
open_socket='import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM)'

# passes COMMAND...: the command succeeds; its output is shown where it does not.
passes() { "$@" > "$work/out" || { sed 's/^/# said: /' "$work/out"; false; }; }

# says PATTERN COMMAND...: the command succeeds and its standard output and error have the pattern.
says() {
    local pattern=$1
    shift
    "$@" > "$work/said" 2>&1 && grep -qE -- "$pattern" "$work/said" && return
    sed 's/^/# said: /' "$work/said"
    return 1
}

# ends STATUS PATTERN COMMAND...: so, and with the pattern in what it says on standard error.
ends() {
    local expected=$1 pattern=$2 status=0
    shift 2
    "$@" 2> "$work/said" > /dev/null || status=$?
    [ "$status" = "$expected" ] && { [ -z "$pattern" ] || grep -qE -- "$pattern" "$work/said"; } && return
    sed 's/^/# said: /' "$work/said"
    echo "# exit status $status, expected $expected"
    return 1
}

# The command takes the place of the process that starts it.
same_signals() {
    local mask
    for mask in SigBlk SigIgn; do
        [ "$(grep "$mask" /proc/self/status)" = "$("${tested[@]}" grep "$mask" /proc/self/status)" ] || return 1
    done
}
same_signals_ignored() { (trap '' PIPE INT HUP && same_signals); }
same_descriptors() { [ "$("${tested[@]}" ls /proc/self/fd 0<&-)" = "$(ls /proc/self/fd 0<&-)" ]; }
same_process() { [ "$(bash -c 'echo $$; exec "$@"' _ "${tested[@]}" bash -c 'echo $$' | uniq | wc -l)" = 1 ]; }
killed() { ends 143 '' bash -c '"$@"; exit $?' _ "${tested[@]}" bash -c 'kill -TERM $$'; }

TRANSPARENT=8
transparent() {
    check "exit status" ends 37 '' "${tested[@]}" sh -c 'exit 37'
    check "death by a signal" killed
    check "the process stays the same" same_process
    check "blocked and ignored signals" same_signals
    check "signals ignored before" same_signals_ignored
    check "no descriptor is opened or closed" same_descriptors
    check "command not found" ends 127 'no-such: No such file' "${tested[@]}" no-such
    check "command cannot be started" ends 126 '/etc: Permission denied' "${tested[@]}" /etc
}
