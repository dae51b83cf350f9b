//! A router and the description of its routes, built by the same call.

use axum::{
    Router,
    handler::Handler,
    routing::{self, MethodRouter},
};

/// What a parameter may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number from 0 to this.
    Number(u64),
    /// Any text but the empty one.
    Text,
    /// RFC 3339.
    Time,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// What it does.
    pub about: &'static str,
    /// Must it be there?
    pub required: bool,
}

/// What a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    None,
    /// JSON of this schema.
    Json(&'static str),
    /// A multipart form with these files; `true`: it must be there.
    Form(&'static [(&'static str, bool)]),
}

/// What a success is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// JSON of this schema.
    Json(&'static str),
    /// A list of it.
    List(&'static str),
    /// Bytes of a type that the path or the file decides.
    Bytes(&'static str),
    /// 204.
    Empty,
    /// It is not served yet: 501 only.
    Never,
}

/// One operation, for people and generators.
#[derive(Debug, Clone, Copy)]
pub struct Doc {
    /// The group.
    pub tag: &'static str,
    /// One line.
    pub summary: &'static str,
    /// Of the query string and of headers.
    pub query: &'static [Param],
    /// The request's body.
    pub body: Body,
    /// The success.
    pub reply: Reply,
    /// The failures that it has of its own, by status.
    pub errors: &'static [u16],
}

impl Doc {
    /// Without parameters, body, failures; a success without a body.
    pub const fn new(tag: &'static str, summary: &'static str) -> Self {
        Self { tag, summary, query: &[], body: Body::None, reply: Reply::Empty, errors: &[] }
    }
    /// Takes these query parameters (a wrong one is 422).
    pub const fn query(mut self, query: &'static [Param]) -> Self {
        self.query = query;
        self
    }
    /// Takes JSON.
    pub const fn json(mut self, schema: &'static str) -> Self {
        self.body = Body::Json(schema);
        self
    }
    /// Takes a form.
    pub const fn form(mut self, files: &'static [(&'static str, bool)]) -> Self {
        self.body = Body::Form(files);
        self
    }
    /// Answers JSON.
    pub const fn ok(mut self, schema: &'static str) -> Self {
        self.reply = Reply::Json(schema);
        self
    }
    /// Answers a list.
    pub const fn list(mut self, schema: &'static str) -> Self {
        self.reply = Reply::List(schema);
        self
    }
    /// Answers bytes of a content type.
    pub const fn bytes(mut self, kind: &'static str) -> Self {
        self.reply = Reply::Bytes(kind);
        self
    }
    /// Answers HTML.
    pub const fn page(self) -> Self {
        self.bytes("text/html")
    }
    /// Is not served yet.
    pub const fn never(mut self) -> Self {
        self.reply = Reply::Never;
        self.errors = &[501];
        self
    }
    /// Fails with these.
    pub const fn errors(mut self, errors: &'static [u16]) -> Self {
        self.errors = errors;
        self
    }
}

/// A route of the document.
#[derive(Debug, Clone)]
pub struct Operation {
    /// `get` or `post`.
    pub method: &'static str,
    /// With `{parameters}`.
    pub path: String,
    /// The rest.
    pub doc: Doc,
}

/// Routes with their documentation.
#[derive(Debug)]
pub struct Table<S> {
    router: Router<S>,
    operations: Vec<Operation>,
}

impl<S: Clone + Send + Sync + 'static> Table<S> {
    /// An empty one.
    #[expect(clippy::new_without_default, reason = "a table is begun, never defaulted")]
    pub fn new() -> Self {
        Self { router: Router::new(), operations: Vec::new() }
    }

    /// A read.
    pub fn get<H: Handler<T, S>, T: 'static>(self, path: &str, handler: H, doc: Doc) -> Self {
        self.on("get", path, routing::get(handler), doc)
    }

    /// A write.
    pub fn post<H: Handler<T, S>, T: 'static>(self, path: &str, handler: H, doc: Doc) -> Self {
        self.on("post", path, routing::post(handler), doc)
    }

    /// A write with layers of its own.
    pub fn post_with(self, path: &str, routed: MethodRouter<S>, doc: Doc) -> Self {
        self.on("post", path, routed, doc)
    }

    fn on(mut self, method: &'static str, path: &str, routed: MethodRouter<S>, doc: Doc) -> Self {
        self.operations.push(Operation { method, path: path.to_owned(), doc });
        Self { router: self.router.route(path, routed), ..self }
    }

    /// Everything of another one.
    pub fn merge(mut self, other: Self) -> Self {
        self.operations.extend(other.operations);
        Self { router: self.router.merge(other.router), ..self }
    }

    /// Everything of another one, below a prefix; its `/` is the prefix itself.
    pub fn nest(mut self, prefix: &str, other: Self) -> Self {
        self.operations.extend(other.operations.into_iter().map(|operation| {
            let below = if operation.path == "/" { "" } else { operation.path.as_str() };
            Operation { path: format!("{prefix}{below}"), ..operation }
        }));
        Self { router: self.router.nest(prefix, other.router), ..self }
    }

    /// With what its handlers need.
    pub fn with_state<S2>(self, state: S) -> Table<S2> {
        Table { router: self.router.with_state(state), operations: self.operations }
    }

    /// The router, and what it was built of.
    pub fn split(self) -> (Router<S>, Vec<Operation>) {
        (self.router, self.operations)
    }
}

const fn param(name: &'static str, kind: Kind, about: &'static str) -> Param {
    Param { name, kind, about, required: false }
}
const fn needed(name: &'static str, kind: Kind, about: &'static str) -> Param {
    Param { name, kind, about, required: true }
}

const COUNT: Kind = Kind::Number(u64::MAX);
const ATTEMPT: Param =
    param("attempt", Kind::Number(u32::MAX as u64), "The attempt; the last one where it is left out.");

/// Of an event stream.
pub const CURSOR: &[Param] = &[param("cursor", COUNT, "The last sequence number that the client has.")];
/// Of a page of events.
pub const HISTORY: &[Param] = &[
    param("from_seq", COUNT, "First sequence number."),
    param("to_seq", COUNT, "Last sequence number."),
    param("from_ts", Kind::Time, "At or after, RFC 3339."),
    param("to_ts", Kind::Time, "At or before, RFC 3339."),
    param("limit", COUNT, "At most this many: 1000, never more than 10000."),
];
/// Of a part of an output stream.
pub const RANGE: &[Param] = &[
    needed("stream", Kind::OneOf(&["stdout", "stderr", "pty"]), "Which."),
    param("byte_from", COUNT, "First byte."),
    param("byte_to", COUNT, "One past the last byte; not before byte_from."),
    ATTEMPT,
];
/// Of a list of runs.
pub const PAGES: &[Param] = &[
    param("page", COUNT, "From 1."),
    param("page_size", COUNT, "Runs per page: 20, never more than 200."),
    param("limit", COUNT, "The same, by its older name."),
];
/// Of a preview.
pub const FILE: &[Param] = &[needed("path", Kind::Text, "Below the run's folder, of plain names.")];
/// Of an attempt's logs.
pub const PROTOCOL: &[Param] = &[
    needed("stream", Kind::OneOf(&["fcmp", "rasp", "orchestrator"]), "Which."),
    ATTEMPT,
    param("limit", COUNT, "At most this many: 200, never more than 1000."),
];
