"""Runs one job of a workflow on this machine, or one action alone, as far as composite actions go.

A JSON object on stdin says what: `workflow` (a file) or `with` (inputs of the action), `actions` (directories by what
`uses:` says before the `@`; null: the step is passed over), `workspace`, `temp`, `github`, `secrets`, `vars` and `env`.
A JSON object on stdout says what became of it: `conclusion`, `outputs` and `env` of steps by their place, `summary`,
`annotations`, `commands` (workflow commands that were obeyed, in their order) and `log`.

What matters here is kept as the real runner has it: `${{ }}` is pasted into scripts before a shell sees them, a command
is found behind leading white space (`::name::`) and anywhere in a line (`##[name]`), `::stop-commands::` holds until its
token comes, and bash runs as `bash --noprofile --norc -e -o pipefail`.
"""

import json
import os
import re
import subprocess
import sys

import yaml

TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|(&&|\|\||==|!=|[!(),])|([A-Za-z_][\w.-]*)|(\d+))")


class Runner:
    def __init__(self, order):
        self.order = order
        self.temp = order["temp"]
        self.path = os.environ["PATH"]
        self.count = 0
        self.log, self.annotations, self.commands = [], [], []
        self.stopped = None
        self.summary = self.fresh("summary")

    def fresh(self, name):
        self.count += 1
        path = os.path.join(self.temp, f"{name}-{self.count}")
        open(path, "w").close()
        return path

    # expressions

    def value(self, text, context):
        """An expression, by way of Python's own words for the same."""
        python, at = [], 0
        text = text.strip()
        while at < len(text):
            found = TOKEN.match(text, at)
            if not found:
                raise SystemExit(f"no expression: {text!r}")
            at = found.end()
            quoted, sign, name, number = found.groups()
            if quoted:
                python.append(repr(quoted[1:-1].replace("''", "'")))
            elif sign:
                python.append({"&&": " and ", "||": " or ", "!": " not "}.get(sign, sign))
            elif number:
                python.append(number)
            elif text[at:].lstrip().startswith("("):
                python.append({"success": "ok", "failure": "bad", "always": "always"}[name])
            elif name in ("true", "false"):
                python.append(name.title())
            else:
                python.append(f"look({name!r})")

        def look(name):
            here = context
            for part in name.split("."):
                here = here.get(part) if isinstance(here, dict) else None
            return "" if here is None else here

        ok = context.get("ok", True)
        calls = {"look": look, "ok": lambda: ok, "bad": lambda: not ok, "always": lambda: True}
        return eval("".join(python), {"__builtins__": {}}, calls)  # noqa: S307 - our own workflows only

    def filled(self, text, context):
        if isinstance(text, bool):
            return str(text).lower()
        if text is None:
            return ""

        def paste(found):
            value = self.value(found[1], context)
            return str(value).lower() if isinstance(value, bool) else str(value)

        return re.sub(r"\$\{\{(.*?)\}\}", paste, str(text), flags=re.S)

    # lines that a step prints

    def hear(self, line):
        self.log.append(line)
        bare = line.lstrip()
        if self.stopped:
            if bare.startswith("::") and bare[2:].split("::")[0] == self.stopped:
                self.stopped = None
            return
        found = re.match(r"::([\w-]+)(?: (.*?))?::(.*)", bare) or re.search(r"##\[([\w-]+)(?: ([^\]]*))?\](.*)", line)
        if not found:
            return
        name, properties, message = found.groups()
        self.commands.append(name)
        if name == "stop-commands":
            self.stopped = message
        elif name in ("error", "warning", "notice"):
            pairs = [pair.split("=", 1) for pair in (properties or "").split(",") if "=" in pair]
            self.annotations.append(
                {"level": name, "message": plain(message), **{key: plain(value) for key, value in pairs}}
            )

    # steps

    def steps(self, steps, context, env, where):
        context["steps"], ends = {}, {}
        for number, step in enumerate(steps):
            condition = self.filled("${{" + str(step.get("if", "success()")).strip().removeprefix("${{").removesuffix("}}") + "}}", context)
            if condition in ("false", ""):
                continue
            env_of = {**env, **{key: self.filled(value, context) for key, value in step.get("env", {}).items()}}
            if "uses" in step:
                given = {key: self.filled(value, context) for key, value in step.get("with", {}).items()}
                ok, outputs = self.uses(step["uses"], given, env_of, f"{where}{number}")
            else:
                ok, outputs = self.script(step, context, env_of)
            ends[step.get("id", str(number))] = outputs
            context["steps"][step.get("id", f"_{number}")] = {"outputs": outputs, "outcome": "success" if ok else "failure"}
            context["ok"] = context.get("ok", True) and (ok or step.get("continue-on-error") is True)
        return context.get("ok", True), ends

    def uses(self, uses, given, env, where):
        name, _, version = uses.partition("@")
        if name not in self.order["actions"]:
            raise SystemExit(f"nobody said what {uses} is")
        directory = self.order["actions"][name]
        if directory is None:
            return True, {}
        with open(os.path.join(directory, "action.yml")) as file:
            action = yaml.safe_load(file)
        unknown = sorted(set(given) - set(action["inputs"]))
        if unknown:
            raise SystemExit(f"{uses} has no inputs {unknown}")
        context = {"github": {**self.order["github"], "action_path": directory}}
        usual = {key: self.filled(one.get("default", ""), context) for key, one in action["inputs"].items()}
        context["inputs"] = {**usual, **given}
        ok, _ = self.steps(action["runs"]["steps"], context, {**env, "GITHUB_ACTION_PATH": directory}, f"{where}.")
        return ok, {key: self.filled(one["value"], context) for key, one in action.get("outputs", {}).items()}

    def script(self, step, context, env):
        files = {name: self.fresh(name) for name in ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH")}
        script = self.fresh("script")
        with open(script, "w") as file:
            file.write(self.filled(step["run"], context))
        if step.get("shell", "bash") != "bash":
            raise SystemExit("no shell but bash")
        github = {f"GITHUB_{key.upper()}": value for key, value in self.order["github"].items() if isinstance(value, str)}
        all_of_it = {
            "PATH": self.path, "HOME": self.temp, "LANG": "C.UTF-8", "CI": "true", "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": self.order["workspace"], "RUNNER_TEMP": self.temp, **github, **self.order["env"], **env,
            **files, "GITHUB_STEP_SUMMARY": self.summary,
        }  # fmt: skip
        all_of_it.pop("GITHUB_TOKEN", None)  # jobs have it only if they ask for it
        ran = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", script],
            env=all_of_it, cwd=self.order["workspace"], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        for line in ran.stdout.decode(errors="replace").split("\n"):
            self.hear(line)
        with open(files["GITHUB_PATH"]) as file:
            for line in file.read().split():
                self.path = f"{line}:{self.path}"
        with open(files["GITHUB_OUTPUT"]) as file:
            outputs = dict(line.split("=", 1) for line in file.read().splitlines() if "=" in line)
        return ran.returncode == 0, outputs


def plain(text):
    for code, sign in (("%0A", "\n"), ("%0D", "\r"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, sign)
    return text


def main():
    order = json.load(sys.stdin)
    order.setdefault("env", {})
    runner = Runner(order)
    context = {name: order.get(name, {}) for name in ("github", "secrets", "vars")}
    if "workflow" in order:
        with open(order["workflow"]) as file:
            workflow = yaml.safe_load(file)
        events = workflow.get("on", workflow.get(True))
        event = order["github"]["event_name"]
        if event != events and event not in events:
            raise SystemExit(f"{order['workflow']} does not run on {event}")
        (job,) = workflow["jobs"].values()
        steps = job["steps"]
    else:
        (name,) = order["actions"]
        steps = [{"id": "action", "uses": name, "with": order["with"]}]
    ok, outputs = runner.steps(steps, context, {}, "")
    with open(runner.summary) as file:
        summary = file.read()
    told = {
        "conclusion": "success" if ok else "failure", "outputs": outputs, "summary": summary,
        "annotations": runner.annotations, "commands": runner.commands, "log": "\n".join(runner.log),
    }  # fmt: skip
    json.dump(told, sys.stdout)


main()
