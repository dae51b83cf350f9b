//! `skill-api`: the embedded API worker. Serves the Skill Runner HTTP surface and runs skills through the agent CLIs.
//!
//! ```text
//! request -> http/ -> runs/create -> admission -> runs/execute -> engines/ -> events/ -> client
//!                        |                             |
//!                      store/ (SQLite)          run folder (files)
//! ```
//!
//! | room | what it is |
//! | --- | --- |
//! | [`config`] | the settings, as the worker needs them |
//! | [`state`] | everything a handler can reach; made once |
//! | [`server`] | the router, the listener, the graceful stop |
//! | [`http`] | one file per group of routes; thin |
//! | [`skills`] | the registry over the skills folder |
//! | [`runs`] | a run's life: create, upload, queue, execute, result, bundle, recovery, retention |
//! | [`engines`] | one adapter per agent CLI, the child process, output parsing, status, models, upgrades |
//! | [`events`] | the append-only event log of a run and who waits for it |
//! | [`store`] | SQLite on a thread of its own |
//! | `excerpt` | the beginning of what others wrote |
//! | [`auth`], [`ui`], [`management`], [`packages`], [`openapi`] | Basic Auth, pages, management reads, skill packages, the document |
//!
//! Invariants: no handler blocks its thread (files and SQLite live on other threads); a file is old or new, never
//! torn; a slot is a value that gives itself back; whatever ends a run, its trust entry and its processes go with it.
#![forbid(unsafe_code)]

pub mod admission;
pub mod auth;
pub mod config;
pub mod engines;
pub mod error;
pub mod events;
mod excerpt;
pub mod files;
pub mod http;
pub mod management;
pub mod notify;
pub mod openapi;
pub mod packages;
pub mod runs;
pub mod server;
pub mod skills;
pub mod state;
pub mod store;
pub mod time;
mod tree;
pub mod ui;
mod values;
