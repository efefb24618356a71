#!/bin/sh
# sh bench/peers.sh: brings what `make bench` compares with, from Debian's packages.
#
# As root the wrappers and listeners, the tools and OpenSSL's headers are installed; none of
# them starts a service by itself. poppassd would enter itself into inetd.conf: it is only unpacked, into build/bench/peers.
# On other systems: install what `make bench` names as missing.

set -u
cd "$(dirname "$0")/.." || exit 111
build=${BUILD:-build}

command -v apt-get >/dev/null || { echo "peers.sh: no apt-get here" >&2; exit 100; }

if [ "$(id -u)" -eq 0 ]; then
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 \
		stunnel4 tlswrapper ucspi-tcp ipsvd gnuplot-nox strace valgrind util-linux libssl-dev >/dev/null ||
		echo "peers.sh: apt-get install failed (apt-get update?)" >&2
else
	echo "peers.sh: not root: nothing installed" >&2
fi

mkdir -p "$build/bench/peers/deb" || exit 111
cd "$build/bench/peers/deb" || exit 111
apt-get download -qq poppassd 2>/dev/null
for deb in poppassd_*.deb; do
	[ -e "$deb" ] || { echo "peers.sh: poppassd cannot be downloaded" >&2; exit 111; }
	dpkg-deb -x "$deb" .. || exit 111
done
