"""An interpreter that has imported Prefect and forks for each run; its worker is on standard input.

The worker writes one JSON object a line: `run`, `words` (what would start it ordinarily), `dir`, `env`, `streams`,
`group` (a file of a cgroup to enter). It is told `ready` or `failed`, and of a run its `pid`, `no` (nothing was
started), `cold` (why the process became an ordinary one) and at the end its `code`. A process that was forked begins
once the worker was told of it: if this interpreter dies before, nothing has begun.

A fork is safe as long as there is one thread and no event loop, no client and no open connection here: nothing is done
but importing. Whatever a fresh interpreter could see otherwise makes the process an ordinary one, in its place.
"""

import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import types

MARK = "PREFECT__FLOW_RUN_ID"
ENGINE = "prefect.engine"
SUPERVISOR = "prefect.runner._workspace_supervisor"
# What a first run imports, at once or late. One that an older Prefect lacks is not missed.
MODULES = (
    "prefect.main",
    "prefect.flow_engine",
    "prefect.task_engine",
    "prefect.task_runners",
    "prefect.client.orchestration",
    "prefect.concurrency.sync",
    "prefect.deployments.steps.core",
    "prefect.deployments.steps.pull",
    "prefect.deployments.steps.utility",
    "prefect.events.clients",
    "prefect.events.worker",
    "prefect.logging.handlers",
    "prefect.runtime.deployment",
    "prefect.runtime.flow_run",
    "prefect.utilities.urls",
    "prefect._internal.control_listener",
    "prefect._internal.metrics",
    SUPERVISOR,
    "anyio._backends._asyncio",
    "asyncio.runners",
    "h11",
    "httpcore",
    "rich.console",
    "rich.highlighter",
    "rich.theme",
    "websockets.asyncio.client",
)


class Line:
    """The line to the worker."""

    def __init__(self, number):
        self.socket = socket.socket(fileno=number)
        self.rest = b""

    def tell(self, **what):
        try:
            self.socket.sendall(json.dumps(what).encode() + b"\n")
        except OSError:
            os._exit(0)

    def hear(self):
        """What has come; none if the worker is gone."""
        got = self.socket.recv(1 << 16)
        if not got:
            return None
        *lines, self.rest = (self.rest + got).split(b"\n")
        return [json.loads(line) for line in lines]


class House:
    """What this interpreter has, and a fresh one could have otherwise."""

    def __init__(self):
        mine = paths(os.environ)
        self.given = set(mine)
        self.path = [entry for entry in sys.path if entry not in self.given]
        self.dates = self.look()
        self.names = {name.partition(".")[0] for name in sys.modules} - {"__main__"}
        self.names |= {"sitecustomize", "usercustomize"}
        self.settings = settings()

    def look(self):
        """When directories of packages last changed: installing into them does that."""
        found = []
        for entry in self.path:
            try:
                found.append((entry, os.stat(entry).st_mtime_ns))
            except OSError:
                found.append((entry, 0))
        return found

    def objection(self):
        """Why nothing can be forked any more, if so."""
        if self.look() != self.dates:
            return "packages were installed since the interpreter was warmed up"
        if len(os.listdir("/proc/self/task")) != 1:
            return "the warm interpreter has several threads"
        return None

    def difference(self):
        """Why a fresh interpreter would be another one here and now, if so."""
        if self.look() != self.dates:
            return "packages were installed since the interpreter was warmed up"
        for entry in [os.getcwd(), *paths(os.environ)]:
            name = None if entry in self.given else self.shadow(entry)
            if name:
                return f"`{name}` in `{entry}` stands in for a module that is imported already"
        if settings() != self.settings:
            return "Prefect's settings are others in its directory"
        return None

    def shadow(self, directory):
        try:
            entries = list(os.scandir(directory))
        except OSError:
            return None
        for entry in entries:
            name, dot, _ = entry.name.partition(".")
            if name in self.names and (dot or os.path.isfile(os.path.join(entry.path, "__init__.py"))):
                if not dot or entry.name.endswith((".py", ".pyc", ".so")):
                    return entry.name
        return None

    def search_path(self):
        """The path of a fresh interpreter that runs a module here."""
        first = [] if getattr(sys.flags, "safe_path", False) else [os.getcwd()]
        return first + paths(os.environ) + self.path


