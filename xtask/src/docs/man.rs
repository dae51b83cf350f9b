//! The manual pages: skill-init(1) with exit status, environment, signals and files, and one page for each subcommand and
//! each of theirs: a page names no other that does not exist.

use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};
use skill_init::{exit, settings::keys};
use std::path::PathBuf;

/// `docs/man/`.
pub(super) fn files() -> Result<Vec<(PathBuf, Vec<u8>)>, String> {
    let mut command = skill_init::cli::command().disable_help_subcommand(true);
    command.build();
    let mut out = vec![(PathBuf::from("docs/man/skill-init.1"), main_page(command.clone())?)];
    below(&command, "skill-init", &mut out)?;
    Ok(out)
}

/// The pages of the subcommands of `command`, which is written `words`, and of theirs.
fn below(command: &clap::Command, words: &str, out: &mut Vec<(PathBuf, Vec<u8>)>) -> Result<(), String> {
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        let words = format!("{words} {}", sub.get_name());
        let name = words.replace(' ', "-");
        let page = sub.clone().display_name(name.clone()).bin_name(words.clone()).disable_help_subcommand(true);
        let mut text = Vec::new();
        man(page).render(&mut text).map_err(|error| error.to_string())?;
        out.push((PathBuf::from(format!("docs/man/{name}.1")), text));
        below(sub, &words, out)?;
    }
    Ok(())
}

fn man(command: clap::Command) -> Man {
    // No date: the page must be the same on every day that it is built.
    Man::new(command).date("").source(concat!("skill-init ", env!("CARGO_PKG_VERSION"))).manual("skill-init manual")
}

fn main_page(command: clap::Command) -> Result<Vec<u8>, String> {
    let page = man(command);
    let mut text = Vec::new();
    (|| {
        page.render_title(&mut text)?;
        page.render_name_section(&mut text)?;
        page.render_synopsis_section(&mut text)?;
        page.render_description_section(&mut text)?;
        page.render_options_section(&mut text)?;
        page.render_subcommands_section(&mut text)?;
        page.render_extra_section(&mut text)?;
        sections().to_writer(&mut text)?;
        page.render_version_section(&mut text)
    })()
    .map_err(|error| error.to_string())?;
    Ok(text)
}

/// A term and its explanation.
fn item(page: &mut Roff, term: &str, text: &str) {
    page.control("TP", []);
    page.text([bold(term)]);
    page.text([roman(text)]);
}

fn sections() -> Roff {
    let mut page = Roff::default();
    page.control("SH", ["EXIT STATUS"]);
    for row in exit::TABLE {
        item(&mut page, row.code, &format!("{}. {}", row.meaning, row.remedy));
    }
    page.control("SH", ["SIGNALS"]);
    for (term, text) in [
        (
            "TERM, INT, QUIT, RTMIN+3",
            "stop in order: readiness false, drain, services in reverse order, KILL at the grace period's end; a second one stops now",
        ),
        ("HUP", "re-read the configuration, import credentials, replan; what did not change goes on"),
        ("others", "forwarded to the services"),
    ] {
        item(&mut page, term, text);
    }
    page.control("SH", ["FILES"]);
    for (term, text) in [
        ("/etc/skill-init/init.toml", "the configuration file; SKILL_INIT_CONFIG names another"),
        ("/data/bootstrap_report.json", "what the last start prepared, step by step"),
        ("/data/agent_status.json", "which agent CLIs are there, and their versions"),
    ] {
        item(&mut page, term, text);
    }
    page.control("SH", ["ENVIRONMENT"]);
    page.text([roman(
        "A value from the environment wins over the configuration file, and that over the default; an empty variable counts as unset. \
         The file's key stands in parentheses.",
    )]);
    let mut groups: Vec<&str> = Vec::new();
    for spec in keys::ALL {
        if !groups.contains(&spec.group) {
            groups.push(spec.group);
        }
    }
    for group in groups {
        page.control("SS", [group]);
        for spec in keys::ALL.iter().filter(|spec| spec.group == group) {
            let default = spec.default.map(|text| format!("; default {text}")).unwrap_or_default();
            let unit = if spec.unit.is_empty() { String::new() } else { format!(" {}", spec.unit) };
            item(&mut page, spec.env, &format!("{} ({}{default}{unit})", spec.help, spec.key));
        }
    }
    page.control("SH", ["SEE ALSO"]);
    page.text([roman("signal(7), cgroups(7), landlock(7), setrlimit(2), sd_notify(3)")]);
    page
}
