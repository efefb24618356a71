#!/bin/sh
# VERSION=V sh tests/dist.sh (make dist): $BUILD/qmail-poppass-V.tar.gz and its checksums.
# What git knows, or outside of git all but build/; the same bytes from the same files, whoever
# packs them and when. SOURCE_DATE_EPOCH is their date, else the last commit's.

set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
name=qmail-poppass-${VERSION:?}
umask 022

fail() {
	echo "dist: $*" >&2
	exit 1
}

files() {
	if [ -e .git ]; then
		git ls-files -co --exclude-standard
	else
		find . -path ./build -prune -o ! -type d -print | sed 's,^\./,,'
	fi | LC_ALL=C sort
}

date=${SOURCE_DATE_EPOCH:-}
[ "$date" ] || [ ! -e .git ] || date=$(git log -1 --format=%ct)
[ "$date" ] || date=$(date -r Makefile +%s)
tar --version 2>/dev/null | grep -q GNU || fail 'this needs GNU tar'
mkdir -p "$BUILD" || exit 1
files | tar -c --no-recursion --verbatim-files-from -T - --transform "s,^,$name/,S" --format=ustar \
	--mtime="@$date" --owner=0 --group=0 --numeric-owner --mode=u+rw,go=rX -f "$BUILD/$name.tar" || fail "tar"
gzip -9nf "$BUILD/$name.tar" || fail "gzip"
cd "$BUILD" || exit 1
sha256sum "$name.tar.gz"
sha512sum "$name.tar.gz"
