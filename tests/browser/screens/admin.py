"""The screens that set the appliance up: connections, secrets, keys, webhooks, apps, activities."""

MANIFEST = {
    "app": {"name": "Pager", "slug": "pager", "version": "1.0.0", "description": "Pages people"},
    "developer": {"name": "Pager Inc."},
    "scopes": {"required": ["tickets:read"], "optional": ["tickets:write"]},
    "events": {"publish": [{"event": "pager.page.answered", "reason": "Somebody answered"}]},
    "activities": [
        {
            "name": "page_someone",
            "description": "Pages somebody",
            "http_config": {"httpVerb": "POST", "endpoint_url": "https://pager.example.com/page"},
            "request_schema": {"type": "object", "properties": {"who": {"type": "string"}}},
        }
    ],
    "configuration": {
        "required_settings": [{"key": "api_key", "type": "secret", "description": "Its key"}],
        "optional_settings": [{"key": "region", "options": ["eu", "us"], "default": "eu"}],
    },
}


def seed(appliance):
    """Makes what the screens show."""
    ask = appliance.ask
    http = {"baseUrl": "https://pager.example.com", "auth": "bearer"}
    made = {"name": "pager-api", "app": "http", "settings": http, "secrets": {"token": "hush"}}
    ask("POST", "/v1/connections", made)
    ask("POST", "/v1/connections", {"name": "chat-screens", "app": "slack"})
    ask("POST", "/v1/connections/pager-api/test")
    hosts = ["pager.example.com", "*.example.org"]
    ask("PUT", "/v1/secrets/screen_token", {"value": "hush", "hosts": hosts})
    ask("POST", "/v1/keys", {"name": "The shop", "scopes": ["events:write", "runs:read"]})
    hook = {"url": "https://shop.example.com/ergane", "types": ["ticket:*", "account:created"]}
    ask("POST", "/v1/webhooks", {**hook, "description": "The shop hears of tickets"})
    ask("POST", "/v1/apps", MANIFEST)


def screens(appliance):
    """Lists the screens by name, path and status."""
    webhook = appliance.one("/v1/webhooks")["id"]
    return [
        ("connections", "/connections", 200),
        ("connections, none", "/connections?q=nothing-is-called-so", 200),
        ("connections, choice", "/connections/new", 200),
        ("connection, new", "/connections/new?app=http", 200),
        ("connection", "/connections/pager-api", 200),
        ("connection, Slack", "/connections/chat-screens", 200),
        ("connection, missing", "/connections/nobody", 404),
        ("secrets", "/secrets", 200),
        ("secret", "/secrets/screen_token", 200),
        ("keys", "/keys", 200),
        ("webhooks", "/webhooks", 200),
        ("webhooks, incoming", "/webhooks?direction=in", 200),
        ("webhook, new", "/webhooks/new", 200),
        ("webhook", f"/webhooks/{webhook}", 200),
        ("apps, installed", "/apps?state=installed", 200),
        ("app, new", "/apps/new", 200),
        ("app", "/apps/pager", 200),
        ("activities", "/activities", 200),
        ("activities, none", "/activities?q=nothing-is-called-so", 200),
        ("activity", "/activities/tickets%3Aupdate-ticket-platform", 200),
        ("activity on the outside", "/activities/slack.postMessage", 200),
        ("activities, import", "/activities/import", 200),
        ("destinations, in trouble", "/destinations?state=trouble", 200),
    ]
