//! The one table of routes: what exists, who may ask, what goes in and out.

use actix_web::guard::{self, Guard};
use actix_web::http::Method;

/// A noun of the API with everything that it answers.
#[derive(Debug)]
pub struct Group {
    /// Names the group in OpenAPI and in the viewer.
    pub tag: &'static str,
    /// What it is about, in a sentence.
    pub about: &'static str,
    /// Its routes, in the order in which the viewer shows them.
    pub routes: &'static [Route],
    /// Its JSON Schemas by name.
    pub schemas: &'static [(&'static str, &'static str)],
    /// Its JSON Schemas that are made from tables of the domain.
    pub made: &'static [(&'static str, MakeSchema)],
}

/// The media type of bodies and answers, unless a route says otherwise.
pub const JSON: &str = "application/json";

/// Makes a JSON Schema.
pub type MakeSchema = fn() -> serde_json::Value;

impl Group {
    /// Returns every schema by name.
    pub fn all_schemas(&self) -> impl Iterator<Item = (&'static str, serde_json::Value)> + use<> {
        let read = |text: &str| serde_json::from_str(text).expect("a test reads every schema");
        let written = self.schemas.iter().map(move |(name, text)| (*name, read(text)));
        written.chain(self.made.iter().map(|(name, make)| (*name, make())))
    }
}

/// One method of one path.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The method.
    pub verb: Verb,
    /// The path with its variable segments in braces.
    pub path: &'static str,
    /// The operation's stable name, such as `runs_retry`.
    pub id: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// Who may ask.
    pub access: Access,
    /// The query parameters that it reads.
    pub query: &'static [Param],
    /// The request headers that it reads beside those that every route reads.
    pub headers: &'static [Param],
    /// The name of the body's schema.
    pub body: Option<&'static str>,
    /// The media types of the body and of the answer.
    pub media: (&'static str, &'static str),
    /// The status and the schema's name of its answer; `""` for one without JSON.
    pub answer: (u16, &'static str),
    /// What else it answers, in the same form; refusals need not be named.
    pub other_answers: &'static [(u16, &'static str)],
    /// Makes the handler.
    pub handler: fn() -> actix_web::Route,
}

/// The methods that the table knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Reads; `HEAD` answers as well.
    Get,
    /// Makes or does.
    Post,
    /// Puts in place.
    Put,
    /// Changes some fields.
    Patch,
    /// Removes.
    Delete,
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Public,
    /// Anybody with a valid key or session.
    Known,
    /// A key with this scope.
    Scope(&'static str),
    /// A person with this scope; one without a session is led to the sign-in page.
    Page(&'static str),
    /// Anybody with a session; one without is led to the sign-in page.
    OwnPage,
}

/// One query parameter.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// Its JSON type: `string`, `integer`, `boolean`.
    pub kind: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
}

impl Param {
    /// Describes a text parameter.
    pub const fn text(name: &'static str, about: &'static str) -> Param {
        Param { name, kind: "string", about }
    }

    /// Describes a whole number.
    pub const fn number(name: &'static str, about: &'static str) -> Param {
        Param { name, kind: "integer", about }
    }

    /// Describes a switch.
    pub const fn flag(name: &'static str, about: &'static str) -> Param {
        Param { name, kind: "boolean", about }
    }
}

/// The two parameters of every list.
pub const LIMIT: Param = Param::number("limit", "How many items at most, 1 to 200; default 50.");
/// Where the next page begins.
pub const CURSOR: Param = Param::text("cursor", "The `nextCursor` of the page before.");
/// What a plain list reads.
pub const PAGED: &[Param] = &[LIMIT, CURSOR];

impl Route {
    /// Begins a `GET` route.
    pub const fn get(path: &'static str, handler: fn() -> actix_web::Route) -> Route {
        Route::new(Verb::Get, path, handler)
    }

    /// Begins a `POST` route.
    pub const fn post(path: &'static str, handler: fn() -> actix_web::Route) -> Route {
        Route::new(Verb::Post, path, handler)
    }

    /// Begins a `PUT` route.
    pub const fn put(path: &'static str, handler: fn() -> actix_web::Route) -> Route {
        Route::new(Verb::Put, path, handler)
    }

    /// Begins a `PATCH` route.
    pub const fn patch(path: &'static str, handler: fn() -> actix_web::Route) -> Route {
        Route::new(Verb::Patch, path, handler)
    }

    /// Begins a `DELETE` route.
    pub const fn delete(path: &'static str, handler: fn() -> actix_web::Route) -> Route {
        Route::new(Verb::Delete, path, handler)
    }

    const fn new(verb: Verb, path: &'static str, handler: fn() -> actix_web::Route) -> Route {
        // Nobody may ask until the table says who: an unnamed scope is held by owners alone.
        Route {
            verb,
            path,
            id: "",
            summary: "",
            access: Access::Scope("owner:write"),
            query: &[],
            headers: &[],
            body: None,
            media: (JSON, JSON),
            answer: (200, ""),
            other_answers: &[],
            handler,
        }
    }

