//! The gallery of workflows to begin with.

use actix_web::web;
use askama::Template;

use super::super::run::encoded;
use super::super::shell::Shell;
use super::super::visit::{Visit, html, see_other};
use super::sketch::{pieces, trigger_words};
use crate::app::App;
use crate::app::connections::ConnectionView;
use crate::app::page::PageRequest;
use crate::app::templates::{TemplateView, templates};
use crate::web::body::Raw;
use crate::web::error::Answer;

const CONNECTIONS_LOOKED_AT_MAX: usize = 200;

#[derive(Template)]
#[template(path = "authoring/templates.html")]
struct TemplatesPage {
    shell: Shell,
    groups: Vec<(String, Vec<Card>)>,
    may_write: bool,
    import_href: String,
    curl: String,
}

struct Card {
    id: String,
    title: String,
    description: String,
    trigger: String,
    pieces: Vec<String>,
    /// The connections that it needs, and whether each is there.
    needs: Vec<(String, bool)>,
    source: String,
    use_href: String,
}

/// Shows every template.
pub async fn show(app: web::Data<App>, visit: Visit) -> Answer {
    let page = PageRequest { limit: CONNECTIONS_LOOKED_AT_MAX, after: None };
    let connections = match visit.who.scopes.allow("connections:read") {
        true => app.connections(&visit.who, &page)?.data,
        false => Vec::new(),
    };
    let shell = visit.shell.clone();
    let mut groups: Vec<(String, Vec<Card>)> = Vec::new();
    for template in templates() {
        let group = template.group.clone();
        let card = card(&shell, template, &connections);
        match groups.last_mut().filter(|(name, _)| *name == group) {
            Some((_, cards)) => cards.push(card),
            None => groups.push((group, vec![card])),
        }
    }
    html(&TemplatesPage {
        groups,
        may_write: visit.who.scopes.allow("workflows:write"),
        import_href: shell.url("/workflows/import"),
        curl: shell.curl("/v1/workflow-templates"),
        shell,
    })
}

fn card(shell: &Shell, template: TemplateView, connections: &[ConnectionView]) -> Card {
    let is_there = |name: &String| connections.iter().any(|it| it.name == *name);
    Card {
        trigger: trigger_words(&template.definition),
        pieces: pieces(&template.definition),
        needs: template.needs.iter().map(|name| (name.clone(), is_there(name))).collect(),
        use_href: shell.url(&format!("/templates/{}/use", template.id)),
        id: template.id,
        title: template.title,
        description: template.description,
        source: template.source,
    }
}

/// Makes a draft of a template and shows it.
pub async fn take(app: web::Data<App>, visit: Visit, id: web::Path<String>, _body: Raw) -> Answer {
    let made = app.use_template(&visit.who, &id, None).await?;
    Ok(see_other(visit.shell.url(&format!("/workflows/{}", encoded(&made.name)))))
}
