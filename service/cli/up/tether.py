"""Run as a script: ties a program's life to its supervisor's, then becomes that program.

`python -I -S tether.py SUPERVISOR_PID SIGNAL PROGRAM ARGUMENT…`. On Linux the kernel sends SIGNAL when the
supervisor is gone, however it went (prctl(2), PR_SET_PDEATHSIG; it survives execve). It imports nothing of
Bindery, so that it costs a child's start some milliseconds only.
"""

import os
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie, check, become."""
    supervisor, signal_number, program = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    if sys.platform == "linux":
        import ctypes  # only there

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != supervisor:
        sys.exit(0)  # it went before the tie was made
    os.execvp(program[0], program)  # noqa: S606  # no shell wanted


if __name__ == "__main__":
    main()
