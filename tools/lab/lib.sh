# Shared by the lab's scripts: where things are, how they talk, how they lock. Sourced, not run.

lab_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
checkout=$(cd "$lab_dir/../.." && pwd -P)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/oxtcp
kernels=$cache/kernels

say() { printf 'lab: %s\n' "$*" >&2; }
die() { printf 'lab: error: %s\n' "$*" >&2; exit 1; }

# The name of the root changes when what decides its contents changes.
root_key() { sha256sum < "$lab_dir/root-packages" | cut -c1-12; }
root_path() { echo "$cache/root-$(root_key)"; }

# A layer is a copy of the root with the packages of layers/NAME on top, for programs that no build and no other test needs.
layer_list() { sed 's/#.*//' "$lab_dir/layers/$1"; }
layer_path() { echo "$cache/layer-$1-$( { root_key; layer_list "$1" | xargs -n 1; } | sha256sum | cut -c1-12)"; }

# with_lock FILE SECONDS WHAT: waits for the lock on descriptor 9, which lives until the script ends.
with_lock() {
    mkdir -p "$(dirname "$1")"
    exec 9>"$1"
    flock -n 9 && return
    say "waiting for another $3"
    flock -w "$2" 9 || die "another $3 still runs after $2 s ($1)"
}
