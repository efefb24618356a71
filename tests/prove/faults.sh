#!/bin/sh
# make prove-faults: a check that cannot fail proves nothing. Puts each fault of faults.list into a
# copy of poppass.c and wants prove.sh to name an open property. About two minutes for each.
#
#	faults.sh [NAME ...]

set -u
cd "$(dirname "$0")" || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
tab=$(printf '\t')
missed=0
while IFS=$tab read -r name old new; do
	case $name in
	'#'*) continue ;;
	esac
	if [ $# -gt 0 ]; then
		case " $* " in
		*" $name "*) ;;
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
		END { exit n != 1 }' ../../poppass.c >"$work/poppass.c" || {
		echo "faults: no place, or several, for: $name"
		missed=$((missed + 1))
		continue
	}
	if found=$(./prove.sh "$work/poppass.c" </dev/null 2>&1 | grep -m 1 '^prove: open:'); then
		printf 'faults: found: %s (%s)\n' "$name" "${found#prove: open: }"
	else
		echo "faults: NOT found: $name"
		missed=$((missed + 1))
	fi
done <faults.list
echo "faults: $missed missed"
[ "$missed" = 0 ]
