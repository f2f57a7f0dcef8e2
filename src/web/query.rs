//! The query of a request; a parameter that its route does not read is refused.

use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use futures_util::future::{Ready, ready};

use super::api::cursor;
use super::error::ApiError;
use super::route::Route;
use super::state::Front;
use crate::app::page::PageRequest;
use crate::app::views::Page;
use crate::domain::problem::nearest;
use crate::domain::time::{Timestamp, parse_duration};

/// The parameters of a request.
#[derive(Debug)]
pub struct Query {
    pairs: Vec<(String, String)>,
    now: Timestamp,
}

/// Parameters that choose a part of a list or how long to wait, not what it holds.
const APART: [&str; 3] = ["limit", "cursor", "wait"];

impl Query {
    /// Takes parameters that came in another way than in the address.
    #[must_use]
    pub fn of(pairs: Vec<(String, String)>, now: Timestamp) -> Query {
        Query { pairs, now }
    }

    /// Returns a parameter; an empty one counts as absent.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Returns the values of a parameter that may be repeated or hold a list with commas.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<&str> {
        let values = self.pairs.iter().filter(|(key, _)| key == name);
        let items = values.flat_map(|(_, value)| value.split(','));
        items.map(str::trim).filter(|item| !item.is_empty()).collect()
    }

    /// Returns a switch; one without a value is on.
    ///
    /// # Errors
    /// Refuses what is neither true nor false.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        let Some((_, value)) = self.pairs.iter().find(|(key, _)| key == name) else {
            return Ok(None);
        };
        match value.as_str() {
            "" | "true" | "1" => Ok(Some(true)),
            "false" | "0" => Ok(Some(false)),
            _ => Err(ApiError::bad_parameter(name, "must be true or false")),
        }
    }

    /// Returns a whole number from 1.
    ///
    /// # Errors
    /// Refuses what is no such number.
    pub fn number(&self, name: &str) -> Result<Option<u32>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| *number > 0);
        let wrong = || ApiError::bad_parameter(name, "must be a whole number from 1");
        number.map(Some).ok_or_else(wrong)
    }

    /// Returns an instant: an RFC 3339 time, milliseconds since 1970, or how long ago (`2h`).
    ///
    /// # Errors
    /// Refuses what is none of them.
    pub fn time(&self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        if let Ok(moment) = text.parse() {
            return Ok(Some(moment));
        }
        if text.len() >= 12
            && let Ok(millis) = text.parse()
        {
            return Ok(Some(Timestamp::from_millis(millis)));
        }
        match parse_duration(text) {
            Ok(ago) => Ok(Some(self.now - ago)),
            Err(_) => {
                let detail = "must be a time such as 2026-11-23T10:00:00.000Z, or how long ago: 2h";
                Err(ApiError::bad_parameter(name, detail))
            }
        }
    }

    /// Returns a duration, at most `longest`.
    ///
    /// # Errors
    /// Refuses what is none.
    pub fn duration(&self, name: &str, longest: Duration) -> Result<Option<Duration>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let duration = parse_duration(text)
            .map_err(|fault| ApiError::bad_parameter(name, fault.to_string()))?;
        Ok(Some(duration.min(longest)))
    }

    /// Returns which part of a list is asked for.
    ///
    /// # Errors
    /// Refuses a limit out of bounds and a cursor of another list.
    pub fn page(&self) -> Result<PageRequest, ApiError> {
        let raw = |name| self.pairs.iter().find(|(key, _)| key == name);
        let limit = raw("limit").map(|(_, value)| value.as_str());
        cursor::page(limit, self.text("cursor"), &self.filter())
    }

    /// Makes the cursor of a page that answers this query opaque.
    #[must_use]
    pub fn seal<T>(&self, page: Page<T>) -> Page<T> {
        cursor::seal(page, &self.filter())
    }

    /// Everything that decides what a list holds, in one text.
    fn filter(&self) -> String {
        let mut pairs: Vec<_> =
            self.pairs.iter().filter(|(name, _)| !APART.contains(&name.as_str())).collect();
        pairs.sort();
        pairs.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
    }
}

impl FromRequest for Query {
    type Error = ApiError;
    type Future = Ready<Result<Query, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(read(request))
    }
}

fn read(request: &HttpRequest) -> Result<Query, ApiError> {
    let front = request.app_data::<web::Data<Front>>();
    let now = front.expect("every server is built with its state").clock.now();
    let query = request.query_string().as_bytes();
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query).into_owned().collect();
    if let Some(route) = request.extensions().get::<&'static Route>() {
        check_names(&pairs, route)?;
    }
    Ok(Query { pairs, now })
}

fn check_names(pairs: &[(String, String)], route: &Route) -> Result<(), ApiError> {
    let known = || route.query.iter().map(|param| param.name);
    let Some((name, _)) = pairs.iter().find(|(name, _)| !known().any(|known| known == name)) else {
        return Ok(());
    };
    let detail = match nearest(name, known()) {
        Some(near) => format!("there is no such parameter here; did you mean `{near}`?"),
        None => "there is no such parameter here".to_owned(),
    };
    Err(ApiError::bad_parameter(name, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        let pairs = url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
        Query { pairs, now: Timestamp::from_millis(10_000_000) }
    }

    #[test]
    fn parameters_read_as_people_write_them() {
        let read = query("status=failed,retrying&status=queued&since=1h&matched&empty=&n=0");
        assert_eq!(read.list("status"), ["failed", "retrying", "queued"]);
        assert_eq!(
            read.time("since").expect("an hour ago"),
            Some(Timestamp::from_millis(6_400_000))
        );
        assert_eq!(read.flag("matched").expect("a switch"), Some(true));
        assert_eq!(read.text("empty"), None);
        assert!(read.number("n").is_err() && read.time("status").is_err());
    }

    #[test]
    fn a_cursor_belongs_to_its_filter_whatever_the_order() {
        let (first, second) = (query("a=1&b=2&limit=3"), query("b=2&a=1&limit=9&cursor=x"));
        assert_eq!(first.filter(), second.filter());
        assert_ne!(first.filter(), query("a=1").filter());
    }
}
