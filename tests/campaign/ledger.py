"""What was asked of the appliance and what it said, kept outside of whatever may break."""

import copy
import threading
import time


class Ledger:
    """The truth that the appliance is compared with; a snapshot is what was true at a moment."""

    def __init__(self):
        self.lock = threading.Lock()
        self.events = {}
        self.saves = {}
        self.bulk_jobs = []
        self.ungiven = {}

    def sent(self, mark, kind, ticket, source):
        with self.lock:
            self.events.setdefault(
                mark,
                {
                    "kind": kind,
                    "ticket": ticket,
                    "source": source,
                    "sentAt": time.time(),
                    "acked": False,
                    "answers": [],
                    "signalled": False,
                    "cancelled": False,
                },
            )

    def acked(self, mark, runs):
        with self.lock:
            event = self.events[mark]
            event["acked"] = True
            event["answers"].append(runs)

    def note(self, mark, what):
        """Notes that what follows from an event was acknowledged: `signalled` or `cancelled`."""
        with self.lock:
            self.events[mark][what] = True

    def saved(self, name, version, words):
        with self.lock:
            self.saves[(name, version)] = words

    def began_bulk(self, job):
        with self.lock:
            self.bulk_jobs.append(job)

    def worked(self, key, given):
        """Notes a task that a worker was given; answers whether the key came with the same before."""
        with self.lock:
            return self.ungiven.setdefault(key, given) == given

    def acked_events(self, *kinds):
        return {
            mark: event
            for mark, event in self.events.items()
            if event["acked"] and (not kinds or event["kind"] in kinds)
        }

    def snapshot(self):
        other = Ledger()
        with self.lock:
            for name in ("events", "saves", "bulk_jobs", "ungiven"):
                setattr(other, name, copy.deepcopy(getattr(self, name)))
        return other
