# Adds the notes of a file to a C source, for the analyser alone:
#
#	awk -f annotate.awk NOTES SOURCE.c >ANNOTATED.c
#
# NOTES is blocks, each begun by "@ FUNCTION" (what follows goes before the function)
# or "@ FUNCTION: CODE" (before the line of that function which begins with CODE).
# A block that finds no place, or two, is an error ("@ every FUNCTION: CODE" wants several).
#
# It also makes a struct without a tag (secret, tls) into variables of their own, secret.in
# becomes secret_in: the analyser checks pointers against whole variables, and a read
# past one field must not pass as one inside the struct.

function fail(text) {
	print FILENAME ": " text >"/dev/stderr"
	failed = 1
	exit 1
}

function trim(s) {
	sub(/^[ \t]+/, "", s)
	return s
}

# A member "char in[9], out[9];" of the struct called whole as variables.
function member(text, whole, type, list, n, i, name) {
	sub(/[ \t]*\/\*.*$/, "", text)
	text = trim(text)
	sub(/;$/, "", text)
	match(text, /^((struct|unsigned) )?[a-z_]+ /)
	type = substr(text, 1, RLENGTH)
	n = split(substr(text, RLENGTH + 1), list, /, /)
	for (i = 1; i <= n; i++) {
		name = list[i]
		sub(/\[.*/, "", name)
		print "static " type whole "_" list[i] ";"
		wipes[whole] = wipes[whole] ", memset(&" whole "_" name ", 0, sizeof " whole "_" name ")"
	}
}

# Where a function begins, its name.
function function_name(text, name) {
	sub(/__attribute__\(\([a-z]*\)\) /, "", text)
	if (text !~ /^[a-z]/ || text ~ /[;=]/ || !match(text, /[a-z_0-9]+\(/))
		return ""
	return substr(text, RSTART, RLENGTH - 1)
}

function notes_for(place) {
	if (!(place in note))
		return
	printf "%s", note[place]
	used[place]++
}

FILENAME == ARGV[1] && /^#/ { next }
FILENAME == ARGV[1] && /^@ / {
	block = substr($0, 3)
	if (block in note)
		fail("twice: " block)
	note[block] = ""
	next
}
FILENAME == ARGV[1] {
	if (block != "")
		note[block] = note[block] $0 "\n"
	next
}

/^static struct \{$/ { inside = 1; n = 0; next }
inside && /^} [a-z]/ {
	whole = $2
	sub(/;.*/, "", whole)
	for (i = 1; i <= n; i++)
		member(members[i], whole)
	print "#define wipe_" whole "() (" substr(wipes[whole], 3) ")"
	structs[whole]
	inside = 0
	next
}
inside { members[++n] = $0; next }

{
	# What wipes the struct as one, wipes its fields.
	sub(/wipe\(&secret, offsetof.*, sizeof secret\)/,
		"wipe(\\&secret_key, sizeof secret_key, sizeof secret_key), wipe(\\&secret_file, file_len, sizeof secret_file)")
	for (whole in structs) {
		gsub("explicit_bzero\\(&" whole ", sizeof " whole "\\)", "wipe_" whole "()")
		gsub("(^|[^a-z_.])" whole "\\.", "&@")
		gsub(whole "\\.@", whole "_")
	}
}

function_name($0) != "" {
	current = function_name($0)
	notes_for(current)
}
/^}/ { current = "" }
current != "" && /^\t/ {
	code = trim($0)
	for (place in note) {
		where = place
		sub(/^every /, "", where)
		if (index(where, current ": ") == 1 && index(code, substr(where, length(current) + 3)) == 1)
			notes_for(place)
	}
}
{ print }

END {
	if (failed)
		exit 1
	for (place in note)
		if (used[place] != 1 && !(place ~ /^every / && used[place] > 1)) {
			print "no place, or several, for: " place >"/dev/stderr"
			failed = 1
		}
	exit failed
}