def paths(environment):
    entries = environment.get("PYTHONPATH", "").split(os.pathsep) if environment.get("PYTHONPATH") else []
    return list(dict.fromkeys(os.path.abspath(entry) for entry in entries))


def settings():
    """Prefect's settings as they are read now, which the process has from then on."""
    context = importlib.import_module("prefect.context")
    context.GLOBAL_SETTINGS_CONTEXT = context.root_settings_context()
    now = context.GLOBAL_SETTINGS_CONTEXT
    return now.profile, now.settings


def place_of_mark():
    """Where the environment that the kernel shows of this process holds the id of the run."""
    try:
        import ctypes

        libc = ctypes.CDLL(None)
        libc.getenv.restype = ctypes.c_void_p
        return ctypes.memmove, libc.getenv(MARK.encode()), len(os.environ.get(MARK, ""))
    except Exception:
        return None


def warm_up():
    import prefect  # noqa: F401

    for name in MODULES:
        try:
            importlib.import_module(name)
        except ImportError:
            pass
    gc.collect()


def no_input():
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    return nothing


class Forks:
    """Forks, and tells what becomes of it."""

    def __init__(self, line, house, mark, nothing):
        self.line, self.house, self.mark, self.nothing = line, house, mark, nothing
        self.runs = {}
        self.notes = {}
        self.woken, self.waker = os.pipe()
        for end in (self.woken, self.waker):
            os.set_blocking(end, False)
        self.poll = select.poll()
        self.poll.register(line.socket.fileno(), select.POLLIN)
        self.poll.register(self.woken, select.POLLIN)

    def serve(self):
        """Until the worker is gone, or retires this when nothing runs any more. In a child: what it is to run."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.waker, warn_on_full_buffer=False)
        retired = False
        while self.runs or not retired:
            for number, event in self.poll.poll():
                if number == self.line.socket.fileno() and event & (select.POLLHUP | select.POLLERR):
                    # What it may still have wanted is not begun: nobody would know of it.
                    return None
                if number == self.woken:
                    self.reap()
                elif number in self.notes:
                    self.note(number)
                else:
                    heard = self.line.hear()
                    if heard is None:
                        return None
                    for told in heard:
                        if told.get("retire"):
                            retired = True
                        elif self.fork(told):
                            return told
        return None

    def fork(self, told):
        """True in the child."""
        objection = self.house.objection()
        if objection:
            self.line.tell(run=told["run"], no=objection, stale=True)
            return False
        reading, writing = os.pipe()
        waiting, going = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            pid = os.fork()
        except OSError as error:
            for end in (reading, writing, waiting, going):
                os.close(end)
            self.line.tell(run=told["run"], no=f"it cannot be forked: {error}")
            return False
        if pid == 0:
            os.close(reading)
            os.close(going)
            self.settle(told)
            if not os.read(waiting, 1):
                os._exit(1)
            os.close(waiting)
            told["note"] = writing
            return True
        try:
            os.setpgid(pid, pid)
        except OSError:
            pass
        os.close(writing)
        self.runs[pid] = told["run"]
        self.notes[reading] = told["run"]
        self.poll.register(reading, select.POLLIN)
        self.line.tell(run=told["run"], pid=pid)
        os.write(going, b"!")
        os.close(waiting)
        os.close(going)
        return False

    def settle(self, told):
        """Makes the child a process of its own, with nothing of its parent's."""
        os.setpgid(0, 0)
        if self.mark and self.mark[1] and self.mark[2] == len(told["run"]):
            self.mark[0](self.mark[1], told["run"].encode(), self.mark[2])
        if told["group"]:
            with open(told["group"], "w") as group:
                group.write(str(os.getpid()))
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.line.socket.close()
        for number in (self.woken, self.waker, *self.notes):
            os.close(number)
        if not told["streams"]:
            os.dup2(self.nothing, 1)
            os.dup2(self.nothing, 2)
        os.close(self.nothing)

    def note(self, number):
        text = os.read(number, 4096).decode(errors="replace")
        if text:
            self.line.tell(run=self.notes[number], cold=text)
        else:
            self.poll.unregister(number)
            os.close(number)
            del self.notes[number]

    def reap(self):
        try:
            os.read(self.woken, 4096)
        except BlockingIOError:
            pass
        while self.runs:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            run = self.runs.pop(pid, None)
            if run:
                self.line.tell(run=run, code=os.waitstatus_to_exitcode(status))


