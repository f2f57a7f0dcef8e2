//! What the list of workflows changes: several at once switched on or off, or copied.

use actix_web::web;

use super::super::run::encoded;
use super::super::visit::{Visit, see_other};
use super::{field, pairs};
use crate::app::App;
use crate::app::error::Error;
use crate::app::workflows::Activation;
use crate::domain::problem::Problem;
use crate::web::body::Raw;
use crate::web::error::Answer;

/// How many workflows one form changes.
const CHOSEN_MAX: usize = 200;

/// Does to every chosen workflow what the pressed button says.
pub async fn several(app: web::Data<App>, visit: Visit, Raw(body): Raw) -> Answer {
    let fields = pairs(&body);
    let chosen = fields.iter().filter(|(key, _)| key == "name").map(|(_, name)| name.as_str());
    let chosen: Vec<&str> = chosen.take(CHOSEN_MAX).collect();
    if chosen.is_empty() {
        let problem = Problem::new("/name", "required", "no workflow was chosen");
        let hint = "tick the boxes before the names, then press the button again";
        return Err(Error::Invalid(vec![problem.with_hint(hint)]).into());
    }
    let mut shown = "/workflows".to_owned();
    for name in &chosen {
        match field(&fields, "wish") {
            Some("enable") => {
                app.set_workflow(&visit.who, name, Activation::On { version: None }).await?;
            }
            Some("disable") => {
                app.set_workflow(&visit.who, name, Activation::Off).await?;
            }
            Some("duplicate") => {
                let made = app.duplicate_workflow(&visit.who, name, None).await?;
                if chosen.len() == 1 {
                    shown = format!("/workflows/{}", encoded(&made.name));
                }
            }
            _ => {
                let detail = "must be `enable`, `disable` or `duplicate`";
                let problem = Problem::new("/wish", "invalid_value", detail);
                return Err(Error::Invalid(vec![problem]).into());
            }
        }
    }
    Ok(see_other(visit.shell.url(&shown)))
}
