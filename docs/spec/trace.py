#!/usr/bin/env python3
"""Whether the trace of a real stop is a run of the model, and if not, which of its steps the model does not have.

    trace.py EXPLORER TRACE REPORT CODE [SETTING=NUMBER...]

EXPLORER is stop.pml with -D TRACE, by `spin -a` and a C compiler; TRACE what /debug/trace has answered, REPORT the
shutdown report, CODE the exit code. Steps of the stop are held against the model in their order, and so are requests
that lived in it: each is one of a connection of the model, as long as there are enough of them.
"""
import json
import os
import subprocess
import sys

CAUSES = {"SIGTERM": 1, "SIGINT": 1, "debug": 2, "part:app": 3, "part:tracker": 4, "part:debug": 5}
STEPS = {"withdrawn": 6, "forced": 7, "entered app": 8, "entered tracker": 9, "ended app": 10}
CONNECTIONS = 4


class Refused(Exception):
    pass


def cause_number(cause):
    """A loop that fails, "part:app-1", is a failure of its part."""
    name = cause.split("-")[0] if cause.startswith("part:") else cause
    if name not in CAUSES:
        raise Refused(f"the model has no cause {cause!r}")
    return CAUSES[name]


def steps_of(events):
    found, fallen = [], False
    for event in events:
        if event.get("cat") != "step":
            continue
        name = event["name"]
        if name == "began":
            fallen = cause_number(event["args"]["cause"]) == 3
            found.append((event["ts"], name + " by " + event["args"]["cause"], cause_number(event["args"]["cause"])))
        elif name == "ended app" and fallen:
            continue  # the model's app ends with its loop
        elif name in STEPS:
            found.append((event["ts"], name, STEPS[name]))
    return found


def requests_of(events, began):
    """(begin, end or None, name, status) of those that lived when a stop began, or later."""
    spans, order = {}, []
    for event in events:
        if event.get("cat") != "request" or event["name"] == "handler":
            continue
        if event["ph"] == "b":
            spans[event["id"]] = [event["ts"], None, event["name"], None]
            order.append(event["id"])
        else:
            status = event["args"]["status"]
            if status != "not this handler's":
                spans[event["id"]][1] = event["ts"]
            spans[event["id"]][3] = status
    return [spans[span] for span in order if spans[span][1] is None or spans[span][1] >= began]


def on_connections(requests):
    free_at = [None] * CONNECTIONS  # when each was last answered; the least used first
    found = []
    for begin, end, name, status in sorted(requests, key=lambda request: request[0]):
        fresh = [k for k in range(CONNECTIONS) if free_at[k] is None]
        idle = [k for k in range(CONNECTIONS) if free_at[k] is not None and free_at[k] <= begin]
        if not fresh and not idle:
            raise Refused(f"more than {CONNECTIONS} requests at a time")
        at = fresh[0] if fresh else min(idle, key=lambda k: free_at[k])
        free_at[at] = end if end is not None else float("inf")
        found.append((begin, f"a handler begins: {name}", 2 * at))
        if end is not None:
            found.append((end, f"its answer is on its way: {name}, {status}", 2 * at + 1))
    return sorted(found, key=lambda step: step[0])


def explored(explorer, settings):
    """Whether the model has such a run."""
    place = os.path.dirname(os.path.abspath(explorer))
    done = subprocess.run([explorer, "-m1000000", "-n", "-w20"], env={**os.environ, **settings}, cwd=place,
                          capture_output=True, text=True, timeout=900)
    if "assertion violated the_trace_is_no_run" in done.stdout:
        return True
    if "errors: 0" not in done.stdout or "Search not completed" in done.stdout:
        raise Refused("the exploration failed: " + done.stdout[-300:])
    return False


def main():
    explorer, trace_file, report_file, code = sys.argv[1:5]
    extra = dict(word.split("=") for word in sys.argv[5:])
    with open(trace_file, encoding="utf-8") as file:
        events = json.load(file)["traceEvents"]
    with open(report_file, encoding="utf-8") as file:
        report = json.load(file)
    requests = report["requests"]
    steps = steps_of(events)
    if not steps:
        raise Refused("there is no stop in the trace")
    # A handler that has not returned is in the report, not in the trace.
    late = [[0, None, straggler["name"], None] for straggler in report["stragglers"] if straggler["kind"] == "request"]
    lived = on_connections(late + requests_of(events, max(step[0] for step in steps if step[1].startswith("began"))))
    merged = sorted([(ts, 0, what, number) for ts, what, number in steps] +
                    [(ts, 1, what, number) for ts, what, number in lived], key=lambda step: step[0])
    settings = {
        "SIGNALS": str(sum(number in (1, 7) for _, _, number in steps)),
        "POSTS": str(sum(number == 2 for _, _, number in steps)),
        "FAULTS": str(min(1, len(report["stragglers"])) + sum(3 <= number <= 5 for _, _, number in steps)),
        "LEAVES": str(min(1, requests["gone"])), "REQUESTS": "1" if lived else "0", "LAME_DUCK": "0",
        "CODE": code, "IN_FLIGHT_AT_STOP": str(requests["in_flight_at_stop"]),
        "BEGUN_AFTER": str(requests["begun_after"]), "FINISHED": str(requests["finished"]),
        "CUT": str(requests["cut"]), "GONE": str(requests["gone"]),
    }
    if any(step[1] == "forced" for step in steps):
        settings["SIGNALS"] = "2"  # the first one may have joined a stop that something else had begun
    settings.update(extra)

    def has(count, whole):
        seen = merged[:count]
        return explored(explorer, {**settings, "EXIT_SHOWN": "1" if whole else "0",
                                   "STEPS_SHOWN": " ".join(str(step[3]) for step in seen if step[1] == 0),
                                   "REQUESTS_SHOWN": " ".join(str(step[3]) for step in seen if step[1] == 1)})

    if has(len(merged), True):
        print(f"a run of the model, {len(merged)} steps: " + ", ".join(step[2] for step in merged if step[1] == 0) +
              f", exit code {code}")
        return 0
    least, most = 0, len(merged)  # it has the first `least`
    while least < most:
        middle = (least + most + 1) // 2
        if has(middle, False):
            least = middle
        else:
            most = middle - 1
    for place, step in enumerate(merged):
        print(("  " if place < least else "->" if place == least else "  ") + f" {place + 1}. {step[2]}")
    counts = ", ".join(f"{key} {value}" for key, value in requests.items())
    print(f"no run of the model: it does not have step {least + 1}" if least < len(merged) else
          f"no run of the model: it does not end with exit code {code} and {counts}")
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Refused as why:
        print("no run of the model:", why)
        sys.exit(1)
