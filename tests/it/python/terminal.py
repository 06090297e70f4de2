"""Runs a program at a terminal: shows what it prints, and answers its question when told to."""

import os
import pty
import sys

pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
seen, asked = b"", False
while True:
    try:
        data = os.read(terminal, 4096)
    except OSError:
        break
    if not data:
        break
    seen += data
    os.write(1, data)
    if not asked and b"[y/N]" in seen:
        asked = True
        os.write(1, b"\n")
        sys.stdin.readline()
        os.write(terminal, b"y\n")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
