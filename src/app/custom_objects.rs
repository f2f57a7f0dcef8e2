//! Custom objects: records of the kinds that a tenant names itself.

use serde_json::{Map, Value, json};

use super::App;
use super::desk::{Precondition, Record};
use super::error::Error;
use super::page::PageRequest;
use super::principal::Principal;
use super::views::Page;
use crate::domain::desk::RecordKind;

const KIND: RecordKind = RecordKind::CustomObject;

impl App {
    /// Lists the objects of a type, oldest first.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn custom_objects(
        &self,
        who: &Principal,
        object_type: &str,
        page: &PageRequest,
    ) -> Result<Page<Record>, Error> {
        self.read(who, |view| {
            let ids = page.cut(view.children(KIND, object_type)?, String::clone);
            let mut data = Vec::with_capacity(ids.data.len());
            for id in ids.data {
                data.extend(view.record(KIND, &id)?);
            }
            Ok(Page { data, next_cursor: ids.next_cursor })
        })
    }

    /// Returns one object of a type.
    ///
    /// # Errors
    /// `NotFound` when that type has no such object.
    pub fn custom_object(
        &self,
        who: &Principal,
        object_type: &str,
        id: &str,
    ) -> Result<Record, Error> {
        let found = self.record(who, KIND, id)?;
        if found.get("objectType").and_then(Value::as_str) == Some(object_type) {
            return Ok(found);
        }
        Err(Error::NotFound { what: KIND.name(), id: id.to_owned() })
    }

    /// Makes an object of a type; the first makes the type.
    ///
    /// # Errors
    /// `Invalid` with every problem of the input.
    pub async fn create_custom_object(
        &self,
        who: &Principal,
        object_type: &str,
        mut input: Record,
    ) -> Result<Record, Error> {
        input.insert("objectType".to_owned(), json!(object_type));
        input.insert("namespace".to_owned(), json!(self.tenant(who.tenant)?.slug));
        self.create_record(who, KIND, input).await
    }

    /// Changes the values that `patch` gives; null removes one.
    ///
    /// # Errors
    /// `NotFound`, `Stale` for another version, `Invalid` with every problem.
    pub async fn update_custom_object(
        &self,
        who: &Principal,
        (object_type, id): (&str, &str),
        patch: Map<String, Value>,
        precondition: Precondition,
    ) -> Result<Record, Error> {
        self.custom_object(who, object_type, id)?;
        self.update_record(who, (KIND, id), patch, precondition).await
    }

    /// Removes an object.
    ///
    /// # Errors
    /// `NotFound`, `Stale` for another version.
    pub async fn remove_custom_object(
        &self,
        who: &Principal,
        (object_type, id): (&str, &str),
        precondition: Precondition,
    ) -> Result<Record, Error> {
        self.custom_object(who, object_type, id)?;
        self.remove_record(who, (KIND, id), precondition).await
    }
}
