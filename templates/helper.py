"""Answers questions about flows and runs steps: one Python process per batch, one fork of it per question.

Prefect is imported once. Every question is answered in a forked child, so that each sees the modules, the working
directory and the environment of a fresh `prefect deploy`, and so that a crash, an exit or an endless loop in a project's
code costs one answer only. Questions and answers are lines of JSON on what were standard input and output; both are
moved out of the way before any project code runs, so prints cannot disturb them.

Question: {"id": 1, "ask": "flow_facts" | "run_step", "timeout": seconds or null, ...}, or {"parallel": 2}.
Answer:   {"id": 1, "ok": {...}} or {"id": 1, "error": {"kind", "type", "message", "traceback", "output"}};
          before it, while a step runs, {"id": 1, "stream": "stdout" | "stderr", "text": "..."}.
"""

import codecs
import collections
import json
import os
import selectors
import signal
import sys
import time
import traceback

CHUNK = 65536
ANSWER_LIMIT = 32 * 1024 * 1024  # bytes; a longer answer is refused
TAIL = 4096  # characters of a flow file's prints that are kept for an error's text
GRACE = 1.0  # seconds between SIGTERM and SIGKILL when the helper itself is told to stop


def take_channel():
    """Moves the protocol away from descriptors 0 and 1, which become /dev/null and a copy of stderr."""
    incoming, outgoing = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return incoming, outgoing


def greet():
    """Imports Prefect and says which; an answer without `prefect` means that this Python cannot serve."""
    about = {"python": sys.version.split()[0], "executable": sys.executable}
    try:
        import prefect
        import prefect.flows
        import prefect.utilities.callables
        import prefect.utilities.importtools

        about["prefect"] = str(prefect.__version__)
    except BaseException as error:
        about["error"] = "{}: {}".format(type(error).__name__, error)
        return about
    try:
        # What a real `prefect deploy` has loaded by the time it looks at a flow; decides which names of modules are taken.
        import prefect.cli.deploy  # noqa: F401
    except BaseException:
        pass
    # From here on only project code is compiled: its directory is not ours to write to.
    sys.dont_write_bytecode = True
    return about


