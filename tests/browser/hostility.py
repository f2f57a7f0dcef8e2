"""Fills every text that the API takes with what a browser must not take for anything but text."""

import json
import urllib.error

MARKUP = "</script></textarea></title><img src=x onerror=alert(1)>"
QUOTES = "\"'><svg onload=alert(2)>\" onmouseover=\"alert(3)\" x='"
# Whoever evaluates it shows `q49q`.
TEMPLATE = "q{{7*7}}q q${7*7}q q<%= 7*7 %>q q{% raw %}q"
DIRECTIONS = "\u202egnp.tob\u202c \u200f\u061c\u2066 \u05e9\u05dc\u05d5\u05dd"
LONG = "W" * 10_000
LINK = "javascript:alert(4)"
TEXTS = (MARKUP, QUOTES, TEMPLATE, DIRECTIONS, LONG, LINK)
# Each refusal takes at least one field away.
ATTEMPTS_MAX = 24

# What only hostile text can have put there.
DANGERS = """
const strange = [...document.querySelectorAll(
  'img[src="x"], svg[onload], [onerror], [onload], [onmouseover], [onclick], script:not([src]),'
  + 'iframe, object, embed, base, [style*="expression"], a[href^="javascript:" i]')];
const found = strange.map(element => element.outerHTML.slice(0, 120));
if (document.documentElement.innerText.includes('q49q')) found.push('an expression was evaluated');
return found;
"""


