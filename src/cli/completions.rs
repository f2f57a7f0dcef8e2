//! `ergane completions`: what a shell needs to complete commands and flags.

use clap::{Command, ValueEnum};

/// A shell that can be taught.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// Put it into `~/.bash_completion`
    Bash,
    /// Put it into `~/.zshrc`
    Zsh,
    /// Put it into `~/.config/fish/completions/ergane.fish`
    Fish,
}

/// A command with the words that may follow it.
struct Node {
    path: Vec<String>,
    words: Vec<(String, String)>,
}

/// Returns the script that teaches `shell` the tree below `root`.
#[must_use]
pub fn script(shell: Shell, mut root: Command) -> String {
    root.build();
    let mut nodes = Vec::new();
    collect(&root, &mut vec![root.get_name().to_owned()], &mut nodes);
    match shell {
        Shell::Bash => bash(&nodes),
        Shell::Zsh => format!("autoload -U +X bashcompinit && bashcompinit\n{}", bash(&nodes)),
        Shell::Fish => fish(&nodes),
    }
}

fn collect(command: &Command, path: &mut Vec<String>, nodes: &mut Vec<Node>) {
    let about =
        |text: Option<&clap::builder::StyledStr>| text.map(ToString::to_string).unwrap_or_default();
    let commands = command.get_subcommands().filter(|child| !child.is_hide_set());
    let mut words: Vec<(String, String)> =
        commands.map(|child| (child.get_name().to_owned(), about(child.get_about()))).collect();
    words.extend(command.get_arguments().filter_map(|argument| {
        argument.get_long().map(|long| (format!("--{long}"), about(argument.get_help())))
    }));
    nodes.push(Node { path: path.clone(), words });
    for child in command.get_subcommands().filter(|child| !child.is_hide_set()) {
        path.push(child.get_name().to_owned());
        collect(child, path, nodes);
        path.pop();
    }
}

fn bash(nodes: &[Node]) -> String {
    let mut script = String::from(
        "_ergane() {\n  local path=ergane word i\n  for ((i = 1; i < COMP_CWORD; i++)); do\n    \
         word=\"$path ${COMP_WORDS[i]}\"\n    case \"$word\" in\n",
    );
    let paths: Vec<String> =
        nodes.iter().skip(1).map(|node| format!("\"{}\"", node.path.join(" "))).collect();
    script.push_str(&format!("      {}) path=$word ;;\n", paths.join("|")));
    script.push_str("    esac\n  done\n  local words=\n  case \"$path\" in\n");
    for node in nodes {
        let words: Vec<&str> = node.words.iter().map(|(word, _)| word.as_str()).collect();
        script.push_str(&format!(
            "    \"{}\") words=\"{}\" ;;\n",
            node.path.join(" "),
            words.join(" ")
        ));
    }
    script.push_str(
        "  esac\n  COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n}\n\
         complete -o default -F _ergane ergane\n",
    );
    script
}

fn fish(nodes: &[Node]) -> String {
    let mut script = String::new();
    for node in nodes {
        let condition = match node.path.split_first() {
            Some((_, [])) | None => "__fish_use_subcommand".to_owned(),
            Some((_, below)) => below
                .iter()
                .map(|name| format!("__fish_seen_subcommand_from {name}"))
                .collect::<Vec<_>>()
                .join("; and "),
        };
        for (word, about) in &node.words {
            let about = about.replace('\'', "\\'");
            let form = match word.strip_prefix("--") {
                Some(flag) => format!("-l {flag}"),
                None => format!("-f -a {word}"),
            };
            script.push_str(&format!("complete -c ergane -n '{condition}' {form} -d '{about}'\n"));
        }
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn every_shell_learns_nested_commands_and_their_flags() {
        for (shell, line) in [
            (Shell::Bash, "\"ergane run list\") words=\"--status --workflow"),
            (Shell::Zsh, "bashcompinit"),
            (
                Shell::Fish,
                "__fish_seen_subcommand_from run; and __fish_seen_subcommand_from list' -l status",
            ),
        ] {
            let script = script(shell, super::super::Cli::command());
            assert!(script.contains(line), "{shell:?} lacks {line}:\n{script}");
        }
    }
}