    /// Names the operation and says what it does.
    pub const fn named(mut self, id: &'static str, summary: &'static str) -> Route {
        self.id = id;
        self.summary = summary;
        self
    }

    /// Lets every valid key ask.
    pub const fn known(mut self) -> Route {
        self.access = Access::Known;
        self
    }

    /// Lets keys with `scope` ask.
    pub const fn scope(mut self, scope: &'static str) -> Route {
        self.access = Access::Scope(scope);
        self
    }

    /// Lets anybody ask.
    pub const fn public(mut self) -> Route {
        self.access = Access::Public;
        self
    }

    /// Lets a person with `scope` ask, and leads others to the sign-in page.
    pub const fn page(mut self, scope: &'static str) -> Route {
        self.access = Access::Page(scope);
        self
    }

    /// Lets everybody who is signed in ask, and leads others to the sign-in page.
    pub const fn own_page(mut self) -> Route {
        self.access = Access::OwnPage;
        self
    }

    /// Sets the query parameters.
    pub const fn query(mut self, query: &'static [Param]) -> Route {
        self.query = query;
        self
    }

    /// Sets the request headers that it reads.
    pub const fn headers(mut self, headers: &'static [Param]) -> Route {
        self.headers = headers;
        self
    }

    /// Sets the media types of the body and of the answer.
    pub const fn media(mut self, body: &'static str, answer: &'static str) -> Route {
        self.media = (body, answer);
        self
    }

    /// Sets the schema of the body.
    pub const fn body(mut self, schema: &'static str) -> Route {
        self.body = Some(schema);
        self
    }

    /// Sets the status and the schema of the answer.
    pub const fn answers(mut self, status: u16, schema: &'static str) -> Route {
        self.answer = (status, schema);
        self
    }

    /// Sets further statuses that it answers with, each with its schema; without one, no body.
    pub const fn or_answers(mut self, others: &'static [(u16, &'static str)]) -> Route {
        self.other_answers = others;
        self
    }

    /// Returns whether it is a page or a form of a page.
    #[must_use]
    pub fn is_page(&self) -> bool {
        self.id.starts_with("page_")
    }

    /// Returns the path's variable segments.
    pub fn path_params(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }
}

impl Verb {
    /// Returns the method's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Verb::Get => "GET",
            Verb::Post => "POST",
            Verb::Put => "PUT",
            Verb::Patch => "PATCH",
            Verb::Delete => "DELETE",
        }
    }

    /// Returns whether a request with `method` is meant for this verb.
    #[must_use]
    pub fn takes(self, method: &Method) -> bool {
        method.as_str() == self.name() || (self == Verb::Get && method == Method::HEAD)
    }

    /// Returns the guard that lets this verb's requests through.
    pub fn guard(self) -> impl Guard {
        guard::fn_guard(move |ctx| self.takes(&ctx.head().method))
    }
}

/// Every route of `groups` by path, in the order in which paths must be tried: a fixed segment
/// before a variable one.
#[must_use]
pub fn by_path(groups: &[&'static Group]) -> Vec<(&'static str, Vec<&'static Route>)> {
    let mut paths: Vec<(&'static str, Vec<&'static Route>)> = Vec::new();
    for route in groups.iter().flat_map(|group| group.routes) {
        match paths.iter_mut().find(|(path, _)| *path == route.path) {
            Some((_, routes)) => routes.push(route),
            None => paths.push((route.path, vec![route])),
        }
    }
    // A brace sorts after every character that a fixed segment has.
    paths.sort_by_key(|(path, _)| *path);
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::web;

    fn nothing() -> actix_web::Route {
        web::to(|| async { "" })
    }

    static GROUP: Group = Group {
        tag: "things",
        about: "",
        routes: &[
            Route::get("/v1/things/{id}", nothing),
            Route::post("/v1/things/test", nothing),
            Route::put("/v1/things/{id}", nothing).scope("things:write"),
        ],
        schemas: &[],
        made: &[],
    };

    #[test]
    fn fixed_segments_are_tried_before_variable_ones() {
        let paths = by_path(&[&GROUP]);
        let order: Vec<_> = paths.iter().map(|(path, routes)| (*path, routes.len())).collect();
        assert_eq!(order, [("/v1/things/test", 1), ("/v1/things/{id}", 2)]);
    }

    #[test]
    fn a_route_that_names_no_scope_is_the_owners() {
        assert_eq!(GROUP.routes[0].access, Access::Scope("owner:write"));
        assert_eq!(GROUP.routes[0].path_params().collect::<Vec<_>>(), ["id"]);
        assert!(Verb::Get.takes(&Method::HEAD) && !Verb::Put.takes(&Method::POST));
    }
}
