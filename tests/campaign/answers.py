"""Answers that nobody hears, remotes that act and do not say so, and events that come again."""

import json
import socket
import threading

from appliance import KEY, Api, Away, Refused
from checker import check
from sink import Sink, by_checksum

FAULTS = ("503", "429", "500", "reset", "cut", "drip", "hang")
AT_ONCE = 100


def answers(context):
    sink = Sink(ordered)
    world = context.world(sink=sink)
    api = Api(world.server)
    hang_up(context, world)
    remotes(context, world, api)
    repeats(context, world, api)
    all_at_once(context, world)
    over_a_restart(context, world, api)
    in_another_tenant(context, world, api)
    context.add(check(world))
    world.server.kill()
    sink.close()


def ordered(path):
    """The mark of a call names the fault that it meets."""
    return path.split("fault-")[1].split("-")[0] if "/out/fault-" in path else by_checksum(path)


def hang_up(context, world):
    """The client is gone before it reads; the same event sent again is one event."""
    for number in range(context.length(20, 500)):
        mark = f"gone-{number}"
        world.ledger.sent(mark, "fused", world.ticket, "gone")
        event = event_of(world, mark)
        head = f"POST /v1/events HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {KEY}\r\n"
        head += f"content-type: application/cloudevents+json\r\ncontent-length: {len(event)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", world.server.port)) as connection:
            whole = head.encode() + event
            # Sometimes it even leaves before it has said everything.
            cut = len(whole) - (context.chance.randrange(60) if number % 4 == 0 else 0)
            connection.sendall(whole[:cut])
        context.count("answers that nobody read")
    world.resend()


def event_of(world, mark):
    data = {"mark": mark, "ticketId": world.ticket, "teamId": world.team}
    event = {"specversion": "1.0", "id": mark, "source": "campaign", "type": "crash:fused", "data": data}
    return json.dumps(event).encode()


def remotes(context, world, api):
    for fault in FAULTS:
        for number in range(context.length(1, 20) if fault != "hang" else 1):
            world.send(api, f"fault-{fault}-{number}", "outside", 10)
            context.count("remote faults")


def repeats(context, world, api):
    for number in range(context.length(5, 100)):
        for _ in range(5):
            world.send(api, f"again-{number}", "fused", 10)
            context.count("events sent")


def all_at_once(context, world):
    """The same event from many clients at the same moment."""
    for number in range(context.length(2, 100)):
        mark = f"crowd-{number}"
        world.ledger.sent(mark, "fused", world.ticket, mark)
        gate, problems = threading.Barrier(AT_ONCE), []

        def send():
            api = Api(world.server)
            gate.wait()
            try:
                world.ledger.acked(mark, world.deliver(api, mark, "fused", world.ticket))
            except (Away, Refused) as error:
                problems.append(str(error))

        threads = [threading.Thread(target=send) for _ in range(AT_ONCE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        context.count("events sent", AT_ONCE)
        context.hold("the same event at once is taken", not problems, f"{mark}: {problems[:2]}")


def over_a_restart(context, world, api):
    marks = [f"again-{number}" for number in range(5)]
    world.server.kill()
    context.begin(world.server)
    for mark in marks:
        world.send(api, mark, "fused", 100)
        context.count("events sent")


def in_another_tenant(context, world, api):
    """Another tenant's event of the same id is another event, and nothing of the first is seen."""
    other = {"X-Tenant": "other", "Content-Type": "application/cloudevents+json"}
    api.persist("POST", "/v1/tenants", {"slug": "other", "name": "Other"})
    answer = api.persist("POST", "/v1/events", json.loads(event_of(world, "again-0")), other)
    told = answer["accepted"][0]
    context.hold("an id belongs to one tenant", not told["duplicate"] and not told["runs"], str(told))
    context.count("events sent")