class Planter:
    """Makes one record of each kind with each text, as far as it is taken."""

    def __init__(self, appliance):
        self.appliance = appliance
        self.schemas = appliance.ask("GET", "/v1/openapi.json")
        self.number = 0
        self.refused = {}

    def resolved(self, schema):
        while "$ref" in schema:
            found = self.schemas
            for part in schema["$ref"].split("/")[1:]:
                found = found[part]
            schema = found
        return schema

    def texts(self, method, route):
        """Returns the fields of a body that take any text, and those that it must have."""
        body = self.schemas["paths"][route][method]["requestBody"]
        schema = self.resolved(body["content"]["application/json"]["schema"])
        properties = {name: self.resolved(it) for name, it in schema.get("properties", {}).items()}
        free = lambda it: it.get("type") == "string" and not it.keys() & {"enum", "format", "const"}
        required = schema.get("required", [])
        return [name for name, it in properties.items() if free(it)], required

    def plant(self, method, route, text, given, path=None):
        """Sends a body whose free texts are all hostile and leaves out what is refused."""
        free, required = self.texts(method, route)
        body = {name: text for name in free} | given
        for _ in range(ATTEMPTS_MAX):
            try:
                return self.appliance.ask(method.upper(), path or route, body)
            except urllib.error.HTTPError as error:
                problem = json.load(error)
                assert error.code < 500, f"{route}: {problem}"
                if not relent(body, problem, {*required, *given}):
                    self.refused.setdefault(route, problem.get("detail") or problem)
                    return None

    def all(self):
        appliance = self.appliance
        team = appliance.one("/v1/teams")["id"]
        for text in TEXTS:
            self.number += 1
            number = self.number
            sender = f"mallory{number}@halden.example"
            ticket = self.plant(
                "post", "/v1/tickets", text,
                {"teamId": team, "requestorEmail": sender, "tags": [text[:40]],
                 "customFields": {}, "metadata": {text[:60]: text}},
            )
            if ticket:
                route = "/v1/tickets/{id}/comments"
                self.plant("post", route, text, {"content": text}, f"/v1/tickets/{ticket['id']}/comments")
            self.plant("post", "/v1/accounts", text, {"name": text, "primaryDomain": f"m{number}.example"})
            self.plant("post", "/v1/contacts", text, {"firstName": text, "email": f"contact-{sender}"})
            self.plant("post", "/v1/users", text, {"name": text, "email": sender})
            self.plant("post", "/v1/teams", text, {"name": text})
            self.plant("post", "/v1/tags", text, {"name": text})
            self.plant("post", "/v1/ticket-statuses", text, {"name": f"hostile {number}", "displayName": text, "parentStatusName": "Open"})
            self.plant("post", "/v1/custom-fields", text, {"name": text, "fieldType": "single_line"})
            self.plant("post", "/v1/keys", text, {"name": text, "scopes": ["runs:read"]})
            self.plant("post", "/v1/people", text, {"name": text, "email": sender, "roles": ["viewer"]})
            self.plant("post", "/v1/tenants", text, {"name": text, "slug": f"hostile-{number}"})
            secret = {"value": text}
            self.plant("put", "/v1/secrets/{name}", text, secret, f"/v1/secrets/hostile_{number}")
            self.plant(
                "post", "/v1/connections", text,
                {"name": f"hostile-{number}", "app": "http",
                 "settings": {"baseUrl": "http://127.0.0.1:9/"}, "secrets": {"token": text}},
            )
            self.plant(
                "post", "/v1/forms", text,
                {"name": f"hostile-{number}", "title": text, "eventType": None, "teamId": None,
                 "schema": {"type": "object", "properties": {"a": {"type": "string", "title": text}}}},
            )
            self.plant("post", "/v1/event-types", text, {"type": f"hostile:kind{number}", "name": text})
            self.plant(
                "post", "/v1/activities", text,
                {"uniqueIdentifier": f"hostile:act{number}", "kind": "worker", "name": text},
            )
            self.plant("post", "/v1/webhooks", text, {"url": f"http://127.0.0.1:9/{number}", "description": text,
                                                     "types": ["ticket:created"]})
            self.plant_app(text, number)
            self.plant_workflow(text, number)
            event = {"text": text, text[:200]: [text, {text[:100]: text}]}
            appliance.ask("POST", f"/v1/events/hostile:kind{number}", event)

    def plant_app(self, text, number):
        app = {"name": f"Hostile {number}", "description": text, "slug": f"hostile-{number}"}
        self.plant("post", "/v1/apps", text, {"app": app, "activities": []})

    def plant_workflow(self, text, number):
        """A workflow that fails with the text in its error, started by an event that holds it."""
        body = {
            "name": f"hostile-{number}",
            "title": text,
            "description": text,
            "tags": [text],
            "trigger": {
                "event": f"hostile:kind{number}",
                "filter": {"{{trigger.payload.text}}": {"~neq": text.replace("{", "(")}},
            },
            "steps": [
                {
                    "id": "say",
                    "title": text,
                    "activity": "workflows:transform-platform",
                    "input": {"output": {"text": text.replace("{{", "{ {").replace("{%", "{ %")}},
                },
                {
                    "id": "fail",
                    "activity": "workflows:http-request-platform",
                    "input": {"method": "GET", "url": "{{ trigger.payload.text }}"},
                    "retry": {"attempts": 1},
                    "compensate": "none",
                },
            ],
        }
        self.plant("post", "/v1/workflows", text.replace("{{", "{ {").replace("{%", "{ %"), body)


def relent(body, problem, needed):
    """Takes away what a problem points at, or shortens it; tells whether that was anything."""
    told = False
    for item in problem.get("errors", []):
        parts = [part for part in item.get("pointer", "").replace("#", "").split("/") if part]
        if not parts or parts[0] not in body:
            continue
        name = parts[0]
        if isinstance(body[name], str) and name in needed and len(body[name]) > 16:
            body[name] = body[name][: len(body[name]) // 2]
        elif len(parts) > 1 and shorten(body, parts):
            pass
        else:
            del body[name]
        told = True
    return told


def shorten(body, parts):
    """Halves the long text at a place deeper down."""
    for part in parts[:-1]:
        body = body[int(part)] if isinstance(body, list) else body.get(part)
        if not isinstance(body, (dict, list)):
            return False
    last = int(parts[-1]) if isinstance(body, list) and parts[-1].isdigit() else parts[-1]
    try:
        if isinstance(body[last], str) and len(body[last]) > 16:
            body[last] = body[last][: len(body[last]) // 2]
        else:
            del body[last]
        return True
    except (LookupError, TypeError):
        return False
