//! `GET /ui/engines/tui/session`: is the terminal there, and is it free? There is one for all.
//!
//! The worker has no part in it: init supervises ttyd and its gateway holds the one seat. So the gateway is asked, over
//! loopback, for two of its metrics; no page waits for it, only the script's question does.

use super::visit::Visit;
use axum::Json;
use serde_json::{Value, json};
use skill_init::settings::{Settings, keys};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// How long the gateway may take: PID 1 answers it within 600 ms or not at all, on a machine that has time for both.
const DEADLINE: Duration = Duration::from_secs(10);
/// Most bytes of metrics.
const MOST: u64 = 1 << 20;

/// The handler.
pub(super) async fn session(visit: Visit) -> Json<Value> {
    let settings = &visit.app.config.settings;
    let state = if settings.get(&keys::TTYD) == "off" {
        "off"
    } else {
        match tokio::time::timeout(DEADLINE, metrics(settings)).await {
            Ok(Ok(text)) => state(&text),
            Ok(Err(_)) | Err(_) => "unknown",
        }
    };
    let key = format!("terminal.{state}");
    Json(json!({"state": state, "port": settings.get(&keys::TTYD_PORT), "message": visit.text(&key)}))
}

/// What the gateway's metrics say: `off` (no such service), `down`, `taken`, `free`.
fn state(metrics: &str) -> &'static str {
    let value = |sample: &str| metrics.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    match value("skill_init_service_ready{service=\"ttyd\"}") {
        None => "off",
        Some(ready) if ready.trim() != "1" => "down",
        Some(_) => match value("skill_init_terminal_clients") {
            Some(clients) if clients.trim() == "0" => "free",
            _ => "taken",
        },
    }
}

async fn metrics(settings: &Settings) -> std::io::Result<String> {
    let address = settings.get(&keys::HTTP_ADDR);
    // What listens on every address is reached on loopback.
    let address = address.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:");
    let mut stream = TcpStream::connect(&address).await?;
    stream
        .write_all(format!("GET /metrics HTTP/1.0\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes())
        .await?;
    let mut text = Vec::new();
    stream.take(MOST).read_to_end(&mut text).await?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::state;

    #[test]
    fn the_gateways_metrics_say_whether_the_seat_is_free() {
        let of = |ready: &str, clients: &str| {
            state(&format!(
                "skill_init_terminal_clients {clients}\nskill_init_service_ready{{service=\"api\"}} 1\n\
                 skill_init_service_ready{{service=\"ttyd\"}} {ready}\n"
            ))
        };
        assert_eq!([of("1", "0"), of("1", "1"), of("0", "0")], ["free", "taken", "down"]);
        assert_eq!(state("skill_init_service_ready{service=\"api\"} 1\n"), "off");
    }
}
