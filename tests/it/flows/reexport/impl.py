from prefect import flow


def unrelated(): ...


@flow(description="Implemented elsewhere")
def my_flow(a: "Thing", b: "list[Thing] | None" = None): ...


class Thing:
    pass
