"""Whether the checker sees: each promise is broken on purpose, in what it compares with."""

from appliance import Api
from checker import check
from scenario import KINDS


def blind(context):
    """Checks a scenario that went well, then the same beside a ledger of what never happened."""
    world = context.world()
    world.start_worker()
    api = Api(world.server)
    for kind in KINDS:
        world.send(api, f"c0-{kind}", kind, 100)
    if not context.add(check(world)):
        return
    for promise, tamper in TAMPERED.items():
        former = world.ledger
        world.ledger = former.snapshot()
        undo = tamper(world)
        broken = {name for name, _, violations in check(world, patience=1) if violations}
        context.hold("the checker sees it", promise in broken, f"`{promise}` was broken, red are {broken}")
        context.count("promises broken on purpose")
        world.ledger = former
        if undo:
            undo()
    world.server.kill()
    world.sink.close()


def never_sent(world):
    world.ledger.sent("c0-never", "fused", world.ticket, "c0")
    world.ledger.acked("c0-never", ["run_never"])


def other_kind(world):
    world.ledger.events["c0-fused"]["kind"] = "many"


def other_answer(world):
    world.ledger.events["c0-fused"]["answers"].append(["run_other"])


def sent_later(world):
    world.ledger.events["c0-sleep"]["sentAt"] += 5


def never_delivered(world):
    world.ledger.sent("c0-unheard", "hooked", world.ticket, "c0")
    world.ledger.acked("c0-unheard", [])


def saved_otherwise(world):
    world.ledger.saved("crash-fused", 1, "other words")


def called_otherwise(world):
    return changed(world, "/out/c0-outside", "key", "another-key")


def undone_forwards(world):
    return changed(world, "/undo2/c0-undo", "first", 10**9)


def changed(world, place, field, value):
    seen = world.sink.paths[place]
    former = seen[field]
    seen[field] = value
    return lambda: seen.update({field: former})


TAMPERED = {
    "an acknowledged event is there": never_sent,
    "an event starts its workflow once": other_kind,
    "an answer names the run that there is": other_answer,
    "a platform effect happens once": other_kind,
    "a sleep never ends early": sent_later,
    "a webhook gets each event, in order": never_delivered,
    "a saved definition is there": saved_otherwise,
    "a call keeps its key and its body": called_otherwise,
    "what failed is undone whole, in reverse": undone_forwards,
}
