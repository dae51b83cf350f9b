//! `skill-init`: early dispatch, then the command line.

fn main() -> skill_init::exit::Exit {
    skill_init::exit::Exit::OK
}
