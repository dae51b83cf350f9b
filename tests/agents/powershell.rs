//! scripts/deploy_local.ps1, which no Linux machine can run as it stands: it is read by a PowerShell grammar, its documented arguments
//! are those of the shell script, and the command that it has WSL execute is executed.

use super::scripts::Stubs;
use std::{collections::BTreeSet, fs, path::Path};
use tree_sitter::{Node, Parser, Tree};

/// Commands of PowerShell itself and the one program of Windows that the script may need.
const COMMANDS: [&str; 4] = ["Get-Command", "Join-Path", "Resolve-Path", "wsl.exe"];
/// Variables that PowerShell sets, and one of the environment.
const GIVEN: [&str; 5] = ["true", "false", "PSScriptRoot", "LASTEXITCODE", "env:PORT"];

fn script(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name)).unwrap()
}

fn parse(text: &str) -> Tree {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_powershell::LANGUAGE.into()).unwrap();
    parser.parse(text, None).unwrap()
}

/// Every node below, of this kind.
fn all<'tree>(node: Node<'tree>, kind: &str) -> Vec<Node<'tree>> {
    let mut found = if node.kind() == kind { vec![node] } else { Vec::new() };
    let mut cursor = node.walk();
    for child in node.children(&mut cursor) {
        found.extend(all(child, kind));
    }
    found
}

/// The names of these variables, without the sign before them.
fn names(nodes: &[Node<'_>], text: &str) -> BTreeSet<String> {
    nodes.iter().map(|node| text[node.byte_range()].trim_start_matches(['$', '@']).to_owned()).collect()
}

/// The declared parameters: the variable right below each, not those of its attributes and its default.
fn parameters(tree: &Tree, text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for parameter in all(tree.root_node(), "script_parameter") {
        let own: Vec<_> = parameter.children(&mut parameter.walk()).filter(|node| node.kind() == "variable").collect();
        assert_eq!(own.len(), 1, "{}", parameter.to_sexp());
        found.extend(names(&own, text));
    }
    found
}

#[test]
fn the_powershell_script_parses_and_uses_only_what_there_is() {
    let text = script("deploy_local.ps1");
    assert!(text.is_ascii(), "Windows PowerShell reads a file without a mark in the machine's own code page");
    let tree = parse(&text);
    assert!(!tree.root_node().has_error(), "{}", tree.root_node().to_sexp());
    // The grammar does refuse.
    for broken in
        [text.replacen('{', "", 1), text.replacen("param(", "param((", 1), text.replacen("\"Stop\"", "\"Stop", 1)]
    {
        assert!(parse(&broken).root_node().has_error(), "{broken}");
    }
    let commands: BTreeSet<_> =
        all(tree.root_node(), "command_name").iter().map(|node| &text[node.byte_range()]).collect();
    assert_eq!(commands, BTreeSet::from(COMMANDS));
    let mut known = parameters(&tree, &text);
    for assigned in all(tree.root_node(), "left_assignment_expression") {
        known.extend(names(&all(assigned, "variable"), &text));
    }
    known.extend(GIVEN.map(str::to_owned));
    let used = names(&all(tree.root_node(), "variable"), &text);
    assert_eq!(used.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn both_forms_of_the_local_deployment_document_the_same_arguments() {
    let (shell, power) = (script("deploy_local.sh"), script("deploy_local.ps1"));
    let usage = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("#   {name}"))).unwrap();
        let words: BTreeSet<String> =
            line.split(['[', ']']).map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect();
        words
    };
    let (mut of_power, of_shell) = (usage(&power, "deploy_local.ps1"), usage(&shell, "deploy_local.sh"));
    // The port is a parameter there and a variable here; both say whose default is whose.
    assert!(of_power.remove("-Port 8000"), "{of_power:?}");
    assert!(
        shell.contains("# PORT is the API's port (8000)") && power.contains("# Port is the API's port (PORT, 8000)")
    );
    assert_eq!(of_power, of_shell);
    let declared = parameters(&parse(&power), &power);
    assert_eq!(declared, BTreeSet::from(["Port", "Arguments"].map(str::to_owned)));
}

#[test]
fn what_the_powershell_script_has_wsl_execute_starts_skill_init_with_port_and_arguments() {
    let text = script("deploy_local.ps1");
    let tree = parse(&text);
    let commands = all(tree.root_node(), "command");
    let last = &text[commands.last().unwrap().byte_range()];
    let executed = last.split_once("--exec ").unwrap().1;
    assert_eq!(last, format!("& wsl.exe --cd $inside --exec {executed}"));
    let given = ["--dir", "/with a space"];
    let mut words = Vec::new();
    for word in executed.split(' ') {
        match word {
            "@Arguments" => words.extend(given.map(str::to_owned)),
            word => words.push(word.trim_matches('"').replace("$Port", "8123")),
        }
    }
    let stubs = Stubs::new(&["skill-init", "node", "npm", "ttyd"]);
    fs::write(
        stubs.path("skill-init"),
        format!("#!/bin/sh\nprintf '%s|' \"$PORT\" \"$@\" > \"{}/calls\"\n", stubs.path("").display()),
    )
    .unwrap();
    let output = stubs.command(&words[0]).args(&words[1..]).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(stubs.calls(), "8123|local|--dir|/with a space|");
}
