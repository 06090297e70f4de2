"""What `prefect deploy` would learn of a flow: name, description, version and parameter schema."""


def flow_facts(question):
    import asyncio

    os.chdir(question["cwd"])
    fallbacks = watch_fallback()

    async def load():
        # `prefect deploy` loads flows while its event loop runs; code at import time can tell the difference.
        return facts_of(question["entrypoint"])

    try:
        answer = asyncio.run(load())
    except BaseException as error:
        raise explain(error, question["entrypoint"]) from None
    if fallbacks:
        answer["fallback"] = fallbacks[0]
    return answer


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
