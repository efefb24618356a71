#!/bin/sh
# What the tests of group real need: `make deps-real` runs this, as root on Debian.
# A second run finds all of it there and says nothing.
#
# Services are not started, whatever their packages want. xinetd excludes openbsd-inetd, the
# tcpserver for IPv6 excludes the other, OpenRC would meddle with the system, and crowdsec would
# register itself; of Horde one driver is enough: these are only unpacked, into $DEPS/NAME.

set -u
cd "$(dirname "$0")/.." || exit 1
DEPS=${DEPS:-build/deps}
UNPACKED='crowdsec php-horde-passwd xinetd ucspi-tcp-ipv6 openrc librc1 libeinfo1'
PACKAGES='chromium chromium-driver cracklib-runtime daemontools dovecot-imapd fail2ban ipsvd ldap-utils
	libcgi-pm-perl libpam-modules logrotate strace openbsd-inetd pamtester passwd php-cli php-net-socket php-sqlite3 poppass-cgi
	python3 roundcube-core roundcube-plugins roundcube-sqlite3 runit s6 slapd stunnel4 systemd
	ucspi-tcp wamerican whois'

fail() {
	echo "deps-real: $*" >&2
	exit 1
}

# A package that is missing is named, in case it is one of the list; one that is no package any more, too.
missing() {
	for p in $PACKAGES; do
		dpkg-query -W -f '${db:Status-Abbrev}\n' "$p" 2>/dev/null | grep -q '^ii' || echo "$p"
	done
}

apt() {
	DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \
		-o Dpkg::Use-Pty=0 "$@" >>"$log" 2>&1
}

# Packages ask this before they start a service.
forbid_services() {
	[ ! -e /usr/sbin/policy-rc.d ] || return 0
	trap 'rm -f /usr/sbin/policy-rc.d' EXIT
	trap 'exit 130' HUP INT TERM
	printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
	chmod 755 /usr/sbin/policy-rc.d
}

unpack() {
	[ ! -d "$DEPS/$1" ] || return 0
	rm -rf "$DEPS/tmp-$1"
	mkdir -p "$DEPS/tmp-$1/archive"
	(
		cd "$DEPS/tmp-$1/archive" &&
			apt-get -q -o APT::Sandbox::User=root download "$1" && dpkg -x ./*.deb ..
	) >>"$log" 2>&1 || return 1
	rm -rf "$DEPS/tmp-$1/archive"
	mv "$DEPS/tmp-$1" "$DEPS/$1"
}

command -v apt-get >/dev/null 2>&1 || fail 'these tests are for Debian: no apt-get here'
mkdir -p "$DEPS"
DEPS=$(cd "$DEPS" && pwd) || exit 1
log=$DEPS/real.log
wanted=$(missing | tr '\n' ' ')
still=
for p in $UNPACKED; do
	[ -d "$DEPS/$p" ] || still="$still $p"
done
[ "$wanted$still" ] || exit 0
[ "$(id -u)" = 0 ] || fail "as root: apt-get install --no-install-recommends $wanted"
: >"$log"
forbid_services
echo "deps-real: installing $wanted${still# }"
apt update
# shellcheck disable=SC2086 # names are words
[ -z "$wanted" ] || apt install --no-install-recommends $wanted ||
	fail "$(grep '^E:' "$log" | tail -n 1) (everything is in $log)"
for p in $still; do
	unpack "$p" || fail "cannot unpack $p (everything is in $log)"
done
