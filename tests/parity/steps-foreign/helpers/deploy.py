def measure(text, factor=1, **rest):
    return {"length": len(text) * factor, "rest": rest, "nested": {"list": [1, None, True]}, "none": None}


async def wait(seconds):
    return {"waited": seconds}


def silent():
    return 5
