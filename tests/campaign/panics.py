"""Panics at every place that belongs to one run, one request or one timer: nothing else may feel it."""

from appliance import Api, Away, Refused
from kills import Prepared, names_of_failpoints

# The writer and the commit belong to everybody; what a panic there does is tried by kills.
OF_EVERYBODY = ("writer.turn", "commit.before", "commit.after", "store.reopen", "batch.send")
# Fewer than what sets a run aside.
TIMES = 2


def panics(context):
    """Panics twice at a place while the scenario goes on; the process lives, and all ends well."""
    names = [name for name in names_of_failpoints(context) if name not in OF_EVERYBODY]
    if context.is_short:
        names = sorted(context.chance.sample(names, 4))
    prepared = Prepared(context, "panics")
    for name in names:
        for first in (1,) if context.is_short else (1, 3, 8):
            plan = {"ERGANE_FAIL": f"{name}=panic@{first}*{TIMES}"}
            has_ended = prepared.one(
                first, name, extra=plan, before_the_end=look_at_pages, lives_on=True
            )
            context.hold("a panic does not end the process", not has_ended, f"{name} @{first}")
    context.counts["places"] = len(names)
    prepared.close()


def look_at_pages(world):
    """Pages may panic as well; what is asked afterwards is answered."""
    api = Api(world.server)
    for _ in range(4):
        try:
            api.call("GET", "/")
        except (Refused, Away):
            pass  # This is the panic that was planned.
