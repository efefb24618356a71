# From a trace of strace: the faults to try, one session a line (see fault.c).
# Variables: session, place; each of these is "SESSION PLACE CALL:error=NAME:when=N"; with forever=1
# also for every later call too ("N+"), with kill=1 a kill at each call, with few=1 the first error alone.

BEGIN {
	errors["read"] = "EIO EINTR EAGAIN ENOMEM"
	errors["pread64"] = "EIO EINTR ENOMEM"
	errors["write"] = "ENOSPC EIO EPIPE EINTR EAGAIN"
	errors["open"] = errors["openat"] = "EMFILE ENOMEM EIO EINTR ENOSPC"
	errors["ppoll"] = errors["poll"] = "ENOMEM EINTR EAGAIN"
	errors["pipe"] = errors["pipe2"] = "EMFILE ENOMEM"
	errors["vfork"] = errors["fork"] = errors["clone"] = errors["clone3"] = "EAGAIN ENOMEM"
	errors["wait4"] = errors["waitid"] = "ECHILD EINTR"
	errors["dup2"] = errors["dup3"] = "EMFILE EINTR"
	errors["fcntl"] = "EMFILE EINTR EAGAIN ENOMEM"
	errors["close"] = "EIO EINTR"
	errors["close_range"] = "ENOMEM EMFILE"
	errors["fsync"] = errors["fchmod"] = errors["fchown"] = errors["utimensat"] = "EIO ENOSPC EINTR"
	errors["rename"] = errors["renameat"] = errors["renameat2"] = "ENOSPC EIO ENOMEM"
	errors["unlinkat"] = errors["unlink"] = "EIO ENOMEM"
	errors["fgetxattr"] = errors["fsetxattr"] = "EIO ENOMEM ENOSPC"
	errors["getpeername"] = "ENOMEM ENOBUFS"
	errors["shutdown"] = "EIO EINTR"
	errors["flock"] = "EINTR ENOMEM"
	errors["getrandom"] = "EINTR EAGAIN ENOSYS"
	errors["kill"] = "EPERM ESRCH"
	other = "ENOMEM EIO"
	# What sets the process up, fails never or ends it; execve has cases of its own (faults.sh).
	split("execve exit exit_group exit_thread rt_sigreturn restart_syscall getpid gettid arch_prctl set_tid_address", never)
	for (i in never)
		skipped[never[i]] = 1
}

function one(fault) {
	if (!((session, place, fault) in done))
		print session, place, fault
	done[session, place, fault] = 1
}

{
	pid = $1 ~ /^[0-9]+$/ ? $1 : 0
	if (!match($0, /[a-z][a-z0-9_]*\(/) || $0 ~ /resumed>/)
		next
	name = substr($0, RSTART, RLENGTH - 1)
	if (name in skipped)
		next
	n = ++count[pid, name]
	if (kill)
		one(name ":signal=SIGKILL:when=" n)
	many = split(name in errors ? errors[name] : other, list, " ")
	for (i = 1; i <= (few ? 1 : many); i++) {
		one(name ":error=" list[i] ":when=" n)
		if (forever && list[i] !~ /^(EINTR|EAGAIN|ENOSYS)$/)
			one(name ":error=" list[i] ":when=" n "+")
	}
	if (name ~ /^(read|write|pread64)$/ && !pid)
		one("short " name " " n)
}
