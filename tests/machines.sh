# shellcheck shell=sh
# Sourced by cross.sh and initramfs.sh: other machines, their compilers, and Debian's packages for them.
#
# A compiler for one of them is Debian's cross compiler with the musl of that machine, which is
# unpacked below $OUT and never installed: the system's list of architectures stays as it is.

# Debian's name | the compiler's | qemu-user's | big or little endian, bits | where musl comes from: Debian 12
# has no musl-dev for some, but its source (with CFLAGS for it) and a compiler
MACHINES='
arm64|aarch64-linux-gnu|aarch64|little, 64|package
armhf|arm-linux-gnueabihf|arm|little, 32|package
mipsel|mipsel-linux-gnu|mipsel|little, 32|package
s390x|s390x-linux-gnu|s390x|big, 64|package
mips|mips-linux-gnu|mips|big, 32|source
powerpc|powerpc-linux-gnu|ppc|big, 32|source -mlong-double-64
i386|i686-linux-gnu|i386|little, 32|package
riscv64|riscv64-linux-gnu|riscv64|little, 64|source
'

OUT=${CROSS:-build/cross}
mkdir -p "$OUT" || exit 1
OUT=$(cd "$OUT" && pwd) || exit 1
TOP=$PWD
LOG=$OUT/log
# What a make above us was told is for the machine that we are on.
unset CC AR CFLAGS CPPFLAGS LDFLAGS LDLIBS MAKEFLAGS MFLAGS MAKELEVEL BUILD DEPS TLS STATIC \
	CRYPT_CFLAGS CRYPT_LIBS BEARSSL_CFLAGS BEARSSL_LIBS

# shellcheck source=tests/steps.sh
. tests/steps.sh

# column MACHINE N
column() { echo "$MACHINES" | grep "^$1|" | cut -d '|' -f "$2"; }

machine_names() { echo "$MACHINES" | sed -n 's/|.*//p'; }

# install PACKAGE...: those that are missing, as root; else says what to do.
install_packages() {
	missing=
	for p in "$@"; do
		dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null | grep -q '^ii' || missing="$missing $p"
	done
	[ -n "$missing" ] || return 0
	have apt-get || fail "this is for Debian: no apt-get here"
	[ "$(id -u)" = 0 ] || fail "as root: apt-get install --no-install-recommends$missing"
	step 'apt-get update' sh -c 'apt-get -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 update || true'
	# shellcheck disable=SC2086 # names are words
	step "installing$missing" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
		-o Acquire::Retries=3 -o Dpkg::Use-Pty=0 install --no-install-recommends $missing
}

packaged_machines() { echo "$MACHINES" | sed -n 's/|.*|package$//p' | xargs -n 1 printf '"%s"; '; }

# A private apt that knows packages for every machine.
private_apt() {
	APT_CONFIG=$OUT/apt/conf
	export APT_CONFIG
	[ ! -s "$OUT/apt/updated" ] || return 0
	rm -rf "$OUT/apt"
	mkdir -p "$OUT/apt/lists/partial" "$OUT/apt/cache/archives/partial"
	cat >"$APT_CONFIG" <<-END
		Dir::State::Lists "$OUT/apt/lists";
		Dir::Cache "$OUT/apt/cache";
		APT::Sandbox::User "root";
		APT::Architectures { "$(dpkg --print-architecture)"; $(packaged_machines)};
		Acquire::Languages "none";
		Acquire::Retries "3";
	END
	# One list of many that cannot be had need not matter: the download tells.
	step "lists of packages for other machines" sh -c 'apt-get -q update || true'
	echo yes >"$OUT/apt/updated"
}

# unpack PACKAGE DIR: Debian's package without installing it.
unpack() {
	[ ! -e "$2/.done" ] || return 0
	have apt-get || fail "this is for Debian: no apt-get here"
	rm -rf "$2"
	mkdir -p "$2"
	(
		private_apt
		cd "$2" || exit 1
		apt-get -q download "$1" || { rm "$OUT/apt/updated"; private_apt; apt-get -q download "$1"; }
		dpkg-deb -x ./*.deb . && rm ./*.deb && echo yes >.done
	) || return 1
}

build_musl() {
	(
		prefix=$OUT/$1/musl
		sh tests/deps.sh source musl || exit 1
		rm -rf "$OUT/$1/tmp" "$prefix"
		mkdir -p "$OUT/$1/tmp"
		cd "$OUT/$1/tmp" || exit 1
		flags=$(column "$1" 5 | cut -s -d ' ' -f 2-)
		CC=$2-gcc CFLAGS=$flags CROSS_COMPILE=$2- sh "$TOP/build/src/musl/configure" --prefix="$prefix" \
			--disable-shared --enable-wrapper=gcc --target="$2" || exit 1
		make && make install && rm -rf "$OUT/$1/tmp" && echo yes >"$prefix/.done"
	)
}

# The package's own specs, for where it was unpacked.
moved_specs() {
	sed "s,/usr/\(lib\|include\)/,$OUT/$1/musl&,g" "$OUT/$1"/musl/usr/lib/*/musl-gcc.specs >"$OUT/$1/specs"
}

# compiler MACHINE: makes $OUT/MACHINE/cc and sets CC to it.
compiler() {
	CC=$OUT/$1/cc
	export CC
	[ ! -x "$CC" ] || return 0
	triplet=$(column "$1" 2)
	have "$triplet-gcc" || fail "there is no $triplet-gcc: make deps-cross"
	mkdir -p "$OUT/$1"
	case $(column "$1" 5) in
	package)
		step "musl for $1" unpack "musl-dev:$1" "$OUT/$1/musl"
		moved_specs "$1" || fail "no musl-gcc.specs in musl-dev:$1"
		specs=$OUT/$1/specs
		;;
	*)
		specs=$OUT/$1/musl/lib/musl-gcc.specs
		[ -e "$OUT/$1/musl/.done" ] || step "musl for $1 from its source" build_musl "$1" "$triplet"
		;;
	esac
	printf '#!/bin/sh\nexec %s-gcc "$@" -specs %s\n' "$triplet" "$specs" >"$CC.new"
	chmod 755 "$CC.new"
	mv "$CC.new" "$CC"
}

# libraries MACHINE: BearSSL and libxcrypt by its compiler, in $OUT/MACHINE/deps; sets DEPS to it.
libraries() {
	DEPS=$OUT/$1/deps
	export DEPS
	step "libraries for $1" sh tests/deps.sh libs
}

stripped() {
	"$(column "$2" 2)-strip" -o "$OUT/$2/stripped" "$1" && wc -c <"$OUT/$2/stripped"
}
