//! The configuration file as a small tree with line numbers; the only file that knows toml_edit.
//!
//! ```text
//! bytes --UTF-8, TOML--> Node { line, data }
//! ```
//!
//! A table is a list of entries in the file's order. Lines are 1-based.

/// The largest configuration file that is read: 1 MiB holds several thousand services.
pub(super) const MAX_CONFIG: u64 = 1024 * 1024;

/// A value and the line where its key stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) data: Data,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Data {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    List(Vec<Node>),
    Table(Vec<(String, Node)>),
    /// Tables in an array (`[[x]]`), with how many there are.
    Tables(usize),
    /// A date or time.
    Datetime,
}

impl Data {
    /// The name of the type, as a message says it.
    pub(super) const fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Int(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Bool(_) => "a boolean",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Tables(_) => "an array of tables",
            Self::Datetime => "a date or time",
        }
    }
}

/// Why the file is not TOML: 1-based line (0 when unknown) and the parser's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotToml {
    pub(super) line: usize,
    pub(super) message: String,
}

/// Parses the file; the root is a `Data::Table`.
pub(super) fn parse(bytes: &[u8]) -> Result<Node, NotToml> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
        NotToml { line, message: "is not UTF-8 text".to_owned() }
    })?;
    let lines = Lines::of(text);
    let document = toml_edit::Document::parse(text).map_err(|error| NotToml {
        line: error.span().map_or(0, |span| lines.at(span.start)),
        message: format!("is not TOML: {}", error.message().lines().next().unwrap_or_default()),
    })?;
    Ok(Node { line: 1, data: table(document.as_table(), &lines) })
}

/// Byte offsets of the line ends, so that a position costs a binary search.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect())
    }
    fn at(&self, offset: usize) -> usize {
        1 + self.0.partition_point(|end| *end < offset)
    }
}

fn table(table: &dyn toml_edit::TableLike, lines: &Lines) -> Data {
    let entries = table.iter().map(|(name, item)| {
        let span = table.key(name).and_then(toml_edit::Key::span).or_else(|| item.span());
        let line = span.map_or(0, |span| lines.at(span.start));
        (name.to_owned(), Node { line, data: data(item, lines) })
    });
    Data::Table(entries.collect())
}

fn data(item: &toml_edit::Item, lines: &Lines) -> Data {
    match item {
        toml_edit::Item::None => Data::Table(Vec::new()),
        toml_edit::Item::Value(item) => value(item, lines),
        toml_edit::Item::Table(inner) => table(inner, lines),
        toml_edit::Item::ArrayOfTables(all) => Data::Tables(all.len()),
    }
}

fn value(item: &toml_edit::Value, lines: &Lines) -> Data {
    match item {
        toml_edit::Value::String(text) => Data::Text(text.value().clone()),
        toml_edit::Value::Integer(number) => Data::Int(*number.value()),
        toml_edit::Value::Float(number) => Data::Float(*number.value()),
        toml_edit::Value::Boolean(word) => Data::Bool(*word.value()),
        toml_edit::Value::Datetime(_) => Data::Datetime,
        toml_edit::Value::Array(all) => Data::List(
            all.iter()
                .map(|item| Node { line: item.span().map_or(0, |span| lines.at(span.start)), data: value(item, lines) })
                .collect(),
        ),
        toml_edit::Value::InlineTable(inner) => table(inner, lines),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_know_their_lines() {
        let node = parse(b"# first\n[ui]\n\nusername = \"a\"\n[service.db.readiness]\ntcp = \"x\"\n").unwrap();
        let Data::Table(top) = node.data else { panic!("root is a table") };
        assert_eq!(top[0].1.line, 2);
        let Data::Table(ui) = &top[0].1.data else { panic!("ui is a table") };
        assert_eq!((ui[0].0.as_str(), ui[0].1.line), ("username", 4));
        assert_eq!(top[1].1.line, 5, "an implied table stands where its header stands");
    }

    #[test]
    fn what_is_not_toml_names_its_line() {
        assert_eq!(parse(b"a = 1\nb = = 2\n").unwrap_err().line, 2);
        assert_eq!(parse(b"a = 1\nb = \"\xff\"\n").unwrap_err().line, 2);
        assert_eq!(parse(b"a = 1\na = 2\n").unwrap_err().line, 2);
    }
}
