//! What `make run` says in the terminal, and `run.json`, which says the same to programs.

use std::fmt::Display;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use ah5_harness::stack::{Addresses, Stack};

#[derive(Clone)]
pub struct Report(Instant);

// === impl Report ===

impl Report {
    pub fn new() -> Self {
        Self(Instant::now())
    }

    pub fn step(&self, what: &str) {
        say(&format!(
            "{:>7.1} s  {what}",
            self.0.elapsed().as_secs_f32()
        ));
    }

    pub fn warning(&self, what: &impl Display) {
        self.step(&format!("WARNING: {what}"));
    }

    pub fn failure(&self, error: &anyhow::Error) {
        let text = format!("{error:#}");
        let _ = writeln!(std::io::stderr(), "make run: {text}");
        if text.contains("No space left") {
            let _ = writeln!(
                std::io::stderr(),
                "make run: the disk is full: make room first"
            );
        }
    }

    pub fn ready(&self, stack: &Stack, mail: Option<&Path>) {
        let seconds = self.0.elapsed().as_secs_f32();
        say(&format!(
            "\nAgentHiFive is ready at {} ({seconds:.1} s)\n",
            stack.origin()
        ));
        say(&line(
            "front door",
            &format!("nginx on port {}", stack.front().port()),
        ));
        say(&line("control plane", &place(stack.control_plane())));
        for (number, addresses) in stack.data_planes().enumerate() {
            say(&line(&format!("data plane {number}"), &place(addresses)));
        }
        say(&line("PostgreSQL", &database(stack)));
        let simulator = stack.simulator().map(|it| format!("https://{}", it.host));
        say(&line("simulator", simulator.as_deref().unwrap_or("off")));
        if let Some(folder) = mail {
            say(&line("mail", &format!("files in {}", folder.display())));
        }
        say(&line("logs", &stack.logs().display().to_string()));
        if stack.simulator().is_some() {
            say("\nTry next, in another terminal:  make demo");
        }
        say("Stop with Ctrl-C. The data stays; `make clean` removes it.\n");
    }

    /// Writes `run.json`; readers never see half of it.
    ///
    /// # Errors
    /// It can't be written.
    pub fn write(&self, stack: &Stack, file: &Path) -> anyhow::Result<()> {
        let partial = file.with_extension("partial");
        std::fs::write(&partial, format!("{:#}\n", describe(stack)))?;
        Ok(std::fs::rename(&partial, file)?)
    }
}

fn describe(stack: &Stack) -> Value {
    let planes: Vec<&Addresses> = stack.data_planes().collect();
    let postgres = stack
        .cluster()
        .map(|it| json!({"socket": it.socket(), "port": it.port(), "pid": it.pid()}));
    let simulator = stack.simulator().map(
        |it| json!({"listen": it.listen, "host": it.host, "caFile": it.ca_file, "pid": it.pid()}),
    );
    json!({
        "origin": stack.origin(),
        "controlPlane": stack.control_plane(),
        "dataPlanes": planes,
        "nginx": {"listen": stack.front(), "pid": stack.front_pid()},
        "postgres": postgres,
        "simulator": simulator,
    })
}

fn database(stack: &Stack) -> String {
    stack.cluster().map_or_else(
        || "the server of DATABASE_URL".to_owned(),
        |it| {
            format!(
                "127.0.0.1:{}, socket in {}",
                it.port(),
                it.socket().display()
            )
        },
    )
}

fn place(addresses: &Addresses) -> String {
    let admin = addresses.admin.map(|it| format!("   admin {it}"));
    format!("{}{}", addresses.listen, admin.unwrap_or_default())
}

fn line(what: &str, how: &str) -> String {
    format!("  {what:<15} {how}")
}

// A terminal that went away must not end the product.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
