//! The pages, the schema and the example against the loader that they describe.

use super::*;
use serde_json::{Value, json};
use skill_init::settings::{Environment, MapFiles, Settings, keys};

const EXAMPLE: &str = "docs/examples/init.toml";

fn load(toml: &str) -> Result<Settings, Vec<String>> {
    let files = MapFiles([(PathBuf::from("/etc/skill-init/init.toml"), toml.as_bytes().to_vec())].into());
    Settings::load_from(&Environment::default(), &files)
        .map_err(|mistakes| mistakes.0.iter().map(ToString::to_string).collect())
}

fn json_of(toml: &str) -> Value {
    fn value(item: &toml_edit::Value) -> Value {
        match item {
            toml_edit::Value::String(text) => json!(text.value()),
            toml_edit::Value::Integer(number) => json!(number.value()),
            toml_edit::Value::Float(number) => json!(number.value()),
            toml_edit::Value::Boolean(word) => json!(word.value()),
            toml_edit::Value::Datetime(date) => json!(date.value().to_string()),
            toml_edit::Value::Array(all) => all.iter().map(value).collect(),
            toml_edit::Value::InlineTable(table) => table.iter().map(|(k, v)| (k.to_owned(), value(v))).collect(),
        }
    }
    fn item(item_: &toml_edit::Item) -> Value {
        match item_ {
            toml_edit::Item::Value(inner) => value(inner),
            toml_edit::Item::Table(table) => table.iter().map(|(k, v)| (k.to_owned(), item(v))).collect(),
            _ => Value::Null,
        }
    }
    item(toml.parse::<toml_edit::DocumentMut>().unwrap().as_item())
}

#[test]
fn the_example_file_loads_and_fits_the_schema() {
    let text = fs::read_to_string(root().unwrap().join(EXAMPLE)).unwrap();
    let settings = load(&text).unwrap_or_else(|mistakes| panic!("{}", mistakes.join("\n")));
    assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
    assert!(settings.services.len() >= 3 && !settings.overrides.is_empty(), "the example shows every kind of table");
    let validator = jsonschema::validator_for(&schema::schema()).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(&json_of(&text)).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
}

#[test]
fn schema_and_loader_refuse_the_same_mistakes() {
    let validator = jsonschema::validator_for(&schema::schema()).unwrap();
    for toml in [
        "[ui]\npasswrd = \"x\"\n",
        "[uii]\nport = 1\n",
        "[start]\nport = 70000\n",
        "[supervise]\nstop_grace = true\n",
        "[supervise]\nstop_grace = \"soon\"\n",
        "[agents]\nensure = \"maybe\"\n",
        "[service.A]\ncommand = \"/a\"\n",
        "[service.a]\ncommand = \"/a\"\nrestart = \"sometimes\"\n",
        "[service.a]\ncommand = \"/a\"\ncomand = \"/a\"\n",
        "[service.a]\ncommand = 3\n",
        "[service.a]\ncommand = \"/a\"\nlimits = { nofiles = 3 }\n",
        "[service.a]\ncommand = \"/a\"\nbackoff = { jitter = 2.0 }\n",
        "[service.a]\ncommand = \"/a\"\n[service.a.liveness]\nnotify = true\n",
        "[service.a]\ncommand = \"/a\"\n[service.a.readiness]\nfd = 1\n",
        "[service.a]\ncommand = \"/a\"\nuser = \"node\"\n",
        "[start]\nconfig = \"/x\"\n",
        "[service.a]\nenabled = false\n",
        "[service.a]\ncommand = []\n",
        "[service.a]\ncommand = \" \"\n",
        "[service.a]\ncommand = \"/a\"\ncwd = \"here\"\n",
        "[service.a]\ncommand = \"/a\"\nuser = \"\"\n",
        "[service.a]\ncommand = \"/a\"\nstop_signal = 0\n",
        "[service.a]\ncommand = \"/a\"\nstop_grace = \"\"\n",
        "[service.a]\ncommand = \"/a\"\nsecrets = [\"PORT\"]\n",
        "[service.a]\ncommand = \"/a\"\nenv = { \"A=B\" = \"1\" }\n",
        "[service.a]\ncommand = \"/a\"\nlimits = { nofile = \"many\" }\n",
        "[service.a]\ncommand = \"/a\"\nreadiness = { interval = \"1s\" }\n",
        "[service.a]\ncommand = \"/a\"\nreadiness = { fd = 3, tcp = \"127.0.0.1:1\" }\n",
        "[service.a]\ncommand = \"/a\"\nreadiness = { http = \"https://127.0.0.1/\" }\n",
        "[service.a]\ncommand = \"/a\"\nreadiness = { tcp = \"127.0.0.1\" }\n",
        "[service.a]\ncommand = \"/a\"\nkind = \"oneshot\"\nrestart = \"always\"\n",
        "[service.a]\ncommand = \"/a\"\nkind = \"oneshot\"\nreadiness = { notify = true }\n",
        "[service.api]\ncommand = \"/a\"\n",
        "[service.api]\nkind = \"oneshot\"\n",
    ] {
        assert!(load(toml).is_err(), "the loader takes\n{toml}");
        assert!(!validator.is_valid(&json_of(toml)), "the schema takes\n{toml}");
    }
}

