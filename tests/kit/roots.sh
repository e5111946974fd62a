# Folders with a Debian in them, for the tests' `prepare`s to source: root_place, then root for each folder. Needs
# Debian's apt and its mirror, and root.
set -eu
umask 022

fail() {
    echo "prepare: $*" >&2
    exit 1
}

# Makes the folder PLACE, alone: two at once would build into the same folder. Installs these programs' packages first.
root_place() { # PLACE PACKAGE...
    place=$1
    shift
    [ "$(id -u)" = 0 ] || fail "only root can make these folders"
    command -v apt-get >/dev/null || fail "this needs Debian's apt"
    mirror=$(cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | awk '
        $1 == "URIs:" { print $2; exit }
        $1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /^[a-z]+:\/\//) { print $i; exit } }')
    [ -n "$mirror" ] || fail "apt names no Debian mirror"
    mkdir -p "$place"
    exec 9>"$place/lock"
    flock 9
    # It knows packages that are gone, too.
    [ "$(dpkg-query --show --showformat '${db:Status-Status}\n' "$@" 2>/dev/null | grep -cx installed)" != $# ] || return 0
    install="env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends"
    { $install "$@" || { apt-get update && $install "$@"; }; } >"$place/apt.log" 2>&1 ||
        fail "$* can't be installed: $(tail -n 5 "$place/apt.log")"
    rm "$place/apt.log"
}

# The mirror may be a frozen copy, whose dates have lapsed; its signatures are checked as ever.
bootstrap() { # SUITE FOLDER VARIANT PACKAGES
    mmdebstrap --mode=root --format=directory --variant="$3" --include="$4" \
        --dpkgopt=force-unsafe-io \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Languages "none"' \
        --aptopt='Acquire::Retries "3"' \
        "$1" "$2" "$mirror"
}
