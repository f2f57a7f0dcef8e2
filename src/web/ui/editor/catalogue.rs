//! What can be added as a step: the activities by category, and the steps that steer others.

use crate::domain::activity::Catalogue;

/// A group of things to add.
#[derive(Clone, Debug)]
pub struct Shelf {
    /// Its name.
    pub name: String,
    /// What is on it.
    pub items: Vec<Item>,
}

/// One thing to add.
#[derive(Clone, Debug)]
pub struct Item {
    /// The identifier of the activity, or a kind of step.
    pub what: String,
    /// The name for people.
    pub name: String,
    /// What it does.
    pub about: String,
}

const STEERING: [(&str, &str, &str); 7] = [
    ("sleep", "Sleep", "Waits for a while, or until a time."),
    ("waitFor", "Wait for an event", "Goes on when an event comes, or after a time."),
    ("branch", "Branch", "Takes the first way whose condition holds."),
    ("forEach", "For each", "Does its steps for each item of a list."),
    ("parallel", "Parallel", "Does several lists of steps at the same time."),
    ("run", "Run a workflow", "Starts another workflow, and waits for it or not."),
    ("approval", "Approval", "Waits until somebody agrees."),
];

/// Returns what fits the words that were looked for, by shelf.
pub fn shelves(catalogue: &Catalogue, find: &str) -> Vec<Shelf> {
    let words: Vec<String> = find.split_whitespace().map(str::to_lowercase).collect();
    let fits = |item: &Item| {
        let text = format!("{} {} {}", item.what, item.name, item.about).to_lowercase();
        words.iter().all(|word| text.contains(word))
    };
    let steering = STEERING.iter().map(|(what, name, about)| Item {
        what: (*what).to_owned(),
        name: (*name).to_owned(),
        about: (*about).to_owned(),
    });
    let mut shelves = vec![Shelf { name: "Steer".to_owned(), items: steering.collect() }];
    for spec in catalogue.iter() {
        let item = Item {
            what: spec.identifier.clone(),
            name: spec.name.clone(),
            about: spec.description.clone(),
        };
        match shelves.iter_mut().find(|shelf| shelf.name == spec.category) {
            Some(shelf) => shelf.items.push(item),
            None => shelves.push(Shelf { name: spec.category.clone(), items: vec![item] }),
        }
    }
    for shelf in &mut shelves {
        shelf.items.retain(fits);
    }
    shelves.retain(|shelf| !shelf.items.is_empty());
    shelves
}
