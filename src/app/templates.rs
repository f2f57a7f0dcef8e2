//! Workflows to begin with: shipped with the binary, each valid as it stands.

use serde::Serialize;
use serde_json::Value;

use super::App;
use super::definitions::Publish;
use super::error::Error;
use super::principal::Principal;
use super::versions::renamed_definition;
use super::views::WorkflowView;
use crate::domain::workflow::document::{Format, TextLimits, parse_text};

/// A template as it is shipped.
struct Shipped {
    id: &'static str,
    group: &'static str,
    /// The connections that must be there before it can run.
    needs: &'static [&'static str],
    text: &'static str,
}

const fn shipped(id: &'static str, group: &'static str, text: &'static str) -> Shipped {
    Shipped { id, group, needs: &[], text }
}

impl Shipped {
    const fn needing(self, needs: &'static [&'static str]) -> Shipped {
        Shipped { needs, ..self }
    }
}

const TICKETS: &str = "Tickets";
const CUSTOMERS: &str = "Customers";
const CLOCK: &str = "By the clock";
const SYSTEMS: &str = "Other systems";

static ALL: [Shipped; 16] = [
    shipped("raise-escalated", TICKETS, include_str!("templates/raise-escalated.yaml")),
    shipped("tag-by-words", TICKETS, include_str!("templates/tag-by-words.yaml")),
    shipped("route-by-need", TICKETS, include_str!("templates/route-by-need.yaml")),
    shipped("remind-of-unassigned", TICKETS, include_str!("templates/remind-of-unassigned.yaml")),
    shipped("deadline-near", TICKETS, include_str!("templates/deadline-near.yaml")),
    shipped("refund-with-approval", TICKETS, include_str!("templates/refund-with-approval.yaml")),
    shipped("large-accounts-first", CUSTOMERS, include_str!("templates/large-accounts-first.yaml")),
    shipped("chase-the-customer", CUSTOMERS, include_str!("templates/chase-the-customer.yaml")),
    shipped("survey-after-close", CUSTOMERS, include_str!("templates/survey-after-close.yaml")),
    shipped("account-at-risk", CUSTOMERS, include_str!("templates/account-at-risk.yaml")),
    shipped("close-what-rests", CLOCK, include_str!("templates/close-what-rests.yaml")),
    shipped("morning-report", CLOCK, include_str!("templates/morning-report.yaml")),
    shipped("tidy-each-week", CLOCK, include_str!("templates/tidy-each-week.yaml")),
    shipped("page-on-call", SYSTEMS, include_str!("templates/page-on-call.yaml"))
        .needing(&["pager"]),
    shipped("call-another-system", SYSTEMS, include_str!("templates/call-another-system.yaml"))
        .needing(&["billing"]),
    shipped("slack-note", SYSTEMS, include_str!("templates/slack-note.yaml")).needing(&["slack"]),
];

/// A workflow to begin with.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateView {
    /// Names it among the templates.
    pub id: String,
    /// What it belongs to.
    pub group: String,
    /// The name for people.
    pub title: String,
    /// What it does.
    pub description: String,
    /// The connections that it calls, by name.
    pub needs: Vec<String>,
    /// Its content.
    pub definition: Value,
    /// Its text, with comments.
    pub source: String,
}

/// Returns every template, group by group.
#[must_use]
pub fn templates() -> Vec<TemplateView> {
    ALL.iter().map(view).collect()
}

/// Returns a template.
///
/// # Errors
/// `NotFound` when there is none of this id.
pub fn template(id: &str) -> Result<TemplateView, Error> {
    let found = ALL.iter().find(|shipped| shipped.id == id);
    found.map(view).ok_or_else(|| Error::NotFound { what: "template", id: id.to_owned() })
}

fn view(shipped: &Shipped) -> TemplateView {
    let definition = parse_text(shipped.text, Format::Yaml, TextLimits::default())
        .expect("a test reads every template");
    let text = |name: &str| definition[name].as_str().unwrap_or_default().to_owned();
    TemplateView {
        id: shipped.id.to_owned(),
        group: shipped.group.to_owned(),
        title: text("title"),
        description: text("description"),
        needs: shipped.needs.iter().map(|name| (*name).to_owned()).collect(),
        source: shipped.text.to_owned(),
        definition,
    }
}

impl App {
    /// Makes a workflow of a template, as a draft; without a name it gets the template's, with a
    /// number where that is taken.
    ///
    /// # Errors
    /// `NotFound` for an unknown template, `Conflict` for a name that is taken, `Invalid` when what
    /// the template calls is not here.
    pub async fn use_template(
        &self,
        who: &Principal,
        id: &str,
        name: Option<&str>,
    ) -> Result<WorkflowView, Error> {
        let template = template(id)?;
        let wanted = template.definition["name"].as_str().unwrap_or(id);
        let name = match name {
            Some(name) => name.to_owned(),
            None => self.free_name(who, wanted)?,
        };
        let text = Some(template.source.as_str());
        let definition = renamed_definition(template.definition, text, &name);
        self.create_workflow(who, definition, Publish::Draft).await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::activities::Activities;
    use crate::activities::settings::EgressSettings;
    use crate::app::definitions::validate_offline;

    #[test]
    fn every_template_is_valid_and_says_what_it_does() {
        let activities = Activities::built_in(&EgressSettings::default());
        let mut names = BTreeSet::new();
        for template in templates() {
            let checked = validate_offline(&template.definition, activities.catalogue());
            assert!(checked.problems.is_empty(), "{}: {:#?}", template.id, checked.problems);
            let name = template.definition["name"].as_str().expect("a name").to_owned();
            assert!(names.insert(name), "{}: its name stands twice", template.id);
            assert!(!template.title.is_empty() && template.description.ends_with('.'));
            for need in &template.needs {
                let named = format!("connection: {need}");
                assert!(template.source.contains(&named), "{}: {need}", template.id);
            }
        }
        assert!(names.len() >= 12);
    }
}
