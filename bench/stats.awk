# Medians and quartiles of lines "KEY ROUND VALUE", and of VALUE over the value that
# the base (-v base=KEY) has in the same round: what disturbs a round disturbs both.
# Written, in the order of first appearance: KEY n median q1 q3 ratio ratio-q1 ratio-q3
# (ratios 0 without a base).

function sort(list, n,   i, k, x) {
	for (i = 2; i <= n; i++) {
		x = list[i]
		for (k = i - 1; k >= 1 && list[k] > x; k--)
			list[k + 1] = list[k]
		list[k + 1] = x
	}
}

function quantile(list, n, q,   at, low) {
	if (n == 0)
		return 0
	at = 1 + (n - 1) * q
	low = int(at)
	return low >= n ? list[n] : list[low] + (at - low) * (list[low + 1] - list[low])
}

NF >= 3 {
	if (!($1 in seen))
		order[++keys] = $1
	seen[$1] = 1
	value[$1, $2] = $3 + 0
	if (!($2 in rounds))
		rounds[$2] = 1
}

END {
	for (i = 1; i <= keys; i++) {
		key = order[i]
		n = m = 0
		split("", v)
		split("", r)
		for (round in rounds)
			if ((key, round) in value) {
				v[++n] = value[key, round]
				if ((base, round) in value && value[base, round] > 0)
					r[++m] = value[key, round] / value[base, round]
			}
		sort(v, n)
		sort(r, m)
		printf "%s %d %.3f %.3f %.3f %.3f %.3f %.3f\n", key, n, quantile(v, n, .5),
			quantile(v, n, .25), quantile(v, n, .75), quantile(r, m, .5),
			quantile(r, m, .25), quantile(r, m, .75)
	}
}
