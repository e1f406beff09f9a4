#!/usr/bin/env bash
# Installs a real Asterisk from Debian's packages into a folder of its own, for the integration tests.
# Nothing of it runs or lives outside that folder. Safe to run again: a finished install is left alone.
set -euo pipefail
exec </dev/null

usage() {
	cat <<'TEXT'
usage: install.sh VERSION [DIR]

  VERSION  22, 16, or 22.11: that of Debian's experimental, in a root of forky
  DIR      default ${XDG_CACHE_HOME:-$HOME/.cache}/ami-nats-bridge/asterisk-VERSION

Needs root on Linux amd64 with apt, 400 MB in DIR and a minute or two.
The last line printed is the folder, for BRIDGE_TEST_ASTERISK_22, _16 or _22_11.

  ASTERISK_MIRROR  Debian mirror to install from (default: the one apt uses here)
  ASTERISK_SUITE   Debian suite to install from (default: bullseye for 16, forky for the others)
TEXT
}

say() { printf 'install.sh: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# Debian's own package source as apt has it; empty on another distribution, where debootstrap knows one.
# Only releases apt has fetched have an origin, so this wants `apt-get update` to have run once.
apt_mirror() {
	apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
		sed -n 's/^Debian|Debian|//p' | head -n 1 || true
}

# A source that is down and unrelated (a vendor's) must not stop us: what comes after decides.
update_apt() { apt-get update -qq >&2 || say "apt-get update had errors, going on"; }

ensure_debootstrap() {
	local missing=()
	command -v debootstrap >/dev/null || missing+=(debootstrap)
	[[ -e /usr/share/keyrings/debian-archive-keyring.gpg ]] || missing+=(debian-archive-keyring)
	((${#missing[@]})) || return 0
	say "installing ${missing[*]}"
	update_apt
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2 ||
		die "apt-get could not install ${missing[*]}"
}

# A debootstrap older than the suite has no script for it; all of Debian's are sid's.
ensure_suite_script() {
	local scripts=/usr/share/debootstrap/scripts
	[[ -e $scripts/$1 ]] || ln -s sid "$scripts/$1"
}

# Takes Asterisk from a suite that has too little for a root of its own, with what it depends on. How old
# a release may be is as apt has it here: debootstrap does not ask.
add_from() {
	local root=$1 suite=$2 source=$1/etc/apt/sources.list.d/$2.list VALID_UNTIL=true DATE=true
	eval "$(apt-config shell VALID_UNTIL Acquire::Check-Valid-Until DATE Acquire::Check-Date)"
	sed "s/^\(deb [^ ]*\) [^ ]*/\1 $suite/" "$root/etc/apt/sources.list" >"$source"
	chroot "$root" apt-get -o Acquire::Check-Valid-Until="$VALID_UNTIL" -o Acquire::Check-Date="$DATE" update -qq &&
		chroot "$root" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -t "$suite" asterisk &&
		rm "$source"
}

install_into() {
	local root=$1 suite=$2 packages=$3 mirror=$4 over=$5 isolate=()
	# debootstrap mounts /proc and /sys below root. In a mount namespace they go with it, however it ends.
	unshare --mount true 2>/dev/null && isolate=(unshare --mount)
	"${isolate[@]}" debootstrap --force-check-gpg --variant=minbase --include="$packages" "$suite" "$root" ${mirror:+"$mirror"} >"$root.log" 2>&1 || {
		tail -n 20 "$root.log" >&2
		die "debootstrap of $suite failed; the whole log: $root.log. A suite that left the mirrors needs ASTERISK_MIRROR"
	}
	[[ -z $over ]] || add_from "$root" "$over" >>"$root.log" 2>&1 || {
		tail -n 20 "$root.log" >&2
		die "Asterisk of $over was not installed; the whole log: $root.log"
	}
	chroot "$root" apt-get clean
	rm -rf "${root:?}"/var/lib/apt/lists/* "$root.log"
	mkdir -p "$root/run/asterisk" "$root/instances"
	# Asterisk looks its own host up for each SIP call: without a network that has to fail or succeed at once.
	# Who starts it writes /etc/hosts.
	echo 'hosts: files' >"$root/etc/nsswitch.conf.new"
	sed '/^hosts:/d' "$root/etc/nsswitch.conf" >>"$root/etc/nsswitch.conf.new"
	mv "$root/etc/nsswitch.conf.new" "$root/etc/nsswitch.conf"
	chroot "$root" chown -R asterisk:asterisk /var/lib/asterisk /var/spool/asterisk /var/log/asterisk /run/asterisk
}

main() {
	case "${1:-}" in -h | --help) usage; exit 0 ;; esac
	(($# == 1 || $# == 2)) || { usage >&2; exit 2; }
	local version=$1 suite packages=asterisk over=
	case "$version" in
	22) suite=forky ;;
	22.11) suite=forky packages=ca-certificates over=experimental ;;
	16) suite=bullseye packages+=,asterisk-voicemail ;;
	*) die "version $version: choose 22, 16 or 22.11" ;;
	esac
	suite=${ASTERISK_SUITE:-$suite}
	local dir=${2:-${XDG_CACHE_HOME:-${HOME:?set HOME or name a folder}/.cache}/ami-nats-bridge/asterisk-$version}
	dir=$(realpath -m -- "$dir")
	local stamp=$dir/.ami-nats-bridge-asterisk

	if [[ -e $stamp ]]; then
		say "already there: $(<"$stamp")"
		printf '%s\n' "$dir"
		return
	fi
	[[ $(uname -s) == Linux ]] || die "needs Linux, this is $(uname -s)"
	[[ $(uname -m) == x86_64 ]] || die "needs amd64, this is $(uname -m)"
	((EUID == 0)) || die "needs root for chroot and package scripts: sudo $0 $version $dir"
	command -v apt-get >/dev/null || die "needs apt-get, to find a Debian mirror and debootstrap"
	if [[ -e $dir && -n $(ls -A "$dir") ]]; then
		die "$dir is not empty and not an install of this script: remove it or name another"
	fi

	mkdir -p "$(dirname "$dir")"
	exec 9>"$dir.lock"
	flock -n 9 || { say "waiting for another install of $dir"; flock 9; }
	if [[ -e $stamp ]]; then
		printf '%s\n' "$dir"
		return
	fi

	ensure_debootstrap
	ensure_suite_script "$suite"
	local mirror=${ASTERISK_MIRROR:-$(apt_mirror)} partial=$dir.partial
	if [[ -z $mirror ]]; then
		update_apt
		mirror=$(apt_mirror)
	fi
	# What an interrupted run left is thrown away: the folder gets its name only when it is whole.
	rm -rf --one-file-system "$partial"
	mkdir "$partial"
	# debootstrap and the package scripts want a root that other users can enter.
	chmod 0755 "$partial"
	say "installing Asterisk $version from $suite into $dir"
	install_into "$partial" "$suite" "$packages" "$mirror" "$over"
	local found
	found=$(chroot "$partial" asterisk -V)
	[[ $found == "Asterisk $version."* ]] || die "${over:-$suite} now has $found, not $version: set ASTERISK_SUITE"
	printf '%s from %s on %s\n' "$found" "${over:-$suite}" "$(date -u +%F)" >"$partial/${stamp##*/}"
	[[ ! -d $dir ]] || rmdir "$dir"
	mv "$partial" "$dir"
	say "done: $(<"$stamp"), $(du -sh "$dir" | cut -f 1)"
	printf '%s\n' "$dir"
}

main "$@"
