# SPDX-License-Identifier: GPL-2.0
# What the tests of loading and unloading share. Sourced. MODULE= is the module's file, loaded when a test begins; the
# test leaves it loaded.
module=${MODULE:-oxtcp.ko}
number=0
failed=0

# report STATUS NAME [WORDS]: a line of KTAP.
report() {
    number=$((number + 1))
    if [ "$1" = 0 ]; then
        echo "ok $number $2"
    else
        [ -z "${3:-}" ] || echo "# $3"
        echo "not ok $number $2"
        failed=1
    fi
}

loaded() { [ -d /sys/module/oxtcp ]; }

# Sockets are freed by RCU, so for a moment after the last close the module is still in use.
unload() {
    local _
    for _ in $(seq 100); do
        rmmod oxtcp 2> /dev/null && return
        sleep 0.05
    done
    rmmod oxtcp
}

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
