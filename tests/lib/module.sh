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

# unload [ATTEMPTS]: sockets are freed by RCU, so for a moment after the last close the module is still in use.
unload() {
    local _
    for _ in $(seq "${1:-100}"); do
        rmmod oxtcp 2> /dev/null && return
        sleep 0.05
    done
    rmmod oxtcp
}

# Connections of the tests before may still be saying goodbye, but not for ever.
begin_unloaded() { ! loaded || unload 1500; }

# No slab cache of the module is left; those that are freed by RCU take a moment.
no_slabs() {
    local _
    for _ in $(seq 100); do
        grep -q '^oxtcp' /proc/slabinfo || return 0
        sleep 0.05
    done
    grep '^oxtcp' /proc/slabinfo | sed 's/^/# left: /'
    return 1
}

finish() {
    loaded || insmod "$module" || failed=1
    exit $failed
}
