//! A model server on loopback: OpenAI's Responses API for codex, chat completions for opencode, both over SSE.
//!
//! Its model has one idea: write `artifacts/report.md` with the shell tool, then answer.

use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    sync::{Arc, Mutex},
};

pub const COMMAND: &str = "mkdir -p artifacts && echo '# made by the agent' > artifacts/report.md";
pub const ANSWER: &str = r#"{"answer": 42, "report": "artifacts/report.md", "__SKILL_DONE__": true}"#;

pub struct ModelServer {
    pub address: SocketAddr,
    /// What `watched` held at each request.
    pub seen: Arc<Mutex<Vec<String>>>,
    /// What tools answered.
    pub outputs: Arc<Mutex<Vec<String>>>,
}

impl ModelServer {
    pub fn start(watched: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let outputs: Arc<Mutex<Vec<String>>> = Arc::default();
        let (see, out) = (seen.clone(), outputs.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (see, out, watched) = (see.clone(), out.clone(), watched.clone());
                std::thread::spawn(move || {
                    while let Some((path, body)) = read_request(&stream) {
                        see.lock().unwrap().push(std::fs::read_to_string(&watched).unwrap_or_default());
                        let events = answer(&path, &body, &out);
                        let head = format!(
                            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n",
                            events.len()
                        );
                        if (&stream).write_all(format!("{head}{events}").as_bytes()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, seen, outputs }
    }
}

fn read_request(stream: &TcpStream) -> Option<(String, Value)> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|n| *n > 0)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first.split(' ').nth(1)?.to_owned(), serde_json::from_slice(&body).unwrap_or_default()))
}

fn answer(path: &str, body: &Value, outputs: &Mutex<Vec<String>>) -> String {
    let list = |key: &str| body[key].as_array().cloned().unwrap_or_default();
    if path.ends_with("/responses") {
        let said: Vec<String> = list("input")
            .iter()
            .filter(|item| item["type"] == "function_call_output")
            .map(|item| item["output"].to_string())
            .collect();
        let item = if said.is_empty() {
            json!({"type": "function_call", "id": "f", "call_id": "c", "name": "exec_command",
                   "arguments": json!({"cmd": COMMAND}).to_string()})
        } else {
            json!({"type": "message", "id": "m", "role": "assistant", "status": "completed",
                   "content": [{"type": "output_text", "text": ANSWER, "annotations": []}]})
        };
        outputs.lock().unwrap().extend(said);
        let usage = json!({"input_tokens": 1, "input_tokens_details": null, "output_tokens": 1,
                           "output_tokens_details": null, "total_tokens": 2});
        return [
            json!({"type": "response.created", "response": {"id": "r"}}),
            json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
            json!({"type": "response.completed", "response": {"id": "r", "usage": usage}}),
        ]
        .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()))
        .concat();
    }
    let done = list("messages").iter().any(|message| message["role"] == "tool");
    let (delta, finish) = if list("tools").is_empty() || done {
        (json!({"role": "assistant", "content": ANSWER}), "stop")
    } else {
        let call = json!({"index": 0, "id": "t", "type": "function", "function":
            {"name": "bash", "arguments": json!({"command": COMMAND, "description": "write"}).to_string()}});
        (json!({"role": "assistant", "tool_calls": [call]}), "tool_calls")
    };
    let chunk = |choice: Value| {
        let usage = json!({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2});
        format!(
            "data: {}\n\n",
            json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], "usage": usage})
        )
    };
    chunk(json!({"index": 0, "delta": delta, "finish_reason": null}))
        + &chunk(json!({"index": 0, "delta": {}, "finish_reason": finish}))
        + "data: [DONE]\n\n"
}
