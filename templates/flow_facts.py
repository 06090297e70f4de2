"""What `prefect deploy` would learn of a flow: name, description, version and parameter schema."""


def flow_facts(question):
    import asyncio

    os.chdir(question["cwd"])
    fallbacks = watch_fallback()
    reads = Reads()

    async def load():
        # `prefect deploy` loads flows while its event loop runs; code at import time can tell the difference.
        return facts_of(question["entrypoint"])

    try:
        answer = asyncio.run(load())
    except BaseException as error:
        raise explain(error, question["entrypoint"]) from None
    if fallbacks:
        answer["fallback"] = fallbacks[0]
    answer["reads"] = None if fallbacks else reads.told()
    return answer


class Reads:
    """Which files an answer rests on: those that are opened while the flow is loaded, whether they exist or not."""

    MOST = 10000
    BEYOND = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect")

    def __init__(self):
        self.paths, self.beyond, self.on = set(), False, True
        self.modules = set(sys.modules)
        sys.addaudithook(self.hook)

    def hook(self, event, args):
        if not self.on:
            return
        if event == "open" and isinstance(args[0], (str, bytes)):
            if len(self.paths) < self.MOST:
                self.paths.add(os.path.abspath(os.fsdecode(args[0])))
            else:
                self.beyond = True
        elif event in self.BEYOND:
            self.beyond = True

    def told(self):
        """The files that are neither Python's nor the system's; None if it rests on more than files."""
        self.on = False
        if self.beyond:
            return None
        for name in set(sys.modules) - self.modules:
            path = getattr(sys.modules[name], "__file__", None)
            if isinstance(path, str):
                self.paths.add(os.path.abspath(path))
        own = [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix]
        own += ["/usr", "/lib", "/lib64", "/etc", "/proc", "/sys", "/dev", "/System", "/Library"]
        own = tuple({os.path.join(path, "") for place in own for path in (place, os.path.realpath(place))})
        return sorted({source_of(path) for path in self.paths if not path.startswith(own)})


def source_of(path):
    """The source that stands behind a compiled file."""
    if not path.endswith(".pyc"):
        return path
    import importlib.util

    try:
        return importlib.util.source_from_cache(path)
    except ValueError:
        return path


def facts_of(entrypoint):
    from uuid import UUID

    from prefect.client.schemas.actions import DeploymentCreate
    from prefect.flows import load_flow_from_entrypoint
    from prefect.utilities.callables import parameter_schema

    flow = load_flow_from_entrypoint(entrypoint)
    schema = parameter_schema(flow).model_dump(exclude_unset=True)
    body = DeploymentCreate(name="facts", flow_id=UUID(int=0), parameter_openapi_schema=schema).model_dump(mode="json")
    return {
        "name": flow.name,
        "description": flow.description,
        "version": flow.version,
        "schema": body["parameter_openapi_schema"],
    }


def watch_fallback():
    """Notes why Prefect reads a flow from its syntax instead of importing it, when it does."""
    import prefect.flows

    reasons = []
    original = getattr(prefect.flows, "safe_load_flow_from_entrypoint", None)
    if original is not None:

        def noting(entrypoint):
            error = sys.exc_info()[1]
            cause = getattr(error, "user_exc", None) or error
            reasons.append("{}: {}".format(type(cause).__name__, cause))
            return original(entrypoint)

        prefect.flows.safe_load_flow_from_entrypoint = noting
    return reasons


def explain(error, entrypoint):
    """Which kind of failure it is, told by the project's own exception rather than Prefect's wrapping."""
    from prefect.exceptions import MissingFlowError, ScriptError

    if isinstance(error, MissingFlowError):
        return Refusal("not_found" if isinstance(error.__cause__, AttributeError) else "not_a_flow", error)
    wrapping = error if isinstance(error, ScriptError) else error.__context__
    cause = (wrapping.user_exc if isinstance(wrapping, ScriptError) else None) or error
    script = entrypoint.rsplit(":", 1)[0]
    if script.endswith(".py") and not os.path.exists(script):
        return Refusal("missing_file", cause)
    if isinstance(cause, SystemExit):
        return Refusal("exited", cause)
    if isinstance(cause, ImportError):
        return Refusal("missing_module", cause)
    if isinstance(error, ValueError) and "Could not find object" in str(error):
        return Refusal("not_found", error)
    return Refusal("raised", cause)


HANDLERS["flow_facts"] = flow_facts
