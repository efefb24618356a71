#!/bin/sh
# make prove-faults: a check that cannot fail proves nothing. Puts each fault of faults.list into a
# copy of its part's source and wants prove.sh to name an open property. About two minutes for each.
#
#	faults.sh [PART|NAME ...]

set -u
cd "$(dirname "$0")" || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
tab=$(printf '\t')
missed=0
while IFS=$tab read -r part name old new; do
	case $part in
	'#'*) continue ;;
	esac
	if [ $# -gt 0 ]; then
		case " $* " in
		*" $name "* | *" $part "*) ;;
		*) continue ;;
		esac
	fi
	OLD=$old NEW=$new awk '
		{
			at = index($0, ENVIRON["OLD"])
			if (at > 0) {
				$0 = substr($0, 1, at - 1) ENVIRON["NEW"] substr($0, at + length(ENVIRON["OLD"]))
				n++
			}
			print
		}
		END { exit n != 1 }' "$(sed -n 's/^annotate //p' "$part.sh")" >"$work/source.c" || {
		echo "faults: $part: no place, or several, for: $name"
		missed=$((missed + 1))
		continue
	}
	./prove.sh "$part" "$work/source.c" </dev/null >"$work/said" 2>&1
	if found=$(grep -m 1 '^prove: open:' "$work/said"); then
		printf 'faults: %s: found: %s (%s)\n' "$part" "$name" "${found#prove: open: }"
	else
		echo "faults: $part: NOT found: $name ($(tail -n 1 "$work/said"))"
		missed=$((missed + 1))
	fi
done <faults.list
echo "faults: $missed missed"
[ "$missed" = 0 ]
