"""The parent of every process that rcdbg starts: nothing outlives rcdbg, however it dies.

Run as a program of its own, by path, with nothing but the standard library (see `process.py`):

    python -I -S warden.py CONTROL STATUS FDS DIRECTORY GROUP COMMAND...

CONTROL is the read end of a pipe that rcdbg holds open: its end of file means that rcdbg is gone or
wants an end. STATUS is the write end of a pipe that carries one line per fact: `pid N`, then
`exit N` (as Python's subprocess counts: -N is signal N), or only `error ERRNO` if exec failed.
FDS are further descriptors for the command, comma separated. DIRECTORY, if not empty, is removed at
the end. GROUP is `own` or `shared`: whether the command gets a process group of its own; a command
that reads keys from the terminal must share rcdbg's.

Why not PR_SET_PDEATHSIG alone: it fires when the *thread* that forked ends, not the process, and
after a SIGKILL of rcdbg nobody would be left to remove the directory. It is set all the same, on
the command, for the case that this program is killed.
"""

import ctypes
import os
import select
import signal
import sys
from typing import NoReturn

PR_SET_PDEATHSIG = 1
"""From <linux/prctl.h>; see prctl(2)."""

STARTED, EXITED, FAILED = "pid", "exit", "error"
"""The first word of the lines on the status pipe."""


def run(
    control: int,
    status: int,
    descriptors: list[int],
    directory: str,
    own_group: bool,
    command: list[str],
) -> int:
    """Run `command` until it ends or `control` closes; returns the status to exit with."""
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    # Ctrl-C is for rcdbg to handle; the other two end the command as the closed pipe does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    for descriptor in (control, status):
        os.set_inheritable(descriptor, False)

    pid, failure = _spawn(command, own_group)
    if failure:
        _report(status, FAILED, failure)
        os.waitpid(pid, 0)
        return 127
    _report(status, STARTED, pid)
    # Held open here, the other ends of these would never see the command's end of file.
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    for descriptor in descriptors:
        os.close(descriptor)

    pidfd = os.pidfd_open(pid)
    ended_first = _wait_readable(pidfd, control, wake_read) == pidfd
    if not ended_first:
        _kill(pid, own_group)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    _report(status, EXITED, code)
    if directory:
        # Kept while rcdbg lives: logs in there are worth reading after the command's end.
        if ended_first:
            _wait_readable(control, wake_read)
        _remove(directory)
    return code if code >= 0 else 128 - code


def _spawn(command: list[str], own_group: bool) -> tuple[int, int]:
    """Start `command`; returns its process id, and the errno of a failed exec or 0."""
    warden = os.getpid()
    libc = ctypes.CDLL(None)
    read, write = os.pipe()  # closed by a successful exec
    pid = os.fork()
    if pid == 0:
        _become(command, warden, libc, own_group, write)
    os.close(write)
    failure = os.read(read, 16)
    os.close(read)
    return pid, int(failure or 0)


def _become(
    command: list[str], warden: int, libc: ctypes.CDLL, own_group: bool, failed: int
) -> NoReturn:
    try:
        # Python ignores some signals, and an ignored signal stays so across exec.
        for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        if own_group:
            os.setpgid(0, 0)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == warden:  # else it died before the line above took hold
            os.execvp(command[0], command)
    except OSError as error:
        os.write(failed, str(error.errno).encode())
    os._exit(127)


def _report(status: int, fact: str, value: int) -> None:
    try:
        os.write(status, f"{fact} {value}\n".encode())
    except BrokenPipeError:
        # rcdbg is gone; the control pipe says so too, and is what ends us.
        return


def _wait_readable(*descriptors: int) -> int:
    """Wait for data or the end of file on one of `descriptors`; the first one listed wins."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    ready = {descriptor for descriptor, _ in poll.poll()}
    return next(descriptor for descriptor in descriptors if descriptor in ready)


def _kill(pid: int, own_group: bool) -> None:
    if own_group:
        os.killpg(pid, signal.SIGKILL)
    else:
        os.kill(pid, signal.SIGKILL)


def _remove(directory: str) -> None:
    import shutil  # here, since it costs a third of the start-up time

    shutil.rmtree(directory, ignore_errors=True)


def main(arguments: list[str]) -> int:
    """Parse the command line of the module's docstring and run it."""
    control, status, descriptors, directory, group, *command = arguments
    return run(
        int(control),
        int(status),
        [int(descriptor) for descriptor in descriptors.split(",") if descriptor],
        directory,
        group == "own",
        command,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
