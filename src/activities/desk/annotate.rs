//! Looks up the records that a workflow wants joined into its events.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::query::find;
use crate::domain::desk::RecordKind;
use crate::domain::desk::relation::{Reach, lookup_names, related_ids, relations};
use crate::domain::scope::Scope;
use crate::domain::workflow::annotation::{Annotation, Joined};
use crate::store::seam::StoreError;
use crate::store::tenant::TenantView;

/// How many records of a list are joined.
const LISTED_MAX: usize = 100;

/// Returns what the annotations find for an event; each sees what those before it wrote.
///
/// # Errors
/// Fails on an unreadable or damaged record.
pub fn join(
    view: &TenantView<'_>,
    annotations: &[Annotation],
    event: &Value,
) -> Result<Vec<Joined>, StoreError> {
    let mut seen = event.clone();
    let mut found = Vec::with_capacity(annotations.len());
    for annotation in annotations {
        let scope = Scope::of_event(seen.clone());
        let (value, reason) = match look_up(view, annotation, &scope)? {
            Ok(record) => (Value::Object(with_relations(view, annotation, record)?), None),
            Err(reason) => (Value::Null, Some(reason)),
        };
        let (entity, target) = (annotation.entity.to_owned(), annotation.target.clone());
        let joined = Joined { entity, target, value, reason };
        joined.write(&mut seen);
        found.push(joined);
    }
    Ok(found)
}

/// Finds the record that has all of the required fields, or says why there is none.
fn look_up(
    view: &TenantView<'_>,
    annotation: &Annotation,
    scope: &Scope,
) -> Result<Result<Map<String, Value>, String>, StoreError> {
    let (kind, entity) = (annotation.kind, annotation.entity);
    let mut wanted = Vec::new();
    for (name, template) in &annotation.required {
        match template.render_text(scope) {
            Ok(text) if !text.is_empty() => wanted.push((name.as_str(), text)),
            Ok(_) => return Ok(Err(format!("`{name}` of the {entity} is empty"))),
            Err(error) => {
                let reason = format!("`{name}` of the {entity} is not known: {}", error.detail);
                return Ok(Err(reason));
            }
        }
    }
    wanted.sort_by_key(|(name, _)| !lookup_names(kind).contains(name));
    let Some(((name, key), others)) = wanted.split_first() else {
        return Ok(Err(format!("nothing says which {entity} is meant")));
    };
    let Some(record) = find(view, kind, key)? else {
        return Ok(Err(format!("there is no {entity} with the {name} `{key}`")));
    };
    for (name, text) in others {
        if !has(view, kind, &record, name, text)? {
            return Ok(Err(format!("the {entity} `{key}` has not the {name} `{text}`")));
        }
    }
    Ok(Ok(record))
}

fn has(
    view: &TenantView<'_>,
    kind: RecordKind,
    record: &Map<String, Value>,
    name: &str,
    text: &str,
) -> Result<bool, StoreError> {
    let own = match record.get(name) {
        Some(Value::String(own)) => own.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    if own.eq_ignore_ascii_case(text) {
        return Ok(true);
    }
    let is_lookup = lookup_names(kind).contains(&name);
    let other = if is_lookup { find(view, kind, text)? } else { None };
    Ok(other.is_some_and(|other| other.get("id") == record.get("id")))
}

fn with_relations(
    view: &TenantView<'_>,
    annotation: &Annotation,
    mut record: Map<String, Value>,
) -> Result<Map<String, Value>, StoreError> {
    let mut joined = BTreeSet::new();
    for names in &annotation.relations {
        let mut way = Way { view, joined: &mut joined, path: String::new() };
        way.follow(annotation.kind, &mut record, names)?;
    }
    Ok(record)
}

/// The way from a record to those that are joined into it, each of which is read once.
struct Way<'w> {
    view: &'w TenantView<'w>,
    joined: &'w mut BTreeSet<String>,
    path: String,
}

impl Way<'_> {
    fn follow(
        &mut self,
        kind: RecordKind,
        record: &mut Map<String, Value>,
        names: &[String],
    ) -> Result<(), StoreError> {
        let Some((name, rest)) = names.split_first() else { return Ok(()) };
        let Some(relation) = relations(kind).into_iter().find(|it| it.name == *name) else {
            return Ok(()); // A field of the record itself, which is there already.
        };
        self.path.push('/');
        self.path.push_str(name);
        if self.joined.insert(self.path.clone()) {
            let mut related = Vec::new();
            for id in related_ids(record, &relation).into_iter().take(LISTED_MAX) {
                related.extend(self.view.record(relation.kind, id)?.map(Value::Object));
            }
            let value = match relation.reach {
                Reach::One => related.into_iter().next().unwrap_or(Value::Null),
                Reach::Many => Value::Array(related),
            };
            record.insert(name.clone(), value);
        }
        let path = self.path.clone();
        let (one, many) = match record.get_mut(name) {
            Some(Value::Object(one)) => (Some(one), None),
            Some(Value::Array(many)) => (None, Some(many)),
            _ => (None, None), // Nothing is there to go on from.
        };
        let many = many.into_iter().flatten().enumerate();
        let many =
            many.filter_map(|(index, it)| Some((format!("{path}/{index}"), it.as_object_mut()?)));
        for (path, next) in one.map(|one| (path.clone(), one)).into_iter().chain(many) {
            self.path = path;
            self.follow(relation.kind, next, rest)?;
        }
        Ok(())
    }
}
