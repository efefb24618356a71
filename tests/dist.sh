#!/bin/sh
# VERSION=V sh tests/dist.sh (make dist): $BUILD/qmail-poppass-V.tar.gz and its checksums.
# What git knows, or outside of git all but build/; the same bytes from the same files, whoever
# packs them and when. SOURCE_DATE_EPOCH is their date, else the last commit's.
# And $BUILD/packaging: the recipes with the release's checksums, which it cannot hold itself,
# and with URL, the folder that it will be fetched from (make dist URL=https://...).

set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
URL=${URL:-https://example.org/releases}
name=qmail-poppass-${VERSION:?}
umask 022

fail() {
	echo "dist: $*" >&2
	exit 1
}

# filled SUM256 SUM512: what the recipes of examples/packaging leave open
filled() {
	sed -e "s,https://example.org/releases,$URL,; s/^PKG_HASH:=.*/PKG_HASH:=$1/" \
		-e "s/^SRC_URI\[sha256sum\] = .*/SRC_URI[sha256sum] = \"$1\"/" \
		-e "s/^sha512sums=.*/sha512sums=\"$2  $name.tar.gz\"/" \
		-e "\$s/^sha256  .*  LICENSE$/&\nsha256  $1  $name.tar.gz/"
}

# recipes SUM256 SUM512
recipes() {
	rm -rf "$BUILD/packaging"
	files | grep ^examples/packaging/ | while read -r f; do
		new=$BUILD/${f#examples/}
		mkdir -p "${new%/*}" && filled "$1" "$2" <"$f" >"$new" && chmod "$(stat -c %a "$f")" "$new" || exit 1
	done
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
sum() { "sha$1sum" "$BUILD/$name.tar.gz" | cut -d ' ' -f 1; }
recipes "$(sum 256)" "$(sum 512)" || fail 'recipes'
cd "$BUILD" || exit 1
sha256sum "$name.tar.gz"
sha512sum "$name.tar.gz"