def enter(directory, environment):
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)


def ordinary(note, words, why):
    """Goes on as the process that would have been started ordinarily."""
    try:
        os.write(note, why.encode()[:4000])
    except OSError:
        pass
    sys.stdout.flush()
    sys.stderr.flush()
    # Python ignores it, and a program that is executed would too.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.execvpe(words[0], words, os.environ)


def be_main(house, module, arguments):
    """Becomes the main module of a fresh interpreter."""
    sys.path[:] = house.search_path()
    importlib.invalidate_caches()
    sys.modules.pop(module, None)
    sys.modules["__main__"] = types.ModuleType("__main__")
    sys.argv = [module, *arguments]
    runpy._run_module_as_main(module)


def supervise(house, arguments):
    """Has a process of its own bring the code: where and how the engine is to start then. Ends if that fails."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        sys.path[:] = house.search_path()
        supervisor = importlib.import_module(SUPERVISOR)

        async def hand_over(command, *, cwd, environment):
            with open(writing, "w", encoding="utf-8") as out:
                json.dump({"words": command, "dir": str(cwd), "env": environment}, out)
            return 0

        supervisor._launch_engine = hand_over
        sys.argv = [supervisor.__file__, *arguments]
        sys.modules["__main__"] = supervisor
        raise SystemExit(supervisor.main(arguments))
    os.close(writing)
    with open(reading, encoding="utf-8") as told:
        text = told.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    if code or not text:
        raise SystemExit(code or 1)
    return json.loads(text)


def become(house, told):
    """The run, to its end."""
    note = told["note"]
    enter(told["dir"], told["env"])
    difference = house.difference()
    words = told["words"]
    if not difference and words[1:3] == ["-m", SUPERVISOR]:
        if not hasattr(sys.modules.get(SUPERVISOR), "_launch_engine"):
            ordinary(note, words, "this Prefect brings code in another way")
        told = supervise(house, words[3:])
        words = told["words"]
        enter(told["dir"], told["env"])
        difference = house.difference()
    if not difference and words[1:] != ["-m", ENGINE]:
        difference = "its engine is started in another way"
    if difference:
        ordinary(note, words, difference)
    os.close(note)
    be_main(house, ENGINE, [])


def main():
    line = Line(os.dup(0))
    nothing = no_input()
    mark = place_of_mark()
    os.environ.pop(MARK, None)
    # No run has the directory of this file.
    here = os.path.realpath(os.path.dirname(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.realpath(entry) != here]
    try:
        warm_up()
        house = House()
    except Exception as error:
        line.tell(failed=f"{type(error).__name__}: {error}")
        return None
    objection = house.objection()
    if objection:
        line.tell(failed=objection)
        return None
    gc.freeze()
    line.tell(ready=True)
    told = Forks(line, house, mark, nothing).serve()
    return told and (house, told)


if __name__ == "__main__":
    KEPT = sys.modules["__main__"]
    TASK = main()
    if TASK:
        become(*TASK)