#[test]
fn what_the_loader_takes_the_schema_takes() {
    let validator = jsonschema::validator_for(&schema::schema()).unwrap();
    for toml in [
        "[service.api]\nreadiness = { interval = \"3s\" }\n",
        "[service.api]\nenabled = false\n",
        "[service.a]\ncommand = \"/a\"\nkind = \"oneshot\"\nrestart = \"never\"\n",
        "[service.a]\ncommand = \"/a\"\nlimits = { nofile = \"+5\", core = \"0 : infinity\" }\n",
        "[service.a]\ncommand = \"/a\"\nstop_grace = \" 5 s \"\nstop_signal = \"sigrtmin+3\"\nuser = 5\n",
        "[service.a]\ncommand = \"/a\"\nsecrets = [\"UI_BASIC_AUTH_PASSWORD\"]\n",
        "[service.a]\ncommand = [\"/a\"]\nreadiness = { tcp = \"[::1]:5\" }\nliveness = { exec = \"a b\" }\n",
        "[start]\nuser = \"\"\nport = \"80\"\n[agents]\nengines = []\n[supervise]\ntick = \"\"\n",
    ] {
        assert!(load(toml).is_ok(), "{:?}", load(toml).err());
        assert!(validator.is_valid(&json_of(toml)), "the schema refuses\n{toml}");
    }
}

#[test]
fn every_setting_is_on_the_page_and_in_the_manual() {
    let page = pages::environment();
    let manual = String::from_utf8(man::files().unwrap()[0].1.clone()).unwrap();
    for spec in keys::ALL {
        assert!(page.contains(&format!("| `{}` |", spec.env)), "{} is not in environment.md", spec.env);
        assert!(manual.contains(spec.env), "{} is not in the manual", spec.env);
    }
}

#[test]
fn every_manual_page_that_is_named_exists_and_no_other_lies_in_the_folder() {
    let pages: Vec<(String, String)> = man::files()
        .unwrap()
        .into_iter()
        .map(|(path, text)| (path.file_name().unwrap().to_str().unwrap().to_owned(), String::from_utf8(text).unwrap()))
        .collect();
    let made: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
    let mut named = 0;
    for (page, text) in &pages {
        for line in text.lines().filter(|line| line.starts_with("skill\\-init\\-")) {
            let Some((name, _)) = line.split_once("(1)") else { continue };
            let wanted = format!("{}.1", name.replace('\\', ""));
            assert!(made.contains(&wanted.as_str()), "{page} names {wanted}, which is not made");
            named += 1;
        }
    }
    assert!(named > 25, "the pages were read: {named}");
    for entry in fs::read_dir(root().unwrap().join("docs/man")).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        assert!(made.contains(&name.as_str()), "docs/man/{name} is of no command: remove it");
    }
}

#[test]
fn a_page_without_its_markers_is_refused() {
    let parts = [("x", "new\n".to_owned())];
    assert_eq!(
        filled("a\n<!-- generated: x -->\nold\n<!-- end -->\nb", &parts).unwrap(),
        "a\n<!-- generated: x -->\nnew\n<!-- end -->\nb"
    );
    assert!(filled("a", &parts).is_err());
    assert!(filled("<!-- generated: x -->\nno end", &parts).is_err());
}

/// Every source file of the product as one text, with line continuations joined.
fn source() -> String {
    fn walk(dir: &Path, out: &mut String) {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|end| end == "rs") {
                *out += &fs::read_to_string(path).unwrap();
            }
        }
    }
    let mut out = String::new();
    walk(&root().unwrap().join("src"), &mut out);
    let mut joined = String::new();
    for part in out.split("\\\n") {
        joined += if joined.is_empty() { part } else { part.trim_start() };
    }
    joined
}

#[test]
fn troubleshooting_quotes_messages_that_the_code_still_says() {
    let page = fs::read_to_string(root().unwrap().join("docs/troubleshooting.md")).unwrap();
    let source = source();
    let mut checked = 0;
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let cell = row.split(" | ").next().unwrap_or_default();
        for quoted in cell.split('`').skip(1).step_by(2).filter(|quoted| !quoted.starts_with("skill-init ")) {
            // A name in capitals stands for a value as well, and the errno's name comes from the system.
            for part in
                quoted.split(['…']).map(|part| part.trim_end_matches("EACCES").trim()).filter(|part| part.len() >= 8)
            {
                assert!(source.contains(part), "no source file says {part:?} ({row})");
                checked += 1;
            }
        }
    }
    assert!(checked > 30, "the page was read: {checked}");
}
