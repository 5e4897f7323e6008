"""A check of the tests: none waits without a limit, and a limit is the one that only ends a hang."""

import ast

STARTS = frozenset({"run", "Popen", "call", "check_call", "check_output", "getoutput", "getstatusoutput"})
WAITS = frozenset({"wait", "join", "communicate", "acquire"})
LIMITS = frozenset({"timeout", "startup_timeout", "deadline"})


def endless(name: str, source: str) -> list[str]:
    """Return the calls of a test module that may never end, and the limits that are typed numbers."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        where, call = f"{name}:{node.lineno}", ast.unparse(node.func)
        owner, _, last = call.rpartition(".")
        given = {word.arg: word.value for word in node.keywords}
        if owner == "subprocess" and last in STARTS:
            found.append(f"{where}: {call} where tests.programs has a limit")
        elif last == "wait_for_timeout":
            found.append(f"{where}: {call} waits for a time, not for what is to come")
        elif owner and last in WAITS and not node.args and "timeout" not in given:
            found.append(f"{where}: {call} without a limit")
        for word in LIMITS & given.keys():
            value = given[word]
            if isinstance(value, ast.Constant) and value.value is not None:
                found.append(f"{where}: {call} has {word}={value.value!r}, which is not LIMIT")
    return found
