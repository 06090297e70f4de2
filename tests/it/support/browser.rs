//! `Browser`: a headless Chromium with one tab, driven over the line that its developer tools use.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use base64::Engine;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, WebSocket, client::client_with_config};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A browser with one tab; both go when dropped.
pub struct Browser {
    child: Child,
    line: WebSocket<TcpStream>,
    tab: String,
    sent: u64,
    /// What the tab told unasked.
    told: Vec<Value>,
    _home: TempDir,
}

impl Browser {
    /// Starts one, if this machine has it.
    pub fn start() -> Option<Browser> {
        let home = tempfile::tempdir().unwrap();
        let names = ["chromium", "chromium-browser", "google-chrome"];
        let mut child = names.into_iter().find_map(|name| spawn(name, home.path()))?;
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|line| line.strip_prefix("DevTools listening on ").map(str::to_owned));
        let address = address.expect("it says where it listens");
        // What else it says would fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let host = address.trim_start_matches("ws://").split('/').next().unwrap();
        let stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let (line, _) = client_with_config(address.as_str(), stream, Some(config)).unwrap();
        let mut browser = Browser { child, line, tab: String::new(), sent: 0, told: Vec::new(), _home: home };
        let target = browser.ask("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let tab = browser.ask("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        browser.tab = tab["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Log", "Network", "Accessibility"] {
            browser.ask(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    /// Sends a command of the protocol and gives its result.
    #[track_caller]
    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        self.sent += 1;
        let mut message = json!({"id": self.sent, "method": method, "params": params});
        if !self.tab.is_empty() {
            message["sessionId"] = json!(self.tab);
        }
        self.line.send(Message::text(message.to_string())).unwrap();
        loop {
            let answer = self.hear();
            if answer["id"] == self.sent {
                assert_eq!(answer.get("error"), None, "{method}");
                return answer["result"].clone();
            }
        }
    }

    /// The next message; what is no answer is kept.
    fn hear(&mut self) -> Value {
        let message = self.line.read().unwrap();
        let message: Value =
            message.to_text().ok().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        if message["method"].is_string() {
            self.told.push(message.clone());
        }
        message
    }

    /// Opens an address and waits until the page is there.
    #[track_caller]
    pub fn open(&mut self, address: &str) {
        let from = self.told.len();
        let opened = self.ask("Page.navigate", json!({ "url": address }));
        assert_eq!(opened.get("errorText"), None, "{address}");
        while !self.told[from..].iter().any(|event| event["method"] == "Page.loadEventFired") {
            self.hear();
        }
    }

    /// What an expression is, awaited.
    #[track_caller]
    pub fn is(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let result = self.ask("Runtime.evaluate", params);
        assert_eq!(result.get("exceptionDetails"), None, "{expression}");
        result["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub fn until(&mut self, expression: &str) {
        let began = Instant::now();
        while self.is(expression) != true {
            let now = if began.elapsed() > PATIENCE { self.is("document.body.innerText") } else { Value::Null };
            assert_eq!(now, Value::Null, "`{expression}` does not become true");
            sleep(Duration::from_millis(20));
        }
    }

    /// Pages see a window of this size, and someone who wants it dark or light.
    pub fn looks(&mut self, (width, height): (u32, u32), scheme: &str) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.ask("Emulation.setDeviceMetricsOverride", size);
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.ask("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// Whether pages may run scripts, from the next one on.
    pub fn scripts(&mut self, allowed: bool) {
        self.ask("Emulation.setScriptExecutionDisabled", json!({ "value": !allowed }));
    }

    /// Presses a key that types nothing, such as `Tab`.
    pub fn press(&mut self, key: &str, code: u32) {
        for kind in ["rawKeyDown", "keyUp"] {
            let event = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code});
            self.ask("Input.dispatchKeyEvent", event);
        }
    }

    /// What a reader of the page is told: the nodes of the accessibility tree.
    pub fn nodes(&mut self) -> Vec<Value> {
        let tree = self.ask("Accessibility.getFullAXTree", json!({}));
        tree["nodes"].as_array().unwrap().iter().filter(|node| node["ignored"] == false).cloned().collect()
    }

    /// Errors and warnings of the console so far, and what the page threw.
    pub fn complaints(&self) -> Vec<String> {
        let is_bad = |level: &Value| matches!(level.as_str(), Some("error" | "warning"));
        let bad = self.told.iter().filter(|event| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => is_bad(&event["params"]["type"]),
            Some("Log.entryAdded") => is_bad(&event["params"]["entry"]["level"]),
            _ => false,
        });
        bad.map(|event| event["params"].to_string()).collect()
    }

    /// The addresses of all requests so far.
    pub fn requests(&self) -> Vec<String> {
        let sent = self.told.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        sent.map(|event| event["params"]["request"]["url"].as_str().unwrap().to_owned()).collect()
    }

    /// Keeps a picture of the whole page.
    pub fn picture(&mut self, file: &Path) {
        let size = self.ask("Page.getLayoutMetrics", json!({}))["cssContentSize"].clone();
        let all = json!({"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1});
        let params = json!({"format": "png", "captureBeyondViewport": true, "clip": all});
        let picture = self.ask("Page.captureScreenshot", params);
        let bytes = base64::engine::general_purpose::STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }
}

fn spawn(name: &str, home: &Path) -> Option<Child> {
    let mut command = Command::new(name);
    // Its sandbox cannot be had in every container, and it sees nothing but pages of ours.
    command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]);
    command.args([
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
    ]);
    command.args(["--remote-debugging-port=0", "--no-proxy-server"]);
    command.arg(format!("--user-data-dir={}", home.display())).env("HOME", home);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().ok()
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
