# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# What the tests of loading and unloading share. Sourced. MODULE= is the module's file, loaded when a test begins; the
# test leaves it loaded.
module=${MODULE:-oxtcp.ko}
number=0
failed=0
export FAMILY=oxtcp

# check NAME COMMAND...: a line of KTAP; the command's success is the test's.
check() {
    local name=$1
    shift
    number=$((number + 1))
    if "$@"; then
        echo "ok $number $name"
    else
        echo "not ok $number $name"
        failed=1
    fi
}

fails() { ! "$@" 2> /dev/null; }

loaded() { [ -d /sys/module/oxtcp ]; }

# Nothing is ever written to this pipe, so that the shell can wait for a moment without starting a program, which is what
# takes an emulated guest's time.
exec {idle}<> <(:)
moment() {
    local pause=0.05
    case ${VM:-} in stock | debug) pause=0.3 ;; esac
    read -rt "$pause" -u "$idle" || true
}

in_use() {
    local count=0
    { read -r count < /sys/module/oxtcp/refcnt; } 2> /dev/null
    [ "$count" != 0 ]
}

# unload [ATTEMPTS]: sockets are freed by RCU, so for a moment after the last close the module is still in use.
unload() {
    local attempt
    for ((attempt = ${1:-100}; attempt; attempt--)); do
        in_use || { rmmod oxtcp 2> /dev/null && return; }
        moment
    done
    rmmod oxtcp
}

# Connections of the tests before may still be saying goodbye, but not for ever.
begin_unloaded() { ! loaded || unload 1500; }

# No slab cache of the module is left; those that are freed by RCU take a moment.
no_slabs() {
    local attempt
    for ((attempt = 100; attempt; attempt--)); do
        grep -q '^oxtcp' /proc/slabinfo || return 0
        moment
    done
    grep '^oxtcp' /proc/slabinfo | sed 's/^/# left: /'
    return 1
}

finish() {
    loaded || insmod "$module" || failed=1
    exit $failed
}
