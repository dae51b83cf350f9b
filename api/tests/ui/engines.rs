//! The engines' page: an update that is watched, the terminal's state.

use super::{HTML, common::*, page, text};
use serde_json::json;
use std::fs;

#[test]
fn an_update_is_started_by_a_form_and_shows_how_it_goes() {
    let setup = Setup::new().cli("codex", "exit 1");
    let gate = setup.dir.path().join("gate");
    let script = format!("while [ ! -e {} ]; do sleep 0.05; done\necho 'added <b>1</b> package'", gate.display());
    let worker = setup.init(&script).start();
    let form = [("content-type", "application/x-www-form-urlencoded"), HTML];
    let go = |body: &str| request(worker.address, "POST", "/ui/engines/upgrades", &form, body.as_bytes());
    let answer = go("mode=single&engine=codex");
    assert_eq!(answer.status, 303, "{}", text(&answer));
    let shown = page(&worker, answer.header("location").unwrap());
    assert!(shown.contains("badge running") && shown.contains("disabled") && shown.contains("/status\""), "{shown}");
    let second = go("mode=all");
    assert!(second.status == 409 && text(&second).contains("under way"));
    fs::write(&gate, "").unwrap();
    let id = answer.header("location").unwrap().rsplit('=').next().unwrap().to_owned();
    let part = awaited("the upgrade ends", || {
        Some(page(&worker, &format!("/ui/engines/upgrades/{id}/status")))
            .filter(|part| part.contains("data-ended=\"1\""))
    });
    assert!(part.contains("badge succeeded") && part.contains("added &lt;b&gt;1"), "{part}");
    assert!(page(&worker, "/ui/engines").contains(&id) || page(&worker, "/ui/engines").contains("Last update"));
    assert_eq!(go("mode=odd").status, 422);
}

#[test]
fn the_terminals_state_is_said_and_never_waited_for_by_a_page() {
    let off = Setup::new().env("SKILL_INIT_TTYD", "off").start();
    let session = off.get("/ui/engines/tui/session").json();
    assert_eq!(session["state"], "off", "{session}");
    assert!(session["message"].as_str().unwrap().contains("switched off"));
    let gateway = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("0.0.0.0:{}", gateway.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for clients in [0, 1] {
            let (mut stream, _) = gateway.accept().unwrap();
            // The whole question: what is left unread when the socket closes would cut the answer off.
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let mut piece = [0; 1024];
                let n = std::io::Read::read(&mut stream, &mut piece).unwrap();
                assert!(n > 0);
                asked.extend_from_slice(&piece[..n]);
            }
            let body =
                format!("skill_init_terminal_clients {clients}\nskill_init_service_ready{{service=\"ttyd\"}} 1\n");
            std::io::Write::write_all(&mut stream, format!("HTTP/1.0 200 OK\r\n\r\n{body}").as_bytes()).unwrap();
        }
    });
    let worker = Setup::new().env("SKILL_INIT_HTTP_ADDR", &address).env("UI_SHELL_TTYD_PORT", "7999").start();
    let states = [0, 1].map(|_| worker.get("/ui/engines/tui/session").json());
    assert_eq!((&states[0]["state"], &states[0]["port"]), (&json!("free"), &json!(7999)));
    assert_eq!(states[1]["state"], "taken");
    let gone = worker.get("/ui/engines/tui/session").json();
    assert_eq!(gone["state"], "unknown");
    assert!(page(&worker, "/ui/engines").contains("data-port=\"7999\""));
}