def to_line(message):
    text = json.dumps(message, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace") + b"\n"


def write_all(descriptor, data):
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def describe(error):
    """An exception as the answer's `error`, with the traceback cut to the project's own frames."""
    frame = error.__traceback__
    while frame is not None and is_machinery(frame.tb_frame.f_code.co_filename):
        frame = frame.tb_next
    try:
        message = str(error)[:TAIL]
        shown = frame is not None or isinstance(error, SyntaxError)
        lines = traceback.format_exception(type(error), error, frame, chain=False) if shown else []
    except Exception:  # an exception whose own text raises
        message, lines = "(no text)", []
    return {"kind": "raised", "type": type(error).__name__, "message": message, "traceback": "".join(lines)[-TAIL:]}


def is_machinery(filename):
    """Whether a frame belongs to this helper, to Prefect or to Python itself rather than to the project."""
    if filename.startswith(("<frozen importlib", "<reconcile")):
        return True
    prefect, library = (os.path.dirname(module.__file__) + os.sep for module in (sys.modules["prefect"], os))
    return filename.startswith(prefect) or (filename.startswith(library) and "site-packages" not in filename)


class Running:
    """A question that is being answered by a child."""

    def __init__(self, question, pid, answer, stdout, stderr):
        self.question = question
        self.id = question["id"]
        self.pid = pid
        self.answer_fd = answer
        self.streams = {stdout: "stdout", stderr: "stderr"}
        self.decoders = {fd: codecs.getincrementaldecoder("utf-8")("replace") for fd in self.streams}
        self.streaming = question["ask"] == "run_step"
        self.answer = bytearray()
        self.output = ""
        self.stopped_because = None
        timeout = question.get("timeout")
        self.deadline = None if timeout is None else time.monotonic() + timeout

    def kill(self, number=signal.SIGKILL):
        for send, target in ((os.killpg, self.pid), (os.kill, self.pid)):
            try:
                send(target, number)
            except (ProcessLookupError, PermissionError):
                pass


class Server:
    """The loop: reads questions, starts children, relays what they say. Runs no project code itself."""

    def __init__(self, incoming, outgoing):
        self.incoming, self.outgoing = incoming, outgoing
        self.selector = selectors.DefaultSelector()
        self.waiting = collections.deque()
        self.running = {}  # pid -> Running
        self.unread = b""
        self.parallel = 1
        self.wake_read, self.wake_write = os.pipe()
        for fd in (self.wake_read, self.wake_write):
            os.set_blocking(fd, False)
        self.selector.register(incoming, selectors.EVENT_READ, self.on_question)
        self.selector.register(self.wake_read, selectors.EVENT_READ, self.on_wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self.quit())
        signal.set_wakeup_fd(self.wake_write, warn_on_full_buffer=False)

    def run(self):
        while True:
            while self.waiting and len(self.running) < self.parallel:
                self.start(self.waiting.popleft())
            for key, _ in self.selector.select(self.patience()):
                key.data(key.fd)
            self.expire()
            self.reap()

    def patience(self):
        deadlines = [child.deadline for child in self.running.values() if child.deadline is not None]
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def send(self, message):
        try:
            write_all(self.outgoing, to_line(message))
        except OSError:
            self.quit()

    def on_wake(self, fd):
        try:
            os.read(fd, 4096)
        except BlockingIOError:
            pass

    def on_question(self, fd):
        data = os.read(fd, CHUNK)
        if not data:
            self.quit()
        *lines, self.unread = (self.unread + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "parallel" in message:
                self.parallel = message["parallel"]
            else:
                self.waiting.append(message)

    def start(self, question):
        pipes = [os.pipe() for _ in range(3)]
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            try:
                self.become_child([write for _, write in pipes], question)
            finally:
                os._exit(70)
        try:
            os.setpgid(pid, pid)
        except OSError:
            pass  # the child was faster, or is gone already
        for read, write in pipes:
            os.close(write)
            os.set_blocking(read, False)
        child = Running(question, pid, *(read for read, _ in pipes))
        self.running[pid] = child
        self.selector.register(child.answer_fd, selectors.EVENT_READ, lambda fd: self.on_answer(child))
        for fd in child.streams:
            self.selector.register(fd, selectors.EVENT_READ, lambda fd: self.on_output(child, fd))

    def become_child(self, writes, question):
        answer, stdout, stderr = writes
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        die_with_parent()
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        self.selector.close()
        for child in self.running.values():
            close_all([child.answer_fd, *child.streams])
        close_all([self.incoming, self.outgoing, self.wake_read, self.wake_write, stdout, stderr])
        sys.stdin = open(os.devnull)
        sys.stdout.reconfigure(line_buffering=True)
        sys.argv = [os.path.join(os.path.dirname(sys.executable), "prefect"), "deploy"]
        line = self.answer_of(question)
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                pass
        write_all(answer, line)
        os._exit(0)

    def answer_of(self, question):
        try:
            answer = {"ok": HANDLERS[question["ask"]](question)}
        except BaseException as error:
            answer = {"error": getattr(error, "answer", None) or describe(error)}
        try:
            return to_line(answer)
        except (TypeError, ValueError, RecursionError) as error:
            return to_line({"error": dict(describe(error), kind="not_json")})

    def on_answer(self, child):
        data = read_some(child.answer_fd)
        if data == b"":
            self.selector.unregister(child.answer_fd)
        elif data:
            child.answer += data
            if len(child.answer) > ANSWER_LIMIT and child.stopped_because is None:
                child.stopped_because = {"kind": "too_large", "message": "the answer is longer than 32 MiB"}
                child.kill()

    def on_output(self, child, fd):
        data = read_some(fd)
        if data is None:
            return
        if data == b"":
            self.selector.unregister(fd)
        text = child.decoders[fd].decode(data, final=data == b"")
        if not text:
            return
        if child.streaming:
            self.send({"id": child.id, "stream": child.streams[fd], "text": text})
        else:
            child.output = (child.output + text)[-TAIL:]

    def expire(self):
        now = time.monotonic()
        for child in self.running.values():
            if child.deadline is not None and child.deadline <= now:
                child.deadline = None
                child.stopped_because = {"kind": "timeout", "message": "no answer within the time allowed"}
                child.kill()

    def reap(self):
        for pid in list(self.running):
            reaped, status = os.waitpid(pid, os.WNOHANG)
            if reaped:
                self.finish(self.running.pop(pid), status)

    def finish(self, child, status):
        if not child.streaming or child.stopped_because:
            child.kill()  # whatever the flow's file left behind; a step may leave a daemon on purpose
        self.drain(child)
        self.send(dict(self.outcome(child, status), id=child.id))

    def drain(self, child):
        """Takes what is still in the pipes and closes them, without waiting for whoever else holds them."""
        for fd, take in [(child.answer_fd, lambda _: self.on_answer(child))] + [
            (fd, lambda fd: self.on_output(child, fd)) for fd in child.streams
        ]:
            for _ in range(1024):
                if fd not in self.selector.get_map() or not is_readable(fd):
                    break
                take(fd)
            if fd in self.selector.get_map():
                self.selector.unregister(fd)
            os.close(fd)

    def outcome(self, child, status):
        if child.stopped_because:
            return {"error": dict(child.stopped_because, output=child.output)}
        try:
            answer = json.loads(child.answer)
        except ValueError:
            if os.WIFSIGNALED(status):
                how = "was killed by signal {}".format(os.WTERMSIG(status))
            else:
                how = "ended by itself with exit code {}".format(os.WEXITSTATUS(status))
            return {"error": {"kind": "died", "message": "Python " + how, "output": child.output}}
        if "error" in answer:
            answer["error"]["output"] = child.output
        return answer

    def quit(self):
        """Ends every child, then the helper."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for child in self.running.values():
            child.kill(signal.SIGTERM if child.streaming else signal.SIGKILL)
        until = time.monotonic() + GRACE
        left = set(self.running)
        while left and time.monotonic() < until:
            left = {pid for pid in left if is_alive(pid)}
            time.sleep(0.01)
        for child in self.running.values():
            child.kill()
        os._exit(0)


def is_alive(pid):
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == 0
    except ChildProcessError:
        return False


def is_readable(fd):
    with selectors.DefaultSelector() as selector:
        selector.register(fd, selectors.EVENT_READ)
        return bool(selector.select(0))


def read_some(fd):
    """What is there: bytes, b"" at the end, None when there is nothing yet."""
    try:
        return os.read(fd, CHUNK)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def close_all(descriptors):
    for fd in descriptors:
        try:
            os.close(fd)
        except OSError:
            pass


def die_with_parent():
    """Asks Linux to end this process with the helper, even if that is killed without a chance to say so."""
    if sys.platform.startswith("linux"):
        try:
            import ctypes

            ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        except Exception:
            pass


class Refusal(Exception):
    """An error whose answer is already written."""

    def __init__(self, kind, error):
        super().__init__(str(error))
        self.answer = dict(describe(error), kind=kind)


HANDLERS = {}


def main():
    incoming, outgoing = take_channel()
    about = greet()
    write_all(outgoing, to_line(about))
    if "error" not in about:
        Server(incoming, outgoing).run()
