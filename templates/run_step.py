"""Runs one step function as `prefect deploy` would, and says what it returned and what it changed."""


def run_step(question):
    import asyncio
    import warnings

    os.chdir(question["cwd"])
    for name, value in question["env"].items():
        os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)
    sys.path[:0] = question["import_paths"]
    before = dict(os.environ)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", category=DeprecationWarning)
        warnings.simplefilter("ignore", category=ResourceWarning)
        function = step_function(question["fqn"], question["requires"])
        outputs = asyncio.run(call(function, question["inputs"]))
    return {
        "outputs": plain(outputs, question["fqn"]) if isinstance(outputs, dict) else None,
        "cwd": directory_now(question["cwd"]),
        "env": changes(before, dict(os.environ)),
        "warnings": list(dict.fromkeys(str(warning.message) for warning in caught)),
    }


def step_function(name, requires):
    """The function behind a dotted name, after installing what `requires` lists if it cannot be imported."""
    import importlib
    import re

    from prefect.utilities.importtools import import_object

    try:
        for package in requires:
            importlib.import_module(re.split("[<>=!~]", package)[0].strip().replace("-", "_"))
        return import_object(name)
    except ImportError as error:
        if not requires:
            raise Refusal("missing_module", error) from None
    except AttributeError as error:
        raise Refusal("not_found", error) from None
    print("`{}` cannot be imported yet: installing {}".format(name, ", ".join(requires)))
    install(requires)
    importlib.invalidate_caches()
    try:
        return import_object(name)
    except ImportError as error:
        raise Refusal("missing_module", error) from None
    except AttributeError as error:
        raise Refusal("not_found", error) from None


def install(packages):
    """Installs with uv where it is, else with pip, never moving Prefect itself; a failure shows at the next import."""
    import subprocess

    import prefect

    extras = ["aws", "azure", "docker", "gcp", "kubernetes"]
    known = {"prefect-" + extra: "prefect[{}]".format(extra) for extra in extras}
    pin = [] if "+" in prefect.__version__ else ["prefect==" + prefect.__version__]
    command = ["pip", "install", *pin, *(known.get(package, package) for package in packages if package)]
    try:
        import uv

        command = [uv.find_uv_bin(), *command]
    except (ImportError, FileNotFoundError):
        command = [sys.executable, "-m", *command]
    code = subprocess.call(command)
    if code:
        print("installing {} failed with exit code {}".format(", ".join(packages), code), file=sys.stderr)


async def call(function, inputs):
    """Calls it in a thread of its own that has no event loop, as Prefect does; coroutines get a loop there."""
    import asyncio
    import contextvars
    import inspect

    async def awaited(value):
        return await value

    def work():
        result = function(**inputs)
        return asyncio.run(awaited(result)) if inspect.isawaitable(result) else result

    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(None, lambda: context.run(work))


def plain(value, where):
    """The value as JSON knows it; what JSON cannot say is an error that names the place."""
    import datetime
    import decimal
    import enum
    import math
    import pathlib
    import uuid

    if isinstance(value, enum.Enum):
        return plain(value.value, where)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, dict):
        return {str(key): plain(item, "{}[{!r}]".format(where, key)) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item, "{}[{}]".format(where, index)) for index, item in enumerate(value)]
    if isinstance(value, (pathlib.PurePath, uuid.UUID, decimal.Decimal)):
        return str(value)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if hasattr(value, "model_dump"):
        return plain(value.model_dump(mode="json"), where)
    raise Refusal("not_json", TypeError("{} is of type {}, which JSON cannot hold".format(where, type(value).__name__)))


def directory_now(otherwise):
    try:
        return os.getcwd()
    except OSError:
        return otherwise


def changes(before, after):
    names = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    return {name: after.get(name) for name in sorted(names)}


HANDLERS["run_step"] = run_step
